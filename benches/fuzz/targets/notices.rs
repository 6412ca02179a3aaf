//! What payment providers say unasked.
#![no_main]

use fuzz::{corpus, notices};
use libfuzzer_sys::fuzz_target;

fuzz_target!(init: corpus::sow(notices::seeds), |bytes: &[u8]| notices::check(bytes));
