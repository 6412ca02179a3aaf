//! Giving space back: whole segments, oldest first.
//!
//! **Invariants:**
//! - what must outlive a segment is written again and synced before the segment goes;
//! - a group's entries that no snapshot pointer covers never go, whatever the caller says;
//! - files go one by one, each removal durable before the next, so a gap always means damage.

use super::error::{AppendError, Fatal};
use super::record::GroupId;
use super::{Class, Log};
use std::collections::BTreeMap;

/// What a trim did.
#[derive(Debug, Default)]
pub struct TrimReport {
    pub segments_removed: usize,
    pub bytes_freed: u64,
    /// Metadata records written again.
    pub records_moved: usize,
    /// Why nothing was removed although something could have been.
    pub blocked: Option<AppendError>,
}

/// A group that keeps old segments from being removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pin {
    pub group: GroupId,
    /// How many segments there are from the oldest one it needs.
    pub segments: u64,
}

impl Log {
    /// Removes the oldest segments in which no group has an entry at or after its `needed` index.
    /// A group that is absent from `needed` needs all of its entries.
    pub fn trim(&mut self, needed: &BTreeMap<GroupId, u64>) -> Result<TrimReport, Fatal> {
        self.alive()?;
        let mut report = TrimReport::default();
        let pinned = self.oldest_needed(needed).map(|(_, segment)| segment).min();
        let end = pinned.map_or(self.tail.segment, |pinned| pinned.min(self.tail.segment));
        let oldest = self.segments.front().map_or(end, |segment| segment.header.sequence);
        let Some(last) = end.checked_sub(1).filter(|last| *last >= oldest) else {
            return Ok(report);
        };
        let mut moved = Vec::new();
        for (_, group) in self.groups.iter() {
            moved.extend(group.metadata_up_to(last).cloned());
        }
        match self.append_with(&moved, Some(end), Class::Essential) {
            Ok(()) => {}
            Err(AppendError::Fatal(fatal)) => return Err(fatal),
            Err(
                blocked @ (AppendError::NoSpace
                | AppendError::TooLarge { .. }
                | AppendError::Seal(_)),
            ) => {
                report.blocked = Some(blocked);
                return Ok(report);
            }
        }
        self.sync()?;
        report.records_moved = moved.len();
        self.groups.forget(last);
        while let Some(segment) = self.segments.front()
            && segment.header.sequence <= last
        {
            let (path, bytes) = (segment.path.clone(), segment.header.file_bytes);
            let removed = self.disk.remove(&path).and_then(|()| self.disk.sync_dir(&self.dir));
            removed.map_err(|source| self.fatal(Fatal::Remove { file: path, source }))?;
            self.segments.pop_front();
            report.segments_removed += 1;
            report.bytes_freed += bytes;
        }
        Ok(report)
    }

    /// The groups that pin more than `segments_max` segments, worst first: snapshot these.
    pub fn pinned_by(&self, needed: &BTreeMap<GroupId, u64>, segments_max: u64) -> Vec<Pin> {
        let mut pins: Vec<_> = self
            .oldest_needed(needed)
            .map(|(group, oldest)| Pin { group, segments: self.tail.segment - oldest + 1 })
            .filter(|pin| pin.segments > segments_max)
            .collect();
        pins.sort_by_key(|pin| (std::cmp::Reverse(pin.segments), pin.group));
        pins
    }

    fn oldest_needed(
        &self,
        needed: &BTreeMap<GroupId, u64>,
    ) -> impl Iterator<Item = (GroupId, u64)> {
        self.groups.iter().filter_map(|(id, group)| {
            let oldest = group.oldest_needed(needed.get(&id).copied())?;
            Some((id, oldest))
        })
    }
}
