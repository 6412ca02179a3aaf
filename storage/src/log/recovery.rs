//! Opening a log: every surviving record is read once, in order, and a torn tail is cut.
//!
//! **Invariants:**
//! - memory is bounded by a window, unless the visitor keeps payloads or the end of the log must be
//!   judged, which takes one segment;
//! - nothing is changed on disk before all of it was found sound;
//! - what was recovered is durable when `open` returns: a page that an earlier process failed to
//!   write may look clean, so everything that no later record proves durable is written again.

use super::append::narrow;
use super::error::{LogError, VisitError};
use super::frame::{self, Frame, Head};
use super::index::{Gap, Groups, Place};
use super::record::{GroupId, Kind, Record};
use super::segment::{
    FIRST_SEQUENCE, HEADER_BYTES, Header, SEGMENT_BYTES_MAX, SEGMENT_BYTES_MIN, Segment, damage,
    segment_path,
};
use super::verify::{Found, WINDOWS_AHEAD, Window, is_zero_from, load, read_all};
use super::walk::{Verdict, find_frame, judge, stored_payload};
use super::{LogOptions, Tail};
use crate::disk::Disk;
use crate::seal::Seal;
use bytes::Bytes;
use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;

/// The remains of a write that was cut off and never acknowledged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TornTail {
    pub file: String,
    pub offset: u64,
    pub bytes: u64,
}

/// A group as recovered.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GroupRecovery {
    pub first_index: Option<u64>,
    pub last_index: Option<u64>,
    /// The latest hard state, metadata, snapshot pointer and index floor, as far as there are any.
    pub metadata: Vec<Record>,
}

/// What opening a log found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recovery {
    pub segments: usize,
    pub records: u64,
    pub entries: u64,
    /// Bytes of records, heads included.
    pub bytes: u64,
    /// What was cut off the end, if anything was.
    pub torn: Option<TornTail>,
    pub groups: BTreeMap<GroupId, GroupRecovery>,
}

pub(super) type Visit<'a> = &'a mut dyn FnMut(Record) -> Result<(), VisitError>;

/// Everything that reading the segments yields.
pub(super) struct Scan<'a> {
    disk: &'a dyn Disk,
    dir: &'a str,
    seal: Option<&'a dyn Seal>,
    pub(super) groups: Groups,
    pub(super) recovery: Recovery,
    pub(super) segments: VecDeque<Segment>,
    pub(super) tail: Option<Tail>,
    /// The last segment, if it was put in place but nothing was ever written into it.
    pub(super) blank: Option<u64>,
    /// The bytes that no record proves durable, and in which segment they are.
    pub(super) doubtful: Option<(u64, Range<usize>)>,
    trim_point: u64,
    epoch: u64,
}

pub(super) fn check_options(options: &LogOptions) -> Result<(), LogError> {
    let bytes = options.segment_bytes;
    let reason = if bytes < SEGMENT_BYTES_MIN {
        "too few"
    } else if bytes > SEGMENT_BYTES_MAX {
        "too many"
    } else if !bytes.is_multiple_of(frame::SECTOR_BYTES as u64) {
        "not a multiple of 512"
    } else {
        return Ok(());
    };
    Err(LogError::SegmentBytes { bytes, reason })
}

impl<'a> Scan<'a> {
    pub(super) fn new(disk: &'a dyn Disk, dir: &'a str, seal: Option<&'a dyn Seal>) -> Self {
        Self {
            disk,
            dir,
            seal,
            groups: Groups::default(),
            recovery: Recovery::default(),
            segments: VecDeque::new(),
            tail: None,
            blank: None,
            doubtful: None,
            trim_point: FIRST_SEQUENCE,
            epoch: 0,
        }
    }

