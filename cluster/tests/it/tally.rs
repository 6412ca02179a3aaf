//! An entity for tests: a sum that can be added to, forwarded, scheduled, asked about outside and
//! made to panic, at once or when it is replayed.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use cluster::entity::{
    Answer, Context, Decision, DecodeError, Effect, Entity, Port, TimerName, Topic, Wire,
};
use cluster::ids::{EntityKey, EntityKind, EntityRef};
use cluster::time::{Span, Timestamp};
use serde::{Deserialize, Serialize};
use storage::codec;

pub(crate) const ECHO: Port = Port(1);
/// A second port, which answers as the first does, if it does.
pub(crate) const SLOW: Port = Port(2);
pub(crate) const NEWS: Topic = Topic(1);
const LATER: TimerName = TimerName(7);

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    sum: i64,
    /// Everything that was added, in order.
    added: Vec<i64>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum TallyCommand {
    Add(i64),
    /// Adds here and tells others to add as much.
    AddAndTell {
        amount: i64,
        to: Vec<String>,
    },
    AddLater {
        amount: i64,
        after_ms: u64,
    },
    CancelLater,
    /// What a fired timer adds.
    AddPlanned,
    /// Asks a port to echo a number and adds what comes back.
    Ask(i64),
    AskSlow(i64),
    Answered(Vec<u8>),
    Announce(String),
    PanicInDecide,
    PanicInApply,
    Grow(usize),
    /// Adds one here and tells others something.
    Relay {
        to: Vec<String>,
        command: Box<TallyCommand>,
    },
    /// Adds one, however much it weighs on its way.
    Weigh(Vec<u8>),
    /// Adds one, after its shard was busy with it for so long.
    Dawdle {
        ms: u64,
    },
    /// Adds one up to a time in microseconds, and is refused for good after it.
    AddBy(u64),
    /// Adds one between two times, and is refused before and after them.
    AddBetween(u64, u64),
    /// Adds nothing, which is accepted once a time in microseconds has come.
    NoteFrom(u64),
    /// Adds what a program that cannot bear it panics on while applying.
    AddFragile(u64),
}

/// The fragile numbers that make this program panic: a fault that came with an upgrade.
static UNBEARABLE: Mutex<BTreeSet<u64>> = Mutex::new(BTreeSet::new());

pub(crate) fn break_on(number: u64) {
    UNBEARABLE.lock().unwrap_or_else(PoisonError::into_inner).insert(number);
}

pub(crate) fn mend(number: u64) {
    UNBEARABLE.lock().unwrap_or_else(PoisonError::into_inner).remove(&number);
}

