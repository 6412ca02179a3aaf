//! What a seller has to do with orders: sums of all of them, and each that is not at its end.
//!
//! **Invariants:** the sums are those of what each order told last, so that sums and orders that are
//! read together agree; an order is listed while it is open, as far as there is room.
//!
//! An order tells what it was to the seller before and what it is now: the sums need no order that is
//! at its end.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use cluster::entity::{
    Answer, Context, Decision, DecodeError, Effect, Entity, Port, TimerName, Wire,
};
use cluster::ids::{EntityKey, EntityKind, EntityRef};
use cluster::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::ids::OrderId;
use super::money::{Currency, Money};
use super::names::SellerId;
use super::order::{self, Order, Status};
use super::order_numbers::OrderNumber;
use crate::codec;
use crate::mutants::Mutant;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SellerBoard {
    pub(crate) open: BTreeMap<OrderId, Consignment>,
    /// Open as well, and without room among those: they are asked to show themselves once there is.
    pub(crate) waiting: BTreeSet<OrderId>,
    pub(crate) sums: BTreeMap<Currency, Sums>,
}

/// What an order is to a seller.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Consignment {
    pub number: Option<OrderNumber>,
    /// How far the pieces of this seller are.
    pub status: Status,
    /// Bought, and not called off.
    pub pieces: u32,
    /// What is paid for them.
    pub amount: Money,
    pub shipped: u32,
    pub delivered: u32,
    /// That came back.
    pub returned: u32,
    pub confirmed_at: Timestamp,
}

/// Of all orders in one currency.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sums {
    pub open: Sum,
    pub ended: Sum,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sum {
    pub orders: u64,
    pub pieces: u64,
    /// In minor units.
    pub amount: i64,
}

