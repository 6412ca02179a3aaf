//! Putting right whom an order is for and where it goes, and calling off some of it before it is sent.

use super::properties::{NOON, PRICE, euro, label, terms};
use super::tests::*;
use super::*;
use crate::domain::contact::Email;
use crate::domain::sku::OrderStep;

fn email() -> Email {
    "right@shop.example".to_owned().try_into().unwrap()
}

fn correct(change: impl FnOnce(&mut Correction)) -> Command {
    let mut correction = Correction::default();
    change(&mut correction);
    Command::Correct(Box::new(correction))
}

fn contact() -> Contact {
    terms(Shortfall::FailAll, CaptureTime::AtOnce).contact
}

fn corrected(contact: Contact) -> Event {
    Event::Corrected { contact: Box::new(contact), at: NOON }
}

fn moved(change: impl FnOnce(&mut crate::domain::contact::Address)) -> Command {
    let mut shipping = contact().shipping;
    change(&mut shipping);
    correct(|it| it.shipping = Some(shipping))
}

fn shipped_whole() -> Event {
    let items = vec![(cup(), quantity(2)), (pot(), quantity(1))];
    let (carrier, tracking) = (label("Post"), label("1Z"));
    Event::Shipped { shipment: ShipmentNumber(1), items, carrier, tracking, at: NOON }
}

fn cancel_pieces(items: &[(SkuCode, u32)]) -> Command {
    let items = items.iter().map(|(sku, n)| (sku.clone(), quantity(*n))).collect();
    Command::CancelPieces { by: Side::Shop, items, reason: label("broken") }
}

fn pieces_cancelled(sku: SkuCode, n: u32) -> Event {
    let (items, amount) = (vec![(sku, quantity(n))], euro(i64::from(n) * PRICE));
    Event::PiecesCancelled { by: Side::Shop, items, amount, reason: label("broken"), at: NOON }
}

fn credit_asked(minor: i64) -> Event {
    let refund = RefundId::from_bytes([7; 16]);
    Event::CreditAsked { refund, amount: euro(minor), reason: label("broken"), at: NOON }
}

#[test]
fn what_is_named_is_put_right_and_the_rest_stays() {
    let right = Contact { email: Some(email()), ..contact() };
    check(
        &confirmed(),
        correct(|it| it.email = Some(email())),
        Ok((&[corrected(right.clone())], &[])),
    );
    let given = [confirmed(), vec![corrected(right.clone())]].concat();
    check_nothing(&given, correct(|it| it.email = Some(email())));
    assert_eq!(*view(&given).contact_now(), right);
    let mut there = right;
    there.shipping.line1 = label("Street 2");
    check(&given, moved(|to| to.line1 = label("Street 2")), Ok((&[corrected(there.clone())], &[])));
    let given = [given, vec![corrected(there.clone())]].concat();
    assert_eq!(*view(&given).contact_now(), there);
}

#[test]
fn an_order_goes_where_it_was_priced_for() {
    let abroad = moved(|to| to.country = "FR".parse().unwrap());
    check(&confirmed(), abroad, Err(Rejection::OtherDestination));
}

#[test]
fn what_is_on_its_way_goes_where_it_was_sent() {
    let given = [confirmed(), vec![shipped_whole()]].concat();
    let elsewhere = moved(|to| to.line1 = label("Street 2"));
    check(&given, elsewhere, Err(Rejection::AlreadyShipped));
    // Whom to write to may still be put right.
    let right = Contact { email: Some(email()), ..contact() };
    check(&given, correct(|it| it.email = Some(email())), Ok((&[corrected(right)], &[])));
}

#[test]
fn only_an_order_that_was_bought_is_put_right() {
    let email = || correct(|it| it.email = Some(email()));
    check(&capturing(), email(), Err(Rejection::NotConfirmed));
    check(&[confirmed(), vec![cancel_asked()]].concat(), email(), Err(Rejection::Over));
}

#[test]
fn some_pieces_are_called_off_before_any_is_sent() {
    let events = [pieces_cancelled(cup(), 1), credit_asked(PRICE)];
    let back = to_stock(&cup(), OrderStep::Restock { quantity: quantity(1) });
    let refund =
        payment::Command::Refund { refund: RefundId::from_bytes([7; 16]), amount: euro(PRICE) };
    let effects = [back, to_payment(&refund)];
    check(&confirmed(), cancel_pieces(&[(cup(), 1)]), Ok((&events, &effects)));
    let given = [confirmed(), events.to_vec()].concat();
    let much = Err(Rejection::TooMany { sku: cup(), left: 1 });
    check(&given, cancel_pieces(&[(cup(), 2)]), much);
    check(&given, cancel_pieces(&[]), Err(Rejection::NothingNamed));
    let seen = view(&given);
    assert_eq!((seen.status, seen.cancellations.len()), (Status::Confirmed, 1));
}

#[test]
fn whoever_calls_off_all_pieces_calls_off_the_order() {
    let all = cancel_pieces(&[(cup(), 2), (pot(), 1)]);
    let asked = Event::CancelAsked { by: Side::Shop, reason: label("broken"), at: NOON };
    let cups = to_stock(&cup(), OrderStep::Restock { quantity: quantity(2) });
    let pots = to_stock(&pot(), OrderStep::Restock { quantity: quantity(1) });
    check(&confirmed(), all, Ok((&[asked], &[cups, pots, undo_payment()])));
}

#[test]
fn an_order_that_is_called_off_after_some_of_its_pieces_gives_back_the_others() {
    let given = [confirmed(), vec![pieces_cancelled(cup(), 1), credit_asked(PRICE)]].concat();
    let cups = to_stock(&cup(), OrderStep::Restock { quantity: quantity(1) });
    let pots = to_stock(&pot(), OrderStep::Restock { quantity: quantity(1) });
    check(&given, cancel(), Ok((&[cancel_asked()], &[cups, pots.clone(), undo_payment()])));
    // Of a line that was called off whole nothing is to come back.
    let given = [confirmed(), vec![pieces_cancelled(cup(), 2), credit_asked(2 * PRICE)]].concat();
    check(&given, cancel(), Ok((&[cancel_asked()], &[pots, undo_payment()])));
    let seen = view(&[given, vec![cancel_asked()]].concat());
    assert_eq!(seen.lines[0].stock, StockStatus::Released);
}

#[test]
fn pieces_on_backorder_are_called_off_with_their_line_or_not_at_all() {
    let mut given = confirmed();
    let promised = Event::StockPromised { sku: cup(), waiting: quantity(1), at: NOON };
    *given.iter_mut().find(|event| **event == reserved(cup())).unwrap() = promised;
    let waiting = quantity(1);
    let one = cancel_pieces(&[(cup(), 1)]);
    check(&given, one, Err(Rejection::OnBackorder { sku: cup(), waiting }));
    let events = [pieces_cancelled(cup(), 2), credit_asked(2 * PRICE)];
    let back = to_stock(&cup(), OrderStep::TakeBack { quantity: quantity(2) });
    let refund =
        payment::Command::Refund { refund: RefundId::from_bytes([7; 16]), amount: euro(2 * PRICE) };
    let both = cancel_pieces(&[(cup(), 2)]);
    check(&given, both, Ok((&events, &[back, to_payment(&refund)])));
}
