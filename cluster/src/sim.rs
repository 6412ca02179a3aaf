//! The simulator: the code that production runs, on a simulated disk and clock, from one seed.

pub(crate) mod checkpoint;
pub mod world;