/// Told by an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Command {
    Put { order: OrderId, before: Option<Consignment>, after: Consignment },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    Put { order: OrderId, before: Option<Consignment>, after: Consignment },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Rejection {
    #[error("an order is in another currency than it was")]
    OtherCurrency,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Query {
    Dashboard,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dashboard {
    /// In order of currency.
    pub sums: Vec<(Currency, Sums)>,
    /// Oldest first.
    pub open: Vec<(OrderId, Consignment)>,
    /// Open, and not among those.
    pub unlisted: u64,
}

impl Consignment {
    /// Whether there is anything to do.
    const fn is_open(&self) -> bool {
        match self.status {
            Status::Pending
            | Status::OnHold
            | Status::Confirmed
            | Status::Processing
            | Status::Shipped
            | Status::Cancelling => true,
            Status::Delivered | Status::Returned | Status::Cancelled | Status::Failed => false,
        }
    }
}

impl Sums {
    fn of(&mut self, consignment: &Consignment) -> &mut Sum {
        if consignment.is_open() { &mut self.open } else { &mut self.ended }
    }
}

impl Sum {
    fn add(&mut self, more: &Consignment) {
        self.orders = self.orders.saturating_add(1);
        self.pieces = self.pieces.saturating_add(more.pieces.into());
        self.amount = self.amount.saturating_add(more.amount.minor);
    }

    fn take(&mut self, less: &Consignment) {
        self.orders = self.orders.saturating_sub(1);
        self.pieces = self.pieces.saturating_sub(less.pieces.into());
        self.amount = self.amount.saturating_sub(less.amount.minor);
    }
}

impl Entity for SellerBoard {
    const KIND: EntityKind = EntityKind(70);
    const NAME: &'static str = "seller_board";
    type Command = Command;
    type Event = Event;
    /// Nobody waits for one.
    type Reply = Dashboard;
    type Rejection = Rejection;
    type Query = Query;
    type View = Dashboard;

    fn decide(&self, command: Command, ctx: &Context<'_>) -> Result<Decision<Self>, Rejection> {
        let Command::Put { order, before, after } = command;
        let currency = after.amount.currency;
        if before.as_ref().is_some_and(|before| before.amount.currency != currency) {
            return Err(Rejection::OtherCurrency);
        }
        let makes_room = !after.is_open() && self.open.contains_key(&order);
        let next = self.waiting.iter().find(|next| makes_room && **next != order);
        let seller = match &ctx.me.key {
            EntityKey::Name(name) => name.parse().ok(),
            EntityKey::Number(_) => None,
        };
        let effects = next.zip(seller).map(|(next, seller)| {
            let command = order::Command::ShowSeller { seller }.to_bytes();
            Effect::Tell { to: Order::address(*next), command }
        });
        let events = vec![Event::Put { order, before, after }];
        let reply = Dashboard { sums: Vec::new(), open: Vec::new(), unlisted: 0 };
        Ok(Decision { events, effects: effects.into_iter().collect(), reply })
    }

    fn is_momentary(Rejection::OtherCurrency: &Rejection) -> bool {
        false
    }

    fn apply(&mut self, Event::Put { order, before, after }: &Event) {
        let sums = self.sums.entry(after.amount.currency).or_default();
        if let Some(before) = before.as_ref().filter(|_| !Mutant::SellerCountedTwice.is_planted()) {
            sums.of(before).take(before);
        }
        sums.of(after).add(after);
        let is_listed = self.open.contains_key(order) || self.open.len() < Self::OPEN_MAX;
        if !after.is_open() {
            self.open.remove(order);
            self.waiting.remove(order);
        } else if is_listed {
            self.open.insert(*order, after.clone());
            self.waiting.remove(order);
        } else if self.waiting.len() < Self::WAITING_MAX {
            self.waiting.insert(*order);
        }
    }

    fn view(&self, Query::Dashboard: Query, _: &Context<'_>) -> Dashboard {
        let mut open: Vec<_> = self.open.iter().map(|(order, it)| (*order, it.clone())).collect();
        open.sort_by_key(|(_, it)| it.confirmed_at);
        let n_open: u64 = self.sums.values().map(|sums| sums.open.orders).sum();
        let listed = u64::try_from(open.len()).unwrap_or(u64::MAX);
        let sums = self.sums.iter().map(|(currency, sums)| (*currency, *sums)).collect();
        Dashboard { sums, open, unlisted: n_open.saturating_sub(listed) }
    }

    fn exists(&self) -> bool {
        !self.sums.is_empty()
    }

    fn to_record(&self) -> Vec<u8> {
        codec::seller_board::to_record(self)
    }

    fn from_record(bytes: &[u8]) -> Result<Self, DecodeError> {
        codec::seller_board::from_record(bytes)
    }

    fn heap_bytes(&self) -> usize {
        self.open.len() * size_of::<(OrderId, Consignment)>()
            + self.waiting.len() * size_of::<OrderId>()
            + self.sums.len() * size_of::<(Currency, Sums)>()
    }

    fn on_timer(_: TimerName) -> Option<Command> {
        None
    }

    fn on_answer(_: Port, _: &Answer) -> Option<Command> {
        None
    }
}

impl SellerBoard {
    /// Open orders that are shown one by one.
    pub const OPEN_MAX: usize = 1_000;
    /// Of more than these it only counts those that never changed since.
    pub const WAITING_MAX: usize = 10_000;

    pub fn address(seller: &SellerId) -> EntityRef {
        EntityRef { kind: Self::KIND, key: seller.key() }
    }

    /// The error says why it could not have come about.
    pub(crate) fn check(&self) -> Result<(), &'static str> {
        if self.open.len() > Self::OPEN_MAX || self.waiting.len() > Self::WAITING_MAX {
            return Err("a board lists too many orders");
        }
        if self.waiting.iter().any(|order| self.open.contains_key(order)) {
            return Err("an order waits for the place that it has");
        }
        let mut listed: BTreeMap<Currency, Sum> = BTreeMap::new();
        for consignment in self.open.values() {
            if !consignment.is_open() {
                return Err("a board lists an order that is at its end");
            }
            listed.entry(consignment.amount.currency).or_default().add(consignment);
        }
        let counted = |currency| self.sums.get(currency).copied().unwrap_or_default().open;
        let is_counted = listed.iter().all(|(currency, listed)| {
            let sum = counted(currency);
            listed.orders <= sum.orders && listed.pieces <= sum.pieces
        });
        if is_counted { Ok(()) } else { Err("a board lists more than it counts") }
    }
}
