//! Carts and checkouts.

use actors::domain::discount_code::CodeName;
use actors::{CartId, SkuCode};
use axum::http::StatusCode;

use super::super::headers::{CHANGED, Header, SHOWN};
use super::super::operation::{Key, Operation, Tag};
use crate::http::code::Code;
use crate::http::extract::CardOfCart;
use crate::http::render::cart::{CartJson, CreatedJson, MergeJson};
use crate::http::render::order::OrderJson;
use crate::http::routes::checkout::document::CheckOut;
use crate::http::routes::codes::GiveCode;
use crate::http::routes::documents::{AddItems, CreateCart, MergeCart, SetQuantity};
use crate::http::routes::gift_cards::documents::CardCode;
use crate::http::schema::words;
use crate::http::{Endpoint as E, Verb};

/// Why a cart does not change.
const CLOSED: [Code; 4] =
    [Code::CART_MERGED, Code::CART_MERGING, Code::CART_CHECKING_OUT, Code::CART_ORDERED];
/// Why a cart does not take a line.
const LINES: [Code; 5] = [
    Code::QUANTITY_TOO_LARGE,
    Code::SKU_NOT_FOR_SALE,
    Code::SKU_NOT_PRICED,
    Code::TOO_MANY_LINES,
    Code::TOTAL_TOO_LARGE,
];
const PRICES: [Code; 2] = [Code::CATALOGUE_STALE, Code::CATALOGUE_UNAVAILABLE];
const SETTLED: [Header; 3] = [Header::OmniSeq, Header::Location, Header::IdempotentReplayed];

pub(super) fn all() -> Vec<Operation> {
    let items = [add_items(), set_item(), remove_item()];
    let codes = [add_code(), remove_code(), add_gift_card(), remove_gift_card()];
    let whole = [create(), show(), stream(), delete(), merge(), check_out()];
    whole.into_iter().chain(items).chain(codes).collect()
}

fn cart(endpoint: E, verb: Verb, id: &'static str, summary: &'static str) -> Operation {
    Operation::new(endpoint, verb, id, Tag::Carts, summary).cart_token().at::<CartId>()
}

fn create() -> Operation {
    Operation::new(E::Carts, Verb::Post, "createCart", Tag::Carts, "Creates a cart")
        .about("The answer is the only one that holds the token which opens the cart.")
        .changes(Key::Secret)
        .unbound()
        .maybe_body::<CreateCart>()
        .answers::<CreatedJson<'_>>(
            StatusCode::CREATED,
            &[Header::ETag, Header::OmniSeq, Header::Location, Header::IdempotentReplayed],
        )
        .refuses(&[Code::CART_EXISTS, Code::CART_NOT_FOUND, Code::RATE_LIMITED])
        .refuses(&CLOSED)
}

fn show() -> Operation {
    cart(E::Cart, Verb::Get, "showCart", "Shows a cart")
        .reads()
        .answers::<CartJson<'_>>(StatusCode::OK, &SHOWN)
        .cached()
        .refuses(&[Code::CART_MERGED])
}

fn stream() -> Operation {
    let event = words::text("id: 2\nevent: cart\ndata: {\"status\": \"open\"}\n\n");
    cart(E::CartStream, Verb::Get, "streamCart", "Shows a cart, and again whenever it has changed")
        .about(
            "Server-sent events. `cart` has the cart as it is shown, under its `seq`; `end` says why \
             there is none any more. A stream ends with its cart and when the node stops: a client \
             that comes back with `Last-Event-ID` gets what it lacks. What is on gift cards is as of \
             the event: that they are spent elsewhere makes none.",
        )
        .reads()
        .header(Header::LastEventId)
        .answers_with(StatusCode::OK, "text/event-stream", event, &[])
        .answers_nothing(StatusCode::NO_CONTENT, &[])
        .refuses(&[Code::CART_MERGED, Code::TOO_MANY_STREAMS])
}

fn delete() -> Operation {
    cart(E::Cart, Verb::Delete, "deleteCart", "Deletes a cart")
        .changes(Key::Optional)
        .answers_nothing(StatusCode::NO_CONTENT, &[Header::OmniSeq, Header::IdempotentReplayed])
        .refuses(&CLOSED)
}

fn add_items() -> Operation {
    cart(E::CartItems, Verb::Post, "addToCart", "Adds pieces to a cart")
        .about("All of the items are added, or none.")
        .changes(Key::Optional)
        .body::<AddItems>()
        .answers::<CartJson<'_>>(StatusCode::OK, &CHANGED)
        .refuses(&CLOSED)
        .refuses(&LINES)
        .refuses(&PRICES)
}

fn set_item() -> Operation {
    cart(E::CartItem, Verb::Put, "setCartItem", "Sets how many pieces of a SKU a cart holds")
        .about("None removes the line.")
        .at::<SkuCode>()
        .changes(Key::Optional)
        .body::<SetQuantity>()
        .answers::<CartJson<'_>>(StatusCode::OK, &CHANGED)
        .refuses(&CLOSED)
        .refuses(&LINES)
        .refuses(&PRICES)
        .refuses(&[Code::LINE_NOT_FOUND])
}

