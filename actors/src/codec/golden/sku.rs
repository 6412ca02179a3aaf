use cluster::ids::{EntityKind, EntityRef};

use super::*;
use crate::domain::ids::OrderId;
use crate::domain::names::LocationId;
use crate::domain::quantity::{Delta, Quantity, Units};
use crate::domain::sku::{
    Change, Command, Event, Holder, IfUnknown, Kept, Level, OrderStep, Policy, Reason, Rejection,
    Reply, ReservationView, Taken, View,
};

fn units(count: u32) -> Units {
    count.try_into().unwrap()
}

fn quantity(count: u32) -> Quantity {
    count.try_into().unwrap()
}

fn delta(change: i64) -> Delta {
    change.try_into().unwrap()
}

fn reason() -> Reason {
    "count".to_owned().try_into().unwrap()
}

fn holder() -> Holder {
    let key = EntityKey::Number([0xDD; 16]);
    Holder::try_from(&EntityRef { kind: EntityKind(1), key }).unwrap()
}

fn events() -> Vec<Event> {
    vec![
        Event::OnHandSet { on_hand: units(9), delta: delta(-2), reason: reason(), at: AT },
        Event::Reserved {
            id: reservation(0xAA),
            quantity: quantity(3),
            holder: Some(holder()),
            expires_at: Some(Timestamp::from_micros(0x0506_0708)),
            reserved: units(3),
            at: AT,
        },
        Event::Confirmed {
            id: reservation(0xAA),
            on_hand: units(6),
            delta: delta(-3),
            reserved: units(0),
            at: AT,
        },
        Event::Released { id: reservation(0xAA), reserved: units(0), at: AT },
        Event::ReleasedEarly { id: reservation(0xBB), at: AT },
        Event::TakenOver { id: reservation(0xAA), holder: holder(), at: AT },
        Event::Expired { ids: vec![reservation(0xAA)], reserved: units(0), at: AT },
        Event::PolicySet { policy: Policy::Backorder { limit: Some(units(5)) }, at: AT },
        Event::LowStockSet { threshold: Some(units(2)), at: AT },
        promised(),
        Event::PromisesKept {
            kept: vec![Kept { order: order(), held: quantity(2), waiting: units(1) }],
            reserved: units(5),
            backordered: units(1),
            at: AT,
        },
        Event::PromiseWithdrawn { order: order(), backordered: units(0), at: AT },
        there(),
        Event::Transferred {
            from: Some(north()),
            left: units(1),
            to: None,
            come: units(5),
            pieces: units(2),
            reason: reason(),
            at: AT,
        },
        Event::SoldFrom {
            id: reservation(0xAA),
            taken: vec![Taken {
                location: Some(north()),
                pieces: units(3),
                left: units(0),
                on_hand: units(6),
            }],
            on_hand: units(6),
            delta: delta(-3),
            reserved: units(0),
            at: AT,
        },
        Event::RanLow { at: AT },
        Event::RanLowNoMore { at: AT },
    ]
}

fn order() -> OrderId {
    OrderId::from_bytes([0xCC; 16])
}

fn north() -> LocationId {
    "north".parse().unwrap()
}

fn there() -> Event {
    Event::StockedAt {
        location: north(),
        there: units(3),
        on_hand: units(9),
        delta: delta(3),
        reason: reason(),
        at: AT,
    }
}

fn promised() -> Event {
    let (asked, waiting, backordered) = (quantity(5), quantity(3), units(3));
    Event::Promised { order: order(), asked, waiting, backordered, at: AT }
}

fn commands() -> Vec<Command> {
    let id = reservation(0xAA);
    vec![
        Command::Adjust { delta: delta(-2), reason: reason() },
        Command::SetOnHand { on_hand: units(9), reason: reason() },
        Command::Reserve { id, quantity: quantity(3), holder: None, expires_at: Some(AT) },
        Command::Confirm { id, holder: None },
        Command::Release { id, holder: Some(holder()), if_unknown: IfUnknown::RefuseItsReserve },
        Command::TakeOver { id, holder: holder() },
        Command::ExpireDue,
        for_order(OrderStep::Reserve { quantity: quantity(3) }),
        Command::SetPolicy { policy: Policy::Preorder { available_from: Some(AT), limit: None } },
        Command::SetLowStock { threshold: None },
        Command::StockAt { location: north(), change: Change::To(units(3)), reason: reason() },
        Command::Transfer { from: None, to: Some(north()), pieces: units(2), reason: reason() },
        Command::TellLowStock,
    ]
}

