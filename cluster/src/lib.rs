//! The fabric: entities addressed by id, grouped in replicated shards.

pub(crate) mod blob;
pub mod entity;
pub mod fabric;
pub mod ids;
pub mod metrics;
pub mod placement;
pub mod replication;
pub mod runtime;
pub mod shard;
pub mod sim;
pub mod time;
