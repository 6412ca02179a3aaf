//! Writing a snapshot as a stream.

use std::fmt;
use std::sync::Arc;

use super::format::{self, Footer, Frame, Place, Sealing};
use super::{SnapshotError, SnapshotFile, SnapshotItem, SnapshotMeta};
use crate::disk::{Disk, DiskFile};
use crate::folders;
use crate::seal::Seal;

/// Writes one snapshot. Dropped without [`SnapshotWriter::finish`], it leaves nothing behind.
pub struct SnapshotWriter {
    disk: Arc<dyn Disk>,
    file: Box<dyn DiskFile>,
    dir: String,
    /// The file's name until it is complete.
    writing: String,
    meta: SnapshotMeta,
    seal: Option<Arc<dyn Seal>>,
    block: Vec<u8>,
    written: u64,
    footer: Footer,
    highest: u64,
    state: State,
}

/// Whether the unfinished file is still this writer's to remove.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Writing,
    Finished,
}

impl fmt::Debug for SnapshotWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SnapshotWriter")
            .field("file", &self.writing)
            .field("written", &self.written)
            .finish_non_exhaustive()
    }
}

impl SnapshotWriter {
    /// Begins a snapshot in `dir`, which is created when missing. What an earlier writer of the same
    /// shard and start left behind is replaced.
    pub fn create(
        disk: Arc<dyn Disk>,
        dir: &str,
        meta: SnapshotMeta,
        seal: Option<Arc<dyn Seal>>,
    ) -> Result<Self, SnapshotError> {
        let name = format::file_name(meta.shard, meta.start);
        let writing = format!("{dir}/{name}{}", format::WRITING);
        let failed = SnapshotError::io(&writing, "created");
        folders::create_durably(&*disk, dir).map_err(failed)?;
        if disk.exists(&writing).map_err(failed)? {
            disk.remove(&writing).map_err(failed)?;
        }
        let file = disk.create_new(&writing).map_err(failed)?;
        let sealing = if seal.is_some() { Sealing::Sealed } else { Sealing::Plain };
        let mut writer = Self {
            disk,
            file,
            dir: dir.to_owned(),
            writing,
            meta,
            seal,
            block: Vec::new(),
            written: 0,
            footer: Footer::default(),
            highest: 0,
            state: State::Writing,
        };
        writer.append(&format::encode_header(&meta, sealing))?;
        Ok(writer)
    }

    /// Adds a record or a tombstone.
    pub fn push(&mut self, item: &SnapshotItem<'_>) -> Result<(), SnapshotError> {
        let bytes = format::item_bytes(item);
        let too_large = || SnapshotError::ItemTooLarge { file: self.writing.clone(), bytes };
        if bytes > format::ITEM_BYTES_MAX {
            return Err(too_large());
        }
        if !self.block.is_empty() && self.block.len() + bytes > format::BLOCK_BYTES {
            self.flush_block()?;
        }
        if format::encode_item(&mut self.block, item).is_none() {
            return Err(SnapshotError::ItemTooLarge { file: self.writing.clone(), bytes });
        }
        self.footer.items += 1;
        self.highest = self.highest.max(item.position);
        Ok(())
    }

    /// Completes the file, syncs it and gives it its name. `end` is the highest position that any
    /// record may hold.
    pub fn finish(mut self, end: u64) -> Result<SnapshotFile, SnapshotError> {
        if end < self.highest.max(self.meta.start) {
            return Err(SnapshotError::EndTooLow {
                file: self.writing.clone(),
                end,
                start: self.meta.start,
                highest: self.highest,
            });
        }
        if !self.block.is_empty() {
            self.flush_block()?;
        }
        self.footer.end = end;
        let footer_offset = self.written;
        let place = Place { ordinal: format::FOOTER_ORDINAL, ..self.place() };
        let frame = format::encode_frame(place, Frame::Footer(&self.footer.encode()), self.seal())?;
        self.append(&frame)?;
        self.append(&format::encode_trailer(footer_offset))?;
        self.file.sync_all().map_err(SnapshotError::io(&self.writing, "synced"))?;
        let path = format!("{}/{}", self.dir, format::file_name(self.meta.shard, self.meta.start));
        super::publish(&*self.disk, &self.dir, &self.writing, &path)?;
        self.state = State::Finished;
        let (bytes, items) = (self.written, self.footer.items);
        Ok(SnapshotFile { path, meta: self.meta, bytes, items, end })
    }

    fn flush_block(&mut self) -> Result<(), SnapshotError> {
        let frame = format::encode_frame(self.place(), Frame::Block(&self.block), self.seal())?;
        self.append(&frame)?;
        self.block.clear();
        self.footer.blocks += 1;
        Ok(())
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), SnapshotError> {
        self.file
            .write_at(self.written, bytes)
            .map_err(SnapshotError::io(&self.writing, "written"))?;
        self.written += bytes.len() as u64;
        self.footer.crc = crc32c::crc32c_append(self.footer.crc, bytes);
        Ok(())
    }

    fn seal(&self) -> Option<&dyn Seal> {
        self.seal.as_deref()
    }

    fn place(&self) -> Place<'_> {
        Place {
            file: &self.writing,
            meta: &self.meta,
            ordinal: self.footer.blocks,
            offset: self.written,
        }
    }
}

impl Drop for SnapshotWriter {
    fn drop(&mut self) {
        if self.state == State::Writing
            && let Err(error) = self.disk.remove(&self.writing)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            tracing::warn!(file = self.writing, %error, "an unfinished snapshot stays until the next start");
        }
    }
}
