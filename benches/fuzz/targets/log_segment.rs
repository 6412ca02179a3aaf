//! The log: segments and the records in them.
#![no_main]

use fuzz::{corpus, log};
use libfuzzer_sys::fuzz_target;

fuzz_target!(init: corpus::sow(log::seeds), |bytes: &[u8]| log::check(bytes));
