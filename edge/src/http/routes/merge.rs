//! Merging one cart into another: the first gives up its lines, the second takes them or refuses.
//!
//! Under a key both carts know the request. The cart that is merged into hears of it first and
//! changes nothing: that is where the same key with another `from` is noticed. The cart that is
//! merged away numbers its offer, which a repeat meets again, and when the wait for the offer's end
//! is over, that cart records under the key what it came to, "still merging" (202) too: a repeat is
//! answered like the first request, whatever happened since.
//!
//! A repeat that finds nothing recorded, because the first request was cut off, waits like it.

use std::time::Duration;

use actors::domain::cart::{Command, Lookup, OfferNumber, OfferOutcome, Query, Rejection, View};
use actors::{Cart, CartId};
use axum::extract::State;
use axum::http::StatusCode;
use cluster::entity::Entity;
use cluster::fabric::{CommandError, Envelope, Executed, Precondition, Provenance};
use cluster::time::{Span, Timestamp};

use super::cart::{execute, path_of};
use super::documents::MergeCart;
use super::done::Done;
use crate::http::app::{App, now};
use crate::http::code::Code;
use crate::http::error::{ApiError, Kept};
use crate::http::extract::{GuestCart, JsonBody, Terms};
use crate::http::keys::Credential;
use crate::http::refusals;
use crate::http::render::Text;
use crate::http::render::cart::MergeJson;
use crate::http::reply::Reply;

/// What an answer may take once the wait is over.
const ANSWER_MAX: Span = Span::from_secs(2);
const POLL_FIRST: Duration = Duration::from_millis(5);
const POLL_LAST: Duration = Duration::from_millis(200);

/// `POST /store/v1/carts/{id}/merge`
pub(in crate::http) async fn merge(
    State(app): State<App>,
    into: GuestCart,
    terms: Terms,
    body: JsonBody<MergeCart>,
) -> Result<Reply, ApiError> {
    if terms.precondition != Precondition::None {
        let detail = "a merge changes two carts and cannot be bound to the state of one";
        return Err(ApiError::new(Code::IF_MATCH_UNSUPPORTED, detail));
    }
    let MergeCart { from, from_token, strategy } = body.document;
    let shown = app.secrets.check_cart_token(from, from_token.as_bytes());
    shown.ok_or_else(ApiError::cart_not_found)?;
    // A cart that is to be merged into itself knows the key by the command that it refuses.
    if from != into.id {
        announce(&app, &terms, &into, &body.bytes, from).await?;
    }
    let command = Command::GiveUpLines { to: into.id, strategy };
    let credential = Credential::Cart(into.token.as_bytes());
    let done = execute(&app, &terms, from, credential, &body.bytes, command).await?;
    let answer = |status, word, provenance| {
        let json = MergeJson { from: Text(from), into: Text(into.id), status: word };
        let reply = Reply::resource(status, &json, provenance)?;
        Ok::<_, ApiError>(reply.without_etag().at(path_of(into.id)))
    };
    let offer = done.reply.offer.as_ref().filter(|offer| offer.into == into.id);
    let number = offer.ok_or_else(|| forgotten(from))?.number;
    let deadline = terms.deadline.min(terms.now().plus(app.settings.merge_wait_max));
    let mut end = settled(&app, from, number, deadline, &done).await?;
    if terms.is_keyed() {
        let envelope = terms.answer_envelope(credential, &body.bytes, deadline.plus(ANSWER_MAX));
        end = recorded(&app, from, number, envelope).await?;
    }
    let End { outcome, provenance, kept } = end;
    match outcome.ok_or_else(|| forgotten(from))? {
        OfferOutcome::Taken => {
            let query = app.fabric.query::<Cart>(into.id.key(), &[], terms.deadline, Query::Cart);
            let taken = query.await?.provenance.position;
            Ok(answer(StatusCode::OK, "merged", provenance)?.and_position(taken).kept(kept))
        }
        OfferOutcome::Open => Ok(answer(StatusCode::ACCEPTED, "merging", provenance)?.kept(kept)),
        OfferOutcome::Refused(why) => {
            Err(refused_for(why).kept(kept).decided_at(provenance.position))
        }
    }
}

/// Makes the key known to the cart that is merged into.
async fn announce(
    app: &App,
    terms: &Terms,
    into: &GuestCart,
    body: &[u8],
    from: CartId,
) -> Result<(), ApiError> {
    if !terms.is_keyed() {
        return Ok(());
    }
    let envelope = terms.envelope(Credential::Cart(into.token.as_bytes()), body);
    let command = Command::ExpectOffer { from };
    match app.fabric.execute::<Cart>(into.id.key(), envelope, command).await {
        // That the answer is not kept says that the request is the same: that is all to be known.
        Ok(_) | Err(CommandError::ReplyExpired) => Ok(()),
        Err(error) => {
            let resource = || path_of(into.id);
            Err(ApiError::from_command::<Cart>(error, true, resource, refusals::of_cart))
        }
    }
}

/// What a merge came to, as far as anybody waited.
struct End {
    /// `None` where the cart was offered too often since to know.
    outcome: Option<OfferOutcome>,
    provenance: Provenance,
    kept: Kept,
}

/// Waits until the offer is taken or refused, or forgotten, or the deadline has come.
async fn settled(
    app: &App,
    from: CartId,
    number: OfferNumber,
    deadline: Timestamp,
    offered: &Done<View>,
) -> Result<End, ApiError> {
    let mut pause = POLL_FIRST;
    loop {
        let at_least = [offered.provenance.position];
        // Reading has a while of its own: at the end of the wait there is still an answer to give.
        let read_until = deadline.plus(ANSWER_MAX);
        let asked = Query::Offer { number };
        let query = app.fabric.query::<Cart>(from.key(), &at_least, read_until, asked);
        let viewed = query.await?;
        let outcome = outcome_of(viewed.view)?;
        if outcome != Some(OfferOutcome::Open) || now() >= deadline {
            return Ok(End { outcome, provenance: viewed.provenance, kept: Kept::No });
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(POLL_LAST);
    }
}

/// Makes what the merge came to the answer under the key, or gives the one that is.
async fn recorded(
    app: &App,
    from: CartId,
    number: OfferNumber,
    envelope: Envelope,
) -> Result<End, ApiError> {
    let command = Command::ReportOffer { number };
    let executed = app.fabric.execute::<Cart>(from.key(), envelope, command).await;
    let Executed { reply, provenance } = executed.map_err(|error| {
        ApiError::from_command::<Cart>(error, true, || path_of(from), refusals::of_cart)
    })?;
    // What is done under a key is answered or refused, never left without an answer.
    let outcome = reply.map_or(Ok(None), outcome_of)?;
    Ok(End { outcome, provenance, kept: Kept::under_key(true, provenance) })
}

fn outcome_of(Lookup(view): Lookup) -> Result<Option<OfferOutcome>, ApiError> {
    let view = view.ok_or_else(ApiError::cart_not_found)?;
    Ok(view.offer.map(|offer| offer.outcome))
}

/// The cart was offered too often since to know what became of this offer.
fn forgotten(from: CartId) -> ApiError {
    let detail = "the first request was carried out; read the carts instead";
    ApiError::new(Code::IDEMPOTENCY_REPLY_EXPIRED, detail).at(path_of(from))
}

fn refused_for(why: Rejection) -> ApiError {
    if Cart::is_momentary(&why) {
        // The offer is over, so this same request would only hear of it again.
        let detail = "the other cart could not take lines then; merge again, under another key";
        return ApiError::new(Code::MERGE_REFUSED, detail);
    }
    refusals::of_cart(why)
}
