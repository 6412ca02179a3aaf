//! The bytes of a history file: its header, and blocks of head, entity filter and entries.
//!
//! **Invariants:** the head's checksum covers the filter too, so that a scan may pass over a block
//! on its word; every length is bounded before memory is taken for it. Numbers are little-endian.

use super::HistoryError;
use crate::codec::{self, Fields};
use crate::seal::Seal;
use crate::vault::SEAL_OVERHEAD_BYTES;

use super::entry::ENTRY_BYTES_MAX;

/// The format that is written, and the newest that is read.
pub const HISTORY_VERSION: u16 = 1;

pub(super) const FILE_HEADER_BYTES: usize = 40;
pub(super) const BLOCK_HEAD_BYTES: usize = 80;
/// A block is closed when its entries hold this many bytes.
pub(super) const BLOCK_BYTES: usize = 64 * 1024;
/// More entities than this and the block has no filter: every scan looks inside.
pub(super) const FILTER_HASHES_MAX: usize = 4096;

const FILE_MAGIC: [u8; 8] = *b"OCHISTOR";
pub(super) const BLOCK_MAGIC: [u8; 8] = *b"OCHBLOCK";
const FILE_SEALED: u16 = 1;
const RAW_BYTES_MAX: usize = BLOCK_BYTES + ENTRY_BYTES_MAX;
/// LZ4 grows what it cannot shrink by less than one byte in 200.
const STORED_BYTES_MAX: usize = RAW_BYTES_MAX + RAW_BYTES_MAX / 200 + 64 + SEAL_OVERHEAD_BYTES;
const FILTER_BYTES_MAX: usize = FILTER_HASHES_MAX * 8 + SEAL_OVERHEAD_BYTES;

pub(super) fn file_name(shard: u32, first_index: u64) -> String {
    format!("history-{shard:010}-{first_index:020}")
}

pub(super) fn parse_name(name: &str) -> Option<(u32, u64)> {
    let (shard, first) = name.strip_prefix("history-")?.split_once('-')?;
    let parsed = (shard.parse().ok()?, first.parse().ok()?);
    (file_name(parsed.0, parsed.1) == name).then_some(parsed)
}

/// What a file says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FileHeader {
    pub(super) shard: u32,
    pub(super) first_index: u64,
    pub(super) sealing: Sealing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sealing {
    Plain,
    Sealed,
}

impl FileHeader {
    pub(super) fn encode(&self) -> Vec<u8> {
        let flags = match self.sealing {
            Sealing::Plain => 0,
            Sealing::Sealed => FILE_SEALED,
        };
        let mut bytes = Vec::with_capacity(FILE_HEADER_BYTES);
        bytes.extend_from_slice(&FILE_MAGIC);
        bytes.extend_from_slice(&HISTORY_VERSION.to_le_bytes());
        bytes.extend_from_slice(&flags.to_le_bytes());
        bytes.extend_from_slice(&self.shard.to_le_bytes());
        bytes.extend_from_slice(&self.first_index.to_le_bytes());
        bytes.extend_from_slice(&[0; 12]);
        bytes.extend_from_slice(&crc32c::crc32c(&bytes).to_le_bytes());
        bytes
    }

    pub(super) fn decode(file: &str, bytes: &[u8]) -> Result<Self, HistoryError> {
        let damaged = |reason: &str| HistoryError::damaged(file, 0, reason);
        let Some((covered, crc)) = bytes.split_last_chunk::<4>() else {
            return Err(damaged("the header is cut short"));
        };
        let mut fields = Fields::new(covered);
        let (Some(magic), Some(version)) = (fields.array::<8>(), fields.u16()) else {
            return Err(damaged("the header is cut short"));
        };
        if magic != FILE_MAGIC {
            return Err(damaged("it does not begin like a history file"));
        }
        // Headers of every version have this length and checksum, so that a flipped bit is no new version.
        if crc32c::crc32c(covered) != u32::from_le_bytes(*crc) || version == 0 {
            return Err(damaged("the header's checksum does not match"));
        }
        if version > HISTORY_VERSION {
            return Err(HistoryError::NewerFormat { file: file.to_owned(), version });
        }
        let (Some(flags), Some(shard), Some(first_index)) =
            (fields.u16(), fields.u32(), fields.u64())
        else {
            return Err(damaged("the header is cut short"));
        };
        let sealing = match flags {
            0 => Sealing::Plain,
            FILE_SEALED => Sealing::Sealed,
            _ => return Err(damaged("the header's flags are unknown")),
        };
        Ok(Self { shard, first_index, sealing })
    }
}

