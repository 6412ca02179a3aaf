//! Payments, for operators and for providers.

use actors::PaymentId;
use axum::http::StatusCode;

use super::super::headers::{CHANGED, SHOWN};
use super::super::operation::{Key, Operation, Parameter, Presence, Tag};
use super::catalogue::paged;
use crate::http::code::Code;
use crate::http::render::inventory::ListJson;
use crate::http::render::payment::PaymentJson;
use crate::http::routes::documents::{CapturePayment, Nothing};
use crate::http::schema::{word, words};
use crate::http::{Endpoint as E, Verb};

/// Why money does not move.
const CLOSED: [Code; 3] =
    [Code::PAYMENT_CANCELLED, Code::PAYMENT_CAPTURED, Code::PAYMENT_NOT_AUTHORISED];

pub(super) fn all() -> [Operation; 5] {
    [list(), show(), capture(), void(), notice()]
}

fn payment(endpoint: E, verb: Verb, id: &'static str, summary: &'static str) -> Operation {
    Operation::new(endpoint, verb, id, Tag::Payments, summary).operator().at::<PaymentId>()
}

fn list() -> Operation {
    let summary = "Lists payments that are in doubt";
    let list = Operation::new(E::Payments, Verb::Get, "listPayments", Tag::Payments, summary)
        .about(
            "What providers were asked and have not answered, on every shard; `under_way` says since \
             when. A page may hold fewer than its limit.",
        )
        .operator()
        .queried(Parameter {
            name: "status",
            schema: word(&["in_doubt"]),
            about: "The one status that is listed.",
            presence: Presence::Required,
        })
        .over_shards();
    paged(list, words::text("doubt_3_71_0"))
        .answers::<ListJson<PaymentJson<'_>>>(StatusCode::OK, &[])
}

fn show() -> Operation {
    payment(E::Payment, Verb::Get, "showPayment", "Shows a payment")
        .reads()
        .answers::<PaymentJson<'_>>(StatusCode::OK, &SHOWN)
        .cached()
}

fn capture() -> Operation {
    payment(E::PaymentCapture, Verb::Post, "capturePayment", "Takes money that is authorised")
        .changes(Key::Required)
        .body::<CapturePayment>()
        .answers::<PaymentJson<'_>>(StatusCode::OK, &CHANGED)
        .refuses(&CLOSED)
        .refuses(&[Code::CAPTURE_DIFFERS, Code::CAPTURE_TOO_LARGE, Code::TOO_MANY_CAPTURES])
}

fn void() -> Operation {
    payment(E::PaymentVoid, Verb::Post, "voidPayment", "Gives up money that is authorised")
        .changes(Key::Required)
        .maybe_body::<Nothing>()
        .answers::<PaymentJson<'_>>(StatusCode::OK, &CHANGED)
        .refuses(&CLOSED)
}

fn notice() -> Operation {
    let summary = "Takes a provider's notice";
    Operation::new(E::PaymentHook, Verb::Post, "takeNotice", Tag::Payments, summary)
        .about(
            "In the form and with the signature of the provider. A notice of a payment that is not \
             here is accepted all the same (202): sent again, it would not be here either.",
        )
        .takes_notices()
        .refuses(&CLOSED)
        .refuses(&[Code::NOTICE_NOT_VOUCHED])
}
