//! A gift card: money that was paid before, what orders take of it, and the book of both.
//!
//! An order asks for what it needs as it asks a stock for pieces, and is answered alike. Whoever has the
//! code has the money; no code is kept, only the id that the rim derives from it and the end that its
//! owner knows it by.
//!
//! **Invariants**, true in every reachable state:
//! - what is held is no more than the balance, and neither is ever below zero;
//! - an order holds one amount at most, and what ended for it never begins again while that is
//!   remembered: for a day, of the newest 1,000;
//! - the balance is what the book's entries add up to, of which the newest are shown;
//! - a card is spent in its own currency alone;
//! - it tells its list that there is such a card once, in the entry that issues it, or, of one from before
//!   there were lists, in the first one that changes it.

mod book;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use cluster::entity::{
    Answer, Context, Decision, DecodeError, Effect, Entity, Port, TimerName, Wire,
};
use cluster::ids::{EntityKind, EntityRef};
use cluster::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::endings::Endings;
use super::gift_card_list::{GiftCardList, Listed};
use super::heap;
use super::ids::{GiftCardId, OrderId};
use super::money::{Currency, Money};
use super::names::Label;
use super::order::{self, Order};
use crate::codec;
use crate::mutants::Mutant;
pub(crate) use book::Book;
pub use book::{Booking, Entry};

/// Nothing until it is issued.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GiftCard {
    pub(crate) issued: Option<Box<Issued>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Issued {
    pub(crate) currency: Currency,
    /// How its owner knows it: the last characters of its code.
    pub(crate) ending: Label,
    pub(crate) note: Option<Label>,
    pub(crate) terms: CardTerms,
    pub(crate) book: Book,
    /// In minor units, for orders that are being paid.
    pub(crate) held: BTreeMap<OrderId, i64>,
    pub(crate) ended: Endings,
    pub(crate) at: Timestamp,
    /// Whether its list was told.
    pub(crate) is_listed: bool,
}

/// Whether orders may take anything of it. What they hold already they may spend.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CardTerms {
    pub is_blocked: bool,
    pub expires_at: Option<Timestamp>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Command {
    Issue {
        amount: Money,
        ending: Label,
        expires_at: Option<Timestamp>,
        note: Option<Label>,
    },
    /// More or less of it, by hand.
    Adjust {
        by: Money,
        reason: Label,
    },
    SetTerms {
        terms: CardTerms,
    },
    /// Told by an order, and answered by telling it.
    ForOrder {
        order: OrderId,
        step: CardStep,
    },
    /// Told by an order that makes it of what it was paid with, and answered by telling it.
    IssueFor {
        order: OrderId,
        amount: Money,
        ending: Label,
        note: Option<Label>,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CardStep {
    /// As much as there is, and this at most.
    Hold { most: Money },
    /// So much of what is held is paid; the rest is free again.
    Spend { minor: i64 },
    /// What is held is free again; a hold that comes after this is refused.
    Release,
    /// Some of what was paid is on the card again.
    GiveBack { minor: i64 },
}

/// What the order is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CardNews {
    Held {
        minor: i64,
    },
    Refused(NoMoney),
    Spent,
    Released,
    GivenBack,
    Issued,
    /// There is such a card already.
    NotIssued,
}

/// Why a card pays nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum NoMoney {
    Unknown,
    Empty,
    Expired,
    Blocked,
    OtherCurrency,
    /// So many hold some of it at once that no more are remembered, or this order had its turn.
    Crowded,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    Issued {
        amount: Money,
        ending: Label,
        expires_at: Option<Timestamp>,
        note: Option<Label>,
        at: Timestamp,
    },
    Adjusted {
        minor: i64,
        reason: Label,
        at: Timestamp,
    },
    TermsSet {
        terms: CardTerms,
        at: Timestamp,
    },
    Held {
        order: OrderId,
        minor: i64,
        at: Timestamp,
    },
    /// Of what was held; the rest is free.
    Spent {
        order: OrderId,
        minor: i64,
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
    GivenBack {
        order: OrderId,
        minor: i64,
        at: Timestamp,
    },
    /// Its list is told that there is such a card.
    ListingAsked {
        at: Timestamp,
    },
}

/// Which rule a command broke. An order that gets nothing is told so instead.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Rejection {
    #[error("the gift card does not exist")]
    NotFound,
    #[error("there is a gift card with this code")]
    AlreadyIssued,
    #[error("the amount is not positive")]
    NotPositive,
    #[error("a gift card has at most {} minor units", GiftCard::BALANCE_MAX)]
    TooMuch,
    #[error("of the gift card {available} minor units can be taken")]
    TooLittle { available: i64 },
    #[error("the gift card is in {currency}")]
    OtherCurrency { currency: Currency },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Query {
    Card,
}

/// A card, or nothing where none was issued.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lookup(pub Option<View>);

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct View {
    pub ending: Label,
    pub note: Option<Label>,
    pub terms: CardTerms,
    pub balance: Money,
    /// For orders that are being paid.
    pub held: Money,
    pub issued_at: Timestamp,
    /// The newest, oldest first.
    pub book: Vec<Entry>,
}

/// What a card is good for at some time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CardState {
    Active,
    Blocked,
    Expired,
    /// It may be paid again by what an order gives back.
    Empty,
}

