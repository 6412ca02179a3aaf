//! What a reservation id stands for: held, ended how, and by whom it may be ended.

use cluster::time::Span;

use super::tests::*;
use super::*;

const ENDED_MAX: u32 = 1_000;

/// A stock that sold so many pieces one by one, a microsecond apart.
fn sold(count: u32) -> Sku {
    let mut sku = sku(&[stocked(10_000, 10_000)]);
    for number in 0..count {
        send(&mut sku, number, reserve_wide(number));
        send(&mut sku, number, Command::Confirm { id: wide_id(number), holder: None });
    }
    sku
}

fn reserve_wide(number: u32) -> Command {
    let (id, quantity) = (wide_id(number), quantity(1));
    Command::Reserve { id, quantity, holder: None, expires_at: None }
}

#[track_caller]
fn send(sku: &mut Sku, micros: u32, command: Command) {
    let now = NOON.plus(Span::from_micros(micros.into()));
    for event in at(now, |ctx| sku.decide(command, ctx)).unwrap().events {
        sku.apply(&event);
    }
}

#[track_caller]
fn check_wide(sku: &Sku, now: Timestamp, when: Command, then: Option<Rejection>) {
    assert_eq!(at(now, |ctx| sku.decide(when, ctx)).err(), then);
}

#[test]
fn a_sale_is_remembered_when_the_ledger_has_forgotten_it() {
    let sku = sold(60);
    check_wide(&sku, later(1), reserve_wide(0), Some(Rejection::AlreadyConfirmed));
    let confirm = Command::Confirm { id: wide_id(0), holder: None };
    assert_eq!(at(later(1), |ctx| sku.decide(confirm, ctx)).unwrap().events, []);
}

#[test]
fn a_late_reserve_does_not_undo_a_release() {
    let given = [stocked(5, 5), reserved(1, 3, None, 3), released(1, 0)];
    check(&given, reserve(1, 3, None), Err(Rejection::ReleasedBefore));
    check(&given, confirm(1), Err(Rejection::ReleasedBefore));
    check(&given, take_over(1), Err(Rejection::ReleasedBefore));
    check(&given, release(1), Ok(&[]));
    check(&given, release_early(1), Ok(&[]));
}

#[test]
fn a_late_reserve_does_not_undo_an_expiry() {
    let given = [stocked(5, 5), reserved(1, 3, Some(NOON), 3), expired(&[1], 0)];
    check(&given, reserve(1, 3, None), Err(Rejection::Expired));
    check(&given, confirm(1), Err(Rejection::Expired));
    check(&given, take_over(1), Err(Rejection::Expired));
    check(&given, release(1), Ok(&[]));
}

#[test]
fn a_release_that_comes_first_refuses_the_reserve_where_that_was_asked_for() {
    check(&[stocked(5, 5)], release_early(1), Ok(&[released_early(1)]));
    let given = [stocked(5, 5), released_early(1)];
    check(&given, release_early(1), Ok(&[]));
    check(&given, release(1), Ok(&[]));
    check(&given, reserve(1, 3, None), Err(Rejection::ReleasedBefore));
    check(&given, reserve(2, 3, None), Ok(&[reserved(2, 3, None, 3)]));
}

#[test]
fn a_release_of_nothing_known_records_nothing() {
    check(&[], release(1), Err(Rejection::NotReserved));
    check(&[stocked(5, 5)], release(1), Err(Rejection::NotReserved));
}

#[test]
fn ends_are_remembered_for_a_day() {
    let mut sku = sku(&[stocked(5, 5), reserved(1, 3, None, 3), released(1, 0)]);
    let micros = Ended::LIFE.as_micros();
    let last = NOON.plus(Span::from_micros(micros - 1));
    check_wide(&sku, last, reserve(1, 3, None), Some(Rejection::ReleasedBefore));
    let past = NOON.plus(Span::from_micros(micros));
    let decision = at(past, |ctx| sku.decide(reserve(1, 3, None), ctx)).unwrap();
    for event in decision.events {
        sku.apply(&event);
    }
    assert_eq!((sku.ended.iter().count(), sku.reservations.len()), (0, 1));
    assert_eq!(Sku::from_record(&sku.to_record()), Ok(sku));
}

#[test]
fn the_oldest_end_is_forgotten_first() {
    let sku = sold(ENDED_MAX + 1);
    assert_eq!(sku.ended.iter().count(), Ended::ENTRIES_MAX);
    check_wide(&sku, later(1), reserve_wide(1), Some(Rejection::AlreadyConfirmed));
    // What the module says of the time past its bounds.
    check_wide(&sku, later(1), reserve_wide(0), None);
    let confirm = Command::Confirm { id: wide_id(0), holder: None };
    check_wide(&sku, later(1), confirm, Some(Rejection::NotReserved));
}

