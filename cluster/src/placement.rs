//! What runs where.
//!
//! `cluster` is what all nodes agree on, `planner` decides what is wanted, `steps` how a shard gets
//! there, `shard_map` which shard an entity belongs to.

mod bytes;
pub mod cluster;
#[cfg(test)]
mod cluster_tests;
pub mod giving_up;
pub mod member;
pub mod planner;
pub mod shard_map;
pub mod steps;
pub mod survey;
pub mod tolerance;
