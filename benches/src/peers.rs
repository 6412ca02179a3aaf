//! The processes that a scenario starts: ours, the yardstick, and parts of this program.
//!
//! **Invariants:** a process is ended before its handle is gone; every port is a free one of the
//! loopback; every file is in a folder of the run.

pub(crate) mod bare;
pub(crate) mod cluster;
pub(crate) mod cpu;
pub(crate) mod fault_proxy;
pub(crate) mod folder;
pub(crate) mod omnicart;
pub(crate) mod part;
pub(crate) mod payment_simulator;
pub(crate) mod process;
pub(crate) mod small_disk;
