//! Errors on their way to the client, as RFC 9457 problems.
//!
//! **Invariants:** an [`ApiError`] becomes bytes in one place, [`ApiError::render`], called by the
//! middleware, which knows the path and the request's id; a 5xx tells its code and nothing else.

use std::borrow::Cow;
use std::time::Duration;

use axum::body::Body;
use axum::http::header::{CONNECTION, CONTENT_TYPE, LOCATION, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::{IntoResponse, Response};
use cluster::entity::Entity;
use cluster::fabric::{CommandError, Provenance, QueryError, Unavailable};
use cluster::ids::Position;
use cluster::time::Span;
use serde::Serialize;

use super::code::{Code, Retry};
use super::positions::{IDEMPOTENT_REPLAYED, OMNI_SEQ, OmniSeq};
use super::rate_limit::{Quota, RATE_LIMIT, RATE_LIMIT_POLICY};
use super::schema::{self, Described, Schema, list, maybe, object, required, words};

/// Why a request was not done.
#[derive(Clone, Debug)]
pub(crate) struct ApiError(Box<Problem>);

#[derive(Clone, Debug)]
pub(crate) struct Problem {
    code: Code,
    detail: Cow<'static, str>,
    param: Option<Cow<'static, str>>,
    faults: Vec<Fault>,
    retry_after_seconds: Option<u64>,
    location: Option<String>,
    /// Where in the history of its shard the refusal was decided.
    position: Option<Position>,
    kept: Kept,
    /// The limit that the client is past.
    quota: Option<Quota>,
}

/// Whether the answer is remembered under the client's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kept {
    No,
    First,
    Replayed,
}

impl Kept {
    pub(crate) fn under_key(is_keyed: bool, provenance: Provenance) -> Self {
        match (is_keyed, provenance.replayed) {
            (false, _) => Self::No,
            (true, false) => Self::First,
            (true, true) => Self::Replayed,
        }
    }
}

/// One thing that is wrong with a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub(crate) enum Fault {
    Field { param: String, code: &'static str, detail: Cow<'static, str> },
    Stock { sku: String, requested: u32, available: u32 },
}

impl ApiError {
    pub(crate) fn new(code: Code, detail: impl Into<Cow<'static, str>>) -> Self {
        Self(Box::new(Problem {
            code,
            detail: detail.into(),
            param: None,
            faults: Vec::new(),
            retry_after_seconds: (code.retry == Retry::Later).then_some(1),
            location: None,
            position: None,
            kept: Kept::No,
            quota: None,
        }))
    }

    pub(crate) fn about(mut self, param: &'static str) -> Self {
        self.0.param = Some(param.into());
        self
    }

    pub(crate) fn at(mut self, location: String) -> Self {
        self.0.location = Some(location);
        self
    }

    pub(crate) fn decided_at(mut self, position: Position) -> Self {
        self.0.position = Some(position);
        self
    }

    pub(crate) fn retry_after(mut self, seconds: u64) -> Self {
        self.0.retry_after_seconds = Some(seconds);
        self
    }

    pub(crate) fn kept(mut self, kept: Kept) -> Self {
        self.0.kept = kept;
        self
    }

    /// All that is wrong with the fields of a request; the first one is its `param`.
    pub(crate) fn faults(code: Code, detail: &'static str, faults: Vec<Fault>) -> Self {
        let mut error = Self::new(code, detail);
        error.0.param = faults.first().and_then(|fault| match fault {
            Fault::Field { param, .. } => Some(param.clone().into()),
            Fault::Stock { .. } => None,
        });
        error.0.faults = faults;
        error
    }

    pub(crate) fn cart_not_found() -> Self {
        Self::new(Code::CART_NOT_FOUND, "there is no cart under this id for this token")
    }

    pub(crate) fn order_not_found() -> Self {
        Self::new(Code::ORDER_NOT_FOUND, "there is no order under this id for this credential")
    }

    pub(crate) fn precondition_failed() -> Self {
        let detail = "the resource is not in the state that the request is bound to";
        Self::new(Code::PRECONDITION_FAILED, detail)
    }

    pub(crate) fn not_found() -> Self {
        Self::new(Code::NOT_FOUND, "no resource has this path")
    }

    /// Of a position which the cluster's history, as it is now, does not have.
    pub(crate) fn sequence_unknown() -> Self {
        let detail = "Omni-Min-Seq names a position that this cluster never gave";
        Self::new(Code::SEQUENCE_UNKNOWN, detail)
    }

