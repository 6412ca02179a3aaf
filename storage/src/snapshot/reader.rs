//! Reading a snapshot as a stream.

use std::fmt;
use std::sync::Arc;

use super::format::{self, Footer, FrameKind, Place, Sealing};
use super::{SnapshotError, SnapshotFile, SnapshotMeta, SnapshotRecord};
use crate::codec::Fields;
use crate::disk::{Disk, DiskFile};
use crate::seal::Seal;

/// Reads one snapshot: its header and footer at once, its records as an iterator that ends with the
/// first error. A reader that came to the end without one has verified every byte.
pub struct SnapshotReader {
    file: Box<dyn DiskFile>,
    path: String,
    meta: SnapshotMeta,
    seal: Option<Arc<dyn Seal>>,
    bytes: u64,
    footer: Footer,
    footer_offset: u64,
    offset: u64,
    block: Vec<u8>,
    block_used: usize,
    seen: Footer,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Reading,
    Ended,
}

impl fmt::Debug for SnapshotReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SnapshotReader")
            .field("path", &self.path)
            .field("meta", &self.meta)
            .field("offset", &self.offset)
            .finish_non_exhaustive()
    }
}

impl SnapshotReader {
    /// Opens a snapshot of a shard and verifies its header and footer.
    pub fn open(
        disk: &dyn Disk,
        path: &str,
        shard: u32,
        seal: Option<Arc<dyn Seal>>,
    ) -> Result<Self, SnapshotError> {
        let failed = SnapshotError::io(path, "opened");
        let file = disk.open(path).map_err(failed)?;
        let bytes = file.len().map_err(failed)?;
        let header = read_part(&*file, path, 0, format::HEADER_BYTES)?;
        let (meta, sealing) = format::decode_header(path, &header)?;
        if meta.shard != shard {
            return Err(SnapshotError::ForeignShard {
                file: path.to_owned(),
                expected: shard,
                found: meta.shard,
            });
        }
        let seal = match (sealing, seal) {
            (Sealing::Plain, _) => None,
            (Sealing::Sealed, Some(seal)) => Some(seal),
            (Sealing::Sealed, None) => {
                return Err(SnapshotError::Sealed { file: path.to_owned() });
            }
        };
        let mut reader = Self {
            file,
            path: path.to_owned(),
            meta,
            seal,
            bytes,
            footer: Footer::default(),
            footer_offset: 0,
            offset: 0,
            block: Vec::new(),
            block_used: 0,
            seen: Footer { crc: crc32c::crc32c(&header), ..Footer::default() },
            state: State::Reading,
        };
        reader.read_footer()?;
        reader.offset = format::HEADER_BYTES as u64;
        Ok(reader)
    }

    /// What the snapshot is of.
    pub fn meta(&self) -> &SnapshotMeta {
        &self.meta
    }

    /// The highest log position inside.
    pub fn end(&self) -> u64 {
        self.footer.end
    }

    /// Records and tombstones inside.
    pub fn items(&self) -> u64 {
        self.footer.items
    }

    /// Reads the whole file without keeping any of it.
    pub fn verify(mut self) -> Result<SnapshotFile, SnapshotError> {
        for item in &mut self {
            item?;
        }
        Ok(SnapshotFile {
            path: self.path,
            meta: self.meta,
            bytes: self.bytes,
            items: self.footer.items,
            end: self.footer.end,
        })
    }

    fn read_footer(&mut self) -> Result<(), SnapshotError> {
        let trailer_offset = self.bytes.saturating_sub(format::TRAILER_BYTES as u64);
        let trailer = read_part(&*self.file, &self.path, trailer_offset, format::TRAILER_BYTES)?;
        let footer_offset = format::decode_trailer(&trailer)
            .filter(|offset| (format::HEADER_BYTES as u64..trailer_offset).contains(offset))
            .ok_or_else(|| {
                let reason = "it does not end like a snapshot, so it was cut or extended";
                SnapshotError::damaged(&self.path, trailer_offset, reason)
            })?;
        self.offset = footer_offset;
        let (raw, after) = self.read_frame(FrameKind::Footer, trailer_offset)?;
        let place = self.place(FrameKind::Footer);
        let footer = Footer::decode(&raw)
            .filter(|footer| footer.end >= self.meta.start)
            .ok_or_else(|| place.damaged("the footer makes no sense"))?;
        if after != trailer_offset {
            return Err(place.damaged("the footer does not reach the end of the file"));
        }
        self.footer = footer;
        self.footer_offset = footer_offset;
        Ok(())
    }

