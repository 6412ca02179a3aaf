//! Stock, for operators.

pub(in crate::http) mod documents;

use actors::domain::sku::{self, Change, Command, IfUnknown, Query, Rejection, View};
use actors::{PageLimit, ReservationId, Sku, SkuCode};
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use cluster::fabric::Viewed;
use cluster::time::Span;

use self::documents::{SetLowStock, SetPolicy, TransferStock};
use super::documents::{AdjustStock, Nothing, ReserveStock, SetStock};
use super::done::Done;
use super::entries::{bound, with_latest_book};
use crate::http::app::App;
use crate::http::code::Code;
use crate::http::error::ApiError;
use crate::http::extract::{JsonBody, Operator, PathId, ReadTerms, Terms};
use crate::http::keys::Credential;
use crate::http::query::Page;
use crate::http::refusals;
use crate::http::render::inventory::{
    InventoryJson, LedgerCursor, LedgerEntryJson, ListJson, PlaceJson, ReservationJson,
    ReservedJson,
};
use crate::http::reply::Reply;

/// `GET /admin/v1/inventory/{sku}`
pub(in crate::http) async fn show(
    State(app): State<App>,
    _: Operator,
    PathId(sku): PathId<SkuCode>,
    terms: ReadTerms,
) -> Result<Reply, ApiError> {
    let Viewed { view, provenance } = look_up(&app, &sku, &terms, Query::Level).await?;
    let View::Level(level) = view else { return Err(unexpected()) };
    if !level.exists {
        return Err(ApiError::new(Code::SKU_NOT_FOUND, "no stock of this SKU was ever stated"));
    }
    if terms.knows(provenance.seq) {
        return Ok(Reply::not_modified(provenance));
    }
    let json = InventoryJson::new(&sku, level, provenance.seq);
    Reply::resource(StatusCode::OK, &json, provenance)
}

/// `GET /admin/v1/inventory/{sku}/reservations`
pub(in crate::http) async fn list_reservations(
    State(app): State<App>,
    _: Operator,
    PathId(sku): PathId<SkuCode>,
    uri: Uri,
    terms: ReadTerms,
) -> Result<Reply, ApiError> {
    let Page { limit, after } = Page::of(&uri)?;
    let query = Query::Reservations { after, limit };
    let Viewed { view, provenance } = look_up(&app, &sku, &terms, query).await?;
    let View::Reservations(page) = view else { return Err(unexpected()) };
    if terms.knows(provenance.seq) {
        return Ok(Reply::not_modified(provenance));
    }
    let data: Vec<ReservationJson> = page.reservations.iter().map(Into::into).collect();
    Reply::resource(StatusCode::OK, &ListJson::new(data, page.next), provenance)
}

/// `GET /admin/v1/inventory/{sku}/ledger`
pub(in crate::http) async fn list_ledger(
    State(app): State<App>,
    _: Operator,
    PathId(sku): PathId<SkuCode>,
    uri: Uri,
    terms: ReadTerms,
) -> Result<Reply, ApiError> {
    let Page { limit, after } = Page::<LedgerCursor>::of(&uri)?;
    let all = PageLimit::try_from(PageLimit::MAX).map_err(|_| unexpected())?;
    let Viewed { view, provenance } =
        look_up(&app, &sku, &terms, Query::Ledger { limit: all }).await?;
    let View::Ledger(entries) = view else { return Err(unexpected()) };
    if terms.knows(provenance.seq) {
        return Ok(Reply::not_modified(provenance));
    }
    let (page, next) = LedgerCursor::page(after, limit, &entries);
    let data: Vec<LedgerEntryJson<'_>> = page.iter().map(Into::into).collect();
    Reply::resource(StatusCode::OK, &ListJson::new(data, next), provenance)
}

/// `POST /admin/v1/inventory/{sku}/adjust`
pub(in crate::http) async fn adjust(
    State(app): State<App>,
    _: Operator,
    PathId(sku): PathId<SkuCode>,
    terms: Terms,
    body: JsonBody<AdjustStock>,
) -> Result<Reply, ApiError> {
    let AdjustStock { delta, location, reason } = body.document;
    let command = match location {
        Some(location) => Command::StockAt { location, change: Change::By(delta), reason },
        None => Command::Adjust { delta, reason },
    };
    change(&app, &terms, &sku, &body.bytes, command).await
}

