//! Envelopes, version prefixes and compressed blocks.
#![no_main]

use fuzz::{codec, corpus};
use libfuzzer_sys::fuzz_target;

fuzz_target!(init: corpus::sow(codec::seeds), |bytes: &[u8]| codec::check(bytes));
