//! Reading entries back while the log is in use.
//!
//! **Invariants:** an entry is returned only if its record verifies; neighbours are read together,
//! and never more than a window at once.

use super::error::LogError;
use super::frame::{self, HEAD_BYTES};
use super::index::{IndexedEntry, Place};
use super::record::{GroupId, LogEntry, Record};
use super::segment::{Segment, damage};
use super::{Log, recovery};
use bytes::{Bytes, BytesMut};
use std::ops::Range;

/// The most that is read at once, unless a single entry is larger.
const WINDOW_BYTES: u32 = 256 << 10;
/// Records of other groups are read along up to this size, to save a call.
const GAP_BYTES_MAX: u32 = 16 << 10;

impl Log {
    /// The entries from `low` to before `high`, cut when they exceed `max_bytes` on disk; the first
    /// one is returned whatever its size.
    pub fn read_entries(
        &self,
        group: GroupId,
        low: u64,
        high: u64,
        max_bytes: u64,
    ) -> Result<Vec<LogEntry>, LogError> {
        self.alive()?;
        let found = self.groups.find(group);
        let end = found.and_then(|found| found.next_index()).unwrap_or(0);
        let Some(found) = found.filter(|_| low <= high && high <= end) else {
            return Err(LogError::OutOfRange { group, low, high, end });
        };
        if let Some(first) = found.first_index().filter(|first| low < *first && low < high) {
            return Err(LogError::Compacted { group, low, first });
        }
        let mut places = Vec::new();
        let mut bytes = 0_u64;
        for IndexedEntry { place, .. } in found.range(low..high) {
            bytes = bytes.saturating_add(u64::from(place.bytes));
            if !places.is_empty() && bytes > max_bytes {
                break;
            }
            places.push(*place);
        }
        let mut entries = Vec::with_capacity(places.len());
        let mut rest = places.as_slice();
        while let Some((window, after)) = rest.split_at_checked(window_len(rest))
            && !window.is_empty()
        {
            self.read_window(window, &mut entries)?;
            rest = after;
        }
        Ok(entries)
    }

    /// Reads records of one segment that lie near each other.
    fn read_window(&self, places: &[Place], entries: &mut Vec<LogEntry>) -> Result<(), LogError> {
        let (Some(first), Some(last)) = (places.first(), places.last()) else {
            return Ok(());
        };
        let oldest = self.segments.front().map_or(0, |segment| segment.header.sequence);
        let position = usize::try_from(first.segment.saturating_sub(oldest)).unwrap_or(usize::MAX);
        let Some(segment) = self.segments.get(position) else {
            unreachable!("an indexed entry lies in a segment that is held");
        };
        let span = last.offset - first.offset + last.bytes;
        let mut window = BytesMut::zeroed(span as usize);
        let read = segment
            .file
            .read_full_at(u64::from(first.offset), &mut window)
            .map_err(|source| LogError::Io { file: segment.path.clone(), source })?;
        window.truncate(read);
        let window = window.freeze();
        for place in places {
            let start = (place.offset - first.offset) as usize;
            let range = start.min(read)..(start + place.bytes as usize).min(read);
            entries.push(self.entry(segment, place, &window, range)?);
        }
        Ok(())
    }

    fn entry(
        &self,
        segment: &Segment,
        place: &Place,
        window: &Bytes,
        range: Range<usize>,
    ) -> Result<LogEntry, LogError> {
        let offset = u64::from(place.offset);
        let damaged = |reason| damage(&segment.path, offset, reason);
        let bytes = window.slice(range);
        let salt = frame::salt(segment.header.seed, place.offset);
        let frame =
            frame::check(&bytes, salt).map_err(|_| damaged("an entry no longer verifies"))?;
        let payload_end = (HEAD_BYTES + frame.head.payload_bytes).min(bytes.len());
        let stored = bytes.slice(HEAD_BYTES.min(payload_end)..payload_end);
        let payload = recovery::opened(
            &segment.path,
            offset,
            &segment.header,
            self.options.seal.as_deref(),
            &frame.head,
            stored,
        )?;
        match Record::decode(&frame.head.label, payload) {
            Some(Record::Entry(entry)) => Ok(entry),
            _ => Err(damaged("there is another record in place of an entry")),
        }
    }
}

/// How many of the places to read at once: at least one, unless there are none.
fn window_len(places: &[Place]) -> usize {
    let Some(first) = places.first() else {
        return 0;
    };
    let neighbours = places.iter().zip(places.iter().skip(1)).take_while(|(before, place)| {
        let end = before.offset.saturating_add(before.bytes);
        place.segment == first.segment
            && place.offset.saturating_sub(end) <= GAP_BYTES_MAX
            && place.offset.saturating_add(place.bytes) - first.offset <= WINDOW_BYTES
    });
    1 + neighbours.count()
}
