//! What handlers take from a request. Every extractor refuses with an [`ApiError`].
//!
//! **Invariants:** a body is read only after everything before it in the handler's signature was
//! accepted; the time a client takes to send it is not taken from the time a change has.

mod path;

use std::ops::Deref;
use std::sync::OnceLock;

use actors::CartId;
use axum::body::Body;
use axum::extract::{FromRequest, FromRequestParts};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::request::Parts;
use axum::http::uri::PathAndQuery;
use axum::http::{HeaderMap, HeaderName, Method, Request};
use bytes::Bytes;
use cluster::fabric::{Envelope, Origin, OutcomeKey, Precondition};
use cluster::ids::Position;
use cluster::time::{Span, Timestamp};
use storage::clock;

use super::app::{App, now};
use super::body::{self, BODY_BYTES_MAX};
use super::code::Code;
use super::credentials::{self, CartToken};
use super::crowd::AwaitedBody;
use super::error::ApiError;
use super::fields::{self, Document};
use super::keys::{self, Credential, IdempotencyKey};
use super::origin::origin;
use super::{Asked, Class, conditional, positions};
use crate::peer::Peer;

use path::path_param;
pub(super) use path::{CardOfCart, InPath, NodePath, PathId, ShardPath, in_path};

/// A cart, and the proof that the client may see it.
pub(super) struct GuestCart {
    pub(super) id: CartId,
    pub(super) token: CartToken,
}

impl FromRequestParts<App> for GuestCart {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let id = path_param(parts, CartId::NAME).await?.ok_or_else(ApiError::cart_not_found)?;
        let token = credentials::cart_token(&parts.headers, &app.secrets, id)?;
        Ok(Self { id, token })
    }
}

/// What a shopper shows for an order: the token of the cart that it was made of. Whether it is that one
/// only the order can tell.
pub(super) struct OrderToken(Vec<u8>);

impl FromRequestParts<App> for OrderToken {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, ApiError> {
        let shown = credentials::shown_cart_token(&parts.headers);
        shown.map(|text| Self(text.to_vec())).ok_or_else(ApiError::order_not_found)
    }
}

impl OrderToken {
    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    pub(super) fn credential(&self) -> Credential<'_> {
        Credential::Cart(&self.0)
    }
}

/// How long a client wants to wait, as `Prefer` says in RFC 7240.
pub(super) struct Prefer(Option<u64>);

impl FromRequestParts<App> for Prefer {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, ApiError> {
        const PREFER: HeaderName = HeaderName::from_static("prefer");
        let values = parts.headers.get_all(PREFER).iter();
        let preferences = values.filter_map(|value| value.to_str().ok());
        let mut preferences = preferences.flat_map(|value| value.split([',', ';']));
        // A preference that is not understood is none.
        Ok(Self(preferences.find_map(|one| one.trim().strip_prefix("wait=")?.parse().ok())))
    }
}

impl Prefer {
    /// At most what the service would wait by itself.
    pub(super) fn wait(&self, at_most: Span) -> Span {
        self.0.map_or(at_most, |seconds| Span::from_secs(seconds).min(at_most))
    }

    /// Whether the client wants no wait at all.
    pub(super) fn is_impatient(&self) -> bool {
        self.0 == Some(0)
    }
}

/// The client is an operator.
pub(super) struct Operator;

impl FromRequestParts<App> for Operator {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let token = app.settings.operator_token.as_ref();
        credentials::check_operator(&parts.headers, &app.secrets, token).map(|()| Self)
    }
}

/// The terms of a read.
pub(super) struct ReadTerms {
    pub(super) at_least: Vec<Position>,
    pub(super) deadline: Timestamp,
    headers: HeaderMap,
}

impl FromRequestParts<App> for ReadTerms {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let at_least = positions::wanted(&parts.headers, app.fabric.incarnation())?;
        let deadline = now().plus(app.settings.request_timeout);
        Ok(Self { at_least, deadline, headers: std::mem::take(&mut parts.headers) })
    }
}

impl ReadTerms {
    /// Of what a change has to know first.
    pub(super) fn until(deadline: Timestamp) -> Self {
        Self { at_least: Vec::new(), deadline, headers: HeaderMap::new() }
    }

