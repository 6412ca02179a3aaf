//! What the world is told of an order.

use super::{Event, ExchangeStep, Existing, ParcelStep, ReviewStep, TenderStep, VoucherStep};
use crate::domain::carrier::Whereabouts;
use crate::domain::money::Money;
use crate::domain::pricing::PricedLine;
use crate::domain::published::{GivenBack, OrderFact, ParcelNews, SoldLine};

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
        Event::Tender { step, .. } => to_gift_cards(step, order)?,
        Event::Voucher { step, .. } => to_voucher(step, order)?,
        Event::Exchange { step: ExchangeStep::Placed { nth }, .. } => exchanged(*nth, order)?,
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
        | Event::Corrected { .. }
        | Event::Exchange { .. }
        | Event::StockPromised { .. }
        | Event::StockArrived { .. } => return None,
    })
}

/// Each card by its own name: which of the order's it is says nothing to others.
fn to_gift_cards(step: &TenderStep, order: &Existing) -> Option<OrderFact> {
    match step {
        TenderStep::Asked { .. } | TenderStep::Became { .. } => None,
        TenderStep::GaveBack { refund, amount, parts, .. } => {
            let part = |(nth, minor): &(u16, i64)| {
                let card = order.tenders.get(usize::from(*nth))?.card;
                Some(GivenBack { card, amount: Money { minor: *minor, ..*amount } })
            };
            let (refund, amount) = (*refund, *amount);
            let cards = parts.iter().filter_map(part).collect();
            Some(OrderFact::RefundedToGiftCards { refund, amount, cards })
        }
    }
}

fn to_voucher(step: &VoucherStep, order: &Existing) -> Option<OrderFact> {
    match step {
        VoucherStep::Asked { .. } | VoucherStep::Refused { .. } => None,
        VoucherStep::Issued { refund } => {
            let (refund, voucher) = (*refund, order.voucher(*refund)?);
            let amount = order.refunds.iter().find(|it| it.id == refund)?.amount;
            let paid = voucher.from_payment.saturating_add(voucher.of_cards());
            let (paid, card) = (Money { minor: paid, ..amount }, voucher.card);
            Some(OrderFact::RefundedToVoucher { refund, amount, paid, card })
        }
    }
}

fn exchanged(nth: u16, order: &Existing) -> Option<OrderFact> {
    let known = order.exchanges.get(usize::from(nth))?;
    Some(OrderFact::Exchanged { order: known.names.order })
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

    use super::super::tenders_tests::{bought_with, bought_with_card_alone};
    use super::super::tests::{TOTAL, cancel, confirmed, me, paid, quantity};
    use super::super::{Command, Order, ShipmentNumber, Voucher};
    use super::*;
    use crate::domain::gift_card::CardNews;
    use crate::domain::ids::{GiftCardId, RefundId};
    use crate::domain::names::Label;
    use crate::domain::order::properties::{NOON, euro, label};
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

    #[test]
    fn of_what_gift_cards_get_back_each_is_told_with_its_part() {
        let (refund, amount, reason) = (RefundId::from_bytes([2; 16]), euro(300), label("broken"));
        let ask = Command::Refund { refund, amount, reason };
        let card = GiftCardId::from_bytes([0xD0; 16]);
        let cards = vec![GivenBack { card, amount }];
        let told = OrderFact::RefundedToGiftCards { refund, amount, cards };
        check(&bought_with_card_alone(), ask, &[told]);
    }

    #[test]
    fn a_refund_that_became_a_gift_card_is_told_when_the_card_is_issued() {
        let (refund, card) = (RefundId::from_bytes([2; 16]), GiftCardId::from_bytes([3; 16]));
        let (amount, reason, from_payment) = (euro(TOTAL + 50), label("kind"), TOTAL - 400);
        let voucher = Voucher { refund, card, from_payment, from_cards: vec![(0, 400)] };
        let step = VoucherStep::Asked { voucher, amount, reason, is_credit: false };
        let asked = [bought_with(400), vec![Event::Voucher { step, at: NOON }]].concat();
        let said = |news| Command::TakeCardNews { card, news };
        let told = OrderFact::RefundedToVoucher { refund, amount, paid: euro(TOTAL), card };
        check(&asked, said(CardNews::Issued), &[told]);
        check(&asked, said(CardNews::NotIssued), &[]);
    }

    fn text_of(command: &Command) -> Label {
        let Command::Cancel { reason, .. } = command else { panic!() };
        reason.clone()
    }
}
