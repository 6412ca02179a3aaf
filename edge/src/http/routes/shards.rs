//! The shards of the cluster, for operators.

use axum::extract::State;
use cluster::placement::cluster::Command;

use super::documents::{Nothing, SendLead};
use super::nodes::{execute, survey, surveyed_reply};
use crate::http::app::App;
use crate::http::error::ApiError;
use crate::http::extract::{JsonBody, Operator, PathId, ReadTerms, ShardPath, Terms};
use crate::http::reply::Reply;
use crate::http::topology::{ShardChange, ShardsDocument};

/// `GET /system/v1/shards`: every shard, as far as the nodes that answered know it.
pub(in crate::http) async fn list(
    State(app): State<App>,
    _: Operator,
    terms: ReadTerms,
) -> Result<Reply, ApiError> {
    let surveyed = survey(&app, &terms).await?;
    surveyed_reply(&surveyed, &ShardsDocument::new(&surveyed))
}

/// `POST /system/v1/shards/{id}/transfer`: another of its nodes leads it, for the time being.
pub(in crate::http) async fn transfer(
    State(app): State<App>,
    _: Operator,
    PathId(ShardPath(shard)): PathId<ShardPath>,
    terms: Terms,
    body: JsonBody<SendLead>,
) -> Result<Reply, ApiError> {
    let SendLead { to } = body.document;
    let change = ShardChange { id: shard.0, to: Some(to.0) };
    execute(&app, &terms, &body.bytes, Command::Transfer { shard, to }, &change).await
}

/// `POST /system/v1/shards/{id}/pin`: one of its nodes leads it whenever it can.
pub(in crate::http) async fn pin(
    State(app): State<App>,
    _: Operator,
    PathId(ShardPath(shard)): PathId<ShardPath>,
    terms: Terms,
    body: JsonBody<SendLead>,
) -> Result<Reply, ApiError> {
    let SendLead { to } = body.document;
    let change = ShardChange { id: shard.0, to: Some(to.0) };
    execute(&app, &terms, &body.bytes, Command::Pin { shard, to: Some(to) }, &change).await
}

/// `POST /system/v1/shards/{id}/unpin`
pub(in crate::http) async fn unpin(
    State(app): State<App>,
    _: Operator,
    PathId(ShardPath(shard)): PathId<ShardPath>,
    terms: Terms,
    body: JsonBody<Nothing>,
) -> Result<Reply, ApiError> {
    let change = ShardChange { id: shard.0, to: None };
    execute(&app, &terms, &body.bytes, Command::Pin { shard, to: None }, &change).await
}
