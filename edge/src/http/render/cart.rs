//! A cart in JSON.
//!
//! `available` is no member of an item: this node does not know the stock of other shards, and
//! advice that may never have been true is none.

use actors::domain::cart::{LineView, MergeRefused, Status, View};
use actors::{CartId, Money};
use serde::ser::{Serialize, Serializer};

use super::discount::{DiscountJson, discount_schema};
use super::{MoneyJson, Text, TotalsJson};
use crate::http::rfc3339::Rfc3339;
use crate::http::schema::{self, Described, Schema, list, object, of, required, word, words};

#[derive(serde::Serialize)]
pub(in crate::http) struct CartJson<'a> {
    id: Text<CartId>,
    status: &'static str,
    currency: &'a str,
    items: Items<'a>,
    discounts: Vec<DiscountJson<'a>>,
    totals: TotalsJson,
    messages: Messages<'a>,
    seq: u64,
    updated_at: Text<Rfc3339>,
}

impl<'a> CartJson<'a> {
    pub(in crate::http) fn new(view: &'a View, seq: u64) -> Self {
        let zero = MoneyJson(Money::zero(view.currency));
        let none = || MoneyJson(zero.0);
        let discounts = view.discounts.iter();
        Self {
            id: Text(view.id),
            status: status(view.status),
            currency: view.currency.as_str(),
            items: Items(&view.lines),
            discounts: discounts.map(|it| DiscountJson::new(it, view.currency)).collect(),
            totals: TotalsJson {
                items: MoneyJson(view.totals.items),
                discount: MoneyJson(view.totals.discount()),
                shipping: none(),
                tax: none(),
                grand: MoneyJson(view.totals.grand),
            },
            messages: Messages(view.merge_refused.as_ref()),
            seq,
            updated_at: Text(Rfc3339(view.updated_at)),
        }
    }
}

const fn status(status: Status) -> &'static str {
    match status {
        Status::Open => "open",
        Status::Merging { .. } => "merging",
        Status::MergedAway { .. } => "merged",
        Status::Deleted => "deleted",
        Status::CheckingOut { .. } => "checking_out",
        Status::Ordered { .. } => "ordered",
    }
}

/// A cart and the token that opens it, as creation answers.
#[derive(serde::Serialize)]
pub(in crate::http) struct CreatedJson<'a> {
    pub(in crate::http) cart: CartJson<'a>,
    pub(in crate::http) token: String,
}

/// What became of a merge.
#[derive(serde::Serialize)]
pub(in crate::http) struct MergeJson {
    pub(in crate::http) from: Text<CartId>,
    pub(in crate::http) into: Text<CartId>,
    pub(in crate::http) status: &'static str,
}

struct Items<'a>(&'a [LineView]);

impl Serialize for Items<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(|line| ItemJson {
            sku: line.sku.as_str(),
            name: line.name.as_str(),
            quantity: line.quantity.get(),
            unit_price: MoneyJson(line.unit_price),
            line_total: MoneyJson(line.line_total),
        }))
    }
}

#[derive(serde::Serialize)]
struct ItemJson<'a> {
    sku: &'a str,
    name: &'a str,
    quantity: u32,
    unit_price: MoneyJson,
    line_total: MoneyJson,
}

/// What the shopper should know of the cart besides its lines.
struct Messages<'a>(Option<&'a MergeRefused>);

impl Serialize for Messages<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(
            self.0.map(|refused| MessageJson { code: "merge_refused", text: Text(&refused.why) }),
        )
    }
}

#[derive(serde::Serialize)]
struct MessageJson<'a> {
    code: &'static str,
    text: Text<&'a actors::domain::cart::Rejection>,
}

impl Described for CartJson<'_> {
    fn name() -> String {
        "Cart".to_owned()
    }

    fn schema() -> Schema {
        let status = word(&["open", "merging", "merged", "deleted", "checking_out", "ordered"]);
        object([
            required("id", words::cart_id()),
            required("status", status),
            required("currency", words::currency()),
            required("items", list(item_schema())),
            required("discounts", list(discount_schema())),
            required("totals", totals_schema()),
            required("messages", list(message_schema())),
            required("seq", schema::count(2)),
            required("updated_at", words::instant()),
        ])
    }
}

fn item_schema() -> Schema {
    object([
        required("sku", words::sku()),
        required("name", words::line("Oolong, 100 g")),
        required("quantity", words::quantity()),
        required("unit_price", of::<Money>()),
        required("line_total", of::<Money>()),
    ])
}

/// What a cart or an order comes to.
pub(super) fn totals_schema() -> Schema {
    object(
        ["items", "discount", "shipping", "tax", "grand"].map(|name| required(name, of::<Money>())),
    )
}

fn message_schema() -> Schema {
    object([
        required("code", word(&["merge_refused"])),
        required("text", words::text("the cart has too many lines")),
    ])
}

impl Described for CreatedJson<'_> {
    fn name() -> String {
        "CreatedCart".to_owned()
    }

    fn schema() -> Schema {
        let token = required("token", words::text("q3Jt5nB0x8vXc2Yw7mKzRfLd1sHgPa4eUiOoTb6N9Qk"));
        object([
            required("cart", of::<CartJson<'_>>()),
            token.about("Opens the cart: it is sent as Omni-Cart-Token."),
        ])
    }
}

impl Described for MergeJson {
    fn name() -> String {
        "Merge".to_owned()
    }

    fn schema() -> Schema {
        object([
            required("from", words::cart_id()),
            required("into", words::cart_id()),
            required("status", word(&["merged", "merging"])),
        ])
    }
}
