//! One record on disk: a head of 48 bytes, the payload, and 1 to 8 bytes of padding.
//!
//! ```text
//!  0 head crc   u32  of bytes 8..48, started from the segment's seed and the record's offset
//!  4 chain      u32  crc of the head crc, started from the previous record's chain
//!  8 body crc   u32  of payload and padding
//! 12 length     u32  payload bytes in the low 24 bits, then 7 bits of kind, then "masked"
//! 16 group      u32
//! 20 synced     u32  how far this segment was durable when the record was written
//! 24 term, 32 index, 40 epoch  u64
//! ```
//!
//! **Invariants:**
//! - a record verifies only at its own offset in its own segment, so neither a stale copy nor one
//!   that a client put into a payload is ever taken for a record;
//! - no 512-byte sector that a record touches is all zeros from the record's start on: a payload
//!   with such a sector is stored masked. So an all-zero sector proves that a write is incomplete.

use super::record::{GroupId, Kind, Label};
use bytes::{Buf, BufMut, Bytes};
use std::borrow::Cow;

pub(super) const HEAD_BYTES: usize = 48;
pub(super) const SECTOR_BYTES: usize = 512;
/// The largest stored payload; the replication layer cuts its entries far below.
pub(super) const PAYLOAD_BYTES_MAX: usize = (1 << 24) - 1;
const MASK_BYTES: usize = 8;
const MASKED: u32 = 1 << 31;
const PADDING: [u8; 8] = [0xA5; 8];
/// Where the part of the head that its crc covers begins.
const COVERED: usize = 8;

/// The bytes a record takes on disk.
pub(super) const fn frame_bytes(payload_bytes: usize) -> usize {
    (HEAD_BYTES + payload_bytes + 8) & !7
}

/// Everything in a head but the checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) label: Label,
    pub(super) payload_bytes: usize,
    pub(super) masked: bool,
    pub(super) synced: u32,
    pub(super) epoch: u64,
}

impl Head {
    pub(super) const fn frame_bytes(&self) -> usize {
        frame_bytes(self.payload_bytes)
    }
}

/// A record as found on disk, its own checks passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) head: Head,
    /// The chain after this record.
    pub(super) chain: u32,
    head_crc: u32,
}

impl Frame {
    /// Whether this record follows the one after which the chain was `before`.
    pub(super) fn continues(&self, before: u32) -> bool {
        next_chain(before, self.head_crc) == self.chain
    }
}

/// What is wrong with bytes that should be a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flaw {
    Head,
    Body(Head),
}

/// Where a record lies: what its head crc starts from.
pub(super) const fn salt(seed: u32, offset: u32) -> u32 {
    seed ^ offset
}

/// Appends a record's bytes to `buffer` and returns the chain after it.
///
/// The payload must be one that [`storable`] returned for the same place.
pub(super) fn encode(
    buffer: &mut Vec<u8>,
    head: &Head,
    payload: &[u8],
    salt: u32,
    chain: u32,
) -> u32 {
    let padding = PADDING.get(..head.frame_bytes() - HEAD_BYTES - payload.len());
    let padding = padding.unwrap_or(&PADDING);
    let body_crc = crc32c::crc32c_append(crc32c::crc32c(payload), padding);
    let masked = if head.masked { MASKED } else { 0 };
    let mut covered = [0_u8; HEAD_BYTES - COVERED];
    let mut rest = covered.as_mut_slice();
    rest.put_u32_le(body_crc);
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
    rest.put_u32_le(length | u32::from(head.label.kind.code()) << 24 | masked);
    rest.put_u32_le(head.label.group.0);
    rest.put_u32_le(head.synced);
    rest.put_u64_le(head.label.term);
    rest.put_u64_le(head.label.index);
    rest.put_u64_le(head.epoch);
    let head_crc = crc32c::crc32c_append(salt, &covered);
    let chain = next_chain(chain, head_crc);
    buffer.put_u32_le(head_crc);
    buffer.put_u32_le(chain);
    buffer.put_slice(&covered);
    buffer.put_slice(payload);
    buffer.put_slice(padding);
    chain
}

/// Verifies the record at the start of `bytes`; what follows it is ignored.
pub(super) fn check(bytes: &[u8], salt: u32) -> Result<Frame, Flaw> {
    let (mut first, covered) = bytes
        .first_chunk::<HEAD_BYTES>()
        .and_then(|head| head.split_at_checked(COVERED))
        .ok_or(Flaw::Head)?;
    let (head_crc, chain) = (first.get_u32_le(), first.get_u32_le());
    if crc32c::crc32c_append(salt, covered) != head_crc {
        return Err(Flaw::Head);
    }
    let mut rest = covered;
    let body_crc = rest.get_u32_le();
    let packed = rest.get_u32_le();
    let [low, middle, high, kind] = packed.to_le_bytes();
    let kind = Kind::from_code(kind & 0x7F).ok_or(Flaw::Head)?;
    let payload_bytes = u32::from_le_bytes([low, middle, high, 0]) as usize;
    let masked = packed & MASKED != 0;
    let group = GroupId(rest.get_u32_le());
    let synced = rest.get_u32_le();
    let (term, index, epoch) = (rest.get_u64_le(), rest.get_u64_le(), rest.get_u64_le());
    let label = Label { kind, group, term, index };
    let head = Head { label, payload_bytes, masked, synced, epoch };
    match bytes.get(HEAD_BYTES..head.frame_bytes()) {
        Some(body) if crc32c::crc32c(body) == body_crc => Ok(Frame { head, head_crc, chain }),
        _ => Err(Flaw::Body(head)),
    }
}

