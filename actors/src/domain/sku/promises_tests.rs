//! What a stock promises to orders beyond what is there, and how it keeps it.

use cluster::entity::{Effect, Wire};
use cluster::time::Span;

use super::tests::*;
use super::*;
use crate::domain::order::{self, Order, Shortage};

fn order(number: u8) -> OrderId {
    OrderId::from_bytes([number; 16])
}

fn wants(number: u8, count: u32) -> Command {
    step(number, OrderStep::Reserve { quantity: quantity(count) })
}

fn step(number: u8, step: OrderStep) -> Command {
    Command::ForOrder { order: order(number), step }
}

fn take_back(number: u8, count: u32) -> Command {
    step(number, OrderStep::TakeBack { quantity: quantity(count) })
}

fn policy(policy: Policy) -> Event {
    Event::PolicySet { policy, at: NOON }
}

fn backorder(limit: u32) -> Event {
    policy(Policy::Backorder { limit: Some(units(limit)) })
}

fn held(number: u8, count: u32, sum: u32) -> Event {
    let holder = Holder::try_from(&Order::address(order(number))).ok();
    let (id, quantity, reserved) = (id(number), quantity(count), units(sum));
    Event::Reserved { id, quantity, holder, expires_at: None, reserved, at: NOON }
}

fn promised(number: u8, asked: u32, waiting: u32, sum: u32) -> Event {
    let (asked, waiting, backordered) = (quantity(asked), quantity(waiting), units(sum));
    Event::Promised { order: order(number), asked, waiting, backordered, at: NOON }
}

fn withdrawn(number: u8, sum: u32) -> Event {
    Event::PromiseWithdrawn { order: order(number), backordered: units(sum), at: NOON }
}

/// Of each order: its number, what is held for it and what it waits for.
fn kept(kept: &[(u8, u32, u32)], reserved: u32, backordered: u32) -> Event {
    let one = |(number, held, waiting): &(u8, u32, u32)| {
        let (held, waiting) = (quantity(*held), units(*waiting));
        Kept { order: order(*number), held, waiting }
    };
    let kept = kept.iter().map(one).collect();
    let (reserved, backordered) = (units(reserved), units(backordered));
    Event::PromisesKept { kept, reserved, backordered, at: NOON }
}

fn arrive(count: i64) -> Command {
    let reason = Reason::try_from("counted".to_owned()).unwrap();
    Command::Adjust { delta: count.try_into().unwrap(), reason }
}

/// What happens, and what orders are told, each by its number.
#[track_caller]
fn check_told(given: &[Event], when: Command, events: &[Event], told: &[(u8, StockNews)]) {
    let decision = at(NOON, |ctx| sku(given).decide(when, ctx)).unwrap();
    assert_eq!(decision.events, events);
    let tell = |(number, news): &(u8, StockNews)| {
        let sku = "tea".parse().unwrap();
        let command = order::Command::TakeStockNews { sku, news: *news }.to_bytes();
        Effect::Tell { to: Order::address(order(*number)), command }
    };
    assert_eq!(decision.effects, told.iter().map(tell).collect::<Vec<_>>());
}

fn promises(count: u32) -> StockNews {
    StockNews::Promised { waiting: quantity(count) }
}

fn arrived(waiting: u32) -> StockNews {
    StockNews::Arrived { waiting: units(waiting) }
}

fn none_left(available: u32) -> StockNews {
    StockNews::Refused(Shortage::OutOfStock { available: units(available) })
}

#[test]
fn what_is_there_is_reserved_and_the_rest_is_promised_up_to_the_limit() {
    let given = [stocked(2, 2), backorder(3)];
    let both = [held(1, 2, 2), promised(1, 5, 3, 3)];
    check_told(&given, wants(1, 5), &both, &[(1, promises(3))]);
    check_told(&given, wants(1, 6), &[], &[(1, none_left(2))]);
    check_told(&given, wants(1, 2), &[held(1, 2, 2)], &[(1, StockNews::Reserved)]);
    let given = [stocked(2, 2), backorder(3), held(1, 2, 2), promised(1, 4, 2, 2)];
    check_told(&given, wants(2, 1), &[promised(2, 1, 1, 3)], &[(2, promises(1))]);
    check_told(&given, wants(2, 2), &[], &[(2, none_left(0))]);
    // A repeat, and another quantity under the same name.
    check_told(&given, wants(1, 4), &[], &[(1, promises(2))]);
    check_told(&given, wants(1, 3), &[], &[(1, none_left(0))]);
}

#[test]
fn without_a_policy_nothing_is_promised_and_without_a_limit_anything() {
    check_told(&[stocked(2, 2)], wants(1, 3), &[], &[(1, none_left(2))]);
    let given = [stocked(2, 2), policy(Policy::Backorder { limit: None })];
    let both = [held(1, 2, 2), promised(1, 9_999, 9_997, 9_997)];
    check_told(&given, wants(1, 9_999), &both, &[(1, promises(9_997))]);
}

