//! Orders, for shoppers and for the shop.

use actors::{OrderId, PageLimit};
use axum::http::StatusCode;

use super::super::headers::{CHANGED, SHOWN};
use super::super::operation::{Key, Operation, Tag};
use crate::http::code::Code;
use crate::http::render::inventory::ListJson;
use crate::http::render::order::{
    ExchangedJson, ORDER_STATUS, OrderJson, TimelineJson, VoucherJson,
};
use crate::http::render::order_list::ListedOrderJson;
use crate::http::routes::exchanges::document::ExchangePieces;
use crate::http::routes::orders::documents::{
    AddNote, AskReturn, CancelOrder, CorrectOrder, DeliverOrder, FulfilOrder, ReceiveReturn,
    RefundOrder,
};
use crate::http::schema::{Described, integer, word, words};
use crate::http::{Endpoint as E, Verb};

/// Why an order does not change.
pub(super) const CLOSED: [Code; 3] =
    [Code::ORDER_NOT_CONFIRMED, Code::ORDER_OVER, Code::ORDER_FULL];
/// Why pieces are not sent, or not taken back.
const PIECES: [Code; 4] =
    [Code::LINE_NOT_FOUND, Code::NUMBER_DIFFERS, Code::NUMBER_OUT_OF_ORDER, Code::TOO_MANY_PIECES];

/// Why pieces are not called off.
const UNSENT: [Code; 5] = [
    Code::IDEMPOTENCY_KEY_REQUIRED,
    Code::LINE_NOT_FOUND,
    Code::ORDER_SHIPPED,
    Code::PIECES_ON_BACKORDER,
    Code::TOO_MANY_PIECES,
];

const CANCELS: &str = "Where parts of the order are on their way, the rest of it is cancelled: what it cost is \
     refunded, or is not captured. With `items` these pieces alone are, and the request needs an \
     Idempotency-Key: a repeat without one would cancel more. Of a line that is on backorder all that \
     is left is cancelled, or none.";

const NUMBERS: &str = "They are numbered from one on, and the number makes a repeat harmless. Without one it is the \
     next, and the request needs an Idempotency-Key.";

const CARRIERS: &str = "With a tracking number, whoever brings them was told by the shop. Without one the carrier is \
     asked for a parcel, in the background: the one that is named, or the one of the shipping option; \
     `parcel` shows what it says. Shipments are numbered from one on, and the number makes a repeat \
     harmless. Without one it is the next, and the request needs an Idempotency-Key.";

pub(super) fn all() -> Vec<Operation> {
    vec![
        list(),
        show(),
        timeline(),
        cancel_own(),
        ask_return(),
        show_any(),
        correct(),
        cancel(),
        fulfil(),
        deliver(),
        receive_return(),
        refund(),
        refund_to_card(),
        exchange(),
        add_note(),
    ]
}

fn own(endpoint: E, verb: Verb, id: &'static str, summary: &'static str) -> Operation {
    Operation::new(endpoint, verb, id, Tag::Orders, summary).cart_token().at::<OrderId>()
}

fn any(endpoint: E, verb: Verb, id: &'static str, summary: &'static str) -> Operation {
    Operation::new(endpoint, verb, id, Tag::Fulfilment, summary).operator().at::<OrderId>()
}

fn changed<T: Described>(operation: Operation, key: Key) -> Operation {
    operation
        .changes(key)
        .body::<T>()
        .free_text()
        .answers::<OrderJson<'_>>(StatusCode::OK, &CHANGED)
        .refuses(&CLOSED)
}

fn show() -> Operation {
    own(E::Order, Verb::Get, "showOrder", "Shows an order to its shopper")
        .reads()
        .answers::<OrderJson<'_>>(StatusCode::OK, &SHOWN)
        .cached()
}

fn timeline() -> Operation {
    own(E::OrderTimeline, Verb::Get, "showTimeline", "Shows what happened to an order")
        .reads()
        .answers::<TimelineJson>(StatusCode::OK, &SHOWN)
}

fn cancel_own() -> Operation {
    let summary = "Cancels an order, or what is not shipped of it";
    let operation = own(E::OrderCancel, Verb::Post, "cancelOwnOrder", summary).about(CANCELS);
    changed::<CancelOrder>(operation, Key::Optional).refuses(&UNSENT)
}

fn ask_return() -> Operation {
    let summary = "Asks to give pieces back";
    let operation = own(E::OrderReturns, Verb::Post, "askReturn", summary).about(NUMBERS);
    changed::<AskReturn>(operation, Key::Optional)
        .refuses(&PIECES)
        .refuses(&[Code::IDEMPOTENCY_KEY_REQUIRED, Code::ORDER_FULL])
}

fn list() -> Operation {
    const ABOUT: &str = "Newest first, as they were placed. A page may hold fewer orders than were asked for, \
         though there are more: only a `next_cursor` of null is the end.";
    let list =
        Operation::new(E::AdminOrders, Verb::Get, "listOrders", Tag::Fulfilment, "Lists orders");
    let limit = integer(1, i64::from(PageLimit::MAX), 20);
    let after = words::exact("^ol_[0-9a-z]{1,7}([.][0-9a-z]{1,7}){0,63}$", "ol_5");
    let named = words::bounded(1, 40, "^[0-9a-z_]+$", "ord_01jzy5v3n8q2w4x6t7r9k0m1ab");
    list.about(ABOUT)
        .operator()
        .reads()
        .query("status", word(ORDER_STATUS), "Of the orders.")
        .query("customer", words::email(), "Whose orders, by the e-mail address of the checkout.")
        .query("from", words::instant(), "Placed then or later.")
        .query("to", words::instant(), "Placed before.")
        .query("q", named, "The id or the number of one order.")
        .query("limit", limit, "How many at most; 20 without it.")
        .query("after", after, "A `next_cursor` of the same list: what follows it.")
        .answers::<ListJson<ListedOrderJson>>(StatusCode::OK, &[])
}

