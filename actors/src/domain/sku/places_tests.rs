//! Where the pieces of a stock lie, and which of them are sold first.

use std::sync::Arc;

use cluster::entity::Catalogue;

use super::tests::{NOON, at, confirm, id, reserved, sku, stocked, units};
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

fn location(name: &str, priority: u32) -> StockLocation {
    StockLocation { id: place(name), name: Label::try_from(name.to_owned()).unwrap(), priority }
}

/// Where all locations are known that these tests name.
fn with_book<T>(use_it: impl FnOnce(&Context<'_>) -> T) -> T {
    let numbered = (0..33).map(|nth| location(&format!("place-{nth}"), 9));
    let named = [location("north", 7), location("south", 3)];
    let book = PriceBook::empty().with_stock_locations(numbered.chain(named));
    let catalogue = Catalogue { index: 1, content: Arc::new(book) };
    let me = Sku::address(&"tea".parse().unwrap());
    use_it(&Context { now: NOON, me: &me, entropy: [0; 32], catalogue: Ok(&catalogue) })
}

#[track_caller]
fn check(given: &[Event], when: Command, then: Result<&[Event], Rejection>) {
    let decided = with_book(|ctx| sku(given).decide(when, ctx));
    assert_eq!(decided.map(|decision| decision.events), then.map(<[_]>::to_vec));
}

#[test]
fn pieces_come_to_lie_where_there_is_a_location_and_may_leave_one_that_is_no_more() {
    let unknown = |name: &str| Err(Rejection::UnknownLocation { location: place(name) });
    let given = [stocked(5, 5), there("west", 3, 8, 3)];
    check(&given, state("west", Change::To(units(1))), unknown("west"));
    check(&given, transfer(None, Some("west"), 1), unknown("west"));
    let moved = transferred(Some(("west", 1)), None, 7, 2);
    check(&given, transfer(Some("west"), None, 2), Ok(&[moved]));
    let blind = |command| at(NOON, |ctx| sku(&given).decide(command, ctx));
    let blind = |command| blind(command).map(|decision| decision.events.len());
    let none = Err(Rejection::CatalogueUnavailable);
    assert_eq!(blind(state("north", Change::To(units(1)))), none);
    assert_eq!(blind(transfer(Some("west"), None, 1)), Ok(1));
    assert!(Sku::is_momentary(&Rejection::CatalogueUnavailable));
    assert!(Sku::is_momentary(&Rejection::UnknownLocation { location: place("west") }));
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
    let decide = |command| with_book(|ctx| stock.decide(command, ctx)).map(|it| it.events.len());
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
    let decision = with_book(|ctx| sku(&given).decide(confirm(1), ctx)).unwrap();
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
