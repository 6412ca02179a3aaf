//! The stock of one SKU.
//!
//! **Invariants**, true in every reachable state:
//! - `0 <= reserved <= on_hand`, and `reserved` is the sum of the open reservations;
//! - what is promised beyond that is counted apart, see `promises`;
//! - at most [`Sku::RESERVATIONS_MAX`] open reservations;
//! - the timer stands at the earliest expiry of an open reservation, or nowhere;
//! - an id is open or has ended, never both.
//!
//! A reservation past its expiry counts for nothing from that instant on, whether or not the timer
//! has fired. How a reservation ended is known for a day, of the newest 1,000: past either, its id
//! is like one that never was, so a reserve that late holds pieces anew. An adjustment says "more",
//! not "this many": its repeats are the fabric's to recognise; other repeats change no stock.

mod applying;
mod claims;
#[cfg(test)]
mod claims_tests;
mod ended;
mod ledger;
mod low_stock;
#[cfg(test)]
mod low_stock_tests;
mod orders;
#[cfg(test)]
mod orders_tests;
mod places;
#[cfg(test)]
mod places_tests;
mod policy;
mod promises;
#[cfg(test)]
mod promises_properties;
#[cfg(test)]
mod promises_tests;
#[cfg(test)]
mod properties;
mod reservations;
mod standing;
#[cfg(test)]
mod tests;
mod view;

use cluster::entity::{Answer, Context, Decision, DecodeError, Entity, Port, TimerName};
use cluster::ids::{EntityKind, EntityRef};
use cluster::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::ids::{OrderId, ReservationId, SkuCode};
use super::names::LocationId;
use super::order::StockNews;
use super::quantity::{Delta, Quantity, Units};
use crate::codec;
pub(crate) use ended::{End, Ended, EndedReservation};
pub(crate) use ledger::Ledger;
pub use ledger::{Cause, InvalidReason, LedgerEntry, Reason};
pub(crate) use low_stock::Word;
pub use orders::OrderStep;
pub(crate) use places::Places;
pub use places::{Change, Taken};
pub use policy::Policy;
pub use promises::Kept;
pub(crate) use promises::{Promise, Promises};
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
    pub(crate) policy: Policy,
    /// Pieces that are waited for.
    pub(crate) backordered: Units,
    pub(crate) promises: Promises,
    pub(crate) low_stock_at: Option<Units>,
    /// None before the first.
    pub(crate) low_stock_word: Option<Word>,
    pub(crate) places: Places,
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
    SetPolicy {
        policy: Policy,
    },
    /// From which number of available pieces down the stock is low; without one it never is.
    SetLowStock {
        threshold: Option<Units>,
    },
    /// Adjusts or states what is at one location.
    StockAt {
        location: LocationId,
        change: Change,
        reason: Reason,
    },
    /// From one location to another; none is the default one.
    Transfer {
        from: Option<LocationId>,
        to: Option<LocationId>,
        pieces: Units,
        reason: Reason,
    },
    /// The timer's.
    TellLowStock,
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
    PolicySet {
        policy: Policy,
        at: Timestamp,
    },
    LowStockSet {
        threshold: Option<Units>,
        at: Timestamp,
    },
    /// Of what the order asked for, these are to come; the others are reserved.
    Promised {
        order: OrderId,
        asked: Quantity,
        waiting: Quantity,
        backordered: Units,
        at: Timestamp,
    },
    /// Pieces are there for orders that waited.
    PromisesKept {
        kept: Vec<Kept>,
        reserved: Units,
        backordered: Units,
        at: Timestamp,
    },
    /// The order waits no more.
    PromiseWithdrawn {
        order: OrderId,
        backordered: Units,
        at: Timestamp,
    },
    StockedAt {
        location: LocationId,
        there: Units,
        on_hand: Units,
        delta: Delta,
        reason: Reason,
        at: Timestamp,
    },
    Transferred {
        from: Option<LocationId>,
        left: Units,
        to: Option<LocationId>,
        come: Units,
        pieces: Units,
        reason: Reason,
        at: Timestamp,
    },
    /// As `Confirmed`, of a stock that lies at locations of its own.
    SoldFrom {
        id: ReservationId,
        taken: Vec<Taken>,
        on_hand: Units,
        delta: Delta,
        reserved: Units,
        at: Timestamp,
    },
    /// Word is given that few are left.
    RanLow {
        at: Timestamp,
    },
    /// There are more again, or nobody wants to know.
    RanLowNoMore {
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
    #[error("only {there} pieces are there")]
    TooFewThere { there: Units },
    #[error("the pieces of a sku lie at {} locations at most", Places::LEN_MAX)]
    TooManyLocations,
    /// Not for good: one that was made right before is not in every node's book yet.
    #[error("there is no stock location {location}")]
    UnknownLocation { location: LocationId },
    #[error("stock locations are not known at the moment")]
    CatalogueUnavailable,
}

impl Command {
    /// Where pieces are said to come to lie.
    fn stocks_at(&self) -> Option<&LocationId> {
        match self {
            Self::StockAt { location, .. } => Some(location),
            Self::Transfer { to, .. } => to.as_ref(),
            Self::Adjust { .. }
            | Self::SetOnHand { .. }
            | Self::Reserve { .. }
            | Self::Confirm { .. }
            | Self::Release { .. }
            | Self::TakeOver { .. }
            | Self::ExpireDue
            | Self::ForOrder { .. }
            | Self::SetPolicy { .. }
            | Self::SetLowStock { .. }
            | Self::TellLowStock => None,
        }
    }

