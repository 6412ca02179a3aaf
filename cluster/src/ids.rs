//! Who is who in the fabric: slots, shards, entity kinds and the address of an entity.
//!
//! **Invariants:** an id never changes its slot, because the slot is part of the id (or a stable
//! hash of a name); an [`EntityRef`] orders and compares by kind, then key, on every machine alike.
//!
//! Which shard owns a slot is not decided here but in `placement::shard_map`.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::placement::shard_map::ShardMap;

/// Where an id is routed: one of 65,536 slots, fixed for the life of the id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Slot(u16);

impl Slot {
    pub const fn from_bits(bits: u16) -> Self {
        Self(bits)
    }

    pub const fn bits(self) -> u16 {
        self.0
    }

    /// The slot of a name chosen by a person, such as a SKU: FNV-1a, then Murmur3's finalizer, which
    /// spreads the short and similar names of a catalogue. Written out here because it must never
    /// change, whatever a library decides.
    pub fn of_name(name: &str) -> Self {
        let mut hash: u32 = 0x811c_9dc5;
        for byte in name.bytes() {
            hash = (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193);
        }
        hash = (hash ^ (hash >> 16)).wrapping_mul(0x85eb_ca6b);
        hash = (hash ^ (hash >> 13)).wrapping_mul(0xc2b2_ae35);
        let [high, low, ..] = (hash ^ (hash >> 16)).to_be_bytes();
        Self(u16::from_be_bytes([high, low]))
    }
}

/// One replicated state machine of the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ShardId(pub u32);

impl ShardId {
    /// The group that agrees on the cluster itself. No slot leads to it.
    pub const META: Self = Self(ShardMap::SHARDS_MAX);
    /// The group that holds what is for sale. No slot leads to it.
    pub const CATALOGUE: Self = Self(ShardMap::SHARDS_MAX + 1);
    /// The groups that every node replicates.
    pub const EVERYWHERE: [Self; 2] = [Self::META, Self::CATALOGUE];

    pub fn is_everywhere(self) -> bool {
        Self::EVERYWHERE.contains(&self)
    }
}

impl fmt::Display for ShardId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// A member of the cluster. Zero is never a node: Raft uses it for "nobody".
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct NodeId(pub u64);

/// Raised when a cluster is restored from a backup, so that positions of before mean nothing after.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Incarnation(pub u32);

/// What sort of entity an address names. The number is on disk: never reuse one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct EntityKind(pub u8);

/// The key of an entity within its kind.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum EntityKey {
    /// A generated id: two bytes of slot, fourteen bytes that make it unique.
    Number([u8; 16]),
    /// A name chosen by a person, such as a SKU.
    Name(Box<str>),
}

impl EntityKey {
    /// A generated id in `slot`.
    pub fn in_slot(slot: Slot, unique: [u8; 14]) -> Self {
        let mut bytes = [0; 16];
        for (to, from) in bytes.iter_mut().zip(slot.bits().to_be_bytes().iter().chain(&unique)) {
            *to = *from;
        }
        Self::Number(bytes)
    }

    pub fn slot(&self) -> Slot {
        match self {
            Self::Number([high, low, ..]) => Slot::from_bits(u16::from_be_bytes([*high, *low])),
            Self::Name(name) => Slot::of_name(name),
        }
    }
}

/// The address of one entity, anywhere in the cluster.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct EntityRef {
    pub kind: EntityKind,
    pub key: EntityKey,
}

impl fmt::Display for EntityRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/", self.kind.0)?;
        match &self.key {
            EntityKey::Number(bytes) => bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}")),
            EntityKey::Name(name) => f.write_str(name),
        }
    }
}

/// A place in the history of one shard, as handed to clients: a read at or past it sees the write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    pub incarnation: Incarnation,
    pub shard: ShardId,
    pub index: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_keeps_its_slot_for_ever() {
        let slots = ["", "TEA-GREEN-100", "a"].map(|name| Slot::of_name(name).bits());
        assert_eq!(slots, [43_838, 32_668, 6_784]);
    }

    #[test]
    fn similar_names_spread_over_the_shards() {
        let mut per_shard = [0_u32; 64];
        for n in 0..6_400 {
            let slot = Slot::of_name(&format!("SKU-{n}")).bits();
            per_shard[usize::from(slot >> 10)] += 1;
        }
        let (least, most) = (per_shard.iter().min(), per_shard.iter().max());
        assert!(least >= Some(&60) && most <= Some(&150), "{least:?} to {most:?}");
    }

    #[test]
    fn a_generated_id_carries_its_slot() {
        let slot = Slot::from_bits(0xbeef);
        assert_eq!(EntityKey::in_slot(slot, [7; 14]).slot(), slot);
    }
}
