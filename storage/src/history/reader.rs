//! Reading the history of a shard, in whole or for one entity.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use super::entry;
use super::file::{self, Block, HistoryFile, Opened};
use super::format::{self, BlockHead, FILE_HEADER_BYTES};
use super::{HistoryEntry, HistoryError, Stretch};
use crate::codec::stable_hash;
use crate::disk::Disk;
use crate::seal::Seal;

/// Reads the history of one shard, beside its writer or without one.
#[derive(Clone)]
pub struct HistoryReader {
    disk: Arc<dyn Disk>,
    dir: String,
    shard: u32,
    seal: Option<Arc<dyn Seal>>,
    stretch: Stretch,
}

impl fmt::Debug for HistoryReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HistoryReader")
            .field("dir", &self.dir)
            .field("shard", &self.shard)
            .finish_non_exhaustive()
    }
}

impl HistoryReader {
    /// A reader of a shard's history; nothing is opened before a scan.
    pub fn new(disk: Arc<dyn Disk>, dir: &str, shard: u32, seal: Option<Arc<dyn Seal>>) -> Self {
        Self { disk, dir: dir.to_owned(), shard, seal, stretch: Stretch::ALL }
    }

    /// Reads only the files of one part.
    pub fn within(self, stretch: Stretch) -> Self {
        Self { stretch, ..self }
    }

    fn files(&self) -> Result<Vec<(u64, String)>, HistoryError> {
        file::list(&*self.disk, &self.dir, self.shard, self.stretch)
    }

    /// The index the oldest file begins with. What lies before has expired or never was.
    pub fn first_index(&self) -> Result<Option<u64>, HistoryError> {
        Ok(self.files()?.first().map(|(first, _)| *first))
    }

    /// The last index in the files, from the heads of their blocks.
    pub fn last_index(&self) -> Result<Option<u64>, HistoryError> {
        for (_, path) in self.files()?.iter().rev() {
            let opened = HistoryFile::open(&*self.disk, path, self.shard, self.seal.clone())?;
            let Opened::Whole(file) = opened else { continue };
            let mut offset = FILE_HEADER_BYTES as u64;
            let mut last = None;
            while let Block::Whole(head, _) = file.block_at(offset)? {
                last = Some(head.last_index);
                offset += head.block_bytes();
            }
            if last.is_some() {
                return Ok(last);
            }
        }
        Ok(None)
    }

    /// Every entry from an index on, in order. Entries that are being written meanwhile may or may
    /// not be among them; a file that retention removes meanwhile ends the scan with an error.
    pub fn scan(&self, from: u64) -> Result<HistoryScan, HistoryError> {
        self.scan_for(None, from)
    }

    /// The entries from an index on that touched an entity, by its encoded reference.
    pub fn scan_entity(&self, entity: &[u8], from: u64) -> Result<HistoryScan, HistoryError> {
        self.scan_for(Some(entity.to_vec()), from)
    }

    fn scan_for(&self, entity: Option<Vec<u8>>, from: u64) -> Result<HistoryScan, HistoryError> {
        let files = self.files()?;
        let before = files.partition_point(|(first, _)| *first <= from).saturating_sub(1);
        let files = files.into_iter().skip(before).map(|(_, path)| path).collect();
        let entity = entity.map(|key| (stable_hash(&key), key));
        Ok(HistoryScan {
            reader: self.clone(),
            files,
            current: None,
            entries: Vec::new().into_iter(),
            entity,
            from,
            last_index: None,
            blocks_opened: 0,
            blocks_left: u64::MAX,
            ended: Ended::NotYet,
        })
    }
}

/// The entries of a scan; it ends with the first error.
pub struct HistoryScan {
    reader: HistoryReader,
    /// Files that were not begun.
    files: VecDeque<String>,
    current: Option<(HistoryFile, u64)>,
    entries: std::vec::IntoIter<HistoryEntry>,
    entity: Option<(u64, Vec<u8>)>,
    from: u64,
    last_index: Option<u64>,
    blocks_opened: u64,
    blocks_left: u64,
    ended: Ended,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ended {
    NotYet,
    Yes,
}

impl fmt::Debug for HistoryScan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HistoryScan")
            .field("reader", &self.reader)
            .field("last_index", &self.last_index)
            .finish_non_exhaustive()
    }
}

impl HistoryScan {
    /// Ends the scan after so many blocks from its beginning on, passed over or not, so that looking
    /// for what is rare ends too.
    #[must_use]
    pub fn at_most(self, blocks: u64) -> Self {
        Self { blocks_left: blocks, ..self }
    }

