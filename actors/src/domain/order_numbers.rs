//! The numbers that people call orders by.
//!
//! **Invariants:** no two orders of a cluster have one number: a routing slot counts its own orders,
//! and the number holds the slot. Numbers have gaps, and say nothing of how much is sold.

use std::fmt;

use cluster::entity::{
    Answer, Context, Decision, DecodeError, Effect, Entity, Port, TimerName, Wire,
};
use cluster::ids::{EntityKey, EntityKind, EntityRef, Slot};
use serde::{Deserialize, Serialize};

use super::ids::OrderId;
use super::order::{self, Order};
use crate::codec;
use crate::mutants::Mutant;

/// What people call an order by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct OrderNumber(u64);

impl OrderNumber {
    const SLOTS: u64 = 1 << 16;

    fn of(nth: u64, slot: Slot) -> Self {
        Self(nth.saturating_mul(Self::SLOTS) | u64::from(slot.bits()))
    }

    #[cfg(test)]
    pub(crate) const fn from_number(number: u64) -> Self {
        Self(number)
    }

    pub const fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for OrderNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// How many orders a slot has numbered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OrderNumbers {
    pub(crate) given: u64,
}

/// Told by an order, which is told its number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Command {
    Give { to: OrderId },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    Given { nth: u64, to: OrderId },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Rejection {
    #[error("these are the numbers of another slot")]
    OtherSlot,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Query {
    Given,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct View {
    pub given: u64,
}

impl Entity for OrderNumbers {
    const KIND: EntityKind = EntityKind(7);
    const NAME: &'static str = "order_numbers";
    type Command = Command;
    type Event = Event;
    type Reply = View;
    type Rejection = Rejection;
    type Query = Query;
    type View = View;

    fn decide(&self, command: Command, ctx: &Context<'_>) -> Result<Decision<Self>, Rejection> {
        let Command::Give { to } = command;
        if *ctx.me != Self::address(to.key().slot()) {
            return Err(Rejection::OtherSlot);
        }
        let is_repeated = self.given > 0 && Mutant::NumberGivenTwice.is_planted();
        let nth = if is_repeated { self.given } else { self.given + 1 };
        let number = OrderNumber::of(nth, to.key().slot());
        let command = order::Command::TakeNumber { number }.to_bytes();
        Ok(Decision {
            events: vec![Event::Given { nth, to }],
            effects: vec![Effect::Tell { to: Order::address(to), command }],
            reply: View { given: nth },
        })
    }

    fn is_momentary(Rejection::OtherSlot: &Rejection) -> bool {
        false
    }

    fn apply(&mut self, Event::Given { nth, to: _ }: &Event) {
        self.given = *nth;
    }

    fn view(&self, Query::Given: Query, _: &Context<'_>) -> View {
        View { given: self.given }
    }

    fn exists(&self) -> bool {
        self.given > 0
    }

    fn to_record(&self) -> Vec<u8> {
        codec::order::numbers_to_record(self)
    }

    fn from_record(bytes: &[u8]) -> Result<Self, DecodeError> {
        codec::order::numbers_from_record(bytes)
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

impl OrderNumbers {
    /// The ones of a slot.
    pub fn address(slot: Slot) -> EntityRef {
        EntityRef { kind: Self::KIND, key: EntityKey::in_slot(slot, [0; 14]) }
    }
}
