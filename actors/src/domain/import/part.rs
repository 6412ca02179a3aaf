//! One piece of what an import was sent, or of what it has to report.
//!
//! **Invariants:** a part lives in the slot of its import and is told by it alone, so what is kept
//! here and what the import counts are one change; a part is kept once and discarded once.

use cluster::entity::{
    Answer, Context, Decision, DecodeError, Effect, Entity, Port, TimerName, Wire,
};
use cluster::ids::{EntityKey, EntityKind, EntityRef};
use serde::{Deserialize, Serialize};

use super::port::Packed;
use crate::codec;
use crate::domain::ids::ImportId;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImportPart {
    pub(crate) content: Option<Packed>,
}

/// Which of an import's two rows of parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Series {
    Data,
    Report,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Command {
    Keep { content: Packed },
    Discard,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    Kept { content: Packed },
    Discarded,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Rejection {
    #[error("the part holds something else")]
    HoldsAnother,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Query {
    Content,
}

/// What a part holds, if anything.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lookup(pub Option<Packed>);

impl Entity for ImportPart {
    const KIND: EntityKind = EntityKind(17);
    const NAME: &'static str = "import part";
    type Command = Command;
    type Event = Event;
    /// Nobody waits for one.
    type Reply = Lookup;
    type Rejection = Rejection;
    type Query = Query;
    type View = Lookup;

    fn decide(&self, command: Command, _: &Context<'_>) -> Result<Decision<Self>, Rejection> {
        let event = match (command, &self.content) {
            (Command::Keep { content }, None) => Some(Event::Kept { content }),
            (Command::Keep { content }, Some(held)) if content == *held => None,
            (Command::Keep { .. }, Some(_)) => return Err(Rejection::HoldsAnother),
            (Command::Discard, Some(_)) => Some(Event::Discarded),
            (Command::Discard, None) => None,
        };
        let events = event.into_iter().collect();
        Ok(Decision { events, effects: Vec::new(), reply: Lookup(None) })
    }

    fn is_momentary(Rejection::HoldsAnother: &Rejection) -> bool {
        false
    }

    fn apply(&mut self, event: &Event) {
        self.content = match event {
            Event::Kept { content } => Some(content.clone()),
            Event::Discarded => None,
        };
    }

    fn view(&self, Query::Content: Query, _: &Context<'_>) -> Lookup {
        Lookup(self.content.clone())
    }

    fn exists(&self) -> bool {
        self.content.is_some()
    }

    fn to_record(&self) -> Vec<u8> {
        codec::import::part_to_record(self)
    }

    fn from_record(bytes: &[u8]) -> Result<Self, DecodeError> {
        codec::import::part_from_record(bytes)
    }

    fn heap_bytes(&self) -> usize {
        self.content.as_ref().map_or(0, |content| content.block().len())
    }

    fn on_timer(_: TimerName) -> Option<Command> {
        None
    }

    fn on_answer(_: Port, _: &Answer) -> Option<Command> {
        None
    }
}

impl ImportPart {
    /// Nine of the import's own bytes make a part's key unique, the others number it.
    pub fn key(import: ImportId, series: Series, nth: u32) -> EntityKey {
        let [high, low, unique @ ..] = *import.as_bytes();
        let [a, b, c, d, e, f, g, h, i, ..] = unique;
        let series = match series {
            Series::Data => 0,
            Series::Report => 1,
        };
        let [n0, n1, n2, n3] = nth.to_be_bytes();
        EntityKey::Number([high, low, a, b, c, d, e, f, g, h, i, series, n0, n1, n2, n3])
    }

    pub(super) fn tell(import: ImportId, series: Series, nth: u32, command: &Command) -> Effect {
        let to = EntityRef { kind: Self::KIND, key: Self::key(import, series, nth) };
        Effect::Tell { to, command: command.to_bytes() }
    }
}
