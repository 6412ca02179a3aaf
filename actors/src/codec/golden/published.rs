use super::order::{euro, id, payment, pieces, refund, tea};
use super::*;
use crate::domain::carrier::{BookingRefusal, Whereabouts};
use crate::domain::cart::Status;
use crate::domain::ids::{CaptureId, GiftCardId};
use crate::domain::order::{Failure, ReturnNumber, ShipmentNumber};
use crate::domain::order_numbers::OrderNumber;
use crate::domain::payment::Refusal;
use crate::domain::published::{
    CartFact, Fact, GivenBack, OrderFact, ParcelNews, PaymentFact, SoldLine, StockFact, topics,
};

fn number() -> OrderNumber {
    storage::codec::decode(&[7, 0, 1, 0, 0, 0, 0, 0]).unwrap()
}

fn orders() -> Vec<OrderFact> {
    let sold =
        || vec![SoldLine { sku: tea(), quantity: 2.try_into().unwrap(), line_total: euro(9) }];
    let (cart, payment, refund) = (cart_id(0xCC), payment(), refund());
    vec![
        OrderFact::Placed { cart, payment, lines: sold(), total: euro(9) },
        OrderFact::Confirmed { number: Some(number()), lines: sold(), total: euro(9) },
        OrderFact::Failed { why: Failure::Declined { reason: Refusal::InsufficientFunds } },
        OrderFact::Cancelled,
        OrderFact::Shipped { shipment: ShipmentNumber(1), items: pieces(2) },
        OrderFact::Delivered { shipment: ShipmentNumber(1) },
        OrderFact::ReturnAsked { number: ReturnNumber(1), items: pieces(1) },
        OrderFact::Returned { number: ReturnNumber(1) },
        OrderFact::Refunded { refund, amount: euro(3), refunded: euro(5) },
        OrderFact::Parcel { shipment: ShipmentNumber(1), news: ParcelNews::Booked },
        OrderFact::Held,
        OrderFact::Approved,
    ]
}

fn to_gift_cards() -> [OrderFact; 2] {
    let (refund, card) = (refund(), GiftCardId::from_bytes([0xDD; 16]));
    let cards = vec![GivenBack { card, amount: euro(3) }];
    [
        OrderFact::RefundedToGiftCards { refund, amount: euro(3), cards },
        OrderFact::RefundedToVoucher { refund, amount: euro(5), paid: euro(3), card },
    ]
}

fn exchanged() -> OrderFact {
    OrderFact::Exchanged { order: id() }
}

/// Of a parcel, besides its booking.
fn parcels() -> [OrderFact; 2] {
    let news = [
        ParcelNews::Refused(BookingRefusal::NotTaken),
        ParcelNews::Moved(Whereabouts::OutForDelivery),
    ];
    news.map(|news| OrderFact::Parcel { shipment: ShipmentNumber(1), news })
}

fn payments() -> Vec<PaymentFact> {
    let (order, capture, refund) = (id(), CaptureId::from_bytes([0xCA; 16]), refund());
    vec![
        PaymentFact::Authorised { order, amount: euro(9) },
        PaymentFact::Declined { order, reason: Refusal::MethodExpired },
        PaymentFact::Captured { order, capture, captured: euro(9) },
        PaymentFact::CaptureFailed { order, capture },
        PaymentFact::Refunded { order, refund, refunded: euro(5) },
        PaymentFact::RefundFailed { order, refund },
        PaymentFact::Cancelled { order },
    ]
}

fn carts() -> Vec<CartFact> {
    let changed = vec![(tea(), Some(2.try_into().unwrap())), ("pot".parse().unwrap(), None)];
    let (status, total) = (Status::Open, euro(9));
    vec![CartFact::Updated { status, total, lines: 1, pieces: 2, changed }]
}

fn stocks() -> Vec<StockFact> {
    let (available, threshold) = (1.try_into().unwrap(), 2.try_into().unwrap());
    vec![StockFact::RanLow { available, threshold }]
}

