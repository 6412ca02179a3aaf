//! Which imports there are: the newest of those whose slots are this book's.
//!
//! **Invariants:** an import is in the book of its slot from when it is opened until it is gone, unless
//! [`ImportBook::ENTRIES_MAX`] newer ones are; a book never has more of them than that.
//!
//! A book knows when its imports were opened and nothing else: how far each of them is, it says itself.
//! So an import that takes a thousand steps tells the book of none, and no row of a list is stale. Lists
//! of orders lie on pages, since orders stay; imports go after a month, and what is left of them fits
//! into one record. One book of all would lie in another shard than most imports, and hear of them after
//! they were answered; a book of one shard changes together with its imports.
//!
//! Imports that were opened before there were books are in none.

use std::collections::BTreeSet;

use cluster::entity::{
    Answer, Context, Decision, DecodeError, Effect, Entity, Port, TimerName, Wire,
};
use cluster::ids::{EntityKey, EntityKind, EntityRef, Slot};
use cluster::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::codec;
use crate::domain::ids::ImportId;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImportBook {
    pub(crate) places: BTreeSet<Place>,
}

/// Where an import stands among all of them: the greatest is the newest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Place {
    pub opened_at: Timestamp,
    pub import: ImportId,
}

/// Told by an import.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Command {
    Add { place: Place },
    Remove { place: Place },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// The oldest goes where there are too many.
    Added {
        place: Place,
    },
    Removed {
        place: Place,
    },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Rejection {
    #[error("the import belongs in another book")]
    OtherBook,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Query {
    /// So many at most, of those before a place or of all.
    Newest { before: Option<Place>, n_max: u32 },
}

/// Newest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct View(pub Vec<Place>);

impl Entity for ImportBook {
    const KIND: EntityKind = EntityKind(18);
    const NAME: &'static str = "import book";
    type Command = Command;
    type Event = Event;
    /// Nobody waits for one.
    type Reply = View;
    type Rejection = Rejection;
    type Query = Query;
    type View = View;

    fn decide(&self, command: Command, ctx: &Context<'_>) -> Result<Decision<Self>, Rejection> {
        let (Command::Add { place } | Command::Remove { place }) = &command;
        if Self::key_of(place.import) != ctx.me.key {
            return Err(Rejection::OtherBook);
        }
        let is_there = self.places.contains(place);
        let event = match command {
            Command::Add { place } => (!is_there).then_some(Event::Added { place }),
            Command::Remove { place } => is_there.then_some(Event::Removed { place }),
        };
        let events = event.into_iter().collect();
        Ok(Decision { events, effects: Vec::new(), reply: View(Vec::new()) })
    }

    fn is_momentary(Rejection::OtherBook: &Rejection) -> bool {
        false
    }

    fn apply(&mut self, event: &Event) {
        match event {
            Event::Added { place } => {
                self.places.insert(*place);
                if self.places.len() > Self::ENTRIES_MAX {
                    self.places.pop_first();
                }
            }
            Event::Removed { place } => drop(self.places.remove(place)),
        }
    }

    fn view(&self, Query::Newest { before, n_max }: Query, _: &Context<'_>) -> View {
        let is_wanted = |place: &&Place| before.is_none_or(|before| **place < before);
        let newest_first = self.places.iter().rev().filter(is_wanted).copied();
        View(newest_first.take(usize::try_from(n_max).unwrap_or(usize::MAX)).collect())
    }

    fn exists(&self) -> bool {
        !self.places.is_empty()
    }

    fn to_record(&self) -> Vec<u8> {
        codec::import::book_to_record(self)
    }

    fn from_record(bytes: &[u8]) -> Result<Self, DecodeError> {
        codec::import::book_from_record(bytes)
    }

    fn heap_bytes(&self) -> usize {
        self.places.len() * size_of::<Place>()
    }

    fn on_timer(_: TimerName) -> Option<Command> {
        None
    }

    fn on_answer(_: Port, _: &Answer) -> Option<Command> {
        None
    }
}

impl ImportBook {
    /// Each of as many slots: one a shard where there are as many shards.
    pub const BOOKS: u16 = 64;
    /// Part of `apply`, so a change needs a new event.
    pub const ENTRIES_MAX: usize = 256;
    const SLOTS_OF_BOOK: u16 = (u16::MAX / Self::BOOKS) + 1;

    /// The keys of all books.
    pub fn keys() -> impl Iterator<Item = EntityKey> {
        (0..Self::BOOKS).map(Self::key)
    }

    fn key(nth: u16) -> EntityKey {
        EntityKey::in_slot(Slot::from_bits(nth % Self::BOOKS * Self::SLOTS_OF_BOOK), [0; 14])
    }

    fn key_of(import: ImportId) -> EntityKey {
        Self::key(import.key().slot().bits() / Self::SLOTS_OF_BOOK)
    }

    pub(super) fn tell(import: ImportId, command: &Command) -> Effect {
        let to = EntityRef { kind: Self::KIND, key: Self::key_of(import) };
        Effect::Tell { to, command: command.to_bytes() }
    }
}
