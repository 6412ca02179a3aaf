//! Orders that may look like fraud, for whoever decides about them.

use actors::{OrderId, PageLimit};
use axum::http::StatusCode;

use super::super::headers::CHANGED;
use super::super::operation::{Key, Operation, Tag};
use crate::http::code::Code;
use crate::http::render::inventory::ListJson;
use crate::http::render::order::OrderJson;
use crate::http::render::order_list::ListedOrderJson;
use crate::http::routes::documents::Nothing;
use crate::http::schema::{integer, words};
use crate::http::{Endpoint as E, Verb};

/// In each of the books that all orders are in.
const CURSOR: &str = "ol_5.5.5.5.5.5.5.5.5.5.5.5.5.5.5.5.5.5.5.5.5.5.5.5.5.5.5.5.5.5.5.5.\
    5.5.5.5.5.5.5.5.5.5.5.5.5.5.5.5.5.5.5.5.5.5.5.5.5.5.5.5.5.5.5.5";

pub(super) fn all() -> [Operation; 3] {
    [list(), approve(), reject()]
}

fn list() -> Operation {
    let summary = "Lists orders that wait for a decision";
    let limit = integer(1, i64::from(PageLimit::MAX), 20);
    let after = words::exact("^ol_[0-9a-z]{1,7}([.][0-9a-z]{1,7}){63}$", CURSOR);
    Operation::new(E::FraudReviews, Verb::Get, "listReviews", Tag::Fulfilment, summary)
        .about(
            "Newest first, as they were placed. A page may hold fewer orders than were asked for, \
             though there are more: only a `next_cursor` of null is the end.",
        )
        .operator()
        .reads()
        .query("limit", limit, "How many at most; 20 without it.")
        .query("after", after, "A `next_cursor` of the same list: what follows it.")
        .answers::<ListJson<ListedOrderJson>>(StatusCode::OK, &[])
}

fn decided(endpoint: E, id: &'static str, summary: &'static str) -> Operation {
    Operation::new(endpoint, Verb::Post, id, Tag::Fulfilment, summary)
        .operator()
        .at::<OrderId>()
        .changes(Key::Optional)
        .maybe_body::<Nothing>()
        .answers::<OrderJson<'_>>(StatusCode::OK, &CHANGED)
        .refuses(&[Code::ORDER_NOT_ON_HOLD])
}

fn approve() -> Operation {
    let summary = "Lets an order that is on hold be paid";
    decided(E::FraudReviewApprove, "approveOrder", summary)
}

fn reject() -> Operation {
    let summary = "Ends an order that is on hold, and gives its pieces back";
    decided(E::FraudReviewReject, "rejectOrder", summary)
}
