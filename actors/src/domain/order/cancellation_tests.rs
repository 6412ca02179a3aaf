//! Calling off what was not shipped, and the money for it.

use cluster::entity::Effect;

use super::properties::{NOON, PRICE, euro, label};
use super::tests::*;
use super::*;
use crate::domain::ids::CaptureId;
use crate::domain::payment::{self, Reason};
use crate::domain::sku::OrderStep;

fn fulfil(number: u16, sku: SkuCode, count: u32) -> Command {
    let (shipment, items) = (ShipmentNumber(number), vec![(sku, quantity(count))]);
    Command::Fulfil { shipment, items, carrier: label("Post"), tracking: label("1Z") }
}

fn shipped(number: u16, sku: SkuCode, count: u32) -> Event {
    let (shipment, items) = (ShipmentNumber(number), vec![(sku, quantity(count))]);
    Event::Shipped { shipment, items, carrier: label("Post"), tracking: label("1Z"), at: NOON }
}

/// The first of two cups is on its way.
fn part_shipped() -> Vec<Event> {
    [confirmed(), vec![shipped(1, cup(), 1)]].concat()
}

fn rest() -> Vec<(SkuCode, Quantity)> {
    vec![(cup(), quantity(1)), (pot(), quantity(1))]
}

fn rest_cancelled() -> Event {
    let (items, amount, reason) = (rest(), euro(2 * PRICE), label("no more"));
    Event::PiecesCancelled { by: Side::Shopper, items, amount, reason, at: NOON }
}

fn credit(nth: u8) -> RefundId {
    let mut name = [7; 16];
    name[0] ^= nth;
    RefundId::from_bytes(name)
}

fn credit_asked(nth: u8, minor: i64) -> Event {
    let (refund, amount) = (credit(nth), euro(minor));
    Event::CreditAsked { refund, amount, reason: label("no more"), at: NOON }
}

fn to_refund(nth: u8, minor: i64) -> Effect {
    to_payment(&payment::Command::Refund { refund: credit(nth), amount: euro(minor) })
}

fn restocked() -> [Effect; 2] {
    let one = OrderStep::Restock { quantity: quantity(1) };
    [to_stock(&cup(), one), to_stock(&pot(), one)]
}

fn captured(minor: i64) -> (Command, Event) {
    let (capture, total) = (CaptureId::from_bytes([7; 16]), euro(minor));
    let news = News::Captured { capture, amount: total, total };
    (paid(news), Event::Captured { total, at: NOON })
}

#[test]
fn what_is_not_shipped_is_called_off_and_its_money_given_back() {
    let events = [rest_cancelled(), credit_asked(0, 2 * PRICE)];
    let [cups, pots] = restocked();
    let effects = [cups, pots, to_refund(0, 2 * PRICE)];
    check(&part_shipped(), cancel(), Ok((&events, &effects)));
    let given = [part_shipped(), events.to_vec()].concat();
    check_nothing(&given, cancel());
    // Nothing of it is shipped any more.
    let none = Err(Rejection::TooMany { sku: cup(), left: 0 });
    check(&given, fulfil(2, cup(), 1), none);
    let seen = view(&given);
    assert_eq!((seen.cancellations.len(), seen.credits), (1, vec![credit(0)]));
}

#[test]
fn pieces_on_backorder_are_called_off_with_the_rest_and_waited_for_no_more() {
    let promised = Event::StockPromised { sku: cup(), waiting: quantity(1), at: NOON };
    let mut given = part_shipped();
    let answer = given.iter_mut().find(|event| **event == reserved(cup()));
    *answer.unwrap() = promised;
    let events = [rest_cancelled(), credit_asked(0, 2 * PRICE)];
    // The stock knows whether the cup came meanwhile.
    let back = to_stock(&cup(), OrderStep::TakeBack { quantity: quantity(1) });
    let [_, pots] = restocked();
    check(&given, cancel(), Ok((&events, &[back, pots, to_refund(0, 2 * PRICE)])));
    let given = [given, events.to_vec()].concat();
    check_nothing(&given, cancel());
    let come = StockNews::Arrived { waiting: Units::ZERO };
    check_nothing(&given, Command::TakeStockNews { sku: cup(), news: come });
    let seen = view(&given);
    assert_eq!((seen.lines[0].stock, seen.status), (StockStatus::Sold, Status::Shipped));
    // What the stock says to it is no news of the line.
    check_nothing(&given, Command::TakeStockNews { sku: cup(), news: StockNews::Restocked });
}