    /// Reads the segments with these sequence numbers, which are sorted.
    pub(super) fn run(&mut self, sequences: &[u64], visit: Visit<'_>) -> Result<(), LogError> {
        if sequences.first().is_some_and(|first| *first > FIRST_SEQUENCE) {
            self.groups = Groups::of_trimmed();
        }
        let (found_tx, found_rx) = mpsc::sync_channel(WINDOWS_AHEAD);
        let (spent_tx, spent_rx) = mpsc::channel();
        let (disk, dir) = (self.disk, self.dir);
        // Checking takes as long as taking account, so each has a core where there are two.
        thread::scope(|scope| {
            scope.spawn(move || read_all(disk, dir, sequences, &found_tx, &spent_rx));
            self.take_all(sequences, found_rx, &spent_tx, visit)
        })?;
        match sequences.first() {
            Some(first) if *first > self.trim_point => Err(self.missing(self.trim_point)),
            _ => {
                self.finish();
                Ok(())
            }
        }
    }

    /// Takes account of what is read. Sets the tail with the last segment.
    fn take_all(
        &mut self,
        sequences: &[u64],
        found: Receiver<Result<Found, LogError>>,
        spent: &Sender<Window>,
        visit: Visit<'_>,
    ) -> Result<(), LogError> {
        let mut rest = sequences;
        let mut before: Option<(Header, u32)> = None;
        let mut current: Option<Segment> = None;
        for found in found {
            match found? {
                Found::Segment(segment) => {
                    self.check_header(&segment, before.as_ref())?;
                    self.epoch = self.epoch.max(segment.header.epoch);
                    rest = rest.get(1..).unwrap_or_default();
                    current = Some(segment);
                }
                Found::Records(window) => {
                    let segment = announced(current.as_ref());
                    for (offset, frame) in &window.frames {
                        self.note(segment, *offset, frame);
                        self.record(segment, &window, *offset, frame, visit)?;
                    }
                    // The reader may have come to its end already.
                    spent.send(window).ok();
                }
                Found::End { chain } => {
                    let header = announced(current.as_ref()).header;
                    // The next segment exists before the end mark is written.
                    let next = header.sequence.saturating_add(1);
                    if rest.first() != Some(&next) {
                        return Err(self.missing(next));
                    }
                    before = Some((header, chain));
                    self.segments.extend(current.take());
                }
                Found::Stop { at, chain } => {
                    let segment = announced(current.as_ref());
                    self.judge_stop(segment, at, rest)?;
                    let start = Tail::start_of(&segment.header);
                    self.tail = Some(Tail { at, synced: at, chain, ..start });
                    self.segments.extend(current.take());
                }
            }
        }
        Ok(())
    }

    /// Decides whether the log ends where no further record was found.
    fn judge_stop(
        &mut self,
        segment: &Segment,
        stop: usize,
        after: &[u64],
    ) -> Result<(), LogError> {
        let damaged = |reason: &str| damage(&segment.path, stop as u64, reason);
        match after {
            [] => {}
            [next] if self.is_blank(*next)? => self.blank = Some(*next),
            _ => return Err(damaged("no record verifies here, yet later segments have records")),
        }
        if is_zero_from(segment, stop)? {
            return Ok(());
        }
        let (_, bytes) = load(self.disk, self.dir, segment.header.sequence)?;
        match judge(&bytes, stop, segment.header.seed) {
            Verdict::Clean => {}
            Verdict::Torn { end, epoch } => {
                self.epoch = self.epoch.max(epoch);
                let (file, bytes) = (segment.path.clone(), (end - stop) as u64);
                self.recovery.torn = Some(TornTail { file, offset: stop as u64, bytes });
            }
            Verdict::Damaged(reason) => return Err(damaged(&reason)),
        }
        Ok(())
    }

    /// Keeps account of a record that verified.
    fn note(&mut self, segment: &Segment, offset: usize, frame: &Frame) {
        let end = offset + frame.head.frame_bytes();
        self.epoch = self.epoch.max(frame.head.epoch);
        self.recovery.bytes += frame.head.frame_bytes() as u64;
        // What was durable when a record was written lies in front of it.
        let synced = (frame.head.synced as usize).min(offset);
        self.doubtful = Some((segment.header.sequence, synced..end));
    }

