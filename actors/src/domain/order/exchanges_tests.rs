//! Pieces for other pieces.

use std::sync::Arc;

use cluster::entity::{Catalogue, Effect, Wire};

use super::properties::{NOON, PRICE, book, code, euro, label, terms};
use super::tests::*;
use super::*;
use crate::domain::gift_card::{self, GiftCard};
use crate::domain::money::Currency;
use crate::domain::payment::PaymentMethod;
use crate::domain::pricing::NotPriced;
use crate::domain::pricing::discounting_tests::percent;
use crate::domain::promotion::{Promotion, Shoppers};
use crate::domain::published::{Fact, OrderFact, told_apart};
use crate::domain::sku::OrderStep;

const CARD: GiftCardId = GiftCardId::from_bytes([0xC1; 16]);
const REFUND: RefundId = RefundId::from_bytes([0xD1; 16]);
const OTHER: OrderId = OrderId::from_bytes([0xE1; 16]);
const OTHER_PAYMENT: PaymentId = PaymentId::from_bytes([0xE2; 16]);
const NUMBER: ReturnNumber = ReturnNumber(1);

fn names() -> SwapNames {
    SwapNames {
        order: OTHER,
        payment: OTHER_PAYMENT,
        refund: REFUND,
        card: CARD,
        ending: label("WXYZ"),
    }
}

/// So many teas for what is given, and nothing but its credit to pay with.
fn swap(given: Given, teas: u32) -> Swap {
    let wanted = vec![(code(2), quantity(teas))];
    let (names, method, reason) = (names(), PaymentMethod::none(), label("tea rather"));
    Swap { names, given, wanted, shipping: None, credit: None, method, reason }
}

fn ask(swap: Swap) -> Command {
    Command::Exchange(Box::new(swap))
}

fn a_cup_back(is_awaited: bool) -> Given {
    Given::Returned { items: vec![(cup(), quantity(1))], is_awaited }
}

fn no_pot() -> Given {
    Given::Cancelled { items: vec![(pot(), quantity(1))] }
}

fn shipped() -> Event {
    let items = vec![(cup(), quantity(2))];
    let (shipment, carrier, tracking) = (ShipmentNumber(1), label("Post"), label("1Z"));
    Event::Shipped { shipment, items, carrier, tracking, at: NOON }
}

/// Bought and paid, with both cups on their way.
fn sent() -> Vec<Event> {
    [confirmed(), vec![shipped()]].concat()
}

fn decision(given: &[Event], when: Command) -> Result<Decision<Order>, Rejection> {
    let mut order = Order::default();
    given.iter().for_each(|event| order.apply(event));
    let me = Order::address(me());
    let catalogue = Catalogue { index: 3, content: Arc::new(book()) };
    let ctx = Context { now: NOON, me: &me, entropy: [0; 32], catalogue: Ok(&catalogue) };
    order.decide(when, &ctx)
}

fn decide(given: &[Event], when: Command) -> Result<(Vec<Event>, Vec<Effect>), Rejection> {
    let decision = decision(given, when)?;
    Ok((decision.events, told_apart(decision.effects).1))
}

#[track_caller]
fn refuses(given: &[Event], swap: Swap, why: Rejection) {
    assert_eq!(decide(given, ask(swap)), Err(why));
}

/// What happens from here on, all of it, and who is told what.
#[track_caller]
fn then(given: &mut Vec<Event>, when: Command) -> Vec<Effect> {
    let (events, effects) = decide(given, when).unwrap();
    given.extend(events);
    effects
}

fn received() -> Command {
    Command::ReceiveReturn { number: NUMBER }
}

fn news(news: CardNews) -> Command {
    Command::TakeCardNews { card: CARD, news }
}

fn issue(minor: i64) -> Effect {
    let (amount, ending, note) = (euro(minor), label("WXYZ"), Some(label("tea rather")));
    let command = gift_card::Command::IssueFor { order: me(), amount, ending, note };
    Effect::Tell { to: GiftCard::address(CARD), command: command.to_bytes() }
}

