//! How often a discount code was used: by all customers together, or by one of them.
//!
//! Both are one kind of entity: the key is the code, or the code and a customer. An order asks for
//! its use as it asks a stock for pieces, and is answered alike. What only a first order gets is
//! counted in the same way, under a name that no code has.
//!
//! **Invariants**, true in every reachable state:
//! - when a use was granted, no more were counted and held than the limit that the order named;
//! - an order holds one use at most, and what ended for it never begins again while that is
//!   remembered: for a day, of the newest 1,000;
//! - at most [`CodeUses::HELD_MAX`] are held at once.

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::num::NonZeroU32;

use cluster::entity::{
    Answer, Context, Decision, DecodeError, Effect, Entity, Port, TimerName, Wire,
};
use cluster::ids::{EntityKey, EntityKind, EntityRef};
use cluster::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::discount_code::CodeName;
use super::endings::Endings;
use super::ids::OrderId;
use super::order::{self, Order};
use crate::codec;
use crate::mutants::Mutant;

/// Who a customer is as far as limits go: derived from an e-mail address by the rim, with a secret of
/// the cluster, so that no address can be read from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CustomerKey([u8; 16]);

impl CustomerKey {
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }
}

/// Whose uses of a code are counted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Counted {
    pub code: CodeName,
    /// Everybody's, without one.
    pub customer: Option<CustomerKey>,
}

impl Counted {
    /// A customer's first order, of which there is one.
    pub(crate) fn first_order_of(customer: CustomerKey) -> Self {
        Self { code: CodeName::first_order(), customer: Some(customer) }
    }

    pub(crate) fn is_first_order(&self) -> bool {
        self.code == CodeName::first_order()
    }

    /// No code has a colon in it.
    pub fn key(&self) -> EntityKey {
        let mut name = self.code.as_str().to_owned();
        if let Some(CustomerKey(bytes)) = self.customer {
            name.push(':');
            for byte in bytes {
                name.push_str(&format!("{byte:02x}"));
            }
        }
        EntityKey::Name(name.into_boxed_str())
    }