impl View {
    /// What an order holds of it is on it still.
    pub fn state(&self, at: Timestamp) -> CardState {
        match self.terms.refusal(at) {
            Some(NoMoney::Blocked) => CardState::Blocked,
            Some(NoMoney::Expired) => CardState::Expired,
            Some(NoMoney::Unknown | NoMoney::Empty | NoMoney::OtherCurrency | NoMoney::Crowded)
            | None => match self.balance.minor {
                ..=0 => CardState::Empty,
                _ => CardState::Active,
            },
        }
    }

    /// What an order gets of it at some time.
    pub fn available(&self, at: Timestamp) -> Money {
        let minor = if self.terms.refusal(at).is_some() {
            0
        } else {
            self.balance.minor.saturating_sub(self.held.minor)
        };
        Money { minor, ..self.balance }
    }

    /// Why an order in this currency gets nothing of it at some time.
    pub fn refusal(&self, currency: Currency, at: Timestamp) -> Option<NoMoney> {
        let is_other = self.balance.currency != currency;
        let other = is_other.then_some(NoMoney::OtherCurrency);
        let is_empty = self.available(at).minor <= 0;
        other.or(self.terms.refusal(at)).or(is_empty.then_some(NoMoney::Empty))
    }
}

impl CardTerms {
    fn refusal(self, at: Timestamp) -> Option<NoMoney> {
        match self {
            Self { is_blocked: true, .. } => Some(NoMoney::Blocked),
            Self { expires_at: Some(end), .. } if end <= at => Some(NoMoney::Expired),
            Self { .. } => None,
        }
    }
}

impl Entity for GiftCard {
    const KIND: EntityKind = EntityKind(71);
    const NAME: &'static str = "gift card";
    type Command = Command;
    type Event = Event;
    type Reply = Lookup;
    type Rejection = Rejection;
    type Query = Query;
    type View = Lookup;

    fn decide(&self, command: Command, ctx: &Context<'_>) -> Result<Decision<Self>, Rejection> {
        let card = GiftCardId::try_from(&ctx.me.key).map_err(|_| Rejection::NotFound)?;
        let at = ctx.now;
        let (event, mut effects) = match command {
            Command::Issue { amount, ending, expires_at, note } => {
                (self.issue(amount, ending, expires_at, note, at)?, vec![])
            }
            Command::Adjust { by, reason } => (self.adjust(by, reason, at)?, vec![]),
            Command::SetTerms { terms } => {
                let is_new = self.found()?.terms != terms;
                (is_new.then_some(Event::TermsSet { terms, at }), vec![])
            }
            Command::IssueFor { order, amount, ending, note } => {
                let issued = self.issue(amount, ending, None, note, at).ok().flatten();
                let is_issued = issued.is_some() || Mutant::VoucherOfAnother.is_planted();
                let news = if is_issued { CardNews::Issued } else { CardNews::NotIssued };
                let command = order::Command::TakeCardNews { card, news }.to_bytes();
                (issued, vec![Effect::Tell { to: Order::address(order), command }])
            }
            Command::ForOrder { order, step } => {
                let (event, news) = self.for_order(order, step, at);
                let command = order::Command::TakeCardNews { card, news }.to_bytes();
                (event, vec![Effect::Tell { to: Order::address(order), command }])
            }
        };
        let mut events = Vec::from_iter(event);
        let mut after = self.clone();
        events.iter().for_each(|event| after.apply(event));
        if let Some(issued_at) = after.unlisted_since().filter(|_| !events.is_empty()) {
            events.push(Event::ListingAsked { at });
            effects.push(GiftCardList::tell(Listed { card, issued_at }));
        }
        Ok(Decision { events, effects, reply: after.look_up() })
    }

