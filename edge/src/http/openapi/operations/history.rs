//! What happened, for operators and for those who missed it.

use axum::http::StatusCode;

use super::super::operation::{Operation, Tag};
use super::catalogue::paged;
use crate::http::code::Code;
use crate::http::render::inventory::ListJson;
use crate::http::routes::audit::document::{ActJson, HeadsJson};
use crate::http::routes::events::{EventsJson, cursor_schema};
use crate::http::routes::history::{
    AnyId, ChangeJson, Family, StateJson, cursor_schema as change_cursor_schema,
};
use crate::http::schema::{self, words};
use crate::http::{Endpoint as E, Verb};

/// Entities that are not there.
const MISSING: [Code; 14] = [
    Code::CART_NOT_FOUND,
    Code::CATEGORY_NOT_FOUND,
    Code::DISCOUNT_CODE_NOT_FOUND,
    Code::GIFT_CARD_NOT_FOUND,
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

pub(super) fn all() -> [Operation; 5] {
    [events(), changes(), state(), audit(), heads()]
}

fn audit() -> Operation {
    let list = Operation::new(
        E::Audit,
        Verb::Get,
        "listActs",
        Tag::History,
        "Lists what operators did, newest first",
    )
    .about(
        "Every change by an operator that was accepted, told in the very log entry that has the change: who, \
         by which operation and to what, nothing of the body. Of what was refused, and of a repeat under \
         a key, there is nothing; an import is an act when it is opened, fed or cancelled, its rows are \
         none. The acts of a shard form a chain, and so do those of the catalogue and of the cluster: \
         each hash seals all acts before it. A page may hold fewer acts than were asked for, though there \
         are more: only a `next_cursor` of null is the end.",
    )
    .operator()
    .reads();
    let cursor = words::exact("^act_[0-9a-z]{1,7}([.][0-9a-z]{1,7}){0,4097}$", "act_0.0.0.0.0.0");
    paged(list, cursor)
        .query("actor", words::handle("operator"), "Only what this one did.")
        .query(
            "entity",
            words::bounded(1, 129, "^[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)?$", "sku/tea-oolong-100"),
            "Only what was done to this one, or to all of a kind.",
        )
        .answers::<ListJson<ActJson>>(StatusCode::OK, &[])
        .refuses(&[Code::HISTORY_UNREACHABLE])
}

fn heads() -> Operation {
    Operation::new(
        E::AuditHeads,
        Verb::Get,
        "listAuditHeads",
        Tag::History,
        "Shows what each chain of acts comes to",
    )
    .about(
        "To be noted elsewhere: whoever rewrites a whole chain cannot give it the head that it had. \
         `omnicart verify` computes every chain of a folder anew.",
    )
    .operator()
    .reads()
    .answers::<HeadsJson>(StatusCode::OK, &[])
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
         the same id. Whoever asks again with the last `next_cursor` gets what came since. Money that \
         goes back is an `order.refunded`, `order.refunded_to_gift_cards` or \
         `order.refunded_to_voucher`; an `order.cancelled` gives back all there is.",
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
