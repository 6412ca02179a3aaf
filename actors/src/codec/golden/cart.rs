use super::*;
use crate::domain::cart::{
    Attempt, Command, Event, MergeRefused, MergeStrategy, OfferNumber, Rejection, Status,
};
use crate::domain::catalogue::Listing;
use crate::domain::ids::{CartAccess, OrderId, PaymentId, SkuCode};
use crate::domain::money::{Currency, Money};
use crate::domain::pricing::NotPriced;
use crate::domain::quantity::Quantity;

fn sku() -> SkuCode {
    "tea".parse().unwrap()
}

fn euro() -> Currency {
    "EUR".parse().unwrap()
}

fn quantity(count: u32) -> Quantity {
    count.try_into().unwrap()
}

fn access() -> CartAccess {
    CartAccess::from_hash([0xAC; 32])
}

fn quantity_set(count: u32, minor: i64) -> Event {
    Event::QuantitySet {
        sku: sku(),
        quantity: quantity(count),
        unit_price: Money { minor, currency: euro() },
        name: "Tée".to_owned().try_into().unwrap(),
        catalogue_index: 7,
        at: AT,
    }
}

fn refused() -> MergeRefused {
    MergeRefused { by: cart_id(0xBB), why: Rejection::UnknownSku { sku: sku() } }
}

fn events() -> Vec<Event> {
    let (into, offer) = (cart_id(0xBB), OfferNumber::FIRST);
    vec![
        Event::Created { currency: euro(), access: access(), at: AT },
        quantity_set(2, 450),
        Event::LineRemoved { sku: sku(), at: AT },
        Event::Cleared { at: AT },
        Event::Deleted { at: AT },
        Event::LinesOffered { offer, into, strategy: MergeStrategy::Keep, at: AT },
        Event::MergedAway { into, at: AT },
        Event::LinesReturned { refused: refused(), at: AT },
        Event::LinesTaken { from: cart_id(0xCC), at: AT },
        Event::OfferRepeated { attempt: Attempt::FIRST, at: AT },
        Event::CheckoutBegun { order: order(), at: AT },
        Event::Ordered { order: order(), at: AT },
        Event::Reopened { order: order(), at: AT },
    ]
}

fn order() -> OrderId {
    OrderId::from_bytes([0xAA; 16])
}

fn commands() -> Vec<Command> {
    let lines = vec![(sku(), quantity(2))];
    let (offer, attempt) = (OfferNumber::FIRST, Attempt::FIRST);
    vec![
        Command::Create { currency: euro(), access: access() },
        Command::AddItems { items: lines.clone() },
        Command::SetQuantity { sku: sku(), quantity: quantity(2) },
        Command::RemoveLine { sku: sku() },
        Command::Clear,
        Command::Delete,
        Command::GiveUpLines { to: cart_id(0xBB), strategy: MergeStrategy::Sum },
        Command::Merge {
            from: cart_id(0xCC),
            offer,
            attempt,
            currency: euro(),
            lines,
            strategy: MergeStrategy::Replace,
        },
        Command::ConfirmMerge { offer, into: cart_id(0xBB) },
        Command::TakeLinesBack { offer, attempt, refused: refused() },
        Command::ExpectOffer { from: cart_id(0xCC) },
        Command::RepeatOffer,
        Command::ReportOffer { number: offer },
        Command::CheckOut {
            order: order(),
            payment: PaymentId::from_bytes([0xEE; 16]),
            terms: Box::new(order::terms()),
            shipping: Some("post".parse().unwrap()),
        },
        Command::FinishCheckout { order: order() },
        Command::ReopenAfter { order: order() },
    ]
}

fn rejections() -> Vec<Rejection> {
    let into = cart_id(0xBB);
    vec![
        Rejection::NotFound,
        Rejection::AlreadyExists,
        Rejection::Deleted,
        Rejection::Merging { into },
        Rejection::MergedAway { into },
        Rejection::MergeIntoItself,
        Rejection::CurrencyMismatch { from: euro(), into: "JPY".parse().unwrap() },
        Rejection::LineNotFound { sku: sku() },
        Rejection::TooManyLines,
        Rejection::QuantityTooLarge { sku: sku() },
        Rejection::TotalTooLarge,
        Rejection::UnknownSku { sku: sku() },
        Rejection::NotPriced { sku: sku(), currency: euro() },
        Rejection::CatalogueUnavailable,
        Rejection::CatalogueStale,
        Rejection::CheckingOut { order: order() },
        Rejection::Ordered { order: order() },
        Rejection::Empty,
        Rejection::NotPricedForOrder(NotPriced::TotalTooLarge),
    ]
}

