//! The stock of one SKU.
//!
//! **Invariants**, true in every reachable state:
//! - `0 <= reserved <= on_hand`, and `reserved` is the sum of the open reservations;
//! - at most [`Sku::RESERVATIONS_MAX`] open reservations;
//! - the timer stands at the earliest expiry of an open reservation, or nowhere;
//! - an id is open or has ended, never both.
//!
//! A reservation past its expiry counts for nothing from that instant on, whether or not the timer
//! has fired. How a reservation ended is known for a day, of the newest 1,000: past either, its id
//! is like one that never was, so a reserve that late holds pieces anew. An adjustment says "more",
//! not "this many": its repeats are the fabric's to recognise; other repeats change no stock.

mod claims;
#[cfg(test)]
mod claims_tests;
mod ended;
mod ledger;
mod orders;
#[cfg(test)]
mod orders_tests;
#[cfg(test)]
mod properties;
mod reservations;
mod standing;
#[cfg(test)]
mod tests;
mod view;

use cluster::entity::{Answer, Context, Decision, DecodeError, Effect, Entity, Port, TimerName};
use cluster::ids::{EntityKind, EntityRef};
use cluster::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::ids::{OrderId, ReservationId, SkuCode};
use super::quantity::{Delta, Quantity, Units};
use crate::codec;
use crate::mutants::Mutant;
pub(crate) use ended::{End, Ended, EndedReservation};
pub(crate) use ledger::Ledger;
pub use ledger::{Cause, InvalidReason, LedgerEntry, Reason};
pub use orders::OrderStep;
pub use reservations::{Holder, InvalidHolder};
pub(crate) use reservations::{Reservation, Reservations};
use standing::{Standing, less};
pub use view::{Level, Query, Reply, ReservationPage, ReservationView, View};

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sku {
    /// `None` until a stock was first stated.
    pub(crate) on_hand: Option<Units>,
    pub(crate) reserved: Units,
    pub(crate) reservations: Reservations,
    pub(crate) ended: Ended,
    pub(crate) ledger: Ledger,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Command {
    Adjust {
        delta: Delta,
        reason: Reason,
    },
    SetOnHand {
        on_hand: Units,
        reason: Reason,
    },
    Reserve {
        id: ReservationId,
        quantity: Quantity,
        holder: Option<Holder>,
        /// Without it only a confirmation or a release ends the reservation.
        expires_at: Option<Timestamp>,
    },
    /// The reserved pieces leave the stock.
    Confirm {
        id: ReservationId,
        /// Who asks; where the reservation has a holder, it must be this one.
        holder: Option<Holder>,
    },
    /// The reserved pieces are available again.
    Release {
        id: ReservationId,
        /// Who asks; where the reservation has a holder, it must be this one.
        holder: Option<Holder>,
        if_unknown: IfUnknown,
    },
    /// The reservation no longer expires: from here on only its new holder ends it. What an entity
    /// has taken over no other takes over.
    TakeOver {
        id: ReservationId,
        holder: Holder,
    },
    /// The timer's.
    ExpireDue,
    /// Told by an order, and answered by telling it.
    ForOrder {
        order: OrderId,
        step: OrderStep,
    },
}

/// What to do about the release of a reservation that is neither open nor known to have ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum IfUnknown {
    /// It is a mistake: nothing is recorded.
    Reject,
    /// Its reserve may still be under way: should it come, it is refused. For entities that undo
    /// what they are not sure to have done.
    RefuseItsReserve,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    OnHandSet {
        on_hand: Units,
        delta: Delta,
        reason: Reason,
        at: Timestamp,
    },
    Reserved {
        id: ReservationId,
        quantity: Quantity,
        holder: Option<Holder>,
        expires_at: Option<Timestamp>,
        reserved: Units,
        at: Timestamp,
    },
    Confirmed {
        id: ReservationId,
        on_hand: Units,
        delta: Delta,
        reserved: Units,
        at: Timestamp,
    },
    Released {
        id: ReservationId,
        reserved: Units,
        at: Timestamp,
    },
    /// Its reserve, should it still come while this is remembered, is refused.
    ReleasedEarly {
        id: ReservationId,
        at: Timestamp,
    },
    TakenOver {
        id: ReservationId,
        holder: Holder,
        at: Timestamp,
    },
    Expired {
        ids: Vec<ReservationId>,
        reserved: Units,
        at: Timestamp,
    },
}

