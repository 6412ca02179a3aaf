use cluster::entity::{Context, Effect, NoCatalogue};

use super::*;
use crate::domain::catalogue::{Listing, PriceBook, ProductName};
use crate::domain::contact::{Address, Contact};
use crate::domain::ids::{CaptureId, CartAccess, OrderId, PaymentId, RefundId, SkuCode};
use crate::domain::money::{Currency, Money};
use crate::domain::names::Label;
use crate::domain::order::{
    CaptureTime, Command, Event, Failure, Order, Placed, Rejection, ReturnNumber, ShipmentNumber,
    Shortage, Shortfall, Side, Status, StockNews, Terms,
};
use crate::domain::order_list::{ListId, Place};
use crate::domain::order_numbers::{self, OrderNumber, OrderNumbers};
use crate::domain::payment::{News, PaymentMethod, Refusal};
use crate::domain::pricing::{Priced, PricingTerms};
use crate::domain::quantity::{Quantity, Units};

pub(super) fn id() -> OrderId {
    OrderId::from_bytes([0xAA; 16])
}

pub(super) fn payment() -> PaymentId {
    PaymentId::from_bytes([0xBB; 16])
}

pub(super) fn access() -> CartAccess {
    CartAccess::from_hash([0xAC; 32])
}

pub(super) fn refund() -> RefundId {
    RefundId::from_bytes([0xDD; 16])
}

pub(super) fn tea() -> SkuCode {
    "tea".parse().unwrap()
}

pub(super) fn label(text: &str) -> Label {
    text.to_owned().try_into().unwrap()
}

pub(super) fn euro(minor: i64) -> Money {
    Money { minor, currency: Currency::EURO }
}

pub(super) fn pieces(count: u32) -> Vec<(SkuCode, Quantity)> {
    vec![(tea(), count.try_into().unwrap())]
}

pub(super) fn terms() -> Terms {
    let shipping = Address {
        name: label("A"),
        line1: label("1"),
        line2: Some(label("2")),
        city: label("T"),
        region: None,
        postal_code: Some(label("1")),
        country: "DE".parse().unwrap(),
    };
    let method = PaymentMethod { provider: "sim".parse().unwrap(), token: "tok".parse().unwrap() };
    let email = Some("a@b.example".to_owned().try_into().unwrap());
    let contact = Contact { email, shipping, billing: None };
    Terms { contact, method, shortfall: Shortfall::DropLines, capture: CaptureTime::AtOnce }
}

/// Two of each of these, at two and a half.
pub(super) fn priced(codes: &[&str]) -> Priced {
    let listing = |code: &&str| {
        let name = ProductName::try_from((*code).to_owned()).unwrap();
        Listing::new(code.parse().unwrap(), name, vec![euro(250)]).unwrap()
    };
    let listings = codes.iter().map(listing).collect();
    let book = PriceBook::new(Currency::EURO, listings).unwrap();
    let pricing = PricingTerms {
        currency: Currency::EURO,
        group: None,
        at: AT,
        destination: None,
        shipping: None,
        codes: &[],
        may_be_first: true,
    };
    let lines: Vec<_> =
        codes.iter().map(|code| (code.parse().unwrap(), 2.try_into().unwrap())).collect();
    book.quote(&pricing, &lines).unwrap().priced
}

pub(super) fn placed(codes: &[&str]) -> Event {
    let placed = Box::new(Placed::new(priced(codes), terms(), 7, AT).unwrap());
    Event::Placed { cart: cart_id(0xCC), access: access(), payment: payment(), placed }
}

pub(super) fn number() -> OrderNumber {
    let address = OrderNumbers::address(id().key().slot());
    let catalogue = Err(NoCatalogue::Absent);
    let ctx = Context { now: AT, me: &address, entropy: [0; 32], catalogue };
    let give = order_numbers::Command::Give { to: id() };
    let decision = OrderNumbers::default().decide(give, &ctx).unwrap();
    let [Effect::Tell { command, .. }] = decision.effects.as_slice() else { panic!() };
    let Ok(Command::TakeNumber { number }) = Command::from_bytes(command) else { panic!() };
    number
}

