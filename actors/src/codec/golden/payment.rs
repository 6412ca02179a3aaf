use super::*;
use crate::domain::ids::{CaptureId, OrderId, PaymentId, RefundId};
use crate::domain::money::{Currency, Money};
use crate::domain::payment::{
    Action, CapturedPart, Command, Doing, Event, Fact, News, Operation, OperationNumber,
    OperationReference, Outcome, Payment, PaymentMethod, Progress, ProviderAnswer,
    ProviderReference, ProviderRequest, Reason, Refusal, Rejection,
};

fn order() -> OrderId {
    OrderId::from_bytes([0xAA; 16])
}

fn payment() -> PaymentId {
    PaymentId::from_bytes([0xBB; 16])
}

fn capture() -> CaptureId {
    CaptureId::from_bytes([0xCC; 16])
}

fn refund() -> RefundId {
    RefundId::from_bytes([0xDD; 16])
}

fn euro(minor: i64) -> Money {
    Money { minor, currency: Currency::EURO }
}

fn method() -> PaymentMethod {
    let (provider, token) = ("sim".parse().unwrap(), "tok".parse().unwrap());
    PaymentMethod { provider, token }
}

fn number(count: u32) -> OperationNumber {
    count.try_into().unwrap()
}

fn reference(text: &str) -> ProviderReference {
    text.parse().unwrap()
}

fn asked(count: u32, doing: Doing) -> Event {
    Event::Asked { operation: Operation { number: number(count), doing, asked_at: AT } }
}

fn events() -> Vec<Event> {
    let (capture, refund) = (capture(), refund());
    vec![
        Event::Opened { order: order(), amount: euro(9), method: method(), at: AT },
        asked(2, Doing::Capture(capture)),
        Event::Authorised { reference: reference("a"), at: AT },
        Event::Declined { reason: Refusal::InsufficientFunds, at: AT },
        Event::CaptureAccepted { capture, amount: euro(7), at: AT },
        Event::Captured { capture, reference: reference("c"), total: euro(7), at: AT },
        Event::CaptureFailed { capture, reason: Reason::Rule(Rejection::Cancelled), at: AT },
        Event::RefundAccepted { refund, amount: euro(3), at: AT },
        Event::Refunded { refund, reference: reference("r"), total: euro(3), at: AT },
        Event::RefundFailed { refund, reason: Reason::Provider(Refusal::NotPossible), at: AT },
        Event::CancelAsked { at: AT },
        Event::Voided { at: AT },
        Event::CancelFailed { reason: Reason::Provider(Refusal::Declined), at: AT },
        Event::Cancelled { at: AT },
        Event::RefundPending { refund, operation: number(3), reference: reference("r"), at: AT },
        Event::RefundChecked { refund, at: AT },
    ]
}

fn commands() -> Vec<Command> {
    let (capture, refund, amount) = (capture(), refund(), euro(7));
    let (operation, reference) = (number(2), reference("c"));
    let fact = Fact::Done { operation, reference: reference.clone(), amount: Some(amount) };
    vec![
        Command::Open { order: order(), amount: euro(9), method: method() },
        Command::Authorise,
        Command::Capture { capture, amount },
        Command::Refund { refund, amount },
        Command::Cancel,
        Command::CaptureByHand { capture, amount },
        Command::VoidByHand,
        Command::Answered(ProviderAnswer { operation, outcome: Outcome::Done { reference } }),
        Command::Notified { event: "evt".parse().unwrap(), fact },
        Command::CheckRefunds,
    ]
}

fn rejections() -> Vec<Rejection> {
    vec![
        Rejection::NotFound,
        Rejection::AlreadyOpened,
        Rejection::InvalidAmount,
        Rejection::NotAuthorised,
        Rejection::Cancelled,
        Rejection::TooMuch { most: euro(4) },
        Rejection::DifferentAmount,
        Rejection::TooMany,
        Rejection::AlreadyCaptured,
    ]
}

fn news() -> Vec<News> {
    let (capture, refund, amount, total) = (capture(), refund(), euro(3), euro(7));
    let reason = Reason::Provider(Refusal::Declined);
    vec![
        News::Authorised { amount },
        News::Declined { reason: Refusal::MethodExpired },
        News::Captured { capture, amount, total },
        News::CaptureFailed { capture, amount, reason: reason.clone() },
        News::Refunded { refund, amount, total },
        News::RefundFailed { refund, amount, reason: reason.clone() },
        News::Cancelled,
        News::CancelFailed { reason },
        News::VoidAsked,
    ]
}

fn request(action: Action) -> ProviderRequest {
    let reference = OperationReference { payment: payment(), number: number(2) };
    ProviderRequest { provider: method().provider, reference, action }
}