/// Which rule a command broke.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Rejection {
    #[error("the stock would fall below the {reserved} reserved pieces")]
    BelowReserved { reserved: Units },
    #[error("a stock is at most {} pieces", Units::MAX)]
    OnHandTooLarge,
    #[error("{requested} requested, {available} available")]
    OutOfStock { requested: Quantity, available: Units },
    #[error("the reservation is held for {held} pieces")]
    DifferentQuantity { held: Quantity },
    /// Not for good: there is room again when some of them end. Retry.
    #[error("the sku has {} open reservations already", Sku::RESERVATIONS_MAX)]
    TooManyReservations,
    #[error("the reservation was released already")]
    ReleasedBefore,
    /// It never was, or its end is not remembered any more.
    #[error("there is no such reservation")]
    NotReserved,
    #[error("the reservation has expired")]
    Expired,
    #[error("the reservation was confirmed already")]
    AlreadyConfirmed,
    #[error("the reservation is held by another")]
    HeldByAnother,
}

impl Command {
    /// The reservation that is asked for.
    fn claimed(&self) -> Option<ReservationId> {
        match self {
            Self::Reserve { id, .. } | Self::TakeOver { id, .. } => Some(*id),
            Self::Adjust { .. }
            | Self::SetOnHand { .. }
            | Self::Confirm { .. }
            | Self::Release { .. }
            | Self::ExpireDue
            | Self::ForOrder { .. } => None,
        }
    }
}

impl Entity for Sku {
    const KIND: EntityKind = EntityKind(2);
    const NAME: &'static str = "sku";
    type Command = Command;
    type Event = Event;
    type Reply = Reply;
    type Rejection = Rejection;
    type Query = Query;
    type View = View;

    fn decide(&self, command: Command, ctx: &Context<'_>) -> Result<Decision<Self>, Rejection> {
        let standing = self.standing(ctx.now);
        let timer_is_spent = command == Command::ExpireDue;
        let claimed = command.claimed();
        let mut told = None;
        let event = match command {
            Command::Adjust { delta, reason } => standing.adjust(delta, reason)?,
            Command::SetOnHand { on_hand, reason } => standing.set_on_hand(on_hand, reason)?,
            Command::Reserve { id, quantity, holder, expires_at } => {
                let asked = Reservation { quantity, holder, expires_at };
                self.reserve(&standing, id, asked)?
            }
            Command::Confirm { id, holder } => self.confirm(&standing, id, holder)?,
            Command::Release { id, holder, if_unknown } => {
                self.release(&standing, id, holder, if_unknown)?
            }
            Command::TakeOver { id, holder } => self.take_over(&standing, id, holder)?,
            Command::ExpireDue => None,
            Command::ForOrder { order, step } => {
                let (event, news) = self.for_order(&standing, order, step);
                told = news.and_then(|news| Self::tell_order(&ctx.me.key, order, news));
                event
            }
        };
        let timer = self.timer_effect(&standing, event.as_ref(), timer_is_spent);
        let effects = timer.into_iter().chain(told).collect();
        let reservation = claimed.and_then(|id| self.reservation_after(id, event.as_ref()));
        let reply = Reply { level: standing.level().after(event.as_ref()), reservation };
        let events = standing.into_event().into_iter().chain(event).collect();
        Ok(Decision { events, effects, reply })
    }

    fn is_momentary(rejection: &Rejection) -> bool {
        matches!(rejection, Rejection::TooManyReservations)
    }

