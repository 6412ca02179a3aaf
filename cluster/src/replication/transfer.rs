//! A snapshot's file on its way from one replica to another, a bounded piece at a time.
//!
//! **Invariants:** a piece is read only from the file that was offered; what arrives counts only
//! when the whole file verified, was synced and got its name. A transfer that was cut goes on where
//! it was, in this process or the next.

use std::sync::Arc;

use storage::disk::Disk;
use storage::seal::Seal;
use storage::snapshot::{
    CHUNK_BYTES_MAX, SnapshotChunks, SnapshotError, SnapshotFile, SnapshotReceiver,
};

use crate::replication::offer::SnapshotOffer;
use crate::replication::recovery::SnapshotAt;

/// What a receiver asks for next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkWanted {
    pub offset: u64,
    pub bytes_max: usize,
}

/// One file being received.
#[derive(Debug)]
pub struct Transfer {
    offer: SnapshotOffer,
    receiver: SnapshotReceiver,
}

impl Transfer {
    /// Begins, or goes on where an earlier attempt stopped.
    pub fn open(
        disk: Arc<dyn Disk>,
        dir: &str,
        offer: SnapshotOffer,
    ) -> Result<Self, SnapshotError> {
        let receiver = SnapshotReceiver::open(disk, dir, offer.meta, offer.bytes)?;
        Ok(Self { offer, receiver })
    }

    pub fn offer(&self) -> &SnapshotOffer {
        &self.offer
    }

    /// What to ask for; `None` when everything is here, which may be so from the start.
    pub fn wanted(&self) -> Option<ChunkWanted> {
        let offset = self.receiver.resume_offset();
        let wanted = ChunkWanted { offset, bytes_max: CHUNK_BYTES_MAX };
        (!self.receiver.is_complete()).then_some(wanted)
    }

    /// Takes a piece. One that is not the next is passed over: it was asked for twice.
    pub fn take(&mut self, offset: u64, chunk: &[u8]) -> Result<(), SnapshotError> {
        if offset != self.receiver.resume_offset() {
            return Ok(());
        }
        self.receiver.write(offset, chunk)
    }

    /// Verifies everything and gives the file its name.
    pub fn finish(self, seal: Option<Arc<dyn Seal>>) -> Result<SnapshotFile, SnapshotError> {
        let end = self.offer.end;
        let file = self.receiver.finish(seal)?;
        if file.end > end {
            let reason = "it holds positions past its announced end";
            return Err(SnapshotError::ForeignFile { file: file.path, reason });
        }
        Ok(file)
    }
}

/// A piece of the file at `path`; `None` when that is not the offered file any more.
pub fn read_chunk(
    disk: &dyn Disk,
    path: &str,
    offer_id: u64,
    wanted: ChunkWanted,
) -> Result<Option<Vec<u8>>, SnapshotError> {
    let chunks = SnapshotChunks::open(disk, path)?;
    if chunks.meta().id != offer_id {
        return Ok(None);
    }
    chunks.read(wanted.offset, wanted.bytes_max).map(Some)
}

/// The snapshot a group's log goes on from, as it may be offered to others.
pub(crate) fn offer_of(disk: &dyn Disk, at: &SnapshotAt) -> Result<SnapshotOffer, SnapshotError> {
    let chunks = SnapshotChunks::open(disk, &at.file)?;
    Ok(SnapshotOffer {
        meta: *chunks.meta(),
        end: at.end,
        bytes: chunks.bytes(),
        members: at.members.clone(),
    })
}
