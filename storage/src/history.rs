//! History: the committed entries of a shard, kept after the log was trimmed.
//!
//! Append-only files of compressed blocks. A block's head says which entries, times and entities it
//! holds, so that a scan for one entity passes over the others without expanding them.
//!
//! **Invariants:**
//! - indexes rise strictly from entry to entry; they may skip (barriers have no history);
//! - appending what is there already changes nothing, so the source may be replayed at will;
//! - a block is handed out only after its checksums verified;
//! - a torn tail is cut at opening; damage to anything that had been synced is refused, by file and
//!   offset. The two differ by evidence: each block names the offset up to which the file was known
//!   to be synced when it was written, and a file has a successor only after it was synced whole.
//!
//! Damage to what the very last sync covered looks like a torn tail, unless the owner says how far
//! history must reach ([`HistoryOptions::reaches`]).

mod entry;
mod file;
mod format;
mod reach;
mod reader;
mod writer;

use std::io;

use bytes::Bytes;

use crate::codec::CodecError;
use crate::seal::SealError;

pub use entry::ENTRY_BYTES_MAX;
pub use format::HISTORY_VERSION;
pub use reach::{Before, Reach, remove_behind};
pub use reader::{HistoryReader, HistoryScan};
pub use writer::{HistoryOptions, HistoryWriter};

/// One committed entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryEntry {
    /// Its position in the shard's log.
    pub index: u64,
    /// Shard time, in microseconds since the Unix epoch.
    pub time_micros: u64,
    /// The encoded references of the entities it touched.
    pub entities: Vec<Vec<u8>>,
    /// The entry itself, encoded by its owner.
    pub payload: Bytes,
}

/// Which files of a shard are meant, by the index they begin with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stretch {
    after: u64,
    to: u64,
}

impl Stretch {
    pub const ALL: Self = Self { after: 0, to: u64::MAX };

    /// What begins at an index or before it.
    pub const fn up_to(to: u64) -> Self {
        Self { after: 0, to }
    }

    /// What begins after an index.
    pub const fn behind(after: u64) -> Self {
        Self { after, to: u64::MAX }
    }

    const fn holds(self, index: u64) -> bool {
        (index > self.after || self.after == 0) && index <= self.to
    }
}

/// Why history could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    #[error("history {file} could not be {doing}")]
    Io {
        file: String,
        doing: &'static str,
        #[source]
        source: io::Error,
    },
    #[error("history {file} is damaged at offset {offset}: {reason}")]
    Damaged { file: String, offset: u64, reason: String },
    #[error("history {file} has format {version}, this version reads up to {HISTORY_VERSION}")]
    NewerFormat { file: String, version: u16 },
    #[error("history {file} is of shard {found}, shard {expected} was wanted")]
    ForeignShard { file: String, expected: u32, found: u32 },
    #[error("history {file} is sealed and no key was given")]
    Sealed { file: String },
    #[error("history {file} could not be sealed or opened at offset {offset}")]
    Seal {
        file: String,
        offset: u64,
        #[source]
        source: SealError,
    },
    #[error("a block of history {file} at offset {offset} does not expand")]
    Block {
        file: String,
        offset: u64,
        #[source]
        source: CodecError,
    },
    #[error("entry {index} of shard {shard} was given after entry {after}")]
    OutOfOrder { shard: u32, index: u64, after: u64 },
    #[error(
        "entry {index} of shard {shard} is too large for history: {bytes} bytes, the limit is {ENTRY_BYTES_MAX}"
    )]
    EntryTooLarge { shard: u32, index: u64, bytes: usize },
    #[error(
        "the history of shard {shard} ends at {last:?}, the log was trimmed by it up to {reaches}"
    )]
    TooShort { shard: u32, reaches: u64, last: Option<u64> },
    #[error("entry {index} of shard {shard} belongs to another part of its history")]
    Elsewhere { shard: u32, index: u64 },
    #[error("the history of shard {shard} failed before and must be opened again")]
    Failed { shard: u32 },
}

impl HistoryError {
    fn io(file: &str, doing: &'static str) -> impl Fn(io::Error) -> Self + Copy {
        move |source| Self::Io { file: file.to_owned(), doing, source }
    }

    fn damaged(file: &str, offset: u64, reason: impl Into<String>) -> Self {
        Self::Damaged { file: file.to_owned(), offset, reason: reason.into() }
    }
}
