//! What a shard keeps: entries, its own record, those of entities, their addresses.
#![no_main]

use fuzz::{corpus, shard};
use libfuzzer_sys::fuzz_target;

fuzz_target!(init: corpus::sow(shard::seeds), |bytes: &[u8]| shard::check(bytes));
