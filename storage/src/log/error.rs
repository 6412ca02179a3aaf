//! What can go wrong with the log.
//!
//! **Invariants:** an error that concerns bytes names the file, and the offset where one is known.

use super::record::GroupId;
use crate::seal::SealError;
use std::io;

/// What a caller's closure may fail with.
pub type VisitError = Box<dyn std::error::Error + Send + Sync>;

/// Why the log could not be opened or read.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    #[error("log file {file} cannot be used")]
    Io {
        file: String,
        #[source]
        source: io::Error,
    },
    /// Acknowledged data is missing or changed. Nothing was repaired or cut.
    #[error("log file {file} is damaged at offset {offset}: {reason}")]
    Damaged { file: String, offset: u64, reason: String },
    #[error(
        "log file {file} has format {found}, and this program knows formats up to {known}; \
         start a newer version"
    )]
    NewerFormat { file: String, found: u32, known: u32 },
    #[error("log file {file} is encrypted and no key is configured")]
    SealedWithoutKey { file: String },
    #[error("a record of log file {file} at offset {offset} does not open with this key")]
    Unseal {
        file: String,
        offset: u64,
        #[source]
        source: SealError,
    },
    #[error("a record of log file {file} at offset {offset} was not accepted")]
    Visitor {
        file: String,
        offset: u64,
        #[source]
        source: VisitError,
    },
    #[error("log segments of {bytes} bytes: {reason}")]
    SegmentBytes { bytes: u64, reason: &'static str },
    #[error("group {group} holds entries from {first}, and {low} was asked for")]
    Compacted { group: GroupId, low: u64, first: u64 },
    #[error("group {group} has entries below {end}, and {low} to {high} were asked for")]
    OutOfRange { group: GroupId, low: u64, high: u64, end: u64 },
    #[error("the log failed")]
    Failed(#[from] Fatal),
}

/// The log may no longer be written, as what is on disk is unknown: the process must abort. At the
/// next start recovery keeps what verifies.
#[derive(Debug, thiserror::Error)]
pub enum Fatal {
    #[error("log file {file} cannot be written")]
    Write {
        file: String,
        #[source]
        source: io::Error,
    },
    #[error("log file {file} cannot be synced")]
    Sync {
        file: String,
        #[source]
        source: io::Error,
    },
    #[error("log file {file} cannot be put in place")]
    Roll {
        file: String,
        #[source]
        source: io::Error,
    },
    #[error("log file {file} cannot be removed")]
    Remove {
        file: String,
        #[source]
        source: io::Error,
    },
    /// The caller broke the rule that a group's entries are contiguous. Nothing was written.
    #[error("group {group} expects entry {expected} next, and {found} was appended")]
    NotContiguous { group: GroupId, expected: u64, found: u64 },
    #[error("the log failed before and accepts nothing more")]
    Dead,
}

/// Why records were not appended. Only [`AppendError::Fatal`] leaves the log unusable.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// Nothing was written; the log goes on when a spare segment was added.
    #[error("the log has no space left for this class of records")]
    NoSpace,
    /// Nothing was written.
    #[error("a record of {bytes} bytes exceeds the {max} bytes that fit")]
    TooLarge { bytes: usize, max: usize },
    /// Nothing was written.
    #[error("a record cannot be sealed")]
    Seal(#[source] SealError),
    #[error("the log failed")]
    Fatal(#[source] Fatal),
}
