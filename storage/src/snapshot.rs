//! Shard snapshots: every record of a shard with the log position it was last changed at, in one
//! compressed, checksummed file that is written and read as a stream.
//!
//! A snapshot is *fuzzy*: it names `start`, the log position replay continues from, and `end`, the
//! highest position inside. Replay skips what a record already holds.
//!
//! **Invariants:**
//! - a file under its final name was complete and synced before it got that name;
//! - no item is handed out before its block verified, and the end of the file verifies all of it;
//! - reading and writing hold one block in memory, whatever the size of the shard;
//! - a received file becomes a snapshot only after it verified as a whole.
//!
//! Layout: header (48 bytes), blocks of about 256 KiB, the sealable footer, a trailer (20 bytes)
//! that says where the footer begins. Key order and duplicates are the writer's business.

mod format;
mod reader;
mod transfer;
mod writer;

use std::io;

use crate::codec::CodecError;
use crate::disk::Disk;
use crate::seal::SealError;

pub use format::{ITEM_BYTES_MAX, SNAPSHOT_VERSION};
pub use reader::SnapshotReader;
pub use transfer::{CHUNK_BYTES_MAX, SnapshotChunks, SnapshotReceiver};
pub use writer::SnapshotWriter;

/// What a snapshot is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SnapshotMeta {
    pub shard: u32,
    /// The log position that replay continues after.
    pub start: u64,
    /// The term of that position.
    pub start_term: u64,
    /// A random number: two snapshots of the same start may differ in their bytes.
    pub id: u64,
}

/// One record to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SnapshotItem<'a> {
    pub key: &'a [u8],
    /// The log position that the record was last changed at.
    pub position: u64,
    /// The record, or `None` for the tombstone of a deleted one.
    pub body: Option<&'a [u8]>,
}

/// One record that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotRecord {
    pub key: Vec<u8>,
    pub position: u64,
    /// The record, or `None` for the tombstone of a deleted one.
    pub body: Option<Vec<u8>>,
}

/// A complete snapshot on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotFile {
    /// Path inside the data folder.
    pub path: String,
    pub meta: SnapshotMeta,
    /// The file's length.
    pub bytes: u64,
    /// Records and tombstones.
    pub items: u64,
    /// The highest log position inside, at least `start`.
    pub end: u64,
}

/// The name of a snapshot, as far as a listing tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotName {
    /// Path inside the data folder.
    pub path: String,
    pub shard: u32,
    pub start: u64,
}

/// Why a snapshot could not be written, read or received.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    #[error("snapshot {file} could not be {doing}")]
    Io {
        file: String,
        doing: &'static str,
        #[source]
        source: io::Error,
    },
    #[error("snapshot {file} is damaged at offset {offset}: {reason}")]
    Damaged { file: String, offset: u64, reason: String },
    #[error("snapshot {file} has format {version}, this version reads up to {SNAPSHOT_VERSION}")]
    NewerFormat { file: String, version: u16 },
    #[error("snapshot {file} is of shard {found}, shard {expected} was wanted")]
    ForeignShard { file: String, expected: u32, found: u32 },
    #[error("snapshot {file} is not the one announced: {reason}")]
    ForeignFile { file: String, reason: &'static str },
    #[error("snapshot {file} is sealed and no key was given")]
    Sealed { file: String },
    #[error("snapshot {file} could not be sealed or opened at offset {offset}")]
    Seal {
        file: String,
        offset: u64,
        #[source]
        source: SealError,
    },
    #[error("a block of snapshot {file} at offset {offset} does not expand")]
    Block {
        file: String,
        offset: u64,
        #[source]
        source: CodecError,
    },
    #[error(
        "an item of {bytes} bytes is too large for snapshot {file}, the limit is {ITEM_BYTES_MAX}"
    )]
    ItemTooLarge { file: String, bytes: usize },
    #[error(
        "snapshot {file} cannot end at {end}: it starts at {start} and holds position {highest}"
    )]
    EndTooLow { file: String, end: u64, start: u64, highest: u64 },
    #[error("snapshot {file} expects bytes at offset {expected}, they were sent for {given}")]
    OutOfOrder { file: String, expected: u64, given: u64 },
}