#[test]
fn a_preorder_is_taken_until_the_thing_is_out() {
    let until = |at| policy(Policy::Preorder { available_from: Some(at), limit: None });
    let open = [stocked(0, 0), until(NOON.plus(Span::from_micros(1)))];
    check_told(&open, wants(1, 3), &[promised(1, 3, 3, 3)], &[(1, promises(3))]);
    check_told(&[stocked(0, 0), until(NOON)], wants(1, 3), &[], &[(1, none_left(0))]);
    // What was promised before stays promised.
    let out = [stocked(0, 0), until(NOON), promised(1, 3, 3, 3)];
    let events = [stocked(5, 5), kept(&[(1, 3, 0)], 3, 0)];
    check_told(&out, arrive(5), &events, &[(1, arrived(0))]);
}

#[test]
fn pieces_that_come_go_to_the_oldest_promise_first() {
    let given = [
        stocked(1, 1),
        backorder(9),
        held(1, 1, 1),
        promised(1, 3, 2, 2),
        promised(2, 4, 4, 6),
        promised(3, 1, 1, 7),
    ];
    let events = [stocked(5, 4), kept(&[(1, 3, 0), (2, 2, 2)], 5, 3)];
    check_told(&given, arrive(4), &events, &[(1, arrived(0)), (2, arrived(2))]);
    let more = [&given[..], &events].concat();
    let events = [stocked(12, 7), kept(&[(2, 4, 0), (3, 1, 0)], 8, 0)];
    check_told(&more, arrive(7), &events, &[(2, arrived(0)), (3, arrived(0))]);
}

#[test]
fn what_another_lets_go_of_goes_to_those_who_wait() {
    let given = [stocked(2, 2), backorder(9), held(1, 2, 2), promised(2, 2, 2, 2)];
    let events = [released(1, 0), kept(&[(2, 2, 0)], 2, 0)];
    let told = [(1, StockNews::Released), (2, arrived(0))];
    check_told(&given, step(1, OrderStep::Release), &events, &told);
}

#[test]
fn what_expires_goes_to_those_who_wait_before_anything_else() {
    let given = [stocked(2, 2), backorder(9), reserved(8, 2, Some(NOON), 2), promised(2, 1, 1, 1)];
    let events = [expired(&[8], 0), kept(&[(2, 1, 0)], 1, 0), held(3, 1, 2)];
    let decision = at(NOON, |ctx| sku(&given).decide(wants(3, 1), ctx)).unwrap();
    assert_eq!(decision.events, events);
}

#[test]
fn whoever_looks_sees_what_has_expired_handed_on() {
    let given = [stocked(2, 2), backorder(9), reserved(8, 2, Some(NOON), 2), promised(2, 1, 1, 1)];
    let seen = |query| at(NOON, |ctx| sku(&given).view(query, ctx));
    let View::Level(level) = seen(Query::Level) else { panic!() };
    assert_eq!((level.available, level.backordered), (units(1), units(0)));
    let View::Reservation(reply) = seen(Query::Reservation { id: id(2) }) else { panic!() };
    let held = reply.reservation.expect("it is kept for the order");
    assert_eq!((reply.level, held.id, held.quantity), (level, id(2), quantity(1)));
    let all = Query::Reservations { after: None, limit: 9.try_into().unwrap() };
    let View::Reservations(page) = seen(all) else { panic!() };
    assert_eq!(page.reservations, [held]);
}

#[test]
fn what_is_sold_leaves_the_stock_and_what_is_promised_waits_on() {
    let given = [stocked(2, 2), backorder(9), held(1, 2, 2), promised(1, 5, 3, 3)];
    let sold = confirmed(1, 0, -2, 0);
    let sell = || step(1, OrderStep::Confirm);
    check_told(&given, sell(), std::slice::from_ref(&sold), &[(1, StockNews::Sold)]);
    let partly = [&given[..], &[sold]].concat();
    check_told(&partly, sell(), &[], &[(1, StockNews::Sold)]);
    let come = [stocked(4, 4), kept(&[(1, 3, 0)], 3, 0)];
    check_told(&partly, arrive(4), &come, &[(1, arrived(0))]);
    let there = [&partly[..], &come].concat();
    check_told(&there, sell(), &[confirmed(1, 1, -3, 0)], &[(1, StockNews::Sold)]);
}

#[test]
fn an_order_that_lets_go_waits_no_more() {
    let let_go = || step(1, OrderStep::Release);
    let given = [stocked(2, 2), backorder(9), held(1, 2, 2), promised(1, 5, 3, 3)];
    check_told(&given, let_go(), &[withdrawn(1, 0), released(1, 0)], &[(1, StockNews::Released)]);
    let given = [stocked(0, 0), backorder(9), promised(1, 5, 5, 5)];
    check_told(&given, let_go(), &[withdrawn(1, 0)], &[(1, StockNews::Released)]);
    let gone = [stocked(0, 0), backorder(9), promised(1, 5, 5, 5), withdrawn(1, 0)];
    check_told(&gone, let_go(), &[], &[(1, StockNews::Released)]);
    check_told(&gone, wants(1, 5), &[], &[(1, none_left(0))]);
}