pub(super) fn samples() -> Vec<Vec<u8>> {
    let orders = orders().into_iter().chain(to_gift_cards()).chain([exchanged()]);
    let orders = orders.map(|fact| fact.to_bytes());
    let payments = payments().into_iter().map(|fact| fact.to_bytes());
    let carts = carts().into_iter().map(|fact| fact.to_bytes());
    let stocks = stocks().into_iter().map(|fact| fact.to_bytes());
    orders.chain(payments).chain(carts).chain(stocks).collect()
}

pub(super) fn decodes_to_itself(bytes: &[u8]) {
    if let Ok(fact) = OrderFact::from_bytes(bytes) {
        assert_eq!(fact.to_bytes(), bytes);
    }
    if let Ok(fact) = PaymentFact::from_bytes(bytes) {
        assert_eq!(fact.to_bytes(), bytes);
    }
    if let Ok(fact) = CartFact::from_bytes(bytes) {
        assert_eq!(fact.to_bytes(), bytes);
    }
    if let Ok(fact) = StockFact::from_bytes(bytes) {
        assert_eq!(fact.to_bytes(), bytes);
    }
}

#[test]
fn published_facts_keep_their_bytes() {
    check(&orders(), ORDERS);
    check_each(&parcels(), PARCELS);
    check_each(&to_gift_cards(), TO_GIFT_CARDS);
    check_each(&[exchanged()], "01000e000000aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
    check(&payments(), PAYMENTS);
    check(&carts(), CARTS);
    check(&stocks(), "0100000000000100000002000000");
}

/// Consumers outside choose by these.
#[test]
fn topics_and_facts_keep_their_names() {
    let topics = [topics::ORDERS, topics::PAYMENTS, topics::CARTS, topics::STOCK];
    assert_eq!(topics.map(|topic| topic.0), [1, 2, 3, 4]);
    let names = topics.map(|topic| topics::name(topic).unwrap());
    assert_eq!(names, ["orders", "payments", "carts", "stock"]);
    let mut orders = orders();
    let later = orders.split_off(10);
    let orders = orders.into_iter().chain(parcels()).chain(later).chain(to_gift_cards());
    let orders = orders.chain([exchanged()]).map(Fact::Order);
    let payments = payments().into_iter().map(Fact::Payment);
    let carts = carts().into_iter().map(Fact::Cart);
    let stocks = stocks().into_iter().map(Fact::Stock);
    let all = orders.chain(payments).chain(carts).chain(stocks);
    let names: Vec<_> = all.map(|fact| fact.name()).collect();
    assert_eq!(names, Fact::NAMES);
}

const ORDERS: &str = "
    010000000000ccccccccccccccccccccccccccccccccbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb010000000000000003000000000000007465610200000009000000000000004555520900000000000000455552
    010001000000010700010000000000010000000000000003000000000000007465610200000009000000000000004555520900000000000000455552
    0100020000000200000001000000
    010003000000
    01000400000001000100000000000000030000000000000074656102000000
    0100050000000100
    01000600000001000100000000000000030000000000000074656101000000
    0100070000000100
    010008000000dddddddddddddddddddddddddddddddd03000000000000004555520500000000000000455552
    010009000000010000000000
    01000a000000
    01000b000000
";

const PARCELS: &str = "
    01000900000001000100000001000000
    01000900000001000200000001000000
";

const TO_GIFT_CARDS: &str = "
    01000c000000dddddddddddddddddddddddddddddddd03000000000000004555520100000000000000dddddddddddddddddddddddddddddddd0300000000000000455552
    01000d000000dddddddddddddddddddddddddddddddd05000000000000004555520300000000000000455552dddddddddddddddddddddddddddddddd
";

const PAYMENTS: &str = "
    010000000000aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa0900000000000000455552
    010001000000aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa02000000
    010002000000aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaacacacacacacacacacacacacacacacaca0900000000000000455552
    010003000000aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaacacacacacacacacacacacacacacacaca
    010004000000aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaadddddddddddddddddddddddddddddddd0500000000000000455552
    010005000000aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaadddddddddddddddddddddddddddddddd
    010006000000aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
";

const CARTS: &str = "
    01000000000000000000090000000000000045555201000000020000000200000000000000030000000000000074656101020000000300000000000000706f7400
";
