//! Gift cards, and what orders and carts keep of them.

use super::*;
use crate::domain::cart;
use crate::domain::gift_card::{
    CardNews, CardStep, CardTerms, Command, Event, GiftCard, Lookup, NoMoney, Query, Rejection,
};
use crate::domain::ids::{GiftCardId, OrderId, RefundId};
use crate::domain::money::{Currency, Money};
use crate::domain::names::Label;
use crate::domain::order::{self, Extra, Failure, Order, TenderState, TenderStep};

fn id() -> GiftCardId {
    GiftCardId::from_bytes([0xDD; 16])
}

fn order_id() -> OrderId {
    OrderId::from_bytes([0xAA; 16])
}

fn label(text: &str) -> Label {
    Label::try_from(text.to_owned()).unwrap()
}

fn euro(minor: i64) -> Money {
    Money { minor, currency: Currency::EURO }
}

fn terms() -> CardTerms {
    CardTerms { is_blocked: true, expires_at: Some(AT) }
}

fn commands() -> [Command; 4] {
    let (ending, note) = (label("7XYZ"), Some(label("n")));
    [
        Command::Issue { amount: euro(500), ending, expires_at: Some(AT), note },
        Command::Adjust { by: euro(-5), reason: label("r") },
        Command::SetTerms { terms: terms() },
        Command::ForOrder { order: order_id(), step: CardStep::Hold { most: euro(9) } },
    ]
}

fn steps() -> [Command; 3] {
    let steps = [CardStep::Spend { minor: 3 }, CardStep::Release, CardStep::GiveBack { minor: 2 }];
    steps.map(|step| Command::ForOrder { order: order_id(), step })
}

fn events() -> [Event; 8] {
    let (order, ending, note) = (order_id(), label("7XYZ"), Some(label("n")));
    [
        Event::Issued { amount: euro(500), ending, expires_at: None, note, at: AT },
        Event::Adjusted { minor: -5, reason: label("r"), at: AT },
        Event::TermsSet { terms: terms(), at: AT },
        Event::Held { order, minor: 9, at: AT },
        Event::Spent { order, minor: 3, at: AT },
        Event::Released { order, at: AT },
        Event::ReleasedEarly { order, at: AT },
        Event::GivenBack { order, minor: 2, at: AT },
    ]
}

fn rejections() -> [Rejection; 6] {
    [
        Rejection::NotFound,
        Rejection::AlreadyIssued,
        Rejection::NotPositive,
        Rejection::TooMuch,
        Rejection::TooLittle { available: 4 },
        Rejection::OtherCurrency { currency: Currency::EURO },
    ]
}

/// One order holds some of it, and another had some.
pub(super) fn card() -> GiftCard {
    let mut card = GiftCard::default();
    let [issued, adjusted, set, held, spent, _, _, given_back] = events();
    let other = Event::Held { order: OrderId::from_bytes([0xBB; 16]), minor: 7, at: AT };
    for event in [issued, adjusted, set, held, spent, given_back, other] {
        card.apply(&event);
    }
    card
}

fn news() -> [order::Command; 10] {
    [
        CardNews::Held { minor: 9 },
        CardNews::Refused(NoMoney::Unknown),
        CardNews::Refused(NoMoney::Empty),
        CardNews::Refused(NoMoney::Expired),
        CardNews::Refused(NoMoney::Blocked),
        CardNews::Refused(NoMoney::OtherCurrency),
        CardNews::Refused(NoMoney::Crowded),
        CardNews::Spent,
        CardNews::Released,
        CardNews::GivenBack,
    ]
    .map(|news| order::Command::TakeCardNews { card: id(), news })
}

fn became() -> [order::Event; 9] {
    [
        TenderState::Asked,
        TenderState::Held { minor: 400 },
        TenderState::Refused(NoMoney::Empty),
        TenderState::Spending { minor: 400 },
        TenderState::Spent { minor: 400 },
        TenderState::Releasing,
        TenderState::Released,
        TenderState::Returning { minor: 400 },
        TenderState::Returned { minor: 400 },
    ]
    .map(|state| tender(TenderStep::Became { nth: 0, state }))
}

fn tender(step: TenderStep) -> order::Event {
    order::Event::Tender { step, at: AT }
}

