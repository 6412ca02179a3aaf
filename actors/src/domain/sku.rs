//! The stock of one SKU.
//!
//! **Invariants**, true in every reachable state:
//! - `0 <= reserved <= on_hand`, and `reserved` is the sum of the open reservations;
//! - at most [`Sku::RESERVATIONS_MAX`] open reservations;
//! - the timer stands at the earliest expiry of an open reservation, or nowhere.
//!
//! A reservation past its expiry counts for nothing from that instant on, whether or not the timer
//! has fired. A confirmation is known for as long as the ledger lists it. An adjustment says "more",
//! not "this many", so its repeats are the fabric's to recognise; other repeats change no stock.

mod ledger;
#[cfg(test)]
mod properties;
mod reservations;
mod standing;
#[cfg(test)]
mod tests;
mod view;

use cluster::entity::{Answer, Context, Decision, DecodeError, Effect, Entity, Port, TimerName};
use cluster::ids::{EntityKind, EntityRef};
use cluster::time::{Span, Timestamp};
use serde::{Deserialize, Serialize};

use super::ids::{ReservationId, SkuCode};
use super::quantity::{Delta, Quantity, Units};
use crate::codec;
pub(crate) use ledger::Ledger;
pub use ledger::{Cause, InvalidReason, LedgerEntry, Reason};
pub use reservations::{Holder, InvalidHolder};
pub(crate) use reservations::{ReleaseMarkers, Reservation, Reservations};
use standing::{Standing, less};
pub use view::{Level, Query, ReservationPage, ReservationView, View};

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sku {
    /// `None` until a stock was first stated.
    pub(crate) on_hand: Option<Units>,
    pub(crate) reserved: Units,
    pub(crate) reservations: Reservations,
    pub(crate) release_markers: ReleaseMarkers,
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
    },
    /// The reserved pieces are available again.
    Release {
        id: ReservationId,
    },
    /// The reservation no longer expires: from here on only its new holder ends it.
    TakeOver {
        id: ReservationId,
        holder: Holder,
    },
    /// The timer's.
    ExpireDue,
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
    /// Its reserve, should it still come before `until`, is refused.
    ReleasedEarly {
        id: ReservationId,
        until: Timestamp,
        forgotten: Vec<ReservationId>,
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
    #[error("the reservation was released before it was made")]
    ReleasedBefore,
    /// It never was, or it was released or expired since.
    #[error("there is no such reservation")]
    NotReserved,
    #[error("the reservation has expired")]
    Expired,
    #[error("the reservation was confirmed already")]
    AlreadyConfirmed,
}

impl Entity for Sku {
    const KIND: EntityKind = EntityKind(2);
    const NAME: &'static str = "sku";
    type Command = Command;
    type Event = Event;
    /// The stock after the command.
    type Reply = Level;
    type Rejection = Rejection;
    type Query = Query;
    type View = View;