fn for_order(step: OrderStep) -> Command {
    Command::ForOrder { order: order(), step }
}

fn rejections() -> Vec<Rejection> {
    vec![
        Rejection::BelowReserved { reserved: units(3) },
        Rejection::OnHandTooLarge,
        Rejection::OutOfStock { requested: quantity(3), available: units(2) },
        Rejection::DifferentQuantity { held: quantity(3) },
        Rejection::TooManyReservations,
        Rejection::ReleasedBefore,
        Rejection::NotReserved,
        Rejection::Expired,
        Rejection::AlreadyConfirmed,
        Rejection::HeldByAnother,
        Rejection::TooFewThere { there: units(1) },
        Rejection::TooManyLocations,
        Rejection::UnknownLocation { location: north() },
        Rejection::CatalogueUnavailable,
    ]
}

/// A stock with a sale, an expiring reservation, one taken over, and one of every other end.
fn stock() -> Sku {
    let [stated, reserved, confirmed, _, early, ..] = &events()[..] else { panic!() };
    let again = |byte: u8, sum: u32| Event::Reserved {
        id: reservation(byte),
        quantity: quantity(3),
        holder: None,
        expires_at: Some(AT),
        reserved: units(sum),
        at: AT,
    };
    let taken_over = Event::TakenOver { id: reservation(0xA0), holder: holder(), at: AT };
    let expired = Event::Expired { ids: vec![reservation(0xA1)], reserved: units(3), at: AT };
    let released = Event::Released { id: reservation(0xA2), reserved: units(3), at: AT };
    let ended = [stated, reserved, confirmed, early].map(Clone::clone);
    let open = [again(0xA0, 3), taken_over, again(0xA1, 6), expired];
    state(&[&ended[..], &open[..], &[again(0xA2, 6), released, again(0xEE, 6)]].concat())
}

/// The same stock with all that most do not have.
fn promising() -> Sku {
    let mut sku = stock();
    for event in [&events()[7], &events()[8], &promised(), &events()[15]] {
        sku.apply(event);
    }
    sku
}

/// A stock with a row of each kind that locations bring.
fn scattered() -> Sku {
    let [transferred, sold] = [events()[13].clone(), events()[14].clone()];
    let reserved = events()[1].clone();
    let gone = Event::StockedAt {
        location: north(),
        there: units(0),
        on_hand: units(6),
        delta: delta(-1),
        reason: reason(),
        at: AT,
    };
    state(&[there(), transferred, gone, there(), reserved, sold, there()])
}

fn state(events: &[Event]) -> Sku {
    let mut sku = Sku::default();
    for event in events {
        sku.apply(event);
    }
    sku
}

pub(super) fn samples() -> Vec<Vec<u8>> {
    let events = events().into_iter().map(|event| event.to_bytes());
    let commands = commands().into_iter().map(|command| command.to_bytes());
    events.chain(commands).chain([stock().to_record(), promising().to_record()]).collect()
}

#[test]
fn sku_events_have_their_bytes() {
    check(&events(), EVENTS);
}

#[test]
fn sku_commands_have_their_bytes() {
    check(&commands(), COMMANDS);
}

#[test]
fn steps_of_orders_have_their_bytes() {
    let restock = OrderStep::Restock { quantity: quantity(3) };
    let take_back = OrderStep::TakeBack { quantity: quantity(3) };
    let steps = [OrderStep::Confirm, OrderStep::Release, restock, take_back];
    check_each(&steps.map(for_order), STEPS);
}

#[test]
fn sku_rejections_have_their_bytes() {
    check(&rejections(), REJECTIONS);
}

