//! The simulator: the code that production runs, on simulated disks, clocks and networks, from one
//! seed.

pub(crate) mod agent;
pub(crate) mod checkpoint;
pub mod client;
pub(crate) mod clock;
pub mod cluster;
pub mod coverage;
pub(crate) mod events;
pub(crate) mod indexing;
pub(crate) mod inspection;
pub mod ledger;
pub mod linearizability;
pub(crate) mod links;
pub(crate) mod nemesis;
pub(crate) mod net;
pub(crate) mod node;
pub(crate) mod operator;
pub mod port;
pub(crate) mod resets;
#[cfg(test)]
mod resting_tests;
pub mod run;
pub(crate) mod state_index;
pub(crate) mod tally;
pub(crate) mod witness;
pub mod workload;
pub mod world;
