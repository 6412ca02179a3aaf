//! Imports of products: opened, fed piece by piece, looked at, listed, cancelled.
//!
//! An upload is resumed by its offset: `GET` of the import tells how many bytes are there, `PUT` with
//! `Content-Range` goes on from there. Bytes that are there already are passed over, so a client that
//! does not know how far it came may send all of it again. Without `Content-Range` a body is the
//! whole. The data is complete when the last byte of a known length is there; then it is applied.
//!
//! **Invariants:** a body is never held, only a piece of it; what an answer counts as received has
//! the replicas that every state has; an upload that is refused for want of room, or breaks off, has
//! lost nothing of what was counted.

pub(in crate::http) mod document;
pub(in crate::http) mod list;
mod range;

use actors::domain::import::{
    Command, Lookup, Query, Rejection, Series, Terms as ImportTerms, View,
};
use actors::{Import, ImportId};
use axum::body::Body;
use axum::extract::State;
use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE, IF_MATCH, IF_NONE_MATCH};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri};
use axum::response::Response;
use bytes::{Bytes, BytesMut};
use cluster::fabric::{CommandError, Envelope, Executed, Origin, Provenance, Viewed};
use document::{CreateImport, ImportJson};
pub(super) use document::{format, format_schema};
use http_body_util::BodyExt;
use range::Range;

use super::documents::Nothing;
use super::done::Done;
use crate::http::app::{App, now};
use crate::http::code::Code;
use crate::http::crowd::AwaitedBody;
use crate::http::error::ApiError;
use crate::http::extract::{JsonBody, Operator, PathId, ReadTerms, Terms};
use crate::http::imports::{PIECE_MAX, packed, part};
use crate::http::keys::{self, Credential};
use crate::http::origin::origin;
use crate::http::reply::Reply;
use crate::http::streaming::{BrokenOff, streamed};
use crate::http::{Asked, Class, refusals};

const PATH: &str = "/admin/v1/imports";

/// `POST /admin/v1/imports`
pub(in crate::http) async fn create(
    State(app): State<App>,
    _: Operator,
    terms: Terms,
    body: JsonBody<CreateImport>,
) -> Result<Reply, ApiError> {
    let id = new_id(&app, &terms)?;
    let CreateImport { format, currency } = body.document;
    let currency = currency.unwrap_or_else(|| app.default_currency());
    let (bytes_max, rows_max) = (app.settings.import_bytes_max, app.settings.import_rows_max);
    let opened = ImportTerms { format, currency, bytes_max, rows_max };
    let envelope = terms.envelope(Credential::Operator, &body.bytes);
    let command = Command::Open { terms: opened };
    let executed = app.fabric.execute::<Import>(id.key(), envelope, command).await;
    let executed = executed.map_err(|error| refused(error, &terms, id))?;
    Ok(answer(&app, StatusCode::CREATED, &terms, id, executed).await?.at(format!("{PATH}/{id}")))
}

/// Derived from the key, so that a retry on any node meets the same import; else random.
fn new_id(app: &App, terms: &Terms) -> Result<ImportId, ApiError> {
    let bytes = terms.id_bytes(app, Credential::Operator, "import")?;
    let (slot, unique) = keys::slot_and_unique(bytes);
    Ok(ImportId::in_slot(slot, unique))
}

/// `GET /admin/v1/imports/{id}`
pub(in crate::http) async fn show(
    State(app): State<App>,
    _: Operator,
    PathId(id): PathId<ImportId>,
    terms: ReadTerms,
) -> Result<Reply, ApiError> {
    let (view, provenance) = look_up(&app, id, &terms).await?;
    if terms.knows(provenance.seq) {
        return Ok(Reply::not_modified(provenance));
    }
    Reply::resource(StatusCode::OK, &ImportJson::new(id, &view, provenance.seq), provenance)
}

/// `POST /admin/v1/imports/{id}/cancel`: rows that are applied stay applied.
pub(in crate::http) async fn cancel(
    State(app): State<App>,
    _: Operator,
    PathId(id): PathId<ImportId>,
    terms: Terms,
    body: JsonBody<Nothing>,
) -> Result<Reply, ApiError> {
    let envelope = terms.envelope(Credential::Operator, &body.bytes);
    let executed = app.fabric.execute::<Import>(id.key(), envelope, Command::Cancel).await;
    let executed = executed.map_err(|error| refused(error, &terms, id))?;
    answer(&app, StatusCode::OK, &terms, id, executed).await
}

