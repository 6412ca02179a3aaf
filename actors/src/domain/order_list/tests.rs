//! Places of orders, and what a page shows of them.

use cluster::entity::NoCatalogue;

use super::*;
use crate::domain::money::Currency;
use crate::domain::order::{self, Order};

const AT: Timestamp = Timestamp::from_micros(1_000);

fn order(nth: u8) -> OrderId {
    OrderId::in_slot(Slot::from_bits(0xABCD), [nth; 14])
}

fn entry(nth: u8, status: Status) -> Listed {
    let total = Money { minor: 450, currency: Currency::EURO };
    let number = OrderNumber::from_number(u64::from(nth));
    Listed { order: order(nth), number, status, total, placed_at: AT }
}

fn book() -> ListId {
    ListId::book_of(order(1).key().slot())
}

fn decide<E: Entity>(
    state: &mut E,
    me: &EntityRef,
    command: E::Command,
) -> Result<Vec<Effect>, E::Rejection> {
    let ctx = Context { now: AT, me, entropy: [0; 32], catalogue: Err(NoCatalogue::Absent) };
    let decision = state.decide(command, &ctx)?;
    decision.events.iter().for_each(|event| state.apply(event));
    Ok(decision.effects)
}

#[test]
fn a_book_is_of_as_many_slots_as_any_other() {
    let of = |bits| ListId::book_of(Slot::from_bits(bits));
    assert_eq!((of(0), of(1_023)), (ListId::book(0), ListId::book(0)));
    assert_eq!((of(1_024), of(u16::MAX)), (ListId::book(1), ListId::book(63)));
    assert_eq!(OrderList::key(of(u16::MAX)).slot().bits() >> 10, 63);
}

#[test]
fn a_customer_has_one_list_whatever_the_letters_and_its_key_is_no_address() {
    let list = |text: &str| ListId::of_customer(&Email::try_from(text.to_owned()).unwrap());
    assert_eq!(list("Someone@Shop.example"), list("someone@shop.example"));
    assert_ne!(list("someone@shop.example"), list("someone.else@shop.example"));
    let ListId(bytes) = list("someone@shop.example");
    assert!(!bytes.windows(4).any(|part| b"someone@shop.example".windows(4).any(|it| it == part)));
}

#[test]
fn orders_are_listed_one_after_the_other() {
    let (mut list, me) = (OrderList::default(), OrderList::address(book()));
    for nth in 0..130_u8 {
        let entry = entry(nth, Status::Pending);
        let effects = decide(&mut list, &me, Command::Add { entry: entry.clone() }).unwrap();
        let open = PageCommand::Open { place: Place(u32::from(nth)), entry }.to_bytes();
        let to = OrderPage::address(book(), u32::from(nth) / 64);
        assert_eq!(effects, [Effect::Tell { to, command: open }]);
    }
    assert_eq!(list.n_orders, 130);
}

#[test]
fn a_line_of_a_page_is_one_orders_and_shows_what_it_told_last() {
    let (mut page, me) = (OrderPage::default(), OrderPage::address(book(), 1));
    let open = |place, entry| PageCommand::Open { place: Place(place), entry };
    let put = |place, entry| PageCommand::Put { place: Place(place), entry };
    let told = |nth, place| {
        let command = order::Command::TakePlace { list: book(), place: Place(place) }.to_bytes();
        Ok(vec![Effect::Tell { to: Order::address(order(nth)), command }])
    };
    let other = Err(PageRejection::OtherPlace);
    let mut check = |command, then| assert_eq!(decide(&mut page, &me, command), then);
    check(open(65, entry(1, Status::Pending)), other.clone());
    check(put(64, entry(0, Status::Pending)), other.clone());
    check(open(64, entry(0, Status::Pending)), told(0, 64));
    check(open(65, entry(1, Status::Pending)), told(1, 65));
    check(put(64, entry(0, Status::Confirmed)), Ok(vec![]));
    check(open(64, entry(0, Status::Pending)), other.clone());
    check(put(65, entry(2, Status::Pending)), other);
    assert_eq!(page.entries, [entry(0, Status::Confirmed), entry(1, Status::Pending)]);
}
