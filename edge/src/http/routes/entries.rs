//! Entries of the catalogue, for merchants: categories, price lists, tax rates, promotions,
//! discount codes, shipping options and sellers. One set of handlers serves all of them.
//!
//! **Invariants:** a replacement or a change is bound to a state that its client has seen; what a
//! list shows comes from this node's own book, what a single entry shows from the group itself.

pub(super) mod documents;

use std::fmt::Display;
use std::str::FromStr;
use std::time::Duration;

use actors::PriceBook;
use actors::domain::entry::{Command, Content, Entry, Lookup, Query, Rejection};
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use cluster::entity::Entity;
use cluster::fabric::{CommandError, Envelope, Executed, Precondition, Viewed};
use cluster::ids::EntityKey;
use cluster::time::{Span, Timestamp};
use serde::Serialize;

use crate::http::app::{App, now};
use crate::http::code::Code;
use crate::http::error::{ApiError, Kept};
use crate::http::extract::{InPath, JsonBody, Operator, PathId, ReadTerms, Terms};
use crate::http::fields::{self, Changes, Document};
use crate::http::keys::Credential;
use crate::http::query::Page;
use crate::http::refusals;
use crate::http::render::inventory::ListJson;
use crate::http::reply::Reply;
use crate::http::routes::books;
use crate::http::schema::{Described, Schema};

/// Contents of entries as HTTP sees them.
pub(in crate::http) trait Resource: Content + Sync + Sized {
    type Id: InPath + FromStr + Display + Send + Sync;
    type Json<'a>: Serialize + Described;
    const PATH: &'static str;

    fn id(&self) -> String;
    fn key_of(id: &Self::Id) -> EntityKey;
    fn json(&self) -> Self::Json<'_>;
    /// What [`Self::read`] takes.
    fn body() -> Schema;
    /// Of a body.
    fn read(members: &mut fields::Members<'_>, faults: &mut fields::Faults) -> Option<Self>;
    /// All there are, in order of id.
    fn all(book: &PriceBook) -> impl Iterator<Item = Self>;
}

/// A resource as a body says it.
pub(in crate::http) struct Written<R>(R);

impl<R: Resource> Document for Written<R> {
    fn read(members: &mut fields::Members<'_>, faults: &mut fields::Faults) -> Option<Self> {
        R::read(members, faults).map(Self)
    }
}

impl<R: Resource> Described for Written<R> {
    fn name() -> String {
        format!("{}Body", R::Json::name())
    }

    fn schema() -> Schema {
        R::body()
    }
}

#[derive(Serialize)]
pub(in crate::http) struct Shown<T> {
    #[serde(flatten)]
    pub(super) content: T,
    pub(super) seq: u64,
}

impl<T: Described> Described for Shown<T> {
    fn name() -> String {
        T::name()
    }

