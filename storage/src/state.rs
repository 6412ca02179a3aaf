//! The state index: records of cold entities in sled, so that a node need not keep them resident.
//!
//! It is *rebuildable* and never the source of truth: sled's flush on Linux does not reach the
//! device, and reports of folders that no longer open after a kill exist. So it is watched, not
//! trusted, and set aside whenever it misbehaves.
//!
//! **Invariants:**
//! - a record is returned as it was written or the read is an [`IndexFault`]: each carries a
//!   checksum over shard, key, position and body;
//! - records that sled lost or rolled back are noticed: every batch also updates the shard's count
//!   and sum over its records, which a complete [`StateIndex::scan`] must reproduce, and a rollback
//!   of everything shows in the floor that the caller compares with its own log;
//! - after one fault the index refuses everything; a panic of sled never reaches the caller;
//! - want of space is no fault of the folder: sled is opened again, and gets the batches that had not
//!   reached its files; each is numbered, so that files which lost more are noticed;
//! - the folder's `CURRENT` file and the tree name the same random generation, which the caller
//!   records in its log, so that a folder restored by hand is foreign.
//!
//! A seal covers bodies, not keys: sled orders by them, so names of entities, such as SKUs, are in
//! the clear in its files even where all else is encrypted: personal data must not be a name.
//!
//! Its files are reached by path and are not simulated: sled offers no seam for that.

mod ballast;
mod folder;
mod index;
mod nudge;
mod open;
mod pieces;
mod recent;
mod record;
mod reopening;
mod scan;
mod worker;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::seal::{Seal, SealError};

pub use folder::set_aside;
pub use index::StateIndex;
pub use scan::IndexScan;
pub use worker::{Callback, Closed, IndexJob, IndexWorker, ScanSink, SubmitError};

/// The shard number that the index keeps for its own records.
pub const SHARD_RESERVED: u32 = u32::MAX;

/// A key with what is stored under it.
pub type IndexEntry = (Vec<u8>, IndexRecord);

/// How to open a state index.
#[derive(Clone)]
pub struct IndexOptions {
    /// How long opening may take before the folder counts as bad.
    pub deadline: Duration,
    /// Bytes sled may use for cached pages; it takes a small multiple of this in practice.
    pub cache_bytes: u64,
    /// Encrypts bodies when given.
    pub seal: Option<Arc<dyn Seal>>,
}

impl Default for IndexOptions {
    fn default() -> Self {
        Self { deadline: Duration::from_secs(5), cache_bytes: 32 * 1024 * 1024, seal: None }
    }
}

/// An index that opened.
#[derive(Debug)]
pub struct Opened {
    pub index: StateIndex,
    /// The folder's identity, for the caller's log.
    pub generation: u64,
    /// How the folder was found.
    pub folder: FolderFound,
    /// How long it took; a long time is a reason to rebuild the folder when convenient.
    pub took: Duration,
}

/// Whether an index was there before it was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FolderFound {
    /// The folder held an index.
    Existing,
    /// There was none; an empty one of a new generation was made.
    Created,
}

/// One change to the index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexWrite {
    pub shard: u32,
    pub key: Bytes,
    /// The log position that the record was last changed at.
    pub position: u64,
    /// The record, or `None` for the tombstone of a deleted one.
    pub body: Option<Bytes>,
}

/// What the index holds under a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexRecord {
    /// The log position that the record was last changed at.
    pub position: u64,
    /// The record, or `None` for the tombstone of a deleted one.
    pub body: Option<Bytes>,
}

