//! The network between simulated nodes: late, lossy, doubling, reordering, cut one way or both.
//!
//! **Invariants:** what arrives was sent, unchanged; one attempt of a client arrives once at most, as
//! it does over one connection: whoever refuses it does not remember it. Everything else is up to the
//! seed.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use storage::sim_disk::SplitMix64;
use storage::snapshot::SnapshotMeta;

use crate::ids::{NodeId, ShardId};
use crate::node::bundle::{Item, Unpacking};
use crate::replication::codec::MessageError;
use crate::replication::transfer::ChunkWanted;
use crate::shard::io::{Command, Query, Reply, Token};
use crate::shard::outbox::Tell;
use crate::time::Span;

/// What one node sends another, or a client a node.
#[derive(Clone, Debug)]
pub(crate) enum Packet {
    /// What groups say to each other, as the frame it is on a real wire.
    Raft(Vec<u8>),
    Tell {
        target: ShardId,
        tell: Tell,
    },
    AckTells {
        source: ShardId,
        target: ShardId,
        up_to: u64,
    },
    Command {
        shard: ShardId,
        token: Token,
        command: Command,
    },
    Query {
        shard: ShardId,
        token: Token,
        query: Query,
    },
    Reply {
        token: Token,
        reply: Reply,
    },
    ChunkWanted {
        of: SnapshotMeta,
        wanted: ChunkWanted,
    },
    /// No bytes: the file is gone.
    Chunk {
        of: SnapshotMeta,
        offset: u64,
        bytes: Option<Vec<u8>>,
    },
}

impl fmt::Display for Packet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Raft(frame) => match Unpacking::of(frame) {
                Ok(items) => items.enumerate().try_for_each(|(nth, item)| {
                    f.write_str(if nth == 0 { "" } else { "; " })?;
                    describe(item, f)
                }),
                Err(error) => write!(f, "{error}"),
            },
            Self::Tell { target, tell } => {
                write!(f, "tell {} of shard {} for shard {target}", tell.seq, tell.from)
            }
            Self::AckTells { source, target, up_to } => {
                write!(f, "shard {target} took tells of shard {source} up to {up_to}")
            }
            Self::Command { shard, token, .. } => write!(f, "command {token} for shard {shard}"),
            Self::Query { shard, token, .. } => write!(f, "query {token} for shard {shard}"),
            Self::Reply { token, reply } => write!(f, "reply to {token}: {reply:?}"),
            Self::ChunkWanted { of, wanted } => {
                write!(f, "wants snapshot {} of shard {} from {}", of.id, of.shard, wanted.offset)
            }
            Self::Chunk { of, offset, .. } => {
                write!(f, "snapshot {} of shard {} from {offset}", of.id, of.shard)
            }
        }
    }
}

fn describe(item: Result<Item, MessageError>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match item {
        Ok(Item::Message(shard, message)) => {
            let (kind, term) = (message.get_msg_type(), message.term);
            let (index, n) = (message.index, message.get_entries().len());
            write!(f, "shard {shard} {kind:?} term {term} index {index} entries {n}")
        }
        Ok(Item::Beat(beat)) => write!(f, "{beat:?}"),
        Err(error) => write!(f, "{error}"),
    }
}

pub(crate) struct SimNet {
    random: SplitMix64,
    /// Links that carry nothing, by sender and receiver.
    cuts: BTreeSet<(NodeId, NodeId)>,
    /// By how much later everything arrives that is sent to these.
    delays: BTreeMap<NodeId, Span>,
    /// One packet in so many is lost; none when zero.
    pub(crate) loss_one_in: u64,
    pub(crate) lost: u64,
}

/// One packet in so many arrives twice, or late.
const DOUBLED_ONE_IN: u64 = 100;
const LATE_ONE_IN: u64 = 60;

impl SimNet {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            random: SplitMix64::new(seed),
            cuts: BTreeSet::new(),
            delays: BTreeMap::new(),
            loss_one_in: 0,
            lost: 0,
        }
    }

    /// After how long each copy of a packet arrives.
    pub(crate) fn send(&mut self, from: NodeId, to: NodeId, packet: &Packet) -> Vec<Span> {
        if from == to {
            return vec![Span::from_micros(1)];
        }
        let lost = self.loss_one_in > 0 && self.random.one_in(self.loss_one_in);
        if lost || self.cuts.contains(&(from, to)) {
            self.lost += 1;
            return Vec::new();
        }
        let is_doubled = self.random.one_in(DOUBLED_ONE_IN);
        let is_attempt = matches!(packet, Packet::Command { .. });
        let copies = if is_doubled && !is_attempt { 2 } else { 1 };
        let delay = self.delays.get(&to).copied().unwrap_or_default();
        (0..copies).map(|_| self.latency().plus(delay)).collect()
    }

    fn latency(&mut self) -> Span {
        let micros = match self.random.one_in(LATE_ONE_IN) {
            true => 1_000 + self.random.below(60_000),
            false => 150 + self.random.below(700),
        };
        Span::from_micros(micros)
    }

    pub(crate) fn cut(&mut self, from: NodeId, to: NodeId) {
        self.cuts.insert((from, to));
    }

    /// From here on, what is sent to a node takes so much longer.
    pub(crate) fn delay(&mut self, to: NodeId, by: Span) {
        self.delays.insert(to, by);
    }

    /// Whether there was a delay to end.
    pub(crate) fn end_delay(&mut self, to: NodeId) -> bool {
        self.delays.remove(&to).is_some()
    }

    pub(crate) fn heal(&mut self) {
        self.cuts.clear();
        self.delays.clear();
        self.loss_one_in = 0;
    }
}
