//! Gift cards in a checkout, what they pay, and how it is undone.

use cluster::entity::{Effect, Wire};

use super::properties::{NOON, PRICE, euro, label, terms};
use super::tests::*;
use super::*;
use crate::domain::gift_card::{self, CardStep, GiftCard};
use crate::domain::ids::CaptureId;
use crate::domain::payment::{self, PaymentMethod};

fn card(nth: u8) -> GiftCardId {
    GiftCardId::from_bytes([0xD0 + nth; 16])
}

fn tender(step: TenderStep) -> Event {
    Event::Tender { step, at: NOON }
}

fn cards_asked(n_cards: u8) -> Event {
    tender(TenderStep::Asked { cards: (0..n_cards).map(card).collect() })
}

fn became(nth: u16, state: TenderState) -> Event {
    tender(TenderStep::Became { nth, state })
}

fn held(nth: u16, minor: i64) -> Event {
    became(nth, TenderState::Held { minor })
}

fn told(nth: u8, news: CardNews) -> Command {
    Command::TakeCardNews { card: card(nth), news }
}

fn to_card(nth: u8, step: CardStep) -> Effect {
    let command = gift_card::Command::ForOrder { order: me(), step }.to_bytes();
    Effect::Tell { to: GiftCard::address(card(nth)), command }
}

/// Placed with cards, and with all pieces held.
fn placed_with(n_cards: u8) -> Vec<Event> {
    vec![asked(), cards_asked(n_cards), reserved(cup()), reserved(pot())]
}

/// Paid with a card for `minor`, the rest by the payment.
pub(super) fn bought_with(minor: i64) -> Vec<Event> {
    let rest = TOTAL - minor;
    let paid = [
        payment_asked(rest),
        Event::Authorised { amount: euro(rest), at: NOON },
        Event::CaptureAsked { amount: euro(rest), at: NOON },
        became(0, TenderState::Spent { minor }),
        Event::Captured { total: euro(rest), at: NOON },
        CONFIRMED,
    ];
    [placed_with(1), vec![held(0, minor)], paid.to_vec()].concat()
}

pub(super) fn bought_with_card_alone() -> Vec<Event> {
    let spent = became(0, TenderState::Spent { minor: TOTAL });
    [placed_with(1), vec![held(0, TOTAL), CONFIRMED, spent]].concat()
}

fn gave_back(refund: RefundId, minor: i64, reason: &str, is_credit: bool) -> Event {
    let (amount, reason, parts) = (euro(minor), label(reason), vec![(0, minor)]);
    tender(TenderStep::GaveBack { refund, amount, reason, parts, is_credit })
}

fn one_cup_shipped() -> Event {
    Event::Shipped {
        shipment: ShipmentNumber(1),
        items: vec![(cup(), quantity(1))],
        carrier: label("Post"),
        tracking: label("1Z"),
        at: NOON,
    }
}

fn refund(number: u8, minor: i64) -> Command {
    let (refund, amount) = (RefundId::from_bytes([number; 16]), euro(minor));
    Command::Refund { refund, amount, reason: label("broken") }
}

#[test]
fn a_placed_order_asks_its_cards_for_all_that_it_comes_to() {
    let Event::Placed { cart, access, payment, placed } = asked() else { unreachable!() };
    let extras = vec![Extra::GiftCard(card(0)), Extra::GiftCard(card(1))];
    let place = Command::placing((cart, access), payment, placed, extras);
    let effects = check_effects(&[], place);
    let hold = CardStep::Hold { most: euro(TOTAL) };
    assert!(effects.contains(&to_card(0, hold)) && effects.contains(&to_card(1, hold)));
}

