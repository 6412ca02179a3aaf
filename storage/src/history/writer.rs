//! Appending to the history of a shard.

use std::fmt;
use std::sync::Arc;

use super::entry;
use super::file::{self, Block, HistoryFile, Opened};
use super::format::{
    self, BLOCK_BYTES, BlockEntries, FILE_HEADER_BYTES, FILTER_HASHES_MAX, FileHeader, Place,
    Sealing, Span,
};
use super::{HistoryEntry, HistoryError, Stretch};
use crate::codec::stable_hash;
use crate::disk::{Disk, DiskFile};
use crate::folders;
use crate::seal::Seal;

/// How history is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HistoryOptions {
    /// A file that has reached this length gets a successor.
    pub file_bytes: u64,
    /// The [`HistoryWriter::synced_index`] that the owner's log was trimmed by. Opening fails when
    /// history ends before it, instead of cutting what only looks like a torn tail.
    pub reaches: Option<u64>,
    /// The part that is written. Files of the other parts are as good as not there.
    pub stretch: Stretch,
}

impl Default for HistoryOptions {
    fn default() -> Self {
        Self { file_bytes: 32 * 1024 * 1024, reaches: None, stretch: Stretch::ALL }
    }
}

/// Appends entries of one shard. There is one writer per shard; readers need none.
///
/// Entries are durable after [`HistoryWriter::sync`]; those since the last one may be lost when the
/// writer is dropped.
pub struct HistoryWriter {
    disk: Arc<dyn Disk>,
    dir: String,
    shard: u32,
    seal: Option<Arc<dyn Seal>>,
    options: HistoryOptions,
    active: Option<Active>,
    pending: Pending,
    last_index: Option<u64>,
    synced_index: Option<u64>,
    health: Health,
}

/// The file that is appended to.
struct Active {
    file: Box<dyn DiskFile>,
    path: String,
    /// As the file's header says: a file that began in the clear goes on in the clear.
    seal: Option<Arc<dyn Seal>>,
    len: u64,
    synced_to: u64,
}

/// The block under construction.
#[derive(Default)]
struct Pending {
    raw: Vec<u8>,
    hashes: Vec<u64>,
    span: Option<Span>,
}

/// After a failed write or sync nobody knows what the file holds, so only opening it anew helps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Health {
    Sound,
    Failed,
}

impl fmt::Debug for HistoryWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HistoryWriter")
            .field("dir", &self.dir)
            .field("shard", &self.shard)
            .field("last_index", &self.last_index)
            .field("health", &self.health)
            .finish_non_exhaustive()
    }
}

impl HistoryWriter {
    /// Opens the history of a shard, verifies its last file and cuts a torn tail.
    pub fn open(
        disk: Arc<dyn Disk>,
        dir: &str,
        shard: u32,
        seal: Option<Arc<dyn Seal>>,
        options: HistoryOptions,
    ) -> Result<Self, HistoryError> {
        folders::create_durably(&*disk, dir).map_err(HistoryError::io(dir, "created"))?;
        let mut writer = Self {
            disk,
            dir: dir.to_owned(),
            shard,
            seal,
            options,
            active: None,
            pending: Pending::default(),
            last_index: None,
            synced_index: None,
            health: Health::Sound,
        };
        let mut files = file::list(&*writer.disk, dir, shard, options.stretch)?;
        let mut tail = Tail::MayBeTorn;
        while let Some((first, path)) = files.pop() {
            match HistoryFile::open(&*writer.disk, &path, shard, writer.seal.clone())? {
                Opened::Whole(found) => writer.recover(found, first, tail)?,
                Opened::Unborn if tail == Tail::MayBeTorn => {}
                Opened::Unborn => {
                    return Err(HistoryError::damaged(&path, 0, "its header is gone"));
                }
            }
            if writer.active.is_some() {
                break;
            }
            // The first block follows only after the file's name is durable. Without one nobody
            // knows whether it is, so the file is made anew when it is needed.
            writer.disk.remove(&path).map_err(HistoryError::io(&path, "removed"))?;
            writer.disk.sync_dir(dir).map_err(HistoryError::io(&path, "removed"))?;
            // Its predecessor was synced whole before it was created.
            tail = Tail::WasSynced;
        }
        match options.reaches {
            Some(reaches) if writer.last_index < Some(reaches) => {
                Err(HistoryError::TooShort { shard, reaches, last: writer.last_index })
            }
            _ => Ok(writer),
        }
    }

