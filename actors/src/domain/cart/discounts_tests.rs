//! What promotions take off a cart, and when a shopper is told.

use cluster::entity::{Catalogue, Wire};

use super::checkout_tests::check_out;
use super::tests::*;
use super::*;
use crate::domain::order::{self, Order, Shortfall};
use crate::domain::prices::Prices;
use crate::domain::pricing::discounting_tests::percent;
use crate::domain::pricing::{Granted, Share, Shares};
use crate::domain::promotion::Promotion;
use crate::domain::published::told_apart;

fn shop_with(promotions: &[(&str, u32)]) -> Catalogue {
    let listings = ["cup", "tea"].map(|code| listing(code, &[(450, "EUR")])).to_vec();
    let promotions = promotions.iter().map(|(id, off)| percent(id, *off)).collect();
    promoting(INDEX, listings, promotions)
}

fn ten(shares: &[(u16, i64)]) -> Event {
    let shares: Vec<_> =
        shares.iter().map(|(line, minor)| Share { line: *line, minor: *minor }).collect();
    let granted = Granted::OfItems(Shares::try_from(shares).unwrap());
    let (promotion, name) = ("ten".parse().unwrap(), "The ten".to_owned().try_into().unwrap());
    let discounts = vec![Discount { promotion, name, granted }];
    Event::DiscountsSet { discounts, catalogue_index: INDEX, at: LATER }
}

fn none(catalogue_index: u64) -> Event {
    Event::DiscountsSet { discounts: vec![], catalogue_index, at: LATER }
}

#[track_caller]
fn check_in(shop: Option<&Catalogue>, given: &[Event], when: Command, then: &[Event]) {
    assert_eq!(decide(given, when, shop).map(|it| it.events).as_deref(), Ok(then));
}

#[test]
fn discounts_follow_the_lines() {
    let shop = shop_with(&[("ten", 10)]);
    let cup = set("cup", 1, 450);
    check_in(Some(&shop), &[created()], add(&[("tea", 2)]), &[tea(2), ten(&[(0, 90)])]);
    let given = [created(), tea(2), ten(&[(0, 90)])];
    check_in(Some(&shop), &given, add(&[("cup", 1)]), &[cup.clone(), ten(&[(0, 45), (1, 90)])]);
    check_in(Some(&shop), &given, Command::Clear, &[Event::Cleared { at: LATER }, none(INDEX)]);
    let given = [created(), cup, tea(2), ten(&[(0, 45), (1, 90)])];
    let remove = Command::RemoveLine { sku: sku("cup") };
    let removed = Event::LineRemoved { sku: sku("cup"), at: LATER };
    check_in(Some(&shop), &given, remove.clone(), &[removed.clone(), ten(&[(0, 90)])]);
    // A line can be removed where no prices are known, and then nothing is taken off.
    check_in(None, &given, remove, &[removed, none(0)]);
}

#[test]
fn a_cart_shows_what_is_taken_off() {
    let decision = decide(&[created()], add(&[("tea", 2)]), Some(&shop_with(&[("ten", 10)])));
    let view = decision.unwrap().reply.0.unwrap();
    assert_eq!((view.totals.items.minor, view.totals.discount().minor), (900, 90));
    assert_eq!((view.totals.grand.minor, view.discounts.len()), (810, 1));
}

#[test]
fn a_cart_without_lines_has_no_discounts() {
    let given = [created(), tea(2), ten(&[(0, 90)]), deleted()];
    assert_eq!(cart(&given).existing.unwrap().discounts.len(), 0);
}

#[test]
fn a_checkout_is_at_the_discounts_that_the_shopper_saw() {
    let given = [created(), tea(2), ten(&[(0, 90)])];
    check_in(Some(&shop_with(&[])), &given, check_out(1), &[none(INDEX)]);
    let given = [created(), tea(2)];
    check_in(Some(&shop_with(&[("ten", 10)])), &given, check_out(1), &[ten(&[(0, 90)])]);
    let given = [created(), tea(2), ten(&[(0, 90)])];
    let decision = decide(&given, check_out(1), Some(&shop_with(&[("ten", 10)]))).unwrap();
    let (_, told) = told_apart(decision.effects);
    let [Effect::Tell { to, command }] = told.as_slice() else { panic!() };
    let order::Command::PlaceWith { placed, extras, .. } =
        order::Command::from_bytes(command).unwrap()
    else {
        panic!()
    };
    let minor = |extra: &order::Extra| match extra {
        order::Extra::Discount(discount) => discount.minor(),
        order::Extra::Redemption(_) => panic!("no code was given"),
        order::Extra::Screening { .. } => 0,
        order::Extra::Seller(_) => panic!("these are the shop's own"),
        order::Extra::GiftCard(_) => panic!("no gift card was brought"),
        order::Extra::InPlaceOf(_) => panic!("it is of a cart"),
    };
    assert_eq!(to.kind, Order::KIND);
    assert_eq!((placed.totals().discount.minor, placed.totals().grand.minor), (90, 810));
    assert_eq!(extras.iter().map(minor).sum::<i64>(), 90);
}

#[test]
fn what_was_granted_for_certain_lines_is_not_kept_without_them() {
    let minimum = vec![Money { minor: 900, currency: currency("EUR") }];
    let bound = Promotion { minimum: Prices::new(minimum).unwrap(), ..percent("ten", 10) };
    for (promotion, shortfall) in
        [(bound, Shortfall::FailAll), (percent("ten", 10), Shortfall::DropLines)]
    {
        let listings = vec![listing("tea", &[(450, "EUR")])];
        let shop = promoting(INDEX, listings, vec![promotion]);
        let Command::CheckOut { order, payment, mut terms, shipping } = check_out(1) else {
            panic!()
        };
        terms.shortfall = Shortfall::DropLines;
        let when = Command::CheckOut { order, payment, terms, shipping };
        let given = [created(), tea(2), ten(&[(0, 90)])];
        let decision = decide(&given, when, Some(&shop)).unwrap();
        let placed = decision.effects.iter().find_map(|effect| {
            let Effect::Tell { to, command } = effect else { return None };
            let is_order = to.kind == Order::KIND;
            is_order.then(|| order::Command::from_bytes(command).unwrap())
        });
        let Some(order::Command::PlaceWith { placed, .. }) = placed else { panic!() };
        assert_eq!(placed.terms.shortfall, shortfall);
    }
}
