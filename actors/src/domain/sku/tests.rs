use cluster::entity::{Effect, NoCatalogue};
use cluster::time::Span;

use super::*;

const HOUR: Span = Span::from_secs(3_600);
pub(super) const NOON: Timestamp = Timestamp::from_micros(43_200_000_000);

pub(super) fn id(number: u8) -> ReservationId {
    ReservationId::from_bytes([number; 16])
}

pub(super) fn wide_id(number: u32) -> ReservationId {
    ReservationId::from_bytes(u128::from(number).to_be_bytes())
}

pub(super) fn holder(number: u8) -> Holder {
    let key = cluster::ids::EntityKey::Number([number; 16]);
    Holder::try_from(&EntityRef { kind: EntityKind(9), key }).unwrap()
}

pub(super) fn units(count: u32) -> Units {
    count.try_into().unwrap()
}

pub(super) fn quantity(count: u32) -> Quantity {
    count.try_into().unwrap()
}

fn delta(change: i64) -> Delta {
    change.try_into().unwrap()
}

fn reason() -> Reason {
    "counted".to_owned().try_into().unwrap()
}

pub(super) fn later(hours: u64) -> Timestamp {
    NOON.plus(Span::from_micros(HOUR.as_micros() * hours))
}

pub(super) fn stocked(on_hand: u32, change: i64) -> Event {
    let (on_hand, delta) = (units(on_hand), delta(change));
    Event::OnHandSet { on_hand, delta, reason: reason(), at: NOON }
}

pub(super) fn reserved(number: u8, count: u32, expires_at: Option<Timestamp>, sum: u32) -> Event {
    Event::Reserved {
        id: id(number),
        quantity: quantity(count),
        holder: None,
        expires_at,
        reserved: units(sum),
        at: NOON,
    }
}

pub(super) fn released(number: u8, sum: u32) -> Event {
    Event::Released { id: id(number), reserved: units(sum), at: NOON }
}

pub(super) fn confirmed(number: u8, on_hand: u32, change: i64, sum: u32) -> Event {
    let (on_hand, delta, reserved) = (units(on_hand), delta(change), units(sum));
    Event::Confirmed { id: id(number), on_hand, delta, reserved, at: NOON }
}

pub(super) fn released_early(number: u8) -> Event {
    Event::ReleasedEarly { id: id(number), at: NOON }
}

pub(super) fn expired(numbers: &[u8], sum: u32) -> Event {
    let ids = numbers.iter().map(|number| id(*number)).collect();
    Event::Expired { ids, reserved: units(sum), at: NOON }
}

fn adjust(change: i64) -> Command {
    Command::Adjust { delta: delta(change), reason: reason() }
}

fn set(on_hand: u32) -> Command {
    Command::SetOnHand { on_hand: units(on_hand), reason: reason() }
}

pub(super) fn reserve(number: u8, count: u32, expires_at: Option<Timestamp>) -> Command {
    Command::Reserve { id: id(number), quantity: quantity(count), holder: None, expires_at }
}

pub(super) fn confirm(number: u8) -> Command {
    Command::Confirm { id: id(number), holder: None }
}

pub(super) fn release(number: u8) -> Command {
    Command::Release { id: id(number), holder: None, if_unknown: IfUnknown::Reject }
}

pub(super) fn release_early(number: u8) -> Command {
    let if_unknown = IfUnknown::RefuseItsReserve;
    Command::Release { id: id(number), holder: None, if_unknown }
}

pub(super) fn take_over(number: u8) -> Command {
    Command::TakeOver { id: id(number), holder: holder(1) }
}

pub(super) fn taken_over(number: u8) -> Event {
    Event::TakenOver { id: id(number), holder: holder(1), at: NOON }
}

pub(super) fn out_of_stock(requested: u32, available: u32) -> Rejection {
    Rejection::OutOfStock { requested: quantity(requested), available: units(available) }
}

pub(super) fn sku(given: &[Event]) -> Sku {
    let mut sku = Sku::default();
    for event in given {
        sku.apply(event);
    }
    sku
}