fn cups_are_back() -> Effect {
    to_stock(&cup(), OrderStep::Restock { quantity: quantity(1) })
}

/// What the other order is told, without what it was priced as.
#[track_caller]
fn placed_with(effects: &[Effect]) -> (Placed, Vec<Extra>) {
    let [Effect::Tell { to, command }] = effects else { panic!("{effects:?}") };
    assert_eq!(*to, Order::address(OTHER));
    let Command::PlaceWith { cart: of, access, payment, placed, extras } =
        Command::from_bytes(command).unwrap()
    else {
        panic!("it is not placed")
    };
    assert_eq!((of, payment), (cart(), OTHER_PAYMENT));
    assert_eq!(access, CartAccess::from_hash([4; 32]));
    (*placed, extras)
}

#[test]
fn what_is_wanted_is_bought_with_what_came_back() {
    let mut events = sent();
    assert_eq!(then(&mut events, ask(swap(a_cup_back(true), 1))), []);
    let seen = view(&events);
    assert_eq!((seen.returns.len(), seen.exchanges[0].credit), (1, euro(PRICE)));
    assert_eq!(then(&mut events, received()), [cups_are_back(), issue(PRICE)]);
    // Neither what was asked for nor what was told comes twice.
    assert_eq!(then(&mut events, received()), []);
    assert_eq!(then(&mut events, ask(swap(a_cup_back(true), 1))), []);
    let placed = decision(&events, news(CardNews::Issued)).unwrap();
    let (facts, _) = told_apart(placed.effects);
    assert_eq!(facts.last(), Some(&Fact::Order(OrderFact::Exchanged { order: OTHER })));
    let (placed, extras) = placed_with(&then(&mut events, news(CardNews::Issued)));
    assert_eq!(extras, [Extra::GiftCard(CARD), Extra::InPlaceOf(me())]);
    assert_eq!(placed.lines()[0].sku, code(2));
    assert_eq!(placed.terms.contact, terms(Shortfall::FailAll, CaptureTime::AtOnce).contact);
    assert_eq!(then(&mut events, news(CardNews::Issued)), []);
    assert_eq!(view(&events).exchanges[0].state, ExchangeState::Placed);
    refuses(&events, Swap { names: others(), ..swap(a_cup_back(true), 2) }, unpaid(PRICE));
}

fn others() -> SwapNames {
    SwapNames { order: OrderId::from_bytes([0xF1; 16]), ..names() }
}

fn unpaid(minor: i64) -> Rejection {
    Rejection::PaymentRequired { due: euro(minor) }
}

#[test]
fn a_shop_need_not_wait_for_the_pieces() {
    let mut events = sent();
    assert_eq!(then(&mut events, ask(swap(a_cup_back(false), 1))), [issue(PRICE)]);
    placed_with(&then(&mut events, news(CardNews::Issued)));
    assert_eq!(then(&mut events, received()), [cups_are_back()]);
}

#[test]
fn pieces_are_changed_for_others_before_they_are_sent() {
    let mut events = sent();
    let pot_is_back = to_stock(&pot(), OrderStep::Restock { quantity: quantity(1) });
    let told = then(&mut events, ask(swap(no_pot(), 1)));
    // All that the pot had cost is the credit: nothing is given back besides.
    assert_eq!(told, [pot_is_back, issue(PRICE)]);
    placed_with(&then(&mut events, news(CardNews::Issued)));
    let seen = view(&events);
    assert_eq!((seen.cancellations[0].amount, seen.refunds.len()), (euro(PRICE), 1));
    assert_eq!(seen.status, Status::Shipped);
    refuses(&events, swap_again(no_pot()), Rejection::TooMany { sku: pot(), left: 0 });
}

fn swap_again(given: Given) -> Swap {
    Swap { names: others(), ..swap(given, 1) }
}

