//! The fabric: entities addressed by id, grouped in shards, each shard a replicated state machine.
//!
//! `entity` is the programming model, `fabric` the handle everything above uses. `shard`,
//! `node`, `replication`, `placement`, `wire` and `sim` are pure: inputs in, outputs out. `runtime` is the
//! shell: ractor actors, threads, files and clocks around them.
//!
//! **Invariants:** what was acknowledged is in a synced log; a reply leaves after commit and apply;
//! one command takes effect once; a fault is contained to its command, or to its shard.
//!
//! **A cluster.** What nodes agree on (`placement::cluster`) is an entity like any other, in a group
//! that every node replicates. Whoever leads that group plans; whoever leads a shard carries the plan
//! out for it, one step at a time, from what its own group says. So nobody's memory is needed to go on.
//!
//! **Router ids.** A shard does not keep every routed command id for seconds: at 50,000 commands a
//! second on one SKU that would be megabytes in one record. A router numbers its commands per shard
//! and says below which number it has all its answers, so the shard keeps only what is in flight
//! (`shard::dedupe`). Replies of unkeyed commands are not logged; keyed ones are, in the record.
//!
//! **Applying on a leader.** The speculative record takes each outcome through the same code, from
//! the same bytes, as a follower's record. When the entry commits, it becomes the committed record
//! instead of applying twice; the simulator compares live state with replay.

pub(crate) mod blob;
pub mod catalogue;
pub mod entity;
pub mod fabric;
pub mod ids;
pub mod metrics;
pub mod mutants;
pub mod node;
pub mod placement;
pub mod replication;
pub mod runtime;
pub mod shard;
pub mod sim;
pub mod time;
pub mod wire;
