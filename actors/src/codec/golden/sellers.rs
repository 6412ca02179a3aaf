use super::order::{euro, id, number, placed};
use super::promotions::view_of;
use super::*;
use crate::domain::order::{self, Order, SellerLines, Status};
use crate::domain::seller_board::{
    Command, Consignment, Dashboard, Event, Query, Rejection, SellerBoard,
};

fn lines() -> SellerLines {
    SellerLines { seller: "ann".parse().unwrap(), skus: vec!["tea".parse().unwrap()] }
}

fn named() -> order::Event {
    order::Event::SellersNamed { sellers: vec![lines()], at: AT }
}

fn placing() -> order::Command {
    let order::Event::Placed { cart, access, payment, placed } = placed(&["tea"]) else {
        unreachable!("it is placed")
    };
    let extras = vec![order::Extra::Seller(lines())];
    order::Command::placing((cart, access), payment, placed, extras)
}

fn order() -> Order {
    let mut order = Order::default();
    [placed(&["tea"]), named()].iter().for_each(|event| order.apply(event));
    order
}

fn consignment(status: Status) -> Consignment {
    let (number, amount) = (Some(number()), euro(500));
    let (pieces, shipped, delivered, returned) = (4, 3, 2, 1);
    Consignment { number, status, pieces, amount, shipped, delivered, returned, confirmed_at: AT }
}

fn put() -> Event {
    let before = Some(consignment(Status::Confirmed));
    Event::Put { order: id(), before, after: consignment(Status::Processing) }
}

fn board() -> SellerBoard {
    let mut board = SellerBoard::default();
    let after = consignment(Status::Confirmed);
    board.apply(&Event::Put { order: id(), before: None, after });
    board.apply(&put());
    board
}

pub(super) fn samples() -> Vec<Vec<u8>> {
    vec![
        named().to_bytes(),
        placing().to_bytes(),
        order().to_record(),
        put().to_bytes(),
        board().to_record(),
    ]
}

pub(super) fn decodes_to_itself(bytes: &[u8]) {
    if let Ok(event) = Event::from_bytes(bytes) {
        assert_eq!(event.to_bytes(), bytes);
    }
    if let Ok(board) = SellerBoard::from_record(bytes) {
        assert_eq!(board.to_record(), bytes);
        assert!(board.open.len() <= SellerBoard::OPEN_MAX);
    }
}

#[test]
fn orders_know_whose_their_lines_are() {
    check_each(&[named()], NAMED);
    check_each(&[placing()], PLACING);
    check_each(&[order::Command::ShowSeller { seller: lines().seller }], SHOW);
    check_record(&order(), ORDER);
    check_whole(&view_of(&order(), order::Query::Order), ORDER_VIEW);
}

#[test]
fn boards_have_their_bytes() {
    let (order, before) = (id(), None);
    let after = consignment(Status::Confirmed);
    check(&[Command::Put { order, before, after }], COMMAND);
    check(&[put()], EVENT);
    check(&[Rejection::OtherCurrency], "010000000000");
    check(&[Query::Dashboard], "010000000000");
    check_record(&board(), BOARD);
    let dashboard: Dashboard = view_of(&board(), Query::Dashboard);
    check_whole(&dashboard, DASHBOARD);
}

#[test]
fn boards_that_cannot_be_are_refused() {
    let uncounted = SellerBoard { sums: std::collections::BTreeMap::new(), ..board() };
    check_refused(SellerBoard::from_record(&uncounted.to_record()), "more than it counts");
    let mut ended = board();
    ended.open.insert(id(), consignment(Status::Delivered));
    check_refused(SellerBoard::from_record(&ended.to_record()), "at its end");
}

const SHOW: &str = "0100120000000300000000000000616e6e";
const NAMED: &str = "01002700000001000000000000000300000000000000616e6e0100000000000\
    00003000000000000007465610403020100000000";
