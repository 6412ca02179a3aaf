//! Pieces that orders were promised and that are not there yet.
//!
//! **Invariants:** an order is promised pieces once, and waits for one at least; oldest promise
//! first, at most [`Promises::LEN_MAX`]; nothing is available while anybody waits, but for what
//! expired since the last command: the next one hands that on before it does anything else.
//!
//! A promise that is kept becomes a reservation of the order, piece by piece as they come. From
//! there on it is the order's, which has the pieces leave the stock as it does with others.

use std::borrow::Cow;

use cluster::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::orders::{order_of, reservation_of};
use super::standing::{Standing, less};
use super::{Event, Holder, Level, Rejection, Reservation, Sku};
use crate::domain::heap;
use crate::domain::ids::{OrderId, ReservationId};
use crate::domain::order::Order;
use crate::domain::quantity::{Quantity, Units};
use crate::mutants::Mutant;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Promise {
    pub(crate) order: OrderId,
    /// Of all that the order asked for; the rest was there.
    pub(crate) asked: Quantity,
    pub(crate) waiting: Quantity,
}

/// What became of one promise when pieces came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    pub order: OrderId,
    /// What is reserved for the order by it.
    pub held: Quantity,
    /// What it still waits for.
    pub waiting: Units,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Promises(Vec<Promise>);

impl Promises {
    /// With it, and with all of them kept at once, a record and an entry stay far below their bounds.
    pub(crate) const LEN_MAX: usize = 1_000;

    /// The error says why a stock could not have promised so.
    pub(crate) fn restore(promises: Vec<Promise>) -> Result<Self, &'static str> {
        if promises.len() > Self::LEN_MAX {
            return Err("a sku has promised pieces to too many orders");
        }
        let orders: std::collections::BTreeSet<_> = promises.iter().map(|it| it.order).collect();
        if orders.len() < promises.len() {
            return Err("a sku has promised pieces to an order twice");
        }
        if promises.iter().any(|it| it.waiting > it.asked) {
            return Err("an order waits for more pieces of a sku than it asked for");
        }
        Ok(Self(promises))
    }

    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = &Promise> {
        self.0.iter()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn get(&self, order: OrderId) -> Option<&Promise> {
        self.0.iter().find(|promise| promise.order == order)
    }

    /// All pieces that are waited for; `None` when they are more than a stock can be.
    pub(crate) fn pieces(&self) -> Option<Units> {
        self.0.iter().try_fold(Units::ZERO, |sum, promise| sum.plus(promise.waiting.into()))
    }

    pub(super) fn push(&mut self, promise: Promise) {
        self.0.push(promise);
    }

    pub(super) fn remove(&mut self, order: OrderId) {
        self.0.retain(|promise| promise.order != order);
    }

    /// An order that waits for nothing more is promised nothing.
    pub(super) fn wait_for(&mut self, order: OrderId, waiting: Units) {
        match Quantity::try_from(waiting.get()) {
            Ok(waiting) => {
                let known = self.0.iter_mut().find(|promise| promise.order == order);
                if let Some(promise) = known {
                    promise.waiting = waiting;
                }
            }
            Err(_) => self.remove(order),
        }
    }

    pub(super) fn heap_bytes(&self) -> usize {
        heap::allocation(self.0.capacity() * size_of::<Promise>())
    }
}

impl Sku {
    /// Whether an order waits for pieces under this id: nobody else begins or ends anything there.
    pub(crate) fn is_promised(&self, id: ReservationId) -> bool {
        !self.promises.is_empty() && self.promises.get(order_of(id)).is_some()
    }