fn asked() -> order::Event {
    tender(TenderStep::Asked { cards: vec![id()] })
}

fn gave_back() -> order::Event {
    let (refund, amount, reason) = (RefundId::from_bytes([0xEE; 16]), euro(2), label("r"));
    let parts = vec![(0, 2)];
    tender(TenderStep::GaveBack { refund, amount, reason, parts, is_credit: false })
}

fn refused() -> order::Event {
    let why = Failure::GiftCardRefused { card: id(), why: NoMoney::Empty };
    order::Event::Failed { why, at: AT }
}

fn unpaid() -> order::Event {
    order::Event::Failed { why: Failure::PaymentRequired { due: euro(500) }, at: AT }
}

fn placed_with() -> order::Command {
    let order::Event::Placed { cart, access, payment, placed } = super::order::placed(&["tea"])
    else {
        panic!()
    };
    let extras = vec![Extra::GiftCard(id())];
    order::Command::PlaceWith { cart, access, payment, placed, extras }
}

fn checked_out() -> cart::Command {
    let (payment, shipping) = (super::order::payment(), None);
    let (terms, means) = (Box::new(super::order::terms()), vec![cart::Means::GiftCard(id())]);
    cart::Command::CheckOutWith { order: order_id(), payment, terms, shipping, means }
}

/// Some of what the card paid was given back.
fn order() -> Order {
    let mut order = Order::default();
    let [_, _, _, _, spent, ..] = became();
    for event in [super::order::placed(&["tea"]), asked(), spent, gave_back()] {
        order.apply(&event);
    }
    order
}

fn given() -> cart::GivenCard {
    cart::GivenCard { card: id(), ending: label("7XYZ") }
}

fn cart_commands() -> [cart::Command; 2] {
    let cart::GivenCard { card, ending } = given();
    [cart::Command::AddGiftCard { card, ending }, cart::Command::RemoveGiftCard { card }]
}

fn cart_events() -> [cart::Event; 2] {
    [
        cart::Event::GiftCardAdded { given: given(), at: AT },
        cart::Event::GiftCardRemoved { card: id(), at: AT },
    ]
}

fn cart_rejections() -> [cart::Rejection; 2] {
    [cart::Rejection::TooManyGiftCards, cart::Rejection::GiftCardNotFound { card: id() }]
}

fn cart_with_card() -> Cart {
    let mut cart = codes::cart_with_code();
    let [added, _] = cart_events();
    cart.apply(&added);
    cart
}

fn cart_view() -> cart::Lookup {
    promotions::view_of(&cart_with_card(), cart::Query::Cart)
}

fn view() -> order::Lookup {
    promotions::view_of(&order(), order::Query::Order)
}

pub(super) fn samples() -> Vec<Vec<u8>> {
    let of_orders = vec![card().to_record(), order().to_record(), view().to_bytes()];
    let of_carts = vec![cart_with_card().to_record(), cart_view().to_bytes()];
    let records = [of_orders, of_carts].concat();
    let steps = [asked(), gave_back()].map(|event| event.to_bytes());
    [records, events().map(|event| event.to_bytes()).to_vec(), steps.to_vec()].concat()
}

/// Whatever decodes is a value with exactly these bytes.
pub(super) fn decodes_to_itself(bytes: &[u8]) {
    if let Ok(event) = Event::from_bytes(bytes) {
        assert_eq!(event.to_bytes(), bytes);
    }
    if let Ok(state) = GiftCard::from_record(bytes) {
        assert_eq!(state.to_record(), bytes);
    }
}

#[test]
fn the_bytes_of_gift_cards_are_as_they_were() {
    check(&commands(), COMMANDS);
    check_each(&steps(), STEPS);
    check(&events(), EVENTS);
    check(&rejections(), REJECTIONS);
    check(&[Query::Card], "010000000000");
    check_record(&card(), CARD);
    check_record(&GiftCard::default(), "010000");
    let Lookup(view) = promotions::view_of(&card(), Query::Card);
    check_whole(&Lookup(view), CARD_VIEW);
    check_whole(&Lookup(None), "010000");
}

