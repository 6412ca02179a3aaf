//! What one turn decided, as one log entry.
//!
//! **Invariants:** an entry carries everything apply needs: nothing is looked up, recomputed or
//! timed while applying. The fence (`term`, `after_index`) names the one place in the log where the
//! decision is valid; anywhere else the entry is a no-op.

use serde::{Deserialize, Serialize};
use storage::codec;

use crate::entity::{DecodeError, Effect, TimerName};
use crate::fabric::OutcomeKey;
use crate::ids::{EntityKey, EntityRef, Incarnation, ShardId};
use crate::shard::versioned;
use crate::time::Timestamp;

/// An entry never exceeds this: a turn is cut there.
pub const ENTRY_BYTES_MAX: usize = 1 << 20;

const VERSION: u16 = 1;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Entry {
    /// The Raft term it was decided in.
    pub(crate) term: u64,
    /// The log index it was decided after.
    pub(crate) after_index: u64,
    /// Shard time: later than that of every entry before.
    pub(crate) time: Timestamp,
    pub(crate) items: Vec<Item>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Item {
    Outcome(Outcome),
    /// The target shard has recorded the outcome of every tell up to this number.
    TellsAcked {
        target: ShardId,
        up_to: u64,
    },
    /// A consumer of published events has kept everything up to this place.
    CursorMoved {
        consumer: u8,
        cursor: Cursor,
    },
}

/// A place among the published events of a shard: the event at `ordinal` of entry `index`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Cursor {
    pub index: u64,
    pub ordinal: u32,
}

/// What became of one command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Outcome {
    pub(crate) entity: EntityRef,
    pub(crate) cause: Cause,
    pub(crate) verdict: Verdict,
}

/// Why an entity was asked to decide.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Cause {
    Routed(Routed),
    Keyed {
        routed: Routed,
        key: OutcomeKey,
    },
    /// Delivered through the channel of another shard, or of this one.
    Told {
        from: ShardId,
        incarnation: Incarnation,
        seq: u64,
    },
    /// Told by an entity of this shard within the same entry.
    Nested,
    TimerFired {
        name: TimerName,
        set_at: Cursor,
    },
    Answered {
        invocation: Cursor,
    },
}

/// A command as a router numbers it; see [`crate::shard::dedupe`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Routed {
    pub(crate) id: CommandId,
    /// The router will never again send a number below this one to this shard.
    pub(crate) settled_below: u64,
    pub(crate) not_after: Timestamp,
}

/// Names one command of one router to one shard, whatever the number of attempts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct CommandId {
    /// Drawn anew at every start of a router.
    pub router: u64,
    pub number: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Verdict {
    Accepted {
        events: Vec<Bytes>,
        effects: Vec<Effect>,
        /// Kept for keyed commands only: others are answered from the leader's memory.
        reply: Option<Bytes>,
    },
    Rejected(Bytes),
    /// The command could not be decoded or its entity panicked: recorded so that a channel, a timer
    /// or a port moves on, and counted so that an operator sees it.
    Quarantined,
    /// The entity was not as the caller, who gave a key, had asked for: nothing was decided.
    PreconditionFailed,
}

/// Bytes that encode as one run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Bytes(#[serde(with = "crate::blob")] pub(crate) Vec<u8>);

impl Entry {
    /// The entry's bytes; `None` when it is larger than anything that can be read back.
    pub(crate) fn encode(&self) -> Option<Vec<u8>> {
        codec::try_encode_versioned(VERSION, self).ok()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        versioned::decode("log entry", VERSION, bytes)
    }

    /// Whether an outcome in it is of this entity.
    pub(crate) fn touches(&self, entity: &EntityRef) -> bool {
        self.items.iter().any(|item| match item {
            Item::Outcome(outcome) => outcome.entity == *entity,
            Item::TellsAcked { .. } | Item::CursorMoved { .. } => false,
        })
    }

    /// Whether it was decided for this place in the log. Elsewhere it is void.
    pub(crate) fn follows(&self, index: u64) -> bool {
        self.after_index.checked_add(1) == Some(index)
    }
}

impl Outcome {
    /// A cheap upper bound of what this outcome adds to the encoded entry.
    pub(crate) fn encoded_bytes_max(&self) -> usize {
        const OVERHEAD: usize = 256;
        let name = name_bytes(&self.entity);
        let payload = match &self.verdict {
            Verdict::Accepted { events, effects, reply } => {
                events.iter().map(|event| event.0.len() + 8).sum::<usize>()
                    + effects.iter().map(effect_bytes_max).sum::<usize>()
                    + reply.as_ref().map_or(0, |reply| reply.0.len())
            }
            Verdict::Rejected(rejection) => rejection.0.len(),
            Verdict::Quarantined | Verdict::PreconditionFailed => 0,
        };
        OVERHEAD + name + payload
    }
}

fn name_bytes(entity: &EntityRef) -> usize {
    match &entity.key {
        EntityKey::Number(_) => 0,
        EntityKey::Name(name) => name.len(),
    }
}

fn effect_bytes_max(effect: &Effect) -> usize {
    const OVERHEAD: usize = 128;
    OVERHEAD
        + match effect {
            Effect::Tell { to, command } => name_bytes(to) + command.len(),
            Effect::Invoke { request, .. } => request.len(),
            Effect::Publish { event, .. } => event.len(),
            Effect::SetTimer { .. } | Effect::CancelTimer { .. } => 0,
        }
}
