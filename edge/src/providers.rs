//! Those outside who do for a shop what it cannot do itself.

mod client;
pub mod payment;

pub use client::{Caller, InvalidOrigin, NoRoots, Origin, Roots, RootsError};
