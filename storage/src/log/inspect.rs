//! Looking at a log without opening it: for operators, and for the verification of backups.
//!
//! **Invariants:** nothing is ever changed, and damage is a finding rather than an error: the walk
//! goes on behind it.

use super::error::{LogError, VisitError};
use super::frame::Frame;
use super::record::{GroupId, Kind, Record};
use super::recovery::{TornTail, opened};
use super::segment::{Header, Segment, damage, segment_path, sequence_of};
use super::verify::load;
use super::walk::{Step, Verdict, Walk, find_frame, judge, stored_payload};
use crate::disk::Disk;
use crate::seal::Seal;
use bytes::Bytes;
use std::collections::BTreeMap;

/// The entries of one group in one segment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct GroupSpan {
    pub records: u64,
    /// Index of the first and of the last entry in the segment, in the order they stand there.
    pub entries: Option<(u64, u64)>,
}

/// A segment, as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentReport {
    pub file: String,
    pub sequence: u64,
    /// Bytes allocated.
    pub bytes: u64,
    /// Bytes up to the end of the last good record.
    pub used: u64,
    pub sealed: bool,
    /// Whether its end mark was found.
    pub complete: bool,
    pub records: u64,
    pub groups: BTreeMap<GroupId, GroupSpan>,
}

/// A record and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordReport {
    pub file: String,
    pub offset: u64,
    pub epoch: u64,
    /// What it is, in words.
    pub kind: &'static str,
    pub group: GroupId,
    pub term: u64,
    pub index: u64,
    pub payload_bytes: usize,
    /// The record itself; `None` for the log's own marks and for sealed ones without the key.
    pub record: Option<Record>,
}

/// Something found in a log, in the order of the log.
#[derive(Debug)]
pub enum Finding {
    Record(RecordReport),
    /// Comes after the segment's records.
    Segment(SegmentReport),
    /// The end of an unfinished write, which opening the log would cut.
    TornTail(TornTail),
    /// Why the log does not open: names file and offset.
    Damage(LogError),
}

/// Totals of a log.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Inspection {
    pub segments: u64,
    pub records: u64,
    pub bytes: u64,
    pub damages: u64,
    pub torn_bytes: u64,
}

struct Inspector<'a> {
    disk: &'a dyn Disk,
    dir: &'a str,
    seal: Option<&'a dyn Seal>,
    visit: &'a mut dyn FnMut(Finding) -> Result<(), VisitError>,
    totals: Inspection,
    /// The chain after the segment before, where that ended properly, and the oldest segment that
    /// must exist.
    chain: Option<u32>,
    trim_point: Option<u64>,
}

/// Walks a log that nobody has open, and reports everything found.
///
/// An error means that the folder cannot be listed or that the visitor failed.
pub fn inspect(
    disk: &dyn Disk,
    dir: &str,
    seal: Option<&dyn Seal>,
    visit: &mut dyn FnMut(Finding) -> Result<(), VisitError>,
) -> Result<Inspection, LogError> {
    let names = disk.list(dir).map_err(|source| LogError::Io { file: dir.to_owned(), source })?;
    let sequences: Vec<_> = names.iter().filter_map(|name| sequence_of(name)).collect();
    let totals = Inspection::default();
    let mut inspector = Inspector { disk, dir, seal, visit, totals, chain: None, trim_point: None };
    let mut expected = None;
    for (position, sequence) in sequences.iter().enumerate() {
        let missing = expected.unwrap_or(*sequence)..*sequence;
        inspector.missing(missing)?;
        inspector.segment(*sequence, sequences.get(position + 1..).unwrap_or_default())?;
        expected = Some(sequence.saturating_add(1));
    }
    let first = sequences.first().copied();
    let trimmed = inspector.trim_point.unwrap_or(super::segment::FIRST_SEQUENCE);
    inspector.missing(first.map_or(0..0, |first| trimmed..first))?;
    // Whoever wrote an end mark had put the next segment in place before.
    if inspector.chain.is_some() {
        inspector.missing(expected.map_or(0..0, |next| next..next.saturating_add(1)))?;
    }
    Ok(inspector.totals)
}