fn show_any() -> Operation {
    any(E::AdminOrder, Verb::Get, "showAnyOrder", "Shows an order to the shop")
        .reads()
        .answers::<OrderJson<'_>>(StatusCode::OK, &SHOWN)
        .cached()
}

fn correct() -> Operation {
    const ABOUT: &str = "What is named is put right, the rest stays. It goes elsewhere in the country and region \
         that it was priced for, as long as some of it is not shipped; lists of a customer's orders \
         keep it under the address that it was placed with.";
    let summary = "Puts right whom an order is for or where it goes";
    let operation = any(E::AdminOrder, Verb::Patch, "correctOrder", summary).about(ABOUT);
    changed::<CorrectOrder>(operation, Key::Optional)
        .refuses(&[Code::ORDER_DESTINATION, Code::ORDER_SHIPPED])
}

fn cancel() -> Operation {
    let summary = "Cancels an order, or what is not shipped of it";
    let operation = any(E::AdminOrderCancel, Verb::Post, "cancelOrder", summary).about(CANCELS);
    changed::<CancelOrder>(operation, Key::Optional).refuses(&UNSENT)
}

fn fulfil() -> Operation {
    let summary = "States that pieces were sent, or has a carrier bring them";
    let operation =
        any(E::AdminOrderFulfilments, Verb::Post, "fulfilOrder", summary).about(CARRIERS);
    changed::<FulfilOrder>(operation, Key::Optional).refuses(&PIECES).refuses(&[
        Code::IDEMPOTENCY_KEY_REQUIRED,
        Code::ORDER_FULL,
        Code::ORDER_NOT_PAID,
        Code::CARRIER_UNKNOWN,
        Code::PIECES_ON_BACKORDER,
    ])
}

fn deliver() -> Operation {
    let summary = "States that a shipment arrived";
    any(E::AdminOrderDeliver, Verb::Post, "deliverOrder", summary)
        .changes(Key::Optional)
        .maybe_body::<DeliverOrder>()
        .answers::<OrderJson<'_>>(StatusCode::OK, &CHANGED)
        .refuses(&CLOSED)
        .refuses(&[Code::SHIPMENT_NOT_FOUND])
}

fn receive_return() -> Operation {
    let summary = "States that pieces came back";
    any(E::AdminOrderReceiveReturn, Verb::Post, "receiveReturn", summary)
        .changes(Key::Optional)
        .maybe_body::<ReceiveReturn>()
        .answers::<OrderJson<'_>>(StatusCode::OK, &CHANGED)
        .refuses(&CLOSED)
        .refuses(&[Code::RETURN_NOT_FOUND])
}

fn refund() -> Operation {
    let operation = any(E::AdminOrderRefunds, Verb::Post, "refundOrder", "Gives money back");
    changed::<RefundOrder>(operation, Key::Required)
        .refuses(&[Code::REFUND_DIFFERS, Code::REFUND_TOO_LARGE])
}

fn refund_to_card() -> Operation {
    const ABOUT: &str = "For whoever is to have store credit. The card is issued in the background, and what went to \
         it is refunded no other way: first what the payment took, then what gift cards had paid.";
    let summary = "Gives money back as a new gift card";
    any(E::AdminOrderVouchers, Verb::Post, "refundToGiftCard", summary)
        .about(ABOUT)
        .changes(Key::Required)
        .body::<RefundOrder>()
        .free_text()
        .answers::<VoucherJson<'_>>(StatusCode::CREATED, &CHANGED)
        .refuses(&CLOSED)
        .refuses(&[Code::REFUND_DIFFERS, Code::REFUND_TOO_LARGE])
}

fn exchange() -> Operation {
    const ABOUT: &str = "What is wanted is another order, at the prices of now, for whom and where this one goes. What \
         the given pieces had cost becomes a gift card, which pays it first: once returned pieces are \
         received, or at once with `in_advance` or of pieces that are not sent yet. Without given pieces \
         more is bought. Where the other order comes to nothing, the credit stays on the card. Of an \
         order whose money is only held there is no credit: what is cancelled is not captured.";
    any(E::AdminOrderExchanges, Verb::Post, "exchangePieces", "Exchanges pieces for others")
        .about(ABOUT)
        .changes(Key::Required)
        .body::<ExchangePieces>()
        .free_text()
        .answers::<ExchangedJson<'_>>(StatusCode::CREATED, &CHANGED)
        .refuses(&CLOSED)
        .refuses(&UNSENT)
        .refuses(&[
            Code::EXCHANGE_DIFFERS,
            Code::CATALOGUE_STALE,
            Code::CATALOGUE_UNAVAILABLE,
            Code::PAYMENT_REQUIRED,
            Code::PROVIDER_UNKNOWN,
            Code::REFUND_TOO_LARGE,
            Code::SHIPPING_OPTION_UNFIT,
            Code::SKU_NOT_FOR_SALE,
            Code::SKU_NOT_PRICED,
            Code::TOTAL_TOO_LARGE,
        ])
}

fn add_note() -> Operation {
    let operation = any(E::AdminOrderNotes, Verb::Post, "addNote", "Notes something on an order");
    changed::<AddNote>(operation, Key::Optional)
}
