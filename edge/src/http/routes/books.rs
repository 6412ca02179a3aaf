//! This node's own book, at or past what a request has seen.

use actors::PriceBook;
use actors::domain::shop::{Query, Shop};
use cluster::entity::Catalogue;
use cluster::ids::{Position, ShardId};
use cluster::time::Timestamp;

use crate::http::app::App;
use crate::http::code::Code;
use crate::http::error::ApiError;
use crate::http::extract::ReadTerms;

/// A catalogue that is there; of which book, it says itself.
pub(in crate::http) struct Book {
    catalogue: Catalogue,
}

impl Book {
    pub(in crate::http) fn content(&self) -> Result<&PriceBook, ApiError> {
        self.catalogue.content().ok_or_else(unavailable)
    }
}

/// The book, once it holds everything up to the positions asked for.
pub(in crate::http) async fn at(app: &App, terms: &ReadTerms) -> Result<Book, ApiError> {
    at_least(app, &terms.at_least, terms.deadline).await
}

/// As [`at`], for a request that has a body.
pub(in crate::http) async fn at_least(
    app: &App,
    positions: &[Position],
    deadline: Timestamp,
) -> Result<Book, ApiError> {
    let of_catalogue = |position: &&Position| position.shard == ShardId::CATALOGUE;
    let newest = positions.iter().filter(of_catalogue).max_by_key(|position| position.index);
    let catalogue = match newest {
        Some(position) => app.fabric.catalogue_at(*position, deadline).await?,
        None => app.fabric.catalogue(),
    };
    catalogue.map(|catalogue| Book { catalogue }).ok_or_else(unavailable)
}

/// The book with all that was accepted by now, on whichever node.
pub(in crate::http) async fn of_all_before(
    app: &App,
    deadline: Timestamp,
) -> Result<Book, ApiError> {
    let read = app.fabric.query::<Shop>(Shop::key(), &[], deadline, Query::Terms).await?;
    let there = app.fabric.catalogue_at(read.provenance.position, deadline).await?;
    there.map(|catalogue| Book { catalogue }).ok_or_else(unavailable)
}

pub(in crate::http) fn unavailable() -> ApiError {
    ApiError::new(Code::CATALOGUE_UNAVAILABLE, "this node has no catalogue at the moment")
}
