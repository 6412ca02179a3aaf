//! Entries inside a block, before compression.

use bytes::Bytes;

use super::HistoryEntry;
use crate::codec::Fields;

/// The largest entry: payload and references together. The log's own limit is half of it.
pub const ENTRY_BYTES_MAX: usize = 2 * 1024 * 1024;

/// Lengths and numbers in front of an entry.
const FIXED_BYTES: usize = 8 + 8 + 4 + 4;

/// Bytes that an entry takes in a block.
pub(super) fn bytes_of(entry: &HistoryEntry) -> usize {
    let entities = entry.entities.iter().map(|entity| 4 + entity.len());
    entities.fold(FIXED_BYTES, usize::saturating_add).saturating_add(entry.payload.len())
}

/// Appends an entry; `None` when a length does not fit its field.
pub(super) fn encode(block: &mut Vec<u8>, entry: &HistoryEntry) -> Option<()> {
    let count = u32::try_from(entry.entities.len()).ok()?;
    let payload_len = u32::try_from(entry.payload.len()).ok()?;
    block.extend_from_slice(&entry.index.to_le_bytes());
    block.extend_from_slice(&entry.time_micros.to_le_bytes());
    block.extend_from_slice(&count.to_le_bytes());
    block.extend_from_slice(&payload_len.to_le_bytes());
    for entity in &entry.entities {
        block.extend_from_slice(&u32::try_from(entity.len()).ok()?.to_le_bytes());
        block.extend_from_slice(entity);
    }
    block.extend_from_slice(&entry.payload);
    Some(())
}

/// Takes all entries out of a block; `None` when they do not fill it exactly.
pub(super) fn decode_all(block: &[u8]) -> Option<Vec<HistoryEntry>> {
    let mut fields = Fields::new(block);
    let mut entries = Vec::new();
    while !fields.is_empty() {
        let (index, time_micros) = (fields.u64()?, fields.u64()?);
        let (count, payload_len) = (fields.len()?, fields.len()?);
        // The count is not trusted with memory: every reference must be there first.
        let mut entities = Vec::new();
        for _ in 0..count {
            let len = fields.len()?;
            entities.push(fields.bytes(len)?.to_vec());
        }
        let payload = Bytes::copy_from_slice(fields.bytes(payload_len)?);
        entries.push(HistoryEntry { index, time_micros, entities, payload });
    }
    Some(entries)
}
