//! What an operator writes: settings, catalogues, key files.
#![no_main]

use fuzz::{corpus, settings};
use libfuzzer_sys::fuzz_target;

fuzz_target!(init: corpus::sow(settings::seeds), |bytes: &[u8]| settings::check(bytes));
