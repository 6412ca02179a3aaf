//! An order in a list of orders, in JSON.

use actors::domain::order_list::Listed;
use actors::{Money, OrderId};

use super::order::{ORDER_STATUS, status};
use super::{MoneyJson, Text};
use crate::http::rfc3339::Rfc3339;
use crate::http::schema::{Described, Schema, object, of, required, word, words};

/// What a list shows of an order: the rest is the order's own to tell.
#[derive(serde::Serialize)]
pub(in crate::http) struct ListedOrderJson {
    id: Text<OrderId>,
    number: String,
    status: &'static str,
    total: MoneyJson,
    placed_at: Text<Rfc3339>,
}

impl ListedOrderJson {
    pub(in crate::http) fn new(listed: &Listed) -> Self {
        Self {
            id: Text(listed.order),
            number: listed.number.to_string(),
            status: status(listed.status),
            total: MoneyJson(listed.total),
            placed_at: Text(Rfc3339(listed.placed_at)),
        }
    }
}

impl Described for ListedOrderJson {
    fn name() -> String {
        "ListedOrder".to_owned()
    }

    fn schema() -> Schema {
        object([
            required("id", words::order_id()),
            required("number", words::text("100042")),
            required("status", word(ORDER_STATUS)),
            required("total", of::<Money>()),
            required("placed_at", words::instant()),
        ])
    }
}
