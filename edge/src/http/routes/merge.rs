//! Merging one cart into another: the first gives up its lines, the second takes them or refuses.
//!
//! Under a key both carts know the request. The cart that is merged into hears of it first and
//! changes nothing: that is where the same key with another `from` is noticed. The cart that is
//! merged away numbers its offer, which a repeat meets again; what became of an offer is known for
//! longer than the lines are, so a repeat is answered like the first request, whatever happened
//! since. Only "still merging" (202) is not lasting: a repeat waits for the end anew.

use std::time::Duration;

use actors::domain::cart::{Command, Lookup, OfferNumber, OfferOutcome, Query, Rejection};
use actors::{Cart, CartId};
use axum::extract::State;
use axum::http::StatusCode;
use cluster::entity::Entity;
use cluster::fabric::{CommandError, Precondition, Provenance};
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
    let deadline = terms.deadline.min(terms.now().plus(WAIT_MAX));
    let answer = |status, word, provenance| {
        let json = MergeJson { from: Text(from), into: Text(into.id), status: word };
        let reply = Reply::resource(status, &json, provenance)?;
        Ok::<_, ApiError>(reply.without_etag().at(path_of(into.id)))
    };
    let offer = done.view.offer.as_ref().filter(|offer| offer.into == into.id);
    let number = offer.ok_or_else(|| forgotten(from))?.number;
    match settled(&app, from, number, deadline, &done).await? {
        Some(provenance) => {
            let query = app.fabric.query::<Cart>(into.id.key(), &[], terms.deadline, Query::Cart);
            let taken = query.await?.provenance.position;
            Ok(answer(StatusCode::OK, "merged", provenance)?.and_position(taken).kept(done.kept))
        }
        None => answer(StatusCode::ACCEPTED, "merging", done.provenance),
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

/// Waits until the offer is taken or refused; `None` when it takes longer than the wait.
async fn settled(
    app: &App,
    from: CartId,
    number: OfferNumber,
    deadline: Timestamp,
    offered: &Done,
) -> Result<Option<Provenance>, ApiError> {
    let mut pause = POLL_FIRST;
    loop {
        let at_least = [offered.provenance.position];
        // Reading has a while of its own: at the end of the wait there is still an answer to give.
        let read_until = deadline.plus(WAIT_MAX);
        let asked = Query::Offer { number };
        let query = app.fabric.query::<Cart>(from.key(), &at_least, read_until, asked);
        let viewed = query.await?;
        let Lookup(Some(view)) = viewed.view else { return Err(ApiError::cart_not_found()) };
        match view.offer.map(|offer| offer.outcome) {
            Some(OfferOutcome::Taken) => return Ok(Some(viewed.provenance)),
            Some(OfferOutcome::Refused(why)) => return Err(refused_for(why, offered.kept)),
            Some(OfferOutcome::Open) => {}
            None => return Err(forgotten(from)),
        }
        if now() >= deadline {
            return Ok(None);
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(POLL_LAST);
    }
}

/// The cart was offered too often since to know what became of this offer.
fn forgotten(from: CartId) -> ApiError {
    let detail = "the first request was carried out; read the carts instead";
    ApiError::new(Code::IDEMPOTENCY_REPLY_EXPIRED, detail).at(path_of(from))
}

fn refused_for(why: Rejection, kept: Kept) -> ApiError {
    if Cart::is_momentary(&why) {
        // The offer is over, so this same request would only hear of it again.
        let detail = "the other cart could not take lines then; merge again, under another key";
        return ApiError::new(Code::MERGE_REFUSED, detail).kept(kept);
    }
    refusals::of_cart(why).kept(kept)
}
