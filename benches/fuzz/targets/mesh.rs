//! What other nodes send.
#![no_main]

use fuzz::{corpus, mesh};
use libfuzzer_sys::fuzz_target;

fuzz_target!(init: corpus::sow(mesh::seeds), |bytes: &[u8]| mesh::check(bytes));
