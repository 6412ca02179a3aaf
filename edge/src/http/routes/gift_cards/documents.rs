//! What is sent of gift cards.

use actors::domain::gift_card::CardTerms;
use actors::domain::names::Label;
use actors::{GiftCard, Money};
use cluster::time::Timestamp;

use crate::http::fields::{Document, Faults, Members, boolean, parsed};
use crate::http::gift_code::GiftCode;
use crate::http::routes::documents::{instant, money_between, words};
use crate::http::schema::words::{amount, gift_code, instant as instant_schema, line};
use crate::http::schema::{Described, Schema, object, optional, required};

/// `{amount, code?, expires_at?, note?}`
pub(in crate::http) struct IssueCard {
    pub(in crate::http) amount: Money,
    /// Of a card that was printed elsewhere.
    pub(in crate::http) code: Option<GiftCode>,
    pub(in crate::http) expires_at: Option<Timestamp>,
    pub(in crate::http) note: Option<Label>,
}

impl Document for IssueCard {
    fn read(members: &mut Members<'_>, faults: &mut Faults) -> Option<Self> {
        let amount = members
            .required("amount", faults, |json| money_between(json, 1, GiftCard::BALANCE_MAX));
        let code = members.optional("code", faults, parsed);
        let expires_at = members.optional("expires_at", faults, instant);
        let note = members.optional("note", faults, words);
        Some(Self { amount: amount?, code: code?, expires_at: expires_at?, note: note? })
    }
}

impl Described for IssueCard {
    fn name() -> String {
        "GiftCardIssue".to_owned()
    }

    fn schema() -> Schema {
        object([
            required("amount", amount(1, GiftCard::BALANCE_MAX)),
            optional("code", gift_code()).about("Of a card that was made elsewhere."),
            optional("expires_at", instant_schema().such_as("2126-01-01T00:00:00Z")),
            optional("note", line("for a birthday")).about("For the shop alone."),
        ])
    }
}

/// `{amount, reason}`
pub(in crate::http) struct AdjustCard {
    pub(in crate::http) by: Money,
    pub(in crate::http) reason: Label,
}

impl Document for AdjustCard {
    fn read(members: &mut Members<'_>, faults: &mut Faults) -> Option<Self> {
        let most = GiftCard::BALANCE_MAX;
        let by = members.required("amount", faults, |json| money_between(json, -most, most));
        let reason = members.required("reason", faults, words);
        Some(Self { by: by?, reason: reason? })
    }
}

impl Described for AdjustCard {
    fn name() -> String {
        "GiftCardAdjustment".to_owned()
    }

    fn schema() -> Schema {
        let by = amount(-GiftCard::BALANCE_MAX, GiftCard::BALANCE_MAX);
        object([
            required("amount", by).about("Below zero it is taken off."),
            required("reason", line("goodwill")),
        ])
    }
}

/// `{blocked, expires_at?}`
pub(in crate::http) struct SetCardTerms(pub(in crate::http) CardTerms);

impl Document for SetCardTerms {
    fn read(members: &mut Members<'_>, faults: &mut Faults) -> Option<Self> {
        let is_blocked = members.required("blocked", faults, boolean);
        let expires_at = members.optional("expires_at", faults, instant);
        Some(Self(CardTerms { is_blocked: is_blocked?, expires_at: expires_at? }))
    }
}

impl Described for SetCardTerms {
    fn name() -> String {
        "GiftCardTerms".to_owned()
    }

    fn schema() -> Schema {
        object([
            required("blocked", Schema::Boolean),
            optional("expires_at", instant_schema().such_as("2126-01-01T00:00:00Z"))
                .about("Without it the card does not expire."),
        ])
    }
}

/// `{code}`
pub(in crate::http) struct CardCode(pub(in crate::http) GiftCode);

impl Document for CardCode {
    fn read(members: &mut Members<'_>, faults: &mut Faults) -> Option<Self> {
        Some(Self(members.required("code", faults, parsed)?))
    }
}

impl Described for CardCode {
    fn name() -> String {
        "GiftCardCode".to_owned()
    }

    fn schema() -> Schema {
        object([required("code", gift_code())])
    }
}
