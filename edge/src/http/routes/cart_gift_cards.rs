//! The gift cards of a cart, and what is on them.
//!
//! **Invariants:** a cart gets a card by its code alone, which is in no path; a card that would pay
//! nothing is refused here, and by the order that finds it so later; a cart without cards costs no
//! question, and one whose cards do not answer is shown all the same.

use actors::domain::cart::{Command, Status, View};
use actors::domain::gift_card::{Lookup, Query};
use actors::{GiftCard, GiftCardId, Money};
use axum::extract::State;
use cluster::time::{Span, Timestamp};

use super::cart;
use super::gift_cards::{self, documents::CardCode, why_nothing};
use crate::http::app::{App, now};
use crate::http::at_once::all_at_once;
use crate::http::code::Code;
use crate::http::error::ApiError;
use crate::http::extract::{CardOfCart, GuestCart, JsonBody, PathId, Terms};
use crate::http::render::cart::Balances;
use crate::http::reply::Reply;

/// A cart is shown without balances sooner than late.
const BALANCES_WAIT: Span = Span::from_secs(2);

/// `POST /store/v1/carts/{id}/gift_cards`
pub(in crate::http) async fn add(
    State(app): State<App>,
    cart: GuestCart,
    terms: Terms,
    body: JsonBody<CardCode>,
) -> Result<Reply, ApiError> {
    let CardCode(code) = body.document;
    let (card, ending) = (code.id(&app), code.ending());
    check(&app, &cart, card, terms.deadline).await?;
    let command = Command::AddGiftCard { card, ending };
    cart::change(&app, &terms, &cart, &body.bytes, command).await
}

/// Whether the card pays anything of this cart. One that is there is not asked again: a repeat is answered
/// like the first request, whatever became of the card since.
async fn check(
    app: &App,
    cart: &GuestCart,
    card: GiftCardId,
    deadline: Timestamp,
) -> Result<(), ApiError> {
    let (view, _) = cart::look_up(app, cart, &[], deadline).await?;
    if view.gift_cards.iter().any(|given| given.card == card) {
        return Ok(());
    }
    let (shown, _) = gift_cards::look_up(app, card, &[], deadline).await?;
    match shown.refusal(view.currency, now()) {
        None => Ok(()),
        Some(why) => {
            let detail = format!("the gift card {}", why_nothing(why));
            Err(ApiError::new(Code::GIFT_CARD_REFUSED, detail).about("code"))
        }
    }
}

/// `DELETE /store/v1/carts/{id}/gift_cards/{card_id}`
pub(in crate::http) async fn remove(
    State(app): State<App>,
    cart: GuestCart,
    PathId(CardOfCart(card)): PathId<CardOfCart>,
    terms: Terms,
) -> Result<Reply, ApiError> {
    cart::change(&app, &terms, &cart, b"", Command::RemoveGiftCard { card }).await
}

/// What an order would get of the gift cards of a cart at this moment.
pub(super) async fn balances(app: &App, view: &View, deadline: Timestamp) -> Balances {
    let cards = view.gift_cards.iter().map(|given| given.card).collect();
    on_cards(app, cards, view, deadline).await
}

/// What an order made of a cart would get of some gift cards at this moment. A cart that is checked out
/// asks none: what they pay is the order's to say.
pub(super) async fn on_cards(
    app: &App,
    cards: Vec<GiftCardId>,
    view: &View,
    deadline: Timestamp,
) -> Balances {
    let may_be_bought = match view.status {
        Status::Open | Status::Merging { .. } => true,
        Status::CheckingOut { .. }
        | Status::Ordered { .. }
        | Status::MergedAway { .. }
        | Status::Deleted => false,
    };
    if !may_be_bought || cards.is_empty() {
        return None;
    }
    let deadline = deadline.min(now().plus(BALANCES_WAIT));
    let balance = |card: GiftCardId| {
        let fabric = app.fabric.clone();
        async move { fabric.query::<GiftCard>(card.key(), &[], deadline, Query::Card).await }
    };
    let shown = all_at_once(cards, balance).await.ok()?;
    let (at, nothing) = (now(), Money::zero(view.currency));
    let available = shown.into_iter().map(|shown| {
        let Lookup(card) = shown.ok()?.view;
        Some(card.map_or(nothing, |card| card.available(at)))
    });
    available.collect()
}
