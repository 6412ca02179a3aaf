//! Keeping the replicas of a shard the same.

pub mod codec;
pub(crate) mod election;
pub mod group;
pub(crate) mod group_log;
pub mod members;
pub mod offer;
pub(crate) mod reached;
pub(crate) mod recovery;
pub mod term_runs;
pub mod transfer;
pub(crate) mod varint;
