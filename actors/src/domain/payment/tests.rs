use cluster::entity::{Effect, NoCatalogue};

use super::*;
use crate::domain::money::Currency;

pub(super) const NOON: Timestamp = Timestamp::from_micros(1_000_000);

pub(super) fn me() -> PaymentId {
    PaymentId::from_bytes([9; 16])
}

pub(super) fn order() -> OrderId {
    OrderId::from_bytes([8; 16])
}

pub(super) fn euro(minor: i64) -> Money {
    Money { minor, currency: Currency::EURO }
}

pub(super) fn method() -> PaymentMethod {
    let (provider, token) = ("simulator".parse().unwrap(), "tok_visa".parse().unwrap());
    PaymentMethod { provider, token }
}

pub(super) fn reference(text: &str) -> ProviderReference {
    text.parse().unwrap()
}

pub(super) fn cap(number: u8) -> CaptureId {
    CaptureId::from_bytes([number; 16])
}

pub(super) fn back(number: u8) -> RefundId {
    RefundId::from_bytes([number; 16])
}

pub(super) fn number(count: u32) -> OperationNumber {
    count.try_into().unwrap()
}

fn open() -> Command {
    Command::Open { order: order(), amount: euro(100), method: method() }
}

fn opened() -> Event {
    Event::Opened { order: order(), amount: euro(100), method: method(), at: NOON }
}

fn asked(count: u32, doing: Doing) -> Event {
    Event::Asked { operation: Operation { number: number(count), doing, asked_at: NOON } }
}

fn authorised() -> Event {
    Event::Authorised { reference: reference("auth"), at: NOON }
}

pub(super) fn held() -> Vec<Event> {
    vec![opened(), asked(1, Doing::Authorise), authorised()]
}

fn accepted(id: u8, minor: i64) -> Event {
    Event::CaptureAccepted { capture: cap(id), amount: euro(minor), at: NOON }
}

fn captured(id: u8, total: i64) -> Event {
    let (reference, total) = (reference("cap"), euro(total));
    Event::Captured { capture: cap(id), reference, total, at: NOON }
}

/// All of the hundred is captured.
fn paid() -> Vec<Event> {
    [held(), vec![accepted(1, 100), asked(2, Doing::Capture(cap(1))), captured(1, 100)]].concat()
}

fn refund_accepted(id: u8, minor: i64) -> Event {
    Event::RefundAccepted { refund: back(id), amount: euro(minor), at: NOON }
}

fn refunded(id: u8, total: i64) -> Event {
    let (reference, total) = (reference("ref"), euro(total));
    Event::Refunded { refund: back(id), reference, total, at: NOON }
}

fn cancel_asked() -> Event {
    Event::CancelAsked { at: NOON }
}

fn cancelled() -> Event {
    Event::Cancelled { at: NOON }
}

pub(super) fn yes(count: u32, text: &str) -> Command {
    let outcome = Outcome::Done { reference: reference(text) };
    Command::Answered(ProviderAnswer { operation: number(count), outcome })
}

fn no(count: u32) -> Command {
    let outcome = Outcome::Refused(Refusal::Declined);
    Command::Answered(ProviderAnswer { operation: number(count), outcome })
}

fn notice(count: u32, text: &str, amount: Option<Money>) -> Command {
    let fact = Fact::Done { operation: number(count), reference: reference(text), amount };
    Command::Notified { event: "evt_1".parse().unwrap(), fact }
}

fn capture(id: u8, minor: i64) -> Command {
    Command::Capture { capture: cap(id), amount: euro(minor) }
}

fn refund(id: u8, minor: i64) -> Command {
    Command::Refund { refund: back(id), amount: euro(minor) }
}

pub(super) fn decide(given: &[Event], when: Command) -> Result<Decision<Payment>, Rejection> {
    let mut payment = Payment::default();
    for event in given {
        payment.apply(event);
    }
    let me = Payment::address(me());
    let catalogue = Err(NoCatalogue::Absent);
    payment.decide(when, &Context { now: NOON, me: &me, entropy: [0xEE; 32], catalogue })
}