#[test]
fn what_is_called_off_and_not_credited_is_given_back() {
    let mut events = sent();
    let credit = Some(euro(100));
    let method = terms(Shortfall::FailAll, CaptureTime::AtOnce).method;
    let told = then(&mut events, ask(Swap { credit, method, ..swap(no_pot(), 1) }));
    assert_eq!(told[1], issue(100));
    let back: i64 = view(&events).refunds.iter().map(|it| it.amount.minor).sum();
    assert_eq!(back, PRICE);
    let refund = to_payment(&payment::Command::Refund {
        refund: view(&events).refunds[1].id,
        amount: euro(PRICE - 100),
    });
    assert_eq!(told[2..], [refund]);
    refuses(
        &sent(),
        Swap { credit: Some(euro(PRICE + 1)), ..swap(no_pot(), 2) },
        Rejection::RefundTooLarge { left: PRICE },
    );
}

#[test]
fn more_is_bought_besides_with_a_payment_alone() {
    refuses(&confirmed(), swap(Given::Nothing, 1), unpaid(PRICE));
    let method = terms(Shortfall::FailAll, CaptureTime::AtOnce).method;
    let mut events = confirmed();
    let more = Swap { method: method.clone(), ..swap(Given::Nothing, 1) };
    let (placed, extras) = placed_with(&then(&mut events, ask(more)));
    assert_eq!((placed.terms.method, extras), (method, vec![Extra::InPlaceOf(me())]));
}

#[test]
fn money_that_is_only_held_is_no_credit() {
    refuses(&on_account(), swap(no_pot(), 1), unpaid(PRICE));
    let method = terms(Shortfall::FailAll, CaptureTime::AtOnce).method;
    let mut events = on_account();
    let told = then(&mut events, ask(Swap { method, ..swap(no_pot(), 1) }));
    let pot_is_back = to_stock(&pot(), OrderStep::Restock { quantity: quantity(1) });
    assert_eq!(told[0], pot_is_back);
    placed_with(&told[1..]);
}

/// What is left of a part that was taken pays for what is kept.
#[test]
fn pieces_that_are_not_captured_are_no_credit_besides() {
    let part = Event::Captured { total: euro(PRICE), at: NOON };
    let given = [on_account(), vec![part]].concat();
    refuses(&given, swap(no_pot(), 1), unpaid(PRICE));
    let credit = Some(euro(1));
    refuses(&given, Swap { credit, ..swap(no_pot(), 1) }, Rejection::RefundTooLarge { left: 0 });
}

#[test]
fn money_that_is_on_its_way_is_credit_once_the_pieces_are_back() {
    let mut events = [on_account(), vec![shipped()]].concat();
    events.push(Event::CaptureAsked { amount: euro(TOTAL), at: NOON });
    refuses(&events, swap(a_cup_back(false), 1), unpaid(PRICE));
    then(&mut events, ask(swap(a_cup_back(true), 1)));
    then(&mut events, money_taken());
    assert_eq!(then(&mut events, received()), [cups_are_back(), issue(PRICE)]);
}

#[test]
fn what_is_asked_for_again_is_the_same_or_another_name() {
    let mut events = on_account();
    let method = terms(Shortfall::FailAll, CaptureTime::AtOnce).method;
    let more = || Swap { method: method.clone(), ..swap(Given::Nothing, 1) };
    then(&mut events, ask(more()));
    let otherwise = Swap { reason: label("why not"), ..more() };
    refuses(&events, otherwise, Rejection::ExchangeDiffers);
    then(&mut events, cancel());
    assert_eq!(then(&mut events, ask(more())), []);
}

