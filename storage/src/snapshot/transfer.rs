//! Sending a snapshot's bytes as they lie on disk, and receiving them.
//!
//! **Invariants:** the receiver takes bytes strictly in order, and what it received gets a snapshot's
//! name only after it verified as a whole and was synced. After a crash it resumes at the length of
//! what it has; bytes lost in the crash are found by the verification, and everything is fetched
//! again.

use std::fmt;
use std::io;
use std::sync::Arc;

use super::format;
use super::{SnapshotError, SnapshotFile, SnapshotMeta, SnapshotReader};
use crate::disk::{Disk, DiskFile};
use crate::folders;
use crate::seal::Seal;

/// The largest piece that is sent at once.
pub const CHUNK_BYTES_MAX: usize = 256 * 1024;

/// Reads a snapshot file in pieces.
pub struct SnapshotChunks {
    file: Box<dyn DiskFile>,
    path: String,
    meta: SnapshotMeta,
    bytes: u64,
}

impl fmt::Debug for SnapshotChunks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SnapshotChunks")
            .field("path", &self.path)
            .field("bytes", &self.bytes)
            .finish_non_exhaustive()
    }
}

impl SnapshotChunks {
    /// Opens a snapshot for sending. Only its header is verified here; the receiver verifies the rest.
    pub fn open(disk: &dyn Disk, path: &str) -> Result<Self, SnapshotError> {
        let failed = SnapshotError::io(path, "opened");
        let file = disk.open(path).map_err(failed)?;
        let bytes = file.len().map_err(failed)?;
        let mut header = [0; format::HEADER_BYTES];
        let read = file.read_full_at(0, &mut header).map_err(failed)?;
        let (meta, _) = format::decode_header(path, header.get(..read).unwrap_or_default())?;
        Ok(Self { file, path: path.to_owned(), meta, bytes })
    }

    /// What the snapshot is of, for the announcement.
    pub fn meta(&self) -> &SnapshotMeta {
        &self.meta
    }

    /// The file's length, for the announcement.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The piece at an offset, at most [`CHUNK_BYTES_MAX`] long; empty at the end.
    pub fn read(&self, offset: u64, bytes_max: usize) -> Result<Vec<u8>, SnapshotError> {
        let left = usize::try_from(self.bytes.saturating_sub(offset)).unwrap_or(usize::MAX);
        let mut chunk = vec![0; left.min(bytes_max).min(CHUNK_BYTES_MAX)];
        let read = self
            .file
            .read_full_at(offset, &mut chunk)
            .map_err(SnapshotError::io(&self.path, "read"))?;
        if read < chunk.len() {
            let end = offset + read as u64;
            return Err(SnapshotError::damaged(&self.path, end, "the file ends too early"));
        }
        Ok(chunk)
    }
}

/// Receives one announced snapshot.
pub struct SnapshotReceiver {
    disk: Arc<dyn Disk>,
    file: Box<dyn DiskFile>,
    dir: String,
    receiving: String,
    announced: SnapshotMeta,
    bytes: u64,
    received: u64,
}

impl fmt::Debug for SnapshotReceiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SnapshotReceiver")
            .field("file", &self.receiving)
            .field("received", &self.received)
            .field("bytes", &self.bytes)
            .finish_non_exhaustive()
    }
}

impl SnapshotReceiver {
    /// Begins to receive, or resumes what was received of the same file before. A shard receives one
    /// file at a time: what was received of another is removed.
    pub fn open(
        disk: Arc<dyn Disk>,
        dir: &str,
        announced: SnapshotMeta,
        bytes: u64,
    ) -> Result<Self, SnapshotError> {
        let name = format::file_name(announced.shard, announced.start);
        let receiving = format!("{dir}/{name}-{:016x}{}", announced.id, format::RECEIVING);
        let failed = SnapshotError::io(&receiving, "opened");
        folders::create_durably(&*disk, dir).map_err(failed)?;
        super::remove_other_received(&*disk, dir, announced.shard, &receiving)?;
        let file = match disk.open(&receiving) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => disk.create_new(&receiving),
            opened => opened,
        };
        let file = file.map_err(failed)?;
        let mut received = file.len().map_err(failed)?;
        if received > bytes {
            file.set_len(0).map_err(failed)?;
            received = 0;
        }
        Ok(Self { disk, file, dir: dir.to_owned(), receiving, announced, bytes, received })
    }

    /// The offset of the next byte wanted.
    pub fn resume_offset(&self) -> u64 {
        self.received
    }

    /// Whether every byte has arrived.
    pub fn is_complete(&self) -> bool {
        self.received == self.bytes
    }

    /// Takes the bytes at [`Self::resume_offset`]; a piece for another place is refused.
    pub fn write(&mut self, offset: u64, chunk: &[u8]) -> Result<(), SnapshotError> {
        if offset != self.received {
            return Err(SnapshotError::OutOfOrder {
                file: self.receiving.clone(),
                expected: self.received,
                given: offset,
            });
        }
        let after = offset + chunk.len() as u64;
        if after > self.bytes {
            return Err(self.foreign("it is longer than announced"));
        }
        self.file.write_at(offset, chunk).map_err(SnapshotError::io(&self.receiving, "written"))?;
        self.received = after;
        Ok(())
    }

    /// Verifies the file as a whole and makes it a snapshot. What does not verify is removed, so the
    /// next attempt begins at the beginning.
    pub fn finish(self, seal: Option<Arc<dyn Seal>>) -> Result<SnapshotFile, SnapshotError> {
        if !self.is_complete() {
            return Err(self.foreign("it is shorter than announced"));
        }
        if let Err(source) = self.file.sync_all() {
            // What a failed sync dropped no later one writes, although it can still be read.
            self.discard();
            return Err(SnapshotError::io(&self.receiving, "synced")(source));
        }
        let mut verified = match self.verified(seal) {
            Ok(verified) => verified,
            Err(error) => {
                self.discard_after(&error);
                return Err(error);
            }
        };
        let name = format::file_name(self.announced.shard, self.announced.start);
        let path = format!("{}/{name}", self.dir);
        super::publish(&*self.disk, &self.dir, &self.receiving, &path)?;
        verified.path = path;
        Ok(verified)
    }

    fn verified(&self, seal: Option<Arc<dyn Seal>>) -> Result<SnapshotFile, SnapshotError> {
        let reader =
            SnapshotReader::open(&*self.disk, &self.receiving, self.announced.shard, seal)?;
        if *reader.meta() != self.announced {
            return Err(self.foreign("its header differs"));
        }
        reader.verify()
    }

    /// A missing key or a failing disk says nothing about the bytes; anything else condemns them.
    fn discard_after(&self, error: &SnapshotError) {
        let keeps = matches!(error, SnapshotError::Io { .. } | SnapshotError::Sealed { .. });
        if !keeps {
            self.discard();
        }
    }

    fn discard(&self) {
        if let Err(error) = self.disk.remove(&self.receiving) {
            tracing::warn!(file = self.receiving, %error, "a damaged transfer could not be removed");
        }
    }

    fn foreign(&self, reason: &'static str) -> SnapshotError {
        SnapshotError::ForeignFile { file: self.receiving.clone(), reason }
    }
}
