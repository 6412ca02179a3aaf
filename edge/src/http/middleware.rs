//! What happens to every request around its handler.

pub(crate) mod request_id;
pub(super) mod rim;
mod trace_parent;
