//! Walking a segment, and judging what to think of the place where the walk stops.
//!
//! **Invariants:**
//! - the walk yields records only while each verifies and continues the chain;
//! - bytes that were once synced are never judged a torn write, except where a whole sector of the
//!   last synced writes reads as zeros, which nothing on this disk can tell from one that never
//!   arrived.

use super::append::END_BYTES;
use super::frame::{self, Flaw, Frame, HEAD_BYTES, SECTOR_BYTES, is_zero};
use super::record::Kind;
use super::segment::{HEADER_BYTES, Header};
use bytes::Bytes;
use std::ops::Range;

/// A walk over a segment's bytes, or over a part of them.
pub(super) struct Walk<'a> {
    bytes: &'a [u8],
    /// Where in the segment the bytes begin.
    start: usize,
    seed: u32,
    /// Where the next record begins.
    pub(super) at: usize,
    /// The chain so far; unknown behind damage.
    chain: Option<u32>,
}

/// What the walk came to.
pub(super) enum Step {
    Frame {
        offset: usize,
        frame: Frame,
    },
    /// The segment's proper end.
    End {
        offset: usize,
        frame: Frame,
    },
    /// No record begins here: the end of what was written, a torn write, or damage.
    Stop,
}

impl<'a> Walk<'a> {
    pub(super) fn new(bytes: &'a [u8], header: &Header) -> Self {
        let seed = header.seed;
        Self { bytes, start: 0, seed, at: HEADER_BYTES, chain: Some(seed) }
    }

    /// A walk that goes on in a part of the segment beginning at `start`, after another one came to
    /// there with `chain`.
    pub(super) fn from(bytes: &'a [u8], start: usize, header: &Header, chain: u32) -> Self {
        Self { bytes, start, seed: header.seed, at: start, chain: Some(chain) }
    }

    /// Whether it stopped only because the record here is not whole in these bytes.
    pub(super) fn is_cut(&self) -> bool {
        match self.check() {
            Ok(_) => false,
            Err(Flaw::Body(head)) => head.frame_bytes() > self.rest().len(),
            Err(Flaw::Head) => self.rest().len() < HEAD_BYTES,
        }
    }

    fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at - self.start..).unwrap_or_default()
    }

    fn check(&self) -> Result<Frame, Flaw> {
        let offset = u32::try_from(self.at).unwrap_or(u32::MAX);
        frame::check(self.rest(), frame::salt(self.seed, offset))
    }

    pub(super) fn step(&mut self) -> Step {
        let Ok(frame) = self.check() else {
            return Step::Stop;
        };
        if self.chain.is_some_and(|chain| !frame.continues(chain)) {
            return Step::Stop;
        }
        let offset = self.at;
        self.chain = Some(frame.chain);
        self.at += frame.head.frame_bytes();
        if frame.head.label.kind == Kind::SegmentEnd {
            return Step::End { offset, frame };
        }
        Step::Frame { offset, frame }
    }

    /// The chain after the last record.
    pub(super) fn chain(&self) -> u32 {
        self.chain.unwrap_or(self.seed)
    }

    /// Goes on at a place behind damage, across which the chain cannot be checked.
    pub(super) fn resume(&mut self, at: usize) {
        self.at = at;
        self.chain = None;
    }
}

/// The stored payload of a record that begins at `offset` of these bytes.
pub(super) fn stored_payload(bytes: &Bytes, offset: usize, frame: &Frame) -> Bytes {
    let start = (offset + HEAD_BYTES).min(bytes.len());
    let end = (start + frame.head.payload_bytes).min(bytes.len());
    bytes.slice(start..end)
}

fn check_at(bytes: &[u8], at: usize, seed: u32) -> Result<Frame, Flaw> {
    let offset = u32::try_from(at).unwrap_or(u32::MAX);
    frame::check(bytes.get(at..).unwrap_or_default(), frame::salt(seed, offset))
}

/// The first record at or after `from` that verifies on its own.
pub(super) fn find_frame(bytes: &[u8], from: usize, seed: u32) -> Option<(usize, Frame)> {
    let mut at = from;
    while at + HEAD_BYTES <= bytes.len() {
        // Whole empty sectors are passed over at once: no record begins with a zero sector.
        if at.is_multiple_of(SECTOR_BYTES) && bytes.get(at..at + SECTOR_BYTES).is_some_and(is_zero)
        {
            at += SECTOR_BYTES;
            continue;
        }
        if let Ok(frame) = check_at(bytes, at, seed) {
            return Some((at, frame));
        }
        at += 8;
    }
    None
}

/// What the bytes after the last good record are.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing was written there.
    Clean,
    /// Remains of a write that was never acknowledged, to be zeroed up to `end`.
    Torn { end: usize, epoch: u64 },
    /// Acknowledged bytes were changed.
    Damaged(String),
}

/// Judges the place `at` in the last segment written, where the walk stopped.
///
/// Each record says how far the segment was durable when it was written, so a good record after
/// `at` may prove that `at` was. Without such proof a torn write still betrays itself: segments are
/// zeroed before use, a record never looks like a zero sector, and a sector arrives whole or not.
pub(super) fn judge(bytes: &[u8], at: usize, seed: u32) -> Verdict {
    let rest = bytes.get(at..).unwrap_or_default();
    if rest.len() < END_BYTES {
        // Nobody writes a record there, and an end mark behind it would lie in the next segment.
        return Verdict::Damaged("no room is left for the end mark".to_owned());
    }
    if is_zero(rest) {
        return Verdict::Clean;
    }
    let mut epoch = 0;
    let mut from = at + 8;
    while let Some((offset, frame)) = find_frame(bytes, from, seed) {
        if frame.head.synced as usize > at {
            return Verdict::Damaged(format!(
                "it was durable when the record at offset {offset} was written"
            ));
        }
        epoch = epoch.max(frame.head.epoch);
        from = offset + frame.head.frame_bytes();
    }
    let (region, reason) = match check_at(bytes, at, seed) {
        Ok(frame) => (at..at + frame.head.frame_bytes(), "a record does not continue the chain"),
        Err(Flaw::Body(head)) => {
            (at..at + head.frame_bytes(), "the checksum of a record's payload does not match")
        }
        Err(Flaw::Head) => (at..at + HEAD_BYTES, "the checksum of a record's head does not match"),
    };
    if misses_a_sector(bytes, &region) {
        let written = rest.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        return Verdict::Torn { end: at + written, epoch };
    }
    Verdict::Damaged(format!("{reason}, and no part of it is missing as in a torn write"))
}

/// Whether some sector of the region is zero from the region's start on.
fn misses_a_sector(bytes: &[u8], region: &Range<usize>) -> bool {
    (region.start / SECTOR_BYTES..region.end.div_ceil(SECTOR_BYTES)).any(|sector| {
        let start = (sector * SECTOR_BYTES).max(region.start);
        let end = ((sector + 1) * SECTOR_BYTES).min(bytes.len());
        bytes.get(start..end).is_some_and(is_zero)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_up_to_the_very_end_are_damage() {
        let bytes = [0; 2048];
        assert_eq!(judge(&bytes, bytes.len() - END_BYTES, 7), Verdict::Clean);
        for at in [bytes.len() - END_BYTES + 8, bytes.len()] {
            let verdict = judge(&bytes, at, 7);
            assert!(matches!(verdict, Verdict::Damaged(_)), "{at}: {verdict:?}");
        }
    }
}
