//! A sum that clients of simulated clusters add to, at once, later, after asking outside, and at
//! other sums; everything it was given stays visible, in order.
//!
//! **Invariants:** what was added is never taken away, so the order in which things happened can be
//! read from the end.

use serde::{Deserialize, Serialize};
use storage::codec;

use crate::entity::{
    Answer, Context, Decision, DecodeError, Effect, Entity, Port, TimerName, Wire,
};
use crate::ids::{EntityKey, EntityKind, EntityRef};
use crate::time::Span;

const ECHO: Port = Port(0);
const LATER: TimerName = TimerName(7);
/// What a fired timer adds.
pub(crate) const PLANNED: i64 = 1_000;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    sum: i64,
    /// Everything that was added, in order.
    added: Vec<i64>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum TallyCommand {
    /// Adds here, and tells others to add as much.
    Add {
        amount: i64,
        tell: Vec<String>,
    },
    /// Adds unless something else was added before.
    AddUnless {
        amount: i64,
        unless: i64,
    },
    /// Adds [`PLANNED`] when that time has passed.
    AddLater {
        after_ms: u64,
    },
    AddPlanned,
    /// Asks a port to echo a number and adds what comes back.
    Ask(i64),
    Answered(Vec<u8>),
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Added(i64);

/// The sum after a command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Sum(pub(crate) i64);

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Refused {
    Overflows,
    /// What was not to be there is there.
    IsThere,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Look;

/// Everything that was added, in order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Seen(pub(crate) Vec<i64>);

macro_rules! wire {
    ($($type:ty),*) => {$(
        impl Wire for $type {
            fn to_bytes(&self) -> Vec<u8> {
                codec::encode(self)
            }
            fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
                codec::decode(bytes).map_err(|error| DecodeError {
                    what: stringify!($type),
                    why: error.to_string(),
                })
            }
        }
    )*};
}
wire!(TallyCommand, Added, Sum, Refused, Look, Seen);

impl Tally {
    pub(crate) fn address(name: &str) -> EntityRef {
        EntityRef { kind: Self::KIND, key: EntityKey::Name(name.into()) }
    }

    fn add(&self, amount: i64, effects: Vec<Effect>) -> Result<Decision<Self>, Refused> {
        let sum = self.sum.checked_add(amount).ok_or(Refused::Overflows)?;
        Ok(Decision { events: vec![Added(amount)], effects, reply: Sum(sum) })
    }

    fn want(&self, effect: Effect) -> Decision<Self> {
        Decision { events: vec![], effects: vec![effect], reply: Sum(self.sum) }
    }
}

impl Entity for Tally {
    const KIND: EntityKind = EntityKind(200);
    const NAME: &'static str = "tally";
    type Command = TallyCommand;
    type Event = Added;
    type Reply = Sum;
    type Rejection = Refused;
    type Query = Look;
    type View = Seen;

    fn decide(&self, command: TallyCommand, ctx: &Context<'_>) -> Result<Decision<Self>, Refused> {
        match command {
            TallyCommand::Add { amount, tell } => {
                let command = TallyCommand::Add { amount, tell: vec![] }.to_bytes();
                let told = tell.iter().map(|name| Self::address(name));
                let tells = told.map(|to| Effect::Tell { to, command: command.clone() });
                self.add(amount, tells.collect())
            }
            TallyCommand::AddUnless { unless, .. } if self.added.contains(&unless) => {
                Err(Refused::IsThere)
            }
            TallyCommand::AddUnless { amount, .. } => self.add(amount, vec![]),
            TallyCommand::AddLater { after_ms } => {
                let at = ctx.now.plus(Span::from_millis(after_ms));
                Ok(self.want(Effect::SetTimer { name: LATER, at }))
            }
            TallyCommand::AddPlanned => self.add(PLANNED, vec![]),
            TallyCommand::Ask(number) => {
                let request = number.to_be_bytes().to_vec();
                Ok(self.want(Effect::Invoke { port: ECHO, request }))
            }
            TallyCommand::Answered(bytes) => {
                let number = bytes.try_into().map_or(0, i64::from_be_bytes);
                self.add(number, vec![])
            }
        }
    }

    fn is_momentary(_: &Refused) -> bool {
        false
    }

    fn apply(&mut self, Added(amount): &Added) {
        self.sum = self.sum.saturating_add(*amount);
        self.added.push(*amount);
    }

    fn view(&self, Look: Look, _ctx: &Context<'_>) -> Seen {
        Seen(self.added.clone())
    }

    fn exists(&self) -> bool {
        !self.added.is_empty()
    }

    fn to_record(&self) -> Vec<u8> {
        codec::encode(&(self.sum, &self.added))
    }

    fn from_record(bytes: &[u8]) -> Result<Self, DecodeError> {
        let (sum, added) = codec::decode(bytes)
            .map_err(|error| DecodeError { what: "tally", why: error.to_string() })?;
        Ok(Self { sum, added })
    }

    fn heap_bytes(&self) -> usize {
        self.added.capacity() * size_of::<i64>()
    }

    fn on_timer(name: TimerName) -> Option<TallyCommand> {
        (name == LATER).then_some(TallyCommand::AddPlanned)
    }

    fn on_answer(port: Port, answer: &Answer) -> Option<TallyCommand> {
        match answer {
            Answer::Done(bytes) if port == ECHO => Some(TallyCommand::Answered(bytes.clone())),
            Answer::Done(_) | Answer::Refused(_) => None,
        }
    }
}
