//! What is refused when not all can be served: by worth, as the crowd or the node's pressure grows.
//!
//! **Invariants:** a request that waits for its body is not part of the crowd, so that slow clients
//! crowd nobody out; at most [`Settings::bodies_awaited_max`] bodies are awaited; `Class::Vital` is
//! never refused.
//!
//! [`Settings::bodies_awaited_max`]: super::app::Settings::bodies_awaited_max

use axum::http::HeaderMap;

use super::Class;
use super::app::App;
use super::credentials;
use super::error::ApiError;

/// Refuses what is worth less than the room that is left.
pub(super) fn admit(app: &App, class: Class, headers: &HeaderMap) -> Result<(), ApiError> {
    let full_percent = percent(app, app.metrics.crowd()).max((app.signals.pressure_percent)());
    let is_claim = class == Class::Stock && Class::Browse.is_shed_at(full_percent);
    // What operators ask for is worth most, so who claims to be one proves it once that matters.
    let class = if is_claim && !is_operator(app, headers) { Class::Browse } else { class };
    shed_at(app, class, full_percent)
}

fn is_operator(app: &App, headers: &HeaderMap) -> bool {
    let token = app.settings.operator_token.as_ref();
    credentials::check_operator(headers, &app.secrets, token).is_ok()
}

fn percent(app: &App, n_requests: usize) -> usize {
    n_requests.saturating_mul(100) / app.settings.concurrency_max.max(1)
}

fn shed_at(app: &App, class: Class, full_percent: usize) -> Result<(), ApiError> {
    if class.is_shed_at(full_percent) { Err(shed(app, class)) } else { Ok(()) }
}

fn shed(app: &App, class: Class) -> ApiError {
    app.metrics.shed(class);
    ApiError::overloaded()
}

/// A request that is out of the crowd until its body is there.
pub(super) struct AwaitedBody<'a> {
    app: &'a App,
    class: Class,
}

impl<'a> AwaitedBody<'a> {
    /// `class` is what the request was admitted as.
    pub(super) fn begin(app: &'a App, class: Class) -> Result<Self, ApiError> {
        let n_before = app.metrics.await_body();
        let awaited = Self { app, class };
        if n_before >= app.settings.bodies_awaited_max {
            return Err(shed(app, class));
        }
        Ok(awaited)
    }

    /// The request joins the crowd: where there is no room any more, it is refused after all.
    pub(super) fn end(self) -> Result<(), ApiError> {
        let (app, class) = (self.app, self.class);
        drop(self);
        let n_others = app.metrics.crowd().saturating_sub(1);
        shed_at(app, class, percent(app, n_others))
    }
}

impl Drop for AwaitedBody<'_> {
    fn drop(&mut self) {
        self.app.metrics.body_ended();
    }
}
