//! Gift cards, for operators and for whoever has a code.

use actors::GiftCardId;
use axum::http::StatusCode;

use super::super::headers::{CHANGED, Header, SHOWN};
use super::super::operation::{Key, Operation, Tag};
use crate::http::code::Code;
use crate::http::render::gift_card::{BalanceJson, GiftCardJson, IssuedCardJson};
use crate::http::routes::gift_cards::documents::{AdjustCard, CardCode, IssueCard, SetCardTerms};
use crate::http::{Endpoint as E, Verb};

pub(super) fn all() -> [Operation; 5] {
    [issue(), show(), adjust(), set_terms(), show_balance()]
}

fn card(endpoint: E, verb: Verb, id: &'static str, summary: &'static str) -> Operation {
    Operation::new(endpoint, verb, id, Tag::Payments, summary).operator().at::<GiftCardId>()
}

fn issue() -> Operation {
    let summary = "Issues a gift card";
    Operation::new(E::GiftCards, Verb::Post, "issueGiftCard", Tag::Payments, summary)
        .about("The answer is the only one that holds the code which spends it.")
        .operator()
        .changes(Key::Optional)
        .unbound()
        .body::<IssueCard>()
        .free_text()
        .answers::<IssuedCardJson<'_>>(
            StatusCode::CREATED,
            &[Header::ETag, Header::OmniSeq, Header::Location, Header::IdempotentReplayed],
        )
        .refuses(&[Code::GIFT_CARD_EXISTS])
}

fn show() -> Operation {
    card(E::GiftCard, Verb::Get, "showGiftCard", "Shows a gift card")
        .reads()
        .answers::<GiftCardJson<'_>>(StatusCode::OK, &SHOWN)
        .cached()
}

fn adjust() -> Operation {
    card(
        E::GiftCardAdjust,
        Verb::Post,
        "adjustGiftCard",
        "Puts money on a gift card, or takes some",
    )
    .changes(Key::Optional)
    .body::<AdjustCard>()
    .free_text()
    .answers::<GiftCardJson<'_>>(StatusCode::OK, &CHANGED)
    .refuses(&[Code::GIFT_CARD_CURRENCY, Code::GIFT_CARD_FULL, Code::GIFT_CARD_TOO_LITTLE])
}

fn set_terms() -> Operation {
    card(E::GiftCardTerms, Verb::Put, "setGiftCardTerms", "Blocks a gift card, or lets it expire")
        .about("What an order holds of it by then may be spent all the same.")
        .changes(Key::Optional)
        .bound()
        .body::<SetCardTerms>()
        .answers::<GiftCardJson<'_>>(StatusCode::OK, &CHANGED)
}

fn show_balance() -> Operation {
    let summary = "Shows what is on a gift card";
    Operation::new(E::GiftCardBalance, Verb::Post, "showGiftCardBalance", Tag::Carts, summary)
        .about("It changes nothing; a code is for no path, where logs would keep it.")
        .reads()
        .body::<CardCode>()
        .answers::<BalanceJson<'_>>(StatusCode::OK, &[Header::OmniSeq])
        .refuses(&[Code::GIFT_CARD_NOT_FOUND])
}
