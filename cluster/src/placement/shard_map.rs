//! Which shard owns which slot.
//!
//! **Invariants:** every slot has exactly one shard; slots are dealt in equal runs, so the map of a
//! given number of shards is the same everywhere without being exchanged.

use crate::entity::Home;
use crate::ids::{EntityKey, ShardId, Slot};

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

    /// The group of an entity, whose kind lives there.
    pub fn group_of(self, home: Home, key: &EntityKey) -> ShardId {
        match home {
            Home::Shard => self.shard_of(key.slot()),
            Home::Everywhere(group) => group,
        }
    }

    /// The first slot of a shard. A group that every node replicates needs none.
    pub fn first_slot(self, group: ShardId) -> Slot {
        let first = (u64::from(group.0) * u64::from(SLOTS)).div_ceil(u64::from(self.n_shards));
        Slot::from_bits(u16::try_from(first).unwrap_or(0))
    }

    pub fn shards(self) -> impl ExactSizeIterator<Item = ShardId> {
        (0..self.n_shards).map(ShardId)
    }

    /// Every group there is, in the order of [`Self::nth`]: the shards, then those everywhere.
    pub fn groups(self) -> impl Iterator<Item = ShardId> {
        self.shards().chain(ShardId::EVERYWHERE)
    }

    pub fn n_groups(self) -> usize {
        self.shards().len() + ShardId::EVERYWHERE.len()
    }

    /// A group's place in a list of all; `None` when there is no such group.
    pub fn nth(self, group: ShardId) -> Option<usize> {
        if let Some(nth) = ShardId::EVERYWHERE.iter().position(|everywhere| *everywhere == group) {
            return Some(self.shards().len() + nth);
        }
        usize::try_from(group.0).ok().filter(|nth| *nth < self.shards().len())
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
    fn a_shard_begins_with_its_first_slot() {
        for n_shards in [1, 3, 64, 4_096] {
            let map = ShardMap::even(n_shards).expect("possible");
            for shard in map.shards() {
                let first = map.first_slot(shard);
                assert_eq!(map.shard_of(first), shard);
                let before = first.bits().checked_sub(1).map(Slot::from_bits);
                assert!(before.is_none_or(|before| map.shard_of(before) != shard));
            }
            assert_eq!(map.first_slot(ShardId::CATALOGUE), Slot::from_bits(0));
        }
    }

    #[test]
    fn every_group_has_its_place_in_the_list_of_all() {
        let map = ShardMap::even(3).expect("3 shards are possible");
        let places: Vec<_> = map.groups().map(|group| map.nth(group)).collect();
        assert_eq!(places, [Some(0), Some(1), Some(2), Some(3), Some(4)]);
        assert_eq!((map.n_groups(), map.nth(ShardId(3))), (5, None));
    }

    #[test]
    fn no_shard_and_too_many_shards_are_refused() {
        assert!(ShardMap::even(0).is_err());
        assert!(ShardMap::even(ShardMap::SHARDS_MAX + 1).is_err());
    }
}