    /// What orders hold, and what they give back, may change what is left.
    fn is_momentary(rejection: &Rejection) -> bool {
        matches!(rejection, Rejection::TooLittle { .. })
    }

    fn apply(&mut self, event: &Event) {
        if let Event::Issued { amount, ending, expires_at, note, at } = event {
            self.issued = Some(Box::new(Issued {
                currency: amount.currency,
                ending: ending.clone(),
                note: note.clone(),
                terms: CardTerms { is_blocked: false, expires_at: *expires_at },
                book: Book::opened(amount.minor, *at),
                held: BTreeMap::new(),
                ended: Endings::default(),
                at: *at,
                is_listed: false,
            }));
        } else if let Some(card) = &mut self.issued {
            card.apply(event);
        } else {
            debug_assert!(false, "a gift card that was never issued has no {event:?}");
        }
    }

    fn view(&self, Query::Card: Query, _: &Context<'_>) -> Lookup {
        self.look_up()
    }

    fn exists(&self) -> bool {
        self.issued.is_some()
    }

    fn to_record(&self) -> Vec<u8> {
        codec::gift_card::to_record(self)
    }

    fn from_record(bytes: &[u8]) -> Result<Self, DecodeError> {
        codec::gift_card::from_record(bytes)
    }

    fn heap_bytes(&self) -> usize {
        self.issued.as_ref().map_or(0, |card| card.heap_bytes())
    }

    fn on_timer(_: TimerName) -> Option<Command> {
        None
    }

    fn on_answer(_: Port, _: &Answer) -> Option<Command> {
        None
    }
}

impl GiftCard {
    /// In minor units: ten million of most currencies, far below where sums could wrap.
    pub const BALANCE_MAX: i64 = 1_000_000_000;
    pub const HELD_MAX: usize = 100;

    pub fn address(id: GiftCardId) -> EntityRef {
        EntityRef { kind: Self::KIND, key: id.key() }
    }

    fn found(&self) -> Result<&Issued, Rejection> {
        self.issued.as_deref().ok_or(Rejection::NotFound)
    }

    /// When it was issued, if its list was not told of it.
    fn unlisted_since(&self) -> Option<Timestamp> {
        self.issued.as_deref().filter(|card| !card.is_listed).map(|card| card.at)
    }

    fn look_up(&self) -> Lookup {
        Lookup(self.issued.as_deref().map(Issued::view))
    }

    fn issue(
        &self,
        amount: Money,
        ending: Label,
        expires_at: Option<Timestamp>,
        note: Option<Label>,
        at: Timestamp,
    ) -> Result<Option<Event>, Rejection> {
        if self.issued.is_some() {
            return Err(Rejection::AlreadyIssued);
        }
        match amount.minor {
            ..=0 => Err(Rejection::NotPositive),
            1..=Self::BALANCE_MAX => {
                Ok(Some(Event::Issued { amount, ending, expires_at, note, at }))
            }
            _ => Err(Rejection::TooMuch),
        }
    }

    fn adjust(&self, by: Money, reason: Label, at: Timestamp) -> Result<Option<Event>, Rejection> {
        let card = self.found()?;
        if by.currency != card.currency {
            return Err(Rejection::OtherCurrency { currency: card.currency });
        }
        let available = card.free();
        if by.minor < 0 && available.saturating_add(by.minor) < 0 {
            return Err(Rejection::TooLittle { available });
        }
        if card.book.balance().saturating_add(by.minor) > Self::BALANCE_MAX {
            return Err(Rejection::TooMuch);
        }
        let minor = by.minor;
        Ok((minor != 0).then_some(Event::Adjusted { minor, reason, at }))
    }

