//! What a node answers before it serves: that it lives, and is not ready.
//!
//! **Invariants:** nothing of the shop is behind it; every answer but that of `/healthz` says to come
//! back, so neither a probe nor a shopper waits for a recovery without a word.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::header::CACHE_CONTROL;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::Endpoint;
use super::code::Code;
use super::error::ApiError;
use super::middleware::request_id::{RequestIds, X_REQUEST_ID};
use super::routes::system;

/// The routes of a node that starts.
pub fn router() -> Router {
    Router::new()
        .route(Endpoint::Health.path(), get(system::health))
        .fallback(not_ready)
        .with_state(Arc::new(RequestIds::new()))
}

async fn not_ready(State(ids): State<Arc<RequestIds>>, request: Request) -> Response {
    let id = ids.of(request.headers());
    let error = ApiError::new(Code::NOT_READY, "the node starts and does not serve yet");
    let mut response = StatusCode::SERVICE_UNAVAILABLE.into_response();
    error.render(request.uri().path(), id.to_str().unwrap_or_default(), &mut response);
    let headers = response.headers_mut();
    headers.insert(X_REQUEST_ID, id);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
