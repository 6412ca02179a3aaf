//! Orders one after the other, as they were placed: those of one customer, or those of one book of the
//! shop.
//!
//! **Invariants:** places count from zero on, without a gap, and an order has one of them, for ever; the
//! page of a place lives in the slot of its list, so that the list and the page change together.
//!
//! A list only counts. What its orders show of themselves is on its pages, where each order keeps its
//! own entry right.

mod page;
#[cfg(test)]
mod tests;

use cluster::entity::{
    Answer, Context, Decision, DecodeError, Effect, Entity, Port, TimerName, Wire,
};
use cluster::ids::{EntityKey, EntityKind, EntityRef, Slot};
use cluster::time::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::contact::Email;
use super::ids::OrderId;
use super::money::Money;
use super::order::Status;
use super::order_numbers::OrderNumber;
use crate::codec;
use crate::mutants::Mutant;
pub use page::{OrderPage, PageCommand, PageEvent, PageQuery, PageRejection, PageView};

/// Which list: its slot, and what tells it from others there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ListId([u8; 12]);

/// Where an order stands in a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Place(pub u32);

/// What a list shows of an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listed {
    pub order: OrderId,
    pub number: OrderNumber,
    pub status: Status,
    pub total: Money,
    pub placed_at: Timestamp,
}

impl ListId {
    /// Books of all orders, each of as many slots: one a shard where there are as many shards, so that an
    /// order and its book change together.
    pub const BOOKS: u16 = 64;
    const SLOTS_OF_BOOK: u16 = (u16::MAX / Self::BOOKS) + 1;

    pub fn book(nth: u16) -> Self {
        let [high, low] = (nth % Self::BOOKS * Self::SLOTS_OF_BOOK).to_be_bytes();
        let mut id = [0; 12];
        for (to, from) in id.iter_mut().zip([high, low]) {
            *to = from;
        }
        Self(id)
    }

    pub fn book_of(slot: Slot) -> Self {
        Self::book(slot.bits() / Self::SLOTS_OF_BOOK)
    }

    /// The list of whoever has this address, in whatever letters. It does not show the address, yet who
    /// guesses one can tell whether it is this.
    pub fn of_customer(email: &Email) -> Self {
        let hash = Sha256::digest(email.as_str().to_lowercase().as_bytes());
        let mut id = [0; 12];
        for (to, from) in id.iter_mut().zip(hash) {
            *to = from;
        }
        Self(id)
    }

    /// The list itself, or one of its pages.
    fn key(self, page: u32) -> EntityKey {
        let mut key = [0; 16];
        for (to, from) in key.iter_mut().zip(self.0.into_iter().chain(page.to_be_bytes())) {
            *to = from;
        }
        EntityKey::Number(key)
    }

    fn of_key(key: &EntityKey) -> Option<Self> {
        let EntityKey::Number(key) = key else { return None };
        Some(Self(*key.first_chunk()?))
    }
}

impl Place {
    pub const fn page(self) -> u32 {
        self.0 / OrderPage::ENTRIES_MAX
    }

    /// On its page.
    pub const fn line(self) -> u32 {
        self.0 % OrderPage::ENTRIES_MAX
    }
}

/// How many orders there are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OrderList {
    pub(crate) n_orders: u32,
}

/// Told by an order, once; the page tells it its place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Command {
    Add { entry: Listed },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    Added { order: OrderId, place: Place },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Rejection {
    #[error("there is no such list")]
    NoList,
    #[error("the list has as many orders as it may")]
    Full,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Query {
    Length,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct View {
    pub n_orders: u32,
}

impl Entity for OrderList {
    const KIND: EntityKind = EntityKind(30);
    const NAME: &'static str = "order_list";
    type Command = Command;
    type Event = Event;
    type Reply = View;
    type Rejection = Rejection;
    type Query = Query;
    type View = View;

    fn decide(&self, command: Command, ctx: &Context<'_>) -> Result<Decision<Self>, Rejection> {
        let Command::Add { entry } = command;
        let list = ListId::of_key(&ctx.me.key).ok_or(Rejection::NoList)?;
        let n_orders = self.n_orders.checked_add(1).ok_or(Rejection::Full)?;
        let (order, place) = (entry.order, Place(self.n_orders));
        let command = PageCommand::Open { place, entry }.to_bytes();
        let to = OrderPage::address(list, place.page());
        let effects = vec![Effect::Tell { to, command }];
        let events = vec![Event::Added { order, place }];
        Ok(Decision { events, effects, reply: View { n_orders } })
    }

    fn is_momentary(_: &Rejection) -> bool {
        false
    }

    fn apply(&mut self, Event::Added { order: _, place }: &Event) {
        let is_lost = Mutant::PlaceGivenTwice.is_planted() && place.0 % 3 == 1;
        self.n_orders = if is_lost { place.0 } else { place.0 + 1 };
    }

    fn view(&self, Query::Length: Query, _: &Context<'_>) -> View {
        View { n_orders: self.n_orders }
    }

    fn exists(&self) -> bool {
        self.n_orders > 0
    }

    fn to_record(&self) -> Vec<u8> {
        codec::order_list::to_record(self)
    }

    fn from_record(bytes: &[u8]) -> Result<Self, DecodeError> {
        codec::order_list::from_record(bytes)
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

impl OrderList {
    pub fn key(list: ListId) -> EntityKey {
        list.key(0)
    }

    pub fn address(list: ListId) -> EntityRef {
        EntityRef { kind: Self::KIND, key: Self::key(list) }
    }
}