fn requests() -> Vec<ProviderRequest> {
    let (amount, authorisation) = (euro(7), reference("a"));
    let captures = vec![CapturedPart { capture: reference("c"), amount }];
    vec![
        request(Action::Authorise { amount, token: method().token, order: order() }),
        request(Action::Capture { amount, authorisation: authorisation.clone() }),
        request(Action::Void { authorisation: authorisation.clone(), captured: amount }),
        request(Action::Refund { amount, authorisation, captures }),
        request(Action::CheckRefund { refund: reference("r"), asked_as: number(3) }),
    ]
}

/// One that holds some, has captured some, and is refunding.
fn payment_under_way() -> Payment {
    let [opened, capturing, authorised, _, accepted, captured, _, refund_accepted, ..] =
        <[Event; 16]>::try_from(events()).unwrap();
    let given = [
        opened,
        asked(1, Doing::Authorise),
        authorised,
        accepted,
        capturing,
        captured,
        refund_accepted,
        asked(3, Doing::Refund(refund())),
    ];
    let mut payment = Payment::default();
    for event in &given {
        payment.apply(event);
    }
    payment
}

/// The same, asking what became of its refund.
fn payment_checking() -> Payment {
    let mut payment = payment_under_way();
    let reference = reference("r");
    payment.apply(&Event::RefundPending {
        refund: refund(),
        operation: number(3),
        reference,
        at: AT,
    });
    payment.apply(&asked(4, Doing::CheckRefund(refund())));
    payment
}

pub(super) fn samples() -> Vec<Vec<u8>> {
    let events = events().into_iter().map(|event| event.to_bytes());
    let commands = commands().into_iter().map(|command| command.to_bytes());
    let records = [payment_under_way(), payment_checking()].map(|payment| payment.to_record());
    events.chain(commands).chain(records).collect()
}

pub(super) fn decodes_to_itself(bytes: &[u8]) {
    if let Ok(event) = Event::from_bytes(bytes) {
        assert_eq!(event.to_bytes(), bytes);
    }
    if let Ok(command) = Command::from_bytes(bytes) {
        assert_eq!(command.to_bytes(), bytes);
    }
    if let Ok(state) = Payment::from_record(bytes) {
        assert_eq!(state.to_record(), bytes);
        if let Some(intent) = state.intent {
            assert!(intent.refunded.minor <= intent.captured.minor);
            assert!(intent.captured.minor <= intent.amount.minor);
        }
    }
}

#[test]
fn payment_events_have_their_bytes() {
    check(&events(), EVENTS);
}

#[test]
fn payment_commands_have_their_bytes() {
    check(&commands(), COMMANDS);
}

#[test]
fn payment_rejections_have_their_bytes() {
    check(&rejections(), REJECTIONS);
}

#[test]
fn news_of_a_payment_have_their_bytes() {
    let golden: Vec<_> = NEWS.split_whitespace().collect();
    let told: Vec<_> = news()
        .iter()
        .map(|news| hex(&crate::codec::payment::news_for_order(payment(), news)))
        .collect();
    assert_eq!(told, golden);
}

#[test]
fn requests_to_providers_have_their_bytes() {
    let golden: Vec<_> = REQUESTS.split_whitespace().collect();
    let asked: Vec<_> = requests().iter().map(|request| hex(&request.to_bytes())).collect();
    assert_eq!(asked, golden);
    for (request, bytes) in requests().into_iter().zip(golden) {
        assert_eq!(ProviderRequest::from_bytes(&unhex(bytes)), Ok(request));
    }
}

#[test]
fn answers_of_providers_have_their_bytes() {
    let outcome = Outcome::Refused(Refusal::UnknownProvider);
    let answer = ProviderAnswer { operation: number(2), outcome };
    assert_eq!(hex(&answer.to_bytes()), ANSWER);
    assert_eq!(ProviderAnswer::from_bytes(&unhex(ANSWER)), Ok(answer));
    let outcome = Outcome::Pending { reference: reference("r") };
    let pending = ProviderAnswer { operation: number(2), outcome };
    assert_eq!(hex(&pending.to_bytes()), PENDING);
    assert_eq!(ProviderAnswer::from_bytes(&unhex(PENDING)), Ok(pending));
}

#[test]
fn payment_records_have_their_bytes() {
    check_record(&Payment::default(), UNKNOWN);
    check_record(&payment_under_way(), UNDER_WAY);
    check_record(&payment_checking(), CHECKING);
}

