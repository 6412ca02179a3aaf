//! Stock, for operators.

use actors::{ReservationId, SkuCode};
use axum::http::StatusCode;

use super::super::headers::{CHANGED, Header, SHOWN};
use super::super::operation::{Key, Operation, Tag};
use super::catalogue::paged;
use crate::http::code::Code;
use crate::http::render::inventory::{
    InventoryJson, LedgerEntryJson, ListJson, PlaceJson, ReservationJson, ReservedJson,
    ledger_cursor,
};
use crate::http::routes::documents::{AdjustStock, Nothing, ReserveStock, SetStock};
use crate::http::routes::inventory::documents::{SetLowStock, SetPolicy, TransferStock};
use crate::http::schema::words;
use crate::http::{Endpoint as E, Verb};

/// Why a reservation does not end as asked.
const ENDED: [Code; 5] = [
    Code::RESERVATION_CONFIRMED,
    Code::RESERVATION_EXPIRED,
    Code::RESERVATION_HELD_BY_ANOTHER,
    Code::RESERVATION_NOT_FOUND,
    Code::RESERVATION_RELEASED,
];

/// Why pieces are not stated to lie at a location.
const AT_LOCATION: [Code; 4] = [
    Code::CATALOGUE_UNAVAILABLE,
    Code::STOCK_LOCATION_UNKNOWN,
    Code::TOO_FEW_AT_LOCATION,
    Code::TOO_MANY_LOCATIONS,
];

pub(super) fn all() -> [Operation; 12] {
    [
        show(),
        adjust(),
        set(),
        transfer(),
        locations(),
        policy(),
        low_stock(),
        reservations(),
        reserve(),
        confirm(),
        release(),
        ledger(),
    ]
}

fn stock(endpoint: E, verb: Verb, id: &'static str, summary: &'static str) -> Operation {
    Operation::new(endpoint, verb, id, Tag::Inventory, summary).operator().at::<SkuCode>()
}

fn show() -> Operation {
    stock(E::Inventory, Verb::Get, "showStock", "Shows a stock")
        .reads()
        .answers::<InventoryJson<'_>>(StatusCode::OK, &SHOWN)
        .cached()
}

fn adjust() -> Operation {
    stock(E::InventoryAdjust, Verb::Post, "adjustStock", "Changes a stock by a number of pieces")
        .changes(Key::Optional)
        .header(Header::IfNoneMatchAny)
        .body::<AdjustStock>()
        .free_text()
        .answers::<InventoryJson<'_>>(StatusCode::OK, &CHANGED)
        .refuses(&[Code::BELOW_RESERVED, Code::ON_HAND_TOO_LARGE])
        .refuses(&AT_LOCATION)
}

fn set() -> Operation {
    stock(E::InventorySet, Verb::Post, "setStock", "States how many pieces there are")
        .changes(Key::Optional)
        .header(Header::IfNoneMatchAny)
        .body::<SetStock>()
        .free_text()
        .answers::<InventoryJson<'_>>(StatusCode::OK, &CHANGED)
        .refuses(&[Code::BELOW_RESERVED, Code::ON_HAND_TOO_LARGE])
        .refuses(&AT_LOCATION)
}

fn transfer() -> Operation {
    let summary = "Moves pieces from one location to another";
    stock(E::InventoryTransfer, Verb::Post, "transferStock", summary)
        .changes(Key::Optional)
        .header(Header::IfNoneMatchAny)
        .body::<TransferStock>()
        .free_text()
        .answers::<InventoryJson<'_>>(StatusCode::OK, &CHANGED)
        .refuses(&[Code::ON_HAND_TOO_LARGE])
        .refuses(&AT_LOCATION)
}

fn locations() -> Operation {
    let summary = "Lists where the pieces of a stock lie, the default location first";
    stock(E::InventoryLocations, Verb::Get, "listStockAtLocations", summary)
        .reads()
        .answers::<ListJson<PlaceJson<'_>>>(StatusCode::OK, &SHOWN)
        .cached()
}

fn policy() -> Operation {
    let summary = "States whether orders get more than there is";
    stock(E::InventoryPolicy, Verb::Put, "setStockPolicy", summary)
        .about("What was promised under another policy stays promised.")
        .changes(Key::Optional)
        .bound()
        .body::<SetPolicy>()
        .answers::<InventoryJson<'_>>(StatusCode::OK, &CHANGED)
}

fn low_stock() -> Operation {
    let summary = "States from which number down a stock is low";
    stock(E::InventoryLowStock, Verb::Put, "setLowStock", summary)
        .about(
            "One event is published each time that a stock becomes low, at most one an hour: where it \
             does so sooner and is low still, the event comes when the hour is over.",
        )
        .changes(Key::Optional)
        .bound()
        .body::<SetLowStock>()
        .answers::<InventoryJson<'_>>(StatusCode::OK, &CHANGED)
}

fn reservations() -> Operation {
    let list = stock(
        E::InventoryReservations,
        Verb::Get,
        "listReservations",
        "Lists the open reservations of a stock",
    );
    paged(list.reads(), words::reservation_id())
        .answers::<ListJson<ReservationJson>>(StatusCode::OK, &SHOWN)
        .cached()
}

fn reserve() -> Operation {
    stock(E::InventoryReservations, Verb::Post, "reserve", "Holds pieces of a stock")
        .changes(Key::Optional)
        .header(Header::IfNoneMatchAny)
        .body::<ReserveStock>()
        .answers::<ReservedJson<'_>>(StatusCode::CREATED, &CHANGED)
        .refuses(&ENDED)
        .refuses(&[Code::OUT_OF_STOCK, Code::RESERVATION_DIFFERS, Code::TOO_MANY_RESERVATIONS])
}

fn confirm() -> Operation {
    stock(
        E::InventoryReservationConfirm,
        Verb::Post,
        "confirmReservation",
        "Takes the pieces of a reservation out of a stock",
    )
    .at::<ReservationId>()
    .changes(Key::Optional)
    .maybe_body::<Nothing>()
    .answers::<InventoryJson<'_>>(StatusCode::OK, &CHANGED)
    .refuses(&ENDED)
}

fn release() -> Operation {
    stock(
        E::InventoryReservationRelease,
        Verb::Post,
        "releaseReservation",
        "Lets go of the pieces of a reservation",
    )
    .at::<ReservationId>()
    .changes(Key::Optional)
    .maybe_body::<Nothing>()
    .answers::<InventoryJson<'_>>(StatusCode::OK, &CHANGED)
    .refuses(&ENDED)
}

fn ledger() -> Operation {
    let list = stock(
        E::InventoryLedger,
        Verb::Get,
        "showLedger",
        "Lists the last changes of a stock, newest first",
    );
    paged(list.reads(), ledger_cursor())
        .answers::<ListJson<LedgerEntryJson<'_>>>(StatusCode::OK, &SHOWN)
        .cached()
}