#[test]
fn the_payment_is_asked_for_what_cards_do_not_pay() {
    let rest = TOTAL - 400;
    let method = terms(Shortfall::FailAll, CaptureTime::AtOnce).method;
    let open = payment::Command::Open { order: me(), amount: euro(rest), method };
    let effects = [
        NO_STOCK_TIMER,
        to_payment(&open),
        to_payment(&payment::Command::Authorise),
        payment_timer(),
    ];
    let events = [held(0, 400), payment_asked(rest)];
    check(&placed_with(1), told(0, CardNews::Held { minor: 400 }), Ok((&events, &effects)));
    // Every card is waited for.
    let first = told(0, CardNews::Held { minor: 400 });
    check(&placed_with(2), first, Ok((&[held(0, 400)], &[])));
}

#[test]
fn cards_that_pay_all_of_it_are_spent_and_nobody_is_asked_for_money() {
    let given = [placed_with(2), vec![held(0, 400)]].concat();
    let events = [held(1, TOTAL), CONFIRMED];
    let [cups, pots] = sell();
    let rest = CardStep::Spend { minor: TOTAL - 400 };
    let first = to_card(0, CardStep::Spend { minor: 400 });
    let effects = [NO_STOCK_TIMER, cups, pots, first, to_card(1, rest), finishes()];
    check(&given, told(1, CardNews::Held { minor: TOTAL }), Ok((&events, &effects)));
    // What is not needed is free again.
    let given = [placed_with(2), vec![held(0, TOTAL)]].concat();
    let effects = check_effects(&given, told(1, CardNews::Held { minor: 400 }));
    assert!(effects.contains(&to_card(1, CardStep::Release)), "{effects:?}");
    let given = [given, vec![held(1, 400), CONFIRMED]].concat();
    let released = became(1, TenderState::Released);
    check(&given, told(1, CardNews::Released), Ok((&[released], &[])));
}

#[test]
fn a_card_that_says_no_ends_the_checkout_and_nothing_is_held() {
    let why = NoMoney::Expired;
    let refused = became(1, TenderState::Refused(why));
    let events = [refused, failed(Failure::GiftCardRefused { card: card(1), why })];
    let [cups, pots] = release();
    let effects = [NO_STOCK_TIMER, cups, pots, to_card(0, CardStep::Release), reopens()];
    let given = [placed_with(2), vec![held(0, 400)]].concat();
    check(&given, told(1, CardNews::Refused(why)), Ok((&events, &effects)));
}

/// Placed with a card, and with nobody to ask for what it does not pay.
fn placed_with_card_alone() -> Vec<Event> {
    let Event::Placed { cart, access, payment, mut placed } = asked() else { unreachable!() };
    placed.terms.method = PaymentMethod::none();
    let placed = Event::Placed { cart, access, payment, placed };
    vec![placed, cards_asked(1), reserved(cup()), reserved(pot())]
}

#[test]
fn an_order_without_a_payment_fails_over_what_cards_do_not_pay_and_nobody_is_asked() {
    let due = euro(TOTAL - 400);
    let events = [held(0, 400), failed(Failure::PaymentRequired { due })];
    let [cups, pots] = release();
    let effects = [NO_STOCK_TIMER, cups, pots, to_card(0, CardStep::Release), reopens()];
    let when = told(0, CardNews::Held { minor: 400 });
    check(&placed_with_card_alone(), when, Ok((&events, &effects)));
}

#[test]
fn an_order_without_a_payment_is_bought_where_cards_pay_all_of_it() {
    let effects = {
        let [cups, pots] = sell();
        let spend = to_card(0, CardStep::Spend { minor: TOTAL });
        [NO_STOCK_TIMER, cups, pots, spend, finishes()]
    };
    let when = told(0, CardNews::Held { minor: TOTAL });
    let events = [held(0, TOTAL), CONFIRMED];
    check(&placed_with_card_alone(), when, Ok((&events, &effects)));
}

