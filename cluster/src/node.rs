//! What a node does for all of its groups at once, as a pure state machine around their cores.

pub mod bundle;
pub mod core;
pub mod rest;
pub(crate) mod roll;