    fn of(key: &EntityKey) -> Option<Self> {
        let EntityKey::Name(name) = key else { return None };
        let code = |text: &str| CodeName::try_from(text.to_owned()).ok();
        let Some((name, customer)) = name.split_once(':') else {
            return Some(Self { code: code(name)?, customer: None });
        };
        let customer = u128::from_str_radix(customer, 16).ok()?.to_be_bytes();
        Some(Self { code: code(name)?, customer: Some(CustomerKey(customer)) })
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CodeUses {
    pub(crate) used: u32,
    pub(crate) held: BTreeSet<OrderId>,
    pub(crate) ended: Endings,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Command {
    /// Told by an order, and answered by telling it.
    ForOrder { order: OrderId, step: UseStep },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum UseStep {
    /// One more, of so many that may be.
    Hold { limit: Option<NonZeroU32> },
    /// What is held is counted.
    Count,
    /// What is held is free again; a hold that comes after this is refused.
    Release,
    /// What was counted is free again.
    Return,
}

/// What the order is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum UseNews {
    Held,
    Refused(NoUse),
    Counted,
    Released,
    Returned,
}

/// Why a code cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum NoUse {
    /// It was used, or is held, as often as it may be.
    Exhausted,
    /// So many hold it at once that no more are remembered.
    Crowded,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    Held {
        order: OrderId,
        at: Timestamp,
    },
    Counted {
        order: OrderId,
        used: u32,
        at: Timestamp,
    },
    Released {
        order: OrderId,
        at: Timestamp,
    },
    /// Its hold, should it still come while this is remembered, is refused.
    ReleasedEarly {
        order: OrderId,
        at: Timestamp,
    },
    Returned {
        order: OrderId,
        used: u32,
        at: Timestamp,
    },
}

/// Nothing is refused by rejection: an order that is refused is told so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Rejection {
    #[error("this is no discount code")]
    NoCode,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Query {
    Uses,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct View {
    /// By orders that were paid.
    pub used: u32,
    /// By orders that are not paid yet.
    pub held: u32,
}

impl View {
    /// As it is after what was decided.
    fn after(self, event: Option<&Event>) -> Self {
        let Self { used, held } = self;
        match event {
            Some(Event::Held { .. }) => Self { used, held: held.saturating_add(1) },
            Some(Event::Counted { used, .. }) => Self { used: *used, held: held.saturating_sub(1) },
            Some(Event::Released { .. }) => Self { used, held: held.saturating_sub(1) },
            Some(Event::Returned { used, .. }) => Self { used: *used, held },
            Some(Event::ReleasedEarly { .. }) | None => self,
        }
    }
}

impl Entity for CodeUses {
    const KIND: EntityKind = EntityKind(42);
    const NAME: &'static str = "discount code's uses";
    type Command = Command;
    type Event = Event;
    type Reply = View;
    type Rejection = Rejection;
    type Query = Query;
    type View = View;

    fn decide(&self, command: Command, ctx: &Context<'_>) -> Result<Decision<Self>, Rejection> {
        let counted = Counted::of(&ctx.me.key).ok_or(Rejection::NoCode)?;
        let Command::ForOrder { order, step } = command;
        let (event, news) = self.for_order(order, step, ctx.now);
        let command = order::Command::TakeUseNews { counted, news }.to_bytes();
        let effects = vec![Effect::Tell { to: Order::address(order), command }];
        let reply = self.level().after(event.as_ref());
        Ok(Decision { events: event.into_iter().collect(), effects, reply })
    }

    fn is_momentary(_: &Rejection) -> bool {
        false
    }

    fn apply(&mut self, event: &Event) {
        match event {
            Event::Held { order, at } => {
                self.ended.forget_before(*at);
                self.held.insert(*order);
            }
            Event::Counted { order, used, at } => {
                if !Mutant::CodeCountedTwice.is_planted() {
                    self.held.remove(order);
                }
                self.used = *used;
                self.ended.add(*order, *at);
            }
            Event::Released { order, at } => {
                self.held.remove(order);
                self.ended.add(*order, *at);
            }
            Event::ReleasedEarly { order, at } => self.ended.add(*order, *at),
            Event::Returned { order: _, used, at: _ } => self.used = *used,
        }
    }

    fn view(&self, Query::Uses: Query, _: &Context<'_>) -> View {
        self.level()
    }

    /// A code that nobody used is used no times.
    fn exists(&self) -> bool {
        true
    }

    fn to_record(&self) -> Vec<u8> {
        codec::code_uses::to_record(self)
    }

    fn from_record(bytes: &[u8]) -> Result<Self, DecodeError> {
        codec::code_uses::from_record(bytes)
    }

    fn heap_bytes(&self) -> usize {
        self.ended.heap_bytes() + self.held.len() * size_of::<OrderId>() * 2
    }

    fn on_timer(_: TimerName) -> Option<Command> {
        None
    }

    fn on_answer(_: Port, _: &Answer) -> Option<Command> {
        None
    }
}

impl CodeUses {
    pub const HELD_MAX: usize = 1_000;

    pub fn address(counted: &Counted) -> EntityRef {
        EntityRef { kind: Self::KIND, key: counted.key() }
    }

    fn level(&self) -> View {
        let held = u32::try_from(self.held.len()).unwrap_or(u32::MAX);
        View { used: self.used, held }
    }

    /// What happens, and what the order is told. Repeats change nothing and are answered alike.
    fn for_order(&self, order: OrderId, step: UseStep, at: Timestamp) -> (Option<Event>, UseNews) {
        let is_held = self.held.contains(&order);
        match step {
            UseStep::Hold { .. } if is_held => (None, UseNews::Held),
            UseStep::Hold { limit } => match self.refusal(order, limit, at) {
                Some(why) => (None, UseNews::Refused(why)),
                None => (Some(Event::Held { order, at }), UseNews::Held),
            },
            UseStep::Count => {
                let used = self.used.saturating_add(1);
                (is_held.then_some(Event::Counted { order, used, at }), UseNews::Counted)
            }
            UseStep::Release if is_held => (Some(Event::Released { order, at }), UseNews::Released),
            UseStep::Release => {
                let early = !self.ended.has(order, at);
                (early.then_some(Event::ReleasedEarly { order, at }), UseNews::Released)
            }
            UseStep::Return => {
                let used = self.used.saturating_sub(1);
                (Some(Event::Returned { order, used, at }), UseNews::Returned)
            }
        }
    }

    fn refusal(&self, order: OrderId, limit: Option<NonZeroU32>, at: Timestamp) -> Option<NoUse> {
        let View { used, held } = self.level();
        let is_full = limit.is_some_and(|limit| used.saturating_add(held) >= limit.get());
        if self.ended.has(order, at) || (is_full && !Mutant::CodeLimitIgnored.is_planted()) {
            Some(NoUse::Exhausted)
        } else if self.held.len() >= Self::HELD_MAX {
            Some(NoUse::Crowded)
        } else {
            None
        }
    }
}