#[track_caller]
fn check(given: &[Event], when: Command, then: &[Event]) {
    assert_eq!(decide(given, when).map(|decision| decision.events), Ok(then.to_vec()));
}

#[track_caller]
fn check_refused(given: &[Event], when: Command, then: Rejection) {
    assert_eq!(decide(given, when).err(), Some(then));
}

#[track_caller]
fn check_told(given: &[Event], when: Command, then: &[News]) {
    let told = |effect: Effect| match effect {
        Effect::Tell { to, command } => {
            assert_eq!(to, EntityRef { kind: EntityKind(5), key: order().key() });
            Some(command)
        }
        Effect::Invoke { .. } | Effect::SetTimer { .. } | Effect::Publish { .. } => None,
        other @ Effect::CancelTimer { .. } => panic!("{other:?}"),
    };
    let told: Vec<_> = decide(given, when).unwrap().effects.into_iter().filter_map(told).collect();
    let news: Vec<_> = then.iter().map(|news| codec::payment::news_for_order(me(), news)).collect();
    assert_eq!(told, news);
}

#[track_caller]
fn check_invoked(given: &[Event], when: Command, then: Action) {
    let effects = decide(given, when).unwrap().effects;
    let requests = effects.into_iter().filter_map(|effect| match effect {
        Effect::Invoke { port: PORT, request } => Some(ProviderRequest::from_bytes(&request)),
        Effect::Invoke { .. }
        | Effect::Tell { .. }
        | Effect::SetTimer { .. }
        | Effect::CancelTimer { .. }
        | Effect::Publish { .. } => None,
    });
    let requests: Result<Vec<_>, _> = requests.collect();
    let actions: Vec<_> = requests.unwrap().into_iter().map(|request| request.action).collect();
    assert_eq!(actions, [then]);
}

#[test]
fn a_payment_is_opened_once() {
    check(&[], open(), &[opened()]);
    check(&[opened()], open(), &[]);
    let other = Command::Open { order: order(), amount: euro(99), method: method() };
    check_refused(&[opened()], other, Rejection::AlreadyOpened);
    for minor in [0, -1, Payment::AMOUNT_MAX + 1] {
        let bad = Command::Open { order: order(), amount: euro(minor), method: method() };
        check_refused(&[], bad, Rejection::InvalidAmount);
    }
    check_refused(&[], Command::Authorise, Rejection::NotFound);
    check_refused(&[], notice(1, "auth", None), Rejection::NotFound);
}

#[test]
fn an_authorisation_is_asked_once() {
    let given = [opened(), asked(1, Doing::Authorise)];
    check(&given[..1], Command::Authorise, &given[1..]);
    let (amount, token) = (euro(100), method().token);
    let action = Action::Authorise { amount, token, order: order() };
    check_invoked(&given[..1], Command::Authorise, action);
    check(&given, Command::Authorise, &[]);
    check(&held(), Command::Authorise, &[]);
    check(&given, yes(1, "auth"), &[authorised()]);
    check_told(&given, yes(1, "auth"), &[News::Authorised { amount: euro(100) }]);
    check_told(&given, no(1), &[News::Declined { reason: Refusal::Declined }]);
}

#[test]
fn a_notice_may_come_before_the_answer_and_again() {
    let given = [opened(), asked(1, Doing::Authorise)];
    check(&given, notice(1, "auth", Some(euro(100))), &[authorised()]);
    check(&given, notice(1, "auth", None), &[authorised()]);
    check(&held(), yes(1, "auth"), &[]);
    check(&held(), no(1), &[]);
    check(&held(), notice(1, "auth", None), &[]);
    check(&given, notice(2, "cap", None), &[]);
    check(&given, notice(1, "auth", Some(euro(99))), &[]);
}

