//! Records of the state index.
#![no_main]

use fuzz::{corpus, index};
use libfuzzer_sys::fuzz_target;

fuzz_target!(init: corpus::sow(index::seeds), |bytes: &[u8]| index::check(bytes));
