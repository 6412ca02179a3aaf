//! Payments, for operators and for providers.

use std::collections::BTreeMap;

use actors::domain::payment::{Command, Lookup, ProviderName, Query, Rejection, View};
use actors::{CaptureId, Payment, PaymentId};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use cluster::fabric::Viewed;

use super::documents::{CapturePayment, Nothing};
use super::hooks::{self, Told};
use crate::http::app::{App, now};
use crate::http::code::Code;
use crate::http::error::{ApiError, Kept};
use crate::http::extract::{JsonBody, Operator, PathId, RawBody, ReadTerms, Terms};
use crate::http::keys::{self, Credential, IdempotencyKey};
use crate::http::query::Page;
use crate::http::refusals;
use crate::http::render::inventory::ListJson;
use crate::http::render::payment::{DoubtCursor, PaymentJson};
use crate::http::reply::Reply;
use crate::providers::payment::Notice;

/// `GET /admin/v1/payments?status=in_doubt`: what providers have not answered yet, on every shard.
pub(in crate::http) async fn list(
    State(app): State<App>,
    _: Operator,
    uri: Uri,
    terms: ReadTerms,
) -> Result<Reply, ApiError> {
    let Page { limit, after } = Page::<DoubtCursor>::of_status(&uri, "in_doubt")?;
    let (after, one_more) = (after.map(|DoubtCursor(place)| place), limit.get() + 1);
    let mut waiting = app.fabric.waiting::<Payment>(after, one_more, terms.deadline).await?;
    let has_more = waiting.len() > limit.get();
    waiting.truncate(limit.get());
    let next = waiting.last().filter(|_| has_more).map(|(place, _)| DoubtCursor(*place));
    let mut found = BTreeMap::new();
    for (place, key) in waiting {
        let query = app.fabric.query::<Payment>(key, &[], terms.deadline, Query::Payment).await?;
        // A notice may have said more than the answer that is waited for.
        if let Lookup(Some(view)) = query.view
            && view.under_way.is_some()
        {
            found.insert(view.id, (place, query.provenance.seq, view));
        }
    }
    let mut found: Vec<_> = found.into_values().collect();
    found.sort_unstable_by_key(|(place, ..)| *place);
    let data: Vec<_> = found.iter().map(|(_, seq, view)| PaymentJson::new(view, *seq)).collect();
    Reply::unplaced(StatusCode::OK, &ListJson::new(data, next))
}

/// `GET /admin/v1/payments/{id}`
pub(in crate::http) async fn show(
    State(app): State<App>,
    _: Operator,
    PathId(id): PathId<PaymentId>,
    terms: ReadTerms,
) -> Result<Reply, ApiError> {
    let ReadTerms { at_least, deadline, .. } = &terms;
    let query = app.fabric.query::<Payment>(id.key(), at_least, *deadline, Query::Payment);
    let Viewed { view, provenance } = query.await?;
    let view = found(view)?;
    if terms.knows(provenance.seq) {
        return Ok(Reply::not_modified(provenance));
    }
    Reply::resource(StatusCode::OK, &PaymentJson::new(&view, provenance.seq), provenance)
}

/// `POST /admin/v1/payments/{id}/capture`
pub(in crate::http) async fn capture(
    State(app): State<App>,
    _: Operator,
    PathId(id): PathId<PaymentId>,
    terms: Terms,
    body: JsonBody<CapturePayment>,
) -> Result<Reply, ApiError> {
    let capture = new_capture(&app, &terms)?;
    let amount = body.document.amount;
    change(&app, &terms, id, &body.bytes, Command::CaptureByHand { capture, amount }).await
}

/// `POST /admin/v1/payments/{id}/void`
pub(in crate::http) async fn void(
    State(app): State<App>,
    _: Operator,
    PathId(id): PathId<PaymentId>,
    terms: Terms,
    body: JsonBody<Nothing>,
) -> Result<Reply, ApiError> {
    required_key(&terms)?;
    change(&app, &terms, id, &body.bytes, Command::VoidByHand).await
}

/// `POST /hooks/payments/{provider}`: what a provider says unasked.
pub(in crate::http) async fn take_notice(
    State(app): State<App>,
    PathId(name): PathId<ProviderName>,
    headers: HeaderMap,
    RawBody(body): RawBody,
) -> Result<StatusCode, ApiError> {
    let providers = app.settings.payment_providers.as_ref().ok_or_else(ApiError::not_found)?;
    let provider = providers.find(&name).ok_or_else(ApiError::not_found)?;
    let read = providers.read_notice(provider, &headers, &body, now()).await;
    let told = |Notice { event, payment, fact }| {
        let command = Command::Notified { event, fact };
        Told { key: payment.key(), command, path: path_of(payment) }
    };
    let is_elsewhere = |why: &Rejection| *why == Rejection::NotFound;
    let count = |outcome| providers.noticed(outcome);
    hooks::take::<Payment, _>(&app, count, read, told, is_elsewhere, refusals::of_payment).await
}

/// Derived from the key, so that a retry meets its own capture.
fn new_capture(app: &App, terms: &Terms) -> Result<CaptureId, ApiError> {
    let (key, scope) = required_key(terms)?;
    let bytes = keys::half(app.secrets.derive("capture", &[&scope, key.as_bytes()]));
    Ok(CaptureId::from_bytes(bytes))
}

fn required_key(terms: &Terms) -> Result<(&IdempotencyKey, [u8; 16]), ApiError> {
    let key = terms.key.as_ref().zip(terms.scope(Credential::Operator));
    let detail = "money moves only under an Idempotency-Key";
    key.ok_or_else(|| ApiError::new(Code::IDEMPOTENCY_KEY_REQUIRED, detail))
}

async fn change(
    app: &App,
    terms: &Terms,
    id: PaymentId,
    body: &[u8],
    command: Command,
) -> Result<Reply, ApiError> {
    let envelope = terms.envelope(Credential::Operator, body);
    let executed = app.fabric.execute::<Payment>(id.key(), envelope, command).await;
    let executed = executed.map_err(|error| {
        let at = || path_of(id);
        ApiError::from_command::<Payment>(error, terms.is_keyed(), at, refusals::of_payment)
    })?;
    let kept = Kept::under_key(terms.is_keyed(), executed.provenance);
    let Some(reply) = executed.reply else {
        let detail = "it was done; how the payment stood right after is not known any more";
        return Err(ApiError::new(Code::IDEMPOTENCY_REPLY_EXPIRED, detail).at(path_of(id)));
    };
    let view = found(reply)?;
    let json = PaymentJson::new(&view, executed.provenance.seq);
    Ok(Reply::resource(StatusCode::OK, &json, executed.provenance)?.kept(kept))
}

fn found(Lookup(view): Lookup) -> Result<View, ApiError> {
    view.ok_or_else(|| ApiError::new(Code::PAYMENT_NOT_FOUND, "there is no such payment"))
}

fn path_of(id: PaymentId) -> String {
    format!("/admin/v1/payments/{id}")
}