#[test]
fn what_was_sold_of_a_promise_comes_back_and_the_rest_is_not_waited_for() {
    let restocked = |on_hand: u32, change: i64| {
        let reason = Reason::try_from(format!("returned from {}", order(1))).unwrap();
        let (on_hand, delta) = (units(on_hand), change.try_into().unwrap());
        Event::OnHandSet { on_hand, delta, reason, at: NOON }
    };
    let told = [(1, StockNews::Restocked)];
    // Two sold, three waited for.
    let given =
        [stocked(2, 2), backorder(9), held(1, 2, 2), promised(1, 5, 3, 3), confirmed(1, 0, -2, 0)];
    check_told(&given, take_back(1, 5), &[withdrawn(1, 0), restocked(2, 2)], &told);
    // Two sold, one reserved that the order has not heard of, two waited for.
    let come = [&given[..], &[stocked(1, 1), kept(&[(1, 1, 2)], 1, 2)]].concat();
    let events = [withdrawn(1, 0), released(1, 0), restocked(3, 2)];
    check_told(&come, take_back(1, 5), &events, &told);
    // All of it sold meanwhile.
    let all = [&given[..], &[stocked(3, 3), kept(&[(1, 3, 0)], 3, 0), confirmed(1, 0, -3, 0)]];
    check_told(&all.concat(), take_back(1, 5), &[restocked(5, 5)], &told);
}

#[test]
fn nobody_else_ends_or_begins_what_is_promised() {
    let given = [stocked(0, 0), backorder(9), promised(1, 5, 5, 5)];
    check(&given, reserve(1, 1, None), Err(Rejection::HeldByAnother));
    check(&given, release(1), Err(Rejection::HeldByAnother));
    check(&given, release_early(1), Err(Rejection::HeldByAnother));
    check(&given, confirm(1), Ok(&[]));
    check(&given, reserve(2, 1, None), Err(out_of_stock(1, 0)));
}

#[test]
fn a_stock_promises_to_so_many_orders_at_once() {
    let mut stock = sku(&[policy(Policy::Backorder { limit: None })]);
    for number in 0..u32::try_from(Promises::LEN_MAX).unwrap() {
        stock.apply(&Event::Promised {
            order: OrderId::from_bytes(u128::from(number).to_be_bytes()),
            asked: quantity(1),
            waiting: quantity(1),
            backordered: units(number + 1),
            at: NOON,
        });
    }
    let asked = OrderStep::Reserve { quantity: quantity(1) };
    let (events, told) = stock.for_order(&stock.standing(NOON), order(9), asked);
    assert_eq!((events, told), (vec![], Some(StockNews::Refused(Shortage::Crowded))));
    let all = at(NOON, |ctx| stock.decide(arrive(5_000), ctx)).unwrap();
    assert_eq!(all.effects.len(), Promises::LEN_MAX, "one entry keeps them all");
    let bytes: usize = all.events.iter().map(|event| event.to_bytes().len()).sum();
    let told = all.effects.iter().map(|effect| {
        let Effect::Tell { command, .. } = effect else { panic!("{effect:?}") };
        command.len()
    });
    assert!(bytes + told.sum::<usize>() < 200_000, "far below an entry's bound");
}

#[test]
fn promises_that_are_kept_are_no_more_reservations_than_a_stock_may_have() {
    let max = u32::try_from(Sku::RESERVATIONS_MAX).unwrap();
    let mut stock = sku(&[stocked(max - 1, 0), backorder(9)]);
    for number in 0..max - 1 {
        stock.apply(&Event::Reserved {
            id: wide_id(number),
            quantity: quantity(1),
            holder: None,
            expires_at: None,
            reserved: units(number + 1),
            at: NOON,
        });
    }
    let decide = |stock: &Sku, command| at(NOON, |ctx| stock.decide(command, ctx)).unwrap();
    for (number, is_promised) in [(200, true), (201, false), (202, false)] {
        let decision = decide(&stock, wants(number, 2));
        assert_eq!(decision.events.len(), usize::from(is_promised), "{number}");
        decision.events.iter().for_each(|event| stock.apply(event));
    }
    decide(&stock, arrive(9)).events.iter().for_each(|event| stock.apply(event));
    assert_eq!(stock.reservations.len(), Sku::RESERVATIONS_MAX);
    assert_eq!(Sku::from_record(&stock.to_record()).as_ref(), Ok(&stock));
}

#[test]
fn a_policy_and_a_threshold_are_set_once() {
    let some = Policy::Backorder { limit: None };
    let set = || Command::SetPolicy { policy: some };
    check(&[stocked(1, 1)], set(), Ok(&[policy(some)]));
    check(&[stocked(1, 1), policy(some)], set(), Ok(&[]));
    let mark = |threshold: Option<u32>| Command::SetLowStock { threshold: threshold.map(units) };
    let marked =
        |threshold: Option<u32>| Event::LowStockSet { threshold: threshold.map(units), at: NOON };
    check(&[stocked(9, 9)], mark(Some(2)), Ok(&[marked(Some(2))]));
    check(&[stocked(9, 9), marked(Some(2))], mark(Some(2)), Ok(&[]));
    check(&[stocked(9, 9), marked(Some(2))], mark(None), Ok(&[marked(None)]));
}