    fn decide(&self, command: Command, ctx: &Context<'_>) -> Result<Decision<Self>, Rejection> {
        let standing = self.standing(ctx.now);
        let timer_is_spent = command == Command::ExpireDue;
        let event = match command {
            Command::Adjust { delta, reason } => standing.adjust(delta, reason)?,
            Command::SetOnHand { on_hand, reason } => standing.set_on_hand(on_hand, reason)?,
            Command::Reserve { id, quantity, holder, expires_at } => {
                let asked = Reservation { quantity, holder, expires_at };
                self.reserve(&standing, id, asked)?
            }
            Command::Confirm { id } => self.confirm(&standing, id)?,
            Command::Release { id } => self.release(&standing, id)?,
            Command::TakeOver { id, holder } => self.take_over(&standing, id, holder)?,
            Command::ExpireDue => None,
        };
        Ok(self.decided(standing, event, timer_is_spent))
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
            Event::Reserved { id, quantity, holder, expires_at, reserved, at: _ } => {
                let (quantity, holder, expires_at) = (*quantity, *holder, *expires_at);
                self.reservations.insert(*id, Reservation { quantity, holder, expires_at });
                self.reserved = *reserved;
            }
            Event::Confirmed { id, on_hand, delta, reserved, at } => {
                self.reservations.remove(*id);
                self.on_hand = Some(*on_hand);
                self.reserved = *reserved;
                let cause = Cause::Sold(*id);
                self.ledger.push(LedgerEntry { at: *at, delta: *delta, on_hand: *on_hand, cause });
            }
            Event::Released { id, reserved, at: _ } => {
                self.reservations.remove(*id);
                self.reserved = *reserved;
            }
            Event::ReleasedEarly { id, until, forgotten, at: _ } => {
                self.release_markers.replace(forgotten, *id, *until);
            }
            Event::TakenOver { id, holder, at: _ } => self.reservations.take_over(*id, *holder),
            Event::Expired { ids, reserved, at: _ } => {
                for id in ids {
                    self.reservations.remove(*id);
                }
                self.reserved = *reserved;
            }
        }
    }

    fn view(&self, query: Query, ctx: &Context<'_>) -> View {
        match query {
            Query::Level => View::Level(self.standing(ctx.now).level()),
            Query::Reservations { after, limit } => {
                View::Reservations(self.reservations.page(after, limit, ctx.now))
            }
            Query::Ledger { limit } => View::Ledger(self.ledger.newest(limit)),
        }
    }

    fn to_record(&self) -> Vec<u8> {
        codec::sku::to_record(self)
    }

    fn from_record(bytes: &[u8]) -> Result<Self, DecodeError> {
        codec::sku::from_record(bytes)
    }

    fn heap_bytes(&self) -> usize {
        self.reservations.heap_bytes()
            + self.release_markers.heap_bytes()
            + self.ledger.heap_bytes()
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
    /// Past it the marker that is due first is forgotten.
    pub const RELEASE_MARKERS_MAX: usize = 1_000;
    /// No command is carried out later than this after it was sent.
    const RELEASE_MARKER_LIFE: Span = Span::from_secs(24 * 60 * 60);
    const EXPIRY: TimerName = TimerName(1);

    pub fn address(sku: &SkuCode) -> EntityRef {
        EntityRef { kind: Self::KIND, key: sku.key() }
    }

    fn reserve(
        &self,
        standing: &Standing,
        id: ReservationId,
        asked: Reservation,
    ) -> Result<Option<Event>, Rejection> {
        let now = standing.now;
        let held = self.reservations.get(id).filter(|held| !held.is_due(now));
        if let Some(Reservation { quantity: held, .. }) = held {
            let same = *held == asked.quantity;
            return if same { Ok(None) } else { Err(Rejection::DifferentQuantity { held: *held }) };
        }
        if asked.is_due(now) {
            return Err(Rejection::Expired);
        }
        // A reserve that repeats after its confirmation must not hold the pieces a second time.
        if self.ledger.sold(id) {
            return Err(Rejection::AlreadyConfirmed);
        }
        if self.release_markers.refuses(id, now) {
            return Err(Rejection::ReleasedBefore);
        }
        if self.reservations.len() - standing.due.len() >= Self::RESERVATIONS_MAX {
            return Err(Rejection::TooManyReservations);
        }
        let Reservation { quantity, holder, expires_at } = asked;
        let available = standing.available();
        match standing.reserved.plus(quantity.into()) {
            Some(reserved) if reserved <= standing.on_hand => {
                let at = now;
                Ok(Some(Event::Reserved { id, quantity, holder, expires_at, reserved, at }))
            }
            Some(_) | None => Err(Rejection::OutOfStock { requested: quantity, available }),
        }
    }

    fn confirm(&self, standing: &Standing, id: ReservationId) -> Result<Option<Event>, Rejection> {
        let Some(held) = self.reservations.get(id) else {
            return if self.ledger.sold(id) { Ok(None) } else { Err(Rejection::NotReserved) };
        };
        if held.is_due(standing.now) {
            return Err(Rejection::Expired);
        }
        let on_hand = less(standing.on_hand, held.quantity.into());
        let delta = Delta::between(standing.on_hand, on_hand);
        let reserved = less(standing.reserved, held.quantity.into());
        Ok(Some(Event::Confirmed { id, on_hand, delta, reserved, at: standing.now }))
    }

    fn release(&self, standing: &Standing, id: ReservationId) -> Result<Option<Event>, Rejection> {
        let at = standing.now;
        if let Some(held) = self.reservations.get(id) {
            if held.is_due(at) {
                return Ok(None);
            }
            let reserved = less(standing.reserved, held.quantity.into());
            return Ok(Some(Event::Released { id, reserved, at }));
        }
        if self.ledger.sold(id) {
            return Err(Rejection::AlreadyConfirmed);
        }
        if self.release_markers.refuses(id, at) {
            return Ok(None);
        }
        let until = at.plus(Self::RELEASE_MARKER_LIFE);
        let forgotten = self.release_markers.forgettable(at);
        Ok(Some(Event::ReleasedEarly { id, until, forgotten, at }))
    }

    fn take_over(
        &self,
        standing: &Standing,
        id: ReservationId,
        holder: Holder,
    ) -> Result<Option<Event>, Rejection> {
        let held = self.reservations.get(id).ok_or(Rejection::NotReserved)?;
        if held.is_due(standing.now) {
            return Err(Rejection::Expired);
        }
        if held.holder == Some(holder) && held.expires_at.is_none() {
            return Ok(None);
        }
        Ok(Some(Event::TakenOver { id, holder, at: standing.now }))
    }

    fn decided(
        &self,
        standing: Standing,
        event: Option<Event>,
        timer_is_spent: bool,
    ) -> Decision<Self> {
        let effects = self.timer_effect(&standing, event.as_ref(), timer_is_spent);
        let reply = standing.level().after(event.as_ref());
        let Standing { now, reserved, due, .. } = standing;
        let mut events = Vec::with_capacity(2);
        if !due.is_empty() {
            events.push(Event::Expired { ids: due, reserved, at: now });
        }
        events.extend(event);
        Decision { events, effects: effects.into_iter().collect(), reply }
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