#[test]
fn every_way_out_frees_what_a_card_holds_or_gives_back_what_it_paid() {
    let given = [placed_with(1), vec![held(0, 400), payment_asked(TOTAL - 400)]].concat();
    let effects = check_effects(&given, paid(News::Declined { reason: Refusal::Declined }));
    assert!(effects.contains(&to_card(0, CardStep::Release)), "{effects:?}");
    let effects = check_effects(&bought_with(400), cancel());
    assert!(effects.contains(&to_card(0, CardStep::GiveBack { minor: 400 })), "{effects:?}");
    let given = [bought_with(400), vec![cancel_asked()]].concat();
    let returned = became(0, TenderState::Returned { minor: 400 });
    check(&given, told(0, CardNews::GivenBack), Ok((&[returned], &[])));
    // Late news is no news.
    check_nothing(&given, told(0, CardNews::Spent));
    check_nothing(&given, told(1, CardNews::Spent));
}

#[test]
fn refunds_are_the_payments_first_and_the_cards_afterwards() {
    let rest = TOTAL - 400;
    let given = bought_with(400);
    check(&given, refund(1, rest + 1), Err(Rejection::RefundTooLarge { left: rest }));
    let (id, amount) = (RefundId::from_bytes([1; 16]), euro(rest));
    let (asked, reason) = (payment::Command::Refund { refund: id, amount }, label("broken"));
    let event = Event::RefundAsked { refund: id, amount, reason, at: NOON };
    let effects = [to_payment(&asked)];
    check(&given, refund(1, rest), Ok((std::slice::from_ref(&event), &effects)));
    let given = [given, vec![event]].concat();
    check(&given, refund(2, 401), Err(Rejection::RefundTooLarge { left: 400 }));
    let events = [gave_back(RefundId::from_bytes([2; 16]), 300, "broken", false)];
    let effects = [to_card(0, CardStep::GiveBack { minor: 300 })];
    check(&given, refund(2, 300), Ok((&events, &effects)));
    let given = [given, events.to_vec()].concat();
    // A repeat is none, and what is left is less.
    check_nothing(&given, refund(2, 300));
    check(&given, refund(3, 101), Err(Rejection::RefundTooLarge { left: 100 }));
    let effects = check_effects(&given, cancel());
    assert!(effects.contains(&to_card(0, CardStep::GiveBack { minor: 100 })), "{effects:?}");
    let seen = view(&given);
    assert_eq!((seen.refunds.len(), seen.to_cards.len()), (2, 1));
}

#[test]
fn pieces_that_are_called_off_cost_the_payment_less_first_and_then_the_cards() {
    let shipped = one_cup_shipped();
    let name = |nth: u8| {
        let mut name = [7; 16];
        name[0] ^= nth;
        RefundId::from_bytes(name)
    };
    // All of it was paid by the card.
    let given = [bought_with_card_alone(), vec![shipped.clone()]].concat();
    let effects = check_effects(&given, cancel());
    let two_pieces = to_card(0, CardStep::GiveBack { minor: 2 * PRICE });
    assert!(effects.contains(&two_pieces), "{effects:?}");
    // The payment had one piece, the card two: two are called off.
    let given = [bought_with(2 * PRICE), vec![shipped]].concat();
    let effects = check_effects(&given, cancel());
    assert!(effects.contains(&to_card(0, CardStep::GiveBack { minor: PRICE })), "{effects:?}");
    let (refund, amount) = (name(1), euro(PRICE));
    let refund = to_payment(&payment::Command::Refund { refund, amount });
    assert!(effects.contains(&refund), "{effects:?}");
    let items = vec![(cup(), quantity(1)), (pot(), quantity(1))];
    let (by, amount, reason) = (Side::Shopper, euro(2 * PRICE), label("no more"));
    let cancelled = Event::PiecesCancelled { by, items, amount, reason, at: NOON };
    let credit = gave_back(name(0), PRICE, "no more", true);
    let (refund, amount, reason) = (name(1), euro(PRICE), label("no more"));
    let asked = Event::CreditAsked { refund, amount, reason, at: NOON };
    let given = [given, vec![cancelled, credit, asked]].concat();
    check_nothing(&given, cancel());
}