fn next_chain(before: u32, head_crc: u32) -> u32 {
    crc32c::crc32c_append(before, &head_crc.to_le_bytes())
}

/// The bytes to store for a payload in a record at `offset`, and whether they are masked.
pub(super) fn storable(payload: &[u8], offset: usize) -> (Cow<'_, [u8]>, bool) {
    let first_whole = (offset + HEAD_BYTES).wrapping_neg() % SECTOR_BYTES;
    let whole = payload.get(first_whole..).unwrap_or_default().chunks_exact(SECTOR_BYTES);
    if !whole.clone().any(is_zero) {
        return (Cow::Borrowed(payload), false);
    }
    // Any number that no sector starts with leaves no sector zero. The mask itself goes first and
    // shifts the payload by a word.
    let start = (offset + HEAD_BYTES + MASK_BYTES).wrapping_neg() % SECTOR_BYTES;
    let sectors = payload.get(start..).unwrap_or_default().chunks(SECTOR_BYTES);
    let mut words: Vec<u64> = sectors
        .filter_map(|sector| sector.first_chunk().copied().map(u64::from_le_bytes))
        .collect();
    words.sort_unstable();
    let free = (1_u64..).find(|mask| words.binary_search(mask).is_err());
    let mask = free.unwrap_or(u64::MAX).to_le_bytes();
    let mut masked = Vec::with_capacity(MASK_BYTES + payload.len());
    masked.extend_from_slice(&mask);
    masked.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    (Cow::Owned(masked), true)
}

/// The payload that [`storable`] was given.
pub(super) fn unmasked(stored: Bytes, masked: bool) -> Bytes {
    if !masked {
        return stored;
    }
    let (mask, body) = stored.split_at_checked(MASK_BYTES).unwrap_or((&[0], &[]));
    body.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask).collect()
}

/// Whether all bytes are zero; compared in blocks, as the ends of segments are long.
pub(super) fn is_zero(bytes: &[u8]) -> bool {
    const ZEROS: [u8; 4096] = [0; 4096];
    bytes.chunks(ZEROS.len()).all(|block| ZEROS.get(..block.len()) == Some(block))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn head(payload_bytes: usize, masked: bool) -> Head {
        let label = Label { kind: Kind::Normal, group: GroupId(3), term: 5, index: 8 };
        Head { label, payload_bytes, masked, synced: 512, epoch: 2 }
    }

    fn encoded(payload: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        encode(&mut bytes, &head(payload.len(), false), payload, 77, 99);
        bytes
    }

    #[test]
    fn a_frame_checks_only_in_its_own_place() {
        let bytes = encoded(b"green tea");
        let frame = check(&bytes, 77).unwrap();
        assert_eq!(frame.head, head(9, false));
        assert!(frame.continues(99));
        assert!(!frame.continues(98));
        assert_eq!(check(&bytes, 78), Err(Flaw::Head));
    }

    #[test]
    fn every_flipped_bit_is_seen() {
        let bytes = encoded(b"green tea");
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let sound = check(&flipped, 77).is_ok_and(|frame| frame.continues(99));
            assert!(!sound, "bit {bit}");
        }
    }

    #[test]
    fn a_cut_frame_keeps_its_head() {
        let bytes = encoded(b"green tea");
        assert_eq!(check(&bytes[..HEAD_BYTES], 77), Err(Flaw::Body(head(9, false))));
        assert_eq!(check(&bytes[..HEAD_BYTES - 1], 77), Err(Flaw::Head));
    }

    proptest! {
        #[test]
        fn no_sector_of_a_stored_payload_is_zero(
            blocks in prop::collection::vec((0_u64..4, 1_usize..1200), 0..6),
            word in 1_usize..100,
        ) {
            // Runs of small repeated words hit both zero sectors and the first masks tried.
            let payload: Vec<u8> = blocks
                .iter()
                .flat_map(|(value, bytes)| value.to_le_bytes().into_iter().cycle().take(*bytes))
                .collect();
            let offset = word * 8;
            let (stored, masked) = storable(&payload, offset);
            let mut bytes = vec![0; offset];
            encode(&mut bytes, &head(stored.len(), masked), &stored, 1, 2);
            bytes.resize(bytes.len().next_multiple_of(SECTOR_BYTES), 0);
            let end = offset + frame_bytes(stored.len());
            for sector in offset / SECTOR_BYTES..end.div_ceil(SECTOR_BYTES) {
                let part = &bytes[(sector * SECTOR_BYTES).max(offset)..(sector + 1) * SECTOR_BYTES];
                prop_assert!(!is_zero(part), "sector {sector}");
            }
            let stored = Bytes::from(stored.into_owned());
            prop_assert_eq!(unmasked(stored, masked), payload);
        }
    }
}
