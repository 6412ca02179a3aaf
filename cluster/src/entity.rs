//! The programming model: an entity is a pure state machine, its effects are data.
//!
//! **Invariants:** `decide` may refuse and never mutates; `apply` never refuses and never fails;
//! neither does I/O, reads a clock or draws a random number: those arrive in [`Context`].
//!
//! What the fabric adds around an entity (dedupe, timers, delivery) is in `shard`.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::ids::{EntityKind, EntityRef, ShardId};
use crate::time::Timestamp;

/// A value with a byte form that outlives the program: it is in the log, on disk and on the wire.
pub trait Wire: Sized {
    fn to_bytes(&self) -> Vec<u8>;
    /// Total: any input gives a value or an error, within memory bounded by the input.
    fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError>;
}

/// Bytes that no version of this program wrote, or that were damaged since.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot decode {what}: {why}")]
pub struct DecodeError {
    pub what: &'static str,
    pub why: String,
}

/// Where the entities of a kind live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Home {
    /// In the shard of their slot.
    Shard,
    /// In a group that every node replicates, all of them.
    Everywhere(ShardId),
}

/// One kind of virtual actor: addressed by id, single-threaded, event-sourced.
pub trait Entity: Default + Clone + Send + 'static {
    const KIND: EntityKind;
    /// For logs, metrics and operators.
    const NAME: &'static str;
    /// Never changes for a kind.
    const HOME: Home = Home::Shard;
    type Command: Wire + Send + 'static;
    type Event: Wire + Send + 'static;
    type Reply: Wire + Send + 'static;
    type Rejection: Wire + Send + 'static;
    type Query: Wire + Send + 'static;
    type View: Wire + Send + 'static;

    fn decide(
        &self,
        command: Self::Command,
        ctx: &Context<'_>,
    ) -> Result<Decision<Self>, Self::Rejection>;
    /// Whether a refusal is about this moment and not about the request, such as a missing
    /// catalogue. It is not remembered under a client's key, so that a retry is decided anew.
    fn is_momentary(rejection: &Self::Rejection) -> bool;
    fn apply(&mut self, event: &Self::Event);
    fn view(&self, query: Self::Query, ctx: &Context<'_>) -> Self::View;
    /// Whether there is anything to see. Something may have happened to an entity that does not
    /// exist: it may be gone.
    fn exists(&self) -> bool;

    /// The state as bytes, for snapshots and the state index. Equal states give equal bytes.
    fn to_record(&self) -> Vec<u8>;
    fn from_record(bytes: &[u8]) -> Result<Self, DecodeError>;
    /// Bytes this state holds on the heap besides `size_of::<Self>()`; decides what is passivated.
    fn heap_bytes(&self) -> usize;
    /// The command that a fired timer means to this entity; `None` for a name it never set.
    fn on_timer(name: TimerName) -> Option<Self::Command>;
    /// The command that carries a port's answer; `None` when this entity never invokes that port.
    fn on_answer(port: Port, answer: &Answer) -> Option<Self::Command>;
}

/// What `decide` resolved: facts to record, effects to carry out, an answer for the caller.
#[derive(Debug)]
pub struct Decision<E: Entity> {
    pub events: Vec<E::Event>,
    pub effects: Vec<Effect>,
    pub reply: E::Reply,
}

/// What an entity wants done. Effects leave only after the entry that holds them is applied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Effect {
    /// A command for another entity: processed exactly once, in order. No reply; the receiver
    /// answers by telling back.
    Tell {
        to: EntityRef,
        #[serde(with = "crate::blob")]
        command: Vec<u8>,
    },
    /// A durable timer; replaces one of the same name; comes back through [`Entity::on_timer`].
    SetTimer {
        name: TimerName,
        at: Timestamp,
    },
    CancelTimer {
        name: TimerName,
    },
    /// A request to the outside world; the answer comes back through [`Entity::on_answer`].
    Invoke {
        port: Port,
        #[serde(with = "crate::blob")]
        request: Vec<u8>,
    },
    /// A fact for consumers outside: notifications, analytics, the shop's own systems.
    Publish {
        topic: Topic,
        #[serde(with = "crate::blob")]
        event: Vec<u8>,
    },
}

/// Names one timer of one entity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TimerName(pub u64);

/// A door to the outside world, such as a payment provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Port(pub u8);

/// A stream of published events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Topic(pub u8);

/// What a port says about an invocation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    Done(Vec<u8>),
    /// The other side said no, for good.
    Refused(Vec<u8>),
}

/// Everything a decision may depend on besides the entity's own state and the command.
pub struct Context<'a> {
    /// Shard time: never runs backwards within a shard.
    pub now: Timestamp,
    /// The entity that is deciding.
    pub me: &'a EntityRef,
    /// Fresh random bytes for this decision alone.
    pub entropy: [u8; 32],
    /// The node's immutable view of the catalogue.
    pub catalogue: Result<&'a Catalogue, NoCatalogue>,
}

/// Why nothing can be priced at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoCatalogue {
    /// The node has none yet.
    Absent,
    /// The node's copy may be too old to be believed.
    Stale,
}

/// An immutable catalogue at one index. The fabric carries it and does not look inside.
#[derive(Clone)]
pub struct Catalogue {
    pub index: u64,
    pub content: Arc<dyn Any + Send + Sync>,
}

impl Catalogue {
    /// The content as the domain's own type.
    pub fn content<T: 'static>(&self) -> Option<&T> {
        self.content.downcast_ref()
    }
}

impl fmt::Debug for Catalogue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Catalogue").field("index", &self.index).finish_non_exhaustive()
    }
}