/// `POST /admin/v1/inventory/{sku}/set`
pub(in crate::http) async fn set(
    State(app): State<App>,
    _: Operator,
    PathId(sku): PathId<SkuCode>,
    terms: Terms,
    body: JsonBody<SetStock>,
) -> Result<Reply, ApiError> {
    let SetStock { on_hand, location, reason } = body.document;
    let command = match location {
        Some(location) => Command::StockAt { location, change: Change::To(on_hand), reason },
        None => Command::SetOnHand { on_hand, reason },
    };
    change(&app, &terms, &sku, &body.bytes, command).await
}

/// `POST /admin/v1/inventory/{sku}/transfer`
pub(in crate::http) async fn transfer(
    State(app): State<App>,
    _: Operator,
    PathId(sku): PathId<SkuCode>,
    terms: Terms,
    body: JsonBody<TransferStock>,
) -> Result<Reply, ApiError> {
    let TransferStock { from, to, quantity: pieces, reason } = body.document;
    let command = Command::Transfer { from, to, pieces, reason };
    change(&app, &terms, &sku, &body.bytes, command).await
}

/// `GET /admin/v1/inventory/{sku}/locations`
pub(in crate::http) async fn list_locations(
    State(app): State<App>,
    _: Operator,
    PathId(sku): PathId<SkuCode>,
    terms: ReadTerms,
) -> Result<Reply, ApiError> {
    let Viewed { view, provenance } = look_up(&app, &sku, &terms, Query::Places).await?;
    let View::Places(places) = view else { return Err(unexpected()) };
    if terms.knows(provenance.seq) {
        return Ok(Reply::not_modified(provenance));
    }
    let data: Vec<PlaceJson<'_>> = places.iter().map(Into::into).collect();
    Reply::resource(StatusCode::OK, &ListJson::new(data, None::<&str>), provenance)
}

/// `PUT /admin/v1/inventory/{sku}/policy`
pub(in crate::http) async fn set_policy(
    State(app): State<App>,
    _: Operator,
    PathId(sku): PathId<SkuCode>,
    terms: Terms,
    body: JsonBody<SetPolicy>,
) -> Result<Reply, ApiError> {
    bound(&terms)?;
    let SetPolicy { policy } = body.document;
    change(&app, &terms, &sku, &body.bytes, Command::SetPolicy { policy }).await
}

/// `PUT /admin/v1/inventory/{sku}/low_stock`
pub(in crate::http) async fn set_low_stock(
    State(app): State<App>,
    _: Operator,
    PathId(sku): PathId<SkuCode>,
    terms: Terms,
    body: JsonBody<SetLowStock>,
) -> Result<Reply, ApiError> {
    bound(&terms)?;
    let SetLowStock { threshold } = body.document;
    change(&app, &terms, &sku, &body.bytes, Command::SetLowStock { threshold }).await
}

/// `POST /admin/v1/inventory/{sku}/reservations`
pub(in crate::http) async fn reserve(
    State(app): State<App>,
    _: Operator,
    PathId(sku): PathId<SkuCode>,
    terms: Terms,
    body: JsonBody<ReserveStock>,
) -> Result<Reply, ApiError> {
    let ReserveStock { id, quantity, expires_in_seconds } = body.document;
    let id = id.map_or_else(|| new_id(&app, &terms), Ok)?;
    let life = |seconds| Span::from_secs(u64::from(seconds));
    let expires_at = expires_in_seconds.map(|seconds| terms.now().plus(life(seconds)));
    let command = Command::Reserve { id, quantity, holder: None, expires_at };
    let asked = Query::Reservation { id };
    let done = execute(&app, &terms, &sku, &body.bytes, command, asked).await?;
    // What is held may be older than this request, and granted for another time.
    let held = done.reply.reservation.ok_or_else(|| {
        let detail = "the reservation was made and has ended since";
        ApiError::new(Code::IDEMPOTENCY_REPLY_EXPIRED, detail).at(path_of(&sku))
    })?;
    let inventory = InventoryJson::new(&sku, done.reply.level, done.provenance.seq);
    let json = ReservedJson { reservation: (&held).into(), inventory };
    Ok(Reply::resource(StatusCode::CREATED, &json, done.provenance)?.kept(done.kept))
}