/// `PUT /admin/v1/imports/{id}/data`
pub(in crate::http) async fn upload(
    State(app): State<App>,
    _: Operator,
    PathId(id): PathId<ImportId>,
    asked: Asked,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Result<Reply, ApiError> {
    check_content(&headers)?;
    check_conditions(&headers)?;
    let range = Range::of(&headers)?;
    let (view, _) = newest(&app, id).await?;
    let max = view.terms.bytes_max;
    if range.end().is_some_and(|end| end > max) {
        return Err(refusals::of_import(Rejection::TooLarge { max }));
    }
    let (at, end, there) = (range.first, range.end(), view.received);
    let origin = origin(Credential::Operator, asked, uri.path());
    let mut upload = Upload { app: &app, id, at, end, there, told: None, origin };
    if upload.at > upload.there {
        return Err(refusals::of_import(Rejection::NotAtEnd { received: upload.there }));
    }
    upload.take(body).await?;
    let end = upload.at;
    if range.end().is_some_and(|expected| expected != end) {
        return Err(other_length());
    }
    if range.is_complete_at(end) {
        upload.execute(Command::Complete { bytes: end }).await?;
    }
    let (view, provenance) = match upload.told {
        Some(told) => told,
        None => newest(&app, id).await?,
    };
    Reply::resource(StatusCode::OK, &ImportJson::new(id, &view, provenance.seq), provenance)
}

/// What comes is data, whatever its type says; but it is not unpacked.
fn check_content(headers: &HeaderMap) -> Result<(), ApiError> {
    const TYPES: [&str; 6] = [
        "text/csv",
        "application/csv",
        "application/x-ndjson",
        "application/jsonl",
        "application/octet-stream",
        "text/plain",
    ];
    let essence = |value: &HeaderValue| {
        let text = value.to_str().unwrap_or_default();
        text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
    };
    let is_fine = headers.get(CONTENT_TYPE).is_none_or(|value| TYPES.contains(&&*essence(value)));
    let is_plain = headers.get(CONTENT_ENCODING).is_none_or(|value| essence(value) == "identity");
    if is_fine && is_plain {
        return Ok(());
    }
    let detail =
        "the data must be text/csv, application/x-ndjson or application/octet-stream, plain";
    Err(ApiError::new(Code::UNSUPPORTED_MEDIA_TYPE, detail))
}

/// Where a piece belongs, its range says, and sending it again is harmless: nothing is kept under a
/// key here, and nothing is bound to a sequence, which moves with each piece.
fn check_conditions(headers: &HeaderMap) -> Result<(), ApiError> {
    if headers.contains_key(keys::IDEMPOTENCY_KEY) {
        let detail = "data takes no Idempotency-Key: Content-Range says where it belongs";
        return Err(ApiError::new(Code::IDEMPOTENCY_KEY_INVALID, detail));
    }
    if headers.contains_key(IF_MATCH) || headers.contains_key(IF_NONE_MATCH) {
        let detail = "data is bound by its Content-Range, not by If-Match or If-None-Match";
        return Err(ApiError::new(Code::IF_MATCH_UNSUPPORTED, detail));
    }
    Ok(())
}

/// A body on its way into an import.
struct Upload<'a> {
    app: &'a App,
    id: ImportId,
    /// Where the next byte of the body belongs.
    at: u64,
    /// Where the body may go to, if that was said.
    end: Option<u64>,
    /// How many bytes the import has.
    there: u64,
    /// What it said last, if anything was done and its answer came.
    told: Option<(View, Provenance)>,
    /// Who answers for it: a request of however many pieces is one act, that of its first.
    origin: Option<Origin>,
}

