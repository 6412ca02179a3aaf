//! The handlers, one resource a file.

pub(super) mod cart;
pub(super) mod documents;
pub(super) mod inventory;
pub(super) mod merge;
pub(super) mod nodes;
pub(super) mod payment;
pub(super) mod shards;
pub(super) mod system;
