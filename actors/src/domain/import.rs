//! An import of products: what was sent, how far it is applied, what was refused.
//!
//! The data does not lie on one node. It comes in pieces, and each is an [`ImportPart`] in the
//! import's own slot, written in the log entry that counts it here; so every byte that was
//! acknowledged has the replicas of any other state, any node takes the next piece, and the loss of
//! the node that took the first one loses nothing. What is applied is asked of a port, step by step:
//! an open step stays in this entity's record until its answer is, so whoever leads the shard next,
//! after a crash or on another node, asks it again, from where the last answer left it.
//!
//! **Invariants**, true in every reachable state:
//! - pieces follow one another without a gap; nothing is taken once the data is complete;
//! - one step is open while it applies and none otherwise; an answer to another step changes nothing,
//!   so no row is counted or reported twice, though one may be applied twice;
//! - data is discarded once it is applied, but its head only at the end: every step reads the names
//!   of the columns again; a finished import goes, with its
//!   report, after [`Import::KEPT`]; one that nothing comes for after [`Import::PATIENCE`];
//! - an [`ImportBook`] is told of it when it is opened and when it goes.
//!
//! What the rows mean, whoever answers the port knows; here they are bytes.

mod book;
mod deciding;
mod part;
mod port;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
mod work;

pub use book::{
    Command as BookCommand, Event as BookEvent, ImportBook, Place as BookPlace, Query as BookQuery,
    Rejection as BookRejection, View as BookView,
};
use cluster::entity::{Answer, Context, Decision, DecodeError, Entity, Port, TimerName, Wire};
use cluster::ids::{EntityKind, EntityRef};
use cluster::time::{Span, Timestamp};
pub use part::{
    Command as PartCommand, Event as PartEvent, ImportPart, Lookup as PartLookup,
    Query as PartQuery, Rejection as PartRejection, Series,
};
pub use port::{Counts, InvalidPacked, PORT, Packed, Reached, Step, StepAnswer, StepOutcome};
use serde::{Deserialize, Serialize};
pub use work::{Cursor, End, Failure, Format, State, Terms, View};
pub(crate) use work::{Discarded, Work};

use super::ids::ImportId;
use crate::codec;