/// The fixed part in front of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BlockHead {
    pub(super) filter_len: usize,
    pub(super) stored_len: usize,
    pub(super) raw_len: usize,
    pub(super) first_index: u64,
    pub(super) last_index: u64,
    pub(super) time_min: u64,
    pub(super) time_max: u64,
    /// Up to here the file was known to be synced when the block was written.
    pub(super) synced_to: u64,
    pub(super) count: u32,
    pub(super) stored_crc: u32,
    /// Covers the head and the filter.
    pub(super) head_crc: u32,
    covered_crc: u32,
}

impl BlockHead {
    /// Bytes of the whole block.
    pub(super) fn block_bytes(&self) -> u64 {
        (BLOCK_HEAD_BYTES + self.filter_len + self.stored_len) as u64
    }

    /// Reads a head with bounded lengths; `None` when these bytes are not one. Its checksum can only
    /// be compared together with the filter.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let (covered, head_crc) = bytes.split_last_chunk::<4>()?;
        let mut fields = Fields::new(covered);
        if fields.array::<8>()? != BLOCK_MAGIC {
            return None;
        }
        let head = Self {
            filter_len: fields.len()?,
            stored_len: fields.len()?,
            raw_len: fields.len()?,
            count: fields.u32()?,
            first_index: fields.u64()?,
            last_index: fields.u64()?,
            time_min: fields.u64()?,
            time_max: fields.u64()?,
            synced_to: fields.u64()?,
            stored_crc: fields.u32()?,
            head_crc: u32::from_le_bytes(*head_crc),
            covered_crc: crc32c::crc32c(covered),
        };
        let bounded = head.filter_len <= FILTER_BYTES_MAX
            && head.stored_len <= STORED_BYTES_MAX
            && head.raw_len <= RAW_BYTES_MAX
            && head.count > 0
            && head.first_index <= head.last_index;
        bounded.then_some(head)
    }

    pub(super) fn covers(&self, filter: &[u8]) -> bool {
        crc32c::crc32c_append(self.covered_crc, filter) == self.head_crc
    }

    fn encode(&self, filter: &[u8], stored: &[u8]) -> Option<Vec<u8>> {
        let mut bytes = Vec::with_capacity(BLOCK_HEAD_BYTES + filter.len() + stored.len());
        bytes.extend_from_slice(&BLOCK_MAGIC);
        for len in [filter.len(), stored.len(), self.raw_len] {
            bytes.extend_from_slice(&u32::try_from(len).ok()?.to_le_bytes());
        }
        bytes.extend_from_slice(&self.count.to_le_bytes());
        let numbers =
            [self.first_index, self.last_index, self.time_min, self.time_max, self.synced_to];
        for number in numbers {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        bytes.extend_from_slice(&crc32c::crc32c(stored).to_le_bytes());
        // Room for fields to come keeps the head's size when the format grows.
        bytes.extend_from_slice(&[0; 8]);
        let crc = crc32c::crc32c_append(crc32c::crc32c(&bytes), filter);
        bytes.extend_from_slice(&crc.to_le_bytes());
        bytes.extend_from_slice(filter);
        bytes.extend_from_slice(stored);
        Some(bytes)
    }
}

/// What a block under construction knows of its entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) first_index: u64,
    pub(super) last_index: u64,
    pub(super) time_min: u64,
    pub(super) time_max: u64,
    pub(super) count: u32,
}

/// What goes into a block.
#[derive(Debug, Clone, Copy)]
pub(super) struct BlockEntries<'a> {
    pub(super) span: Span,
    /// Sorted hashes of the entities, or `None` when they are too many to list.
    pub(super) hashes: Option<&'a [u64]>,
    /// The entries, encoded.
    pub(super) raw: &'a [u8],
}

/// Where a block lies; sealed bytes are bound to its shard and entries.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) file: &'a str,
    pub(super) shard: u32,
    pub(super) offset: u64,
}

