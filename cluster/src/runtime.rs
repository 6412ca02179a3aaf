//! The shell around the pure core: actors, threads, files and clocks.

pub(crate) mod admission;
pub(crate) mod archive;
pub(crate) mod asking;
pub mod feed;
pub(crate) mod floors;
pub mod identity;
pub(crate) mod log_writer;
pub(crate) mod maintenance;
pub mod mesh;
pub mod node;
pub(crate) mod opening;
pub mod ports;
pub(crate) mod postponed;
pub(crate) mod restore;
pub(crate) mod router;
pub(crate) mod services;
pub(crate) mod shard_actor;
pub(crate) mod snapshotting;