pub(super) fn at<T>(now: Timestamp, ask: impl FnOnce(&Context<'_>) -> T) -> T {
    let me = Sku::address(&"tea".parse().unwrap());
    ask(&Context { now, me: &me, entropy: [0; 32], catalogue: Err(NoCatalogue::Absent) })
}

#[track_caller]
pub(super) fn check(given: &[Event], when: Command, then: Result<&[Event], Rejection>) {
    let decided = at(NOON, |ctx| sku(given).decide(when, ctx));
    assert_eq!(decided.map(|decision| decision.events), then.map(<[_]>::to_vec));
}

#[track_caller]
fn check_timer(given: &[Event], when: Command, then: Option<Effect>) {
    let decision = at(NOON, |ctx| sku(given).decide(when, ctx)).unwrap();
    assert_eq!(decision.effects, then.into_iter().collect::<Vec<_>>());
}

#[test]
fn a_stock_is_adjusted_and_stated() {
    check(&[], adjust(5), Ok(&[stocked(5, 5)]));
    check(&[stocked(5, 5)], adjust(-5), Ok(&[stocked(0, -5)]));
    check(&[stocked(5, 5)], adjust(0), Ok(&[]));
    check(&[], set(0), Ok(&[stocked(0, 0)]));
    check(&[stocked(5, 5)], set(3), Ok(&[stocked(3, -2)]));
    check(&[stocked(5, 5)], set(5), Ok(&[]));
    let full = stocked(Units::MAX, i64::from(Units::MAX));
    check(&[full], adjust(1), Err(Rejection::OnHandTooLarge));
}

#[test]
fn a_stock_does_not_fall_below_what_is_reserved() {
    let given = [stocked(5, 5), reserved(1, 3, None, 3)];
    let below = Rejection::BelowReserved { reserved: units(3) };
    check(&given, adjust(-3), Err(below.clone()));
    check(&given, adjust(-9), Err(below.clone()));
    check(&given, set(2), Err(below));
    check(&given, adjust(-2), Ok(&[stocked(3, -2)]));
    check(&[], adjust(-1), Err(Rejection::BelowReserved { reserved: Units::ZERO }));
}

#[test]
fn only_what_is_available_is_reserved() {
    check(&[], reserve(1, 1, None), Err(out_of_stock(1, 0)));
    check(&[stocked(5, 5)], reserve(1, 5, None), Ok(&[reserved(1, 5, None, 5)]));
    check(&[stocked(5, 5)], reserve(1, 6, None), Err(out_of_stock(6, 5)));
    let given = [stocked(5, 5), reserved(1, 3, None, 3)];
    check(&given, reserve(2, 3, None), Err(out_of_stock(3, 2)));
    check(&given, reserve(2, 2, None), Ok(&[reserved(2, 2, None, 5)]));
}

#[test]
fn a_repeated_reserve_is_done() {
    let given = [stocked(5, 5), reserved(1, 3, None, 3)];
    check(&given, reserve(1, 3, None), Ok(&[]));
    check(&given, reserve(1, 3, Some(later(1))), Ok(&[]));
    let different = Rejection::DifferentQuantity { held: quantity(3) };
    check(&given, reserve(1, 2, None), Err(different));
}

#[test]
fn a_confirmed_reservation_leaves_the_stock_once() {
    let given = [stocked(5, 5), reserved(1, 3, None, 3)];
    check(&given, confirm(1), Ok(&[confirmed(1, 2, -3, 0)]));
    let sold = [stocked(5, 5), reserved(1, 3, None, 3), confirmed(1, 2, -3, 0)];
    check(&sold, confirm(1), Ok(&[]));
    check(&sold, release(1), Err(Rejection::AlreadyConfirmed));
    check(&sold, reserve(1, 3, None), Err(Rejection::AlreadyConfirmed));
    check(&sold, reserve(2, 2, None), Ok(&[reserved(2, 2, None, 2)]));
    check(&given, confirm(2), Err(Rejection::NotReserved));
}

#[test]
fn a_released_reservation_is_available_again() {
    let given = [stocked(5, 5), reserved(1, 3, None, 3), reserved(2, 2, None, 5)];
    check(&given, release(1), Ok(&[released(1, 2)]));
    let released = [given.as_slice(), &[released(1, 2)]].concat();
    check(&released, reserve(3, 3, None), Ok(&[reserved(3, 3, None, 5)]));
    check(&released, confirm(1), Err(Rejection::ReleasedBefore));
}

#[test]
fn an_expired_reservation_counts_for_nothing() {
    let given = [stocked(5, 5), reserved(1, 3, Some(NOON), 3), reserved(2, 1, None, 4)];
    let gone = || expired(&[1], 1);
    check(&given, Command::ExpireDue, Ok(&[gone()]));
    check(&given, confirm(1), Err(Rejection::Expired));
    check(&given, take_over(1), Err(Rejection::Expired));
    check(&given, release(1), Ok(&[gone()]));
    check(&given, reserve(3, 4, None), Ok(&[gone(), reserved(3, 4, None, 5)]));
    check(&given, reserve(3, 5, None), Err(out_of_stock(5, 4)));
    check(&given, reserve(1, 3, None), Err(Rejection::Expired));
    check(&given, set(1), Ok(&[gone(), stocked(1, -4)]));
    check(&given, confirm(2), Ok(&[gone(), confirmed(2, 4, -1, 0)]));
    check(&[stocked(5, 5)], reserve(1, 1, Some(NOON)), Err(Rejection::Expired));
    let level = at(NOON, |ctx| sku(&given).view(Query::Level, ctx));
    let (on_hand, reserved, available) = (units(5), units(1), units(4));
    let (backordered, policy, low_stock_at) = (units(0), Policy::Deny, None);
    let expected =
        Level { exists: true, on_hand, reserved, available, backordered, policy, low_stock_at };
    assert_eq!(level, View::Level(expected));
}

#[test]
fn one_timer_stands_at_the_earliest_expiry() {
    let name = Sku::EXPIRY;
    let set_timer = |at| Some(Effect::SetTimer { name, at });
    let cancel = || Some(Effect::CancelTimer { name });
    let stock = stocked(9, 9);
    let one = [stock.clone(), reserved(1, 3, Some(later(2)), 3)];
    let two = [one.as_slice(), &[reserved(2, 3, Some(later(1)), 6)]].concat();
    check_timer(&[stock], reserve(1, 3, Some(later(2))), set_timer(later(2)));
    check_timer(&one, reserve(2, 3, Some(later(1))), set_timer(later(1)));
    check_timer(&one, reserve(2, 3, Some(later(3))), None);
    check_timer(&one, reserve(2, 3, None), None);
    check_timer(&one, release(1), cancel());
    check_timer(&one, take_over(1), cancel());
    check_timer(&two, confirm(2), set_timer(later(2)));
    check_timer(&two, confirm(1), None);
    // One that fired is gone: what remains needs it again, even at the same time.
    check_timer(&two, Command::ExpireDue, set_timer(later(1)));
    let due = [two[0].clone(), reserved(1, 3, Some(NOON), 3)];
    check_timer(&due, Command::ExpireDue, None);
    assert_eq!(Sku::on_timer(name), Some(Command::ExpireDue));
    assert_eq!(Sku::on_timer(TimerName(9)), None);
}

#[test]
fn open_reservations_are_bounded() {
    let mut sku = sku(&[stocked(10_000, 10_000)]);
    let reserve = |number| Command::Reserve {
        id: wide_id(number),
        quantity: quantity(1),
        holder: Some(holder(1)),
        expires_at: Some(later(1)),
    };
    let max = u32::try_from(Sku::RESERVATIONS_MAX).unwrap();
    for number in 0..max {
        for event in at(NOON, |ctx| sku.decide(reserve(number), ctx)).unwrap().events {
            sku.apply(&event);
        }
    }
    let refused = at(NOON, |ctx| sku.decide(reserve(max), ctx)).err();
    assert_eq!(refused, Some(Rejection::TooManyReservations));
    // When they are due there is room again, without waiting for the timer.
    let decision = at(later(1), |ctx| sku.decide(Command::ExpireDue, ctx)).unwrap();
    assert_eq!(decision.reply.level.available, units(10_000));
    let fresh = Command::Reserve {
        id: wide_id(max),
        quantity: quantity(1),
        holder: None,
        expires_at: None,
    };
    assert!(at(later(1), |ctx| sku.decide(fresh, ctx)).is_ok());
}

#[test]
fn reservations_are_listed_page_by_page() {
    let given = [
        stocked(9, 9),
        reserved(1, 1, None, 1),
        reserved(2, 1, Some(NOON), 2),
        reserved(3, 1, None, 3),
        reserved(4, 1, None, 4),
    ];
    let page = |after: Option<u8>, limit: u32| {
        let (after, limit) = (after.map(id), limit.try_into().unwrap());
        match at(NOON, |ctx| sku(&given).view(Query::Reservations { after, limit }, ctx)) {
            View::Reservations(page) => {
                (page.reservations.iter().map(|open| open.id).collect::<Vec<_>>(), page.next)
            }
            other @ (View::Level(_) | View::Reservation(_) | View::Ledger(_) | View::Places(_)) => {
                panic!("{other:?}")
            }
        }
    };
    assert_eq!(page(None, 2), (vec![id(1), id(3)], Some(id(3))));
    assert_eq!(page(Some(3), 2), (vec![id(4)], None));
    assert_eq!(page(None, 3), (vec![id(1), id(3), id(4)], None));
}

#[test]
fn the_ledger_keeps_the_last_changes() {
    let mut given: Vec<_> = (1..=60).map(|count| stocked(count, 1)).collect();
    given.extend([reserved(1, 2, None, 2), confirmed(1, 58, -2, 0)]);
    let limit = 100.try_into().unwrap();
    let View::Ledger(entries) = at(NOON, |ctx| sku(&given).view(Query::Ledger { limit }, ctx))
    else {
        panic!("not a ledger")
    };
    assert_eq!(entries.len(), 50);
    assert_eq!((entries[0].on_hand, &entries[0].cause), (units(58), &Cause::Sold(id(1))));
    assert_eq!((entries[49].on_hand, &entries[49].cause), (units(12), &Cause::Stated(reason())));
}

#[test]
fn a_reason_is_short_and_printable() {
    for bad in [String::new(), "a\nb".into(), "é".repeat(201)] {
        assert_eq!(Reason::try_from(bad), Err(InvalidReason));
    }
    assert!(Reason::try_from("é".repeat(200)).is_ok());
}
