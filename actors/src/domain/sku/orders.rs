//! What an order asks of a stock by telling it, and what the stock tells back.
//!
//! **Invariants:** an order's reservation has the order's own id as its name, belongs to it and never
//! expires: the order's own timers bound it. Every step is answered, but for those that cannot follow
//! what was done before; the order never asks for such.

use cluster::entity::{Effect, Wire};
use cluster::ids::EntityKey;
use serde::{Deserialize, Serialize};

use super::standing::Standing;
use super::{Event, Holder, IfUnknown, Reason, Rejection, Reservation, Sku};
use crate::domain::ids::{OrderId, ReservationId, SkuCode};
use crate::domain::order::{self, Order, Shortage, StockNews};
use crate::domain::quantity::{Delta, Quantity, Units};

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
}

impl Sku {
    /// What happens to the stock, and what the order is told.
    pub(super) fn for_order(
        &self,
        standing: &Standing,
        order: OrderId,
        step: OrderStep,
    ) -> (Option<Event>, Option<StockNews>) {
        let id = reservation_of(order);
        let holder = Holder::try_from(&Order::address(order)).ok();
        let told = match step {
            OrderStep::Reserve { quantity } => {
                let asked = Reservation { quantity, holder, expires_at: None };
                let reserved = self.reserve(standing, id, asked);
                return match reserved {
                    Ok(event) => (event, Some(StockNews::Reserved)),
                    Err(why) => (None, Some(StockNews::Refused(shortage(&why, standing)))),
                };
            }
            OrderStep::Confirm => (self.confirm(standing, id, holder), StockNews::Sold),
            OrderStep::Release => {
                let release = self.release(standing, id, holder, IfUnknown::RefuseItsReserve);
                (release, StockNews::Released)
            }
            OrderStep::Restock { quantity } => {
                return (restock(standing, order, quantity), Some(StockNews::Restocked));
            }
        };
        match told {
            (Ok(event), news) => (event, Some(news)),
            (Err(_), _) => (None, None),
        }
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
        | Rejection::HeldByAnother => Shortage::OutOfStock { available: standing.available() },
    }
}

/// A stock that is as large as one may be stays so.
fn restock(standing: &Standing, order: OrderId, quantity: Quantity) -> Option<Event> {
    let on_hand = standing.on_hand.plus(quantity.into());
    let on_hand = on_hand.or_else(|| Units::try_from(Units::MAX).ok())?;
    let delta = Delta::between(standing.on_hand, on_hand);
    let reason = Reason::try_from(format!("returned from {order}")).ok()?;
    Some(Event::OnHandSet { on_hand, delta, reason, at: standing.now })
}