#[test]
fn the_bytes_of_what_orders_and_carts_have_to_do_with_gift_cards_are_as_they_were() {
    check_each(&news(), NEWS);
    check_each(&became(), BECAME);
    check_each(&[asked(), gave_back(), refused()], TENDERS);
    check_each(&[unpaid()], UNPAID);
    check_each(&[placed_with()], PLACED);
    check_each(&[checked_out()], CHECKED_OUT);
    check_record(&order(), ORDER);
    check_whole(&view(), ORDER_VIEW);
}

#[test]
fn the_bytes_of_carts_that_have_gift_cards_are_as_they_were() {
    check_each(&cart_commands(), CART_COMMANDS);
    check_each(&cart_events(), CART_EVENTS);
    check_each(&cart_rejections(), CART_REJECTIONS);
    check_record(&cart_with_card(), CART);
    check_whole(&cart_view(), CART_VIEW);
}

#[test]
fn a_cart_whose_gift_cards_could_not_be_is_refused() {
    let mut cart = cart_with_card();
    cart.existing.as_mut().unwrap().gift_cards = vec![given(); 2].into_boxed_slice();
    check_refused(Cart::from_record(&cart.to_record()), "gift cards, or one twice");
    let distinct = |byte| cart::GivenCard { card: GiftCardId::from_bytes([byte; 16]), ..given() };
    cart.existing.as_mut().unwrap().gift_cards = (0..6).map(distinct).collect();
    check_refused(Cart::from_record(&cart.to_record()), "too many gift cards");
    // A code that comes after a card.
    let (record, code) = (hex(&cart_with_card().to_record()), "01000000040000000000000053414c45");
    let (before, after) = record.split_at(record.find(code).unwrap());
    let (code, card) = after.split_at(after.find("02000000dddd").unwrap());
    check_refused(Cart::from_record(&unhex(&format!("{before}{card}{code}"))), "out of order");
}

#[test]
fn a_card_that_could_not_be_is_refused() {
    let changed = |change: &dyn Fn(&mut crate::domain::gift_card::Issued)| {
        let mut card = card();
        change(card.issued.as_deref_mut().unwrap());
        GiftCard::from_record(&card.to_record())
    };
    let other = OrderId::from_bytes([0xBB; 16]);
    check_refused(changed(&|card| card.held.extend([(other, 495)])), "than there is");
    check_refused(changed(&|card| card.held.extend([(other, 0)])), "than there is");
    check_refused(changed(&|card| card.held.extend([(order_id(), 1)])), "twice");
    check_refused(changed(&|card| card.ended.0.push_back((order_id(), AT))), "twice");
}

#[test]
fn an_order_that_gift_cards_could_not_have_paid_is_refused() {
    let changed = |change: &dyn Fn(&mut order::Existing)| {
        let mut order = order();
        change(order.existing.as_deref_mut().unwrap());
        Order::from_record(&order.to_record())
    };
    check_refused(changed(&|order| order.tenders[0].given_back = 401), "got more back");
    check_refused(changed(&|order| order.tenders[0].given_back = 1), "is not what it was refunded");
    check_refused(changed(&|order| order.to_cards.clear()), "is not what it was refunded");
    let much = TenderState::Spent { minor: 501 };
    check_refused(changed(&|order| order.tenders[0].state = much), "paid more of an order");
}

const COMMANDS: &str = "010000000000f40100000000000045555204000000000000003758595a01040302010000000001010000\
    00000000006e \
    010001000000fbffffffffffffff455552010000000000000072 \
    01000200000001010403020100000000 \
    010003000000aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa000000000900000000000000455552";
const STEPS: &str = "010003000000aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa010000000300000000000000 \
    010003000000aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa02000000 \
    010003000000aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa030000000200000000000000";
const EVENTS: &str = "010000000000f40100000000000045555204000000000000003758595a000101000000000000006e0403\
    020100000000 \
    010001000000fbffffffffffffff0100000000000000720403020100000000 \
    010002000000010104030201000000000403020100000000 \
    010003000000aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa09000000000000000403020100000000 \
    010004000000aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa03000000000000000403020100000000 \
    010005000000aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa0403020100000000 \
    010006000000aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa0403020100000000 \
    010007000000aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa02000000000000000403020100000000";
