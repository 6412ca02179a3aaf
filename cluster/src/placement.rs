//! What runs where.
//!
//! `cluster` is what all nodes agree on, `planner` decides what is wanted, `steps` how a shard gets
//! there, `shard_map` which shard an entity belongs to. `governing` is what the leader of `meta` does
//! with that, `tending` what the leader of a group does: on real nodes and simulated ones.

mod bytes;
pub mod cluster;
#[cfg(test)]
mod cluster_tests;
pub mod giving_up;
pub mod governing;
pub mod member;
pub mod planner;
pub mod shard_map;
pub mod steps;
pub mod survey;
pub mod tending;
pub mod tolerance;
