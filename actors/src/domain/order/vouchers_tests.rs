//! Refunds that become gift cards.

use cluster::entity::{Effect, Wire};

use super::properties::{NOON, PRICE, euro, label};
use super::tenders_tests::{bought_with, bought_with_card_alone};
use super::tests::*;
use super::*;
use crate::domain::gift_card::{self, GiftCard};
use crate::domain::payment;
use crate::domain::sku::OrderStep;

fn card(nth: u8) -> GiftCardId {
    GiftCardId::from_bytes([0xC0 + nth; 16])
}

fn refund_id(nth: u8) -> RefundId {
    RefundId::from_bytes([0xD0 + nth; 16])
}

fn ask(nth: u8, minor: i64) -> Command {
    Command::RefundToCard {
        refund: refund_id(nth),
        amount: euro(minor),
        reason: label("kind"),
        card: card(nth),
        ending: label("WXYZ"),
    }
}

fn asked_for(nth: u8, minor: i64, from_payment: i64, from_cards: &[(u16, i64)]) -> Event {
    let from_cards = from_cards.to_vec();
    let voucher = Voucher { refund: refund_id(nth), card: card(nth), from_payment, from_cards };
    let (amount, reason) = (euro(minor), label("kind"));
    step(VoucherStep::Asked { voucher, amount, reason, is_credit: false })
}

fn step(step: VoucherStep) -> Event {
    Event::Voucher { step, at: NOON }
}

fn issued(nth: u8) -> Event {
    step(VoucherStep::Issued { refund: refund_id(nth) })
}

fn not_issued(nth: u8) -> Event {
    step(VoucherStep::Refused { refund: refund_id(nth) })
}

fn to_issue(nth: u8, minor: i64) -> Effect {
    let (amount, ending, note) = (euro(minor), label("WXYZ"), Some(label("kind")));
    let command = gift_card::Command::IssueFor { order: me(), amount, ending, note };
    Effect::Tell { to: GiftCard::address(card(nth)), command: command.to_bytes() }
}

fn news(nth: u8, news: CardNews) -> Command {
    Command::TakeCardNews { card: card(nth), news }
}

fn refund(minor: i64) -> Command {
    Command::Refund { refund: refund_id(9), amount: euro(minor), reason: label("kind") }
}

#[test]
fn what_was_paid_becomes_a_card_and_is_refunded_no_other_way() {
    let asked = [asked_for(1, 500, 500, &[])];
    check(&confirmed(), ask(1, 500), Ok((&asked, &[to_issue(1, 500)])));
    let given = [confirmed(), asked.to_vec()].concat();
    check_nothing(&given, ask(1, 500));
    check(&given, ask(1, 501), Err(Rejection::RefundDiffers));
    check(&given, refund(TOTAL - 499), Err(Rejection::RefundTooLarge { left: TOTAL - 500 }));
    check(&given, ask(2, TOTAL - 499), Err(Rejection::RefundTooLarge { left: TOTAL - 500 }));
    check(&given, news(1, CardNews::Issued), Ok((&[issued(1)], &[])));
    let given = [given, vec![issued(1)]].concat();
    check_nothing(&given, news(1, CardNews::Issued));
    let seen = view(&given);
    assert_eq!((seen.refunds[0].state, seen.vouchers[0].card), (RefundState::Done, card(1)));
    // The provider has given nothing back.
    assert_eq!(seen.refunded, euro(0));
}

#[test]
fn of_a_card_that_was_not_issued_all_is_there_to_be_refunded() {
    let asked = [confirmed(), vec![asked_for(1, TOTAL, TOTAL, &[])]].concat();
    check(&asked, refund(1), Err(Rejection::RefundTooLarge { left: 0 }));
    check(&asked, news(1, CardNews::NotIssued), Ok((&[not_issued(1)], &[])));
    let given = [asked, vec![not_issued(1)]].concat();
    assert!(!check_effects(&given, refund(TOTAL)).is_empty());
    assert!(check_effects(&given, cancel()).contains(&undo_payment()));
}

#[test]
fn the_payments_money_goes_first_and_that_of_cards_after_it() {
    let rest = TOTAL - 400;
    let asked = [asked_for(1, rest + 100, rest, &[(0, 100)])];
    check(&bought_with(400), ask(1, rest + 100), Ok((&asked, &[to_issue(1, rest + 100)])));
    let given = [bought_with(400), asked.to_vec()].concat();
    check(&given, ask(2, 301), Err(Rejection::RefundTooLarge { left: 300 }));
    let back = [given, vec![not_issued(1)]].concat();
    check(&back, ask(2, TOTAL + 1), Err(Rejection::RefundTooLarge { left: TOTAL }));
    let all = [asked_for(1, TOTAL, 0, &[(0, TOTAL)])];
    check(&bought_with_card_alone(), ask(1, TOTAL), Ok((&all, &[to_issue(1, TOTAL)])));
}

#[test]
fn money_that_is_only_held_becomes_no_card() {
    check(&on_account(), ask(1, 1), Err(Rejection::RefundTooLarge { left: 0 }));
    check(&capturing(), ask(1, 1), Err(Rejection::NotConfirmed));
    check(&confirmed(), ask(1, 0), Err(Rejection::NotPositive));
}

#[test]
fn an_order_that_became_a_card_is_called_off_for_the_rest_of_its_money() {
    let given = [confirmed(), vec![asked_for(1, 500, 500, &[]), issued(1)]].concat();
    let items = vec![(cup(), quantity(2)), (pot(), quantity(1))];
    let (amount, reason) = (euro(TOTAL), label("no more"));
    let cancelled = Event::PiecesCancelled { by: Side::Shopper, items, amount, reason, at: NOON };
    let (refund, amount) = (RefundId::from_bytes([7; 16]), euro(TOTAL - 500));
    let credit = Event::CreditAsked { refund, amount, reason: label("no more"), at: NOON };
    let cups = to_stock(&cup(), OrderStep::Restock { quantity: quantity(2) });
    let pots = to_stock(&pot(), OrderStep::Restock { quantity: quantity(1) });
    let back = to_payment(&payment::Command::Refund { refund, amount });
    let events = [cancelled, credit];
    check(&given, cancel(), Ok((&events, &[cups, pots, back])));
    let given = [given, events.to_vec()].concat();
    check_nothing(&given, cancel());
    assert_eq!(view(&given).status, Status::Cancelled);
    assert_eq!(PRICE * 3, TOTAL);
}

#[test]
fn money_of_a_payment_that_is_given_up_becomes_no_card() {
    let void = [Event::PaymentVoidAsked { at: NOON }, captured()];
    let given = [on_account(), void.to_vec()].concat();
    check(&given, ask(1, 1), Err(Rejection::RefundTooLarge { left: 0 }));
}

#[test]
fn two_refunds_do_not_become_one_card() {
    let given = [confirmed(), vec![asked_for(1, 500, 500, &[]), issued(1)]].concat();
    let again = Command::RefundToCard {
        refund: refund_id(2),
        amount: euro(1),
        reason: label("kind"),
        card: card(1),
        ending: label("WXYZ"),
    };
    check(&given, again, Err(Rejection::RefundDiffers));
}
