//! The one middleware: request id, shedding, metrics, log, security headers, the form of errors.
//!
//! **Invariants:** every answer carries `X-Request-Id`; a request counts as in flight from when it is
//! first polled until its answer is ready or its client is gone. One that waits behind an answer
//! which its client does not read is not polled, so it counts for nothing.
//!
//! One service instead of a stack of layers: each layer would box the future of the one inside.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::extract::Request;
use axum::http::header::{CACHE_CONTROL, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderValue, Uri};
use axum::response::{IntoResponse, Response};
use storage::clock;
use tower::{Layer, Service};
use tracing::{Instrument, Level, Span};

use super::request_id::X_REQUEST_ID;
use super::trace_parent;
use crate::http::app::App;
use crate::http::error::ApiError;
use crate::http::{Asked, Class, Endpoint, Verb, crowd};
use crate::metrics::{EdgeMetrics, EndpointMetrics};

/// Puts a [`Rim`] around the handlers of one path.
#[derive(Clone)]
pub(in crate::http) struct RimLayer(Arc<Edge>);

struct Edge {
    app: App,
    endpoint: Endpoint,
    metrics: EndpointMetrics,
}

impl RimLayer {
    pub(in crate::http) fn new(app: App, endpoint: Endpoint) -> Self {
        let metrics = app.metrics.of(endpoint);
        Self(Arc::new(Edge { app, endpoint, metrics }))
    }
}

impl<S> Layer<S> for RimLayer {
    type Service = Rim<S>;

    fn layer(&self, inner: S) -> Rim<S> {
        Rim { edge: Arc::clone(&self.0), inner }
    }
}

#[derive(Clone)]
pub(in crate::http) struct Rim<S> {
    edge: Arc<Edge>,
    inner: S,
}

impl<S> Service<Request> for Rim<S>
where
    S: Service<Request, Error = Infallible>,
    S::Response: IntoResponse,
    S::Future: Send + 'static,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request) -> Self::Future {
        let passage = Passage::of(Arc::clone(&self.edge), &request);
        let span = passage.span(&request);
        let class = passage.class();
        let admitted = crowd::admit(&self.edge.app, class, request.headers());
        let answer = admitted.map(|()| {
            if passage.verb != Verb::Get {
                request.extensions_mut().insert(passage.asked());
            }
            self.inner.call(request)
        });
        let whole = async move {
            let in_flight = InFlight::count(&passage.edge.app.metrics);
            let response = match answer {
                Ok(answer) => match answer.await {
                    Ok(response) => response.into_response(),
                    Err(never) => match never {},
                },
                Err(refusal) => refusal.into_response(),
            };
            drop(in_flight);
            Ok(passage.end(response))
        };
        Box::pin(whole.instrument(span))
    }
}

/// One request on its way through.
struct Passage {
    edge: Arc<Edge>,
    verb: Verb,
    uri: Uri,
    request_id: HeaderValue,
    started: Instant,
}

impl Passage {
    fn of(edge: Arc<Edge>, request: &Request) -> Self {
        let request_id = edge.app.request_ids.of(request.headers());
        let (verb, uri) = (Verb::of(request.method()), request.uri().clone());
        Self { edge, verb, uri, request_id, started: clock::monotonic() }
    }

    fn asked(&self) -> Asked {
        Asked { endpoint: self.edge.endpoint, verb: self.verb }
    }

    fn class(&self) -> Class {
        self.edge.endpoint.class(self.verb)
    }

    /// Only made where someone listens: a span costs more than the rest of this file.
    fn span(&self, request: &Request) -> Span {
        if !tracing::enabled!(Level::DEBUG) {
            return Span::none();
        }
        tracing::debug_span!(
            "request",
            request.id = self.request_id(),
            http.method = self.verb.name(),
            http.route = self.edge.endpoint.path(),
            trace.parent = trace_parent::of(request.headers()),
        )
    }

    fn end(self, mut response: Response) -> Response {
        let error = response.extensions_mut().remove::<ApiError>();
        if let Some(error) = &error {
            error.render(self.uri.path(), self.request_id(), &mut response);
        }
        let headers = response.headers_mut();
        headers.insert(X_REQUEST_ID, self.request_id.clone());
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        let took = clock::monotonic().saturating_duration_since(self.started);
        self.edge.metrics.answered(self.verb, response.status(), took);
        self.log(&response, error.as_ref(), took);
        response
    }

    fn log(&self, response: &Response, error: Option<&ApiError>, took: Duration) {
        let status = response.status();
        let code = error.map_or("", |error| error.code().name);
        let took_micros = took.as_micros();
        let (id, method, route) = (self.request_id(), self.verb.name(), self.edge.endpoint.path());
        // Load that is shed is counted; a line for each would make the overload worse.
        if status.is_server_error() && code != ApiError::overloaded().code().name {
            tracing::warn!(
                request.id = id,
                http.method = method,
                http.route = route,
                http.status = status.as_u16(),
                error.code = code,
                took_micros,
                "a request failed on this side"
            );
        } else {
            tracing::debug!(
                request.id = id,
                http.method = method,
                http.route = route,
                http.status = status.as_u16(),
                error.code = code,
                took_micros,
                "a request was answered"
            );
        }
    }

    fn request_id(&self) -> &str {
        self.request_id.to_str().unwrap_or_default()
    }
}

/// A request that counts as under way until dropped.
struct InFlight<'a>(&'a EdgeMetrics);

impl<'a> InFlight<'a> {
    fn count(metrics: &'a EdgeMetrics) -> Self {
        metrics.enter();
        Self(metrics)
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.leave();
    }
}
