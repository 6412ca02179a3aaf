//! Orders that somebody looks at between the stocks and the payment.

use cluster::entity::{Effect, Wire};

use super::properties::{NOON, euro};
use super::tests::*;
use super::*;
use crate::domain::fraud::{PORT, Question, Verdict};
use crate::domain::payment::Payment;

fn review(step: ReviewStep) -> Event {
    Event::Review { step, at: NOON }
}

fn asks(command: ReviewCommand) -> Command {
    Command::OfReview(command)
}

fn answered(verdict: Verdict) -> Command {
    asks(ReviewCommand::Answered(verdict))
}

fn why() -> Label {
    Label::of_what_fits("amount=1.. -> review")
}

fn held_event() -> Event {
    review(ReviewStep::Held { why: why() })
}

fn timer(within: Span) -> Effect {
    Effect::SetTimer { name: Order::REVIEW, at: NOON.plus(within) }
}

const HELD_FOR: Span = Span::from_secs(7_200);
const NO_TIMER: Effect = Effect::CancelTimer { name: Order::REVIEW };

/// One stock has not answered yet.
fn wanted() -> Vec<Event> {
    vec![asked(), review(ReviewStep::Wanted { held_for: HELD_FOR }), reserved(cup())]
}

fn reviewing() -> Vec<Event> {
    [wanted(), vec![reserved(pot()), review(ReviewStep::Asked)]].concat()
}

fn held() -> Vec<Event> {
    [reviewing(), vec![held_event()]].concat()
}

fn after(given: &[Event], more: &[Event]) -> Vec<Event> {
    [given, more].concat()
}

/// The payment is asked, as it is without a review.
fn goes_on() -> Vec<Effect> {
    let terms = bought(Shortfall::FailAll, CaptureTime::AtOnce).terms.clone();
    let open = payment::Command::Open { order: me(), amount: euro(TOTAL), method: terms.method };
    let to = || Payment::address(pay());
    let tell = |command: &payment::Command| Effect::Tell { to: to(), command: command.to_bytes() };
    vec![NO_TIMER, tell(&open), tell(&payment::Command::Authorise), payment_timer()]
}

fn ends(why: Failure) -> (Vec<Event>, Vec<Effect>) {
    let [one, other] = release();
    (vec![failed(why)], vec![NO_TIMER, one, other, reopens()])
}

#[test]
fn an_order_that_nobody_wants_screened_asks_for_its_payment_at_once() {
    let given = [asked(), reserved(cup())];
    let then = [reserved(pot()), payment_asked(TOTAL)];
    let effects: Vec<_> =
        [NO_STOCK_TIMER].into_iter().chain(goes_on().into_iter().skip(1)).collect();
    check(&given, stock(pot(), StockNews::Reserved), Ok((&then, &effects)));
}

#[test]
fn once_its_pieces_are_there_somebody_is_asked() {
    let contact = bought(Shortfall::FailAll, CaptureTime::AtOnce).terms.contact.clone();
    let question = Question { order: me(), amount: euro(TOTAL), pieces: 3, contact };
    let ask = Effect::Invoke { port: PORT, request: question.to_bytes() };
    let effects = [NO_STOCK_TIMER, ask, timer(Order::VERDICT_WITHIN)];
    let then = [reserved(pot()), review(ReviewStep::Asked)];
    check(&wanted(), stock(pot(), StockNews::Reserved), Ok((&then, &effects)));
    assert_eq!(view(&reviewing()).status, Status::Pending);
}

#[test]
fn what_is_allowed_goes_on_and_what_is_denied_ends() {
    let then = [review(ReviewStep::Allowed), payment_asked(TOTAL)];
    check(&reviewing(), answered(Verdict::Allow), Ok((&then, &goes_on())));
    let (events, effects) = ends(Failure::FraudSuspected);
    let then = after(&[review(ReviewStep::Denied { why: why() })], &events);
    check(&reviewing(), answered(Verdict::Deny { why: why() }), Ok((&then, &effects)));
    // An answer that comes late decides nothing.
    for given in [held(), authorising(), after(&reviewing(), &then)] {
        check_nothing(&given, answered(Verdict::Allow));
        check_nothing(&given, answered(Verdict::Deny { why: why() }));
    }
}

