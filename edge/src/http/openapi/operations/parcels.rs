//! Parcels, for the shop and for carriers.

use actors::OrderId;
use axum::http::StatusCode;

use super::super::headers::CHANGED;
use super::super::operation::{Key, Operation, Tag};
use super::orders::CLOSED;
use crate::http::code::Code;
use crate::http::render::order::OrderJson;
use crate::http::routes::orders::documents::BookParcel;
use crate::http::{Endpoint as E, Verb};

pub(super) fn all() -> [Operation; 2] {
    [book(), notice()]
}

fn book() -> Operation {
    let summary = "Asks a carrier again for a parcel, or states who brings it";
    Operation::new(E::AdminOrderBookParcel, Verb::Post, "bookParcel", Tag::Fulfilment, summary)
        .about(
            "Of the shipment that is named, or else of the first whose carrier refused it, or has not \
             answered; the same carrier without another. With a tracking number, whoever is named \
             was told by the shop: the carrier that refused or has not answered has nothing to do with \
             it any more, and what it says later changes nothing. That needs the shipment's number or \
             an Idempotency-Key.",
        )
        .operator()
        .at::<OrderId>()
        .changes(Key::Optional)
        .maybe_body::<BookParcel>()
        .free_text()
        .answers::<OrderJson<'_>>(StatusCode::OK, &CHANGED)
        .refuses(&CLOSED)
        .refuses(&[
            Code::CARRIER_UNKNOWN,
            Code::IDEMPOTENCY_KEY_REQUIRED,
            Code::ORDER_NOT_PAID,
            Code::SHIPMENT_NOT_FOUND,
            Code::SHIPMENT_WITH_CARRIER,
        ])
}

fn notice() -> Operation {
    let summary = "Takes a carrier's notice";
    Operation::new(E::ShippingHook, Verb::Post, "takeCarrierNotice", Tag::Fulfilment, summary)
        .about(
            "In the form and with the signature of the carrier. A notice of a parcel that is not \
             here is accepted all the same (202): sent again, it would not be here either.",
        )
        .takes_notices()
}
