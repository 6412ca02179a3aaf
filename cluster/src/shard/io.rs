//! Everything that goes into a shard and comes out of it, as data.
//!
//! The runtime and the simulator speak to a shard through these and nothing else.

use raft::eraftpb::Message;
use storage::log::{LogEntry, Record};

use crate::entity::{Answer, Catalogue, Port};
use crate::fabric::OutcomeKey;
use crate::ids::{EntityRef, ShardId};
use crate::shard::entry::{CommandId, Cursor};
use crate::shard::outbox::Tell;
use crate::time::{Span, Timestamp};

/// Names whoever waits for a reply; chosen by the shell.
pub type Token = u64;

#[derive(Debug)]
pub enum Input {
    /// Time passes: Raft ticks, timers come due, unanswered tells are offered again.
    Tick,
    /// Decide what has gathered. Sent by the shell when it has nothing else at hand.
    Flush,
    Command {
        token: Token,
        command: Command,
    },
    Query {
        token: Token,
        query: Query,
    },
    /// A tell from another shard (or this one).
    Told(Tell),
    /// `target` has recorded the outcomes of our tells up to this number.
    TellsAcked {
        target: ShardId,
        up_to: u64,
    },
    Answered {
        entity: EntityRef,
        invocation: Cursor,
        answer: Answer,
    },
    CursorMoved {
        consumer: u8,
        cursor: Cursor,
    },
    /// The append with this number is durable.
    Persisted {
        number: u64,
    },
    /// The state index's answer to a load: the stored position and record.
    Loaded {
        entity: EntityRef,
        stored: Option<(u64, Vec<u8>)>,
    },
    /// The state index holds this record at this position.
    Indexed {
        entity: EntityRef,
        position: u64,
        bytes: usize,
    },
    Message(Message),
    Catalogue(Option<Catalogue>),
    /// Whether the node's log may take new work.
    Space(Space),
}

/// Whether new work may be logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Space {
    Free,
    /// Nothing new is decided; reads go on.
    Full,
}

/// A command on its way to an entity.
#[derive(Debug)]
pub struct Command {
    pub entity: EntityRef,
    pub id: CommandId,
    /// The router has its answer for every number below this one.
    pub settled_below: u64,
    /// The shard refuses to start after this.
    pub not_after: Timestamp,
    pub key: Option<OutcomeKey>,
    pub expected_seq: Option<u64>,
    pub body: Vec<u8>,
}

#[derive(Debug)]
pub struct Query {
    pub entity: EntityRef,
    /// Answer only from a state at or past this index.
    pub at_least: u64,
    pub not_after: Timestamp,
    pub body: Vec<u8>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    Accepted {
        reply: Option<Vec<u8>>,
        seq: u64,
        index: u64,
        replayed: bool,
    },
    Rejected {
        rejection: Vec<u8>,
        seq: u64,
        index: u64,
        replayed: bool,
    },
    Viewed {
        view: Vec<u8>,
        seq: u64,
        index: u64,
    },
    SequenceMismatch {
        actual: u64,
    },
    KeyConflict,
    ReplyExpired,
    TooManyKeys,
    Panicked,
    /// The caller speaks another version: a fault of this program, not of a client.
    Malformed {
        why: String,
    },
    RecordFull,
    Busy {
        retry_after: Span,
    },
    StorageFull,
    /// The position asked for is past everything this shard ever logged.
    UnknownPosition,
    /// Past `not_after`: it was not started.
    Expired,
    /// It may or may not take effect: ask again with the same id.
    Unknown,
    /// This replica does not lead. Nothing happened here.
    NotLeader,
    Fenced,
}

#[derive(Debug)]
pub enum Output {
    /// To be logged, in order, and synced; answered by [`Input::Persisted`].
    Append {
        number: u64,
        records: Vec<Record>,
    },
    /// To be logged when something else is; needs no answer.
    AppendLazily(Record),
    Send(Message),
    Reply {
        token: Token,
        reply: Reply,
    },
    Load {
        entity: EntityRef,
    },
    /// To be kept by the state index; answered by [`Input::Indexed`].
    Store {
        entity: EntityRef,
        position: u64,
        record: Vec<u8>,
    },
    Tell {
        target: ShardId,
        tell: Tell,
    },
    AckTells {
        source: ShardId,
        up_to: u64,
    },
    Invoke {
        entity: EntityRef,
        invocation: Invocation,
    },
    /// An entry with published events is applied.
    Published {
        index: u64,
    },
    /// This replica began or ceased to lead.
    Leads(bool),
    /// An entity's code panicked; the command was refused and left no trace.
    Panicked {
        entity: EntityRef,
        id: CommandId,
    },
    /// A command nobody waits for could not be processed; that is recorded, and life goes on.
    Quarantined {
        what: &'static str,
    },
    /// The clock jumped forward further than is believed at once.
    ClockStepped {
        step: Span,
    },
    /// The state index lost a record or gave back another: it is to be rebuilt.
    IndexDamaged {
        why: String,
    },
    /// This replica cannot go on: `why` is for an operator.
    Fenced {
        why: String,
    },
}

/// A request to the outside world on its way to a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invocation {
    /// With the shard, its stable id.
    pub at: Cursor,
    pub port: Port,
    pub request: Vec<u8>,
    pub asked_at: Timestamp,
    /// It may have been sent before, by this leader or another.
    pub offered_again: bool,
}

/// A committed entry that could not be decoded or applied; see [`Output::Fenced`].
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) why: String,
}

impl Fault {
    pub(crate) fn of_entry(entry: &LogEntry, error: &dyn std::fmt::Display) -> Self {
        Self { why: format!("entry {} of term {}: {error}", entry.index, entry.term) }
    }
}