    /// Up to where a scan has looked that ended by [`Self::at_most`].
    pub fn cut_at(&self) -> Option<u64> {
        self.last_index.filter(|_| self.blocks_left == 0)
    }

    /// Blocks whose entries were expanded so far; the others were passed over.
    pub fn blocks_opened(&self) -> u64 {
        self.blocks_opened
    }

    fn wants(&self, entry: &HistoryEntry) -> bool {
        let touches = |(_, key): &(u64, Vec<u8>)| entry.entities.iter().any(|entity| entity == key);
        entry.index >= self.from && self.entity.as_ref().is_none_or(touches)
    }

    fn next_entry(&mut self) -> Result<Option<HistoryEntry>, HistoryError> {
        loop {
            while let Some(entry) = self.entries.next() {
                if self.wants(&entry) {
                    return Ok(Some(entry));
                }
            }
            match self.current.take() {
                Some(_) if self.blocks_left == 0 => return Ok(None),
                Some((file, offset)) => self.current = self.next_block(file, offset)?,
                None => {
                    let Some(path) = self.files.pop_front() else {
                        // There is no more to be cut off.
                        self.blocks_left = u64::MAX;
                        return Ok(None);
                    };
                    self.current = self.next_file(&path)?;
                }
            }
        }
    }

    fn next_file(&self, path: &str) -> Result<Option<(HistoryFile, u64)>, HistoryError> {
        let HistoryReader { disk, shard, seal, .. } = &self.reader;
        match HistoryFile::open(&**disk, path, *shard, seal.clone())? {
            Opened::Whole(file) => Ok(Some((file, FILE_HEADER_BYTES as u64))),
            Opened::Unborn if self.files.is_empty() => Ok(None),
            Opened::Unborn => Err(HistoryError::damaged(path, 0, "its header is gone")),
        }
    }

    /// Passes over or expands the block at an offset; `None` after the last one of the file.
    fn next_block(
        &mut self,
        file: HistoryFile,
        offset: u64,
    ) -> Result<Option<(HistoryFile, u64)>, HistoryError> {
        let (head, filter) = match file.block_at(offset)? {
            Block::Whole(head, filter) => (head, filter),
            Block::End => return Ok(None),
            Block::Broken(reason) => return self.tail(&file, offset, reason),
        };
        let place = file.place(offset);
        if Some(head.first_index) <= self.last_index {
            return Err(place.damaged("a block's indexes do not rise"));
        }
        let wanted = head.last_index >= self.from
            && match &self.entity {
                Some((hash, _)) => format::may_hold(place, &head, &filter, *hash, file.seal())?,
                None => true,
            };
        if wanted {
            let Some(stored) = file.stored(offset, &head)? else {
                return self.tail(&file, offset, "a block's checksum does not match");
            };
            let raw = format::open_entries(place, &head, &stored, file.seal())?;
            let entries = entry::decode_all(&raw)
                .filter(|entries| are_described_by(entries, &head))
                .ok_or_else(|| place.damaged("a block holds other entries than its head says"))?;
            self.entries = entries.into_iter();
            self.blocks_opened += 1;
        }
        self.last_index = Some(head.last_index);
        self.blocks_left -= u64::from(head.last_index >= self.from);
        Ok(Some((file, offset + head.block_bytes())))
    }

    /// What is broken at the very end may be a block in the making; elsewhere it is damage.
    fn tail(
        &self,
        file: &HistoryFile,
        offset: u64,
        reason: &str,
    ) -> Result<Option<(HistoryFile, u64)>, HistoryError> {
        if !self.files.is_empty() || file.was_synced_beyond(offset)? {
            return Err(file.place(offset).damaged(reason));
        }
        Ok(None)
    }
}

impl Iterator for HistoryScan {
    type Item = Result<HistoryEntry, HistoryError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended == Ended::Yes {
            return None;
        }
        let next = self.next_entry().transpose();
        if !matches!(next, Some(Ok(_))) {
            self.ended = Ended::Yes;
        }
        next
    }
}

fn are_described_by(entries: &[HistoryEntry], head: &BlockHead) -> bool {
    let first = entries.first().map(|entry| entry.index);
    let last = entries.last().map(|entry| entry.index);
    let rises = entries.is_sorted_by(|before, after| before.index < after.index);
    let count = u32::try_from(entries.len());
    rises
        && count == Ok(head.count)
        && (first, last) == (Some(head.first_index), Some(head.last_index))
}
