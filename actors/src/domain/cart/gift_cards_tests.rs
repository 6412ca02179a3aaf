//! Gift cards that are given to a cart, and what its order is paid with.

use cluster::entity::{Catalogue, Wire};

use super::checkout_tests::check_out;
use super::tests::*;
use super::*;
use crate::domain::order::{self, Extra};
use crate::domain::published::told_apart;

pub(super) fn ending() -> Label {
    Label::try_from("89AB".to_owned()).unwrap()
}

fn card(number: u8) -> GiftCardId {
    GiftCardId::from_bytes([number; 16])
}

fn give(number: u8) -> Command {
    Command::AddGiftCard { card: card(number), ending: ending() }
}

fn take_away(number: u8) -> Command {
    Command::RemoveGiftCard { card: card(number) }
}

fn given(number: u8) -> Event {
    let given = GivenCard { card: card(number), ending: ending() };
    Event::GiftCardAdded { given, at: LATER }
}

fn taken_away(number: u8) -> Event {
    Event::GiftCardRemoved { card: card(number), at: LATER }
}

fn numbers(events: &[Event]) -> Vec<GiftCardId> {
    let existing = cart(events).existing.unwrap();
    existing.gift_cards.iter().map(|given| given.card).collect()
}

fn with(brought: &[u8]) -> Command {
    let Command::CheckOut { order, payment, terms, shipping } = check_out(1) else { panic!() };
    let means = brought.iter().map(|number| Means::GiftCard(card(*number))).collect();
    Command::CheckOutWith { order, payment, terms, shipping, means }
}

/// The cards that the order of a cart is told of.
fn told(given: &[Event], brought: &[u8], shop: &Catalogue) -> Result<Vec<GiftCardId>, Rejection> {
    let decision = decide(given, with(brought), Some(shop))?;
    let (_, told) = told_apart(decision.effects);
    let [Effect::Tell { command, .. }] = told.as_slice() else { panic!() };
    let placed = order::Command::from_bytes(command).unwrap();
    let extras =
        if let order::Command::PlaceWith { extras, .. } = placed { extras } else { vec![] };
    let card = |extra: Extra| if let Extra::GiftCard(card) = extra { Some(card) } else { None };
    Ok(extras.into_iter().filter_map(card).collect())
}

#[test]
fn a_card_is_given_and_taken_away() {
    check(&[created()], give(1), Ok(&[given(1)]));
    check(&[created(), given(1)], give(1), Ok(&[]));
    check(&[created(), given(1)], take_away(1), Ok(&[taken_away(1)]));
    let missing = Err(Rejection::GiftCardNotFound { card: card(1) });
    check(&[created(), given(2)], take_away(1), missing.clone());
    check(&[created(), given(1), taken_away(1)], take_away(1), missing);
    check(&[], give(1), Err(Rejection::NotFound));
}

#[test]
fn cards_are_in_the_order_in_which_they_were_given() {
    let events = [created(), given(3), given(1), given(2), taken_away(1), given(1)];
    assert_eq!(numbers(&events), [card(3), card(2), card(1)]);
}

#[test]
fn a_cart_takes_five_cards() {
    let full: Vec<_> = [created()].into_iter().chain((1..=5).map(given)).collect();
    check(&full, give(6), Err(Rejection::TooManyGiftCards));
    check(&full, give(5), Ok(&[]));
    check(&[full, vec![taken_away(2)]].concat(), give(6), Ok(&[given(6)]));
}

#[test]
fn only_an_open_cart_takes_a_card_or_gives_it_up() {
    let order = OrderId::from_bytes([1; 16]);
    let given = [created(), tea(2), given(1), Event::CheckoutBegun { order, at: LATER }];
    check(&given, give(2), Err(Rejection::CheckingOut { order }));
    check(&given, take_away(1), Err(Rejection::CheckingOut { order }));
    check(&[created(), deleted()], give(1), Err(Rejection::Deleted));
}

#[test]
fn the_cards_of_a_cart_end_with_it_and_outlive_its_lines_and_its_failed_orders() {
    assert_eq!(numbers(&[created(), given(1), deleted()]), []);
    let into = id(2);
    assert_eq!(numbers(&[created(), given(1), Event::MergedAway { into, at: LATER }]), []);
    assert_eq!(numbers(&[created(), tea(2), given(1), Event::Cleared { at: LATER }]), [card(1)]);
    let order = OrderId::from_bytes([1; 16]);
    let failed = [
        created(),
        tea(2),
        given(1),
        Event::CheckoutBegun { order, at: LATER },
        Event::Reopened { order, at: LATER },
    ];
    assert_eq!(numbers(&failed), [card(1)]);
}

#[test]
fn a_cart_that_takes_lines_takes_no_cards_with_them_and_keeps_its_own() {
    let offer = decide(&[created(), tea(2), given(1)], give_up(id(2)), Some(&shop())).unwrap();
    let merge = offer.effects.iter().find_map(|effect| {
        let Effect::Tell { command, .. } = effect else { return None };
        Some(Command::from_bytes(command).unwrap())
    });
    let taken = decide(&[created(), given(2)], merge.unwrap(), Some(&shop())).unwrap();
    let events = [vec![created(), given(2)], taken.events].concat();
    assert_eq!(numbers(&events), [card(2)]);
}

#[test]
fn an_order_is_paid_with_the_cards_of_its_cart_and_then_with_those_that_are_brought() {
    let events = [created(), tea(2), given(3), given(1)];
    assert_eq!(told(&events, &[], &shop()), Ok(vec![card(3), card(1)]));
    assert_eq!(told(&events, &[2, 3], &shop()), Ok(vec![card(3), card(1), card(2)]));
    assert_eq!(told(&[created(), tea(2)], &[2], &shop()), Ok(vec![card(2)]));
    assert_eq!(told(&[created(), tea(2)], &[], &shop()), Ok(vec![]));
}

#[test]
fn an_order_is_paid_with_five_cards_at_most() {
    let events = [created(), tea(2), given(1), given(2), given(3)];
    let five = (1..=5).map(card).collect();
    assert_eq!(told(&events, &[1, 4, 5], &shop()), Ok(five));
    assert_eq!(told(&events, &[4, 5, 6], &shop()), Err(Rejection::TooManyGiftCards));
}
