//! What the HTTP APIs of simulators have in common.

use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};

use super::journal::Line;

pub(super) const KEY: HeaderName = HeaderName::from_static("idempotency-key");
pub(super) const BODY_BYTES_MAX: usize = 16 << 10;
const KEY_BYTES_MAX: usize = 255;
const PAGE_MAX: usize = 1_000;
/// How long an attempt that is not to be answered takes until it says so.
const SILENCE: Duration = Duration::from_millis(300);

#[derive(Deserialize)]
pub(super) struct PageQuery {
    #[serde(default)]
    after: u64,
    limit: Option<usize>,
}

#[derive(Serialize)]
pub(super) struct LedgerPage<E> {
    data: Vec<E>,
    has_more: bool,
}

impl<E: Line + Clone> LedgerPage<E> {
    /// Of all entries, those past a number.
    pub(super) fn of(entries: &[E], page: &PageQuery) -> Self {
        let from = usize::try_from(page.after).unwrap_or(usize::MAX).min(entries.len());
        let limit = page.limit.unwrap_or(PAGE_MAX).min(PAGE_MAX);
        let to = from.saturating_add(limit).min(entries.len());
        let data = entries.get(from..to).unwrap_or_default().to_vec();
        let last = data.last().map_or(page.after, Line::number);
        let has_more = usize::try_from(last).is_ok_and(|last| last < entries.len());
        Self { data, has_more }
    }
}

pub(super) fn key_of(headers: &HeaderMap) -> Option<String> {
    let key = headers.get(KEY).and_then(|key| key.to_str().ok());
    key.filter(|key| (1..=KEY_BYTES_MAX).contains(&key.len())).map(str::to_owned)
}

pub(super) async fn silence() -> Response {
    tokio::time::sleep(SILENCE).await;
    refused(StatusCode::GATEWAY_TIMEOUT, "no answer")
}

#[derive(Serialize)]
struct ErrorBody<'a> {
    error: &'a str,
}

pub(super) fn refused(status: StatusCode, error: &str) -> Response {
    (status, json(&ErrorBody { error })).into_response()
}

pub(super) fn json(body: &impl Serialize) -> Response {
    match serde_json::to_vec(body) {
        Ok(body) => ([(header::CONTENT_TYPE, "application/json")], body).into_response(),
        Err(error) => {
            tracing::error!(%error, "an answer could not be rendered");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// Asks one of these APIs; gives the status and the body.
#[cfg(test)]
pub(super) async fn ask(
    router: &axum::Router,
    method: &str,
    path: &str,
    key: &str,
    body: &str,
) -> (u16, String) {
    use http_body_util::BodyExt;
    use tower::ServiceExt;
    let request = axum::http::Request::builder().method(method).uri(path).header(KEY, key);
    let request = request.body(axum::body::Body::from(body.to_owned())).unwrap();
    let response = router.clone().oneshot(request).await.unwrap();
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
}