impl Inspector<'_> {
    fn missing(&mut self, mut sequences: std::ops::Range<u64>) -> Result<(), LogError> {
        // One finding for a whole gap: its first file.
        let Some(sequence) = sequences.next() else {
            return Ok(());
        };
        self.chain = None;
        let path = segment_path(self.dir, sequence);
        self.damage(&path, 0, damage(&path, 0, "the segment file is missing"))
    }

    fn damage(&mut self, file: &str, offset: u64, error: LogError) -> Result<(), LogError> {
        self.totals.damages += 1;
        self.report(file, offset, Finding::Damage(error))
    }

    fn report(&mut self, file: &str, offset: u64, finding: Finding) -> Result<(), LogError> {
        (self.visit)(finding).map_err(|source| LogError::Visitor {
            file: file.to_owned(),
            offset,
            source,
        })
    }

    fn segment(&mut self, sequence: u64, after: &[u64]) -> Result<(), LogError> {
        let (segment, bytes) = match load(self.disk, self.dir, sequence) {
            Ok(loaded) => loaded,
            Err(error) => {
                self.chain = None;
                return self.damage(&segment_path(self.dir, sequence), 0, error);
            }
        };
        if self.chain.is_some_and(|chain| chain != segment.header.seed) {
            let reason = "the segment does not continue the one before it";
            self.damage(&segment.path, 0, damage(&segment.path, 0, reason))?;
        }
        let mut report = SegmentReport {
            file: segment.path.clone(),
            sequence,
            bytes: segment.header.file_bytes,
            used: 0,
            sealed: segment.header.sealed,
            complete: false,
            records: 0,
            groups: BTreeMap::new(),
        };
        let mut walk = Walk::new(&bytes, &segment.header);
        self.chain = None;
        loop {
            match walk.step() {
                Step::Frame { offset, frame } => {
                    self.record(&segment, &bytes, offset, &frame, &mut report)?;
                }
                Step::End { .. } => {
                    report.complete = true;
                    self.chain = Some(walk.chain());
                    break;
                }
                Step::Stop => {
                    let header = &segment.header;
                    let found = find_frame(&bytes, walk.at + 8, header.seed);
                    let Some(at) = self.stop(&segment, &bytes, walk.at, found, after)? else {
                        break;
                    };
                    walk.resume(at);
                }
            }
        }
        report.used = walk.at as u64;
        self.totals.segments += 1;
        self.totals.bytes += report.bytes;
        self.report(&segment.path, 0, Finding::Segment(report))
    }

    /// Judges the place where a walk stopped; returns where to go on, if there is such a place.
    fn stop(
        &mut self,
        segment: &Segment,
        bytes: &Bytes,
        stop: usize,
        found: Option<(usize, Frame)>,
        after: &[u64],
    ) -> Result<Option<usize>, LogError> {
        let Header { seed, .. } = segment.header;
        let last = match after {
            [] => true,
            [next] => load(self.disk, self.dir, *next).is_ok_and(|(next, bytes)| {
                find_frame(&bytes, super::segment::HEADER_BYTES, next.header.seed).is_none()
            }),
            _ => false,
        };
        let offset = stop as u64;
        let reason = match judge(bytes, stop, seed) {
            Verdict::Clean if last => return Ok(None),
            Verdict::Torn { end, .. } if last => {
                let (file, torn) = (segment.path.clone(), (end - stop) as u64);
                self.totals.torn_bytes += torn;
                let finding = Finding::TornTail(TornTail { file, offset, bytes: torn });
                self.report(&segment.path, offset, finding)?;
                return Ok(None);
            }
            Verdict::Clean | Verdict::Torn { .. } => {
                "no record verifies here, yet later segments have records".to_owned()
            }
            Verdict::Damaged(reason) => reason,
        };
        self.damage(&segment.path, offset, damage(&segment.path, offset, &reason))?;
        Ok(found.map(|(at, _)| at))
    }

    fn record(
        &mut self,
        segment: &Segment,
        bytes: &Bytes,
        offset: usize,
        frame: &Frame,
        report: &mut SegmentReport,
    ) -> Result<(), LogError> {
        let label = frame.head.label;
        report.records += 1;
        self.totals.records += 1;
        if label.kind == Kind::TrimPoint {
            self.trim_point = Some(label.index);
        } else {
            let span = report.groups.entry(label.group).or_default();
            span.records += 1;
            if label.kind.entry().is_some() {
                let first = span.entries.map_or(label.index, |(first, _)| first);
                span.entries = Some((first, label.index));
            }
        }
        let at = offset as u64;
        let stored = stored_payload(bytes, offset, frame);
        let payload = opened(&segment.path, at, &segment.header, self.seal, &frame.head, stored);
        let record = match payload {
            Ok(payload) => Record::decode(&label, payload),
            Err(LogError::SealedWithoutKey { .. }) => None,
            Err(error) => {
                self.damage(&segment.path, at, error)?;
                None
            }
        };
        let finding = Finding::Record(RecordReport {
            file: segment.path.clone(),
            offset: at,
            epoch: frame.head.epoch,
            kind: label.kind.name(),
            group: label.group,
            term: label.term,
            index: label.index,
            payload_bytes: frame.head.payload_bytes,
            record,
        });
        self.report(&segment.path, at, finding)
    }
}
