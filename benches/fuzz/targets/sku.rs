//! Everything a stock has as bytes.
#![no_main]

use fuzz::{corpus, sku};
use libfuzzer_sys::fuzz_target;

fuzz_target!(init: corpus::sow(sku::seeds), |bytes: &[u8]| sku::check(bytes));