#[test]
fn sku_replies_have_their_bytes() {
    let level = Level {
        exists: true,
        on_hand: units(9),
        reserved: units(3),
        available: units(6),
        backordered: units(0),
        policy: Policy::Deny,
        low_stock_at: None,
    };
    let (id, quantity, holder) = (reservation(0xAA), quantity(3), Some(holder()));
    let held = ReservationView { id, quantity, holder, expires_at: Some(AT) };
    let replies = [
        (Reply { level, reservation: None }, REPLY),
        (Reply { level, reservation: Some(held) }, REPLY_RESERVED),
    ];
    for (reply, golden) in replies {
        let golden: String = golden.split_whitespace().collect();
        check_whole(&reply, &golden);
    }
    let promising = Level {
        backordered: units(2),
        policy: Policy::Backorder { limit: None },
        low_stock_at: Some(units(4)),
        ..level
    };
    let promising = Reply { level: promising, reservation: None };
    check_whole(&promising, REPLY_PROMISING);
    check_whole(&View::Level(level), VIEW);
    check_whole(&View::Reservation(promising), VIEW_PROMISING);
    check_whole(&View::Places(vec![(None, units(2)), (Some(north()), units(3))]), VIEW_OF_PLACES);
}

#[test]
fn a_reply_that_could_not_be_is_refused() {
    let changed = |old: &str, new: &str| {
        assert!(REPLY_PROMISING.contains(old), "{old}");
        Reply::from_bytes(&unhex(&REPLY_PROMISING.replacen(old, new, 1)))
    };
    check_refused(changed("0000000002000000", "0000000000000000"), "not in order");
    check_refused(changed("0200000004000000", "0000000004000000"), "not in order");
    let view = VIEW_PROMISING.replacen("0200010000", "0200030000", 1);
    assert!(View::from_bytes(&unhex(&view)).is_err());
}

#[test]
fn sku_records_have_their_bytes() {
    let body = |golden: &str| golden.split_whitespace().collect::<String>()[4..].to_owned();
    check_record(&Sku::default(), UNKNOWN);
    check_record(&stock(), STOCK);
    check_record(&promising(), &format!("0200{}{PARTS}", body(STOCK)));
    check_record(&scattered(), SCATTERED);
}

#[test]
fn a_promise_that_could_not_be_is_refused() {
    let promising = hex(&promising().to_record());
    assert!(Sku::from_record(&unhex(&promising)).is_ok());
    let changed = |old: &str, new: &str| Sku::from_record(&unhex(&promising.replace(old, new)));
    let order = "cc".repeat(16);
    let promise = format!("{order}0500000003000000");
    check_refused(changed(&promise, &format!("{order}0200000003000000")), "than it asked for");
    let twice = changed(
        &format!("020000000100000000000000{promise}"),
        &format!("020000000200000000000000{promise}{promise}"),
    );
    check_refused(twice, "to an order twice");
    check_refused(changed(&order, &"bb".repeat(16)), "is open and has ended");
    let policy = "00000000010000000105000000";
    check_refused(changed(&format!("{policy}0100000002000000"), &policy.repeat(2)), "not in order");
}

#[test]
fn a_stock_that_could_not_be_is_refused() {
    let mut oversold = stock();
    oversold.on_hand = Some(units(5));
    check_refused(Sku::from_record(&oversold.to_record()), "more pieces reserved than on hand");
    oversold.on_hand = None;
    check_refused(Sku::from_record(&oversold.to_record()), "more pieces reserved than on hand");
    let stock = hex(&stock().to_record());
    assert!(Sku::from_record(&unhex(&stock)).is_ok());
    let swapped = |old: &str, new: &str| {
        Sku::from_record(&unhex(&stock.replacen(&old.repeat(16), &new.repeat(16), 1)))
    };
    check_refused(swapped("a0", "ff"), "strict order");
    check_refused(swapped("a0", "a1"), "is open and has ended");
    check_refused(swapped("bb", "aa"), "ended twice");
    let sold_later = stock.replacen("0000000004030201", "00000000ff030201", 1);
    check_refused(Sku::from_record(&unhex(&sold_later)), "order of time");
}

const EVENTS: &str = "
    01000000000009000000feffffffffffffff0500000000000000636f756e740403020100000000
    010001000000aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa030000000101dddddddddddddddddddddddddddddddd010807060500000000030000000403020100000000
    010002000000aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa06000000fdffffffffffffff000000000403020100000000
    010003000000aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa000000000403020100000000
    010004000000bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb0403020100000000
    010005000000aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa01dddddddddddddddddddddddddddddddd0403020100000000
    0100060000000100000000000000aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa000000000403020100000000
    0100070000000100000001050000000403020100000000
    01000800000001020000000403020100000000
    010009000000cccccccccccccccccccccccccccccccc0500000003000000030000000403020100000000
    01000a0000000100000000000000cccccccccccccccccccccccccccccccc020000000100000005000000010000000403020100000000
    01000b000000cccccccccccccccccccccccccccccccc000000000403020100000000
    01000c00000005000000000000006e6f727468030000000900000003000000000000000500000000000000636f756e740403020100000000
    01000d0000000105000000000000006e6f727468010000000005000000020000000500000000000000636f756e740403020100000000
    01000e000000aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa01000000000000000105000000000000006e6f72746803000000000000000600000006000000fdffffffffffffff000000000403020100000000
    01000f0000000403020100000000
    0100100000000403020100000000