/// Nothing until it is opened, and nothing again once it is gone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Import {
    pub(crate) work: Option<Work>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Command {
    Open {
        terms: Terms,
    },
    /// The bytes from an offset on.
    Append {
        offset: u64,
        content: Packed,
    },
    /// That was all.
    Complete {
        bytes: u64,
    },
    Cancel,
    /// The port's.
    Answered(StepAnswer),
    /// The timer's.
    TidyUp,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    Opened {
        terms: Terms,
        at: Timestamp,
    },
    /// One more part.
    Received {
        bytes: u64,
        n_parts: u32,
        at: Timestamp,
    },
    Completed {
        at: Timestamp,
    },
    /// All counts are totals.
    Advanced {
        to: Cursor,
        counts: Counts,
        n_reports: u32,
        at: Timestamp,
    },
    Ended {
        end: End,
        at: Timestamp,
    },
    /// How many parts of each series are gone; they go in order, but for the head of the data.
    Discarded {
        n_parts: u32,
        n_reports: u32,
    },
    Removed,
    /// How many parts at the head of the data are left; the hindmost go first.
    HeadDiscarded {
        left: u32,
    },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Rejection {
    #[error("the import does not exist")]
    NotFound,
    #[error("the import exists on other terms")]
    AlreadyOpened,
    #[error("{received} bytes are there; go on from there")]
    NotAtEnd { received: u64 },
    #[error("an import has at most {max} bytes")]
    TooLarge { max: u64 },
    #[error("the data is complete, or not wanted any more")]
    NotReceiving,
    #[error("nothing was sent")]
    Empty,
    #[error("the import has ended")]
    Ended,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Query {
    Import,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lookup(pub Option<View>);

/// The one timer: what is to be tidied up, the state says.
const TIDYING: TimerName = TimerName(1);

impl Entity for Import {
    const KIND: EntityKind = EntityKind(16);
    const NAME: &'static str = "import";
    type Command = Command;
    type Event = Event;
    type Reply = Lookup;
    type Rejection = Rejection;
    type Query = Query;
    type View = Lookup;

    fn decide(&self, command: Command, ctx: &Context<'_>) -> Result<Decision<Self>, Rejection> {
        let me = ImportId::try_from(&ctx.me.key).map_err(|_| Rejection::NotFound)?;
        let (events, effects) = match (&self.work, command) {
            (None, Command::Open { terms }) => deciding::open(terms, me, ctx.now),
            (Some(work), Command::Open { terms }) if work.terms == terms => deciding::nothing(),
            (Some(_), Command::Open { .. }) => return Err(Rejection::AlreadyOpened),
            (None, _) => return Err(Rejection::NotFound),
            (Some(work), Command::Append { offset, content }) => {
                deciding::append(work, me, offset, content, ctx.now)?
            }
            (Some(work), Command::Complete { bytes }) => {
                deciding::complete(work, me, bytes, ctx.now)?
            }
            (Some(work), Command::Cancel) => deciding::cancel(work, ctx.now)?,
            (Some(work), Command::Answered(answer)) => deciding::advance(work, me, answer, ctx.now),
            (Some(work), Command::TidyUp) => deciding::tidy_up(work, me, ctx.now),
        };
        let mut after = self.clone();
        for event in &events {
            after.apply(event);
        }
        Ok(Decision { events, effects, reply: Lookup(after.work.as_ref().map(Work::view)) })
    }

    fn is_momentary(rejection: &Rejection) -> bool {
        match rejection {
            Rejection::NotFound
            | Rejection::AlreadyOpened
            | Rejection::NotAtEnd { .. }
            | Rejection::TooLarge { .. }
            | Rejection::NotReceiving
            | Rejection::Empty
            | Rejection::Ended => false,
        }
    }

    fn apply(&mut self, event: &Event) {
        match event {
            Event::Opened { terms, at } => self.work = Some(Work::new(terms.clone(), *at)),
            Event::Removed => self.work = None,
            Event::Received { .. }
            | Event::Completed { .. }
            | Event::Advanced { .. }
            | Event::Ended { .. }
            | Event::Discarded { .. }
            | Event::HeadDiscarded { .. } => {
                debug_assert!(self.work.is_some(), "nothing was opened for {event:?}");
                if let Some(work) = &mut self.work {
                    work.apply(event);
                }
            }
        }
    }

    fn view(&self, Query::Import: Query, _: &Context<'_>) -> Lookup {
        Lookup(self.work.as_ref().map(Work::view))
    }

    fn exists(&self) -> bool {
        self.work.is_some()
    }

    fn to_record(&self) -> Vec<u8> {
        codec::import::to_record(self)
    }

    fn from_record(bytes: &[u8]) -> Result<Self, DecodeError> {
        codec::import::from_record(bytes)
    }

    fn heap_bytes(&self) -> usize {
        self.work.as_ref().map_or(0, Work::heap_bytes)
    }

    fn on_timer(name: TimerName) -> Option<Command> {
        (name == TIDYING).then_some(Command::TidyUp)
    }

    fn on_answer(port: Port, answer: &Answer) -> Option<Command> {
        let (Answer::Done(bytes) | Answer::Refused(bytes)) = answer;
        let answer = (port == PORT).then(|| StepAnswer::from_bytes(bytes))?;
        answer.ok().map(Command::Answered)
    }
}

impl Import {
    /// How long the next piece may take.
    pub const PATIENCE: Span = Span::from_secs(7 * 24 * 60 * 60);
    /// How long a finished import can be looked at.
    pub const KEPT: Span = Span::from_secs(30 * 24 * 60 * 60);
    /// Each part costs a record, however small it is.
    pub const PARTS_MAX: u32 = 1 << 20;
    /// The names of the columns, and all that is read to find the end of them, begin before this.
    pub const HEAD_BYTES: u64 = 132 * 1024;

    pub fn address(id: ImportId) -> EntityRef {
        EntityRef { kind: Self::KIND, key: id.key() }
    }
}
