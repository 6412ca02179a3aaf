//! Everything an order has as bytes.
#![no_main]

use fuzz::{corpus, order};
use libfuzzer_sys::fuzz_target;

fuzz_target!(init: corpus::sow(order::seeds), |bytes: &[u8]| order::check(bytes));