/// A no is believed of the answer alone: a notice of it may be about an attempt before the last.
#[test]
fn a_notice_of_a_refusal_leaves_a_payment_in_doubt() {
    let fact = Fact::Refused { operation: number(1) };
    let refused = Command::Notified { event: "evt_2".parse().unwrap(), fact };
    check(&[opened(), asked(1, Doing::Authorise)], refused, &[]);
}

#[test]
fn captures_are_partial_and_several() {
    let first = [accepted(1, 60), asked(2, Doing::Capture(cap(1)))];
    check(&held(), capture(1, 60), &first);
    let given = [held(), first.to_vec()].concat();
    check(&given, capture(1, 60), &[]);
    check(&given, capture(2, 40), &[accepted(2, 40)]);
    let waiting = [given.clone(), vec![accepted(2, 40)]].concat();
    check(&waiting, yes(2, "cap"), &[captured(1, 60), asked(3, Doing::Capture(cap(2)))]);
    check(&given, yes(2, "cap"), &[captured(1, 60)]);
    let (capture, amount, total) = (cap(1), euro(60), euro(60));
    check_told(&given, yes(2, "cap"), &[News::Captured { capture, amount, total }]);
    let reason = Reason::Provider(Refusal::Declined);
    check_told(&given, no(2), &[News::CaptureFailed { capture, amount, reason }]);
}

#[track_caller]
fn check_capture_failed(given: &[Event], capture: (u8, i64), rule: Rejection) {
    let (id, minor) = capture;
    let (capture, amount, reason) = (cap(id), euro(minor), Reason::Rule(rule.clone()));
    let command = Command::Capture { capture, amount };
    check(given, command.clone(), &[]);
    check_told(given, command, &[News::CaptureFailed { capture, amount, reason }]);
    check_refused(given, Command::CaptureByHand { capture, amount }, rule);
}

#[test]
fn no_more_is_captured_than_authorised() {
    check_capture_failed(&[opened()], (1, 1), Rejection::NotAuthorised);
    check_capture_failed(&held(), (1, 101), Rejection::TooMuch { most: euro(100) });
    check_capture_failed(&held(), (1, 0), Rejection::InvalidAmount);
    let given = [held(), vec![accepted(1, 60), asked(2, Doing::Capture(cap(1)))]].concat();
    check_capture_failed(&given, (2, 41), Rejection::TooMuch { most: euro(40) });
    check_capture_failed(&given, (1, 59), Rejection::DifferentAmount);
    check_capture_failed(&paid(), (2, 1), Rejection::TooMuch { most: euro(0) });
    let failed = Event::CaptureFailed {
        capture: cap(1),
        reason: Reason::Provider(Refusal::Declined),
        at: NOON,
    };
    let again = [accepted(2, 100), asked(3, Doing::Capture(cap(2)))];
    check(&[given, vec![failed]].concat(), capture(2, 100), &again);
}

#[test]
fn refunds_are_partial_and_several() {
    let first = [refund_accepted(1, 70), asked(3, Doing::Refund(back(1)))];
    check(&paid(), refund(1, 70), &first);
    let (amount, authorisation) = (euro(70), reference("auth"));
    let captures = vec![CapturedPart { capture: reference("cap"), amount: euro(100) }];
    check_invoked(&paid(), refund(1, 70), Action::Refund { amount, authorisation, captures });
    let given = [paid(), first.to_vec()].concat();
    check(&given, refund(1, 70), &[]);
    let (refund_id, amount, total) = (back(1), euro(70), euro(70));
    let news = News::Refunded { refund: refund_id, amount, total };
    check_told(&given, yes(3, "ref"), &[news]);
    let reason = Reason::Rule(Rejection::TooMuch { most: euro(30) });
    let failed = News::RefundFailed { refund: back(2), amount: euro(31), reason };
    check_told(&given, refund(2, 31), &[failed]);
    let given = [given, vec![refunded(1, 70)]].concat();
    check(&given, refund(2, 30), &[refund_accepted(2, 30), asked(4, Doing::Refund(back(2)))]);
}