/// Whoever exchanges something has bought before.
#[test]
fn nobody_gets_what_only_a_first_order_gets_by_an_exchange() {
    let shoppers = Shoppers::FirstOrder;
    let promotion = Promotion { shoppers, ..percent("welcome", 20) };
    let book = book().with_promotions([promotion]);
    let mut order = Order::default();
    sent().iter().for_each(|event| order.apply(event));
    let me = Order::address(me());
    let catalogue = Catalogue { index: 3, content: Arc::new(book) };
    let ctx = Context { now: NOON, me: &me, entropy: [0; 32], catalogue: Ok(&catalogue) };
    let asked = order.decide(ask(swap(no_pot(), 1)), &ctx).unwrap().events;
    let replaced = asked.iter().find_map(|event| {
        let Event::Exchange { step: ExchangeStep::Asked(exchange), .. } = event else {
            return None;
        };
        let ExchangeState::Open(replacement) = &exchange.state else { return None };
        Some(replacement)
    });
    let replacement = replaced.unwrap();
    assert_eq!((replacement.placed.totals().grand, replacement.extras.len()), (euro(PRICE), 0));
}

#[test]
fn what_was_given_back_meanwhile_is_no_credit() {
    let mut events = sent();
    then(&mut events, ask(swap(a_cup_back(true), 1)));
    let amount = euro(TOTAL - 50);
    let refund = RefundId::from_bytes([1; 16]);
    then(&mut events, Command::Refund { refund, amount, reason: label("kind") });
    assert_eq!(then(&mut events, received()), [cups_are_back(), issue(50)]);
    let mut events = sent();
    then(&mut events, ask(swap(a_cup_back(true), 1)));
    then(&mut events, Command::Refund { refund, amount: euro(TOTAL), reason: label("kind") });
    let told = then(&mut events, received());
    assert_eq!(told[0], cups_are_back());
    // It has nothing to pay with, and says so itself.
    assert_eq!(placed_with(&told[1..]).1, [Extra::InPlaceOf(me())]);
}

#[test]
fn nothing_is_bought_with_a_credit_that_became_no_card() {
    let mut events = sent();
    then(&mut events, ask(swap(a_cup_back(false), 1)));
    assert_eq!(then(&mut events, news(CardNews::NotIssued)), []);
    assert_eq!(view(&events).exchanges[0].state, ExchangeState::Refused);
    assert_eq!(then(&mut events, news(CardNews::Issued)), []);
    // All of it can be given back.
    let refund = RefundId::from_bytes([1; 16]);
    then(&mut events, Command::Refund { refund, amount: euro(TOTAL), reason: label("kind") });
}

#[test]
fn exchanges_that_cannot_be_are_refused() {
    refuses(&capturing(), swap(no_pot(), 1), Rejection::NotConfirmed);
    refuses(&sent(), Swap { wanted: vec![], ..swap(no_pot(), 1) }, Rejection::NothingNamed);
    let sku: SkuCode = "bowl".parse().unwrap();
    let bowl = vec![(sku.clone(), quantity(1))];
    let unknown = Rejection::NotPriced(NotPriced::UnknownSku { sku });
    refuses(&sent(), Swap { wanted: bowl, ..swap(no_pot(), 1) }, unknown);
    let pot_back = Given::Returned { items: vec![(pot(), quantity(1))], is_awaited: true };
    refuses(&sent(), swap(pot_back, 1), Rejection::TooMany { sku: pot(), left: 0 });
    let yen = Some(Money { minor: 1, currency: "JPY".parse().unwrap() });
    let currency = Currency::EURO;
    refuses(
        &sent(),
        Swap { credit: yen, ..swap(no_pot(), 1) },
        Rejection::OtherCurrency { currency },
    );
    refuses(&sent(), Swap { credit: Some(euro(-1)), ..swap(no_pot(), 1) }, Rejection::NotPositive);
    let mut full = sent();
    for nth in 0..u8::try_from(Order::EXCHANGES_MAX).unwrap() {
        let names = SwapNames { order: OrderId::from_bytes([nth; 16]), ..names() };
        let method = terms(Shortfall::FailAll, CaptureTime::AtOnce).method;
        then(&mut full, ask(Swap { names, method, ..swap(Given::Nothing, 1) }));
    }
    refuses(&full, swap(no_pot(), 1), Rejection::TooManyEntries);
    // Without a catalogue nothing has a price.
    check(&sent(), ask(swap(no_pot(), 1)), Err(Rejection::CatalogueUnavailable));
}