pub(super) fn shipped(count: u32) -> Event {
    let (shipment, carrier, tracking) = (ShipmentNumber(1), label("Post"), label("1Z"));
    Event::Shipped { shipment, items: pieces(count), carrier, tracking, at: AT }
}

pub(super) fn return_asked() -> Event {
    let (number, reason) = (ReturnNumber(1), label("small"));
    Event::ReturnAsked { number, items: pieces(1), reason, at: AT }
}

pub(super) fn refund_asked(refund: RefundId, minor: i64) -> Event {
    Event::RefundAsked { refund, amount: euro(minor), reason: label("broken"), at: AT }
}

pub(super) fn pieces_cancelled(count: u32) -> Event {
    let (items, amount, reason) = (pieces(count), euro(250), label("late"));
    Event::PiecesCancelled { by: Side::Shopper, items, amount, reason, at: AT }
}

pub(super) fn credit_asked(refund: RefundId) -> Event {
    Event::CreditAsked { refund, amount: euro(250), reason: label("late"), at: AT }
}

pub(super) fn place_taken() -> Event {
    Event::PlaceTaken { list: ListId::book(63), place: Place(3), at: AT }
}

pub(super) fn shortage() -> Shortage {
    Shortage::OutOfStock { available: Units::try_from(1).unwrap() }
}

fn events() -> Vec<Event> {
    let (sku, refund, amount, at) = (tea(), refund(), euro(500), AT);
    vec![
        placed(&["tea"]),
        Event::Numbered { number: number(), at },
        Event::StockReserved { sku: sku.clone(), at },
        Event::StockRefused { sku: sku.clone(), shortage: shortage(), at },
        Event::LinesDropped { skus: vec![sku.clone()], totals: priced(&["tea"]).totals, at },
        Event::PaymentAsked { amount, at },
        Event::Authorised { amount, at },
        Event::CaptureAsked { amount, at },
        Event::Captured { total: amount, at },
        Event::CaptureFailed { at },
        Event::Confirmed { at },
        Event::Failed { why: Failure::OutOfStock, at },
        Event::EndingAsked { why: Failure::PaymentSilent, at },
        Event::StockSold { sku: sku.clone(), at },
        Event::StockReleased { sku: sku.clone(), at },
        Event::StockReturned { sku, at },
        Event::CancelAsked { by: Side::Shop, reason: label("lost"), at },
        Event::Cancelled { at },
        Event::PaymentUndone { at },
        shipped(1),
        Event::Delivered { shipment: ShipmentNumber(1), at },
        return_asked(),
        Event::ReturnReceived { number: ReturnNumber(1), at },
        refund_asked(refund, 3),
        Event::Refunded { refund, amount: euro(3), refunded: euro(4), at },
        Event::RefundFailed { refund, at },
        Event::NoteAdded { text: label("called"), at },
    ]
}

fn commands() -> Vec<Command> {
    let Event::Placed { cart, access, payment, placed } = placed(&["tea"]) else { panic!() };
    let news = News::Captured {
        capture: CaptureId::from_bytes([0xCC; 16]),
        amount: euro(500),
        total: euro(500),
    };
    vec![
        Command::Place { cart, access, payment, placed },
        Command::TakeNumber { number: number() },
        stock_news(StockNews::Reserved),
        Command::TakePaymentNews { payment, news },
        Command::GiveUpStock,
        Command::GiveUpPayment,
        Command::Cancel { by: Side::Shopper, reason: label("late") },
        Command::Fulfil {
            shipment: ShipmentNumber(1),
            items: pieces(1),
            carrier: label("Post"),
            tracking: label("1Z"),
        },
        Command::Deliver { shipment: ShipmentNumber(1) },
        Command::AskReturn { number: ReturnNumber(1), items: pieces(1), reason: label("small") },
        Command::ReceiveReturn { number: ReturnNumber(1) },
        Command::Refund { refund: refund(), amount: euro(3), reason: label("broken") },
        Command::AddNote { text: label("called") },
    ]
}

