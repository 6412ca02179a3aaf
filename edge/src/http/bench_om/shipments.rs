//! Deliveries: ten sellers at a time, each its oldest order that is on its way.
//!
//! **Invariants:** which order is a seller's oldest its board says, exactly; which sellers are next
//! each node says for itself.

use std::sync::atomic::{AtomicUsize, Ordering};

use actors::domain::names::SellerId;
use actors::domain::order::{Command, ShipmentNumber, View};
use actors::domain::seller_board::Query;
use actors::{PriceBook, SellerBoard};
use axum::extract::{RawPathParams, State};
use axum::http::StatusCode;
use cluster::time::Timestamp;

use super::checkouts::{execute, find};
use super::ids::{PREFIX, tid_in};
use crate::http::app::{App, now};
use crate::http::at_once::all_at_once;
use crate::http::error::ApiError;
use crate::http::routes::books;

const SELLERS_AT_ONCE: usize = 10;

/// `PATCH /shipment/{tid}`
pub(super) async fn deliver(
    State(app): State<App>,
    params: RawPathParams,
) -> Result<StatusCode, ApiError> {
    tid_in(&params)?;
    let deadline = now().plus(app.settings.request_timeout);
    let deliver = |seller| {
        let app = app.clone();
        async move { deliver_oldest(&app, seller, deadline).await }
    };
    let sellers = next(books::at_least(&app, &[], deadline).await?.content()?);
    for delivered in all_at_once(sellers, deliver).await? {
        delivered?;
    }
    Ok(StatusCode::ACCEPTED)
}

/// Those whose turn it is.
fn next(book: &PriceBook) -> Vec<SellerId> {
    static TURN: AtomicUsize = AtomicUsize::new(0);
    let sellers = || book.sellers().filter(|seller| seller.id.as_str().starts_with(PREFIX));
    let n_sellers = sellers().count();
    let turn = TURN.fetch_add(SELLERS_AT_ONCE, Ordering::Relaxed);
    let Some(first) = turn.checked_rem(n_sellers) else { return Vec::new() };
    let some = sellers().chain(sellers()).skip(first).take(SELLERS_AT_ONCE.min(n_sellers));
    some.map(|seller| seller.id.clone()).collect()
}

async fn deliver_oldest(app: &App, seller: SellerId, deadline: Timestamp) -> Result<(), ApiError> {
    let query = app.fabric.query::<SellerBoard>(seller.key(), &[], deadline, Query::Dashboard);
    let board = query.await?.view;
    let Some((order, _)) = board.open.iter().find(|(_, it)| it.shipped > it.delivered) else {
        return Ok(());
    };
    let Some(view) = find(app, *order, deadline).await? else { return Ok(()) };
    for shipment in on_its_way(&view, &seller) {
        execute(app, *order, Command::Deliver { shipment }, deadline).await?;
    }
    Ok(())
}

/// The seller's own parcels of an order that have not arrived.
fn on_its_way(view: &View, seller: &SellerId) -> Vec<ShipmentNumber> {
    let Some(own) = view.sellers.iter().find(|it| it.seller == *seller) else { return Vec::new() };
    let shipments = view.shipments.iter().filter(|it| it.delivered_at.is_none());
    let own = shipments.filter(|it| it.items.iter().any(|(sku, _)| own.skus.contains(sku)));
    own.map(|it| ShipmentNumber(it.number)).collect()
}
