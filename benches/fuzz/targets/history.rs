//! History files.
#![no_main]

use fuzz::{corpus, history};
use libfuzzer_sys::fuzz_target;

fuzz_target!(init: corpus::sow(history::seeds), |bytes: &[u8]| history::check(bytes));
