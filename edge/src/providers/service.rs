//! What the HTTP APIs of simulators have in common.

use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};

pub(super) const BODY_BYTES_MAX: usize = 16 << 10;
const KEY_BYTES_MAX: usize = 255;
const PAGE_MAX: usize = 1_000;
/// How long an attempt that is not to be answered takes until it says so.
const SILENCE: Duration = Duration::from_millis(300);

#[derive(Deserialize)]
pub(super) struct PageQuery {
    #[serde(default)]
    pub(super) after: u64,
    limit: Option<usize>,
}

impl PageQuery {
    pub(super) fn limit(&self) -> usize {
        self.limit.unwrap_or(PAGE_MAX).min(PAGE_MAX)
    }
}

#[derive(Serialize)]
pub(super) struct LedgerPage<E> {
    pub(super) data: Vec<E>,
    pub(super) has_more: bool,
}

pub(super) fn key_of(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    let key = headers.get(name).and_then(|key| key.to_str().ok());
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
