//! What a seller has to do with orders, in JSON.

use actors::domain::names::SellerId;
use actors::domain::seller_board::{Consignment, Dashboard, Sum, Sums};
use actors::{Currency, Money, OrderId};

use super::order::{ORDER_STATUS, status};
use super::{MoneyJson, Text};
use crate::http::rfc3339::Rfc3339;
use crate::http::schema::{
    Described, Schema, count, list, nullable, object, of, required, word, words,
};

/// Sums and orders of one position.
#[derive(serde::Serialize)]
pub(in crate::http) struct DashboardJson<'a> {
    seller: &'a str,
    totals: Vec<TotalsJson>,
    open_orders: Vec<ConsignmentJson>,
    /// Open, and not among those.
    open_orders_unlisted: u64,
    seq: u64,
}

/// In one currency.
#[derive(serde::Serialize)]
struct TotalsJson {
    open: SumJson,
    ended: SumJson,
}

#[derive(serde::Serialize)]
struct SumJson {
    orders: u64,
    pieces: u64,
    amount: MoneyJson,
}

#[derive(serde::Serialize)]
struct ConsignmentJson {
    id: Text<OrderId>,
    number: Option<String>,
    status: &'static str,
    pieces: u32,
    amount: MoneyJson,
    shipped: u32,
    delivered: u32,
    returned: u32,
    confirmed_at: Text<Rfc3339>,
}

impl<'a> DashboardJson<'a> {
    pub(in crate::http) fn new(seller: &'a SellerId, board: &Dashboard, seq: u64) -> Self {
        let totals = board.sums.iter().map(|(currency, sums)| TotalsJson::new(*currency, *sums));
        let open = board.open.iter().map(|(order, it)| ConsignmentJson::new(*order, it));
        Self {
            seller: seller.as_str(),
            totals: totals.collect(),
            open_orders: open.collect(),
            open_orders_unlisted: board.unlisted,
            seq,
        }
    }
}

impl TotalsJson {
    fn new(currency: Currency, Sums { open, ended }: Sums) -> Self {
        Self { open: SumJson::new(currency, open), ended: SumJson::new(currency, ended) }
    }
}

impl SumJson {
    const fn new(currency: Currency, Sum { orders, pieces, amount }: Sum) -> Self {
        Self { orders, pieces, amount: MoneyJson(Money { minor: amount, currency }) }
    }
}

impl ConsignmentJson {
    fn new(order: OrderId, consignment: &Consignment) -> Self {
        Self {
            id: Text(order),
            number: consignment.number.map(|number| number.to_string()),
            status: status(consignment.status),
            pieces: consignment.pieces,
            amount: MoneyJson(consignment.amount),
            shipped: consignment.shipped,
            delivered: consignment.delivered,
            returned: consignment.returned,
            confirmed_at: Text(Rfc3339(consignment.confirmed_at)),
        }
    }
}

impl Described for DashboardJson<'_> {
    fn name() -> String {
        "SellerDashboard".to_owned()
    }

    fn schema() -> Schema {
        let totals = object([required("open", sum()), required("ended", sum())]);
        let order = object([
            required("id", words::order_id()),
            required("number", nullable(words::text("100042"))),
            required("status", word(ORDER_STATUS)).about("Of the pieces of this seller."),
            required("pieces", count(3)).about("Bought, and not called off."),
            required("amount", of::<Money>()).about("What is paid for them."),
            required("shipped", count(1)),
            required("delivered", count(1)),
            required("returned", count(0)),
            required("confirmed_at", words::instant()),
        ]);
        object([
            required("seller", words::handle("ann")),
            required("totals", list(totals)).about("Of each currency."),
            required("open_orders", list(order)).about("Oldest first."),
            required("open_orders_unlisted", count(0)).about("Open, and too many to be listed."),
            required("seq", count(9)),
        ])
    }
}

fn sum() -> Schema {
    object([
        required("orders", count(2)),
        required("pieces", count(5)),
        required("amount", of::<Money>()),
    ])
}
