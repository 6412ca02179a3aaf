use cluster::time::Span;

use super::order::{euro, id, label, placed, terms};
use super::*;
use crate::domain::cart::Means;
use crate::domain::fraud::{Question, Verdict};
use crate::domain::ids::PaymentId;
use crate::domain::order::{
    Command, Event, Extra, Failure, Rejection, ReviewCommand, ReviewStep, Status,
};

pub(super) const HELD_FOR: Span = Span::from_secs(60);

pub(super) fn review(step: ReviewStep) -> Event {
    Event::Review { step, at: AT }
}

pub(super) fn held() -> Event {
    review(ReviewStep::Held { why: label("much") })
}

fn events() -> Vec<Event> {
    let denied = ReviewStep::Denied { why: label("bad") };
    let steps =
        [ReviewStep::Wanted { held_for: HELD_FOR }, ReviewStep::Asked, ReviewStep::Allowed, denied];
    let failures = [
        Failure::FraudSuspected,
        Failure::UnderReview,
        Failure::ReviewRejected,
        Failure::ReviewExpired,
    ];
    let others = [held(), review(ReviewStep::Approved)];
    let shown = Event::PlacesAsked { status: Status::OnHold, at: AT };
    let failed = failures.map(|why| Event::Failed { why, at: AT });
    steps.map(review).into_iter().chain(others).chain(failed).chain([shown]).collect()
}

fn verdicts() -> Vec<Verdict> {
    let (much, bad) = (label("much"), label("bad"));
    vec![Verdict::Allow, Verdict::Review { why: much }, Verdict::Deny { why: bad }]
}

fn commands() -> Vec<Command> {
    let answered = ReviewCommand::Answered(Verdict::Allow);
    let all = [answered, ReviewCommand::Approve, ReviewCommand::Reject, ReviewCommand::Expire];
    let Event::Placed { cart, access, payment, placed } = placed(&["tea"]) else { panic!() };
    let extras = vec![Extra::Screening { held_for: HELD_FOR }];
    let place = Command::PlaceWith { cart, access, payment, placed, extras };
    all.map(Command::OfReview).into_iter().chain([place]).collect()
}

fn question() -> Question {
    Question { order: id(), amount: euro(500), pieces: 2, contact: terms().contact }
}

fn check_out() -> cart_domain::Command {
    cart_domain::Command::CheckOutWith {
        order: id(),
        payment: PaymentId::from_bytes([0xBB; 16]),
        terms: Box::new(terms()),
        shipping: None,
        means: vec![Means::Screening { held_for: HELD_FOR }],
    }
}

pub(super) fn samples() -> Vec<Vec<u8>> {
    let events = events().into_iter().map(|event| event.to_bytes());
    let verdicts = verdicts().into_iter().map(|verdict| verdict.to_bytes());
    let commands = commands().into_iter().map(|command| command.to_bytes());
    events.chain(verdicts).chain(commands).chain([question().to_bytes()]).collect()
}

pub(super) fn decodes_to_itself(bytes: &[u8]) {
    if let Ok(question) = Question::from_bytes(bytes) {
        assert_eq!(question.to_bytes(), bytes);
    }
    if let Ok(verdict) = Verdict::from_bytes(bytes) {
        assert_eq!(verdict.to_bytes(), bytes);
    }
}

#[test]
fn reviews_have_their_bytes() {
    check_each(&events(), EVENTS);
    check(&verdicts(), VERDICTS);
    check_each(&commands(), COMMANDS);
    check_whole(&question(), QUESTION);
    check_whole(&check_out(), CHECK_OUT);
    check_whole(&Rejection::NotOnHold, REJECTION);
}

const EVENTS: &str = "
    0100260000000000000000879303000000000403020100000000
    010026000000010000000403020100000000
    010026000000020000000403020100000000
    0100260000000300000003000000000000006261640403020100000000
    0100260000000400000004000000000000006d7563680403020100000000
    010026000000050000000403020100000000
    01000b000000090000000403020100000000
    01000b0000000a0000000403020100000000
    01000b0000000b0000000403020100000000
    01000b0000000c0000000403020100000000
    010023000000090000000403020100000000
";
const VERDICTS: &str = "
    010000000000
    01000100000004000000000000006d756368
    0100020000000300000000000000626164
";
const COMMANDS: &str = "
    0100110000000000000000000000
    01001100000001000000
    01001100000002000000
    01001100000003000000
    01000d000000ccccccccccccccccccccccccccccccccacacacacacacacacacacacacacacacacacacacacacacacacacacacacacacacacbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb01000000000000000300000000000000746561030000000000000074656102000000fa00000000000000455552f401000000000000455552000000000000000045555200000000000000004555520000f401000000000000455552000000000000000045555200000000000000004555520000000000000000455552f401000000000000455552010b000000000000006140622e6578616d706c65010000000000000041010000000000000031010100000000000000320100000000000000540001010000000000000031444500030000000000000073696d0300000000000000746f6b0100000000000000070000000000000004030201000000000100000000000000020000000087930300000000
";
const QUESTION: &str = "0100aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaf40100000000000045555202000000010b000000000000006140622e6578616d706c65010000000000000041010000000000000031010100000000000000320100000000000000540001010000000000000031444500";
const CHECK_OUT: &str = "010012000000aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaabbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb010b000000000000006140622e6578616d706c65010000000000000041010000000000000031010100000000000000320100000000000000540001010000000000000031444500030000000000000073696d0300000000000000746f6b0100000000000000000100000000000000010000000087930300000000";
const REJECTION: &str = "010013000000";
