//! The shell around the pure core: actors, threads, files and clocks.

pub(crate) mod admission;
pub(crate) mod archive;
pub(crate) mod asking;
pub(crate) mod courier;
pub mod feed;
pub(crate) mod fetching;
pub(crate) mod floors;
pub mod identity;
pub mod joining;
pub(crate) mod leaders;
pub(crate) mod log_writer;
pub(crate) mod maintenance;
pub mod membership;
pub mod mesh;
pub(crate) mod network;
pub mod node;
pub(crate) mod opening;
pub(crate) mod peering;
pub mod ports;
pub(crate) mod postponed;
pub(crate) mod reception;
pub(crate) mod restore;
pub(crate) mod router;
pub(crate) mod services;
pub(crate) mod shard_actor;
pub(crate) mod snapshotting;
