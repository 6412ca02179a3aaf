//! Records of the state index.

use bytes::Bytes;
use storage::seal::Seal;
use storage::state::{IndexRecord, IndexWrite};

use crate::allocation::bounded;
use crate::world::{Marked, choosing, chosen};

const SHARD: u32 = 3;
const KEY: &[u8] = b"cart-1";
const FIXED_BYTES: usize = 1 << 20;

fn seal(choice: usize) -> Option<&'static dyn Seal> {
    if choice == 0 { None } else { Some(&Marked) }
}

/// # Panics
/// If a decoder breaks a promise.
pub fn check(bytes: &[u8]) {
    let (choice, bytes) = chosen(bytes);
    let seal = seal(choice);
    let read = |value: &[u8]| IndexRecord::from_stored(SHARD, KEY, value, seal);
    if let Ok(record) = bounded(bytes.len(), FIXED_BYTES, || read(bytes)) {
        let stored = write(&record).to_stored(seal).expect("it was read");
        assert_eq!(read(&stored).expect("stored above"), record);
    }
}

fn write(record: &IndexRecord) -> IndexWrite {
    let IndexRecord { position, body } = record.clone();
    IndexWrite { shard: SHARD, key: Bytes::from_static(KEY), position, body }
}

pub fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for choice in 0..2 {
        for body in [None, Some(Bytes::from_static(b"")), Some(Bytes::from_static(b"tea"))] {
            let stored = write(&IndexRecord { position: 9, body }).to_stored(seal(choice.into()));
            seeds.push(choosing(choice, &stored.expect("a seal that works")));
        }
    }
    seeds
}