#[test]
fn a_cancellation_before_the_authorisation_asks_nothing() {
    check(&[opened()], Command::Cancel, &[cancel_asked(), cancelled()]);
    check_told(&[opened()], Command::Cancel, &[News::Cancelled]);
    let given = [opened(), cancel_asked(), cancelled()];
    check(&given, Command::Cancel, &[]);
    check_refused(&given, Command::Authorise, Rejection::Cancelled);
}

/// Nothing ends in doubt: the order is told when the late success was given up.
#[test]
fn a_success_after_the_cancellation_is_voided() {
    let doubt = vec![opened(), asked(1, Doing::Authorise)];
    check(&doubt, Command::Cancel, &[cancel_asked()]);
    check_told(&doubt, Command::Cancel, &[]);
    let given = [doubt, vec![cancel_asked()]].concat();
    check(&given, Command::Cancel, &[]);
    check(&given, yes(1, "auth"), &[authorised(), asked(2, Doing::Void)]);
    check_told(&given, yes(1, "auth"), &[]);
    check(&given, notice(1, "auth", None), &[authorised(), asked(2, Doing::Void)]);
    check_told(&given, no(1), &[News::Cancelled]);
    let given = [given, vec![authorised(), asked(2, Doing::Void)]].concat();
    check(&given, yes(2, "void"), &[Event::Voided { at: NOON }, cancelled()]);
    check_told(&given, yes(2, "void"), &[News::Cancelled]);
}

#[test]
fn a_cancellation_gives_back_what_was_captured() {
    let rest = back(0xEE);
    let asked_back = [
        cancel_asked(),
        Event::RefundAccepted { refund: rest, amount: euro(100), at: NOON },
        asked(3, Doing::Refund(rest)),
    ];
    check(&paid(), Command::Cancel, &asked_back);
    let given = [paid(), asked_back.to_vec()].concat();
    check(&given, yes(3, "ref"), &[refunded(0xEE, 100), cancelled()]);
    let given = [held(), vec![accepted(1, 60), asked(2, Doing::Capture(cap(1)))]].concat();
    let given = [given, vec![accepted(2, 40)]].concat();
    let dropped = Event::CaptureFailed {
        capture: cap(2),
        reason: Reason::Rule(Rejection::Cancelled),
        at: NOON,
    };
    check(&given, Command::Cancel, &[cancel_asked(), dropped.clone()]);
    let given = [given, vec![cancel_asked(), dropped]].concat();
    check(&given, yes(2, "cap"), &[captured(1, 60), asked(3, Doing::Void)]);
}

#[test]
fn a_cancellation_that_failed_goes_on_when_asked_again() {
    let given = [held(), vec![cancel_asked(), asked(2, Doing::Void)]].concat();
    let reason = Reason::Provider(Refusal::Declined);
    let failed = Event::CancelFailed { reason: reason.clone(), at: NOON };
    check(&given, no(2), std::slice::from_ref(&failed));
    check_told(&given, no(2), &[News::CancelFailed { reason }]);
    let given = [given, vec![failed]].concat();
    check_capture_failed(&given, (1, 1), Rejection::Cancelled);
    check(&given, Command::Cancel, &[cancel_asked(), asked(3, Doing::Void)]);
}

#[test]
fn an_operator_voids_what_is_not_captured_and_the_order_agrees_to() {
    check(&held(), Command::VoidByHand, &[]);
    check_told(&held(), Command::VoidByHand, &[News::VoidAsked]);
    check(&held(), Command::Cancel, &[cancel_asked(), asked(2, Doing::Void)]);
    let cancelling = [held(), vec![cancel_asked(), asked(2, Doing::Void)]].concat();
    check_told(&cancelling, Command::VoidByHand, &[]);
    check_refused(&paid(), Command::VoidByHand, Rejection::AlreadyCaptured);
    let given = [held(), vec![accepted(1, 60), asked(2, Doing::Capture(cap(1)))]].concat();
    check_refused(&given, Command::VoidByHand, Rejection::AlreadyCaptured);
}