    fn record(
        &mut self,
        segment: &Segment,
        window: &Window,
        offset: usize,
        frame: &Frame,
        visit: Visit<'_>,
    ) -> Result<(), LogError> {
        let label = frame.head.label;
        if label.kind == Kind::SegmentEnd {
            return Ok(());
        }
        if label.kind == Kind::TrimPoint {
            self.trim_point = label.index;
            return Ok(());
        }
        let at = offset as u64;
        let damaged = |reason: &str| damage(&segment.path, at, reason);
        let stored = stored_payload(&window.bytes, offset - window.start, frame);
        let payload = opened(&segment.path, at, &segment.header, self.seal, &frame.head, stored)?;
        let Some(record) = Record::decode(&label, payload) else {
            return Err(damaged("a record's payload does not fit its kind"));
        };
        let place = Place {
            segment: segment.header.sequence,
            offset: narrow(offset),
            bytes: narrow(frame.head.frame_bytes()),
        };
        self.groups.apply(&record, place).map_err(|Gap { group, expected, found }| {
            damaged(&format!("group {group} expects entry {expected}, and here is {found}"))
        })?;
        self.recovery.records += 1;
        self.recovery.entries += u64::from(label.kind.entry().is_some());
        visit(record).map_err(|source| LogError::Visitor {
            file: segment.path.clone(),
            offset: at,
            source,
        })
    }

    fn check_header(
        &self,
        segment: &Segment,
        before: Option<&(Header, u32)>,
    ) -> Result<(), LogError> {
        let header = &segment.header;
        if header.sealed && self.seal.is_none() {
            return Err(LogError::SealedWithoutKey { file: segment.path.clone() });
        }
        let reason = match before {
            Some((before, _)) if before.log_id != header.log_id => "the segment is another log's",
            Some((_, chain)) if *chain != header.seed => {
                "the segment does not continue the one before it"
            }
            _ => return Ok(()),
        };
        Err(damage(&segment.path, 0, reason))
    }

    /// Whether a segment was put in place and never written into.
    fn is_blank(&self, sequence: u64) -> Result<bool, LogError> {
        let (segment, bytes) = load(self.disk, self.dir, sequence)?;
        Ok(find_frame(&bytes, HEADER_BYTES, segment.header.seed).is_none())
    }

    fn missing(&self, sequence: u64) -> LogError {
        damage(&segment_path(self.dir, sequence), 0, "the segment file is missing")
    }

    fn finish(&mut self) {
        self.groups.settle();
        if let Some(tail) = &mut self.tail {
            tail.epoch = self.epoch.saturating_add(1);
        }
        self.recovery.segments = self.segments.len();
        for (id, group) in self.groups.iter() {
            let recovered = GroupRecovery {
                first_index: group.first_index(),
                last_index: group.next_index().and_then(|next| next.checked_sub(1)),
                metadata: group.metadata().cloned().collect(),
            };
            self.recovery.groups.insert(id, recovered);
        }
    }
}

fn announced(segment: Option<&Segment>) -> &Segment {
    segment.unwrap_or_else(|| unreachable!("a segment is announced before what it holds"))
}

/// A record's payload as it was appended.
pub(super) fn opened(
    file: &str,
    offset: u64,
    header: &Header,
    seal: Option<&dyn Seal>,
    head: &Head,
    stored: Bytes,
) -> Result<Bytes, LogError> {
    let payload = frame::unmasked(stored, head.masked);
    if !header.sealed || payload.is_empty() {
        return Ok(payload);
    }
    let seal = seal.ok_or_else(|| LogError::SealedWithoutKey { file: file.to_owned() })?;
    match seal.open(&head.label.associated_data(), &payload) {
        Ok(plain) => Ok(plain.into()),
        Err(source) => Err(LogError::Unseal { file: file.to_owned(), offset, source }),
    }
}
