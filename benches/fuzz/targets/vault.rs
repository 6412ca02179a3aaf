//! Sealed bytes, key markers and key files.
#![no_main]

use fuzz::{corpus, vault};
use libfuzzer_sys::fuzz_target;

fuzz_target!(init: corpus::sow(vault::seeds), |bytes: &[u8]| vault::check(bytes));
