//! The fabric as its users meet it: real files, real actors, one node.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    reason = "helpers of tests may fail loudly"
)]

mod cluster;
mod cluster_sim;
mod crash_sim;
mod ledger;
mod mesh;
mod node;
mod persistence;
mod tally;
