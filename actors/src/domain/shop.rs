//! The shop: what holds for all of its products.
//!
//! There is one. It lives in the `catalogue` group, beside the products.
//!
//! **Invariants:** choosing what is chosen already is no event.

use cluster::entity::{Answer, Context, Decision, DecodeError, Entity, Home, Port, TimerName};
use cluster::ids::{EntityKey, EntityKind, ShardId};
use cluster::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::money::Currency;
use crate::codec;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shop {
    pub(crate) default_currency: Option<Currency>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Command {
    /// Of carts whose shopper does not choose one.
    SetDefaultCurrency { currency: Currency },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    DefaultCurrencySet { currency: Currency, at: Timestamp },
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub enum Rejection {
    #[error("there is one shop, and it is another")]
    OtherShop,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Query {
    Terms,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terms {
    pub default_currency: Option<Currency>,
}

impl Entity for Shop {
    const KIND: EntityKind = EntityKind(4);
    const NAME: &'static str = "shop";
    const HOME: Home = Home::Everywhere(ShardId::CATALOGUE);
    type Command = Command;
    type Event = Event;
    type Reply = Terms;
    type Rejection = Rejection;
    type Query = Query;
    type View = Terms;

    fn decide(&self, command: Command, ctx: &Context<'_>) -> Result<Decision<Self>, Rejection> {
        if ctx.me.key != Self::key() {
            return Err(Rejection::OtherShop);
        }
        let Command::SetDefaultCurrency { currency } = command;
        let changed = self.default_currency != Some(currency);
        let event = Event::DefaultCurrencySet { currency, at: ctx.now };
        let events = changed.then_some(event).into_iter().collect();
        let reply = Terms { default_currency: Some(currency) };
        Ok(Decision { events, effects: Vec::new(), reply })
    }

    fn is_momentary(Rejection::OtherShop: &Rejection) -> bool {
        false
    }

    fn apply(&mut self, Event::DefaultCurrencySet { currency, at: _ }: &Event) {
        self.default_currency = Some(*currency);
    }

    fn view(&self, Query::Terms: Query, _: &Context<'_>) -> Terms {
        Terms { default_currency: self.default_currency }
    }

    fn exists(&self) -> bool {
        self.default_currency.is_some()
    }

    fn to_record(&self) -> Vec<u8> {
        codec::catalogue::shop_to_record(self)
    }

    fn from_record(bytes: &[u8]) -> Result<Self, DecodeError> {
        codec::catalogue::shop_from_record(bytes)
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

impl Shop {
    /// The one there is.
    pub fn key() -> EntityKey {
        EntityKey::Name("shop".into())
    }
}

#[cfg(test)]
mod tests {
    use cluster::entity::NoCatalogue;
    use cluster::ids::EntityRef;

    use super::*;

    const NOON: Timestamp = Timestamp::from_micros(1);

    #[track_caller]
    fn check(given: &[Event], key: EntityKey, then: Result<&[Event], Rejection>) {
        let mut shop = Shop::default();
        for event in given {
            shop.apply(event);
        }
        let me = EntityRef { kind: Shop::KIND, key };
        let catalogue = Err(NoCatalogue::Absent);
        let ctx = Context { now: NOON, me: &me, entropy: [0; 32], catalogue };
        let command = Command::SetDefaultCurrency { currency: Currency::EURO };
        let decided = shop.decide(command, &ctx).map(|decision| decision.events);
        assert_eq!(decided, then.map(<[_]>::to_vec));
    }

    fn set(code: &str) -> Event {
        Event::DefaultCurrencySet { currency: code.parse().unwrap(), at: NOON }
    }

    #[test]
    fn the_default_currency_is_chosen_once() {
        check(&[], Shop::key(), Ok(&[set("EUR")]));
        check(&[set("JPY")], Shop::key(), Ok(&[set("EUR")]));
        check(&[set("EUR")], Shop::key(), Ok(&[]));
    }

    #[test]
    fn there_is_one_shop() {
        check(&[], EntityKey::Name("another".into()), Err(Rejection::OtherShop));
    }
}