    fn apply(&mut self, event: &Event) {
        match event {
            Event::OnHandSet { on_hand, delta, reason, at } => {
                self.on_hand = Some(*on_hand);
                let cause = Cause::Stated(reason.clone());
                self.ledger.push(LedgerEntry { at: *at, delta: *delta, on_hand: *on_hand, cause });
            }
            Event::Reserved { id, quantity, holder, expires_at, reserved, at } => {
                let (quantity, holder, expires_at) = (*quantity, *holder, *expires_at);
                // Else an id that begins anew long after its end would be open and ended at once.
                self.ended.forget_before(*at);
                self.reservations.insert(*id, Reservation { quantity, holder, expires_at });
                self.reserved = *reserved;
            }
            Event::Confirmed { id, on_hand, delta, reserved, at } => {
                self.end(*id, End::Sold, *at);
                self.on_hand = Some(*on_hand);
                self.reserved = *reserved;
                let cause = Cause::Sold(*id);
                self.ledger.push(LedgerEntry { at: *at, delta: *delta, on_hand: *on_hand, cause });
            }
            Event::Released { id, reserved, at } => {
                self.end(*id, End::Released, *at);
                self.reserved = *reserved;
            }
            Event::ReleasedEarly { id, at } => self.end(*id, End::ReleasedBefore, *at),
            Event::TakenOver { id, holder, at: _ } => self.reservations.take_over(*id, *holder),
            Event::Expired { ids, reserved, at } => {
                for id in ids {
                    self.end(*id, End::Expired, *at);
                }
                if !Mutant::ExpiryKeepsStock.is_planted() {
                    self.reserved = *reserved;
                }
            }
        }
    }

    fn view(&self, query: Query, ctx: &Context<'_>) -> View {
        match query {
            Query::Level => View::Level(self.standing(ctx.now).level()),
            Query::Reservation { id } => {
                let level = self.standing(ctx.now).level();
                let open = self.reservations.get(id).filter(|held| !held.is_due(ctx.now));
                View::Reservation(Reply { level, reservation: open.map(|held| held.view(id)) })
            }
            Query::Reservations { after, limit } => {
                View::Reservations(self.reservations.page(after, limit, ctx.now))
            }
            Query::Ledger { limit } => View::Ledger(self.ledger.newest(limit)),
        }
    }

    fn exists(&self) -> bool {
        self.on_hand.is_some()
    }

    fn to_record(&self) -> Vec<u8> {
        codec::sku::to_record(self)
    }

    fn from_record(bytes: &[u8]) -> Result<Self, DecodeError> {
        codec::sku::from_record(bytes)
    }

    fn heap_bytes(&self) -> usize {
        self.reservations.heap_bytes() + self.ended.heap_bytes() + self.ledger.heap_bytes()
    }

    fn on_timer(name: TimerName) -> Option<Command> {
        (name == Self::EXPIRY).then_some(Command::ExpireDue)
    }

    fn on_answer(_: Port, _: &Answer) -> Option<Command> {
        None
    }
}

impl Sku {
    pub const RESERVATIONS_MAX: usize = 5_000;
    const EXPIRY: TimerName = TimerName(1);

    pub fn address(sku: &SkuCode) -> EntityRef {
        EntityRef { kind: Self::KIND, key: sku.key() }
    }

    fn end(&mut self, id: ReservationId, end: End, at: Timestamp) {
        self.reservations.remove(id);
        self.ended.remember(id, end, at);
    }

    /// Moves the one timer when the earliest expiry moves.
    fn timer_effect(
        &self,
        standing: &Standing,
        event: Option<&Event>,
        timer_is_spent: bool,
    ) -> Option<Effect> {
        let (ended, added) = match event {
            Some(Event::Reserved { expires_at, .. }) => (None, *expires_at),
            Some(
                Event::Confirmed { id, .. }
                | Event::Released { id, .. }
                | Event::TakenOver { id, .. },
            ) => (Some(*id), None),
            Some(Event::OnHandSet { .. } | Event::ReleasedEarly { .. } | Event::Expired { .. })
            | None => (None, None),
        };
        let armed = if timer_is_spent { None } else { self.reservations.first_expiry() };
        let remaining = self.reservations.first_expiry_after(standing.now, ended);
        let wanted = remaining.into_iter().chain(added).min();
        let name = Self::EXPIRY;
        match wanted {
            same if same == armed => None,
            Some(at) => Some(Effect::SetTimer { name, at }),
            None => Some(Effect::CancelTimer { name }),
        }
    }
}