fn stock_news(news: StockNews) -> Command {
    Command::TakeStockNews { sku: tea(), news }
}

fn rejections() -> Vec<Rejection> {
    vec![
        Rejection::NotFound,
        Rejection::AlreadyExists,
        Rejection::NotConfirmed,
        Rejection::Over,
        Rejection::AlreadyShipped,
        Rejection::LineNotFound { sku: tea() },
        Rejection::TooMany { sku: tea(), left: 1 },
        Rejection::NothingNamed,
        Rejection::NumberDiffers { number: 1 },
        Rejection::NumberOutOfOrder { next: 2 },
        Rejection::ReturnNotFound { number: ReturnNumber(1) },
        Rejection::ShipmentNotFound { shipment: ShipmentNumber(1) },
        Rejection::RefundTooLarge { left: 3 },
        Rejection::RefundDiffers,
        Rejection::OtherCurrency { currency: Currency::EURO },
        Rejection::TooManyEntries,
        Rejection::NotPositive,
        Rejection::NotPaid,
    ]
}

pub(super) fn samples() -> Vec<Vec<u8>> {
    let events = events().into_iter().map(|event| event.to_bytes());
    events.chain(commands().into_iter().map(|command| command.to_bytes())).collect()
}

pub(super) fn decodes_to_itself(bytes: &[u8]) {
    if let Ok(event) = Event::from_bytes(bytes) {
        assert_eq!(event.to_bytes(), bytes);
    }
    if let Ok(command) = Command::from_bytes(bytes) {
        assert_eq!(command.to_bytes(), bytes);
    }
    if let Ok(state) = Order::from_record(bytes) {
        assert_eq!(state.to_record(), bytes);
        if let Some(order) = state.existing {
            assert!(order.money.refunded.minor <= order.money.captured.minor);
            assert_eq!(order.lines.len(), order.placed.lines().len());
        }
    }
}

#[test]
fn order_events_have_their_bytes() {
    check(&events(), EVENTS);
}

/// Of what else can happen to an order, `promotions` has the bytes.
#[test]
fn events_of_cancelled_pieces_and_of_lists_have_their_bytes() {
    let asked = Event::PlacesAsked { status: Status::Confirmed, at: AT };
    let events = [pieces_cancelled(1), credit_asked(refund()), asked, place_taken()];
    check_each(&events, LATER_EVENTS);
    let take = Command::TakePlace { list: ListId::book(63), place: Place(3) };
    check_each(&[take], LATER_COMMAND);
}

#[test]
fn order_commands_have_their_bytes() {
    check(&commands(), COMMANDS);
}

#[test]
fn order_rejections_have_their_bytes() {
    check(&rejections(), REJECTIONS);
}

#[test]
fn news_of_stocks_have_their_bytes() {
    let refused = [StockNews::Refused(shortage()), StockNews::Refused(Shortage::Crowded)];
    let others = [StockNews::Sold, StockNews::Released, StockNews::Restocked];
    let promised = StockNews::Promised { waiting: 3.try_into().unwrap() };
    let promises = [promised, StockNews::Arrived { waiting: 1.try_into().unwrap() }];
    let news = refused.into_iter().chain(others).chain(promises);
    let news: Vec<_> = news.map(stock_news).collect();
    check_each(&news, STOCK_NEWS);
}

