//! The binary and the repository, tested from outside.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "helpers of tests may fail loudly, and say what they skip"
)]

mod audit;
mod binary;
mod carrier_simulator;
mod certs;
mod client;
mod cluster;
mod crash;
mod fleet;
mod folders;
mod imports;
mod old_folders;
mod payment_simulator;
mod refusals;
mod rotation;
mod running;
mod schemathesis;
mod server;
mod set_back;
mod sim;
mod three_nodes;
mod tidy;
mod upgrade;
