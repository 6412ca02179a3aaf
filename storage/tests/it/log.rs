//! The log against a disk that fails.
//!
//! Seeded runs: each file's constant says how many, and the environment variable `OMNICART_SEEDS`
//! replaces it for long runs. A failure prints its seed; run that one with `OMNICART_SEED=<seed>`.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "a test may panic, and looks at one variant at a time"
)]

mod crashes;
mod damage;
mod model;
mod plain;
mod space;
mod world;

use std::env::var;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

/// Runs a test once for each of `count` seeds and prints the seed of a failure.
fn for_seeds(count: u64, test: impl Fn(u64)) {
    let number = |name| var(name).ok().map(|text| text.parse().expect(name));
    let seeds = match number("OMNICART_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("OMNICART_SEEDS").unwrap_or(count),
    };
    for seed in seeds {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| test(seed))) {
            eprintln!("failed with OMNICART_SEED={seed}");
            resume_unwind(panic);
        }
    }
}
