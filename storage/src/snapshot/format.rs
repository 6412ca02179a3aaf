//! The bytes of a snapshot file, without the file.
//!
//! **Invariants:** every part carries a checksum over all of it; every length is bounded before
//! memory is taken for it. Numbers are little-endian.

use super::{SnapshotError, SnapshotItem, SnapshotMeta, SnapshotRecord};
use crate::codec::{self, Fields};
use crate::seal::Seal;
use crate::vault::SEAL_OVERHEAD_BYTES;

/// The format that is written, and the newest that is read.
pub const SNAPSHOT_VERSION: u16 = 1;
/// The largest item, key and body together. A record is refused by its owner far below.
pub const ITEM_BYTES_MAX: usize = 2 * 1024 * 1024;

/// Suffix of a file that its writer has not finished.
pub(super) const WRITING: &str = ".writing";
/// Suffix of a file that is being received.
pub(super) const RECEIVING: &str = ".receiving";

pub(super) const HEADER_BYTES: usize = 48;
pub(super) const FRAME_BYTES: usize = 16;
pub(super) const TRAILER_BYTES: usize = 20;
/// A block is closed when its items hold this many bytes.
pub(super) const BLOCK_BYTES: usize = 256 * 1024;

const HEADER_MAGIC: [u8; 8] = *b"OCSNAPSH";
const TRAILER_MAGIC: [u8; 8] = *b"OCSNPEND";
const HEADER_SEALED: u16 = 1;
const ITEM_FIXED_BYTES: usize = 4 + 4 + 8;
const BODY_NONE: u32 = u32::MAX;
const RAW_BYTES_MAX: usize = BLOCK_BYTES + ITEM_BYTES_MAX + ITEM_FIXED_BYTES;
/// LZ4 grows what it cannot shrink by less than one byte in 200.
const STORED_BYTES_MAX: usize = RAW_BYTES_MAX + RAW_BYTES_MAX / 200 + 64 + SEAL_OVERHEAD_BYTES;

/// The footer is bound to a place that no block has.
pub(super) const FOOTER_ORDINAL: u64 = u64::MAX;

const FRAME_BLOCK: u32 = 1;
const FRAME_FOOTER: u32 = 2;

pub(super) fn file_name(shard: u32, start: u64) -> String {
    format!("{}{start:020}", name_prefix(shard))
}

/// What the names of a shard's files begin with.
pub(super) fn name_prefix(shard: u32) -> String {
    format!("snapshot-{shard:010}-")
}

pub(super) fn parse_name(name: &str) -> Option<(u32, u64)> {
    let (shard, start) = name.strip_prefix("snapshot-")?.split_once('-')?;
    let parsed = (shard.parse().ok()?, start.parse().ok()?);
    (file_name(parsed.0, parsed.1) == name).then_some(parsed)
}

/// Whether blocks are sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sealing {
    Plain,
    Sealed,
}

pub(super) fn encode_header(meta: &SnapshotMeta, sealing: Sealing) -> Vec<u8> {
    let flags = match sealing {
        Sealing::Plain => 0,
        Sealing::Sealed => HEADER_SEALED,
    };
    let mut bytes = Vec::with_capacity(HEADER_BYTES);
    bytes.extend_from_slice(&HEADER_MAGIC);
    bytes.extend_from_slice(&SNAPSHOT_VERSION.to_le_bytes());
    bytes.extend_from_slice(&flags.to_le_bytes());
    bytes.extend_from_slice(&meta.shard.to_le_bytes());
    bytes.extend_from_slice(&meta.start.to_le_bytes());
    bytes.extend_from_slice(&meta.start_term.to_le_bytes());
    bytes.extend_from_slice(&meta.id.to_le_bytes());
    bytes.extend_from_slice(&[0; 4]);
    bytes.extend_from_slice(&crc32c::crc32c(&bytes).to_le_bytes());
    bytes
}

pub(super) fn decode_header(
    file: &str,
    bytes: &[u8],
) -> Result<(SnapshotMeta, Sealing), SnapshotError> {
    let damaged = |reason: &str| SnapshotError::damaged(file, 0, reason);
    let Some((covered, crc)) = bytes.split_last_chunk::<4>() else {
        return Err(damaged("the header is cut short"));
    };
    let mut fields = Fields::new(covered);
    let (Some(magic), Some(version)) = (fields.array::<8>(), fields.u16()) else {
        return Err(damaged("the header is cut short"));
    };
    if magic != HEADER_MAGIC {
        return Err(damaged("it does not begin like a snapshot"));
    }
    // Headers of every version have this length and checksum, so that a flipped bit is no new version.
    if crc32c::crc32c(covered) != u32::from_le_bytes(*crc) || version == 0 {
        return Err(damaged("the header's checksum does not match"));
    }
    if version > SNAPSHOT_VERSION {
        return Err(SnapshotError::NewerFormat { file: file.to_owned(), version });
    }
    let (Some(flags), Some(shard), Some(start), Some(start_term), Some(id)) =
        (fields.u16(), fields.u32(), fields.u64(), fields.u64(), fields.u64())
    else {
        return Err(damaged("the header is cut short"));
    };
    let sealing = match flags {
        0 => Sealing::Plain,
        HEADER_SEALED => Sealing::Sealed,
        _ => return Err(damaged("the header's flags are unknown")),
    };
    Ok((SnapshotMeta { shard, start, start_term, id }, sealing))
}

