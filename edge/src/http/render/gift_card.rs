//! A gift card in JSON.

use actors::domain::gift_card::{Booking, CardState, Entry, View};
use actors::domain::names::Label;
use actors::{GiftCardId, Money, OrderId};
use cluster::time::Timestamp;
use serde::Serialize;

use super::{MoneyJson, Text};
use crate::http::rfc3339::Rfc3339;
use crate::http::schema::{
    Described, Schema, count, list, maybe, nullable, object, of, required, word, words,
};

const ENDING: &str = "89AB";

/// From the answer of the card alone, so that a repeat cannot say anything else.
#[derive(Serialize)]
pub(in crate::http) struct GiftCardJson<'a> {
    id: Text<GiftCardId>,
    ending: &'a str,
    note: Option<&'a str>,
    blocked: bool,
    expires_at: Option<Text<Rfc3339>>,
    balance: MoneyJson,
    held: MoneyJson,
    issued_at: Text<Rfc3339>,
    /// Newest first.
    ledger: Vec<EntryJson<'a>>,
    seq: u64,
}

#[derive(Serialize)]
struct EntryJson<'a> {
    what: &'static str,
    amount: MoneyJson,
    balance: MoneyJson,
    #[serde(skip_serializing_if = "Option::is_none")]
    order: Option<Text<OrderId>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    at: Text<Rfc3339>,
}

/// In a list of cards: its book, and what orders hold of it, the card itself tells.
#[derive(Serialize)]
pub(in crate::http) struct ListedCardJson {
    id: Text<GiftCardId>,
    ending: Label,
    note: Option<Label>,
    state: &'static str,
    balance: MoneyJson,
    issued_at: Text<Rfc3339>,
}

#[derive(Serialize)]
pub(in crate::http) struct IssuedCardJson<'a> {
    pub(in crate::http) gift_card: GiftCardJson<'a>,
    pub(in crate::http) code: String,
}

/// For whoever has the code.
#[derive(Serialize)]
pub(in crate::http) struct BalanceJson<'a> {
    ending: &'a str,
    available: MoneyJson,
    expires_at: Option<Text<Rfc3339>>,
}

impl<'a> GiftCardJson<'a> {
    pub(in crate::http) fn new(id: GiftCardId, view: &'a View, seq: u64) -> Self {
        let entry = |entry: &'a Entry| EntryJson::new(entry, view.balance);
        Self {
            id: Text(id),
            ending: view.ending.as_str(),
            note: view.note.as_ref().map(|note| note.as_str()),
            blocked: view.terms.is_blocked,
            expires_at: view.terms.expires_at.map(|at| Text(Rfc3339(at))),
            balance: MoneyJson(view.balance),
            held: MoneyJson(view.held),
            issued_at: Text(Rfc3339(view.issued_at)),
            ledger: view.book.iter().rev().map(entry).collect(),
            seq,
        }
    }
}

impl ListedCardJson {
    pub(in crate::http) fn new(id: GiftCardId, view: View, at: Timestamp) -> Self {
        Self {
            id: Text(id),
            state: card_state(view.state(at)),
            ending: view.ending,
            note: view.note,
            balance: MoneyJson(view.balance),
            issued_at: Text(Rfc3339(view.issued_at)),
        }
    }
}

pub(in crate::http) const CARD_STATES: [CardState; 4] =
    [CardState::Active, CardState::Blocked, CardState::Expired, CardState::Empty];

pub(in crate::http) const fn card_state(state: CardState) -> &'static str {
    match state {
        CardState::Active => "active",
        CardState::Blocked => "blocked",
        CardState::Expired => "expired",
        CardState::Empty => "empty",
    }
}

pub(in crate::http) fn card_state_schema() -> Schema {
    word(&["active", "blocked", "expired", "empty"])
}

impl<'a> EntryJson<'a> {
    fn new(entry: &'a Entry, in_currency: Money) -> Self {
        let money = |minor| MoneyJson(Money { minor, ..in_currency });
        let (what, order, reason) = match &entry.booking {
            Booking::Issued => ("issued", None, None),
            Booking::Adjusted { reason } => ("adjusted", None, Some(reason.as_str())),
            Booking::Spent { order } => ("spent", Some(Text(*order)), None),
            Booking::GivenBack { order } => ("given_back", Some(Text(*order)), None),
        };
        let (amount, balance) = (money(entry.minor), money(entry.balance));
        Self { what, amount, balance, order, reason, at: Text(Rfc3339(entry.at)) }
    }
}

impl<'a> BalanceJson<'a> {
    pub(in crate::http) fn new(view: &'a View, now: Timestamp) -> Self {
        Self {
            ending: view.ending.as_str(),
            available: MoneyJson(view.available(now)),
            expires_at: view.terms.expires_at.map(|at| Text(Rfc3339(at))),
        }
    }
}

impl Described for GiftCardJson<'_> {
    fn name() -> String {
        "GiftCard".to_owned()
    }

    fn schema() -> Schema {
        object([
            required("id", words::gift_card_id()),
            required("ending", words::line(ENDING)).about("The last characters of its code."),
            required("note", nullable(words::line("for a birthday"))),
            required("blocked", Schema::Boolean),
            required("expires_at", nullable(words::instant())),
            required("balance", of::<Money>()),
            required("held", of::<Money>()).about("For orders that are being paid."),
            required("issued_at", words::instant()),
            required("ledger", list(entry()))
                .about("The newest 100, newest first; its history has all."),
            required("seq", count(3)),
        ])
    }
}

impl Described for ListedCardJson {
    fn name() -> String {
        "ListedGiftCard".to_owned()
    }

    fn schema() -> Schema {
        object([
            required("id", words::gift_card_id()),
            required("ending", words::line(ENDING)).about("The last characters of its code."),
            required("note", nullable(words::line("for a birthday"))),
            required("state", card_state_schema())
                .about("A card is blocked or expired whatever is on it."),
            required("balance", of::<Money>()).about("With what orders hold."),
            required("issued_at", words::instant()),
        ])
    }
}

fn entry() -> Schema {
    object([
        required("what", word(&["spent", "issued", "adjusted", "given_back"])),
        required("amount", of::<Money>()).about("Below zero where it went."),
        required("balance", of::<Money>()).about("After it."),
        maybe("order", words::order_id()),
        maybe("reason", words::line("goodwill")),
        required("at", words::instant()),
    ])
}

impl Described for IssuedCardJson<'_> {
    fn name() -> String {
        "IssuedGiftCard".to_owned()
    }

    fn schema() -> Schema {
        object([
            required("gift_card", of::<GiftCardJson<'_>>()),
            required("code", words::gift_code()).about("Shown here and nowhere else."),
        ])
    }
}

impl Described for BalanceJson<'_> {
    fn name() -> String {
        "GiftCardBalance".to_owned()
    }

    fn schema() -> Schema {
        object([
            required("ending", words::line(ENDING)),
            required("available", of::<Money>())
                .about("Nothing of a card that is blocked or has expired."),
            required("expires_at", nullable(words::instant())),
        ])
    }
}