";
const COMMANDS: &str = "
    010000000000feffffffffffffff0500000000000000636f756e74
    010001000000090000000500000000000000636f756e74
    010002000000aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa0300000000010403020100000000
    010003000000aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa00
    010004000000aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa0101dddddddddddddddddddddddddddddddd01000000
    010005000000aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa01dddddddddddddddddddddddddddddddd
    010006000000
    010007000000cccccccccccccccccccccccccccccccc0000000003000000
    0100080000000200000001040302010000000000
    01000900000000
    01000a00000005000000000000006e6f72746801000000030000000500000000000000636f756e74
    01000b000000000105000000000000006e6f727468020000000500000000000000636f756e74
    01000c000000
";
const STEPS: &str = "
    010007000000cccccccccccccccccccccccccccccccc01000000
    010007000000cccccccccccccccccccccccccccccccc02000000
    010007000000cccccccccccccccccccccccccccccccc0300000003000000
    010007000000cccccccccccccccccccccccccccccccc0400000003000000
";
const REJECTIONS: &str = "
    01000000000003000000
    010001000000
    0100020000000300000002000000
    01000300000003000000
    010004000000
    010005000000
    010006000000
    010007000000
    010008000000
    010009000000
    01000a00000001000000
    01000b000000
    01000c00000005000000000000006e6f727468
    01000d000000
";
const REPLY: &str = "01000109000000030000000600000000";
const REPLY_PROMISING: &str = "02000109000000030000000600000000030000000000000000000000020000000100000001000000000200000004000000";
const VIEW: &str = "01000000000001090000000300000006000000";
const VIEW_PROMISING: &str = "0200010000000109000000030000000600000000030000000000000000000000020000000100000001000000000200000004000000";
const VIEW_OF_PLACES: &str =
    "010004000000020000000000000000020000000105000000000000006e6f72746803000000";
const REPLY_RESERVED: &str = "
    01000109000000030000000600000001aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa030000000101dddddddddddd
    dddddddddddddddddddd010403020100000000
";
const UNKNOWN: &str = "010000000000000000000000000000000000000000000000000000";
const STOCK: &str = "
    010001060000000200000000000000a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0030000000101dddddddddddddd
    dddddddddddddddddd00eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee030000000001040302010000000004000000
    00000000aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa000000000403020100000000bbbbbbbbbbbbbbbbbbbbbbbb
    bbbbbbbb030000000403020100000000a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1020000000403020100000000
    a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a201000000040302010000000002000000000000000403020100000000
    feffffffffffffff09000000000000000500000000000000636f756e740403020100000000fdffffffffffff
    ff0600000001000000aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
";
const SCATTERED: &str = "
    0200010900000000000000000000000100000000000000aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa0000000004
    0302010000000006000000000000000403020100000000030000000000000009000000020000000500000000
    0000006e6f7274680500000000000000636f756e740403020100000000000000000000000009000000040000
    000105000000000000006e6f72746800020000000500000000000000636f756e740403020100000000ffffff
    ffffffffff060000000200000005000000000000006e6f7274680500000000000000636f756e740403020100
    0000000300000000000000090000000200000005000000000000006e6f7274680500000000000000636f756e
    740403020100000000fdffffffffffffff0600000003000000aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa010500
    0000000000006e6f72746804030201000000000300000000000000090000000200000005000000000000006e
    6f7274680500000000000000636f756e74010000000000000003000000010000000000000005000000000000
    006e6f72746803000000
";
const PARTS: &str = "
    0400000000000000000000000100000001050000000100000002000000020000000100000000000000cccccccc
    cccccccccccccccccccccccc050000000300000004000000000000000403020100000000
";
