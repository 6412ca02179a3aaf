//! What watches over the service asks.

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderName, HeaderValue};
use axum::response::IntoResponse;

use crate::http::app::App;
use crate::http::code::Code;
use crate::http::error::ApiError;
use crate::http::schema::{Described, Schema, object, required, word};

const JSON: (HeaderName, HeaderValue) =
    (CONTENT_TYPE, HeaderValue::from_static("application/json"));
const OPEN_METRICS: (HeaderName, HeaderValue) = (
    CONTENT_TYPE,
    HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8"),
);

/// `GET /healthz`: the process answers.
pub(in crate::http) async fn health() -> impl IntoResponse {
    ([JSON], r#"{"status":"ok"}"#)
}

/// `GET /readyz`: every shard of the node serves, but for fenced ones, which metrics tell of.
pub(in crate::http) async fn readiness(
    State(app): State<App>,
) -> Result<impl IntoResponse, ApiError> {
    if (app.signals.is_ready)() {
        Ok(([JSON], r#"{"status":"ready"}"#))
    } else {
        Err(ApiError::new(Code::NOT_READY, "the node does not serve at the moment"))
    }
}

/// The answer of a process that lives.
pub(in crate::http) struct Health;

impl Described for Health {
    fn name() -> String {
        "Health".to_owned()
    }

    fn schema() -> Schema {
        object([required("status", word(&["ok"]))])
    }
}

/// The answer of a node that serves.
pub(in crate::http) struct Readiness;

impl Described for Readiness {
    fn name() -> String {
        "Readiness".to_owned()
    }

    fn schema() -> Schema {
        object([required("status", word(&["ready"]))])
    }
}

/// `GET /metrics`
pub(in crate::http) async fn metrics(
    State(app): State<App>,
) -> Result<impl IntoResponse, ApiError> {
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &app.registry).map_err(|_| {
        tracing::error!("the metrics could not be encoded");
        ApiError::internal()
    })?;
    Ok(([OPEN_METRICS], text))
}

pub(in crate::http) async fn not_found() -> ApiError {
    ApiError::not_found()
}

pub(in crate::http) async fn method_not_allowed() -> ApiError {
    ApiError::new(Code::METHOD_NOT_ALLOWED, "the header Allow names the methods of this path")
}