const REJECTIONS: &str = "010000000000 \
    010001000000 \
    010002000000 \
    010003000000 \
    0100040000000400000000000000 \
    010005000000455552";
const CARD: &str =
    "01000145555204000000000000003758595a0101000000000000006e0101040302010000000004000000
    0000000000000000f401000000000000f401000000000000040302010000000001000000010000000000
    000072fbffffffffffffffef01000000000000040302010000000002000000aaaaaaaaaaaaaaaaaaaaaa
    aaaaaaaaaafdffffffffffffffec01000000000000040302010000000003000000aaaaaaaaaaaaaaaaaa
    aaaaaaaaaaaaaa0200000000000000ee0100000000000004030201000000000100000000000000bbbbbb
    bbbbbbbbbbbbbbbbbbbbbbbbbb07000000000000000100000000000000aaaaaaaaaaaaaaaaaaaaaaaaaa
    aaaaaa04030201000000000403020100000000";
const CARD_VIEW: &str = "01000104000000000000003758595a0101000000000000006e01010403020100000000ee010000000000\
    0045555207000000000000004555520403020100000000040000000000000000000000f4010000000000\
    00f401000000000000040302010000000001000000010000000000000072fbffffffffffffffef010000\
    00000000040302010000000002000000aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaafdffffffffffffffec01\
    000000000000040302010000000003000000aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa0200000000000000\
    ee010000000000000403020100000000";
const NEWS: &str = "010013000000dddddddddddddddddddddddddddddddd000000000900000000000000 \
    010013000000dddddddddddddddddddddddddddddddd0100000000000000 \
    010013000000dddddddddddddddddddddddddddddddd0100000001000000 \
    010013000000dddddddddddddddddddddddddddddddd0100000002000000 \
    010013000000dddddddddddddddddddddddddddddddd0100000003000000 \
    010013000000dddddddddddddddddddddddddddddddd0100000004000000 \
    010013000000dddddddddddddddddddddddddddddddd0100000005000000 \
    010013000000dddddddddddddddddddddddddddddddd02000000 \
    010013000000dddddddddddddddddddddddddddddddd03000000 \
    010013000000dddddddddddddddddddddddddddddddd04000000";
const BECAME: &str = "01002a000000010000000000000000000403020100000000 \
    01002a0000000100000000000100000090010000000000000403020100000000 \
    01002a00000001000000000002000000010000000403020100000000 \
    01002a0000000100000000000300000090010000000000000403020100000000 \
    01002a0000000100000000000400000090010000000000000403020100000000 \
    01002a000000010000000000050000000403020100000000 \
    01002a000000010000000000060000000403020100000000 \
    01002a0000000100000000000700000090010000000000000403020100000000 \
    01002a0000000100000000000800000090010000000000000403020100000000";
const TENDERS: &str = "01002a000000000000000100000000000000dddddddddddddddddddddddddddddddd0403020100000000 \
    01002a00000002000000eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee02000000000000004555520100000000\
    00000072010000000000000000000200000000000000000403020100000000 \
    01000b0000000d000000dddddddddddddddddddddddddddddddd010000000403020100000000";
const PLACED: &str = "01000d000000ccccccccccccccccccccccccccccccccacacacacacacacacacacacacacacacacacacacac\
    acacacacacacacacacacacacbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb0100000000000000030000000000\
    0000746561030000000000000074656102000000fa00000000000000455552f401000000000000455552\
    000000000000000045555200000000000000004555520000f40100000000000045555200000000000000\
    0045555200000000000000004555520000000000000000455552f401000000000000455552010b000000\
    000000006140622e6578616d706c65010000000000000041010000000000000031010100000000000000\
    320100000000000000540001010000000000000031444500030000000000000073696d03000000000000\
    00746f6b010000000000000007000000000000000403020100000000010000000000000004000000dddd\
    dddddddddddddddddddddddddddd";
const CHECKED_OUT: &str = "010012000000aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaabbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb010b0000\
    00000000006140622e6578616d706c650100000000000000410100000000000000310101000000000000\
    00320100000000000000540001010000000000000031444500030000000000000073696d030000000000\
    0000746f6b010000000000000000010000000000000002000000dddddddddddddddddddddddddddddddd";