/// Why the index cannot be used any more. Set it aside and rebuild it from snapshot and log.
#[derive(Debug, Clone, thiserror::Error)]
pub enum IndexFault {
    #[error("the state index did not open within {} ms", .deadline.as_millis())]
    OpenTimedOut { deadline: Duration },
    #[error("the state index's own thread ended while {doing}")]
    ThreadLost { doing: &'static str },
    #[error("the state index failed while {doing}")]
    Sled {
        doing: &'static str,
        #[source]
        source: Arc<sled::Error>,
    },
    #[error("the state index panicked while {doing}: {message}")]
    Panicked { doing: &'static str, message: String },
    #[error("{doing} {} failed", .path.display())]
    Io {
        doing: &'static str,
        path: PathBuf,
        #[source]
        source: Arc<io::Error>,
    },
    #[error("{} is damaged: {reason}", .path.display())]
    Marker { path: PathBuf, reason: String },
    #[error("a folder of generation {marker:016x} holds {}", found_generation(*.found))]
    Generation { marker: u64, found: Option<u64> },
    /// Keys may name people, so the message gives the key's hash.
    #[error("a record of shard {shard} (key hash {key_hash:016x}) is damaged: {reason}")]
    Record { shard: u32, key_hash: u64, reason: &'static str },
    #[error(
        "shard {shard} of the state index should hold {expected} records, it holds {found}, or others than were written"
    )]
    Summary { shard: u32, expected: u64, found: u64 },
    #[error("it came back with {found} batches of changes, of {last}")]
    RolledBack { found: u64, last: u64 },
    #[error("it holds shard {shard} up to entry {reaches}, whose log ends at {last}")]
    Ahead { shard: u32, reaches: u64, last: u64 },
    #[error("a record of shard {shard} could not be sealed or opened")]
    Seal {
        shard: u32,
        #[source]
        source: SealError,
    },
    #[error("shard number {SHARD_RESERVED} is reserved for the state index itself")]
    ReservedShard,
    #[error("the state index was given up while a call did not return")]
    Abandoned,
}

impl IndexFault {
    fn io(doing: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io { doing, path: path.to_owned(), source: Arc::new(source) }
    }

    /// Whether it failed for want of disk space alone: then the folder is not at fault.
    pub fn is_storage_full(&self) -> bool {
        let full = [io::ErrorKind::StorageFull, io::ErrorKind::QuotaExceeded];
        self.io_error().is_some_and(|error| full.contains(&error.kind()))
    }

    /// What the operating system said, if that is behind it.
    fn io_error(&self) -> Option<&io::Error> {
        match self {
            Self::Io { source, .. } => Some(source),
            Self::Sled { source, .. } => match source.as_ref() {
                sled::Error::Io(error) => Some(error),
                sled::Error::CollectionNotFound(_)
                | sled::Error::Unsupported(_)
                | sled::Error::ReportableBug(_)
                | sled::Error::Corruption { .. } => None,
            },
            Self::OpenTimedOut { .. }
            | Self::ThreadLost { .. }
            | Self::Ahead { .. }
            | Self::RolledBack { .. }
            | Self::Panicked { .. }
            | Self::Marker { .. }
            | Self::Generation { .. }
            | Self::Record { .. }
            | Self::Summary { .. }
            | Self::Seal { .. }
            | Self::ReservedShard
            | Self::Abandoned => None,
        }
    }

    fn sled(doing: &'static str) -> impl Fn(sled::Error) -> Self {
        move |source| Self::Sled { doing, source: Arc::new(source) }
    }
}

impl IndexWrite {
    /// The bytes that the index stores under the key.
    pub fn to_stored(&self, seal: Option<&dyn Seal>) -> Result<Vec<u8>, IndexFault> {
        record::encode(self, &record::record_key(self.shard, &self.key), seal)
    }
}

impl IndexRecord {
    /// Verifies and opens what the index stores under a key, read in whatever way: the index itself
    /// is not needed.
    pub fn from_stored(
        shard: u32,
        key: &[u8],
        value: &[u8],
        seal: Option<&dyn Seal>,
    ) -> Result<Self, IndexFault> {
        record::decode(shard, &record::record_key(shard, key), value, seal)
    }
}

fn found_generation(found: Option<u64>) -> String {
    match found {
        Some(found) => format!("the records of generation {found:016x}"),
        None => "records of no generation".to_owned(),
    }
}