    pub(crate) fn overloaded() -> Self {
        Self::new(Code::OVERLOADED, "too much is asked for at the moment")
    }

    /// The client may ask again after a while.
    pub(crate) fn rate_limited(quota: Quota, wait: Duration) -> Self {
        let detail = "too many carts were created from this address";
        let seconds = wait.as_millis().div_ceil(1_000).max(1);
        let mut error = Self::new(Code::RATE_LIMITED, detail)
            .retry_after(u64::try_from(seconds).unwrap_or(u64::MAX));
        error.0.quota = Some(quota);
        error
    }

    pub(crate) fn internal() -> Self {
        Self::new(Code::INTERNAL, "the request could not be processed")
    }

    /// From what a command came to. `resource` is where its effect can be read.
    pub(crate) fn from_command<E: Entity>(
        error: CommandError<E::Rejection>,
        is_keyed: bool,
        resource: impl FnOnce() -> String,
        refusal: impl FnOnce(E::Rejection) -> Self,
    ) -> Self {
        match error {
            CommandError::Rejected { rejection, provenance } => {
                let is_kept = is_keyed && !E::is_momentary(&rejection);
                let kept = Kept::under_key(is_kept, provenance);
                refusal(rejection).kept(kept).decided_at(provenance.position)
            }
            CommandError::PreconditionFailed { provenance } => {
                let kept = Kept::under_key(is_keyed, provenance);
                Self::precondition_failed().kept(kept).decided_at(provenance.position)
            }
            CommandError::KeyConflict => Self::new(
                Code::IDEMPOTENCY_CONFLICT,
                "under this key another body or another precondition was sent before",
            ),
            CommandError::ReplyExpired => Self::new(
                Code::IDEMPOTENCY_REPLY_EXPIRED,
                "the first request with this key was carried out; read the resource instead",
            )
            .at(resource()),
            CommandError::TooManyKeys => {
                // Keys are remembered for a day: sooner there is hardly ever room.
                const RETRY_AFTER_SECONDS: u64 = 60 * 60;
                let detail = "no more keys can be remembered for this resource at the moment";
                Self::new(Code::IDEMPOTENCY_KEYS_EXHAUSTED, detail).retry_after(RETRY_AFTER_SECONDS)
            }
            CommandError::RecordFull => {
                Self::new(Code::RESOURCE_FULL, "the resource would grow past its limit")
            }
            CommandError::Panicked => Self::internal(),
            CommandError::Unavailable(unavailable) => unavailable.into(),
        }
    }
}

impl From<Unavailable> for ApiError {
    fn from(unavailable: Unavailable) -> Self {
        match unavailable {
            Unavailable::Busy { retry_after } => {
                Self::overloaded().retry_after(whole_seconds(retry_after))
            }
            Unavailable::DeadlineExceeded => Self::new(
                Code::DEADLINE_EXCEEDED,
                "there was no answer in time; a change may still take effect",
            ),
            Unavailable::StorageFull => {
                const RETRY_AFTER_SECONDS: u64 = 30;
                Self::new(Code::STORAGE_FULL, "changes cannot be recorded at the moment")
                    .retry_after(RETRY_AFTER_SECONDS)
            }
            Unavailable::ShuttingDown => {
                Self::new(Code::SHUTTING_DOWN, "this node takes no more requests")
            }
            Unavailable::CutOff => {
                const RETRY_AFTER_SECONDS: u64 = 1;
                Self::new(Code::NODE_CUT_OFF, "this node does not hear the others; ask another one")
                    .retry_after(RETRY_AFTER_SECONDS)
            }
            Unavailable::UnknownPosition => Self::sequence_unknown(),
            Unavailable::Fenced { shard: _ } => {
                Self::new(Code::SHARD_UNAVAILABLE, "part of the data cannot be reached")
            }
        }
    }
}

impl From<QueryError> for ApiError {
    fn from(error: QueryError) -> Self {
        match error {
            QueryError::Undecodable => Self::internal(),
            QueryError::Unavailable(unavailable) => unavailable.into(),
        }
    }
}

/// At least one, or clients would come back at once.
fn whole_seconds(span: Span) -> u64 {
    span.as_micros().div_ceil(1_000_000).max(1)
}

impl IntoResponse for ApiError {
    /// Without a body: the middleware adds it.
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = self.0.code.status;
        response.extensions_mut().insert(self);
        response
    }
}

