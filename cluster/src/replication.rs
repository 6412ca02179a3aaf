//! Keeping the replicas of a shard the same.

pub mod group;
pub(crate) mod group_log;
pub(crate) mod recovery;
