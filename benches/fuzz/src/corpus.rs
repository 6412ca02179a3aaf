//! Lays a target's seeds into its corpus before libFuzzer reads it.

use std::path::Path;
use std::{env, fs};

/// Writes the seeds into the first folder of the command line; without one, as when a single input
/// is tried again, it does nothing.
///
/// # Panics
/// If they cannot be written: without seeds a run would say little.
pub fn sow(seeds: fn() -> Vec<Vec<u8>>) {
    let folder = env::args_os().skip(1).find(|argument| Path::new(argument).is_dir());
    let Some(folder) = folder else { return };
    for (nth, seed) in seeds().into_iter().enumerate() {
        let path = Path::new(&folder).join(format!("seed-{nth:03}"));
        fs::write(&path, seed).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }
}