/// A retry is no new refund, or there would be no room for the last of them.
#[test]
fn a_refund_that_a_cancellation_was_refused_is_asked_for_again() {
    let rest = back(0xDE);
    let accepted = Event::RefundAccepted { refund: rest, amount: euro(100), at: NOON };
    let (reason, at) = (Reason::Provider(Refusal::Declined), NOON);
    let failed = Event::RefundFailed { refund: rest, reason: reason.clone(), at };
    let mut given = paid();
    given.extend([cancel_asked(), accepted, asked(3, Doing::Refund(rest)), failed.clone()]);
    given.push(Event::CancelFailed { reason: reason.clone(), at });
    for number in 4..200 {
        let again = [cancel_asked(), asked(number, Doing::Refund(rest))];
        check(&given, Command::Cancel, &again);
        given.extend(again);
        let refused = [failed.clone(), Event::CancelFailed { reason: reason.clone(), at }];
        check(&given, no(number), &refused);
        given.extend(refused);
    }
    given.extend([cancel_asked(), asked(200, Doing::Refund(rest))]);
    check(&given, yes(200, "ref"), &[refunded(0xDE, 100), cancelled()]);
}

fn pending(count: u32, text: &str) -> Command {
    let outcome = Outcome::Pending { reference: reference(text) };
    Command::Answered(ProviderAnswer { operation: number(count), outcome })
}

/// All is captured, and of it sixty are on their way back.
fn refunding() -> Vec<Event> {
    let operation = number(3);
    let is_pending =
        Event::RefundPending { refund: back(1), operation, reference: reference("re"), at: NOON };
    let asked_for = [refund_accepted(1, 60), asked(3, Doing::Refund(back(1))), is_pending];
    [paid(), asked_for.to_vec()].concat()
}

fn pending_timer() -> Effect {
    let at = NOON.plus(Payment::PENDING_ASKED_EVERY);
    Effect::SetTimer { name: Payment::REFUND_PENDING, at }
}

fn refund_failed(id: u8, refusal: Refusal) -> Event {
    Event::RefundFailed { refund: back(id), reason: Reason::Provider(refusal), at: NOON }
}

fn refused_notice(count: u32) -> Command {
    let fact = Fact::Refused { operation: number(count) };
    Command::Notified { event: "evt_2".parse().unwrap(), fact }
}

#[test]
fn a_pending_refund_is_not_done_until_the_provider_says_so() {
    let given = refunding();
    let (before, last) = given.split_at(given.len() - 1);
    check(before, pending(3, "re"), last);
    let effects = decide(before, pending(3, "re")).unwrap().effects;
    assert_eq!(effects, [pending_timer()], "nobody is told that it is done");
    // It counts as spoken for, and others go on beside it.
    let too_much = Rejection::TooMuch { most: euro(40) };
    let told =
        News::RefundFailed { refund: back(2), amount: euro(41), reason: Reason::Rule(too_much) };
    check_told(&given, refund(2, 41), &[told]);
    check(&given, refund(2, 40), &[refund_accepted(2, 40), asked(4, Doing::Refund(back(2)))]);
    let done =
        Event::Refunded { refund: back(1), reference: reference("re"), total: euro(60), at: NOON };
    for amount in [None, Some(euro(60))] {
        check(&given, notice(3, "re", amount), std::slice::from_ref(&done));
    }
    check(&given, notice(3, "re", Some(euro(59))), &[]);
    check(&given, notice(2, "re", None), &[]);
    let amount = euro(60);
    let news = News::Refunded { refund: back(1), amount, total: amount };
    check_told(&given, notice(3, "re", None), &[news]);
    check(&given, refused_notice(3), &[refund_failed(1, Refusal::NotPossible)]);
    check(&[given.clone(), vec![done]].concat(), refused_notice(3), &[]);
    let again = [given, vec![refund_failed(1, Refusal::NotPossible)]].concat();
    check(&again, refund(2, 100), &[refund_accepted(2, 100), asked(4, Doing::Refund(back(2)))]);
}

