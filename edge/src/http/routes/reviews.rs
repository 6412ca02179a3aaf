//! Orders that may look like fraud, for whoever decides about them.

use actors::OrderId;
use actors::domain::order::{Command, ReviewCommand};
use axum::extract::State;
use axum::http::Uri;

use super::documents::Nothing;
use super::order_lists::{Wanted, listed};
use super::orders::execute;
use crate::http::app::App;
use crate::http::error::ApiError;
use crate::http::extract::{JsonBody, Operator, PathId, ReadTerms, Terms};
use crate::http::keys::Credential;
use crate::http::reply::Reply;

/// `GET /admin/v1/fraud/reviews`: the orders that are on hold.
pub(in crate::http) async fn list(
    State(app): State<App>,
    _: Operator,
    uri: Uri,
    terms: ReadTerms,
) -> Result<Reply, ApiError> {
    listed(&app, &terms, &Wanted::on_hold(&uri)?).await
}

/// `POST /admin/v1/fraud/reviews/{id}/approve`
pub(in crate::http) async fn approve(
    State(app): State<App>,
    _: Operator,
    PathId(order): PathId<OrderId>,
    terms: Terms,
    body: JsonBody<Nothing>,
) -> Result<Reply, ApiError> {
    let command = Command::OfReview(ReviewCommand::Approve);
    execute(&app, &terms, order, Credential::Operator, &body.bytes, command).await
}

/// `POST /admin/v1/fraud/reviews/{id}/reject`
pub(in crate::http) async fn reject(
    State(app): State<App>,
    _: Operator,
    PathId(order): PathId<OrderId>,
    terms: Terms,
    body: JsonBody<Nothing>,
) -> Result<Reply, ApiError> {
    let command = Command::OfReview(ReviewCommand::Reject);
    execute(&app, &terms, order, Credential::Operator, &body.bytes, command).await
}
