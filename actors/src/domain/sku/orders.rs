//! What an order asks of a stock by telling it, and what the stock tells back.
//!
//! **Invariants:** an order's reservation has the order's own id as its name, belongs to it and never
//! expires: the order's own timers bound it. Every step is answered, but for those that cannot follow
//! what was done before; the order never asks for such.

use cluster::entity::{Effect, Wire};
use cluster::ids::EntityKey;
use serde::{Deserialize, Serialize};

use super::standing::Standing;
use super::{Event, Holder, IfUnknown, Kept, Reason, Rejection, Sku};
use crate::domain::ids::{OrderId, ReservationId, SkuCode};
use crate::domain::order::{self, Order, Shortage, StockNews};
use crate::domain::quantity::{Delta, Quantity, Units};
use crate::mutants::Mutant;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum OrderStep {
    Reserve {
        quantity: Quantity,
    },
    /// What is reserved leaves the stock.
    Confirm,
    /// Whatever is reserved is available again; a reserve that comes after this is refused.
    Release,
    /// What left the stock is there again.
    Restock {
        quantity: Quantity,
    },
    /// Of so many pieces that were asked for, what is promised or reserved is not wanted any more,
    /// and the others, which left the stock, are there again.
    TakeBack {
        quantity: Quantity,
    },
}

impl Sku {
    /// What happens to the stock, and what the order is told.
    pub(super) fn for_order(
        &self,
        standing: &Standing,
        order: OrderId,
        step: OrderStep,
    ) -> (Vec<Event>, Option<StockNews>) {
        let id = reservation_of(order);
        let holder = Holder::try_from(&Order::address(order)).ok();
        match step {
            OrderStep::Reserve { quantity } => {
                match self.reserve_or_promise(standing, order, quantity) {
                    Ok(events) => {
                        let waiting = self.waiting_after(order, &events);
                        let promised = |waiting| StockNews::Promised { waiting };
                        (events, Some(waiting.map_or(StockNews::Reserved, promised)))
                    }
                    Err(why) => (Vec::new(), Some(StockNews::Refused(shortage(&why, standing)))),
                }
            }
            OrderStep::Confirm => match self.confirm(standing, id, holder) {
                Ok(event) => (event.into_iter().collect(), Some(StockNews::Sold)),
                Err(_) => (Vec::new(), None),
            },
            OrderStep::Release => match self.let_go(standing, order, holder) {
                Ok(events) => (events, Some(StockNews::Released)),
                Err(_) => (Vec::new(), None),
            },
            OrderStep::Restock { quantity } => {
                let event = restock(standing, order, quantity.into());
                (event.into_iter().collect(), Some(StockNews::Restocked))
            }
            OrderStep::TakeBack { quantity } => {
                (self.take_back(standing, order, quantity), Some(StockNews::Restocked))
            }
        }
    }

    /// What an order waits for once a reserve is done, or was done before.
    fn waiting_after(&self, order: OrderId, events: &[Event]) -> Option<Quantity> {
        let before = self.promises.get(order).map(|promise| promise.waiting);
        let promised = |event: &Event| {
            if let Event::Promised { waiting, .. } = event { Some(*waiting) } else { None }
        };
        events.iter().find_map(promised).or(before)
    }

    /// Promise first: where pieces are reserved too, their end is the end of both.
    fn let_go(
        &self,
        standing: &Standing,
        order: OrderId,
        holder: Option<Holder>,
    ) -> Result<Vec<Event>, Rejection> {
        let id = reservation_of(order);
        let Some(withdrawn) = self.withdraw(standing, order) else {
            let released = self.release(standing, id, holder, IfUnknown::RefuseItsReserve)?;
            return Ok(released.into_iter().collect());
        };
        if Mutant::PromiseOutlivesOrder.is_planted() {
            return Ok(Vec::new());
        }
        let mut events = vec![withdrawn];
        if self.reservations.get(id).is_some() {
            events.extend(self.release(standing, id, holder, IfUnknown::Reject)?);
        }
        Ok(events)
    }

    fn take_back(&self, standing: &Standing, order: OrderId, quantity: Quantity) -> Vec<Event> {
        let id = reservation_of(order);
        let waiting = self.promises.get(order).map_or(Units::ZERO, |it| it.waiting.into());
        let held = self.reservations.get(id).map_or(Units::ZERO, |held| held.quantity.into());
        let sold = [waiting, held].into_iter().try_fold(Units::from(quantity), Units::minus);
        let holder = Holder::try_from(&Order::address(order)).ok();
        let is_open = waiting > Units::ZERO || held > Units::ZERO;
        let released = is_open.then(|| self.let_go(standing, order, holder).ok());
        let mut events = released.flatten().unwrap_or_default();
        if let Some(sold) = sold.filter(|sold| *sold > Units::ZERO) {
            events.extend(restock(standing, order, sold));
        }
        events
    }

    /// Tells the orders for which pieces have come.
    pub(super) fn tell_of_arrivals(me: &EntityKey, events: &[Event]) -> Vec<Effect> {
        let mut told = Vec::new();
        for event in events {
            if let Event::PromisesKept { kept, .. } = event {
                let tell = |kept: &Kept| {
                    let news = StockNews::Arrived { waiting: kept.waiting };
                    Self::tell_order(me, kept.order, news)
                };
                told.extend(kept.iter().filter_map(tell));
            }
        }
        told
    }

    /// Tells an order what became of what it asked for.
    pub(super) fn tell_order(me: &EntityKey, order: OrderId, news: StockNews) -> Option<Effect> {
        let EntityKey::Name(name) = me else { return None };
        let sku = name.parse::<SkuCode>().ok()?;
        let command = order::Command::TakeStockNews { sku, news }.to_bytes();
        Some(Effect::Tell { to: Order::address(order), command })
    }
}

/// An order asks a stock for one reservation, so its id is a name for it.
pub(super) fn reservation_of(order: OrderId) -> ReservationId {
    ReservationId::from_bytes(*order.as_bytes())
}

/// The order that a reservation would be named after.
pub(super) fn order_of(id: ReservationId) -> OrderId {
    OrderId::from_bytes(*id.as_bytes())
}

fn shortage(why: &Rejection, standing: &Standing) -> Shortage {
    match why {
        Rejection::TooManyReservations => Shortage::Crowded,
        Rejection::BelowReserved { .. }
        | Rejection::OnHandTooLarge
        | Rejection::OutOfStock { .. }
        | Rejection::DifferentQuantity { .. }
        | Rejection::ReleasedBefore
        | Rejection::NotReserved
        | Rejection::Expired
        | Rejection::AlreadyConfirmed
        | Rejection::HeldByAnother
        | Rejection::TooFewThere { .. }
        | Rejection::TooManyLocations
        | Rejection::UnknownLocation { .. }
        | Rejection::CatalogueUnavailable => {
            Shortage::OutOfStock { available: standing.available() }
        }
    }
}

/// A stock that is as large as one may be stays so.
fn restock(standing: &Standing, order: OrderId, pieces: Units) -> Option<Event> {
    let on_hand = standing.on_hand.plus(pieces);
    let on_hand = on_hand.or_else(|| Units::try_from(Units::MAX).ok())?;
    let delta = Delta::between(standing.on_hand, on_hand);
    let reason = Reason::try_from(format!("returned from {order}")).ok()?;
    Some(Event::OnHandSet { on_hand, delta, reason, at: standing.now })
}