const PLACING: &str = "01000d000000ccccccccccccccccccccccccccccccccacacacacacacacaca\
    cacacacacacacacacacacacacacacacacacacacacacacacbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb01000\
    000000000000300000000000000746561030000000000000074656102000000fa0000000000000045555\
    2f401000000000000455552000000000000000045555200000000000000004555520000f401000000000\
    000455552000000000000000045555200000000000000004555520000000000000000455552f40100000\
    0000000455552010b000000000000006140622e6578616d706c650100000000000000410100000000000\
    000310101000000000000003201000000000000005400010100000000000000314445000300000000000\
    00073696d0300000000000000746f6b01000000000000000700000000000000040302010000000001000\
    00000000000030000000300000000000000616e6e01000000000000000300000000000000746561";
const ORDER: &str = "020001ccccccccccccccccccccccccccccccccacacacacacacacacacacacaca\
    cacacacacacacacacacacacacacacacacacacacbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb0001000000000\
    000000300000000000000746561030000000000000074656102000000fa00000000000000455552f4010\
    00000000000455552000000000000000045555200000000000000004555520000f401000000000000455\
    552000000000000000045555200000000000000004555520000000000000000455552f40100000000000\
    0455552010b000000000000006140622e6578616d706c650100000000000000410100000000000000310\
    101000000000000003201000000000000005400010100000000000000314445000300000000000000736\
    96d0300000000000000746f6b01000000000000000700000000000000040302010000000000000000010\
    000000000000000000000f40100000000000045555200000000000000004555520000000000000000455\
    5520000000000000000455552f4010000000000004555520000000000000000000000004555520000000\
    000000000455552000000000000000045555200000000000000000000000000000000000000000000000\
    000000000000000000001000000000000000000000004030201000000000403020100000000010000000\
    0000000080000000300000000000000616e6e01000000000000000300000000000000746561";
const ORDER_VIEW: &str = "020001aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa00cccccccccccccccccc\
    ccccccccccccccacacacacacacacacacacacacacacacacacacacacacacacacacacacacacacacacbbbbbb\
    bbbbbbbbbbbbbbbbbbbbbbbbbb0000000000000000010000000000000003000000000000007465610300\
    00000000000074656102000000fa00000000000000455552f40100000000000045555200000000000000\
    0045555200000000000000004555520000000000000000000000000000f4010000000000004555520000\
    00000000000045555200000000000000004555520000000000000000455552f401000000000000455552\
    010b000000000000006140622e6578616d706c6501000000000000004101000000000000003101010000\
    000000000032010000000000000054000101000000000000003144450000000000000000004555520000\
    000000000000455552000000000000000000000000000000000000000000000000000000000000000000\
    010000000000000000000000040302010000000004030201000000000403020100000000010000000000\
    0000080000000300000000000000616e6e01000000000000000300000000000000746561";
const COMMAND: &str = "010000000000aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa0001aaaa010000000\
    0000100000004000000f4010000000000004555520300000002000000010000000403020100000000";
const EVENT: &str = "010000000000aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa0101aaaa01000000000\
    00100000004000000f401000000000000455552030000000200000001000000040302010000000001aaa\
    a0100000000000200000004000000f401000000000000455552030000000200000001000000040302010\
    0000000";
const BOARD: &str = "01000100000000000000aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa01aaaa01000\
    00000000200000004000000f401000000000000455552030000000200000001000000040302010000000\
    00000000000000000010000000000000045555201000000000000000400000000000000f401000000000\
    000000000000000000000000000000000000000000000000000";
const DASHBOARD: &str = "0100010000000000000045555201000000000000000400000000000000f\
    4010000000000000000000000000000000000000000000000000000000000000100000000000000aaaaa\
    aaaaaaaaaaaaaaaaaaaaaaaaaaa01aaaa0100000000000200000004000000f4010000000000004555520\
    3000000020000000100000004030201000000000000000000000000";