fn is_bearable(number: u64) -> bool {
    !UNBEARABLE.lock().unwrap_or_else(PoisonError::into_inner).contains(&number)
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum TallyEvent {
    Added(i64),
    Bomb,
    Grown(Vec<i64>),
    Fragile(u64),
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Sum(pub(crate) i64);

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct NegativeSum;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Ask;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TallyView {
    pub(crate) sum: i64,
    pub(crate) added: Vec<i64>,
}

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
wire!(TallyCommand, TallyEvent, Sum, NegativeSum, Ask, TallyView);

pub(crate) fn key(name: &str) -> EntityKey {
    EntityKey::Name(name.into())
}

impl Tally {
    fn added(&self, amount: i64, effects: Vec<Effect>) -> Result<Decision<Self>, NegativeSum> {
        let sum = self.sum + amount;
        if sum < 0 {
            return Err(NegativeSum);
        }
        Ok(Decision { events: vec![TallyEvent::Added(amount)], effects, reply: Sum(sum) })
    }

    fn effect(&self, effect: Effect) -> Result<Decision<Self>, NegativeSum> {
        Ok(Decision { events: vec![], effects: vec![effect], reply: Sum(self.sum) })
    }
}

/// Whether a command that has a time for it comes then.
fn is_in_time(command: &TallyCommand, now: Timestamp) -> bool {
    let (from, until) = match command {
        TallyCommand::AddBy(until) => (0, *until),
        TallyCommand::NoteFrom(from) => (*from, u64::MAX),
        TallyCommand::AddBetween(from, until) => (*from, *until),
        _ => return true,
    };
    (from..=until).contains(&now.as_micros())
}

impl Entity for Tally {
    const KIND: EntityKind = EntityKind(200);
    const NAME: &'static str = "tally";
    type Command = TallyCommand;
    type Event = TallyEvent;
    type Reply = Sum;
    type Rejection = NegativeSum;
    type Query = Ask;
    type View = TallyView;

    fn decide(
        &self,
        command: TallyCommand,
        ctx: &Context<'_>,
    ) -> Result<Decision<Self>, NegativeSum> {
        match command {
            TallyCommand::Add(amount) => self.added(amount, vec![]),
            TallyCommand::AddAndTell { amount, to } => {
                let tell = |name: String| Effect::Tell {
                    to: EntityRef { kind: Self::KIND, key: key(&name) },
                    command: TallyCommand::Add(amount).to_bytes(),
                };
                self.added(amount, to.into_iter().map(tell).collect())
            }
            TallyCommand::AddLater { amount: _, after_ms } => {
                let at: Timestamp = ctx.now.plus(Span::from_millis(after_ms));
                self.effect(Effect::SetTimer { name: LATER, at })
            }
            TallyCommand::CancelLater => self.effect(Effect::CancelTimer { name: LATER }),
            TallyCommand::AddPlanned => self.added(1_000, vec![]),
            TallyCommand::Ask(number) => {
                self.effect(Effect::Invoke { port: ECHO, request: number.to_be_bytes().to_vec() })
            }
            TallyCommand::AskSlow(number) => {
                self.effect(Effect::Invoke { port: SLOW, request: number.to_be_bytes().to_vec() })
            }
            TallyCommand::Answered(bytes) => {
                let number = bytes.try_into().map_or(0, i64::from_be_bytes);
                self.added(number, vec![])
            }
            TallyCommand::Announce(text) => {
                self.effect(Effect::Publish { topic: NEWS, event: text.into_bytes() })
            }
            TallyCommand::PanicInDecide => panic!("asked to"),
            TallyCommand::PanicInApply => Ok(Decision {
                events: vec![TallyEvent::Added(1), TallyEvent::Bomb],
                effects: vec![],
                reply: Sum(0),
            }),
            TallyCommand::Grow(n) => Ok(Decision {
                events: vec![TallyEvent::Grown(vec![0; n])],
                effects: vec![],
                reply: Sum(self.sum),
            }),
            TallyCommand::Relay { to, command } => {
                let tell = |name: String| Effect::Tell {
                    to: EntityRef { kind: Self::KIND, key: key(&name) },
                    command: command.to_bytes(),
                };
                self.added(1, to.into_iter().map(tell).collect())
            }
            TallyCommand::Weigh(_) => self.added(1, vec![]),
            TallyCommand::Dawdle { ms } => {
                std::thread::sleep(Duration::from_millis(ms));
                self.added(1, vec![])
            }
            TallyCommand::AddBy(_) | TallyCommand::AddBetween(..) | TallyCommand::NoteFrom(_)
                if !is_in_time(&command, ctx.now) =>
            {
                Err(NegativeSum)
            }
            TallyCommand::AddBy(_) | TallyCommand::AddBetween(..) => self.added(1, vec![]),
            TallyCommand::NoteFrom(_) => {
                Ok(Decision { events: vec![], effects: vec![], reply: Sum(self.sum) })
            }
            TallyCommand::AddFragile(number) => Ok(Decision {
                events: vec![TallyEvent::Fragile(number)],
                effects: vec![],
                reply: Sum(self.sum),
            }),
        }
    }

    fn is_momentary(NegativeSum: &NegativeSum) -> bool {
        false
    }

    fn apply(&mut self, event: &TallyEvent) {
        match event {
            TallyEvent::Added(amount) => {
                self.sum += amount;
                self.added.push(*amount);
            }
            TallyEvent::Bomb => panic!("asked to"),
            TallyEvent::Grown(zeros) => self.added.extend(zeros),
            TallyEvent::Fragile(number) => {
                assert!(is_bearable(*number), "a program that cannot bear {number}");
                self.added.push(i64::try_from(*number).expect("small"));
            }
        }
    }

    fn view(&self, Ask: Ask, _ctx: &Context<'_>) -> TallyView {
        TallyView { sum: self.sum, added: self.added.clone() }
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
            Answer::Done(bytes) if port == ECHO || port == SLOW => {
                Some(TallyCommand::Answered(bytes.clone()))
            }
            Answer::Done(_) | Answer::Refused(_) => None,
        }
    }
}
