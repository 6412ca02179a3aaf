//! What the world is told of an order.

use super::{Event, Existing, ParcelStep, ReviewStep};
use crate::domain::carrier::Whereabouts;
use crate::domain::pricing::PricedLine;
use crate::domain::published::{OrderFact, ParcelNews, SoldLine};

/// The fact that an event makes true; `order` is as it is after it.
pub(super) fn fact_of(event: &Event, order: &Existing) -> Option<OrderFact> {
    Some(match event {
        Event::Placed { cart, payment, placed, .. } => OrderFact::Placed {
            cart: *cart,
            payment: *payment,
            lines: placed.lines().iter().map(sold).collect(),
            total: order.totals.grand,
        },
        Event::Confirmed { .. } => OrderFact::Confirmed {
            number: order.number,
            lines: order.bought().map(sold).collect(),
            total: order.totals.grand,
        },
        Event::Failed { why, .. } => OrderFact::Failed { why: why.clone() },
        Event::Cancelled { .. } => OrderFact::Cancelled,
        Event::Shipped { shipment, items, .. } => {
            OrderFact::Shipped { shipment: *shipment, items: items.clone() }
        }
        Event::Delivered { shipment, .. } => OrderFact::Delivered { shipment: *shipment },
        Event::ReturnAsked { number, items, .. } => {
            OrderFact::ReturnAsked { number: *number, items: items.clone() }
        }
        Event::ReturnReceived { number, .. } => OrderFact::Returned { number: *number },
        Event::Refunded { refund, amount, refunded, .. } => {
            OrderFact::Refunded { refund: *refund, amount: *amount, refunded: *refunded }
        }
        Event::Parcel { shipment, step, .. } => {
            let (shipment, news) = (*shipment, ParcelNews::of(step)?);
            OrderFact::Parcel { shipment, news }
        }
        Event::Review { step: ReviewStep::Held { .. }, .. } => OrderFact::Held,
        Event::Review { step: ReviewStep::Approved, .. } => OrderFact::Approved,
        // Steps on the way; of money the payment itself tells, of pieces the stock.
        Event::Numbered { .. }
        | Event::StockReserved { .. }
        | Event::StockRefused { .. }
        | Event::LinesDropped { .. }
        | Event::PaymentAsked { .. }
        | Event::Authorised { .. }
        | Event::CaptureAsked { .. }
        | Event::Captured { .. }
        | Event::CaptureFailed { .. }
        | Event::EndingAsked { .. }
        | Event::StockSold { .. }
        | Event::StockReleased { .. }
        | Event::StockReturned { .. }
        | Event::CancelAsked { .. }
        | Event::PaymentUndone { .. }
        | Event::RefundAsked { .. }
        | Event::RefundFailed { .. }
        | Event::NoteAdded { .. }
        | Event::Discounted { .. }
        | Event::UsesAsked { .. }
        | Event::UseBecame { .. }
        | Event::PaymentInDoubt { .. }
        | Event::PaymentVoidAsked { .. }
        | Event::PaymentUndoFailed { .. }
        | Event::PiecesCancelled { .. }
        | Event::CreditAsked { .. }
        | Event::PlacesAsked { .. }
        | Event::PlaceTaken { .. }
        | Event::Review { .. }
        | Event::SellersNamed { .. }
        | Event::Tender { .. }
        | Event::Corrected { .. }
        | Event::Voucher { .. }
        | Event::Exchange { .. }
        | Event::StockPromised { .. }
        | Event::StockArrived { .. } => return None,
    })
}

impl ParcelNews {
    /// That it was delivered is a fact of the shipment.
    fn of(step: &ParcelStep) -> Option<Self> {
        match step {
            ParcelStep::Booked(_) => Some(Self::Booked),
            ParcelStep::Refused(why) => Some(Self::Refused(*why)),
            ParcelStep::Moved(Whereabouts::Delivered)
            | ParcelStep::Asked { .. }
            | ParcelStep::Stated { .. } => None,
            ParcelStep::Moved(place) => Some(Self::Moved(*place)),
        }
    }
}

fn sold(line: &PricedLine) -> SoldLine {
    SoldLine { sku: line.sku.clone(), quantity: line.quantity, line_total: line.line_total }
}

#[cfg(test)]
mod tests {
    use cluster::entity::{Context, Entity, NoCatalogue};

    use super::super::tests::{cancel, confirmed, me, paid, quantity};
    use super::super::{Command, Order, ShipmentNumber};
    use super::*;
    use crate::domain::names::Label;
    use crate::domain::order::properties::NOON;
    use crate::domain::payment::News;
    use crate::domain::published::{Fact, told_apart};

    #[track_caller]
    fn check(given: &[Event], when: Command, then: &[OrderFact]) {
        let mut order = Order::default();
        given.iter().for_each(|event| order.apply(event));
        let address = Order::address(me());
        let catalogue = Err(NoCatalogue::Absent);
        let ctx = Context { now: NOON, me: &address, entropy: [0; 32], catalogue };
        let (facts, _) = told_apart(order.decide(when, &ctx).unwrap().effects);
        assert_eq!(facts, then.iter().cloned().map(Fact::Order).collect::<Vec<_>>());
    }

    /// What the order says of itself, one fact for each event that makes one true.
    #[test]
    fn the_world_is_told_what_became_of_an_order() {
        let mut order = Order::default();
        let mut facts = Vec::new();
        for event in confirmed() {
            order.apply(&event);
            facts.extend(fact_of(&event, order.existing.as_deref().unwrap()));
        }
        let [OrderFact::Placed { lines, total, .. }, last] = facts.as_slice() else { panic!() };
        let (lines, total) = (lines.clone(), *total);
        assert_eq!(lines.len(), 2);
        assert_eq!(*last, OrderFact::Confirmed { number: None, lines, total });
    }

    #[test]
    fn no_text_of_a_person_leaves_with_a_fact() {
        let text = |text: &str| -> Label { text.to_owned().try_into().unwrap() };
        let (shipment, sku) = (ShipmentNumber(1), "cup".parse().unwrap());
        let items = vec![(sku, quantity(1))];
        let [carrier, tracking] = ["Mole Post", "ANNA-1"].map(text);
        let ship = Command::Fulfil { shipment, items: items.clone(), carrier, tracking };
        check(&confirmed(), ship, &[OrderFact::Shipped { shipment, items }]);
    }

    #[test]
    fn an_order_is_cancelled_when_its_payment_is_undone() {
        check(&confirmed(), cancel(), &[]);
        let reason = text_of(&cancel());
        let asked = Event::CancelAsked { by: super::super::Side::Shopper, reason, at: NOON };
        let ending = [confirmed(), vec![asked]].concat();
        check(&ending, paid(News::Cancelled), &[OrderFact::Cancelled]);
    }

    fn text_of(command: &Command) -> Label {
        let Command::Cancel { reason, .. } = command else { panic!() };
        reason.clone()
    }
}