#[test]
fn an_order_that_is_shipped_whole_is_not_called_off() {
    let given = [part_shipped(), vec![shipped(2, cup(), 1), shipped(3, pot(), 1)]].concat();
    check(&given, cancel(), Err(Rejection::AlreadyShipped));
}

#[test]
fn credit_waits_for_the_capture_that_is_under_way() {
    let amount = euro(TOTAL);
    let shipping = vec![shipped(1, cup(), 1), Event::CaptureAsked { amount, at: NOON }];
    let given = [on_account(), shipping].concat();
    let cancelled = [rest_cancelled()];
    check(&given, cancel(), Ok((&cancelled, &restocked())));
    let given = [given, cancelled.to_vec()].concat();
    let (news, taken) = captured(TOTAL);
    let events = [taken, credit_asked(0, 2 * PRICE)];
    check(&given, news, Ok((&events, &[to_refund(0, 2 * PRICE)])));
}

#[test]
fn no_more_is_captured_than_what_is_left_had_cost() {
    let amount = euro(TOTAL);
    let failed = [Event::CaptureAsked { amount, at: NOON }, Event::CaptureFailed { at: NOON }];
    let given = [on_account(), vec![shipped(1, cup(), 1)], failed.to_vec()].concat();
    check(&given, cancel(), Ok((&[rest_cancelled()], &restocked())));
    let given = [given, vec![rest_cancelled()]].concat();
    // What an operator takes by hand is kept as far as it is due.
    let (news, taken) = captured(PRICE);
    check(&given, news, Ok((&[taken], &[])));
    let (news, taken) = captured(PRICE + 7);
    check(&given, news, Ok((&[taken, credit_asked(0, 7)], &[to_refund(0, 7)])));
}

#[test]
fn credit_is_what_is_left_of_the_money_and_is_asked_for_once() {
    let refunded = |minor| {
        let (refund, amount) = (RefundId::from_bytes([1; 16]), euro(minor));
        Event::RefundAsked { refund, amount, reason: label("broken"), at: NOON }
    };
    // Something else was given back for what was shipped: that is no credit.
    let given = [part_shipped(), vec![refunded(50)]].concat();
    let [cups, pots] = restocked();
    let events = [rest_cancelled(), credit_asked(0, 2 * PRICE)];
    let effects = [cups.clone(), pots.clone(), to_refund(0, 2 * PRICE)];
    check(&given, cancel(), Ok((&events, &effects)));
    let given = [part_shipped(), vec![refunded(PRICE + 50)]].concat();
    let events = [rest_cancelled(), credit_asked(0, 2 * PRICE - 50)];
    let effects = [cups, pots, to_refund(0, 2 * PRICE - 50)];
    check(&given, cancel(), Ok((&events, &effects)));
    // One that failed is asked for again when there is news of the money.
    let given = [part_shipped(), vec![rest_cancelled(), credit_asked(0, 2 * PRICE)]].concat();
    let reason = Reason::Provider(Refusal::NotPossible);
    let news = News::RefundFailed { refund: credit(0), amount: euro(2 * PRICE), reason };
    let failed = Event::RefundFailed { refund: credit(0), at: NOON };
    check(&given, paid(news), Ok((std::slice::from_ref(&failed), &[])));
    let (news, taken) = captured(TOTAL);
    check(&given, news, Ok((std::slice::from_ref(&taken), &[])));
    let given = [given, vec![failed]].concat();
    let (news, taken) = captured(TOTAL);
    let events = [taken, credit_asked(1, 2 * PRICE)];
    check(&given, news, Ok((&events, &[to_refund(1, 2 * PRICE)])));
}

#[test]
fn the_status_of_an_order_is_that_of_what_is_wanted() {
    let status = |more: &[Event]| view(&[part_shipped(), more.to_vec()].concat()).status;
    let delivered = Event::Delivered { shipment: ShipmentNumber(1), at: NOON };
    assert_eq!(status(&[]), Status::Processing);
    assert_eq!(status(&[rest_cancelled()]), Status::Shipped);
    assert_eq!(status(&[rest_cancelled(), delivered]), Status::Delivered);
}
