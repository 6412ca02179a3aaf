//! The identity of a data folder.
#![no_main]

use fuzz::{corpus, identity};
use libfuzzer_sys::fuzz_target;

fuzz_target!(init: corpus::sow(identity::seeds), |bytes: &[u8]| identity::check(bytes));
