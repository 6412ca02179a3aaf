//! Bytes that survive: the log, shard snapshots, history, the state index, the codec, encryption.

pub mod clock;
pub mod codec;
pub mod disk;
mod folders;
pub mod history;
pub mod log;
pub mod metrics;
pub mod mutants;
pub mod seal;
pub mod sim_disk;
pub mod snapshot;
pub mod state;
pub mod vault;