    /// The index appended last, synced or not.
    pub fn last_index(&self) -> Option<u64> {
        self.last_index
    }

    /// The last index that survives a crash: the log may be trimmed up to it.
    pub fn synced_index(&self) -> Option<u64> {
        self.synced_index
    }

    /// Appends entries in order of their indexes. Those that are there already are skipped.
    pub fn append(&mut self, entries: &[HistoryEntry]) -> Result<(), HistoryError> {
        self.check_health()?;
        let shard = self.shard;
        let mut after = None;
        for entry in entries {
            let index = entry.index;
            if let Some(after) = after.filter(|after| index <= *after) {
                return Err(HistoryError::OutOfOrder { shard, index, after });
            }
            if !self.options.stretch.holds(index) {
                return Err(HistoryError::Elsewhere { shard, index });
            }
            let bytes = entry::bytes_of(entry);
            if bytes > entry::ENTRY_BYTES_MAX {
                return Err(HistoryError::EntryTooLarge { shard, index, bytes });
            }
            after = Some(index);
        }
        let fresh = entries.iter().filter(|entry| Some(entry.index) > self.last_index);
        for entry in fresh.collect::<Vec<_>>() {
            if self.pending.raw.len() + entry::bytes_of(entry) > BLOCK_BYTES {
                self.write_block()?;
            }
            self.pending.push(shard, entry)?;
            self.last_index = Some(entry.index);
        }
        Ok(())
    }

    /// Makes everything appended so far durable.
    pub fn sync(&mut self) -> Result<(), HistoryError> {
        self.check_health()?;
        self.write_block()?;
        self.sync_active()?;
        self.synced_index = self.last_index;
        Ok(())
    }

    /// Drops whole files whose entries are all older than `time_micros`, oldest first. The file that
    /// is appended to always stays. Returns how many went.
    pub fn retain_after(&mut self, time_micros: u64) -> Result<u64, HistoryError> {
        self.check_health()?;
        let files = file::list(&*self.disk, &self.dir, self.shard, self.options.stretch)?;
        let mut removed = 0;
        for (_, path) in files.iter().take(files.len().saturating_sub(1)) {
            let opened = HistoryFile::open(&*self.disk, path, self.shard, self.seal.clone())?;
            let Opened::Whole(old) = opened else {
                return Err(HistoryError::damaged(path, 0, "its header is gone"));
            };
            if old.time_max()? >= Some(time_micros) {
                break;
            }
            self.disk.remove(path).map_err(HistoryError::io(path, "removed"))?;
            // One by one, so that a crash cannot leave a hole in the middle.
            self.disk.sync_dir(&self.dir).map_err(HistoryError::io(path, "removed"))?;
            removed += 1;
        }
        Ok(removed)
    }

    /// Takes over the last file, up to the first broken block, if it has any whole one.
    fn recover(
        &mut self,
        found: HistoryFile,
        first_index: u64,
        tail: Tail,
    ) -> Result<(), HistoryError> {
        let mut offset = FILE_HEADER_BYTES as u64;
        let mut proven = 0;
        let broken = loop {
            let head = match found.block_at(offset)? {
                Block::End => break None,
                Block::Broken(reason) => break Some(reason),
                Block::Whole(head, _) => head,
            };
            if found.stored(offset, &head)?.is_none() {
                break Some("a block's checksum does not match");
            }
            if Some(head.first_index) <= self.last_index {
                return Err(found.place(offset).damaged("a block's indexes do not rise"));
            }
            self.last_index = Some(head.last_index);
            proven = proven.max(head.synced_to);
            offset += head.block_bytes();
        };
        if let Some(reason) = broken {
            let whole_up_to = self.last_index.unwrap_or(first_index.saturating_sub(1));
            let missed = Some(whole_up_to) < self.options.reaches;
            if missed || tail == Tail::WasSynced || found.was_synced_beyond(offset)? {
                return Err(found.place(offset).damaged(reason));
            }
            tracing::info!(file = found.path, offset, reason, "a torn tail of history is cut");
            found.file.set_len(offset).map_err(HistoryError::io(&found.path, "cut"))?;
        }
        if self.last_index.is_none() {
            return Ok(());
        }
        found.write_again(proven, offset)?;
        self.synced_index = self.last_index;
        let HistoryFile { file, path, seal, .. } = found;
        self.active = Some(Active { file, path, seal, len: offset, synced_to: offset });
        Ok(())
    }

