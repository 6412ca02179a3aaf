//! The bytes of the index's keys, values and per-shard summaries.
//!
//! **Invariants:**
//! - a value is `position u64, flags u8, crc u32, body`, little-endian, the checksum covering shard,
//!   key and everything else, so a value under the wrong key does not verify;
//! - a summary changes in the batch that changes the records it covers.

use bytes::Bytes;

use super::{IndexFault, IndexRecord, IndexWrite, SHARD_RESERVED};
use crate::codec::{Fields, mix, stable_hash};
use crate::seal::Seal;

const TOMBSTONE: u8 = 1;
const SEALED: u8 = 2;
const FLAGS_KNOWN: u8 = TOMBSTONE | SEALED;

/// `shard_be32 | key`, so that a shard's records lie together.
pub(super) fn record_key(shard: u32, key: &[u8]) -> Vec<u8> {
    let mut full = Vec::with_capacity(4 + key.len());
    full.extend_from_slice(&shard.to_be_bytes());
    full.extend_from_slice(key);
    full
}

/// Where the index keeps something of its own.
pub(super) fn own_key(what: u8, shard: u32) -> Vec<u8> {
    let mut key = SHARD_RESERVED.to_be_bytes().to_vec();
    key.push(what);
    key.extend_from_slice(&shard.to_be_bytes());
    key
}

/// A value of the index's own: one or more numbers and their checksum.
pub(super) fn own_value(key: &[u8], numbers: &[u64]) -> Vec<u8> {
    let mut value: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
    let crc = crc32c::crc32c_append(crc32c::crc32c(key), &value);
    value.extend_from_slice(&crc.to_le_bytes());
    value
}

/// Reads what [`own_value`] made.
pub(super) fn own_numbers<const N: usize>(key: &[u8], value: &[u8]) -> Option<[u64; N]> {
    let (covered, crc) = value.split_last_chunk::<4>()?;
    if crc32c::crc32c_append(crc32c::crc32c(key), covered) != u32::from_le_bytes(*crc) {
        return None;
    }
    let mut fields = Fields::new(covered);
    let mut numbers = [0; N];
    for number in &mut numbers {
        *number = fields.u64()?;
    }
    fields.is_empty().then_some(numbers)
}

/// How many records a shard has, and a sum over them that does not depend on their order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Summary {
    pub(super) count: u64,
    pub(super) sum: u64,
}

impl Summary {
    pub(super) fn add(&mut self, element: u64) {
        self.count = self.count.wrapping_add(1);
        self.sum = self.sum.wrapping_add(element);
    }

    pub(super) fn subtract(&mut self, element: u64) {
        self.count = self.count.wrapping_sub(1);
        self.sum = self.sum.wrapping_sub(element);
    }
}

/// What a record adds to its shard's sum. It needs the checksum only, not the opened body.
pub(super) fn element(full_key: &[u8], value: &[u8]) -> Option<u64> {
    let mut fields = Fields::new(value);
    let position = fields.u64()?;
    let flags = fields.u8()?;
    let crc = fields.u32()?;
    let tail = u64::from(crc) << 8 | u64::from(flags);
    Some(mix(stable_hash(full_key) ^ mix(position ^ mix(tail))))
}

/// The value to store for a write.
pub(super) fn encode(
    write: &IndexWrite,
    full_key: &[u8],
    seal: Option<&dyn Seal>,
) -> Result<Vec<u8>, IndexFault> {
    let (flags, sealed);
    let body: &[u8] = match (&write.body, seal) {
        (None, _) => {
            flags = TOMBSTONE;
            &[]
        }
        (Some(body), None) => {
            flags = 0;
            body
        }
        (Some(body), Some(seal)) => {
            flags = SEALED;
            let aad = sealing_place(full_key, write.position);
            sealed = seal
                .seal(&aad, body)
                .map_err(|source| IndexFault::Seal { shard: write.shard, source })?;
            &sealed
        }
    };
    let mut value = Vec::with_capacity(13 + body.len());
    value.extend_from_slice(&write.position.to_le_bytes());
    value.push(flags);
    value.extend_from_slice(&checksum(full_key, write.position, flags, body).to_le_bytes());
    value.extend_from_slice(body);
    Ok(value)
}