/// Bytes that an item takes inside a block.
pub(super) fn item_bytes(item: &SnapshotItem<'_>) -> usize {
    item.key.len().saturating_add(item.body.map_or(0, <[u8]>::len))
}

/// Appends an item to a block; `None` when a length does not fit its field.
pub(super) fn encode_item(block: &mut Vec<u8>, item: &SnapshotItem<'_>) -> Option<()> {
    let key_len = u32::try_from(item.key.len()).ok()?;
    let body_len = match item.body {
        Some(body) => u32::try_from(body.len()).ok()?,
        None => BODY_NONE,
    };
    block.extend_from_slice(&key_len.to_le_bytes());
    block.extend_from_slice(&body_len.to_le_bytes());
    block.extend_from_slice(&item.position.to_le_bytes());
    block.extend_from_slice(item.key);
    block.extend_from_slice(item.body.unwrap_or_default());
    Some(())
}

/// Takes one item off a block; `None` when it is not whole.
pub(super) fn decode_item(fields: &mut Fields<'_>) -> Option<SnapshotRecord> {
    let (key_len, body_len, position) = (fields.len()?, fields.u32()?, fields.u64()?);
    let key = fields.bytes(key_len)?.to_vec();
    let body = match body_len {
        BODY_NONE => None,
        len => Some(fields.bytes(usize::try_from(len).ok()?)?.to_vec()),
    };
    Some(SnapshotRecord { key, position, body })
}

/// The frame's place, which sealed bytes are bound to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) file: &'a str,
    pub(super) meta: &'a SnapshotMeta,
    pub(super) ordinal: u64,
    pub(super) offset: u64,
}

impl Place<'_> {
    fn associated_data(&self, kind: u32) -> Vec<u8> {
        let mut aad = b"snapshot".to_vec();
        aad.extend_from_slice(&kind.to_le_bytes());
        aad.extend_from_slice(&self.meta.shard.to_le_bytes());
        aad.extend_from_slice(&self.meta.start.to_le_bytes());
        aad.extend_from_slice(&self.meta.id.to_le_bytes());
        aad.extend_from_slice(&self.ordinal.to_le_bytes());
        aad
    }

    pub(super) fn damaged(&self, reason: impl Into<String>) -> SnapshotError {
        SnapshotError::damaged(self.file, self.offset, reason)
    }
}

/// A frame as it lies in the file: a block of items, or the footer.
pub(super) fn encode_frame(
    place: Place<'_>,
    frame: Frame<'_>,
    seal: Option<&dyn Seal>,
) -> Result<Vec<u8>, SnapshotError> {
    let (kind, raw) = match frame {
        Frame::Block(raw) => (FRAME_BLOCK, raw),
        Frame::Footer(raw) => (FRAME_FOOTER, raw),
    };
    let mut stored = codec::compress(raw);
    if let Some(seal) = seal {
        stored = seal.seal(&place.associated_data(kind), &stored).map_err(|source| {
            SnapshotError::Seal { file: place.file.to_owned(), offset: place.offset, source }
        })?;
    }
    let lengths = (u32::try_from(stored.len()), u32::try_from(raw.len()));
    let (Ok(stored_len), Ok(raw_len)) = lengths else {
        return Err(place.damaged("a block outgrew its length field"));
    };
    let mut bytes = Vec::with_capacity(FRAME_BYTES + stored.len());
    bytes.extend_from_slice(&kind.to_le_bytes());
    bytes.extend_from_slice(&stored_len.to_le_bytes());
    bytes.extend_from_slice(&raw_len.to_le_bytes());
    let crc = crc32c::crc32c_append(crc32c::crc32c(&bytes), &stored);
    bytes.extend_from_slice(&crc.to_le_bytes());
    bytes.extend_from_slice(&stored);
    Ok(bytes)
}

