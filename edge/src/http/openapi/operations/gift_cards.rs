//! Gift cards, for operators and for whoever has a code.

use actors::GiftCardId;
use axum::http::StatusCode;

use super::super::headers::{CHANGED, Header, SHOWN};
use super::super::operation::{Key, Operation, Tag};
use super::catalogue::paged;
use crate::http::code::Code;
use crate::http::render::gift_card::{
    BalanceJson, GiftCardJson, IssuedCardJson, ListedCardJson, card_state_schema,
};
use crate::http::render::inventory::ListJson;
use crate::http::routes::gift_cards::documents::{AdjustCard, CardCode, IssueCard, SetCardTerms};
use crate::http::schema::words;
use crate::http::{Endpoint as E, Verb};

/// In each of the lists that all cards are in.
const CURSOR: &str = "gl_5.5.5.5.5.5.5.5.5.5.5.5.5.5.5.5.5.5.5.5.5.5.5.5.5.5.5.5.5.5.5.5.\
    5.5.5.5.5.5.5.5.5.5.5.5.5.5.5.5.5.5.5.5.5.5.5.5.5.5.5.5.5.5.5.5";

pub(super) fn all() -> [Operation; 6] {
    [issue(), list(), show(), adjust(), set_terms(), show_balance()]
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

fn list() -> Operation {
    const ABOUT: &str = "Newest first, as they were issued, each as it is. A page may hold fewer cards than \
         were asked for, though there are more: only a `next_cursor` of null is the end. A card that was \
         issued before there was this list is in it from when something happens to it.";
    let summary = "Lists gift cards";
    let list = Operation::new(E::GiftCards, Verb::Get, "listGiftCards", Tag::Payments, summary);
    let after = words::exact("^gl_[0-9a-z]{1,7}([.][0-9a-z]{1,7}){63}$", CURSOR);
    paged(list.about(ABOUT).operator().reads(), after)
        .query("state", card_state_schema(), "Of the cards.")
        .answers::<ListJson<ListedCardJson>>(StatusCode::OK, &[])
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
