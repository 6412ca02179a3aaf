use super::order::{euro, id, number};
use super::*;
use crate::domain::order::Status;
use crate::domain::order_list::{
    Command, Event, ListId, Listed, OrderList, OrderPage, PageCommand, PageEvent, PageView, Place,
    View,
};

fn listed() -> Listed {
    let (order, status) = (id(), Status::Confirmed);
    Listed { order, number: number(), status, total: euro(500), placed_at: AT }
}

fn event() -> Event {
    Event::Added { order: id(), place: Place(3) }
}

fn put() -> PageEvent {
    PageEvent::Put { place: Place(3), entry: listed() }
}

fn page() -> OrderPage {
    OrderPage { entries: vec![listed()] }
}

pub(super) fn samples() -> Vec<Vec<u8>> {
    let list = OrderList { n_orders: 4 };
    vec![event().to_bytes(), put().to_bytes(), list.to_record(), page().to_record()]
}

pub(super) fn decodes_to_itself(bytes: &[u8]) {
    if let Ok(event) = Event::from_bytes(bytes) {
        assert_eq!(event.to_bytes(), bytes);
    }
    if let Ok(event) = PageEvent::from_bytes(bytes) {
        assert_eq!(event.to_bytes(), bytes);
    }
    if let Ok(list) = OrderList::from_record(bytes) {
        assert_eq!(list.to_record(), bytes);
    }
    if let Ok(page) = OrderPage::from_record(bytes) {
        assert_eq!(page.to_record(), bytes);
        assert!(page.entries.len() <= 64);
    }
}

#[test]
fn lists_of_orders_have_their_bytes() {
    check(&[Command::Add { entry: listed() }], &format!("010000000000{LISTED}"));
    check(&[event()], &format!("010000000000{ID}03000000"));
    check_whole(&View { n_orders: 4 }, "010004000000");
    check_record(&OrderList { n_orders: 4 }, "010004000000");
    let key = OrderPage::key(ListId::book(63), 2);
    assert_eq!(key, EntityKey::Number(*b"\xfc\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x02"));
}

#[test]
fn pages_of_orders_have_their_bytes() {
    let (place, entry) = (Place(3), listed());
    let commands =
        [PageCommand::Open { place, entry: entry.clone() }, PageCommand::Put { place, entry }];
    let (first, second) = ("01000000000003000000", "01000100000003000000");
    check(&commands, &format!("{first}{LISTED} {second}{LISTED}"));
    check(&[put()], &format!("{first}{LISTED}"));
    check_whole(&PageView(vec![listed()]), &format!("01000100000000000000{LISTED}"));
    check_record(&page(), &format!("01000100000000000000{LISTED}"));
    let full = OrderPage { entries: vec![listed(); 65] };
    check_refused(OrderPage::from_record(&full.to_record()), "too many orders");
}

const ID: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const LISTED: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa01000000000001000000f4010000000000004555520403020100000000";
