//! The node's log: all groups interleaved in one run of segments, so that one sync serves all.
//!
//! It is the only durability there is: everything else is rebuilt from it and from snapshots.
//!
//! **Invariants:**
//! - what was appended before a completed [`Log::sync`] is recovered, in order and unchanged, or
//!   [`Log::open`] refuses; what it recovers is always a prefix of what was appended;
//! - space is claimed before use: an append either fits into allocated segments or writes nothing;
//! - after a failed write or sync nothing more is accepted, as what is on disk is unknown;
//! - a segment is removed only when no group needs its entries and the last metadata of every group
//!   in it was written again and synced.
//!
//! A segment exists durably before the one in front of it gets its end mark, and that mark is
//! durable before the segment's first record is written: so only the last segment with records can
//! have a torn tail. It reads no clock and has no thread but one that reads ahead during
//! [`Log::open`]; the caller decides when to sync.

mod append;
mod error;
mod frame;
mod index;
mod inspect;
mod open;
mod read;
mod record;
mod recovery;
mod segment;
mod trim;
mod verify;
mod walk;

pub use error::{AppendError, Fatal, LogError, VisitError};
pub use inspect::{Finding, GroupSpan, Inspection, RecordReport, SegmentReport, inspect};
pub use record::{EntryKind, GroupId, LogEntry, Record};
pub use recovery::{GroupRecovery, Recovery, TornTail};
pub use segment::{Spare, SpareRequest};
pub use trim::{Pin, TrimReport};

use crate::disk::Disk;
use crate::seal::Seal;
use index::Groups;
use segment::Segment;
use std::collections::VecDeque;
use std::sync::Arc;

/// Segments kept allocated ahead: one to roll into, and the reserve.
const SPARES_WANTED: usize = 2;

/// How a log is written.
#[derive(Clone)]
pub struct LogOptions {
    /// The size of new segments; existing ones keep theirs.
    pub segment_bytes: u64,
    /// Seals all payloads written from here on, and opens those written sealed.
    pub seal: Option<Arc<dyn Seal>>,
    /// A number unlike that of other logs (of the node's id, say). Used when the log is created;
    /// it tells segments of other logs apart and keeps clients from forging record checksums.
    pub seed: u32,
}

impl Default for LogOptions {
    fn default() -> Self {
        Self { segment_bytes: 64 << 20, seal: None, seed: 0 }
    }
}

/// Who may use the last space.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Refused unless a whole segment stays in reserve.
    Client,
    /// Hard states, truncations and what trimming writes: may use the reserve.
    Essential,
}

/// Numbers for metrics and operators.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LogStats {
    pub segments: usize,
    /// Bytes allocated on disk, spares included.
    pub bytes: u64,
    pub spares: usize,
    /// Completed syncs of this process.
    pub syncs: u64,
    /// Records appended by this process.
    pub records: u64,
    /// Bytes of records appended by this process.
    pub record_bytes: u64,
    /// Completed syncs in the log's life, roughly: it only grows.
    pub epoch: u64,
}

/// Where the next record goes.
#[derive(Debug, Clone, Copy)]
struct Tail {
    segment: u64,
    seed: u32,
    at: usize,
    /// The bytes of the segment's file.
    limit: usize,
    chain: u32,
    epoch: u64,
    /// How far the segment is known to be durable.
    synced: usize,
    /// Whether the segment takes no more records, as they would have to be sealed otherwise.
    closed: bool,
}

/// The node's log. See the module's documentation.
pub struct Log {
    disk: Arc<dyn Disk>,
    dir: String,
    options: LogOptions,
    log_id: u32,
    segments: VecDeque<Segment>,
    tail: Tail,
    spares: VecDeque<Spare>,
    next_spare: u64,
    groups: Groups,
    /// Reused by every append.
    buffer: Vec<u8>,
    stats: LogStats,
    unsynced: bool,
    dead: bool,
}

impl Log {
    /// The first index held of a group, or the next one if it holds none.
    pub fn first_index(&self, group: GroupId) -> Option<u64> {
        self.groups.find(group)?.first_index()
    }

    /// The last index of a group, held or covered by a snapshot.
    pub fn last_index(&self, group: GroupId) -> Option<u64> {
        self.groups.find(group)?.next_index()?.checked_sub(1)
    }

    /// The term of an entry that is held, or of the one right before the first.
    pub fn term(&self, group: GroupId, index: u64) -> Option<u64> {
        self.groups.find(group)?.term(index)
    }

    /// The latest hard state, metadata, snapshot pointer and index floor of a group.
    pub fn metadata(&self, group: GroupId) -> impl Iterator<Item = &Record> {
        self.groups.find(group).into_iter().flat_map(index::Group::metadata)
    }

    /// What is held on disk and was done so far.
    pub fn stats(&self) -> LogStats {
        let segment_bytes = self.segments.iter().map(|segment| segment.header.file_bytes);
        let spare_bytes = self.spares.iter().map(|spare| spare.bytes);
        LogStats {
            segments: self.segments.len(),
            bytes: segment_bytes.chain(spare_bytes).sum(),
            spares: self.spares.len(),
            epoch: self.tail.epoch,
            ..self.stats
        }
    }

    /// The size of a new segment.
    pub fn segment_bytes(&self) -> u64 {
        self.options.segment_bytes
    }

    /// A spare to allocate, if there are too few. Ask again when it was added or failed; the answer
    /// does not count requests under way.
    pub fn wanted_spare(&mut self) -> Option<SpareRequest> {
        (self.spares.len() < SPARES_WANTED && !self.dead).then(|| self.spare_request())
    }

    /// Takes a spare into use.
    pub fn add_spare(&mut self, spare: Spare) {
        debug_assert_eq!(spare.bytes, self.options.segment_bytes, "a spare of this log");
        self.spares.push_back(spare);
    }

    fn spare_request(&mut self) -> SpareRequest {
        let number = self.next_spare;
        self.next_spare += 1;
        SpareRequest { dir: self.dir.clone(), number, bytes: self.options.segment_bytes }
    }

    fn alive(&self) -> Result<(), Fatal> {
        if self.dead { Err(Fatal::Dead) } else { Ok(()) }
    }

    /// Marks the log as failed for good.
    fn fatal(&mut self, fatal: Fatal) -> Fatal {
        tracing::error!(error = %fatal, "the log failed");
        self.dead = true;
        fatal
    }
}