impl SnapshotError {
    fn io(file: &str, doing: &'static str) -> impl Fn(io::Error) -> Self + Copy {
        move |source| Self::Io { file: file.to_owned(), doing, source }
    }

    fn damaged(file: &str, offset: u64, reason: impl Into<String>) -> Self {
        Self::Damaged { file: file.to_owned(), offset, reason: reason.into() }
    }
}

/// The snapshots of a folder in order of shard, then start. A folder that does not exist has none.
pub fn list(disk: &dyn Disk, dir: &str) -> Result<Vec<SnapshotName>, SnapshotError> {
    let mut names: Vec<_> = names_in(disk, dir)?
        .into_iter()
        .filter_map(|name| {
            let (shard, start) = format::parse_name(&name)?;
            Some(SnapshotName { path: format!("{dir}/{name}"), shard, start })
        })
        .collect();
    names.sort_unstable_by_key(|name| (name.shard, name.start));
    Ok(names)
}

/// Removes a snapshot durably; one that is gone already is fine.
pub fn remove(disk: &dyn Disk, dir: &str, name: &SnapshotName) -> Result<(), SnapshotError> {
    let failed = SnapshotError::io(&name.path, "removed");
    match disk.remove(&name.path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed(error)),
        Ok(()) | Err(_) => disk.sync_dir(dir).map_err(failed),
    }
}

/// Removes unfinished snapshots, at start and before anything writes. Partly received files stay:
/// they are resumed, or removed with [`Leftovers::AlsoReceived`].
pub fn remove_leftovers(
    disk: &dyn Disk,
    dir: &str,
    leftovers: Leftovers,
) -> Result<u64, SnapshotError> {
    let mut removed = 0;
    for name in names_in(disk, dir)? {
        let doomed = match leftovers {
            Leftovers::Written => name.ends_with(format::WRITING),
            Leftovers::AlsoReceived => {
                name.ends_with(format::WRITING) || name.ends_with(format::RECEIVING)
            }
        };
        if doomed {
            let path = format!("{dir}/{name}");
            disk.remove(&path).map_err(SnapshotError::io(&path, "removed"))?;
            removed += 1;
        }
    }
    Ok(removed)
}

/// Removes what was received in part of a shard's other snapshots: nobody asks for the rest.
fn remove_other_received(
    disk: &dyn Disk,
    dir: &str,
    shard: u32,
    wanted: &str,
) -> Result<(), SnapshotError> {
    let of_shard = format::name_prefix(shard);
    for name in names_in(disk, dir)? {
        let path = format!("{dir}/{name}");
        let is_received = name.starts_with(&of_shard) && name.ends_with(format::RECEIVING);
        if is_received && path != wanted {
            disk.remove(&path).map_err(SnapshotError::io(&path, "removed"))?;
        }
    }
    Ok(())
}

/// Gives a synced file its final name. When that name cannot be made durable the file goes, or a
/// later listing would show a snapshot that a crash may still take.
fn publish(disk: &dyn Disk, dir: &str, from: &str, path: &str) -> Result<(), SnapshotError> {
    disk.rename(from, path).map_err(SnapshotError::io(from, "renamed"))?;
    disk.sync_dir(dir).map_err(|source| {
        if let Err(error) = disk.remove(path) {
            tracing::warn!(file = path, %error, "a snapshot of unknown durability stays");
        }
        SnapshotError::io(path, "made durable")(source)
    })
}

/// Which unfinished files to remove.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leftovers {
    /// Those of writers that did not finish.
    Written,
    /// Those, and what was received in part.
    AlsoReceived,
}

fn names_in(disk: &dyn Disk, dir: &str) -> Result<Vec<String>, SnapshotError> {
    match disk.list(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        listed => listed.map_err(SnapshotError::io(dir, "listed")),
    }
}
