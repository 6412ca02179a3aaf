//! A cart in JSON.
//!
//! What is on its gift cards is theirs to say: whoever shows a cart asks them first, or shows that
//! nobody did.
//!
//! `available` is no member of an item: this node does not know the stock of other shards, and
//! advice that may never have been true is none.

use actors::domain::cart::{GivenCard, LineView, Status, View};
use actors::{CartId, GiftCardId, Money};
use serde::ser::{Serialize, Serializer};

use super::discount::{DiscountJson, discount_schema};
use super::{MoneyJson, Text};
use crate::http::rfc3339::Rfc3339;
use crate::http::schema::{
    self, Described, Schema, list, maybe, nullable, object, of, required, word, words,
};

#[derive(serde::Serialize)]
pub(in crate::http) struct CartJson<'a> {
    id: Text<CartId>,
    status: &'static str,
    currency: &'a str,
    items: Items<'a>,
    discount_codes: Vec<&'a str>,
    discounts: Vec<DiscountJson<'a>>,
    gift_cards: Vec<CardJson<'a>>,
    totals: TotalsJson,
    messages: Vec<MessageJson<'a>>,
    seq: u64,
    updated_at: Text<Rfc3339>,
}

#[derive(serde::Serialize)]
struct TotalsJson {
    items: MoneyJson,
    discount: MoneyJson,
    shipping: MoneyJson,
    tax: MoneyJson,
    grand: MoneyJson,
    due: Option<MoneyJson>,
}

/// A gift card, and what it is about to pay where it was asked.
#[derive(serde::Serialize)]
struct CardJson<'a> {
    id: Text<GiftCardId>,
    ending: &'a str,
    balance: Option<MoneyJson>,
    pays: Option<MoneyJson>,
}

/// What each gift card of a cart has, in their order, where all of them were asked and answered.
pub(in crate::http) type Balances = Option<Vec<Money>>;

impl<'a> CartJson<'a> {
    pub(in crate::http) fn new(view: &'a View, seq: u64, balances: &Balances) -> Self {
        let zero = MoneyJson(Money::zero(view.currency));
        let none = || MoneyJson(zero.0);
        let discount = |it| DiscountJson::new(it, &view.codes, view.currency);
        let (gift_cards, due) = paid_by_cards(view, balances);
        Self {
            id: Text(view.id),
            status: status(view.status),
            currency: view.currency.as_str(),
            items: Items(&view.lines),
            discount_codes: view.codes.iter().map(|given| given.code.as_str()).collect(),
            discounts: view.discounts.iter().map(discount).collect(),
            gift_cards,
            totals: TotalsJson {
                items: MoneyJson(view.totals.items),
                discount: MoneyJson(view.totals.discount()),
                shipping: none(),
                tax: none(),
                grand: MoneyJson(view.totals.grand),
                due: due.map(MoneyJson),
            },
            messages: messages(view),
            seq,
            updated_at: Text(Rfc3339(view.updated_at)),
        }
    }
}

/// What each card pays, the first what it can, and so on, and what is left to pay.
fn paid_by_cards<'a>(view: &'a View, balances: &Balances) -> (Vec<CardJson<'a>>, Option<Money>) {
    let grand = view.totals.grand;
    let mut left = grand.minor;
    let known = balances.as_ref().filter(|known| known.len() == view.gift_cards.len());
    let card = |(nth, given): (usize, &'a GivenCard)| {
        let balance = known.and_then(|known| known.get(nth)).copied();
        let pays = balance.map(|Money { minor, currency }| {
            let minor = if currency == grand.currency { minor.clamp(0, left) } else { 0 };
            left -= minor;
            Money { minor, ..grand }
        });
        let (balance, pays) = (balance.map(MoneyJson), pays.map(MoneyJson));
        CardJson { id: Text(given.card), ending: given.ending.as_str(), balance, pays }
    };
    let cards: Vec<_> = view.gift_cards.iter().enumerate().map(card).collect();
    let is_known = cards.is_empty() || known.is_some();
    (cards, is_known.then_some(Money { minor: left, ..grand }))
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
fn messages(view: &View) -> Vec<MessageJson<'_>> {
    let refused = view.merge_refused.as_ref().map(|refused| MessageJson {
        code: "merge_refused",
        text: refused.why.to_string(),
        discount_code: None,
    });
    let idle = view.idle_codes().map(|code| MessageJson {
        code: "discount_code_idle",
        text: format!("discount code {code} takes nothing off this cart"),
        discount_code: Some(code.as_str()),
    });
    refused.into_iter().chain(idle).collect()
}

#[derive(serde::Serialize)]
struct MessageJson<'a> {
    code: &'static str,
    text: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    discount_code: Option<&'a str>,
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
            required("discount_codes", list(words::handle("SPRING-10"))),
            required("discounts", list(discount_schema())),
            required("gift_cards", list(card_schema())).about("In the order in which they pay."),
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

fn card_schema() -> Schema {
    object([
        required("id", words::gift_card_id()),
        required("ending", words::line("89AB")).about("The last characters of its code."),
        required("balance", nullable(of::<Money>())).about(
            "What an order would get of it by now, also where an earlier answer is given again. Null \
             once the cart is checked out, for the order has what it paid; and for a while where a \
             card cannot be asked.",
        ),
        required("pays", nullable(of::<Money>())).about("Of what the cart comes to."),
    ])
}

fn totals_schema() -> Schema {
    let sum = |name| required(name, of::<Money>());
    object([
        sum("items"),
        sum("discount"),
        sum("shipping"),
        sum("tax"),
        sum("grand"),
        required("due", nullable(of::<Money>()))
            .about("What the gift cards leave to pay. Null where their balances are."),
    ])
}

fn message_schema() -> Schema {
    object([
        required("code", word(&["merge_refused", "discount_code_idle"])),
        required("text", words::text("the cart has too many lines")),
        maybe("discount_code", words::handle("SPRING-10")),
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
