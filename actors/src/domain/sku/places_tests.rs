//! Where the pieces of a stock lie, and which of them are sold first.

use std::sync::Arc;

use cluster::entity::Catalogue;

use super::tests::*;
use super::*;
use crate::domain::catalogue::PriceBook;
use crate::domain::location::StockLocation;
use crate::domain::names::Label;

fn place(name: &str) -> LocationId {
    name.parse().unwrap()
}

fn delta(change: i64) -> Delta {
    change.try_into().unwrap()
}

fn counted() -> Reason {
    "counted".to_owned().try_into().unwrap()
}

fn there(name: &str, count: u32, on_hand: u32, change: i64) -> Event {
    Event::StockedAt {
        location: place(name),
        there: units(count),
        on_hand: units(on_hand),
        delta: delta(change),
        reason: counted(),
        at: NOON,
    }
}

fn state(name: &str, change: Change) -> Command {
    Command::StockAt { location: place(name), change, reason: counted() }
}

fn transfer(from: Option<&str>, to: Option<&str>, count: u32) -> Command {
    let (from, to) = (from.map(place), to.map(place));
    Command::Transfer { from, to, pieces: units(count), reason: counted() }
}

fn transferred(from: Option<(&str, u32)>, to: Option<(&str, u32)>, left: u32, count: u32) -> Event {
    Event::Transferred {
        from: from.map(|(name, _)| place(name)),
        left: units(from.map_or(left, |(_, left)| left)),
        to: to.map(|(name, _)| place(name)),
        come: units(to.map_or(left, |(_, come)| come)),
        pieces: units(count),
        reason: counted(),
        at: NOON,
    }
}

#[test]
fn a_location_is_stocked_beside_the_others() {
    let given = [stocked(5, 5)];
    check(&given, state("north", Change::To(units(3))), Ok(&[there("north", 3, 8, 3)]));
    check(&given, state("north", Change::By(delta(3))), Ok(&[there("north", 3, 8, 3)]));
    let given = [stocked(5, 5), there("north", 3, 8, 3)];
    check(&given, state("north", Change::To(units(3))), Ok(&[]));
    check(&given, state("north", Change::By(delta(-2))), Ok(&[there("north", 1, 6, -2)]));
    let few = Err(Rejection::TooFewThere { there: units(3) });
    check(&given, state("north", Change::By(delta(-4))), few);
    // Without a location it is the default one, where five are.
    let adjust = |change| Command::Adjust { delta: delta(change), reason: counted() };
    check(&given, adjust(-5), Ok(&[stocked(3, -5)]));
    check(&given, adjust(-6), Err(Rejection::TooFewThere { there: units(5) }));
    let set = Command::SetOnHand { on_hand: units(1), reason: counted() };
    check(&given, set, Ok(&[stocked(4, -4)]));
    let held = [&given[..], &[reserved(1, 7, None, 7)]].concat();
    let below = Err(Rejection::BelowReserved { reserved: units(7) });
    check(&held, state("north", Change::To(units(1))), below);
}

#[test]
fn pieces_go_from_one_location_to_another() {
    let given = [stocked(5, 5), there("north", 3, 8, 3)];
    let moved = transferred(None, Some(("north", 5)), 3, 2);
    check(&given, transfer(None, Some("north"), 2), Ok(&[moved]));
    let moved = transferred(Some(("north", 1)), Some(("south", 2)), 0, 2);
    check(&given, transfer(Some("north"), Some("south"), 2), Ok(std::slice::from_ref(&moved)));
    let few = |count| Err(Rejection::TooFewThere { there: units(count) });
    check(&given, transfer(Some("north"), None, 4), few(3));
    check(&given, transfer(None, Some("north"), 6), few(5));
    check(&given, transfer(Some("south"), None, 1), few(0));
    check(&given, transfer(Some("north"), Some("north"), 1), Ok(&[]));
    let given = [&given[..], &[moved]].concat();
    let whereabouts = sku(&given).whereabouts();
    let expected = [(None, 5), (Some("north"), 1), (Some("south"), 2)];
    let expected = expected.map(|(name, count)| (name.map(place), units(count)));
    assert_eq!(whereabouts, expected);
    let cause = Cause::Transferred {
        from: Some(place("north")),
        to: Some(place("south")),
        pieces: units(2),
        reason: counted(),
    };
    assert_eq!(sku(&given).ledger.iter().last().unwrap().cause, cause);
}

#[test]
fn a_stock_lies_at_so_many_locations() {
    let mut stock = sku(&[stocked(5, 5)]);
    for nth in 0..u32::try_from(Places::LEN_MAX).unwrap() {
        stock.apply(&there(&format!("place-{nth}"), 1, 6 + nth, 1));
    }
    let decide = |command| at(NOON, |ctx| stock.decide(command, ctx)).map(|it| it.events.len());
    let full = Err(Rejection::TooManyLocations);
    assert_eq!(decide(state("north", Change::To(units(1)))), full.clone());
    assert_eq!(decide(transfer(None, Some("north"), 1)), full);
    assert_eq!(decide(transfer(None, Some("place-3"), 1)), Ok(1));
    assert!(stock.to_record().len() < 8_192);
}

#[test]
fn a_sale_leaves_the_default_location_first_and_then_those_of_low_priority() {
    let given =
        [stocked(2, 2), there("north", 3, 5, 3), there("south", 4, 9, 4), reserved(1, 6, None, 6)];
    let location = |name: &str, priority| StockLocation {
        id: place(name),
        name: Label::try_from(name.to_owned()).unwrap(),
        priority,
    };
    let book = PriceBook::empty();
    let book = book.with_stock_locations([location("north", 7), location("south", 3)]);
    let catalogue = Catalogue { index: 1, content: Arc::new(book) };
    let me = Sku::address(&"tea".parse().unwrap());
    let ctx = Context { now: NOON, me: &me, entropy: [0; 32], catalogue: Ok(&catalogue) };
    let decision = sku(&given).decide(confirm(1), &ctx).unwrap();
    let taken = |name: Option<&str>, pieces, left, on_hand| Taken {
        location: name.map(place),
        pieces: units(pieces),
        left: units(left),
        on_hand: units(on_hand),
    };
    let sold = Event::SoldFrom {
        id: id(1),
        taken: vec![taken(None, 2, 0, 7), taken(Some("south"), 4, 0, 3)],
        on_hand: units(3),
        delta: delta(-6),
        reserved: units(0),
        at: NOON,
    };
    assert_eq!(decision.events, std::slice::from_ref(&sold));
    let after = sku(&[&given[..], &[sold]].concat());
    assert_eq!(after.whereabouts(), [(None, units(0)), (Some(place("north")), units(3))]);
    let two = 2.try_into().unwrap();
    let rows: Vec<_> = after.ledger.newest(two).into_iter().map(|row| row.cause).collect();
    let row = |name: Option<&str>| Cause::SoldFrom(id(1), name.map(place));
    assert_eq!(rows, [row(Some("south")), row(None)]);
}
