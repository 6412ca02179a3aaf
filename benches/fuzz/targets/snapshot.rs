//! Snapshot files, read and received.
#![no_main]

use fuzz::{corpus, snapshot};
use libfuzzer_sys::fuzz_target;

fuzz_target!(init: corpus::sow(snapshot::seeds), |bytes: &[u8]| snapshot::check(bytes));