    /// What happens, and what the order is told. Repeats change nothing and are answered alike; of what
    /// is given back there are none: each is told once.
    fn for_order(
        &self,
        order: OrderId,
        step: CardStep,
        at: Timestamp,
    ) -> (Option<Event>, CardNews) {
        let Some(card) = self.issued.as_deref() else {
            return (
                None,
                match step {
                    CardStep::Hold { .. } => CardNews::Refused(NoMoney::Unknown),
                    // Nothing was ever taken of it.
                    CardStep::Release => CardNews::Released,
                    CardStep::Spend { .. } => CardNews::Spent,
                    CardStep::GiveBack { .. } => CardNews::GivenBack,
                },
            );
        };
        let held = card.held.get(&order).copied();
        match (step, held) {
            (CardStep::Hold { .. }, Some(minor)) => (None, CardNews::Held { minor }),
            (CardStep::Hold { most }, None) => match card.held_for(order, most, at) {
                Ok(minor) => (Some(Event::Held { order, minor, at }), CardNews::Held { minor }),
                Err(why) => (None, CardNews::Refused(why)),
            },
            (CardStep::Spend { minor }, Some(held)) => {
                let minor = minor.clamp(0, held);
                (Some(Event::Spent { order, minor, at }), CardNews::Spent)
            }
            (CardStep::Spend { .. }, None) => (None, CardNews::Spent),
            (CardStep::Release, Some(_)) => {
                (Some(Event::Released { order, at }), CardNews::Released)
            }
            (CardStep::Release, None) => {
                let early = !card.ended.has(order, at);
                (early.then_some(Event::ReleasedEarly { order, at }), CardNews::Released)
            }
            (CardStep::GiveBack { minor }, _) => {
                let event = Event::GivenBack { order, minor, at };
                ((minor > 0).then_some(event), CardNews::GivenBack)
            }
        }
    }
}

impl Issued {
    fn apply(&mut self, event: &Event) {
        match event {
            // Of a card that there is not yet.
            Event::Issued { .. } => {}
            Event::Adjusted { minor, reason, at } => {
                self.book.add(Booking::Adjusted { reason: reason.clone() }, *minor, *at);
            }
            Event::TermsSet { terms, .. } => self.terms = *terms,
            Event::Held { order, minor, at } => {
                self.ended.forget_before(*at);
                self.held.insert(*order, *minor);
            }
            Event::Spent { order, minor, at } => {
                if !Mutant::GiftCardStaysHeld.is_planted() {
                    self.held.remove(order);
                }
                if *minor > 0 && !Mutant::GiftCardSpentForNothing.is_planted() {
                    self.book.add(Booking::Spent { order: *order }, -*minor, *at);
                }
                self.ended.add(*order, *at);
            }
            Event::Released { order, at } => {
                self.held.remove(order);
                self.ended.add(*order, *at);
            }
            Event::ReleasedEarly { order, at } => self.ended.add(*order, *at),
            Event::GivenBack { order, minor, at } => {
                self.book.add(Booking::GivenBack { order: *order }, *minor, *at);
            }
            Event::ListingAsked { .. } => self.is_listed = true,
        }
    }

    fn view(&self) -> View {
        let money = |minor| Money { minor, currency: self.currency };
        View {
            ending: self.ending.clone(),
            note: self.note.clone(),
            terms: self.terms,
            balance: money(self.book.balance()),
            held: money(self.all_held()),
            issued_at: self.at,
            book: self.book.entries().cloned().collect(),
        }
    }

    pub(crate) fn all_held(&self) -> i64 {
        self.held.values().sum()
    }

    /// What nobody holds.
    fn free(&self) -> i64 {
        self.book.balance() - self.all_held()
    }

    /// What this order gets.
    fn held_for(&self, order: OrderId, most: Money, at: Timestamp) -> Result<i64, NoMoney> {
        if most.currency != self.currency {
            return Err(NoMoney::OtherCurrency);
        }
        if let Some(why) = self.terms.refusal(at) {
            return Err(why);
        }
        if self.ended.has(order, at) || self.held.len() >= GiftCard::HELD_MAX {
            return Err(NoMoney::Crowded);
        }
        let is_overdrawn = Mutant::GiftCardOverdrawn.is_planted();
        let free = if is_overdrawn { self.book.balance() } else { self.free() };
        let minor = free.min(most.minor);
        if minor > 0 { Ok(minor) } else { Err(NoMoney::Empty) }
    }

    fn heap_bytes(&self) -> usize {
        let held = self.held.len() * size_of::<(OrderId, i64)>() * 2;
        let words = self.note.as_ref().map_or(0, |note| heap::allocation(note.as_str().len()));
        size_of::<Self>() + self.ended.heap_bytes() + held + words + self.book.heap_bytes()
    }
}