impl Upload<'_> {
    async fn take(&mut self, mut body: Body) -> Result<(), ApiError> {
        let mut piece = BytesMut::with_capacity(PIECE_MAX);
        loop {
            let awaited = AwaitedBody::begin(self.app, Class::Stock)?;
            let frame = tokio::time::timeout(self.app.settings.body_timeout, body.frame()).await;
            let Some(frame) = frame.map_err(|_| late())? else { break };
            // What came before it is kept, and the client goes on from there.
            let frame = match frame {
                Ok(frame) => frame,
                Err(_) => {
                    self.append(&mut piece).await?;
                    return Err(ApiError::new(Code::CONTENT_RANGE_INVALID, "the body broke off"));
                }
            };
            awaited.end()?;
            let Ok(mut data) = frame.into_data() else { continue };
            let end = self.at.saturating_add((piece.len() + data.len()) as u64);
            if self.end.is_some_and(|last| end > last) {
                return Err(other_length());
            }
            while !data.is_empty() {
                self.fill(&mut piece, &mut data);
                if piece.len() == PIECE_MAX {
                    self.append(&mut piece).await?;
                }
            }
        }
        self.append(&mut piece).await
    }

    /// Moves as much as fits into the piece, without what the import has already.
    fn fill(&mut self, piece: &mut BytesMut, data: &mut Bytes) {
        let known = self.there.saturating_sub(self.at);
        let skipped = usize::try_from(known).unwrap_or(usize::MAX).min(data.len());
        if skipped > 0 {
            drop(data.split_to(skipped));
            self.at = self.at.saturating_add(skipped as u64);
            return;
        }
        let taken = data.split_to((PIECE_MAX - piece.len()).min(data.len()));
        piece.extend_from_slice(&taken);
    }

    async fn append(&mut self, piece: &mut BytesMut) -> Result<(), ApiError> {
        let Some(content) = packed(piece) else { return Ok(()) };
        self.execute(Command::Append { offset: self.at, content }).await?;
        self.at = self.at.saturating_add(piece.len() as u64);
        self.there = self.there.max(self.at);
        piece.clear();
        Ok(())
    }

    async fn execute(&mut self, command: Command) -> Result<(), ApiError> {
        let deadline = now().plus(self.app.settings.request_timeout);
        let envelope = Envelope { origin: self.origin.clone(), ..Envelope::until(deadline) };
        let executed = self.app.fabric.execute::<Import>(self.id.key(), envelope, command).await;
        let executed = executed.map_err(|error| refused_upload(error, self.id))?;
        self.origin = None;
        let view = executed.reply.and_then(|Lookup(view)| view);
        self.told = view.map(|view| (view, executed.provenance));
        Ok(())
    }
}

fn other_length() -> ApiError {
    let detail = "the body is not as long as Content-Range says";
    ApiError::new(Code::CONTENT_RANGE_INVALID, detail)
}

fn late() -> ApiError {
    ApiError::new(Code::REQUEST_TIMEOUT, "the data did not come in time; go on from what is there")
}

/// `GET /admin/v1/imports/{id}/errors`: one line for each product that was refused.
pub(in crate::http) async fn errors(
    State(app): State<App>,
    _: Operator,
    PathId(id): PathId<ImportId>,
    terms: ReadTerms,
) -> Result<Response, ApiError> {
    let (view, _) = look_up(&app, id, &terms).await?;
    let (response, pieces) = streamed("application/x-ndjson");
    tokio::spawn(async move {
        for nth in 0..view.n_reports {
            let piece = part(&app.fabric, id, Series::Report, nth).await;
            let piece = piece.map(Bytes::from).map_err(|doubt| {
                tracing::warn!("a report of an import breaks off: {doubt}");
                BrokenOff
            });
            let is_over = piece.is_err();
            if pieces.send(piece).await.is_err() || is_over {
                return;
            }
        }
    });
    Ok(response)
}

async fn look_up(
    app: &App,
    id: ImportId,
    terms: &ReadTerms,
) -> Result<(View, Provenance), ApiError> {
    let ReadTerms { at_least, deadline, .. } = terms;
    let query = app.fabric.query::<Import>(id.key(), at_least, *deadline, Query::Import);
    let Viewed { view: Lookup(view), provenance } = query.await?;
    Ok((view.ok_or_else(not_found)?, provenance))
}

async fn newest(app: &App, id: ImportId) -> Result<(View, Provenance), ApiError> {
    let deadline = now().plus(app.settings.request_timeout);
    let query = app.fabric.query::<Import>(id.key(), &[], deadline, Query::Import);
    let Viewed { view: Lookup(view), provenance } = query.await?;
    Ok((view.ok_or_else(not_found)?, provenance))
}

fn not_found() -> ApiError {
    refusals::of_import(Rejection::NotFound)
}

async fn answer(
    app: &App,
    status: StatusCode,
    terms: &Terms,
    id: ImportId,
    executed: Executed<Lookup>,
) -> Result<Reply, ApiError> {
    let done = Done::of::<Import>(app, terms, id.key(), executed, Query::Import, Ok).await?;
    let Done { reply: Lookup(view), provenance, kept } = done;
    let view = view.ok_or_else(not_found)?;
    let json = ImportJson::new(id, &view, provenance.seq);
    Ok(Reply::resource(status, &json, provenance)?.kept(kept))
}

fn refused(error: CommandError<Rejection>, terms: &Terms, id: ImportId) -> ApiError {
    let resource = || format!("{PATH}/{id}");
    ApiError::from_command::<Import>(error, terms.is_keyed(), resource, refusals::of_import)
}

fn refused_upload(error: CommandError<Rejection>, id: ImportId) -> ApiError {
    let resource = || format!("{PATH}/{id}");
    ApiError::from_command::<Import>(error, false, resource, refusals::of_import)
}
