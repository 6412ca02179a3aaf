//! The HTTP API, from the request to its answer.
#![no_main]

use fuzz::{corpus, rim};
use libfuzzer_sys::fuzz_target;

fuzz_target!(init: corpus::sow(rim::seeds), |bytes: &[u8]| rim::check(bytes));
