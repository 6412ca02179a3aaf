//! What runs where.

pub mod shard_map;
