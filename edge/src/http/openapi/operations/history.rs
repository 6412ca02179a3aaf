//! What happened, for operators and for those who missed it.

use axum::http::StatusCode;

use super::super::operation::{Operation, Tag};
use super::catalogue::paged;
use crate::http::code::Code;
use crate::http::render::inventory::ListJson;
use crate::http::routes::events::{EventsJson, cursor_schema};
use crate::http::routes::history::{
    AnyId, ChangeJson, Family, StateJson, cursor_schema as change_cursor_schema,
};
use crate::http::schema::{self, words};
use crate::http::{Endpoint as E, Verb};

/// Entities that are not there.
const MISSING: [Code; 13] = [
    Code::CART_NOT_FOUND,
    Code::CATEGORY_NOT_FOUND,
    Code::DISCOUNT_CODE_NOT_FOUND,
    Code::ORDER_NOT_FOUND,
    Code::PAYMENT_NOT_FOUND,
    Code::PRICE_LIST_NOT_FOUND,
    Code::PRODUCT_NOT_FOUND,
    Code::PROMOTION_NOT_FOUND,
    Code::SELLER_NOT_FOUND,
    Code::SHIPPING_OPTION_NOT_FOUND,
    Code::SKU_NOT_FOUND,
    Code::STOCK_LOCATION_NOT_FOUND,
    Code::TAX_RATE_NOT_FOUND,
];

pub(super) fn all() -> [Operation; 3] {
    [events(), changes(), state()]
}

fn events() -> Operation {
    let list = Operation::new(
        E::Events,
        Verb::Get,
        "listEvents",
        Tag::History,
        "Lists what was published, from any place on",
    )
    .about(
        "Every event since the beginning, whatever became of the log. The events of an entity come in \
         their order; between entities there is none. An event may come again after a fault, under \
         the same id. Whoever asks again with the last `next_cursor` gets what came since.",
    )
    .operator();
    paged(list, cursor_schema())
        .query("type", words::text("order.confirmed"), "Only these; `order` is all of orders.")
        .over_shards()
        .answers::<EventsJson>(StatusCode::OK, &[])
        .refuses(&[Code::HISTORY_UNREACHABLE, Code::SEQUENCE_UNKNOWN])
}

fn of_one(endpoint: E, id: &'static str, summary: &'static str) -> Operation {
    Operation::new(endpoint, Verb::Get, id, Tag::History, summary)
        .operator()
        .at::<Family>()
        .at::<AnyId>()
        .over_shards()
        .refuses(&MISSING)
        .refuses(&[Code::HISTORY_UNREACHABLE])
}

fn changes() -> Operation {
    let list = of_one(E::History, "listChanges", "Lists every change of one thing, oldest first");
    paged(list, change_cursor_schema()).answers::<ListJson<ChangeJson>>(StatusCode::OK, &[])
}

fn state() -> Operation {
    of_one(E::StateAt, "showStateAt", "Shows one thing as it was after any of its changes")
        .about("Made anew from its changes, so at most 100,000 of them.")
        .query("seq", schema::integer(1, i64::MAX, 3), "The `seq` of a change; required.")
        .answers::<StateJson>(StatusCode::OK, &[])
        .refuses(&[Code::SEQ_NOT_FOUND, Code::HISTORY_TOO_LONG])
}