#[test]
fn the_provider_is_asked_what_became_of_pending_refunds_one_after_the_other() {
    let operation = number(4);
    let second =
        Event::RefundPending { refund: back(2), operation, reference: reference("rf"), at: NOON };
    let more = [refund_accepted(2, 40), asked(4, Doing::Refund(back(2))), second];
    let given = [refunding(), more.to_vec()].concat();
    assert_eq!(Payment::on_timer(Payment::REFUND_PENDING), Some(Command::CheckRefunds));
    let first = asked(5, Doing::CheckRefund(back(1)));
    check(&given, Command::CheckRefunds, std::slice::from_ref(&first));
    let (refund, asked_as) = (reference("re"), number(3));
    check_invoked(&given, Command::CheckRefunds, Action::CheckRefund { refund, asked_as });
    let effects = decide(&given, Command::CheckRefunds).unwrap().effects;
    assert_eq!(effects.first(), Some(&pending_timer()));
    let given = [given, vec![first]].concat();
    let checked = Event::RefundChecked { refund: back(1), at: NOON };
    let next = asked(6, Doing::CheckRefund(back(2)));
    check(&given, pending(5, "re"), &[checked, next.clone()]);
    let done =
        Event::Refunded { refund: back(1), reference: reference("re"), total: euro(60), at: NOON };
    check(&given, yes(5, "re"), &[done.clone(), next.clone()]);
    check(&given, no(5), &[refund_failed(1, Refusal::Declined), next]);
    // A question that the provider cannot answer holds up nothing for long.
    let cancelling = [given.clone(), vec![cancel_asked()]].concat();
    let still = Event::RefundChecked { refund: back(1), at: NOON };
    check(&cancelling, pending(5, "re"), &[still, asked(6, Doing::CheckRefund(back(2)))]);
    // A notice is first, and the answer that comes later is about nothing.
    check(&given, notice(3, "re", None), std::slice::from_ref(&done));
    let known = [given.clone(), vec![done]].concat();
    check(&known, no(5), &[]);
    check(&known, refused_notice(3), &[]);
    // While something else is under way it is put off.
    let busy = [paid(), vec![refund_accepted(1, 60), asked(3, Doing::Refund(back(1)))]].concat();
    check(&busy, Command::CheckRefunds, &[]);
    check(&given, Command::CheckRefunds, &[]);
}

#[test]
fn a_cancellation_waits_for_what_is_pending() {
    let given = refunding();
    check(&given, Command::Cancel, &[cancel_asked()]);
    let given = [given, vec![cancel_asked()]].concat();
    let rest = back(0xEE);
    let done =
        Event::Refunded { refund: back(1), reference: reference("re"), total: euro(60), at: NOON };
    let accepted = Event::RefundAccepted { refund: rest, amount: euro(40), at: NOON };
    check(&given, notice(3, "re", None), &[done, accepted, asked(4, Doing::Refund(rest))]);
    let reason = Reason::Provider(Refusal::NotPossible);
    let failed = Event::CancelFailed { reason, at: NOON };
    check(&given, refused_notice(3), &[refund_failed(1, Refusal::NotPossible), failed]);
}

#[test]
fn an_answer_finds_its_payment_through_the_port() {
    let outcome = Outcome::Refused(Refusal::InsufficientFunds);
    let answer = ProviderAnswer { operation: number(1), outcome };
    let bytes = answer.to_bytes();
    let command = Some(Command::Answered(answer));
    assert_eq!(Payment::on_answer(PORT, &Answer::Refused(bytes.clone())), command);
    assert_eq!(Payment::on_answer(PORT, &Answer::Done(bytes.clone())), command);
    assert_eq!(Payment::on_answer(Port(2), &Answer::Done(bytes)), None);
    assert_eq!(Payment::on_answer(PORT, &Answer::Done(vec![1])), None);
}