/// Derived from the key, so that a retry meets its own reservation; else random.
fn new_id(app: &App, terms: &Terms) -> Result<ReservationId, ApiError> {
    let bytes = terms.id_bytes(app, Credential::Operator, "reservation")?;
    Ok(ReservationId::from_bytes(bytes))
}

/// `POST /admin/v1/inventory/{sku}/reservations/{reservation}/confirm`
pub(in crate::http) async fn confirm(
    State(app): State<App>,
    _: Operator,
    PathId(sku): PathId<SkuCode>,
    PathId(id): PathId<ReservationId>,
    terms: Terms,
    body: JsonBody<Nothing>,
) -> Result<Reply, ApiError> {
    change(&app, &terms, &sku, &body.bytes, Command::Confirm { id, holder: None }).await
}

/// `POST /admin/v1/inventory/{sku}/reservations/{reservation}/release`
pub(in crate::http) async fn release(
    State(app): State<App>,
    _: Operator,
    PathId(sku): PathId<SkuCode>,
    PathId(id): PathId<ReservationId>,
    terms: Terms,
    body: JsonBody<Nothing>,
) -> Result<Reply, ApiError> {
    let command = Command::Release { id, holder: None, if_unknown: IfUnknown::Reject };
    change(&app, &terms, &sku, &body.bytes, command).await
}

async fn look_up(
    app: &App,
    sku: &SkuCode,
    terms: &ReadTerms,
    query: Query,
) -> Result<Viewed<View>, ApiError> {
    let ReadTerms { at_least, deadline, .. } = terms;
    Ok(app.fabric.query::<Sku>(sku.key(), at_least, *deadline, query).await?)
}

/// Carries out a command that answers with the stock.
async fn change(
    app: &App,
    terms: &Terms,
    sku: &SkuCode,
    body: &[u8],
    command: Command,
) -> Result<Reply, ApiError> {
    let done = execute(app, terms, sku, body, command, Query::Level).await?;
    let json = InventoryJson::new(sku, done.reply.level, done.provenance.seq);
    Ok(Reply::resource(StatusCode::OK, &json, done.provenance)?.kept(done.kept))
}

/// Carries out a command; `otherwise` is asked when it was done and its answer was lost.
async fn execute(
    app: &App,
    terms: &Terms,
    sku: &SkuCode,
    body: &[u8],
    command: Command,
    otherwise: Query,
) -> Result<Done<sku::Reply>, ApiError> {
    let envelope = terms.envelope(Credential::Operator, body);
    let named = if matches!(command, Command::Transfer { .. }) { "to" } else { "location" };
    let is_missing = |why: &Rejection| matches!(why, Rejection::UnknownLocation { .. });
    let ask = || app.fabric.execute::<Sku>(sku.key(), envelope.clone(), command.clone());
    let executed = with_latest_book(envelope.deadline, is_missing, ask).await;
    let executed = executed.map_err(|error| {
        let refusal = |why| {
            let is_missing = is_missing(&why);
            let error = refusals::of_stock(why, sku);
            if is_missing { error.about(named) } else { error }
        };
        ApiError::from_command::<Sku>(error, terms.is_keyed(), || path_of(sku), refusal)
    })?;
    let reply_of = |view| match view {
        View::Level(level) => Ok(sku::Reply { level, reservation: None }),
        View::Reservation(reply) => Ok(reply),
        View::Reservations(_) | View::Ledger(_) | View::Places(_) => Err(unexpected()),
    };
    Done::of::<Sku>(app, terms, sku.key(), executed, otherwise, reply_of).await
}

fn path_of(sku: &SkuCode) -> String {
    format!("/admin/v1/inventory/{sku}")
}

/// A view of another kind than was asked for: a fault of this program.
fn unexpected() -> ApiError {
    tracing::error!("a stock answered with another view than it was asked for");
    ApiError::internal()
}
