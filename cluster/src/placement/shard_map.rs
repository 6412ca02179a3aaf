//! Which shard owns which slot.
//!
//! **Invariants:** every slot has exactly one shard; slots are dealt in equal runs, so the map of a
//! given number of shards is the same everywhere without being exchanged.

use crate::ids::{ShardId, Slot};

const SLOTS: u32 = 1 << 16;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShardMap {
    n_shards: u32,
}

#[derive(Debug, thiserror::Error)]
#[error("{0} shards: between 1 and {max} are possible", max = ShardMap::SHARDS_MAX)]
pub struct ShardCountError(u32);

impl ShardMap {
    pub const SHARDS_MAX: u32 = 4_096;

    pub fn even(n_shards: u32) -> Result<Self, ShardCountError> {
        match n_shards {
            1..=Self::SHARDS_MAX => Ok(Self { n_shards }),
            _ => Err(ShardCountError(n_shards)),
        }
    }

    pub fn shard_of(self, slot: Slot) -> ShardId {
        ShardId(u32::from(slot.bits()) * self.n_shards / SLOTS)
    }

    pub fn shards(self) -> impl ExactSizeIterator<Item = ShardId> {
        (0..self.n_shards).map(ShardId)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_dealt_in_equal_runs() {
        let map = ShardMap::even(64).expect("64 shards are possible");
        let mut slots_of = vec![0_u32; 64];
        for bits in 0..=u16::MAX {
            let shard = map.shard_of(Slot::from_bits(bits));
            slots_of[usize::try_from(shard.0).expect("fits")] += 1;
        }
        assert!(slots_of.iter().all(|slots| *slots == 1_024));
    }

    #[test]
    fn no_shard_and_too_many_shards_are_refused() {
        assert!(ShardMap::even(0).is_err());
        assert!(ShardMap::even(ShardMap::SHARDS_MAX + 1).is_err());
    }
}
