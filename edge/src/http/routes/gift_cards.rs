//! Gift cards: issued and changed by operators, looked up by whoever has the code.
//!
//! **Invariants:** a code is answered once, to the request that issued the card and to its repeats, and
//! is in no path, where logs would keep it.

pub(in crate::http) mod documents;
pub(in crate::http) mod list;

use actors::domain::gift_card::{Command, Lookup, NoMoney, Query, View};
use actors::{GiftCard, GiftCardId};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use cluster::fabric::{Provenance, Viewed};
use cluster::ids::Position;
use cluster::time::Timestamp;

use self::documents::{AdjustCard, CardCode, IssueCard, SetCardTerms};
use super::done::Done;
use super::entries::{bound, unbound};
use crate::http::app::{App, now};
use crate::http::code::Code;
use crate::http::error::ApiError;
use crate::http::extract::{JsonBody, Operator, PathId, ReadTerms, Terms};
use crate::http::gift_code::GiftCode;
use crate::http::keys::Credential;
use crate::http::positions;
use crate::http::refusals;
use crate::http::render::gift_card::{BalanceJson, GiftCardJson, IssuedCardJson};
use crate::http::reply::Reply;

/// `POST /admin/v1/gift_cards`
pub(in crate::http) async fn issue(
    State(app): State<App>,
    _: Operator,
    terms: Terms,
    body: JsonBody<IssueCard>,
) -> Result<Reply, ApiError> {
    unbound(&terms)?;
    let IssueCard { amount, code, expires_at, note } = body.document;
    let code = match code {
        Some(code) => code,
        // Derived from the key, so that a repeat on any node is told the same.
        None => GiftCode::made_of(terms.id_bytes(&app, Credential::Operator, "gift code")?),
    };
    let (id, ending) = (code.id(&app), code.ending());
    let command = Command::Issue { amount, ending, expires_at, note };
    let done = execute(&app, &terms, id, &body.bytes, command).await?;
    let gift_card = GiftCardJson::new(id, &done.reply, done.provenance.seq);
    let json = IssuedCardJson { gift_card, code: code.in_groups() };
    let reply = Reply::resource(StatusCode::CREATED, &json, done.provenance)?;
    Ok(reply.at(path_of(id)).kept(done.kept))
}

/// `GET /admin/v1/gift_cards/{id}`
pub(in crate::http) async fn show(
    State(app): State<App>,
    _: Operator,
    PathId(id): PathId<GiftCardId>,
    terms: ReadTerms,
) -> Result<Reply, ApiError> {
    let (view, provenance) = look_up(&app, id, &terms.at_least, terms.deadline).await?;
    if terms.knows(provenance.seq) {
        return Ok(Reply::not_modified(provenance));
    }
    Reply::resource(StatusCode::OK, &GiftCardJson::new(id, &view, provenance.seq), provenance)
}

/// `POST /admin/v1/gift_cards/{id}/adjust`
pub(in crate::http) async fn adjust(
    State(app): State<App>,
    _: Operator,
    PathId(id): PathId<GiftCardId>,
    terms: Terms,
    body: JsonBody<AdjustCard>,
) -> Result<Reply, ApiError> {
    let AdjustCard { by, reason } = body.document;
    change(&app, &terms, id, &body.bytes, Command::Adjust { by, reason }).await
}

/// `PUT /admin/v1/gift_cards/{id}/terms`
pub(in crate::http) async fn set_terms(
    State(app): State<App>,
    _: Operator,
    PathId(id): PathId<GiftCardId>,
    terms: Terms,
    body: JsonBody<SetCardTerms>,
) -> Result<Reply, ApiError> {
    bound(&terms)?;
    let SetCardTerms(wanted) = body.document;
    change(&app, &terms, id, &body.bytes, Command::SetTerms { terms: wanted }).await
}

/// `POST /store/v1/gift_cards/balance`: it changes nothing; a code is for no path.
pub(in crate::http) async fn show_balance(
    State(app): State<App>,
    headers: HeaderMap,
    body: JsonBody<CardCode>,
) -> Result<Reply, ApiError> {
    let CardCode(code) = body.document;
    let at_least = positions::wanted(&headers, app.fabric.incarnation())?;
    let deadline = now().plus(app.settings.request_timeout);
    let (view, provenance) = look_up(&app, code.id(&app), &at_least, deadline).await?;
    let json = BalanceJson::new(&view, now());
    Ok(Reply::resource(StatusCode::OK, &json, provenance)?.without_etag())
}

pub(super) async fn look_up(
    app: &App,
    id: GiftCardId,
    at_least: &[Position],
    deadline: Timestamp,
) -> Result<(View, Provenance), ApiError> {
    let query = app.fabric.query::<GiftCard>(id.key(), at_least, deadline, Query::Card);
    let Viewed { view: Lookup(view), provenance } = query.await?;
    Ok((view.ok_or_else(not_found)?, provenance))
}

async fn change(
    app: &App,
    terms: &Terms,
    id: GiftCardId,
    body: &[u8],
    command: Command,
) -> Result<Reply, ApiError> {
    let done = execute(app, terms, id, body, command).await?;
    let json = GiftCardJson::new(id, &done.reply, done.provenance.seq);
    Ok(Reply::resource(StatusCode::OK, &json, done.provenance)?.kept(done.kept))
}

async fn execute(
    app: &App,
    terms: &Terms,
    id: GiftCardId,
    body: &[u8],
    command: Command,
) -> Result<Done<View>, ApiError> {
    let envelope = terms.envelope(Credential::Operator, body);
    let executed = app.fabric.execute::<GiftCard>(id.key(), envelope, command).await;
    let executed = executed.map_err(|error| {
        let refusal = refusals::of_gift_card;
        ApiError::from_command::<GiftCard>(error, terms.is_keyed(), || path_of(id), refusal)
    })?;
    let done = Done::of::<GiftCard>(app, terms, id.key(), executed, Query::Card, Ok).await?;
    done.try_map(|Lookup(view)| view.ok_or_else(not_found))
}

/// What is wrong with a card that pays nothing, to follow its name.
pub(super) const fn why_nothing(why: NoMoney) -> &'static str {
    match why {
        NoMoney::Unknown => "does not exist",
        NoMoney::Empty => "has nothing left, or another order holds it",
        NoMoney::Expired => "has expired",
        NoMoney::Blocked => "is blocked",
        NoMoney::OtherCurrency => "is in another currency",
        NoMoney::Crowded => "is being used by too many orders at once",
    }
}

pub(in crate::http) fn not_found() -> ApiError {
    ApiError::new(Code::GIFT_CARD_NOT_FOUND, "there is no such gift card")
}

fn path_of(id: GiftCardId) -> String {
    format!("/admin/v1/gift_cards/{id}")
}