/// A cart that took another's lines, was refused by a third and is on offer to it again.
fn frozen() -> Cart {
    let [created, set, _, _, _, offered, _, returned, taken, repeated, ..] =
        <[Event; 13]>::try_from(events()).unwrap();
    state(&[created, set, taken, offered, returned, second_offer(), repeated])
}

fn returned() -> Cart {
    let [created, set, _, _, _, offered, _, returned, taken, ..] =
        <[Event; 13]>::try_from(events()).unwrap();
    state(&[created, set, taken, offered, returned])
}

/// A cart that is being checked out, or became an order.
fn checked_out(more: &[Event]) -> Cart {
    let [created, set, .., begun, _, _] = <[Event; 13]>::try_from(events()).unwrap();
    state(&[&[created, set, begun], more].concat())
}

fn second_offer() -> Event {
    let offer = OfferNumber::FIRST.next();
    let (into, strategy) = (cart_id(0xBB), MergeStrategy::Replace);
    Event::LinesOffered { offer, into, strategy, at: AT }
}

fn state(events: &[Event]) -> Cart {
    let mut cart = Cart::default();
    for event in events {
        cart.apply(event);
    }
    cart
}

pub(super) fn samples() -> Vec<Vec<u8>> {
    let records = [frozen(), returned(), checked_out(&[])].map(|cart| cart.to_record());
    let events = events().into_iter().map(|event| event.to_bytes());
    let commands = commands().into_iter().map(|command| command.to_bytes());
    events.chain(commands).chain(records).collect()
}

#[test]
fn cart_events_have_their_bytes() {
    check(&events(), EVENTS);
}

#[test]
fn cart_commands_have_their_bytes() {
    check(&commands(), COMMANDS);
}

#[test]
fn cart_rejections_have_their_bytes() {
    check(&rejections(), REJECTIONS);
}

#[test]
fn cart_records_have_their_bytes() {
    check_record(&Cart::default(), "010000");
    check_record(&frozen(), FROZEN);
    check_record(&returned(), RETURNED);
    check_record(&checked_out(&[]), CHECKING_OUT);
    check_record(&checked_out(&events()[11..12]), ORDERED);
}

#[test]
fn a_cart_that_could_not_be_is_refused() {
    let damaged = |events: &[Event], change: fn(&mut Cart)| {
        let mut cart = state(events);
        change(&mut cart);
        Cart::from_record(&cart.to_record())
    };
    let created = || events().remove(0);
    let dear = quantity_set(9_999, Listing::PRICE_MAX);
    check_refused(damaged(&[created(), dear], |_| {}), "no total");
    check_refused(damaged(&[created(), quantity_set(1, -1)], |_| {}), "out of bounds");
    let deleted = |cart: &mut Cart| {
        cart.existing.as_mut().unwrap().status = Status::Deleted;
    };
    check_refused(damaged(&[created(), quantity_set(1, 1)], deleted), "has lines");
    let forgetful = |cart: &mut Cart| {
        cart.existing.as_mut().unwrap().merged_from = vec![cart_id(1); Cart::MERGED_FROM_MAX + 1];
    };
    check_refused(damaged(&[created()], forgetful), "too many merged carts");
    let merging = |cart: &mut Cart| {
        cart.existing.as_mut().unwrap().status = Status::Merging { into: cart_id(0xBB) };
    };
    check_refused(damaged(&[created()], merging), "without an open offer");
    let thawed = |cart: &mut Cart| cart.existing.as_mut().unwrap().status = Status::Open;
    check_refused(damaged(&[created(), second_offer()], thawed), "without an open offer");
    check_refused(
        damaged(&[created(), second_offer(), events().remove(7), second_offer()], |_| {}),
        "strict order",
    );
}

