//! Merging one cart into another: the first gives up its lines, the second takes them or refuses.
//!
//! The command goes to the cart that is merged away. What it answers, "merging", is the same on
//! every retry but says little; so the handler waits for the end, which is as lasting: a cart that
//! was merged away stays so. "Still merging" (202) is not remembered, and a refusal is repeated
//! until the cart is merged elsewhere.
//!
//! A key is known to the cart that is merged away: the same key with another `from` goes unnoticed,
//! and is a merge of its own.

use std::time::Duration;

use actors::domain::cart::{Command, Lookup, Query, Rejection, Status};
use actors::{Cart, CartId};
use axum::extract::State;
use axum::http::StatusCode;
use cluster::entity::Entity;
use cluster::fabric::Provenance;
use cluster::time::{Span, Timestamp};

use super::cart::{Done, execute, path_of};
use super::documents::MergeCart;
use crate::http::app::{App, now};
use crate::http::code::Code;
use crate::http::error::{ApiError, Kept};
use crate::http::extract::{GuestCart, JsonBody, Terms};
use crate::http::keys::Credential;
use crate::http::refusals;
use crate::http::render::Text;
use crate::http::render::cart::MergeJson;
use crate::http::reply::Reply;

/// How long a request waits for the two carts to agree.
const WAIT_MAX: Span = Span::from_secs(2);
const POLL_FIRST: Duration = Duration::from_millis(5);
const POLL_LAST: Duration = Duration::from_millis(200);

/// `POST /store/v1/carts/{id}/merge`
pub(in crate::http) async fn merge(
    State(app): State<App>,
    into: GuestCart,
    terms: Terms,
    body: JsonBody<MergeCart>,
) -> Result<Reply, ApiError> {
    if terms.expected_seq.is_some() {
        let detail = "a merge changes two carts and cannot be bound to the state of one";
        return Err(ApiError::new(Code::IF_MATCH_UNSUPPORTED, detail));
    }
    let MergeCart { from, from_token, strategy } = body.document;
    let shown = app.secrets.check_cart_token(from, from_token.as_bytes());
    shown.ok_or_else(ApiError::cart_not_found)?;
    let command = Command::GiveUpLines { to: into.id, strategy };
    let credential = Credential::Cart(into.token.as_bytes());
    let done = execute(&app, &terms, from, credential, &body.bytes, command).await?;
    let deadline = terms.deadline.min(terms.now().plus(WAIT_MAX));
    let answer = |status, word, provenance| {
        let json = MergeJson { from: Text(from), into: Text(into.id), status: word };
        let reply = Reply::resource(status, &json, provenance)?;
        Ok::<_, ApiError>(reply.without_etag().at(path_of(into.id)))
    };
    match settled(&app, from, into.id, deadline, &done).await? {
        Some(provenance) => {
            let query = app.fabric.query::<Cart>(into.id.key(), &[], terms.deadline, Query::Cart);
            let taken = query.await?.provenance.position;
            Ok(answer(StatusCode::OK, "merged", provenance)?.and_position(taken).kept(done.kept))
        }
        None => answer(StatusCode::ACCEPTED, "merging", done.provenance),
    }
}

/// Waits until the cart is merged away; `None` when it takes longer than the wait.
async fn settled(
    app: &App,
    from: CartId,
    into: CartId,
    deadline: Timestamp,
    offered: &Done,
) -> Result<Option<Provenance>, ApiError> {
    let mut pause = POLL_FIRST;
    loop {
        let at_least = [offered.provenance.position];
        // Reading has a while of its own: at the end of the wait there is still an answer to give.
        let read_until = deadline.plus(WAIT_MAX);
        let query = app.fabric.query::<Cart>(from.key(), &at_least, read_until, Query::Cart);
        let viewed = query.await?;
        let Lookup(Some(view)) = viewed.view else { return Err(ApiError::cart_not_found()) };
        match (view.status, view.merge_refused) {
            (Status::MergedAway { into: other }, _) if other == into => {
                return Ok(Some(viewed.provenance));
            }
            (Status::Merging { into: other }, _) if other == into => {}
            (Status::Open, Some(refused)) if refused.by == into => {
                return Err(refused_for(refused.why, offered.kept));
            }
            // The end of this merge is history: the cart has moved on since.
            (Status::Open | Status::Deleted, _)
            | (Status::Merging { .. } | Status::MergedAway { .. }, _) => {
                let detail = "the first request was carried out; read the carts instead";
                let expired = ApiError::new(Code::IDEMPOTENCY_REPLY_EXPIRED, detail);
                return Err(expired.at(path_of(from)));
            }
        }
        if now() >= deadline {
            return Ok(None);
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(POLL_LAST);
    }
}

fn refused_for(why: Rejection, kept: Kept) -> ApiError {
    if Cart::is_momentary(&why) {
        // The offer is over, so this same request would only hear of it again.
        let detail = "carts could not be priced; merge again, under another key if any";
        return ApiError::new(Code::MERGE_REFUSED, detail).kept(kept);
    }
    refusals::of_cart(why).kept(kept)
}