fn remove_item() -> Operation {
    cart(E::CartItem, Verb::Delete, "removeCartItem", "Removes a SKU from a cart")
        .at::<SkuCode>()
        .changes(Key::Optional)
        .answers::<CartJson<'_>>(StatusCode::OK, &CHANGED)
        .refuses(&CLOSED)
        .refuses(&[Code::LINE_NOT_FOUND])
}

fn add_code() -> Operation {
    cart(E::CartCodes, Verb::Post, "addCodeToCart", "Gives a cart a discount code")
        .about(
            "A code that takes nothing off the cart as it is stays, and a message says so. How often \
             it may be used is asked at the checkout, and so is whether it is a first order, where \
             that is what it is for: a cart is priced as if it were.",
        )
        .changes(Key::Optional)
        .body::<GiveCode>()
        .answers::<CartJson<'_>>(StatusCode::OK, &CHANGED)
        .refuses(&CLOSED)
        .refuses(&PRICES)
        .refuses(&[
            Code::DISCOUNT_CODE_NOT_IN_FORCE,
            Code::DISCOUNT_CODE_UNKNOWN,
            Code::TOO_MANY_DISCOUNT_CODES,
        ])
}

fn remove_code() -> Operation {
    cart(E::CartCode, Verb::Delete, "removeCodeFromCart", "Takes a discount code away from a cart")
        .at::<CodeName>()
        .changes(Key::Optional)
        .answers::<CartJson<'_>>(StatusCode::OK, &CHANGED)
        .refuses(&CLOSED)
        .refuses(&[Code::DISCOUNT_CODE_NOT_FOUND])
}

fn add_gift_card() -> Operation {
    cart(E::CartGiftCards, Verb::Post, "addGiftCardToCart", "Gives a cart a gift card")
        .about(
            "It pays before those that are brought to the checkout. Nothing is taken of it until then: \
             others who have the code may be first.",
        )
        .changes(Key::Optional)
        .body::<CardCode>()
        .answers::<CartJson<'_>>(StatusCode::OK, &CHANGED)
        .refuses(&CLOSED)
        .refuses(&[
            Code::GIFT_CARD_NOT_FOUND,
            Code::GIFT_CARD_REFUSED,
            Code::TOO_MANY_GIFT_CARDS,
        ])
}

fn remove_gift_card() -> Operation {
    let summary = "Takes a gift card away from a cart";
    cart(E::CartGiftCard, Verb::Delete, "removeGiftCardFromCart", summary)
        .about("By its id: a code is for no path, where logs would keep it.")
        .at::<CardOfCart>()
        .changes(Key::Optional)
        .answers::<CartJson<'_>>(StatusCode::OK, &CHANGED)
        .refuses(&CLOSED)
}

fn merge() -> Operation {
    cart(E::CartMerge, Verb::Post, "mergeCart", "Merges another cart into this one")
        .about(
            "The other cart gives up its lines, and nothing else: its discount codes and gift cards \
             end with it. 202 says that this is still under way.",
        )
        .changes(Key::Optional)
        .unbound()
        .body::<MergeCart>()
        .answers::<MergeJson>(StatusCode::OK, &SETTLED)
        .answers::<MergeJson>(StatusCode::ACCEPTED, &SETTLED)
        .refuses(&CLOSED)
        .refuses(&LINES)
        .refuses(&PRICES)
        .refuses(&[Code::CURRENCY_MISMATCH, Code::MERGE_INTO_ITSELF, Code::MERGE_REFUSED])
}

fn check_out() -> Operation {
    cart(E::CartCheckout, Verb::Post, "checkOut", "Makes an order of a cart, and pays it")
        .about(
            "Waits for the outcome, for as long as Prefer says at most; 202 says that it is still \
             under way. A retry under the same key is answered alike, whatever happened since. Where \
             the cart has what only a first order gets and it is none, it stays open: without the \
             code it can be checked out, under another key.",
        )
        .changes(Key::Required)
        .header(Header::Prefer)
        .body::<CheckOut>()
        .free_text()
        .answers::<OrderJson<'_>>(StatusCode::CREATED, &SETTLED)
        .answers::<OrderJson<'_>>(StatusCode::ACCEPTED, &SETTLED)
        .refuses(&CLOSED)
        .refuses(&PRICES)
        .refuses(&[
            Code::CART_EMPTY,
            Code::CHECKOUT_TIMED_OUT,
            Code::FRAUD_REVIEW,
            Code::ORDER_REFUSED,
            Code::GIFT_CARD_REFUSED,
            Code::DISCOUNT_CODE_EXHAUSTED,
            Code::DISCOUNT_CODE_USED,
            Code::EMAIL_REQUIRED,
            Code::FIRST_ORDER_ONLY,
            Code::IDEMPOTENCY_IN_FLIGHT,
            Code::ORDER_CANCELLED,
            Code::OUT_OF_STOCK,
            Code::PAYMENT_DECLINED,
            Code::PAYMENT_REQUIRED,
            Code::PRICE_CHANGED,
            Code::PROVIDER_UNKNOWN,
            Code::SHIPPING_OPTION_REQUIRED,
            Code::SHIPPING_OPTION_UNFIT,
            Code::SKU_NOT_FOR_SALE,
            Code::SKU_NOT_PRICED,
            Code::TOO_MANY_GIFT_CARDS,
            Code::TOO_MANY_RESERVATIONS,
            Code::TOTAL_TOO_LARGE,
        ])
}