#[test]
fn newtypes_check_themselves_on_the_way_in() {
    let set = |sku: &str, quantity: &str| {
        Command::from_bytes(&unhex(&format!("0100020000000300000000000000{sku}{quantity}")))
    };
    assert_eq!(set("746561", "02000000").as_ref(), Ok(&commands()[2]));
    check_refused(set("742f61", "02000000"), "decode");
    check_refused(set("746561", "00000000"), "decode");
    check_refused(set("746561", "10270000"), "decode");
    let bad = hex(&commands().remove(0).to_bytes()).replace("455552", "657572");
    check_refused(Command::from_bytes(&unhex(&bad)), "decode");
    check_refused(Command::from_bytes(&[2, 0]), "version 2");
    check_refused(Command::from_bytes(&[2]), "version prefix");
}

const EVENTS: &str = "
    010000000000455552acacacacacacacacacacacacacacacacacacacacacacacacacacacacacacacac0403020100000000
    010001000000030000000000000074656102000000c201000000000000455552040000000000000054c3a96507000000000000000403020100000000
    01000200000003000000000000007465610403020100000000
    0100030000000403020100000000
    0100040000000403020100000000
    0100050000000100000000000000bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb010000000403020100000000
    010006000000bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb0403020100000000
    010007000000bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb0b00000003000000000000007465610403020100000000
    010008000000cccccccccccccccccccccccccccccccc0403020100000000
    010009000000010000000403020100000000
    01000a000000aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa0403020100000000
    01000b000000aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa0403020100000000
    01000c000000aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa0403020100000000
";
const COMMANDS: &str = "
    010000000000455552acacacacacacacacacacacacacacacacacacacacacacacacacacacacacacacac
    0100010000000100000000000000030000000000000074656102000000
    010002000000030000000000000074656102000000
    0100030000000300000000000000746561
    010004000000
    010005000000
    010006000000bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb00000000
    010007000000cccccccccccccccccccccccccccccccc010000000000000001000000455552010000000000000003000000000000007465610200000002000000
    0100080000000100000000000000bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb
    010009000000010000000000000001000000bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb0b0000000300000000000000746561
    01000a000000cccccccccccccccccccccccccccccccc
    01000b000000
    01000c0000000100000000000000
    01000d000000aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee010b000000000000006140622e6578616d706c65010000000000000041010000000000000031010100000000000000320100000000000000540001010000000000000031444500030000000000000073696d0300000000000000746f6b0100000000000000010400000000000000706f7374
    01000e000000aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
    01000f000000aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
";
const REJECTIONS: &str = "
    010000000000
    010001000000
    010002000000
    010003000000bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb
    010004000000bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb
    010005000000
    0100060000004555524a5059
    0100070000000300000000000000746561
    010008000000
    0100090000000300000000000000746561
    01000a000000
    01000b0000000300000000000000746561
    01000c0000000300000000000000746561455552
    01000d000000
    01000e000000
    01000f000000aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
    010010000000aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
    010011000000
    01001200000006000000
";
const FROZEN: &str = "
    010001acacacacacacacacacacacacacacacacacacacacacacacacacacacacacacacac45555201000000bbbb
    bbbbbbbbbbbbbbbbbbbbbbbbbbbb01000000000000000300000000000000746561040000000000000054c3a9
    65c201000000000000020000000100000000000000cccccccccccccccccccccccccccccccc02000000000000
    000100000000000000bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb020000000b0000000300000000000000746561
    0200000000000000bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb0000000002000000010000000403020100000000
";
const RETURNED: &str = "
    010001acacacacacacacacacacacacacacacacacacacacacacacacacacacacacacacac455552000000000100
    0000000000000300000000000000746561040000000000000054c3a965c20100000000000002000000010000
    0000000000cccccccccccccccccccccccccccccccc01000000000000000100000000000000bbbbbbbbbbbbbb
    bbbbbbbbbbbbbbbbbb020000000b00000003000000000000007465610403020100000000
";
const CHECKING_OUT: &str = "
    010001acacacacacacacacacacacacacacacacacacacacacacacacacacacacacacacac45555204000000aaaa
    aaaaaaaaaaaaaaaaaaaaaaaaaaaa01000000000000000300000000000000746561040000000000000054c3a9
    65c20100000000000002000000000000000000000000000000000000000403020100000000
";
const ORDERED: &str = "
    010001acacacacacacacacacacacacacacacacacacacacacacacacacacacacacacacac45555205000000aaaa
    aaaaaaaaaaaaaaaaaaaaaaaaaaaa01000000000000000300000000000000746561040000000000000054c3a9
    65c20100000000000002000000000000000000000000000000000000000403020100000000
";
