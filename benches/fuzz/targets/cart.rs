//! Everything a cart has as bytes.
#![no_main]

use fuzz::{cart, corpus};
use libfuzzer_sys::fuzz_target;

fuzz_target!(init: corpus::sow(cart::seeds), |bytes: &[u8]| cart::check(bytes));
