//! What only a first order gets, at the checkout of a cart.

use cluster::entity::{Catalogue, Wire};

use super::checkout_tests::check_out;
use super::tests::*;
use super::*;
use crate::domain::code_uses::Counted;
use crate::domain::order::{self, Extra, Order, Redemption};
use crate::domain::pricing::discounting_tests::percent;
use crate::domain::promotion::{Promotion, Shoppers};

const CUSTOMER: CustomerKey = CustomerKey::from_bytes([7; 16]);

fn shop_with(promotions: Vec<Promotion>) -> Catalogue {
    promoting(INDEX, vec![listing("tea", &[(450, "EUR")])], promotions)
}

fn for_first(id: &str) -> Promotion {
    Promotion { shoppers: Shoppers::FirstOrder, ..percent(id, 10) }
}

/// With two pots of tea, and whatever is taken off them.
fn filled(shop: &Catalogue) -> Vec<Event> {
    [vec![created()], decide(&[created()], add(&[("tea", 2)]), Some(shop)).unwrap().events].concat()
}

fn with(means: &[Means]) -> Command {
    let Command::CheckOut { order, payment, terms, shipping } = check_out(1) else { panic!() };
    Command::CheckOutWith { order, payment, terms, shipping, means: means.to_vec() }
}

fn as_first() -> Command {
    with(&[Means::Customer(CUSTOMER), Means::Earlier(EarlierOrders::NoneStands)])
}

/// The uses that the order is told of.
fn claimed(shop: &Catalogue, when: Command) -> Vec<Redemption> {
    let decision = decide(&filled(shop), when, Some(shop)).unwrap();
    let placed = decision.effects.iter().find_map(|effect| {
        let Effect::Tell { to, command } = effect else { return None };
        let is_order = to.kind == Order::KIND;
        is_order.then(|| order::Command::from_bytes(command).unwrap())
    });
    let Some(order::Command::PlaceWith { extras, .. }) = placed else { panic!() };
    let use_of = |extra| if let Extra::Redemption(it) = extra { Some(it) } else { None };
    extras.into_iter().filter_map(use_of).collect()
}

fn refused(when: Command) -> Rejection {
    let shop = shop_with(vec![for_first("welcome")]);
    decide(&filled(&shop), when, Some(&shop)).unwrap_err()
}

#[test]
fn a_cart_is_priced_as_if_it_were_a_first_order() {
    let shop = shop_with(vec![for_first("welcome")]);
    let view = decide(&[created()], add(&[("tea", 2)]), Some(&shop)).unwrap().reply.0.unwrap();
    assert_eq!((view.discounts.len(), view.totals.grand.minor), (1, 810));
}

#[test]
fn a_first_order_is_one_use_of_its_customer_whatever_it_gets() {
    let first = Redemption {
        counted: Counted::first_order_of(CUSTOMER),
        promotion: "hello".parse().unwrap(),
        limit: std::num::NonZeroU32::new(1),
    };
    let shop = shop_with(vec![percent("ten", 10), for_first("welcome"), for_first("hello")]);
    assert_eq!(claimed(&shop, as_first()), [first]);
    let shop = shop_with(vec![percent("ten", 10)]);
    assert_eq!(claimed(&shop, as_first()), []);
}

#[test]
fn whoever_ordered_before_does_not_get_it() {
    let again = [Means::Customer(CUSTOMER), Means::Earlier(EarlierOrders::OneStands)];
    let promotion = "welcome".parse().unwrap();
    assert_eq!(refused(with(&again)), Rejection::NotFirstOrder { promotion });
    let shop = shop_with(vec![percent("ten", 10)]);
    assert_eq!(claimed(&shop, with(&again)), []);
}

#[test]
fn nobody_has_no_first_order() {
    let promotion: PromotionId = "welcome".parse().unwrap();
    let nobody = Rejection::FirstOrderOfNobody { promotion };
    assert_eq!(refused(check_out(1)), nobody);
    assert_eq!(refused(with(&[Means::Earlier(EarlierOrders::NoneStands)])), nobody);
}

#[test]
fn nothing_is_ordered_before_somebody_asked_what_the_customer_ordered() {
    let shop = shop_with(vec![for_first("welcome")]);
    let decision = decide(&filled(&shop), with(&[Means::Customer(CUSTOMER)]), Some(&shop)).unwrap();
    assert_eq!((decision.events, decision.effects), (vec![], vec![]));
    assert_eq!(decision.reply.0.unwrap().status, Status::Open);
}

#[test]
fn what_took_nothing_off_needs_no_first_order() {
    let all = Promotion { priority: 1, ..percent("all", 100) };
    let shop = shop_with(vec![all, for_first("welcome")]);
    assert_eq!(claimed(&shop, check_out(1)), []);
}