#[derive(Serialize)]
struct ProblemJson<'a> {
    r#type: String,
    title: &'static str,
    status: u16,
    detail: &'a str,
    instance: &'a str,
    code: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    param: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<&'a str>,
    retryable: bool,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    errors: &'a [Fault],
}

impl ApiError {
    pub(crate) fn code(&self) -> Code {
        self.0.code
    }

    pub(crate) fn detail(&self) -> &str {
        &self.0.detail
    }

    /// All that is wrong with the fields of the request.
    pub(crate) fn fields(&self) -> &[Fault] {
        &self.0.faults
    }

    /// The body and headers of the answer.
    pub(crate) fn render(&self, path: &str, request_id: &str, response: &mut Response) {
        let problem = &*self.0;
        let Code { name, status, title, retry } = problem.code;
        let json = ProblemJson {
            r#type: format!("urn:omnicart:problem:{name}"),
            title,
            status: status.as_u16(),
            detail: &problem.detail,
            instance: path,
            code: name,
            param: problem.param.as_deref(),
            // A kept answer is repeated byte for byte, whichever request repeats it.
            request_id: (problem.kept == Kept::No).then_some(request_id),
            retryable: retry == Retry::Later,
            errors: &problem.faults,
        };
        // Serializing plain text and numbers cannot fail; an empty body is better than none.
        let body = serde_json::to_vec(&json).unwrap_or_default();
        *response.body_mut() = Body::from(body);
        problem.headers(response.headers_mut());
    }
}

impl Problem {
    fn headers(&self, headers: &mut HeaderMap) {
        const PROBLEM_JSON: HeaderValue = HeaderValue::from_static("application/problem+json");
        headers.insert(CONTENT_TYPE, PROBLEM_JSON);
        if let Some(seconds) = self.retry_after_seconds {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if let Some(quota) = self.quota {
            let wait = self.retry_after_seconds.unwrap_or(0);
            insert_text(headers, RATE_LIMIT_POLICY, quota.policy());
            insert_text(headers, RATE_LIMIT, quota.spent(wait));
        }
        if let Some(location) = &self.location {
            insert_text(headers, LOCATION, location.clone());
        }
        if let Some(position) = self.position {
            insert_text(headers, OMNI_SEQ, OmniSeq(&[position]).to_string());
        }
        if self.code == Code::UNAUTHORIZED {
            const CHALLENGE: HeaderValue = HeaderValue::from_static("Bearer realm=\"omnicart\"");
            headers.insert(WWW_AUTHENTICATE, CHALLENGE);
        }
        let ends_connection =
            [Code::BODY_TOO_LARGE, Code::REQUEST_TIMEOUT, Code::SHUTTING_DOWN].contains(&self.code);
        if ends_connection {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        if self.kept == Kept::Replayed {
            headers.insert(IDEMPOTENT_REPLAYED, HeaderValue::from_static("true"));
        }
    }
}

/// Inserts text made of ids and numbers; anything else would be a header nobody meant.
pub(crate) fn insert_text(headers: &mut HeaderMap, name: HeaderName, text: String) {
    match HeaderValue::try_from(text) {
        Ok(value) => drop(headers.insert(name, value)),
        Err(_) => tracing::error!(http.header = %name, "a header value is not printable"),
    }
}

/// The body of every error.
pub(crate) struct ProblemSchema;

impl Described for ProblemSchema {
    fn name() -> String {
        "Problem".to_owned()
    }

    fn schema() -> Schema {
        let stock = object([
            required("sku", words::sku()),
            required("requested", words::units(2)),
            required("available", words::units(1)),
        ]);
        let fault = Schema::Either(vec![field_fault_schema(), stock]);
        object([
            required("type", words::text("urn:omnicart:problem:validation_failed")),
            required("title", words::text("Some fields are invalid")),
            required("status", schema::integer(400, 599, 422)),
            required("detail", words::text("see errors for all that is wrong with the request")),
            required("instance", words::text("/store/v1/carts")),
            required("code", words::text("validation_failed")).about("Never renamed."),
            maybe("param", words::text("currency")),
            maybe("request_id", words::text("req_0000000000000abc-000000000001"))
                .about("Not of an answer that is kept under a key."),
            required("retryable", Schema::Boolean)
                .about("Whether the same request may succeed later."),
            maybe("errors", list(fault)).about("All that is wrong with the request, at once."),
        ])
    }
}

pub(super) fn field_fault_schema() -> Schema {
    object([
        required("param", words::text("currency")),
        required("code", words::text("invalid")),
        required("detail", words::text("a currency is three capital letters")),
    ])
}
