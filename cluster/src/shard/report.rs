//! What a node says about itself and its replicas when another node asks for an operator.
//!
//! **Invariants:** a report is what one node knows at one moment and claims nothing about others,
//! but for what a leader must know of its followers; one report has at most `REPLICAS_MAX`
//! replicas, so it fits a frame however many shards there are.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use storage::codec;

use crate::entity::DecodeError;
use crate::ids::{NodeId, ShardId};
use crate::replication::group::catching_up::{FollowerStatus, Pace as RaftPace};
use crate::shard::core::ShardCore;
use crate::shard::versioned;

const VERSION: u16 = 1;
/// Replicas in one report; the rest is asked for again.
pub(crate) const REPLICAS_MAX: usize = 1_024;

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeReport {
    /// The program's version.
    pub version: String,
    pub uptime_ms: u64,
    /// The node's wall clock when it answered, since the Unix epoch.
    pub clock_micros: u64,
    /// Of the cluster as this node has it.
    pub cluster_version: u64,
    pub is_ready: bool,
    pub is_stopping: bool,
    /// Its log takes nothing new for want of disk space.
    pub is_storage_full: bool,
    pub peers: Vec<PeerReport>,
    pub replicas: Vec<ReplicaReport>,
    /// Shards whose replica here gave no answer in time.
    pub mute: Vec<ShardId>,
    /// Where to go on asking.
    pub next: Option<ShardId>,
}

/// How one node hears another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerReport {
    pub node: NodeId,
    /// `None`: it was never heard by this run of the node.
    pub silent_ms: Option<u64>,
    /// Whether every lane to it is open.
    pub is_linked: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplicaReport {
    pub group: ShardId,
    pub role: Role,
    /// Who leads as far as this replica knows, itself included.
    pub leader: Option<NodeId>,
    pub term: u64,
    pub commit: u64,
    pub applied: u64,
    /// The last entry it has, committed or not.
    pub last: u64,
    pub voters: BTreeSet<NodeId>,
    pub learners: BTreeSet<NodeId>,
    /// The log index of the change that made the members.
    pub members_at: u64,
    /// Members are changing, or the lead is being handed over.
    pub is_changing: bool,
    /// Of a leader.
    pub followers: Vec<FollowerReport>,
    /// Why it serves nothing until the program is mended.
    pub fenced: Option<String>,
    /// Whether its state is that of one moment: not so while it catches up with a snapshot.
    pub is_whole: bool,
    pub entities: u64,
    pub memory_bytes: u64,
    /// Log since its last snapshot.
    pub log_bytes: u64,
    pub snapshot_bytes: u64,
    /// How far the machine's clock jumped ahead of what the shard believes.
    pub clock_doubt_ms: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Role {
    /// It leads and serves.
    Leads,
    /// It was elected and has yet to apply what came before it.
    Begins,
    Votes,
    Learns,
}

/// What a leader knows of one replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FollowerReport {
    pub node: NodeId,
    pub matched: u64,
    /// Entries it has yet to acknowledge.
    pub behind: u64,
    pub is_live: bool,
    pub pace: Pace,
}

/// How a leader feeds a replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Pace {
    Probing,
    Streaming,
    Snapshot,
}

impl NodeReport {
    pub(crate) fn encode(&self) -> Vec<u8> {
        codec::encode_versioned(VERSION, self)
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        versioned::decode("a report of another node", VERSION, bytes)
    }
}

impl ShardCore {
    /// `None` where this node holds no replica.
    pub fn report(&self) -> Option<ReplicaReport> {
        if !self.is_held() {
            return None;
        }
        let members = self.group.members();
        let nodes = |ids: &[u64]| ids.iter().map(|id| NodeId(*id)).collect::<BTreeSet<_>>();
        let role = match (self.leads_started(), self.group.is_leader()) {
            (true, _) => Role::Leads,
            (false, true) => Role::Begins,
            (false, false) if members.has_voter(self.node) => Role::Votes,
            (false, false) => Role::Learns,
        };
        let is_leader = self.group.is_leader();
        let leader = if is_leader { Some(self.node) } else { self.group.other_leader() };
        Some(ReplicaReport {
            group: self.id,
            role,
            leader,
            term: self.group.term(),
            commit: self.group.commit(),
            applied: self.applied.0,
            last: self.group.last_index(),
            voters: nodes(&members.voters),
            learners: nodes(&members.learners),
            members_at: members.at,
            is_changing: members.is_changing() || self.group.is_transferring(),
            followers: self.follower_reports(),
            fenced: self.fenced.clone(),
            is_whole: self.is_whole(),
            entities: count(self.residents.count()),
            memory_bytes: count(self.residents.hot_bytes()),
            log_bytes: 0,
            snapshot_bytes: 0,
            clock_doubt_ms: self.clock_doubt().as_micros() / 1_000,
        })
    }

    fn follower_reports(&self) -> Vec<FollowerReport> {
        let progress = self.group.progress();
        let report = |FollowerStatus { node, matched, pace, .. }: FollowerStatus| FollowerReport {
            node,
            matched,
            behind: progress.get(&node).map_or(0, |progress| progress.behind),
            is_live: progress.get(&node).is_some_and(|progress| progress.is_live),
            pace: match pace {
                RaftPace::Probing => Pace::Probing,
                RaftPace::Streaming => Pace::Streaming,
                RaftPace::Snapshot => Pace::Snapshot,
            },
        };
        self.group.followers().into_iter().map(report).collect()
    }
}

fn count(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}