/// What a frame holds.
#[derive(Debug, Clone, Copy)]
pub(super) enum Frame<'a> {
    Block(&'a [u8]),
    Footer(&'a [u8]),
}

/// The fixed part of a frame, its lengths already bounded.
#[derive(Debug, Clone, Copy)]
pub(super) struct FrameHead {
    kind: u32,
    pub(super) stored_len: usize,
    raw_len: usize,
    crc_of_head: u32,
    crc: u32,
}

pub(super) fn decode_frame_head(
    place: Place<'_>,
    bytes: &[u8],
) -> Result<FrameHead, SnapshotError> {
    let mut fields = Fields::new(bytes);
    let (Some(kind), Some(stored_len), Some(raw_len), Some(crc)) =
        (fields.u32(), fields.len(), fields.len(), fields.u32())
    else {
        return Err(place.damaged("a block's head is cut short"));
    };
    if stored_len > STORED_BYTES_MAX || raw_len > RAW_BYTES_MAX {
        return Err(place.damaged("a block claims more bytes than any block may have"));
    }
    let crc_of_head = crc32c::crc32c(bytes.get(..12).unwrap_or_default());
    Ok(FrameHead { kind, stored_len, raw_len, crc_of_head, crc })
}

/// Verifies a frame's stored bytes, opens and expands them.
pub(super) fn open_frame(
    place: Place<'_>,
    head: FrameHead,
    expected: FrameKind,
    stored: &[u8],
    seal: Option<&dyn Seal>,
) -> Result<Vec<u8>, SnapshotError> {
    if crc32c::crc32c_append(head.crc_of_head, stored) != head.crc {
        return Err(place.damaged("a block's checksum does not match"));
    }
    let kind = match expected {
        FrameKind::Block => FRAME_BLOCK,
        FrameKind::Footer => FRAME_FOOTER,
    };
    if head.kind != kind {
        return Err(place.damaged("another kind of block belongs here"));
    }
    let opened;
    let compressed = match seal {
        None => stored,
        Some(seal) => {
            opened = seal.open(&place.associated_data(kind), stored).map_err(|source| {
                SnapshotError::Seal { file: place.file.to_owned(), offset: place.offset, source }
            })?;
            &opened
        }
    };
    codec::decompress(compressed, head.raw_len).map_err(|source| SnapshotError::Block {
        file: place.file.to_owned(),
        offset: place.offset,
        source,
    })
}

/// Which frame belongs at a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FrameKind {
    Block,
    Footer,
}

/// What the footer says of all before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Footer {
    pub(super) items: u64,
    pub(super) blocks: u64,
    pub(super) end: u64,
    /// CRC-32C over every byte before the footer.
    pub(super) crc: u32,
}

impl Footer {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(28);
        bytes.extend_from_slice(&self.items.to_le_bytes());
        bytes.extend_from_slice(&self.blocks.to_le_bytes());
        bytes.extend_from_slice(&self.end.to_le_bytes());
        bytes.extend_from_slice(&self.crc.to_le_bytes());
        bytes
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut fields = Fields::new(bytes);
        let footer = Self {
            items: fields.u64()?,
            blocks: fields.u64()?,
            end: fields.u64()?,
            crc: fields.u32()?,
        };
        fields.is_empty().then_some(footer)
    }
}

/// The last bytes of the file: where the footer begins.
pub(super) fn encode_trailer(footer_offset: u64) -> Vec<u8> {
    let mut bytes = TRAILER_MAGIC.to_vec();
    bytes.extend_from_slice(&footer_offset.to_le_bytes());
    bytes.extend_from_slice(&crc32c::crc32c(&bytes).to_le_bytes());
    bytes
}

pub(super) fn decode_trailer(bytes: &[u8]) -> Option<u64> {
    let (covered, crc) = bytes.split_last_chunk::<4>()?;
    let mut fields = Fields::new(covered);
    let magic = fields.array::<8>()?;
    let footer_offset = fields.u64()?;
    let whole = magic == TRAILER_MAGIC && crc32c::crc32c(covered) == u32::from_le_bytes(*crc);
    whole.then_some(footer_offset)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_newer_version_is_named() {
        let meta = SnapshotMeta { shard: 3, start: 4, start_term: 1, id: 9 };
        let mut bytes = encode_header(&meta, Sealing::Plain);
        assert_eq!(decode_header("f", &bytes).unwrap().0, meta);
        bytes.truncate(HEADER_BYTES - 4);
        bytes.splice(8..10, 2_u16.to_le_bytes());
        bytes.extend_from_slice(&crc32c::crc32c(&bytes).to_le_bytes());
        let newer = decode_header("f", &bytes).unwrap_err();
        assert!(matches!(newer, SnapshotError::NewerFormat { version: 2, .. }), "{newer}");
    }
}
