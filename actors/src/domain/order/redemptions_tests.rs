//! Uses of discount codes in a checkout, and how they are undone.

use cluster::entity::{Effect, Wire};

use super::properties::{NOON, euro, terms};
use super::tests::*;
use super::*;
use crate::domain::code_uses::{self, CodeUses, NoUse, UseStep};
use crate::domain::payment;

fn redemption() -> Redemption {
    let code = "SALE".parse().unwrap();
    let counted = Counted { code, customer: None };
    let promotion = "sale".parse().unwrap();
    Redemption { counted, promotion, limit: std::num::NonZeroU32::new(3) }
}

fn uses_asked() -> Event {
    Event::UsesAsked { redemptions: vec![redemption()], at: NOON }
}

fn became(state: UseState) -> Event {
    Event::UseBecame { nth: 0, state, at: NOON }
}

fn told(news: UseNews) -> Command {
    Command::TakeUseNews { counted: redemption().counted, news }
}

fn to_code(step: UseStep) -> Effect {
    let command = code_uses::Command::ForOrder { order: me(), step }.to_bytes();
    Effect::Tell { to: CodeUses::address(&redemption().counted), command }
}

/// Placed with a code, and with pieces of these held.
fn placed_with(held: &[SkuCode]) -> Vec<Event> {
    let held = held.iter().map(|sku| reserved(sku.clone()));
    [asked(), uses_asked()].into_iter().chain(held).collect()
}

/// These events, with a code that is held from the beginning.
fn with_code(events: Vec<Event>) -> Vec<Event> {
    let (placed, rest) = events.split_first().unwrap();
    [&[placed.clone(), uses_asked(), became(UseState::Held)], rest].concat()
}

fn exhausted() -> Failure {
    Failure::CodeExhausted { code: "SALE".parse().unwrap() }
}

#[test]
fn a_placed_order_asks_for_its_uses_beside_its_stocks() {
    let Event::Placed { cart, access, payment, placed } = asked() else { unreachable!() };
    let extras = vec![Extra::Redemption(redemption())];
    let command = Command::placing((cart, access), payment, placed, extras);
    let address = Order::address(me());
    let catalogue = Err(cluster::entity::NoCatalogue::Absent);
    let ctx = Context { now: NOON, me: &address, entropy: [0; 32], catalogue };
    let decision = Order::default().decide(command, &ctx).unwrap();
    assert_eq!(decision.events, [asked(), uses_asked()]);
    let hold = to_code(UseStep::Hold { limit: redemption().limit });
    assert!(decision.effects.contains(&hold), "{:?}", decision.effects);
    let view = decision.reply.0.unwrap();
    assert_eq!(view.codes.len(), 1);
}

#[test]
fn nobody_is_asked_for_money_before_every_code_has_answered() {
    let given = placed_with(&[cup()]);
    check(&given, stock(pot(), StockNews::Reserved), Ok((&[reserved(pot())], &[])));
    let given = placed_with(&[cup(), pot()]);
    let open = payment::Command::Open {
        order: me(),
        amount: euro(TOTAL),
        method: terms(Shortfall::FailAll, CaptureTime::AtOnce).method,
    };
    let effects = [
        NO_STOCK_TIMER,
        to_payment(&open),
        to_payment(&payment::Command::Authorise),
        payment_timer(),
    ];
    let events = [became(UseState::Held), payment_asked(TOTAL)];
    check(&given, told(UseNews::Held), Ok((&events, &effects)));
}

#[test]
fn a_code_that_says_no_ends_the_checkout_and_nothing_is_held() {
    let no = UseNews::Refused(NoUse::Exhausted);
    let refused = became(UseState::Refused(NoUse::Exhausted));
    let [cups, pots] = release();
    let effects = [NO_STOCK_TIMER, cups, pots, reopens()];
    let given = placed_with(&[cup(), pot()]);
    check(&given, told(no), Ok((&[refused.clone(), failed(exhausted())], &effects)));
    // The stocks are waited for: what they hold is known then.
    let given = placed_with(&[cup()]);
    check(&given, told(no), Ok((std::slice::from_ref(&refused), &[])));
    let given = [placed_with(&[cup()]), vec![refused]].concat();
    let events = [reserved(pot()), failed(exhausted())];
    check(&given, stock(pot(), StockNews::Reserved), Ok((&events, &effects)));
}

#[test]
fn a_use_is_counted_when_the_money_is_taken() {
    let given = with_code(authorising());
    let amount = euro(TOTAL);
    let address = Order::address(me());
    let catalogue = Err(cluster::entity::NoCatalogue::Absent);
    let ctx = Context { now: NOON, me: &address, entropy: [0; 32], catalogue };
    let mut order = Order::default();
    given.iter().for_each(|event| order.apply(event));
    let decision = order.decide(paid(News::Authorised { amount }), &ctx).unwrap();
    assert!(decision.effects.contains(&to_code(UseStep::Count)), "{:?}", decision.effects);
    let given = with_code(capturing());
    check(&given, told(UseNews::Counted), Ok((&[became(UseState::Counted)], &[])));
    // Nothing more is told when the order is confirmed.
    check(&given, money_taken(), Ok((&[captured(), CONFIRMED], &[NO_PAYMENT_TIMER, finishes()])));
}

#[test]
fn every_way_out_frees_the_use() {
    let [cups, pots] = release();
    let (release_it, return_it) = (to_code(UseStep::Release), to_code(UseStep::Return));
    let given = [asked(), uses_asked()];
    let failure = failed(Failure::StockSilent);
    let effects = [cups.clone(), pots.clone(), release_it.clone(), reopens()];
    check(&given, Command::GiveUpStock, Ok((&[failure], &effects)));
    let given = with_code(authorising());
    let effects = [NO_PAYMENT_TIMER, cups, pots, release_it, reopens()];
    let events = [UNDONE, failed(declined())];
    check(&given, paid(News::Declined { reason: Refusal::Declined }), Ok((&events, &effects)));
    let [cups, pots] = restock();
    let given = with_code(confirmed());
    let effects = [cups, pots, return_it, undo_payment()];
    check(&given, cancel(), Ok((&[cancel_asked()], &effects)));
    let given = [given, vec![cancel_asked()]].concat();
    check(&given, told(UseNews::Returned), Ok((&[became(UseState::Released)], &[])));
}

#[test]
fn late_news_of_a_code_changes_nothing() {
    let given = [placed_with(&[]), vec![failed(Failure::StockSilent)]].concat();
    check_nothing(&given, told(UseNews::Held));
    check_nothing(&given, told(UseNews::Counted));
    check(&given, told(UseNews::Released), Ok((&[became(UseState::Released)], &[])));
}

#[test]
fn a_customer_whose_first_order_is_another_is_told_so() {
    let counted = Counted::first_order_of(code_uses::CustomerKey::from_bytes([7; 16]));
    let first = Redemption { counted: counted.clone(), ..redemption() };
    let uses = Event::UsesAsked { redemptions: vec![redemption(), first], at: NOON };
    let given = [asked(), uses, became(UseState::Held), reserved(cup()), reserved(pot())];
    let refused = UseState::Refused(NoUse::Exhausted);
    let events =
        [Event::UseBecame { nth: 1, state: refused, at: NOON }, failed(Failure::NotFirstOrder)];
    let [cups, pots] = release();
    let effects = [NO_STOCK_TIMER, cups, pots, to_code(UseStep::Release), reopens()];
    let news = UseNews::Refused(NoUse::Exhausted);
    check(&given, Command::TakeUseNews { counted, news }, Ok((&events, &effects)));
}