#[test]
fn backorders_of_orders_have_their_bytes() {
    let promised = Event::StockPromised { sku: tea(), waiting: 3.try_into().unwrap(), at: AT };
    let arrived = Event::StockArrived { sku: tea(), waiting: 1.try_into().unwrap(), at: AT };
    check_each(&[promised, arrived], BACKORDERS);
    let rejection = Rejection::OnBackorder { sku: tea(), waiting: 3.try_into().unwrap() };
    check_whole(&rejection, BACKORDER_REFUSED);
}

#[test]
fn failures_of_orders_have_their_bytes() {
    let failures = [
        Failure::StockSilent,
        Failure::Declined { reason: Refusal::SuspectedFraud },
        Failure::PaymentSilent,
        Failure::CaptureFailed,
        Failure::CancelledInTime,
    ];
    check_each(&failures.map(|why| Event::Failed { why, at: AT }), FAILURES);
}

#[test]
fn doubts_of_payments_have_their_bytes() {
    let at = AT;
    let doubts = [
        Event::PaymentInDoubt { at },
        Event::PaymentVoidAsked { at },
        Event::PaymentUndoFailed { at },
    ];
    check_each(&doubts, DOUBTS);
}

#[test]
fn order_numbers_have_their_bytes() {
    check(&[order_numbers::Command::Give { to: id() }], NUMBERS_COMMAND);
    check(&[order_numbers::Event::Given { nth: 2, to: id() }], NUMBERS_EVENT);
    check(&[order_numbers::Rejection::OtherSlot], "010000000000");
    check_whole(&order_numbers::View { given: 2 }, "01000200000000000000");
    check_record(&OrderNumbers { given: 2 }, "01000200000000000000");
}

#[test]
fn what_is_no_order_is_refused() {
    let Event::Placed { placed, .. } = placed(&["tea"]) else { panic!() };
    let twice = [priced(&["tea"]).lines, priced(&["tea"]).lines].concat();
    let priced = Priced { lines: twice, ..priced(&["tea"]) };
    assert!(Placed::new(priced, terms(), 7, AT).is_err());
    let bytes = hex(&commands().remove(0).to_bytes());
    // A minor unit more than a piece costs.
    assert!(bytes.contains("fa00000000000000"), "{placed:?}");
    let dearer = bytes.replacen("fa00000000000000", "fb00000000000000", 1);
    check_refused(Command::from_bytes(&unhex(&dearer)), "decode");
}

const EVENTS: &str = "
    010000000000ccccccccccccccccccccccccccccccccacacacacacacacacacacacacacacacacacacacacacacacacacacacacacacacacbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb01000000000000000300000000000000746561030000000000000074656102000000fa00000000000000455552f401000000000000455552000000000000000045555200000000000000004555520000f401000000000000455552000000000000000045555200000000000000004555520000000000000000455552f401000000000000455552010b000000000000006140622e6578616d706c65010000000000000041010000000000000031010100000000000000320100000000000000540001010000000000000031444500030000000000000073696d0300000000000000746f6b010000000000000007000000000000000403020100000000
    010001000000aaaa0100000000000403020100000000
    01000200000003000000000000007465610403020100000000
    010003000000030000000000000074656100000000010000000403020100000000
    01000400000001000000000000000300000000000000746561f401000000000000455552000000000000000045555200000000000000004555520000000000000000455552f4010000000000004555520403020100000000
    010005000000f4010000000000004555520403020100000000
    010006000000f4010000000000004555520403020100000000
    010007000000f4010000000000004555520403020100000000
    010008000000f4010000000000004555520403020100000000
    0100090000000403020100000000
    01000a0000000403020100000000
    01000b000000000000000403020100000000
    01000c000000030000000403020100000000
    01000d00000003000000000000007465610403020100000000
    01000e00000003000000000000007465610403020100000000
    01000f00000003000000000000007465610403020100000000
    0100100000000100000004000000000000006c6f73740403020100000000
    0100110000000403020100000000
    0100120000000403020100000000
    010013000000010001000000000000000300000000000000746561010000000400000000000000506f73740200000000000000315a0403020100000000
    01001400000001000403020100000000
    010015000000010001000000000000000300000000000000746561010000000500000000000000736d616c6c0403020100000000
    01001600000001000403020100000000
    010017000000dddddddddddddddddddddddddddddddd0300000000000000455552060000000000000062726f6b656e0403020100000000
    010018000000dddddddddddddddddddddddddddddddd030000000000000045555204000000000000004555520403020100000000
    010019000000dddddddddddddddddddddddddddddddd0403020100000000
    01001a000000060000000000000063616c6c65640403020100000000
