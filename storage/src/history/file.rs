//! One history file, read block by block, and the evidence that tells damage from a torn tail.

use std::sync::Arc;

use super::format::{
    self, BLOCK_HEAD_BYTES, BLOCK_MAGIC, BlockHead, FILE_HEADER_BYTES, FileHeader, Place, Sealing,
};
use super::{HistoryError, Stretch};
use crate::disk::{Disk, DiskFile};
use crate::seal::Seal;

/// The files of a shard within a stretch in order of their first index, with their paths. A folder
/// that does not exist has none.
pub(super) fn list(
    disk: &dyn Disk,
    dir: &str,
    shard: u32,
    stretch: Stretch,
) -> Result<Vec<(u64, String)>, HistoryError> {
    let names = match disk.list(dir) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        listed => listed.map_err(HistoryError::io(dir, "listed"))?,
    };
    let ours = names.iter().filter_map(|name| {
        let (of, first) = format::parse_name(name)?;
        (of == shard && stretch.holds(first)).then(|| (first, format!("{dir}/{name}")))
    });
    let mut files: Vec<_> = ours.collect();
    files.sort_unstable();
    Ok(files)
}

/// An open history file.
pub(super) struct HistoryFile {
    pub(super) file: Box<dyn DiskFile>,
    pub(super) path: String,
    shard: u32,
    pub(super) seal: Option<Arc<dyn Seal>>,
}

/// A file whose header was looked at.
pub(super) enum Opened {
    Whole(HistoryFile),
    /// Created, but its header never became durable, so nothing else in it did.
    Unborn,
}

/// What lies at an offset.
pub(super) enum Block {
    Whole(BlockHead, Vec<u8>),
    /// The end of the file.
    End,
    /// Not a block: a torn tail or damage.
    Broken(&'static str),
}

impl HistoryFile {
    pub(super) fn open(
        disk: &dyn Disk,
        path: &str,
        shard: u32,
        seal: Option<Arc<dyn Seal>>,
    ) -> Result<Opened, HistoryError> {
        let failed = HistoryError::io(path, "opened");
        let file = disk.open(path).map_err(failed)?;
        let mut header = [0; FILE_HEADER_BYTES];
        let read = file.read_full_at(0, &mut header).map_err(failed)?;
        let header = match FileHeader::decode(path, header.get(..read).unwrap_or_default()) {
            Ok(header) => header,
            // The header is synced before the first block is written behind it.
            Err(HistoryError::Damaged { .. })
                if file.len().map_err(failed)? <= FILE_HEADER_BYTES as u64 =>
            {
                return Ok(Opened::Unborn);
            }
            Err(error) => return Err(error),
        };
        if header.shard != shard {
            return Err(HistoryError::ForeignShard {
                file: path.to_owned(),
                expected: shard,
                found: header.shard,
            });
        }
        let seal = match (header.sealing, seal) {
            (Sealing::Plain, _) => None,
            (Sealing::Sealed, Some(seal)) => Some(seal),
            (Sealing::Sealed, None) => {
                return Err(HistoryError::Sealed { file: path.to_owned() });
            }
        };
        Ok(Opened::Whole(Self { file, path: path.to_owned(), shard, seal }))
    }

    pub(super) fn seal(&self) -> Option<&dyn Seal> {
        self.seal.as_deref()
    }

    pub(super) fn place(&self, offset: u64) -> Place<'_> {
        Place { file: &self.path, shard: self.shard, offset }
    }

    /// The head and filter of the block at an offset; its entries need not be whole.
    pub(super) fn block_at(&self, offset: u64) -> Result<Block, HistoryError> {
        let head_bytes = self.read(offset, BLOCK_HEAD_BYTES)?;
        if head_bytes.is_empty() {
            return Ok(Block::End);
        }
        if head_bytes.len() < BLOCK_HEAD_BYTES {
            return Ok(Block::Broken("a block's head is cut short"));
        }
        let Some(head) = BlockHead::decode(&head_bytes) else {
            return Ok(Block::Broken("a block's head makes no sense"));
        };
        let filter = self.read(offset + BLOCK_HEAD_BYTES as u64, head.filter_len)?;
        if filter.len() < head.filter_len || !head.covers(&filter) {
            return Ok(Block::Broken("the checksum of a block's head does not match"));
        }
        Ok(Block::Whole(head, filter))
    }

    /// The stored entries of a block, or `None` when they are not as they were written.
    pub(super) fn stored(
        &self,
        offset: u64,
        head: &BlockHead,
    ) -> Result<Option<Vec<u8>>, HistoryError> {
        let start = offset + (BLOCK_HEAD_BYTES + head.filter_len) as u64;
        let stored = self.read(start, head.stored_len)?;
        let whole = stored.len() == head.stored_len && crc32c::crc32c(&stored) == head.stored_crc;
        Ok(whole.then_some(stored))
    }

    /// Whether a later block says that the file had been synced beyond `broken`: then what is broken
    /// there was whole once.
    pub(super) fn was_synced_beyond(&self, broken: u64) -> Result<bool, HistoryError> {
        const WINDOW_BYTES: usize = 64 * 1024;
        let mut offset = broken + 1;
        loop {
            let window = self.read(offset, WINDOW_BYTES)?;
            for (at, candidate) in window.windows(BLOCK_MAGIC.len()).enumerate() {
                if candidate == BLOCK_MAGIC
                    && let Block::Whole(head, _) = self.block_at(offset + at as u64)?
                    && head.synced_to > broken
                {
                    return Ok(true);
                }
            }
            if window.len() < WINDOW_BYTES {
                return Ok(false);
            }
            // Windows overlap so that none splits a magic number.
            offset += (WINDOW_BYTES - BLOCK_MAGIC.len() + 1) as u64;
        }
    }

    /// The greatest time of any entry, from the heads alone.
    pub(super) fn time_max(&self) -> Result<Option<u64>, HistoryError> {
        let mut offset = FILE_HEADER_BYTES as u64;
        let mut time_max = None;
        loop {
            match self.block_at(offset)? {
                Block::Whole(head, _) => {
                    time_max = time_max.max(Some(head.time_max));
                    offset += head.block_bytes();
                }
                Block::End => return Ok(time_max),
                Block::Broken(reason) => return Err(self.place(offset).damaged(reason)),
            }
        }
    }

    /// Makes a range durable that was read, but may never have been synced. After a failed sync the
    /// system's cache holds bytes that the device lacks and that no later sync would write, unless
    /// they are written once more.
    pub(super) fn write_again(&self, from: u64, to: u64) -> Result<(), HistoryError> {
        const PIECE_BYTES: u64 = 256 * 1024;
        let failed = HistoryError::io(&self.path, "synced");
        let mut offset = from;
        while offset < to {
            let len = usize::try_from((to - offset).min(PIECE_BYTES)).unwrap_or(0);
            let piece = self.read(offset, len)?;
            if piece.is_empty() {
                break;
            }
            self.file.write_at(offset, &piece).map_err(failed)?;
            offset += piece.len() as u64;
        }
        self.file.sync_all().map_err(failed)
    }

    /// Up to `len` bytes; fewer only at the end of the file.
    fn read(&self, offset: u64, len: usize) -> Result<Vec<u8>, HistoryError> {
        let mut bytes = vec![0; len];
        let read = self
            .file
            .read_full_at(offset, &mut bytes)
            .map_err(HistoryError::io(&self.path, "read"))?;
        bytes.truncate(read);
        Ok(bytes)
    }
}
