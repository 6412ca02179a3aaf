//! What replicas said and did, remembered beyond their restarts, and held against what they say next.
//!
//! **Invariants:** a replica votes for one candidate in a term, never goes back to a term before one
//! it spoke in, and holds what it said it holds.

use std::collections::BTreeMap;

use raft::eraftpb::{Message, MessageType};

use crate::ids::{NodeId, ShardId};

#[derive(Default)]
pub(crate) struct Witness {
    /// Whom each replica gave its vote in each term.
    votes: BTreeMap<(ShardId, u64, NodeId), NodeId>,
    /// The newest term each replica spoke in.
    terms: BTreeMap<(ShardId, NodeId), u64>,
    /// Up to where each replica said it holds its leader's log, and in which term.
    held: BTreeMap<(ShardId, NodeId), (u64, u64)>,
}

/// What a message says about its sender.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Said {
    kind: MessageType,
    to: NodeId,
    term: u64,
    index: u64,
    refuses: bool,
}

impl Said {
    pub(crate) fn of(message: &Message) -> Self {
        let (kind, to) = (message.get_msg_type(), NodeId(message.to));
        let (term, index) = (message.term, message.index);
        Self { kind, to, term, index, refuses: message.reject }
    }

    /// Whether it asks from where on it may read.
    pub(crate) fn is_question(&self) -> bool {
        self.kind == MessageType::MsgReadIndex
    }
}

impl Witness {
    /// Hears what leaves a replica.
    pub(crate) fn hear(&mut self, node: NodeId, shard: ShardId, said: Said) -> Result<(), String> {
        let Said { kind, to, term, index, refuses } = said;
        let is_trial =
            matches!(kind, MessageType::MsgRequestPreVote | MessageType::MsgRequestPreVoteResponse);
        // A no is no promise.
        if is_trial || refuses {
            return Ok(());
        }
        let newest = self.terms.entry((shard, node)).or_default();
        *newest = term.max(*newest);
        if kind == MessageType::MsgAppendResponse {
            let held = self.held.entry((shard, node)).or_default();
            *held = (term, index).max(*held);
        }
        let candidate = if kind == MessageType::MsgRequestVote {
            node
        } else if kind == MessageType::MsgRequestVoteResponse {
            to
        } else {
            return Ok(());
        };
        let voted = *self.votes.entry((shard, term, node)).or_insert(candidate);
        if voted == candidate {
            return Ok(());
        }
        let (NodeId(node), NodeId(one), NodeId(other)) = (node, voted, candidate);
        Err(format!("node {node} voted for {one} and {other} in term {term} of shard {shard}"))
    }

    /// A replica started again in this term and with a log up to there.
    pub(crate) fn check_start(
        &self,
        node: NodeId,
        shard: ShardId,
        term: u64,
        last_index: u64,
    ) -> Result<(), String> {
        let spoke_in = self.terms.get(&(shard, node)).copied().unwrap_or(0);
        let (held_in, held) = self.held.get(&(shard, node)).copied().unwrap_or_default();
        let NodeId(node) = node;
        if term < spoke_in {
            return Err(format!(
                "node {node} spoke in term {spoke_in} of shard {shard} and starts in {term}"
            ));
        }
        // Another term's leader may have made it let go of the rest.
        if term == held_in && last_index < held {
            return Err(format!(
                "node {node} held shard {shard} up to {held} and starts with {last_index}"
            ));
        }
        Ok(())
    }
}
