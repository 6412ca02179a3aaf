//! What sellers have to do with orders.

use actors::domain::names::SellerId;
use actors::domain::seller_board::Query;
use actors::{Seller, SellerBoard};
use axum::extract::State;
use axum::http::StatusCode;
use cluster::fabric::Viewed;

use super::books;
use super::entries::not_found;
use crate::http::app::App;
use crate::http::error::ApiError;
use crate::http::extract::{Operator, PathId, ReadTerms};
use crate::http::render::seller_board::DashboardJson;
use crate::http::reply::Reply;

/// `GET /admin/v1/sellers/{id}/dashboard`
pub(in crate::http) async fn show(
    State(app): State<App>,
    _: Operator,
    PathId(seller): PathId<SellerId>,
    terms: ReadTerms,
) -> Result<Reply, ApiError> {
    let query = app.fabric.query::<SellerBoard>(
        seller.key(),
        &terms.at_least,
        terms.deadline,
        Query::Dashboard,
    );
    let Viewed { view: board, provenance } = query.await?;
    // One who is gone may have orders still.
    if board.sums.is_empty() {
        let book = books::at(&app, &terms).await?;
        let is_there = book.content()?.sellers().any(|known| known.id == seller);
        if !is_there {
            return Err(not_found::<Seller>());
        }
    }
    if terms.knows(provenance.seq) {
        return Ok(Reply::not_modified(provenance));
    }
    let shown = DashboardJson::new(&seller, &board, provenance.seq);
    Reply::resource(StatusCode::OK, &shown, provenance)
}