impl Place<'_> {
    pub(super) fn damaged(&self, reason: impl Into<String>) -> HistoryError {
        HistoryError::damaged(self.file, self.offset, reason)
    }

    fn associated_data(&self, part: &[u8], first_index: u64, last_index: u64) -> Vec<u8> {
        let mut aad = b"history".to_vec();
        aad.extend_from_slice(part);
        aad.extend_from_slice(&self.shard.to_le_bytes());
        aad.extend_from_slice(&first_index.to_le_bytes());
        aad.extend_from_slice(&last_index.to_le_bytes());
        aad
    }

    fn seal_error(&self, source: crate::seal::SealError) -> HistoryError {
        HistoryError::Seal { file: self.file.to_owned(), offset: self.offset, source }
    }
}

const PART_FILTER: &[u8] = b" filter";
const PART_ENTRIES: &[u8] = b" entries";

/// A whole block as it lies in the file. The filter is sealed too: hashes of guessable names would
/// tell who is in it.
pub(super) fn encode_block(
    place: Place<'_>,
    entries: BlockEntries<'_>,
    synced_to: u64,
    seal: Option<&dyn Seal>,
) -> Result<Vec<u8>, HistoryError> {
    let BlockEntries { span, hashes, raw } = entries;
    let (first, last) = (span.first_index, span.last_index);
    let mut filter: Vec<u8> =
        hashes.unwrap_or_default().iter().flat_map(|hash| hash.to_le_bytes()).collect();
    let mut stored = codec::compress(raw);
    if let Some(seal) = seal {
        let aad = place.associated_data(PART_ENTRIES, first, last);
        stored = seal.seal(&aad, &stored).map_err(|source| place.seal_error(source))?;
        if hashes.is_some() {
            let aad = place.associated_data(PART_FILTER, first, last);
            filter = seal.seal(&aad, &filter).map_err(|source| place.seal_error(source))?;
        }
    }
    let head = BlockHead {
        filter_len: filter.len(),
        stored_len: stored.len(),
        raw_len: raw.len(),
        first_index: first,
        last_index: last,
        time_min: span.time_min,
        time_max: span.time_max,
        synced_to,
        count: span.count,
        stored_crc: 0,
        head_crc: 0,
        covered_crc: 0,
    };
    head.encode(&filter, &stored).ok_or_else(|| place.damaged("a block outgrew its length fields"))
}

/// Whether a block may hold an entity. An empty filter says nothing, so it may.
pub(super) fn may_hold(
    place: Place<'_>,
    head: &BlockHead,
    filter: &[u8],
    hash: u64,
    seal: Option<&dyn Seal>,
) -> Result<bool, HistoryError> {
    if filter.is_empty() {
        return Ok(true);
    }
    let opened;
    let hashes = match seal {
        None => filter,
        Some(seal) => {
            let aad = place.associated_data(PART_FILTER, head.first_index, head.last_index);
            opened = seal.open(&aad, filter).map_err(|source| place.seal_error(source))?;
            &opened
        }
    };
    let (hashes, rest) = hashes.as_chunks::<8>();
    if !rest.is_empty() {
        return Err(place.damaged("a block's filter is not a list of hashes"));
    }
    Ok(hashes.binary_search_by_key(&hash, |bytes| u64::from_le_bytes(*bytes)).is_ok())
}

/// Verifies a block's stored entries, opens and expands them.
pub(super) fn open_entries(
    place: Place<'_>,
    head: &BlockHead,
    stored: &[u8],
    seal: Option<&dyn Seal>,
) -> Result<Vec<u8>, HistoryError> {
    if crc32c::crc32c(stored) != head.stored_crc {
        return Err(place.damaged("a block's checksum does not match"));
    }
    let opened;
    let compressed = match seal {
        None => stored,
        Some(seal) => {
            let aad = place.associated_data(PART_ENTRIES, head.first_index, head.last_index);
            opened = seal.open(&aad, stored).map_err(|source| place.seal_error(source))?;
            &opened
        }
    };
    codec::decompress(compressed, head.raw_len).map_err(|source| HistoryError::Block {
        file: place.file.to_owned(),
        offset: place.offset,
        source,
    })
}
