//! Everything that goes into a shard and comes out of it, as data.
//!
//! The runtime and the simulator speak to a shard through these and nothing else.

use raft::eraftpb::Message;
use serde::{Deserialize, Serialize};
use storage::log::{LogEntry, Record};

use crate::entity::{Answer, Catalogue, NoCatalogue, Port};
use crate::fabric::{Origin, OutcomeKey, Precondition};
use crate::ids::{EntityRef, NodeId, ShardId};
use crate::node::rest::{Rest, Standstill};
use crate::replication::members::{GroupMembers, MemberChange};
use crate::replication::offer::SnapshotOffer;
use crate::shard::core::Base;
use crate::shard::entry::{CommandId, Cursor};
use crate::shard::outbox::Tell;
use crate::time::{Span, Timestamp};

/// Names whoever waits for a reply; chosen by the shell.
pub type Token = u64;

#[derive(Debug)]
pub enum Input {
    /// Time passes: Raft ticks, timers come due, unanswered tells are offered again.
    Tick,
    /// Looks whether a replica that rests may go on with it.
    SlowTick,
    /// A rest is over: a peer is lost, a timer due, or nothing was heard of the leader for so many
    /// ticks.
    Wake {
        silent_ticks: u32,
    },
    /// The leader's node says that the group rests there.
    LeaderRests {
        leader: NodeId,
        at: Standstill,
    },
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
    /// What a peer sent, from the node it names.
    Message(Message),
    /// The answer to [`Output::ReadLog`]: the entries from `from` on, as many as came with one
    /// read; none when the log holds them no more.
    LogRead {
        from: u64,
        entries: Vec<LogEntry>,
    },
    /// Members join or leave; answered like a command.
    ChangeMembers {
        token: Token,
        change: MemberChange,
    },
    /// The group begins with this replica, which is then its only member. One that ever was a
    /// member of it, or heard of it from others, knows better.
    Begin,
    /// Another voter is to lead. Commands wait undecided until it does, or for an election's time.
    TransferLead {
        to: NodeId,
    },
    /// No other node is heard of: whoever leads this group, it is not this replica.
    StepDown,
    /// Whether this node's clock is far from what its peers agree on.
    ClockIsOff(bool),
    /// What this replica let go of is gone from the disk.
    Forgotten,
    /// The node's log points to this snapshot of this replica, durably.
    Covered(SnapshotOffer),
    /// The answer to [`Output::Fetch`]: the file is here, verified, synced and under its name.
    Fetched {
        offer: SnapshotOffer,
        file: String,
    },
    /// That snapshot cannot be had: its owner has another by now, or is gone.
    FetchFailed(SnapshotOffer),
    /// The answer to [`Output::Install`].
    Installed(Box<Base>),
    InstallFailed {
        why: String,
    },
    /// What commands are priced from, from now on.
    Catalogue(Result<Catalogue, NoCatalogue>),
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Command {
    pub entity: EntityRef,
    pub id: CommandId,
    /// The router has its answer for every number below this one.
    pub settled_below: u64,
    /// The shard refuses to start after this.
    pub not_after: Timestamp,
    pub key: Option<OutcomeKey>,
    pub precondition: Precondition,
    #[serde(with = "crate::blob")]
    pub body: Vec<u8>,
    /// Most commands have none, so that it travels beside the command:
    /// `Question::CommandOf`.
    #[serde(skip)]
    pub origin: Option<Origin>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Query {
    pub entity: EntityRef,
    /// Answer only from a state at or past this index.
    pub at_least: u64,
    pub freshness: Freshness,
    pub not_after: Timestamp,
    #[serde(with = "crate::blob")]
    pub body: Vec<u8>,
}

/// How new the state has to be that a query is answered from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Freshness {
    /// As new as anything acknowledged when the query arrived: a majority is asked.
    Latest,
    /// At or past the query's own index: any replica may answer from what it has.
    Position,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reply {
    Accepted {
        reply: Option<Vec<u8>>,
        seq: u64,
        index: u64,
        replayed: bool,
    },
    Rejected {
        #[serde(with = "crate::blob")]
        rejection: Vec<u8>,
        seq: u64,
        index: u64,
        replayed: bool,
    },
    Viewed {
        #[serde(with = "crate::blob")]
        view: Vec<u8>,
        seq: u64,
        index: u64,
    },
    PreconditionFailed {
        seq: u64,
        index: u64,
        replayed: bool,
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
    Expired {
        /// What the replica takes the time to be.
        at: Timestamp,
    },
    /// It may or may not take effect: ask again with the same id.
    Unknown,
    /// This replica does not lead. Nothing happened here.
    NotLeader {
        /// Who leads, as far as this replica knows.
        hint: Option<NodeId>,
    },
    /// A change of members is in the log; it holds once this index is applied, if ever.
    Changing {
        index: u64,
    },
    /// The members cannot change like that.
    ChangeRefused {
        why: String,
    },
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
    /// To a peer, in no particular order, if it arrives at all.
    Send {
        to: NodeId,
        message: Message,
    },
    /// Nothing is under way: this replica needs no ticks until it wakes or is woken.
    Rests(Rest),
    /// It needs ticks again.
    Wakes,
    /// It is not where its leader's node says that it rests.
    CannotRest {
        leader: NodeId,
    },
    /// Entries `from..=to` of the group are wanted from the node's log, as many as fit one read;
    /// answered by [`Input::LogRead`].
    ReadLog {
        from: u64,
        to: u64,
    },
    /// A follower can only go on from a snapshot newer than there is: write one soon.
    SnapshotWanted,
    /// The file of this snapshot is wanted from that node; answered by [`Input::Fetched`] or
    /// [`Input::FetchFailed`], always. It replaces a fetch that is under way.
    Fetch {
        from: NodeId,
        offer: SnapshotOffer,
    },
    /// The shard goes on from this file: what the state index holds of it is void, at once and
    /// durably, and is to be filled anew. Answered by [`Input::Installed`] or
    /// [`Input::InstallFailed`], behind the answers to everything handed out before.
    Install {
        offer: SnapshotOffer,
        file: String,
    },
    /// The group's members changed.
    Members(GroupMembers),
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