    /// Whether the client has the state at `seq` already.
    pub(super) fn knows(&self, seq: u64) -> bool {
        conditional::is_known(&self.headers, seq)
    }
}

/// The terms of a change: how often it may happen, on which state, until when.
pub(super) struct Terms {
    pub(super) key: Option<IdempotencyKey>,
    pub(super) precondition: Precondition,
    method: Method,
    target: Option<PathAndQuery>,
    request_timeout: Span,
    window: OnceLock<Window>,
    asked: Asked,
}

/// The time a change has.
pub(super) struct Window {
    start: Timestamp,
    pub(super) deadline: Timestamp,
}

/// Opened by whoever asks first, that is by the handler: all extractors have run by then, and
/// however long the body took, the change has its whole time.
impl Deref for Terms {
    type Target = Window;

    fn deref(&self) -> &Window {
        self.window.get_or_init(|| {
            let start = now();
            Window { start, deadline: start.plus(self.request_timeout) }
        })
    }
}

impl FromRequestParts<App> for Terms {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let key = IdempotencyKey::of(&parts.headers)?;
        let precondition = conditional::precondition(&parts.headers)?;
        // A change is decided by the leader, past every position; only a foreign one is refused.
        positions::wanted(&parts.headers, app.fabric.incarnation())?;
        let (method, target) = (parts.method.clone(), parts.uri.path_and_query().cloned());
        let request_timeout = app.settings.request_timeout;
        let (window, asked) = (OnceLock::new(), Asked::of(parts)?);
        Ok(Self { key, precondition, method, target, request_timeout, window, asked })
    }
}

impl Terms {
    pub(super) fn is_keyed(&self) -> bool {
        self.key.is_some()
    }

    /// When the change began.
    pub(super) fn now(&self) -> Timestamp {
        self.start
    }

    /// What the client's key means for this credential, method and path.
    pub(super) fn scope(&self, credential: Credential<'_>) -> Option<[u8; 16]> {
        self.key.as_ref().map(|key| keys::scope(key, credential, &self.method, self.path()))
    }

    fn path(&self) -> &str {
        self.target.as_ref().map_or("/", |target| target.path())
    }

    /// Who answers for the change, where somebody does.
    pub(super) fn origin(&self, credential: Credential<'_>) -> Option<Origin> {
        origin(credential, self.asked, self.path())
    }

    /// As [`Self::scope`], of a request that must have a key.
    pub(super) fn required_scope(&self, credential: Credential<'_>) -> Result<[u8; 16], ApiError> {
        let detail = "this request moves money or stock, and needs an Idempotency-Key";
        self.scope(credential).ok_or_else(|| ApiError::new(Code::IDEMPOTENCY_KEY_REQUIRED, detail))
    }

    /// For the id of what is made: derived from the key, so that a retry on any node meets the same;
    /// else random.
    pub(super) fn id_bytes(
        &self,
        app: &App,
        credential: Credential<'_>,
        purpose: &str,
    ) -> Result<[u8; 16], ApiError> {
        match (&self.key, self.scope(credential)) {
            (Some(key), Some(scope)) => {
                Ok(keys::half(app.secrets.derive(purpose, &[&scope, key.as_bytes()])))
            }
            (_, _) => keys::random(),
        }
    }

    pub(super) fn envelope(&self, credential: Credential<'_>, body: &[u8]) -> Envelope {
        Envelope {
            deadline: self.deadline,
            key: self.outcome_key(credential, body),
            precondition: self.precondition,
            origin: self.origin(credential),
        }
    }

    /// For the command that records the answer to a change of several commands. Its key is one of
    /// its own, so that it does not meet those of the change.
    pub(super) fn answer_envelope(
        &self,
        credential: Credential<'_>,
        body: &[u8],
        deadline: Timestamp,
    ) -> Envelope {
        let key = self.outcome_key(credential, body).map(keys::answer_key);
        Envelope { key, ..Envelope::until(deadline) }
    }

    fn outcome_key(&self, credential: Credential<'_>, body: &[u8]) -> Option<OutcomeKey> {
        let scope = self.scope(credential)?;
        Some(keys::outcome_key(scope, body, self.precondition, self.now()))
    }
}

