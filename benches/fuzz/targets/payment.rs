//! Everything a payment has as bytes.
#![no_main]

use fuzz::{corpus, payment};
use libfuzzer_sys::fuzz_target;

fuzz_target!(init: corpus::sow(payment::seeds), |bytes: &[u8]| payment::check(bytes));
