//! How a cart becomes an order, or does not.

use cluster::entity::Wire;

use super::tests::*;
use super::*;
use crate::domain::contact::{Address, Contact};
use crate::domain::names::Label;
use crate::domain::order::{self, CaptureTime, Order, Shortfall};
use crate::domain::payment::PaymentMethod;
use crate::domain::published::told_apart;

fn order(number: u8) -> OrderId {
    OrderId::from_bytes([number; 16])
}

fn label(text: &str) -> Label {
    Label::try_from(text.to_owned()).unwrap()
}

fn terms() -> Terms {
    let shipping = Address {
        name: label("A Shopper"),
        line1: label("Street 1"),
        line2: None,
        city: label("Town"),
        region: None,
        postal_code: None,
        country: "DE".parse().unwrap(),
    };
    let method = PaymentMethod {
        provider: "simulator".parse().unwrap(),
        token: "tok_visa".parse().unwrap(),
    };
    let contact = Contact { email: None, shipping, billing: None };
    Terms { contact, method, shortfall: Shortfall::FailAll, capture: CaptureTime::AtOnce }
}

pub(super) fn check_out(number: u8) -> Command {
    Command::CheckOut {
        order: order(number),
        payment: PaymentId::from_bytes([number; 16]),
        terms: Box::new(terms()),
        shipping: None,
    }
}

fn begun(number: u8) -> Event {
    Event::CheckoutBegun { order: order(number), at: LATER }
}

fn ordered(number: u8) -> Event {
    Event::Ordered { order: order(number), at: LATER }
}

fn reopened(number: u8) -> Event {
    Event::Reopened { order: order(number), at: LATER }
}

fn finish(number: u8) -> Command {
    Command::FinishCheckout { order: order(number) }
}

fn reopen(number: u8) -> Command {
    Command::ReopenAfter { order: order(number) }
}

/// What an order is told of a cart.
fn told(decision: &Decision<Cart>) -> (CartId, u64, Vec<(SkuCode, Quantity)>, Money) {
    let (_, told) = told_apart(decision.effects.clone());
    let [Effect::Tell { to, command }] = told.as_slice() else { panic!() };
    assert_eq!(*to, Order::address(order(1)));
    let Ok(order::Command::Place { cart, payment, placed, .. }) =
        order::Command::from_bytes(command)
    else {
        panic!()
    };
    assert_eq!(payment, PaymentId::from_bytes([1; 16]));
    assert_eq!(placed.terms, terms());
    let lines = placed.lines().iter().map(|line| (line.sku.clone(), line.quantity)).collect();
    (cart, placed.catalogue_index, lines, placed.totals().grand)
}

#[test]
fn an_order_is_placed_with_what_is_in_the_cart() {
    let given = [created(), tea(2), set("bead-01", 3, 1)];
    let decision = decide(&given, check_out(1), Some(&shop())).unwrap();
    assert_eq!(decision.events, [begun(1)]);
    let lines = pairs(&[("bead-01", 3), ("tea", 2)]);
    let grand = Money { minor: 903, currency: Currency::EURO };
    assert_eq!(told(&decision), (id(1), INDEX, lines, grand));
}

#[test]
fn a_repeated_checkout_places_no_second_order() {
    for state in [vec![begun(1)], vec![begun(1), ordered(1)]] {
        let given = [vec![created(), tea(2)], state].concat();
        let decision = decide(&given, check_out(1), Some(&shop())).unwrap();
        assert_eq!((decision.events, decision.effects), (vec![], vec![]));
    }
}

#[test]
fn a_cart_makes_one_order_at_a_time_and_one_in_all() {
    let given = [created(), tea(2), begun(1)];
    check(&given, check_out(2), Err(Rejection::CheckingOut { order: order(1) }));
    check(&given, add(&[("tea", 1)]), Err(Rejection::CheckingOut { order: order(1) }));
    check(&given, Command::Delete, Err(Rejection::CheckingOut { order: order(1) }));
    check(&given, give_up(id(2)), Err(Rejection::CheckingOut { order: order(1) }));
    let given = [created(), tea(2), begun(1), ordered(1)];
    check(&given, check_out(2), Err(Rejection::Ordered { order: order(1) }));
    check(&given, add(&[("tea", 1)]), Err(Rejection::Ordered { order: order(1) }));
    assert!(Cart::is_momentary(&Rejection::CheckingOut { order: order(1) }));
    assert!(!Cart::is_momentary(&Rejection::Ordered { order: order(1) }));
}

#[test]
fn the_order_says_how_the_checkout_ended() {
    let given = [created(), tea(2), begun(1)];
    check(&given, finish(1), Ok(&[ordered(1)]));
    check(&given, reopen(1), Ok(&[reopened(1)]));
    check(&given, finish(2), Ok(&[]));
    check(&given, reopen(2), Ok(&[]));
    let given = [created(), tea(2), begun(1), reopened(1)];
    check(&given, finish(1), Ok(&[]));
    check(&given, reopen(1), Ok(&[]));
    check(&given, add(&[("tea", 1)]), Ok(&[tea(3)]));
    check(&given, check_out(2), Ok(&[begun(2)]));
    let given = [created(), tea(2), begun(1), ordered(1)];
    check(&given, finish(1), Ok(&[]));
    check(&given, reopen(1), Ok(&[]));
}

#[test]
fn prices_that_changed_are_shown_before_anything_is_ordered() {
    let given = [created(), set("tea", 2, 400), set("bead-01", 1, 1)];
    let decision = decide(&given, check_out(1), Some(&shop())).unwrap();
    assert_eq!((decision.events, told_apart(decision.effects).1), (vec![tea(2)], vec![]));
    let given = [given.to_vec(), vec![tea(2)]].concat();
    check(&given, check_out(1), Ok(&[begun(1)]));
    // Of what is not for sale any more there is no price to show.
    let gone = decide(&given, check_out(1), Some(&catalogue(INDEX + 1, vec![])));
    assert_eq!(
        gone.map(|decision| decision.events),
        Err(Rejection::UnknownSku { sku: sku("bead-01") })
    );
}

#[test]
fn a_cart_with_nothing_in_it_is_not_checked_out() {
    check(&[], check_out(1), Err(Rejection::NotFound));
    check(&[created()], check_out(1), Err(Rejection::Empty));
    check(&[created(), deleted()], check_out(1), Err(Rejection::Deleted));
    let option = Command::CheckOut {
        order: order(1),
        payment: PaymentId::from_bytes([1; 16]),
        terms: Box::new(terms()),
        shipping: Some("express".parse().unwrap()),
    };
    let unknown = NotPriced::UnknownShipping { option: "express".parse().unwrap() };
    check(&[created(), tea(1)], option, Err(Rejection::NotPricedForOrder(unknown)));
    let blind = decide(&[created(), tea(1)], check_out(1), None);
    assert_eq!(blind.map(|decision| decision.events), Err(Rejection::CatalogueUnavailable));
}