#[test]
fn what_is_held_keeps_its_pieces_for_so_long_and_no_longer() {
    let then = ([held_event()], [timer(HELD_FOR)]);
    check(&reviewing(), answered(Verdict::Review { why: why() }), Ok((&then.0, &then.1)));
    let seen = view(&held());
    assert_eq!(seen.status, Status::OnHold);
    assert_eq!(seen.settlement.unwrap().failure, Some(Failure::UnderReview));
    let (events, effects) = ends(Failure::ReviewExpired);
    check(&held(), asks(ReviewCommand::Expire), Ok((&events, &effects)));
    // Nobody answered: a person is to decide.
    let silent = ReviewStep::Held { why: Label::of_what_fits("nobody answered in time") };
    let then = ([review(silent)], [timer(HELD_FOR)]);
    check(&reviewing(), asks(ReviewCommand::Expire), Ok((&then.0, &then.1)));
    check_nothing(&authorising(), asks(ReviewCommand::Expire));
    // It is never too late for the word that it is held for want of, but for one that holds it.
    let silenced = after(&reviewing(), &then.0);
    let allowed = [review(ReviewStep::Allowed), payment_asked(TOTAL)];
    check(&silenced, answered(Verdict::Allow), Ok((&allowed, &goes_on())));
    let (events, effects) = ends(Failure::FraudSuspected);
    let denied = after(&[review(ReviewStep::Denied { why: why() })], &events);
    check(&silenced, answered(Verdict::Deny { why: why() }), Ok((&denied, &effects)));
    check_nothing(&silenced, answered(Verdict::Review { why: why() }));
}

#[test]
fn a_person_decides_once() {
    let approved = [review(ReviewStep::Approved), payment_asked(TOTAL)];
    check(&held(), asks(ReviewCommand::Approve), Ok((&approved, &goes_on())));
    let going_on = after(&held(), &approved);
    check_nothing(&going_on, asks(ReviewCommand::Approve));
    check(&going_on, asks(ReviewCommand::Reject), Err(Rejection::NotOnHold));
    let (events, effects) = ends(Failure::ReviewRejected);
    check(&held(), asks(ReviewCommand::Reject), Ok((&events, &effects)));
    let over = after(&held(), &events);
    check_nothing(&over, asks(ReviewCommand::Reject));
    check(&over, asks(ReviewCommand::Approve), Err(Rejection::NotOnHold));
    for given in [reviewing(), authorising(), confirmed()] {
        check(&given, asks(ReviewCommand::Approve), Err(Rejection::NotOnHold));
        check(&given, asks(ReviewCommand::Reject), Err(Rejection::NotOnHold));
    }
    check(&[], asks(ReviewCommand::Approve), Err(Rejection::NotFound));
}

/// Whatever becomes of it: what was answered to the checkout is answered to each repeat of it.
#[test]
fn the_shopper_is_told_that_it_is_held_for_ever() {
    let reserved = vec![review(ReviewStep::Approved), payment_asked(TOTAL)];
    let paid = [
        Event::Authorised { amount: euro(TOTAL), at: NOON },
        Event::CaptureAsked { amount: euro(TOTAL), at: NOON },
        captured(),
        CONFIRMED,
    ];
    let bought = after(&after(&held(), &reserved), &paid);
    assert_eq!(view(&bought).status, Status::Confirmed);
    assert_eq!(view(&bought).settlement, view(&held()).settlement);
}

#[test]
fn an_order_that_waits_is_cancelled_like_any_other() {
    for given in [reviewing(), held()] {
        let (events, effects) = ends(Failure::CancelledInTime);
        check(&given, cancel(), Ok((&events, &effects)));
    }
    check_nothing(&held(), paid(News::VoidAsked));
}