    fn check_health(&self) -> Result<(), HistoryError> {
        match self.health {
            Health::Sound => Ok(()),
            Health::Failed => Err(HistoryError::Failed { shard: self.shard }),
        }
    }

    /// Writes the block under construction, into a new file when the active one is full.
    fn write_block(&mut self) -> Result<(), HistoryError> {
        let Some(span) = self.pending.span else { return Ok(()) };
        let result = self.write_span(span);
        match result {
            Ok(()) => self.pending = Pending::default(),
            Err(_) => self.health = Health::Failed,
        }
        result
    }

    fn write_span(&mut self, span: Span) -> Result<(), HistoryError> {
        let full = |active: &Active| active.len >= self.options.file_bytes;
        if self.active.as_ref().is_none_or(full) {
            self.sync_active()?;
            self.active = Some(self.create_file(span.first_index)?);
        }
        let Some(active) = &mut self.active else { return Ok(()) };
        let place = Place { file: &active.path, shard: self.shard, offset: active.len };
        let hashes = filter_of(&mut self.pending.hashes);
        let entries = BlockEntries { span, hashes, raw: &self.pending.raw };
        let block = format::encode_block(place, entries, active.synced_to, active.seal.as_deref())?;
        active
            .file
            .write_at(active.len, &block)
            .map_err(HistoryError::io(&active.path, "written"))?;
        active.len += block.len() as u64;
        Ok(())
    }

    fn create_file(&self, first_index: u64) -> Result<Active, HistoryError> {
        let path = format!("{}/{}", self.dir, format::file_name(self.shard, first_index));
        let failed = HistoryError::io(&path, "created");
        let sealing = if self.seal.is_some() { Sealing::Sealed } else { Sealing::Plain };
        let header = FileHeader { shard: self.shard, first_index, sealing }.encode();
        let file = self.disk.create_new(&path).map_err(failed)?;
        file.write_at(0, &header).map_err(failed)?;
        file.sync_all().map_err(failed)?;
        self.disk.sync_dir(&self.dir).map_err(failed)?;
        let len = header.len() as u64;
        Ok(Active { file, path, seal: self.seal.clone(), len, synced_to: len })
    }

    fn sync_active(&mut self) -> Result<(), HistoryError> {
        let Some(active) = self.active.as_mut().filter(|active| active.synced_to < active.len)
        else {
            return Ok(());
        };
        if let Err(error) = active.file.sync() {
            self.health = Health::Failed;
            return Err(HistoryError::io(&active.path, "synced")(error));
        }
        active.synced_to = active.len;
        Ok(())
    }
}

/// Whether the end of the last file may be torn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tail {
    MayBeTorn,
    WasSynced,
}

impl Pending {
    fn push(&mut self, shard: u32, entry: &HistoryEntry) -> Result<(), HistoryError> {
        let (index, time) = (entry.index, entry.time_micros);
        if entry::encode(&mut self.raw, entry).is_none() {
            let bytes = entry::bytes_of(entry);
            return Err(HistoryError::EntryTooLarge { shard, index, bytes });
        }
        self.hashes.extend(entry.entities.iter().map(|entity| stable_hash(entity)));
        let before = self.span.unwrap_or(Span {
            first_index: index,
            last_index: index,
            time_min: time,
            time_max: time,
            count: 0,
        });
        self.span = Some(Span {
            first_index: before.first_index,
            last_index: index,
            time_min: before.time_min.min(time),
            time_max: before.time_max.max(time),
            count: before.count + 1,
        });
        Ok(())
    }
}

/// The entities of a block, sorted, or `None` when they are too many to list.
fn filter_of(hashes: &mut Vec<u64>) -> Option<&[u64]> {
    hashes.sort_unstable();
    hashes.dedup();
    (hashes.len() <= FILTER_HASHES_MAX).then_some(hashes.as_slice())
}