/// The peer may create another cart.
pub(super) struct MayCreate;

impl FromRequestParts<App> for MayCreate {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        // Without a connection there is no peer: this very program asks.
        let (Some(limit), Some(peer)) = (&app.cart_creations, parts.extensions.get::<Peer>())
        else {
            return Ok(Self);
        };
        limit.admit(*peer, clock::monotonic()).map(|()| Self).map_err(|wait| {
            app.metrics.rate_limited();
            ApiError::rate_limited(limit.quota(), wait)
        })
    }
}

/// A JSON body: its bytes and what they say.
pub(super) struct JsonBody<T> {
    pub(super) bytes: Bytes,
    pub(super) document: T,
}

impl<T: Document> FromRequest<App> for JsonBody<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request<Body>, app: &App) -> Result<Self, ApiError> {
        let (parts, body) = request.into_parts();
        check_length(&parts.headers)?;
        let has_json = is_json(&parts.headers);
        if !has_json && (!T::MAY_BE_EMPTY || parts.headers.contains_key(CONTENT_TYPE)) {
            return Err(not_json());
        }
        let bytes = whole(&parts, body, app).await?;
        if !has_json && !bytes.is_empty() {
            return Err(not_json());
        }
        let document = fields::read(&bytes)?;
        Ok(Self { bytes, document })
    }
}

/// A body as it was sent, for those who check a signature of it.
pub(super) struct RawBody(pub(super) Bytes);

impl FromRequest<App> for RawBody {
    type Rejection = ApiError;

    async fn from_request(request: Request<Body>, app: &App) -> Result<Self, ApiError> {
        let (parts, body) = request.into_parts();
        check_length(&parts.headers)?;
        whole(&parts, body, app).await.map(Self)
    }
}

fn check_length(headers: &HeaderMap) -> Result<(), ApiError> {
    let length = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    let length = length.and_then(|length| length.parse::<usize>().ok());
    let is_too_large = length.is_some_and(|length| length > BODY_BYTES_MAX);
    if is_too_large { Err(body::too_large()) } else { Ok(()) }
}

async fn whole(parts: &Parts, body: Body, app: &App) -> Result<Bytes, ApiError> {
    let asked = parts.extensions.get::<Asked>();
    let class = asked.map_or(Class::Browse, |asked| asked.endpoint.class(asked.verb));
    let awaited = AwaitedBody::begin(app, class)?;
    let read = tokio::time::timeout(app.settings.body_timeout, body::read(body)).await;
    let late = |_| ApiError::new(Code::REQUEST_TIMEOUT, "the body did not come in time");
    let bytes = read.map_err(late)??;
    awaited.end()?;
    Ok(bytes)
}

fn not_json() -> ApiError {
    ApiError::new(Code::UNSUPPORTED_MEDIA_TYPE, "the content type must be application/json")
}

/// `application/json`, in UTF-8 where it says so.
fn is_json(headers: &HeaderMap) -> bool {
    let mut values = headers.get_all(CONTENT_TYPE).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return false };
    let Ok(text) = value.to_str() else { return false };
    let mut parts = text.split(';').map(|part| part.trim_matches([' ', '\t']));
    let is_json = parts.next().is_some_and(|kind| kind.eq_ignore_ascii_case("application/json"));
    is_json
        && parts.all(|parameter| match parameter.split_once('=') {
            Some((name, value)) if name.eq_ignore_ascii_case("charset") => {
                value.trim_matches('"').eq_ignore_ascii_case("utf-8")
            }
            Some(_) => true,
            None => parameter.is_empty(),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_json_in_utf_8_is_json() {
        let is_json =
            |value: &str| is_json(&HeaderMap::from_iter([(CONTENT_TYPE, value.parse().unwrap())]));
        for good in ["application/json", "Application/JSON; charset=\"UTF-8\"", "application/json;"]
        {
            assert!(is_json(good), "{good}");
        }
        for bad in ["", "text/json", "application/json; charset=utf-16", "application/jsonx"] {
            assert!(!is_json(bad), "{bad}");
        }
    }
}
