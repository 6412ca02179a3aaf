//! What lists are told of an order.

use cluster::entity::{Effect, Wire};

use super::properties::NOON;
use super::tests::*;
use super::*;
use crate::domain::order_list::{self, Listed, OrderList, OrderPage, PageCommand};

fn number() -> OrderNumber {
    OrderNumber::from_number(77)
}

fn book() -> ListId {
    ListId::book_of(me().key().slot())
}

fn listed(status: Status) -> Listed {
    let total = properties::euro(TOTAL);
    Listed { order: me(), number: number(), status, total, placed_at: NOON }
}

fn add(status: Status) -> Effect {
    let command = order_list::Command::Add { entry: listed(status) }.to_bytes();
    Effect::Tell { to: OrderList::address(book()), command }
}

fn put(status: Status) -> Effect {
    let command = PageCommand::Put { place: Place(70), entry: listed(status) }.to_bytes();
    Effect::Tell { to: OrderPage::address(book(), 1), command }
}

fn numbered() -> Event {
    Event::Numbered { number: number(), at: NOON }
}

fn asked(status: Status) -> Event {
    Event::PlacesAsked { status, at: NOON }
}

fn taken() -> Event {
    Event::PlaceTaken { list: book(), place: Place(70), at: NOON }
}

fn take_place() -> Command {
    Command::TakePlace { list: book(), place: Place(70) }
}

/// With a number, and nothing bought yet.
fn pending(more: &[Event]) -> Vec<Event> {
    [authorising(), vec![numbered()], more.to_vec()].concat()
}

fn bought(more: &[Event]) -> Vec<Event> {
    [confirmed(), vec![numbered()], more.to_vec()].concat()
}

#[test]
fn an_order_asks_for_its_place_when_it_has_its_number() {
    let events = [numbered(), asked(Status::Pending)];
    let take = Command::TakeNumber { number: number() };
    check(&authorising(), take.clone(), Ok((&events, &[add(Status::Pending)])));
    check_nothing(&pending(&[asked(Status::Pending)]), take);
}

#[test]
fn an_order_that_was_never_listed_is_when_something_happens_to_it() {
    let note = Event::NoteAdded { text: properties::label("called"), at: NOON };
    let add_note = Command::AddNote { text: properties::label("called") };
    let events = [note, asked(Status::Confirmed)];
    check(&bought(&[]), add_note, Ok((&events, &[add(Status::Confirmed)])));
    check_nothing(&bought(&[]), Command::GiveUpStock);
}

#[test]
fn a_place_is_taken_once_and_told_what_has_changed_meanwhile() {
    let event = taken();
    let one = std::slice::from_ref(&event);
    check(&pending(&[asked(Status::Pending)]), take_place(), Ok((one, &[])));
    let given = bought(&[asked(Status::Pending)]);
    check(&given, take_place(), Ok((one, &[put(Status::Confirmed)])));
    check_nothing(&[given, vec![taken()]].concat(), take_place());
    check_nothing(&pending(&[]), take_place());
}

#[test]
fn a_page_is_told_of_each_change_of_the_status_and_of_no_other() {
    let given = bought(&[asked(Status::Pending), taken()]);
    let cancel_asked =
        Event::CancelAsked { by: Side::Shopper, reason: properties::label("no more"), at: NOON };
    let effects = check_effects(&given, cancel());
    assert_eq!(effects.last(), Some(&put(Status::Cancelling)));
    let given = [given, vec![cancel_asked]].concat();
    assert_eq!(check_effects(&given, cancel()), []);
    let note = Command::AddNote { text: properties::label("called") };
    assert_eq!(check_effects(&given, note), []);
}

#[test]
fn where_an_order_is_listed_changes_nothing_of_its_own() {
    let before = view(&bought(&[]));
    let after = view(&bought(&[asked(Status::Pending), taken()]));
    assert_eq!(before, after);
}