#[test]
fn what_is_due_with_the_first_shipment_is_what_cards_did_not_pay() {
    let Event::Placed { cart, access, payment, .. } = asked() else { unreachable!() };
    let placed = bought(Shortfall::FailAll, CaptureTime::OnFulfilment);
    let placed = Event::Placed { cart, access, payment, placed };
    let rest = TOTAL - 400;
    let given = vec![
        placed,
        cards_asked(1),
        reserved(cup()),
        reserved(pot()),
        held(0, 400),
        payment_asked(rest),
        Event::Authorised { amount: euro(rest), at: NOON },
        CONFIRMED,
    ];
    let (shipment, items) = (ShipmentNumber(1), vec![(cup(), quantity(1))]);
    let (carrier, tracking) = (label("Post"), label("1Z"));
    let effects = check_effects(&given, Command::Fulfil { shipment, items, carrier, tracking });
    let (capture, amount) = (CaptureId::from_bytes([7; 16]), euro(rest));
    let capture = to_payment(&payment::Command::Capture { capture, amount });
    assert!(effects.contains(&capture), "{effects:?}");
}

#[test]
fn what_the_payment_has_no_more_for_called_off_pieces_the_cards_get_back() {
    let shipped = one_cup_shipped();
    // The payment had two pieces, the card one; the shipped one is refunded, two are called off.
    let given = [bought_with(PRICE), vec![shipped]].concat();
    let (refund, amount, reason) = (RefundId::from_bytes([1; 16]), euro(PRICE), label("broken"));
    let refunded = Event::RefundAsked { refund, amount, reason, at: NOON };
    let given = [given, vec![refunded]].concat();
    let effects = check_effects(&given, cancel());
    assert!(effects.contains(&to_card(0, CardStep::GiveBack { minor: PRICE })), "{effects:?}");
    let mut name = [7; 16];
    name[0] ^= 1;
    let (refund, amount) = (RefundId::from_bytes(name), euro(PRICE));
    let refund = to_payment(&payment::Command::Refund { refund, amount });
    assert!(effects.contains(&refund), "{effects:?}");
}

#[test]
fn a_card_that_is_not_needed_is_for_others_as_soon_as_that_is_known() {
    let given = vec![asked(), cards_asked(2), reserved(cup()), reserved(pot()), held(0, TOTAL)];
    let effects = check_effects(&given, told(1, CardNews::Held { minor: TOTAL }));
    assert!(effects.contains(&to_card(1, CardStep::Release)), "{effects:?}");
    assert!(effects.contains(&to_card(0, CardStep::Spend { minor: TOTAL })), "{effects:?}");
}

#[test]
fn where_cards_pay_all_that_is_left_the_payment_is_given_up_and_the_rest_is_sent() {
    let Event::Placed { cart, access, payment, .. } = asked() else { unreachable!() };
    let placed = bought(Shortfall::FailAll, CaptureTime::OnFulfilment);
    let placed = Event::Placed { cart, access, payment, placed };
    let (rest, by_card) = (PRICE, 2 * PRICE);
    let given = vec![
        placed,
        cards_asked(1),
        reserved(cup()),
        reserved(pot()),
        held(0, by_card),
        payment_asked(rest),
        Event::Authorised { amount: euro(rest), at: NOON },
        CONFIRMED,
    ];
    let pots = Command::CancelPieces {
        by: Side::Shop,
        items: vec![(pot(), quantity(1))],
        reason: label("no more"),
    };
    let effects = check_effects(&given, pots);
    assert!(effects.contains(&undo_payment()), "{effects:?}");
    let (by, items) = (Side::Shop, vec![(pot(), quantity(1))]);
    let (amount, reason) = (euro(PRICE), label("no more"));
    let cancelled = Event::PiecesCancelled { by, items, amount, reason, at: NOON };
    let void = Event::PaymentVoidAsked { at: NOON };
    let given = [given, vec![cancelled, void, UNDONE]].concat();
    let (shipment, items) = (ShipmentNumber(1), vec![(cup(), quantity(2))]);
    let (carrier, tracking) = (label("Post"), label("1Z"));
    let effects = check_effects(&given, Command::Fulfil { shipment, items, carrier, tracking });
    assert_eq!(effects, []);
}
