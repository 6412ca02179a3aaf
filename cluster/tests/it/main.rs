//! The fabric as its users meet it: real files, real actors, one node.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    reason = "helpers of tests may fail loudly"
)]

mod clock_doubt;
mod cluster;
mod cluster_sim;
mod crash_sim;
mod draining;
mod fencing;
mod full_disk;
mod levels;
mod lone_shard;
mod memory_pressure;
mod mesh;
mod node;
mod old_copies;
mod operations;
mod overload;
mod oversized_turns;
mod partitions;
mod persistence;
mod ports;
mod reluctance;
mod removal;
mod resting;
mod slower_clock;
mod tally;
mod unled_reads;
mod waiting_tells;
