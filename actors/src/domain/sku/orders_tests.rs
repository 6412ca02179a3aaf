//! What a stock does for an order, and what it tells it.

use cluster::entity::{Effect, Wire};

use super::tests::*;
use super::*;
use crate::domain::order::{self, Order, Shortage, StockNews};

fn order() -> OrderId {
    OrderId::from_bytes([7; 16])
}

/// The reservation of the order is named as the order is.
const CLAIM: u8 = 7;

fn step(step: OrderStep) -> Command {
    Command::ForOrder { order: order(), step }
}

fn wants(count: u32) -> Command {
    step(OrderStep::Reserve { quantity: quantity(count) })
}

fn held(count: u32, sum: u32) -> Event {
    let holder = Holder::try_from(&Order::address(order())).ok();
    Event::Reserved {
        id: id(CLAIM),
        quantity: quantity(count),
        holder,
        expires_at: None,
        reserved: units(sum),
        at: NOON,
    }
}

fn tea() -> SkuCode {
    "tea".parse().unwrap()
}

fn none_left(available: u32) -> StockNews {
    StockNews::Refused(Shortage::OutOfStock { available: units(available) })
}

/// What happens, and what the order is told if it is told anything.
#[track_caller]
fn check_step(given: &[Event], when: Command, events: &[Event], told: Option<StockNews>) {
    let me = Sku::address(&tea());
    let catalogue = Err(cluster::entity::NoCatalogue::Absent);
    let ctx = Context { now: NOON, me: &me, entropy: [0; 32], catalogue };
    let decision = sku(given).decide(when, &ctx).unwrap();
    let told = told.map(|news| {
        let command = order::Command::TakeStockNews { sku: tea(), news }.to_bytes();
        Effect::Tell { to: Order::address(order()), command }
    });
    assert_eq!(
        (decision.events.as_slice(), decision.effects),
        (events, told.into_iter().collect())
    );
}

#[test]
fn an_order_holds_its_pieces_without_end() {
    let given = [stocked(5, 5)];
    check_step(&given, wants(3), &[held(3, 3)], Some(StockNews::Reserved));
    let given = [stocked(5, 5), held(3, 3)];
    check_step(&given, wants(3), &[], Some(StockNews::Reserved));
    check_step(&given, wants(2), &[], Some(none_left(2)));
    check(&given, confirm(CLAIM), Err(Rejection::HeldByAnother));
    check(&given, release(CLAIM), Err(Rejection::HeldByAnother));
}

#[test]
fn an_order_is_told_what_there_is_instead() {
    check_step(&[], wants(1), &[], Some(none_left(0)));
    check_step(&[stocked(5, 5), reserved(1, 3, None, 3)], wants(3), &[], Some(none_left(2)));
    // What expires at this moment is there again.
    let expiring = [stocked(5, 5), reserved(1, 3, Some(NOON), 3)];
    let me = Sku::address(&tea());
    let catalogue = Err(cluster::entity::NoCatalogue::Absent);
    let ctx = Context { now: NOON, me: &me, entropy: [0; 32], catalogue };
    let decision = sku(&expiring).decide(wants(5), &ctx).unwrap();
    assert_eq!(decision.events, [expired(&[1], 0), held(5, 5)]);
}

#[test]
fn a_crowded_stock_says_so() {
    let mut stock = sku(&[stocked(9_000, 9_000)]);
    for number in 0..u32::try_from(Sku::RESERVATIONS_MAX).unwrap() {
        stock.apply(&Event::Reserved {
            id: wide_id(number),
            quantity: quantity(1),
            holder: None,
            expires_at: None,
            reserved: units(number + 1),
            at: NOON,
        });
    }
    let standing = stock.standing(NOON);
    let asked = OrderStep::Reserve { quantity: quantity(1) };
    let told = stock.for_order(&standing, order(), asked);
    assert_eq!(told, (vec![], Some(StockNews::Refused(Shortage::Crowded))));
}

#[test]
fn what_is_sold_to_an_order_leaves_the_stock_once() {
    let given = [stocked(5, 5), held(3, 3)];
    let sold = confirmed(CLAIM, 2, -3, 0);
    let sell = || step(OrderStep::Confirm);
    check_step(&given, sell(), std::slice::from_ref(&sold), Some(StockNews::Sold));
    let given = [stocked(5, 5), held(3, 3), sold];
    check_step(&given, sell(), &[], Some(StockNews::Sold));
    // Neither is a step that follows these.
    check_step(&given, step(OrderStep::Release), &[], None);
    check_step(&given, wants(3), &[], Some(none_left(2)));
    check_step(&[stocked(5, 5)], sell(), &[], None);
}

#[test]
fn what_an_order_lets_go_of_is_available_again() {
    let given = [stocked(5, 5), held(3, 3)];
    let let_go = || step(OrderStep::Release);
    check_step(&given, let_go(), &[released(CLAIM, 0)], Some(StockNews::Released));
    let given = [stocked(5, 5), held(3, 3), released(CLAIM, 0)];
    check_step(&given, let_go(), &[], Some(StockNews::Released));
    check_step(&given, step(OrderStep::Confirm), &[], None);
}

#[test]
fn a_reserve_that_comes_after_its_release_is_refused() {
    let given = [stocked(5, 5)];
    let early = released_early(CLAIM);
    let let_go = step(OrderStep::Release);
    check_step(&given, let_go, std::slice::from_ref(&early), Some(StockNews::Released));
    check_step(&[stocked(5, 5), early], wants(3), &[], Some(none_left(5)));
}

#[test]
fn what_was_sold_to_an_order_is_there_again() {
    let given = [stocked(5, 5), held(3, 3), confirmed(CLAIM, 2, -3, 0)];
    let returned = |on_hand: u32, change: i64| Event::OnHandSet {
        on_hand: units(on_hand),
        delta: change.try_into().unwrap(),
        reason: Reason::try_from(format!("returned from {}", order())).unwrap(),
        at: NOON,
    };
    let back = |count| step(OrderStep::Restock { quantity: quantity(count) });
    check_step(&given, back(3), &[returned(5, 3)], Some(StockNews::Restocked));
    check_step(&given, back(1), &[returned(3, 1)], Some(StockNews::Restocked));
    // A stock that is as large as one may be stays so.
    let full = [stocked(Units::MAX, i64::from(Units::MAX))];
    check_step(&full, back(3), &[returned(Units::MAX, 0)], Some(StockNews::Restocked));
}