    /// The reservation that is asked for.
    fn claimed(&self) -> Option<ReservationId> {
        match self {
            Self::Reserve { id, .. } | Self::TakeOver { id, .. } => Some(*id),
            Self::Adjust { .. }
            | Self::SetOnHand { .. }
            | Self::Confirm { .. }
            | Self::Release { .. }
            | Self::ExpireDue
            | Self::ForOrder { .. }
            | Self::SetPolicy { .. }
            | Self::SetLowStock { .. }
            | Self::StockAt { .. }
            | Self::Transfer { .. }
            | Self::TellLowStock => None,
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
        places::check_location(&command, ctx)?;
        let timer_is_spent = command == Command::ExpireDue;
        let claimed = command.claimed();
        let (sku, mut events) = self.settled(ctx.now);
        let standing = sku.standing(ctx.now);
        let (decided, told) = sku.answer(&standing, command)?;
        let sold = |event| sku.sold_from(event, ctx);
        let decided: Vec<_> = decided.into_iter().map(sold).collect();
        let mut level = decided.iter().fold(standing.level(), Level::after);
        let kept = sku.keep_promises(&level, &decided, ctx.now);
        level = kept.iter().fold(level, Level::after);
        let reservation = claimed.and_then(|id| sku.reservation_after(id, decided.first()));
        let timer = self.timer_effect(&standing, decided.first(), timer_is_spent);
        let (word, telling) = self.word_after(&level, ctx.now);
        events.extend(standing.into_event().into_iter().chain(decided).chain(kept).chain(word));
        let told = told.and_then(|(order, news)| Self::tell_order(&ctx.me.key, order, news));
        let arrivals = Self::tell_of_arrivals(&ctx.me.key, &events);
        let effects = timer.into_iter().chain(told).chain(arrivals).chain(telling).collect();
        Ok(Decision { events, effects, reply: Reply { level, reservation } })
    }

    fn is_momentary(rejection: &Rejection) -> bool {
        matches!(
            rejection,
            Rejection::TooManyReservations
                | Rejection::UnknownLocation { .. }
                | Rejection::CatalogueUnavailable
        )
    }

    fn apply(&mut self, event: &Event) {
        self.apply_event(event);
    }

    fn view(&self, query: Query, ctx: &Context<'_>) -> View {
        let (sku, _) = self.settled(ctx.now);
        let level = || sku.standing(ctx.now).level();
        match query {
            Query::Level => View::Level(level()),
            Query::Reservation { id } => {
                let open = sku.reservations.get(id).filter(|held| !held.is_due(ctx.now));
                let reservation = open.map(|held| held.view(id));
                View::Reservation(Reply { level: level(), reservation })
            }
            Query::Reservations { after, limit } => {
                View::Reservations(sku.reservations.page(after, limit, ctx.now))
            }
            Query::Ledger { limit } => View::Ledger(sku.ledger.newest(limit)),
            Query::Places => View::Places(sku.whereabouts()),
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
        self.reservations.heap_bytes()
            + self.ended.heap_bytes()
            + self.ledger.heap_bytes()
            + self.promises.heap_bytes()
            + self.places.heap_bytes()
    }

    fn on_timer(name: TimerName) -> Option<Command> {
        match name {
            Self::EXPIRY => Some(Command::ExpireDue),
            Self::LOW_STOCK => Some(Command::TellLowStock),
            _ => None,
        }
    }

    fn on_answer(_: Port, _: &Answer) -> Option<Command> {
        None
    }
}

/// What happens, and what an order is told.
type Answered = (Vec<Event>, Option<(OrderId, StockNews)>);

impl Sku {
    pub const RESERVATIONS_MAX: usize = 5_000;
    const EXPIRY: TimerName = TimerName(1);

    pub fn address(sku: &SkuCode) -> EntityRef {
        EntityRef { kind: Self::KIND, key: sku.key() }
    }

    /// What a command comes to, and what an order is told.
    fn answer(&self, standing: &Standing, command: Command) -> Result<Answered, Rejection> {
        let event = match command {
            Command::Adjust { delta, reason } => {
                standing.adjust(delta, reason, self.elsewhere())?
            }
            Command::SetOnHand { on_hand, reason } => {
                standing.set_elsewhere(on_hand, reason, self.elsewhere())?
            }
            Command::StockAt { location, change, reason } => {
                self.stock_at(standing, location, change, reason)?
            }
            Command::Transfer { from, to, pieces, reason } => {
                self.transfer(standing, from, to, pieces, reason)?
            }
            Command::Reserve { id, .. } if self.is_promised(id) => {
                return Err(Rejection::HeldByAnother);
            }
            Command::Reserve { id, quantity, holder, expires_at } => {
                self.reserve(standing, id, Reservation { quantity, holder, expires_at })?
            }
            Command::Confirm { id, holder } => self.confirm(standing, id, holder)?,
            Command::Release { id, holder, if_unknown } => {
                self.release(standing, id, holder, if_unknown)?
            }
            Command::TakeOver { id, holder } => self.take_over(standing, id, holder)?,
            Command::ExpireDue | Command::TellLowStock => None,
            Command::ForOrder { order, step } => {
                let (events, news) = self.for_order(standing, order, step);
                return Ok((events, news.map(|news| (order, news))));
            }
            Command::SetPolicy { policy } => standing.set_policy(policy),
            Command::SetLowStock { threshold } => standing.set_low_stock(threshold),
        };
        Ok((event.into_iter().collect(), None))
    }
}