const ORDER: &str =
    "020001ccccccccccccccccccccccccccccccccacacacacacacacacacacacacacacacacacacacacacacac
    acacacacacacacacacbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb0001000000000000000300000000000000
    746561030000000000000074656102000000fa00000000000000455552f4010000000000004555520000
    00000000000045555200000000000000004555520000f401000000000000455552000000000000000045
    555200000000000000004555520000000000000000455552f401000000000000455552010b0000000000
    00006140622e6578616d706c650100000000000000410100000000000000310101000000000000003201
    00000000000000540001010000000000000031444500030000000000000073696d030000000000000074
    6f6b01000000000000000700000000000000040302010000000000000000010000000000000000000000
    f40100000000000045555200000000000000004555520000000000000000455552000000000000000045
    5552f4010000000000004555520000000000000000000000004555520000000000000000455552000000
    0000000000455552000000000000000000000000000000000100000000000000eeeeeeeeeeeeeeeeeeee
    eeeeeeeeeeee020000000000000045555201000000000000007201000000040302010000000000000000
    000000000002000000000000000000000004030201000000000e00000004030201000000000403020100
    00000002000000000000000a000000dddddddddddddddddddddddddddddddd0400000090010000000000
    0002000000000000000b000000eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee";
const ORDER_VIEW: &str = "020001aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa00ccccccccccccccccccccccccccccccccacacacacacac\
    acacacacacacacacacacacacacacacacacacacacacacacacacacbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\
    000000000000000001000000000000000300000000000000746561030000000000000074656102000000\
    fa00000000000000455552f4010000000000004555520000000000000000455552000000000000000045\
    55520000000000000000000000000000f401000000000000455552000000000000000045555200000000\
    000000004555520000000000000000455552f401000000000000455552010b000000000000006140622e\
    6578616d706c650100000000000000410100000000000000310101000000000000003201000000000000\
    005400010100000000000000314445000000000000000000455552000000000000000045555200000000\
    0000000000000000000000000100000000000000eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee020000000000\
    000045555201000000000000007201000000040302010000000000000000000000000002000000000000\
    000000000004030201000000000e00000004030201000000000403020100000000040302010000000002\
    000000000000000a000000dddddddddddddddddddddddddddddddd040000009001000000000000020000\
    00000000000b000000eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee";
const CART_COMMANDS: &str = "010013000000dddddddddddddddddddddddddddddddd04000000000000003758595a \
    010014000000dddddddddddddddddddddddddddddddd";
const CART_EVENTS: &str = "010010000000dddddddddddddddddddddddddddddddd04000000000000003758595a0403\
    020100000000 \
    010011000000dddddddddddddddddddddddddddddddd0403020100000000";
const CART_REJECTIONS: &str = "010019000000 \
    01001a000000dddddddddddddddddddddddddddddddd";
const CART: &str = "020001acacacacacacacacacacacacacacacacacacacacacacacacacacacacacacacac45555200\
    000000010000000000000003000000000000007465610300000000000000546561c20100000000000002\
    000000000000000000000000000000000000000403020100000000040000000000000000000000060000\
    0000000000737072696e670600000000000000537072696e6700000000010000000000000000005a0000\
    0000000000000000000600000000000000737072696e670600000000000000537072696e6701000000ea\
    0100000000000001000000040000000000000053414c45040000000000000073616c6502000000dddddd\
    dddddddddddddddddddddddddd04000000000000003758595a";
const CART_VIEW: &str = "020001aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa00000000455552acacacacacacacacacacac\
    acacacacacacacacacacacacacacacacacacacacac010000000000000003000000000000007465610300\
    00000000000054656102000000c201000000000000455552840300000000000045555284030000000000\
    004555522a03000000000000455552000004030201000000000400000000000000000000000600000000\
    000000737072696e670600000000000000537072696e6700000000010000000000000000005a00000000\
    000000000000000600000000000000737072696e670600000000000000537072696e6701000000ea0100\
    000000000001000000040000000000000053414c45040000000000000073616c6502000000dddddddddd\
    dddddddddddddddddddddd04000000000000003758595a";
const UNPAID: &str = "01000b0000000e000000f4010000000000004555520403020100000000";