    fn schema() -> Schema {
        T::schema()
    }
}

/// `GET` of all.
pub(in crate::http) async fn list<R: Resource>(
    State(app): State<App>,
    _: Operator,
    uri: Uri,
    terms: ReadTerms,
) -> Result<Reply, ApiError> {
    let Page { limit, after } = Page::<R::Id>::of(&uri)?;
    let after = after.map(|id| id.to_string());
    let book = books::at(&app, &terms).await?;
    let mut rest = R::all(book.content()?)
        .skip_while(|entry| after.as_ref().is_some_and(|after| entry.id() <= *after));
    let page: Vec<R> = rest.by_ref().take(limit.get()).collect();
    let next = rest.next().and_then(|_| page.last()).map(Resource::id);
    let data: Vec<_> = page.iter().map(Resource::json).collect();
    Reply::unplaced(StatusCode::OK, &ListJson::new(data, next))
}

/// `POST` of one more.
pub(in crate::http) async fn create<R: Resource>(
    State(app): State<App>,
    _: Operator,
    terms: Terms,
    body: JsonBody<Written<R>>,
) -> Result<Reply, ApiError> {
    unbound(&terms)?;
    let Written(content) = body.document;
    let (key, path) = (content.key(), format!("{}/{}", R::PATH, content.id()));
    let mut envelope = terms.envelope(Credential::Operator, &body.bytes);
    envelope.precondition = Precondition::Absent;
    let executed = put(&app, &key, envelope, &content).await;
    let twin = ApiError::new(Code::ALREADY_EXISTS, "there is one under this id already");
    let executed = executed.map_err(|error| {
        instead_of_stale(error, Some(twin), &terms, |it| refused::<R>(it, &terms, path.clone()))
    })?;
    Ok(answer(StatusCode::CREATED, &content, &executed, &terms)?.at(path))
}

/// `GET` of one.
pub(in crate::http) async fn show<R: Resource>(
    State(app): State<App>,
    _: Operator,
    PathId(id): PathId<R::Id>,
    terms: ReadTerms,
) -> Result<Reply, ApiError> {
    let key = R::key_of(&id);
    let query = app.fabric.query::<Entry<R>>(key, &terms.at_least, terms.deadline, Query::Content);
    let Viewed { view: Lookup(content), provenance } = query.await?;
    let content = content.ok_or_else(not_found::<R>)?;
    if terms.knows(provenance.seq) {
        return Ok(Reply::not_modified(provenance));
    }
    let shown = Shown { content: content.json(), seq: provenance.seq };
    Reply::resource(StatusCode::OK, &shown, provenance)
}

/// `PUT` of one.
pub(in crate::http) async fn replace<R: Resource>(
    State(app): State<App>,
    _: Operator,
    PathId(id): PathId<R::Id>,
    terms: Terms,
    body: JsonBody<Written<R>>,
) -> Result<Reply, ApiError> {
    let Written(content) = body.document;
    write(&app, &terms, &id, &body.bytes, content).await
}

/// `PATCH` of one: its members, some of them replaced.
pub(in crate::http) async fn change<R: Resource>(
    State(app): State<App>,
    _: Operator,
    PathId(id): PathId<R::Id>,
    terms: Terms,
    body: JsonBody<Changes<Written<R>>>,
) -> Result<Reply, ApiError> {
    bound(&terms)?;
    let key = R::key_of(&id);
    let query = app.fabric.query::<Entry<R>>(key, &[], terms.deadline, Query::Content);
    let Lookup(current) = query.await?.view;
    let current = current.ok_or_else(not_found::<R>)?;
    let current = serde_json::to_vec(&current.json()).map_err(|_| ApiError::internal())?;
    let Written(content) = fields::read_changed::<Written<R>>(&current, &body.bytes)?;
    write(&app, &terms, &id, &body.bytes, content).await
}

/// `DELETE` of one.
pub(in crate::http) async fn remove<R: Resource>(
    State(app): State<App>,
    _: Operator,
    PathId(id): PathId<R::Id>,
    terms: Terms,
) -> Result<Reply, ApiError> {
    let mut envelope = terms.envelope(Credential::Operator, b"");
    let is_free = terms.precondition == Precondition::None;
    if is_free {
        envelope.precondition = Precondition::Exists;
    }
    let path = format!("{}/{id}", R::PATH);
    let executed = app.fabric.execute::<Entry<R>>(R::key_of(&id), envelope, Command::Remove).await;
    let missing = is_free.then(not_found::<R>);
    let executed = executed.map_err(|error| {
        instead_of_stale(error, missing, &terms, |it| refused::<R>(it, &terms, path))
    })?;
    let kept = Kept::under_key(terms.is_keyed(), executed.provenance);
    Ok(Reply::empty(StatusCode::NO_CONTENT, executed.provenance).kept(kept))
}

async fn write<R: Resource>(
    app: &App,
    terms: &Terms,
    id: &R::Id,
    body: &[u8],
    content: R,
) -> Result<Reply, ApiError> {
    bound(terms)?;
    let (key, path) = (R::key_of(id), format!("{}/{id}", R::PATH));
    if content.key() != key {
        let mut faults = fields::Faults::default();
        let detail = "the body names another one than the path";
        faults.add("id".to_owned(), fields::flaw("invalid", detail));
        return faults.into_result(None);
    }
    let envelope = terms.envelope(Credential::Operator, body);
    let executed = put(app, &key, envelope, &content).await;
    let executed = executed.map_err(|error| refused::<R>(error, terms, path))?;
    answer(StatusCode::OK, &content, &executed, terms)
}

async fn put<R: Resource>(
    app: &App,
    key: &EntityKey,
    envelope: Envelope,
    content: &R,
) -> Result<Executed<Lookup<R>>, CommandError<Rejection>> {
    let ask = || {
        let command = Command::Put { content: content.clone() };
        app.fabric.execute::<Entry<R>>(key.clone(), envelope.clone(), command)
    };
    with_latest_book(envelope.deadline, Rejection::is_of_what_is_missing, ask).await
}

/// Asks again for a moment while something is missing that a command refers to: it may have been
/// written right before, and is in the book of whoever decides a moment later.
pub(super) async fn with_latest_book<T, R, F>(
    deadline: Timestamp,
    is_of_what_is_missing: impl Fn(&R) -> bool,
    ask: impl Fn() -> F,
) -> Result<Executed<T>, CommandError<R>>
where
    F: Future<Output = Result<Executed<T>, CommandError<R>>>,
{
    const BOOK_LAGS_MAX: Span = Span::from_millis(500);
    const PAUSE: Duration = Duration::from_millis(20);
    let until = now().plus(BOOK_LAGS_MAX).min(deadline);
    loop {
        match ask().await {
            Err(CommandError::Rejected { rejection, .. })
                if is_of_what_is_missing(&rejection) && now() < until =>
            {
                tokio::time::sleep(PAUSE).await;
            }
            ended => return ended,
        }
    }
}

/// What was written is what is answered; a repeat under a key answers what was written then.
fn answer<R: Resource>(
    status: StatusCode,
    written: &R,
    executed: &Executed<Lookup<R>>,
    terms: &Terms,
) -> Result<Reply, ApiError> {
    let Executed { reply, provenance } = executed;
    let content = reply.as_ref().and_then(|Lookup(content)| content.as_ref()).unwrap_or(written);
    let shown = Shown { content: content.json(), seq: provenance.seq };
    let kept = Kept::under_key(terms.is_keyed(), *provenance);
    Ok(Reply::resource(status, &shown, *provenance)?.kept(kept))
}

fn refused<R: Resource>(error: CommandError<Rejection>, terms: &Terms, path: String) -> ApiError {
    ApiError::from_command::<Entry<R>>(error, terms.is_keyed(), || path, refusals::of_entry)
}

/// An error of its own for a precondition that the client did not state.
pub(super) fn instead_of_stale<R>(
    error: CommandError<R>,
    instead: Option<ApiError>,
    terms: &Terms,
    otherwise: impl FnOnce(CommandError<R>) -> ApiError,
) -> ApiError {
    if let (CommandError::PreconditionFailed { provenance }, Some(instead)) = (&error, instead) {
        let kept = Kept::under_key(terms.is_keyed(), *provenance);
        return instead.kept(kept).decided_at(provenance.position);
    }
    otherwise(error)
}

/// Merchants change what they have seen, or two of them undo each other's work.
pub(super) fn bound(terms: &Terms) -> Result<(), ApiError> {
    match terms.precondition {
        Precondition::Exists | Precondition::Seq(_) => Ok(()),
        Precondition::None | Precondition::Absent => {
            let detail = "a replacement needs If-Match with the ETag of the state it replaces";
            Err(ApiError::new(Code::PRECONDITION_REQUIRED, detail))
        }
    }
}

/// What is to be created is in no state yet.
pub(super) fn unbound(terms: &Terms) -> Result<(), ApiError> {
    match terms.precondition {
        Precondition::None | Precondition::Absent => Ok(()),
        Precondition::Exists | Precondition::Seq(_) => {
            let detail = "a creation cannot be bound to the state of what is not there";
            Err(ApiError::new(Code::IF_MATCH_UNSUPPORTED, detail))
        }
    }
}

pub(in crate::http) fn not_found<R: Resource>() -> ApiError {
    let (code, _) = R::Id::NOT_FOUND;
    ApiError::new(code, format!("there is no {} under this id", Entry::<R>::NAME))
}