#[test]
fn a_payment_that_could_not_be_is_refused() {
    let changed = |change: fn(&mut crate::domain::payment::Intent)| {
        let mut payment = payment_under_way();
        payment.intent.as_mut().map(change);
        Payment::from_record(&payment.to_record())
    };
    check_refused(changed(|intent| intent.amount = euro(6)), "more captured or refunded");
    check_refused(changed(|intent| intent.amount = euro(0)), "out of bounds");
    check_refused(changed(|intent| intent.captured = euro(6)), "not the sum");
    check_refused(changed(|intent| intent.refunded = euro(3)), "not the sum");
    check_refused(changed(|intent| intent.under_way = None), "not what was asked");
    check_refused(changed(|intent| intent.last_operation = None), "not asked last");
    check_refused(
        changed(|intent| {
            let operation = intent.under_way.as_mut().unwrap();
            operation.doing = Doing::CheckRefund(refund());
            intent.refunds[0].progress = Progress::Waiting;
        }),
        "that is not pending",
    );
    check_refused(
        changed(|intent| intent.captures.push(intent.captures[0].clone())),
        "a capture or a refund twice",
    );
}

const EVENTS: &str = "
    010000000000aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa0900000000000000455552030000000000000073696d0300000000000000746f6b0403020100000000
    0100010000000200000001000000cccccccccccccccccccccccccccccccc0403020100000000
    0100020000000100000000000000610403020100000000
    010003000000010000000403020100000000
    010004000000cccccccccccccccccccccccccccccccc07000000000000004555520403020100000000
    010005000000cccccccccccccccccccccccccccccccc01000000000000006307000000000000004555520403020100000000
    010006000000cccccccccccccccccccccccccccccccc01000000040000000403020100000000
    010007000000dddddddddddddddddddddddddddddddd03000000000000004555520403020100000000
    010008000000dddddddddddddddddddddddddddddddd01000000000000007203000000000000004555520403020100000000
    010009000000dddddddddddddddddddddddddddddddd00000000060000000403020100000000
    01000a0000000403020100000000
    01000b0000000403020100000000
    01000c00000000000000000000000403020100000000
    01000d0000000403020100000000
    01000e000000dddddddddddddddddddddddddddddddd030000000100000000000000720403020100000000
    01000f000000dddddddddddddddddddddddddddddddd0403020100000000
";
const COMMANDS: &str = "
    010000000000aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa0900000000000000455552030000000000000073696d0300000000000000746f6b
    010001000000
    010002000000cccccccccccccccccccccccccccccccc0700000000000000455552
    010003000000dddddddddddddddddddddddddddddddd0700000000000000455552
    010004000000
    010005000000cccccccccccccccccccccccccccccccc0700000000000000455552
    010006000000
    0100070000000200000000000000010000000000000063
    01000800000003000000000000006576740000000002000000010000000000000063010700000000000000455552
    010009000000
";
const REJECTIONS: &str = "
    010000000000
    010001000000
    010002000000
    010003000000
    010004000000
    0100050000000400000000000000455552
    010006000000
    010007000000
    010008000000
";
const NEWS: &str = "
    010003000000bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb000000000300000000000000455552
    010003000000bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb0100000002000000
    010003000000bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb02000000cccccccccccccccccccccccccccccccc03000000000000004555520700000000000000455552
    010003000000bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb03000000cccccccccccccccccccccccccccccccc03000000000000004555520000000000000000
    010003000000bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb04000000dddddddddddddddddddddddddddddddd03000000000000004555520700000000000000455552
    010003000000bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb05000000dddddddddddddddddddddddddddddddd03000000000000004555520000000000000000
    010003000000bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb06000000
    010003000000bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb070000000000000000000000
    010003000000bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb08000000
";
const REQUESTS: &str = "
    0100030000000000000073696dbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb020000000000000007000000000000004555520300000000000000746f6baaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
    0100030000000000000073696dbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb02000000010000000700000000000000455552010000000000000061
    0100030000000000000073696dbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb02000000020000000100000000000000610700000000000000455552
    0100030000000000000073696dbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb0200000003000000070000000000000045555201000000000000006101000000000000000100000000000000630700000000000000455552
    0100030000000000000073696dbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb020000000400000001000000000000007203000000
";
const ANSWER: &str = "0100020000000100000007000000";
const PENDING: &str = "01000200000002000000010000000000000072";
const CHECKING: &str = "
    010001aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa0900000000000000455552030000000000000073696d030000
    0000000000746f6b030000000100000000000000610000000007000000000000004555520000000000000000
    4555520100000000000000cccccccccccccccccccccccccccccccc0700000000000000455552020000000100
    000000000000630100000000000000dddddddddddddddddddddddddddddddd03000000000000004555520400
    000003000000010000000000000072010400000004000000dddddddddddddddddddddddddddddddd04030201
    0000000001040000000403020100000000
";
const UNKNOWN: &str = "010000";
const UNDER_WAY: &str = "
    010001aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa0900000000000000455552030000000000000073696d030000
    0000000000746f6b030000000100000000000000610000000007000000000000004555520000000000000000
    4555520100000000000000cccccccccccccccccccccccccccccccc0700000000000000455552020000000100
    000000000000630100000000000000dddddddddddddddddddddddddddddddd03000000000000004555520100
    0000010300000003000000dddddddddddddddddddddddddddddddd0403020100000000010300000004030201
    00000000
";
