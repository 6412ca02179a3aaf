//! Gift cards one after the other, as they were issued: those whose slots are this list's.
//!
//! **Invariants:** places count from zero on, without a gap, and a card has one of them, for ever; the
//! page of a place lives in the slot of its list, so that the list and the page change together; a card
//! tells its list in the entry that issues it, so that none is issued without being listed in the end.
//!
//! Cards stay, as orders do and imports do not: one record would not hold them, so they lie on pages. What
//! is on a card changes with every order that it pays for, and whether it has expired with the clock alone,
//! so a line is the name of a card and nothing else, as an import's is: whoever shows a list asks its
//! cards. A card is told nothing of its line, and tells its list of nothing but its issue.
//!
//! A card that was issued before there were lists is in none until something happens to it.

mod page;
#[cfg(test)]
mod tests;

use cluster::entity::{
    Answer, Context, Decision, DecodeError, Effect, Entity, Port, TimerName, Wire,
};
use cluster::ids::{EntityKey, EntityKind, EntityRef, Slot};
use cluster::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::ids::GiftCardId;
use crate::codec;
pub use page::{GiftCardPage, PageCommand, PageEvent, PageQuery, PageRejection, PageView};

/// Which list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ListId(u16);

/// Where a card stands in its list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Place(pub u32);

/// A line of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listed {
    pub card: GiftCardId,
    pub issued_at: Timestamp,
}

impl ListId {
    /// Each of as many slots: one a shard where there are as many shards, so that a card and its list
    /// change together.
    pub const LISTS: u16 = 64;
    const SLOTS_OF_LIST: u16 = (u16::MAX / Self::LISTS) + 1;

    pub fn all() -> impl Iterator<Item = Self> {
        (0..Self::LISTS).map(Self)
    }

    pub fn of(card: GiftCardId) -> Self {
        Self(card.key().slot().bits() / Self::SLOTS_OF_LIST)
    }

    /// The list itself, or one of its pages.
    fn key(self, page: u32) -> EntityKey {
        let mut unique = [0; 14];
        for (to, from) in unique.iter_mut().rev().zip(page.to_le_bytes()) {
            *to = from;
        }
        EntityKey::in_slot(Slot::from_bits(self.0 * Self::SLOTS_OF_LIST), unique)
    }
}

impl Place {
    pub const fn page(self) -> u32 {
        self.0 / GiftCardPage::ENTRIES_MAX
    }

    /// On its page.
    pub const fn line(self) -> u32 {
        self.0 % GiftCardPage::ENTRIES_MAX
    }
}

/// How many gift cards there are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GiftCardList {
    pub(crate) n_cards: u32,
}

/// Told by a card, once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Command {
    Add { entry: Listed },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    Added { card: GiftCardId, place: Place },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Rejection {
    #[error("the gift card belongs in another list")]
    OtherList,
    #[error("the list has as many gift cards as it may")]
    Full,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Query {
    Length,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct View {
    pub n_cards: u32,
}

impl Entity for GiftCardList {
    const KIND: EntityKind = EntityKind(72);
    const NAME: &'static str = "gift card list";
    type Command = Command;
    type Event = Event;
    /// Nobody waits for one.
    type Reply = View;
    type Rejection = Rejection;
    type Query = Query;
    type View = View;

    fn decide(&self, command: Command, ctx: &Context<'_>) -> Result<Decision<Self>, Rejection> {
        let Command::Add { entry } = command;
        let list = ListId::of(entry.card);
        if Self::key(list) != ctx.me.key {
            return Err(Rejection::OtherList);
        }
        let n_cards = self.n_cards.checked_add(1).ok_or(Rejection::Full)?;
        let (card, place) = (entry.card, Place(self.n_cards));
        let command = PageCommand::Add { place, entry }.to_bytes();
        let to = GiftCardPage::address(list, place.page());
        let effects = vec![Effect::Tell { to, command }];
        let events = vec![Event::Added { card, place }];
        Ok(Decision { events, effects, reply: View { n_cards } })
    }

    fn is_momentary(_: &Rejection) -> bool {
        false
    }

    fn apply(&mut self, Event::Added { card: _, place }: &Event) {
        self.n_cards = place.0 + 1;
    }

    fn view(&self, Query::Length: Query, _: &Context<'_>) -> View {
        View { n_cards: self.n_cards }
    }

    fn exists(&self) -> bool {
        self.n_cards > 0
    }

    fn to_record(&self) -> Vec<u8> {
        codec::gift_card_list::to_record(self)
    }

    fn from_record(bytes: &[u8]) -> Result<Self, DecodeError> {
        codec::gift_card_list::from_record(bytes)
    }

    fn heap_bytes(&self) -> usize {
        0
    }

    fn on_timer(_: TimerName) -> Option<Command> {
        None
    }

    fn on_answer(_: Port, _: &Answer) -> Option<Command> {
        None
    }
}

impl GiftCardList {
    pub fn key(list: ListId) -> EntityKey {
        list.key(0)
    }

    pub(super) fn tell(entry: Listed) -> Effect {
        let to = EntityRef { kind: Self::KIND, key: Self::key(ListId::of(entry.card)) };
        Effect::Tell { to, command: Command::Add { entry }.to_bytes() }
    }
}
