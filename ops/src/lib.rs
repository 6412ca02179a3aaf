//! The `omnicart` binary: settings, composition, telemetry and the operator's commands.
//!
//! **Invariants:** nothing here decides about carts or stock; settings are parsed once, before
//! anything is opened; a command that looks at a data folder cannot change it, because the disk it
//! is given cannot write.

pub mod carriers;
pub mod catalogue;
pub mod cli;
pub mod commands;
pub mod config;
pub mod demo;
pub mod failure;
pub mod folder;
pub mod fraud;
pub mod metrics;
pub mod payments;
mod providers;
pub mod serve;
pub mod telemetry;