";
const COMMANDS: &str = "
    010000000000ccccccccccccccccccccccccccccccccacacacacacacacacacacacacacacacacacacacacacacacacacacacacacacacacbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb01000000000000000300000000000000746561030000000000000074656102000000fa00000000000000455552f401000000000000455552000000000000000045555200000000000000004555520000f401000000000000455552000000000000000045555200000000000000004555520000000000000000455552f401000000000000455552010b000000000000006140622e6578616d706c65010000000000000041010000000000000031010100000000000000320100000000000000540001010000000000000031444500030000000000000073696d0300000000000000746f6b010000000000000007000000000000000403020100000000
    010001000000aaaa010000000000
    010002000000030000000000000074656100000000
    010003000000bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb02000000ccccccccccccccccccccccccccccccccf401000000000000455552f401000000000000455552
    010004000000
    010005000000
    0100060000000000000004000000000000006c617465
    010007000000010001000000000000000300000000000000746561010000000400000000000000506f73740200000000000000315a
    0100080000000100
    010009000000010001000000000000000300000000000000746561010000000500000000000000736d616c6c
    01000a0000000100
    01000b000000dddddddddddddddddddddddddddddddd0300000000000000455552060000000000000062726f6b656e
    01000c000000060000000000000063616c6c6564
";
const REJECTIONS: &str = "
    010000000000
    010001000000
    010002000000
    010003000000
    010004000000
    0100050000000300000000000000746561
    010006000000030000000000000074656101000000
    010007000000
    0100080000000100
    0100090000000200
    01000a0000000100
    01000b0000000100
    01000c0000000300000000000000
    01000d000000
    01000e000000455552
    01000f000000
    010010000000
    010011000000
";
/// After those of parcels and reviews.
const BACKORDER_REFUSED: &str = "010014000000030000000000000074656103000000";
const STOCK_NEWS: &str = "
    0100020000000300000000000000746561010000000000000001000000
    01000200000003000000000000007465610100000001000000
    010002000000030000000000000074656102000000
    010002000000030000000000000074656103000000
    010002000000030000000000000074656104000000
    01000200000003000000000000007465610500000003000000
    01000200000003000000000000007465610600000001000000
";
const BACKORDERS: &str = "
    0100280000000300000000000000746561030000000403020100000000
    0100290000000300000000000000746561010000000403020100000000
";
const FAILURES: &str = "
    01000b000000010000000403020100000000
    01000b00000002000000050000000403020100000000
    01000b000000030000000403020100000000
    01000b000000040000000403020100000000
    01000b000000050000000403020100000000
";
const DOUBTS: &str = "
    01001c0000000403020100000000
    01001d0000000403020100000000
    01001e0000000403020100000000
";
const NUMBERS_COMMAND: &str = "
    010000000000aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
";
const NUMBERS_EVENT: &str = "
    0100000000000200000000000000aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
";
const LATER_EVENTS: &str = "
    010021000000000000000100000000000000030000000000000074656101000000fa0000000000000045555204000000000000006c6174650403020100000000
    010022000000ddddddddddddddddddddddddddddddddfa0000000000000045555204000000000000006c6174650403020100000000
    010023000000010000000403020100000000
    010024000000fc0000000000000000000000030000000403020100000000
";
const LATER_COMMAND: &str = "
    01000f000000fc000000000000000000000003000000
";