/// Verifies a stored value and opens it.
pub(super) fn decode(
    shard: u32,
    full_key: &[u8],
    value: &[u8],
    seal: Option<&dyn Seal>,
) -> Result<IndexRecord, IndexFault> {
    let key = full_key.get(4..).unwrap_or_default();
    let damaged = |reason| IndexFault::Record { shard, key_hash: stable_hash(key), reason };
    let mut fields = Fields::new(value);
    let (Some(position), Some(flags), Some(crc)) = (fields.u64(), fields.u8(), fields.u32()) else {
        return Err(damaged("it is too short"));
    };
    let stored = fields.rest();
    if checksum(full_key, position, flags, stored) != crc {
        return Err(damaged("its checksum does not match"));
    }
    let body = match (flags, seal) {
        (flags, _) if flags & !FLAGS_KNOWN != 0 => return Err(damaged("its flags are unknown")),
        (flags, _) if flags & TOMBSTONE != 0 => None,
        (flags, _) if flags & SEALED == 0 => Some(Bytes::copy_from_slice(stored)),
        (_, None) => return Err(damaged("it is sealed and no key was given")),
        (_, Some(seal)) => {
            let opened = seal.open(&sealing_place(full_key, position), stored);
            let opened = opened.map_err(|source| IndexFault::Seal { shard, source })?;
            Some(Bytes::from(opened))
        }
    };
    Ok(IndexRecord { position, body })
}

fn checksum(full_key: &[u8], position: u64, flags: u8, body: &[u8]) -> u32 {
    let crc = crc32c::crc32c(full_key);
    let crc = crc32c::crc32c_append(crc, &position.to_le_bytes());
    let crc = crc32c::crc32c_append(crc, &[flags]);
    crc32c::crc32c_append(crc, body)
}

/// Associated data: a sealed body opens only under its own key and position.
fn sealing_place(full_key: &[u8], position: u64) -> Vec<u8> {
    let mut place = b"index".to_vec();
    place.extend_from_slice(full_key);
    place.extend_from_slice(&position.to_le_bytes());
    place
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vault::Vault;
    use proptest::prelude::*;

    fn write(body: Option<&[u8]>) -> (IndexWrite, Vec<u8>) {
        let key = Bytes::from_static(b"cart-1");
        let body = body.map(Bytes::copy_from_slice);
        let full = record_key(3, &key);
        (IndexWrite { shard: 3, key, position: 0x0102, body }, full)
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn the_bytes_of_keys_and_values_are_fixed() {
        let (put, full) = write(Some(b"tea"));
        assert_eq!(hex(&full), "00000003636172742d31");
        let value = encode(&put, &full, None).unwrap();
        assert_eq!(hex(&value), "02010000000000000010af5a87746561");
        let (deleted, full) = write(None);
        assert_eq!(hex(&encode(&deleted, &full, None).unwrap()), "02010000000000000117ed13d7");
        assert_eq!(hex(&own_key(b's', 3)), "ffffffff7300000003");
        assert_eq!(hex(&own_value(b"k", &[1, 2])), "01000000000000000200000000000000dea0f3cd");
        assert_eq!(element(&full, &value), Some(0xebd1_4532_3e38_610d));
    }

    #[test]
    fn a_value_is_good_under_its_own_key_only() {
        let vault = Vault::from_key([1; 32]);
        for seal in [None, Some(&vault as &dyn Seal)] {
            for body in [None, Some(&b"tea"[..]), Some(b"")] {
                let (put, full) = write(body);
                let value = encode(&put, &full, seal).unwrap();
                let read = decode(3, &full, &value, seal).unwrap();
                assert_eq!((read.position, read.body), (put.position, put.body));
                assert!(decode(3, &record_key(3, b"cart-2"), &value, seal).is_err());
                assert!(decode(4, &record_key(4, b"cart-1"), &value, seal).is_err());
                for bit in 0..value.len() * 8 {
                    let mut damaged = value.clone();
                    damaged[bit / 8] ^= 1 << (bit % 8);
                    assert!(decode(3, &full, &damaged, seal).is_err(), "bit {bit}");
                }
            }
        }
    }

    #[test]
    fn a_summary_does_not_depend_on_the_order() {
        let (mut one, mut two) = (Summary::default(), Summary::default());
        [5, 9, 7].into_iter().for_each(|element| one.add(element));
        [7, 7, 5, 9].into_iter().for_each(|element| two.add(element));
        assert_ne!(one, two);
        two.subtract(7);
        assert_eq!(one, two);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn arbitrary_values_are_refused(value in proptest::collection::vec(any::<u8>(), 0..100)) {
            prop_assert!(decode(3, &record_key(3, b"cart-1"), &value, None).is_err());
            prop_assert_eq!(own_numbers::<2>(b"k", &value), None);
            prop_assert_eq!(element(b"k", &value).is_some(), value.len() >= 13);
        }
    }
}