    /// What is there of what an order asks for, and a promise of the rest where the policy allows it.
    pub(super) fn reserve_or_promise(
        &self,
        standing: &Standing,
        order: OrderId,
        asked: Quantity,
    ) -> Result<Vec<Event>, Rejection> {
        if let Some(promise) = self.promises.get(order) {
            let is_same = promise.asked == asked;
            let held = promise.asked;
            return is_same.then(Vec::new).ok_or(Rejection::DifferentQuantity { held });
        }
        let holder = Holder::try_from(&Order::address(order)).ok();
        let id = reservation_of(order);
        let whole = Reservation { quantity: asked, holder, expires_at: None };
        let why = match self.reserve(standing, id, whole) {
            Ok(event) => return Ok(event.into_iter().collect()),
            Err(why @ Rejection::OutOfStock { .. }) => why,
            Err(why) => return Err(why),
        };
        let available = standing.available();
        let missing = Units::from(asked).minus(available).and_then(|it| it.get().try_into().ok());
        let Some(waiting): Option<Quantity> = missing else { return Err(why) };
        let at = standing.now;
        let max = self.policy.promised_max(at);
        let is_free = Mutant::BackorderedPastLimit.is_planted() && max > Units::ZERO;
        let backordered = standing.backordered.plus(waiting.into());
        let Some(backordered) = backordered.filter(|sum| *sum <= max || is_free) else {
            return Err(why);
        };
        let n_promises = self.promises.iter().len();
        // Each may become one, and nobody else reserves while anybody waits.
        let n_reservations = self.reservations.len() - standing.due.len() + n_promises;
        if n_promises >= Promises::LEN_MAX || n_reservations >= Self::RESERVATIONS_MAX {
            return Err(Rejection::TooManyReservations);
        }
        let mut events = Vec::new();
        if let Ok(quantity) = Quantity::try_from(available.get()) {
            let part = Reservation { quantity, ..whole };
            events.extend(self.reserve(standing, id, part)?);
        }
        events.push(Event::Promised { order, asked, waiting, backordered, at });
        Ok(events)
    }

    /// What an order is not to get any more, of what it was promised.
    pub(super) fn withdraw(&self, standing: &Standing, order: OrderId) -> Option<Event> {
        let promise = self.promises.get(order)?;
        let backordered = less(standing.backordered, promise.waiting.into());
        Some(Event::PromiseWithdrawn { order, backordered, at: standing.now })
    }

    /// Gives what is available to those who wait, first promised first.
    pub(super) fn keep_promises(
        &self,
        level: &Level,
        decided: &[Event],
        at: Timestamp,
    ) -> Option<Event> {
        let is_withdrawn = |order: OrderId| {
            let withdrawn = |event: &Event| matches!(event, Event::PromiseWithdrawn { order: it, .. } if *it == order);
            decided.iter().any(withdrawn)
        };
        let mut left = level.available.get();
        let mut kept = Vec::new();
        let (mut reserved, mut backordered) = (level.reserved, level.backordered);
        for promise in self.promises.iter().filter(|promise| !is_withdrawn(promise.order)) {
            let Ok(come) = Quantity::try_from(left.min(promise.waiting.get())) else { break };
            let before = self.reservations.get(reservation_of(promise.order));
            let held = before.map_or(Some(come), |before| before.quantity.plus(come));
            // Both are bounded by what there is.
            let (Some(held), Some(sum)) = (held, reserved.plus(come.into())) else { break };
            left -= come.get();
            reserved = sum;
            backordered = less(backordered, come.into());
            let waiting = less(promise.waiting.into(), come.into());
            let again = Mutant::ArrivalCountedTwice.is_planted();
            let waiting = if again { promise.waiting.into() } else { waiting };
            kept.push(Kept { order: promise.order, held, waiting });
        }
        (!kept.is_empty()).then_some(Event::PromisesKept { kept, reserved, backordered, at })
    }

    /// The stock with what has expired handed on to those who wait, and what happened by it.
    pub(super) fn settled(&self, now: Timestamp) -> (Cow<'_, Self>, Vec<Event>) {
        let unchanged = (Cow::Borrowed(self), Vec::new());
        if self.promises.is_empty() {
            return unchanged;
        }
        let standing = self.standing(now);
        let level = standing.level();
        let Some(expired) = standing.into_event() else { return unchanged };
        let mut settled = self.clone();
        settled.apply_event(&expired);
        let mut events = vec![expired];
        if let Some(kept) = settled.keep_promises(&level, &[], now) {
            settled.apply_event(&kept);
            events.push(kept);
        }
        (Cow::Owned(settled), events)
    }
}