#[test]
fn a_stock_at_all_its_bounds_is_small() {
    let mut sku = sold(ENDED_MAX);
    let wordy: Reason = "🍵".repeat(Reason::CHARS_MAX).try_into().unwrap();
    for count in 9_000..9_050 {
        let state = Command::SetOnHand { on_hand: units(count), reason: wordy.clone() };
        send(&mut sku, ENDED_MAX, state);
    }
    for number in 0..u32::try_from(Sku::RESERVATIONS_MAX).unwrap() {
        let reserve = Command::Reserve {
            // In no order, as drawn ids are.
            id: wide_id(2_000 + number * 7_919 % 100_003),
            quantity: quantity(1),
            holder: Some(holder(1)),
            expires_at: Some(later(1).plus(Span::from_micros(number.into()))),
        };
        send(&mut sku, ENDED_MAX, reserve);
    }
    assert_eq!(sku.reservations.len(), Sku::RESERVATIONS_MAX);
    let record = sku.to_record();
    assert!(record.len() <= 512 * 1024, "{} bytes", record.len());
    assert_eq!(Sku::from_record(&record).as_ref(), Ok(&sku));
    let footprint = size_of::<Sku>() + sku.heap_bytes();
    assert!(footprint <= 640 * 1024, "{footprint} bytes");
    // What is over gives its room back.
    send(&mut sku, u32::MAX, Command::ExpireDue);
    let footprint = size_of::<Sku>() + sku.heap_bytes();
    assert!(footprint <= 96 * 1024, "{footprint} bytes");
}

#[test]
fn a_reservation_that_was_taken_over_does_not_expire() {
    let given = [stocked(5, 5), reserved(1, 3, Some(later(1)), 3)];
    check(&given, take_over(1), Ok(&[taken_over(1)]));
    check(&given, take_over(2), Err(Rejection::NotReserved));
    let taken = sku(&[given.as_slice(), &[taken_over(1)]].concat());
    assert_eq!(at(NOON, |ctx| taken.decide(take_over(1), ctx)).unwrap().events, []);
    let expiring = at(later(2), |ctx| taken.decide(Command::ExpireDue, ctx)).unwrap();
    assert_eq!(expiring.events, []);
}

#[test]
fn only_its_holder_ends_a_reservation() {
    let given = [stocked(5, 5), reserved(1, 3, Some(later(1)), 3), taken_over(1)];
    let confirm = |holder| Command::Confirm { id: id(1), holder };
    let release = |holder| {
        let if_unknown = IfUnknown::RefuseItsReserve;
        Command::Release { id: id(1), holder, if_unknown }
    };
    for other in [None, Some(holder(2))] {
        check(&given, confirm(other), Err(Rejection::HeldByAnother));
        check(&given, release(other), Err(Rejection::HeldByAnother));
    }
    check(&given, confirm(Some(holder(1))), Ok(&[confirmed(1, 2, -3, 0)]));
    check(&given, release(Some(holder(1))), Ok(&[released(1, 0)]));
    let theirs = Command::TakeOver { id: id(1), holder: holder(2) };
    check(&given, theirs, Err(Rejection::HeldByAnother));
}

#[test]
fn what_expires_may_be_taken_over_from_its_holder() {
    let expires_at = Some(later(1));
    let (quantity, reserved) = (quantity(3), units(3));
    let holder = Some(holder(2));
    let held = Event::Reserved { id: id(1), quantity, holder, expires_at, reserved, at: NOON };
    check(&[stocked(5, 5), held], take_over(1), Ok(&[taken_over(1)]));
}

#[test]
fn the_reply_has_the_expiry_that_is_held() {
    let given = sku(&[stocked(5, 5), reserved(1, 3, Some(later(1)), 3)]);
    let held = |reply: Reply| reply.reservation.map(|held| held.expires_at);
    let reply = |command| at(NOON, |ctx| given.decide(command, ctx)).unwrap().reply;
    assert_eq!(held(reply(reserve(1, 3, Some(later(9))))), Some(Some(later(1))));
    assert_eq!(held(reply(reserve(1, 3, None))), Some(Some(later(1))));
    assert_eq!(held(reply(reserve(2, 1, Some(later(2))))), Some(Some(later(2))));
    assert_eq!(held(reply(take_over(1))), Some(None));
    assert_eq!(held(reply(release(1))), None);
    let asked = |now, id| match at(now, |ctx| given.view(Query::Reservation { id }, ctx)) {
        View::Reservation(reply) => held(reply),
        other @ (View::Level(_) | View::Reservations(_) | View::Ledger(_) | View::Places(_)) => {
            panic!("{other:?}")
        }
    };
    assert_eq!(asked(NOON, id(1)), Some(Some(later(1))));
    assert_eq!((asked(NOON, id(2)), asked(later(1), id(1))), (None, None));
}
