//! The cluster in JSON, as operators get it and as `omnicart cluster` reads it back.
//!
//! **Invariants:** what is not known is null, never a guess; a reader of an older version passes over
//! members that it does not know.

mod rendering;
mod schema;

use serde::{Deserialize, Serialize};

/// How the group that agrees on the cluster is called where a shard's number may stand.
pub const META: &str = "meta";

/// The answer to `GET /system/v1/cluster`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterDocument {
    /// The node that was asked.
    pub answered_by: u64,
    pub incarnation: u32,
    /// The sequence of the cluster's own entity, for `If-Match`; null where it could not be asked.
    pub seq: Option<u64>,
    /// Counts what was agreed on; 0 of a node that is alone.
    pub version: u64,
    pub level: u32,
    /// Whether what is agreed could be asked for; else it is what this node last heard.
    pub current: bool,
    /// Whether every node answered.
    pub complete: bool,
    pub unanswered: Vec<u64>,
    pub fault_tolerant: bool,
    /// Why not.
    pub risk: Option<String>,
    pub nodes: Vec<NodeDocument>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeDocument {
    pub id: u64,
    pub number: Option<u16>,
    pub generation: u32,
    pub address: Option<String>,
    pub zone: Option<String>,
    /// `active`, `draining`, `leaving`, `lost` or `removed`; null of a node that is alone.
    pub standing: Option<String>,
    pub levels: Option<LevelsDocument>,
    /// Whether it answered.
    pub live: bool,
    /// How long ago any node that answered heard of it.
    pub last_heard_ms: Option<u64>,
    /// Nodes that answered and have no whole link to it.
    pub unlinked_from: Vec<u64>,
    /// Shards that it leads and serves, and shards that it has a replica of.
    pub leads: Option<u64>,
    pub holds: Option<u64>,
    pub version: Option<String>,
    pub uptime_ms: Option<u64>,
    pub ready: Option<bool>,
    pub stopping: Option<bool>,
    pub storage_full: Option<bool>,
    /// Its clock against that of the node that was asked; as exact as an answer is quick.
    pub clock_ahead_ms: Option<i64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LevelsDocument {
    pub lowest: u32,
    pub highest: u32,
}

/// The answer to `GET /system/v1/shards`: all of them, in one page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShardsDocument {
    pub answered_by: u64,
    pub current: bool,
    pub complete: bool,
    pub unanswered: Vec<u64>,
    pub data: Vec<ShardDocument>,
    pub has_more: bool,
    pub next_cursor: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShardDocument {
    pub id: u32,
    /// Whether it is the group that agrees on the cluster.
    pub meta: bool,
    pub leader: Option<u64>,
    pub serving: Serving,
    pub term: u64,
    pub commit: u64,
    pub applied: u64,
    /// Committed entries that are not applied yet.
    pub lag: u64,
    /// Log and snapshot on the leader's disk.
    pub bytes: u64,
    pub voters: Vec<u64>,
    pub learners: Vec<u64>,
    /// Who is to vote, whoever is to lead first; empty of a node that is alone.
    pub wanted: Vec<u64>,
    pub pin: Option<u64>,
    pub moving: bool,
    /// Whether a replica stopped after a fault.
    pub fenced: bool,
    pub replicas: Vec<ReplicaDocument>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Serving {
    Yes,
    No,
    /// Whoever may lead it did not answer.
    Unknown,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplicaDocument {
    pub node: u64,
    pub role: ReplicaRole,
    pub term: Option<u64>,
    pub commit: Option<u64>,
    pub applied: Option<u64>,
    pub last: Option<u64>,
    /// Entries it has yet to acknowledge to the leader.
    pub behind: Option<u64>,
    /// Whether the leader hears it.
    pub heard_by_leader: Option<bool>,
    /// `probing`, `streaming` or `snapshot`: how the leader feeds it.
    pub pace: Option<String>,
    /// Why it stopped.
    pub fenced: Option<String>,
    /// False while it catches up with a snapshot.
    pub whole: Option<bool>,
    pub entities: Option<u64>,
    pub memory_bytes: Option<u64>,
    pub log_bytes: Option<u64>,
    pub snapshot_bytes: Option<u64>,
    pub clock_doubt_ms: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReplicaRole {
    Leader,
    /// Elected, and not serving yet.
    Starting,
    Voter,
    Learner,
    /// Its node answered, the replica did not in time, or is not there yet.
    Mute,
    /// Its node did not answer.
    Silent,
}

/// The answer to a change of a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeChange {
    pub id: u64,
    pub standing: String,
}

/// The answer to a change of a shard.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShardChange {
    pub id: u32,
    /// Who is to lead; null when that is left to the cluster.
    pub to: Option<u64>,
}