    /// Reads and opens the frame at the current offset; returns what it holds and where it ends.
    fn read_frame(&mut self, kind: FrameKind, limit: u64) -> Result<(Vec<u8>, u64), SnapshotError> {
        let head_bytes = read_part(&*self.file, &self.path, self.offset, format::FRAME_BYTES)?;
        let place = self.place(kind);
        let head = format::decode_frame_head(place, &head_bytes)?;
        let stored_offset = self.offset + format::FRAME_BYTES as u64;
        let after = stored_offset + head.stored_len as u64;
        if after > limit {
            return Err(place.damaged("a block reaches beyond its end of the file"));
        }
        let stored = read_part(&*self.file, &self.path, stored_offset, head.stored_len)?;
        let raw = format::open_frame(place, head, kind, &stored, self.seal.as_deref())?;
        if kind == FrameKind::Block {
            let crc = crc32c::crc32c_append(self.seen.crc, &head_bytes);
            self.seen.crc = crc32c::crc32c_append(crc, &stored);
        }
        Ok((raw, after))
    }

    fn place(&self, kind: FrameKind) -> Place<'_> {
        let ordinal = match kind {
            FrameKind::Block => self.seen.blocks,
            FrameKind::Footer => format::FOOTER_ORDINAL,
        };
        Place { file: &self.path, meta: &self.meta, ordinal, offset: self.offset }
    }

    fn next_record(&mut self) -> Result<Option<SnapshotRecord>, SnapshotError> {
        if self.block_used == self.block.len() {
            if self.offset == self.footer_offset {
                return self.check_totals().map(|()| None);
            }
            let (block, after) = self.read_frame(FrameKind::Block, self.footer_offset)?;
            if block.is_empty() {
                return Err(self.place(FrameKind::Block).damaged("a block holds nothing"));
            }
            self.block = block;
            self.block_used = 0;
            self.offset = after;
            self.seen.blocks += 1;
        }
        let mut fields = Fields::new(self.block.get(self.block_used..).unwrap_or_default());
        let record = format::decode_item(&mut fields);
        let record =
            record.filter(|record| record.position <= self.footer.end).ok_or_else(|| {
                let reason = "the block before holds a record that makes no sense";
                self.place(FrameKind::Block).damaged(reason)
            })?;
        self.block_used = self.block.len() - fields.rest().len();
        self.seen.items += 1;
        Ok(Some(record))
    }

    fn check_totals(&self) -> Result<(), SnapshotError> {
        let seen = Footer { end: self.footer.end, ..self.seen };
        if seen == self.footer {
            return Ok(());
        }
        let reason = format!(
            "{} items in {} blocks were read, the footer says {} in {}, or the checksums differ",
            seen.items, seen.blocks, self.footer.items, self.footer.blocks
        );
        Err(self.place(FrameKind::Footer).damaged(reason))
    }
}

impl Iterator for SnapshotReader {
    type Item = Result<SnapshotRecord, SnapshotError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.state == State::Ended {
            return None;
        }
        let next = self.next_record().transpose();
        if !matches!(next, Some(Ok(_))) {
            self.state = State::Ended;
        }
        next
    }
}

/// Exactly `len` bytes at an offset, or the file is damaged there.
fn read_part(
    file: &dyn DiskFile,
    path: &str,
    offset: u64,
    len: usize,
) -> Result<Vec<u8>, SnapshotError> {
    let mut bytes = vec![0; len];
    let read = file.read_full_at(offset, &mut bytes).map_err(SnapshotError::io(path, "read"))?;
    if read < len {
        let end = offset + read as u64;
        return Err(SnapshotError::damaged(path, end, "the file ends too early"));
    }
    Ok(bytes)
}
