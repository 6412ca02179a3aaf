//! Deliveries: ten sellers at a time, each its oldest order that is on its way.
//!
//! **Invariants:** which order is a seller's oldest its board says, exactly; which sellers are next
//! each node says for itself.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use actors::domain::names::SellerId;
use actors::domain::order::{Command, ShipmentNumber, View};
use actors::domain::seller_board::{Dashboard, Query};
use actors::{OrderId, PriceBook, SellerBoard};
use axum::extract::{RawPathParams, State};
use axum::http::StatusCode;
use cluster::time::{Span, Timestamp};

use super::checkouts::{execute, find, ship};
use super::ids::{PREFIX, tid_in};
use crate::http::app::{App, now};
use crate::http::at_once::all_at_once;
use crate::http::error::ApiError;
use crate::http::routes::books;

const SELLERS_AT_ONCE: usize = 10;
const AT_ONCE: usize = 64;
/// Boards are told of what became of orders; without news for so long there is none to come.
const SILENCE_MAX: Span = Span::from_secs(2);
const PAUSE: Duration = Duration::from_millis(10);

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
    let n_sellers = sellers(book).count();
    let turn = TURN.fetch_add(SELLERS_AT_ONCE, Ordering::Relaxed);
    let Some(first) = turn.checked_rem(n_sellers) else { return Vec::new() };
    let twice = sellers(book).chain(sellers(book));
    twice.skip(first).take(SELLERS_AT_ONCE.min(n_sellers)).cloned().collect()
}

fn sellers(book: &PriceBook) -> impl Iterator<Item = &SellerId> {
    let ids = book.sellers().map(|seller| &seller.id);
    ids.filter(|id| id.as_str().starts_with(PREFIX))
}

/// Sends and delivers all that boards list, until they list no more of what can be delivered.
pub(super) async fn deliver_all(app: &App, book: &PriceBook) -> Result<(), ApiError> {
    let sellers: Vec<_> = sellers(book).cloned().collect();
    let mut met = BTreeSet::new();
    let mut last_news = now();
    loop {
        let open = open_orders(app, &sellers).await?;
        let fresh: Vec<_> = open.difference(&met).copied().collect();
        if open.is_empty() || (fresh.is_empty() && now() >= last_news.plus(SILENCE_MAX)) {
            return Ok(());
        }
        if fresh.is_empty() {
            tokio::time::sleep(PAUSE).await;
            continue;
        }
        for some in fresh.chunks(AT_ONCE) {
            let bring = |order| {
                let app = app.clone();
                async move { bring(&app, order).await }
            };
            for brought in all_at_once(some.to_vec(), bring).await? {
                brought?;
            }
        }
        met.extend(fresh);
        last_news = now();
    }
}

async fn open_orders(app: &App, sellers: &[SellerId]) -> Result<BTreeSet<OrderId>, ApiError> {
    let deadline = now().plus(app.settings.request_timeout);
    let mut open = BTreeSet::new();
    for some in sellers.chunks(AT_ONCE) {
        let look = |seller: SellerId| {
            let app = app.clone();
            async move { board(&app, &seller, deadline).await }
        };
        for board in all_at_once(some.to_vec(), look).await? {
            open.extend(board?.open.iter().map(|(order, _)| *order));
        }
    }
    Ok(open)
}

/// Brings an order to its end, as far as it is paid.
async fn bring(app: &App, order: OrderId) -> Result<(), ApiError> {
    let deadline = now().plus(app.settings.request_timeout);
    if let Some(view) = find(app, order, deadline).await? {
        ship(app, &view, "reset", deadline).await?;
    }
    let sent = find(app, order, deadline).await?;
    let shipments = sent.iter().flat_map(|view| &view.shipments);
    for shipment in shipments.filter(|it| it.delivered_at.is_none()) {
        let shipment = ShipmentNumber(shipment.number);
        execute(app, order, Command::Deliver { shipment }, deadline).await?;
    }
    Ok(())
}

async fn board(app: &App, seller: &SellerId, deadline: Timestamp) -> Result<Dashboard, ApiError> {
    let query = app.fabric.query::<SellerBoard>(seller.key(), &[], deadline, Query::Dashboard);
    Ok(query.await?.view)
}

async fn deliver_oldest(app: &App, seller: SellerId, deadline: Timestamp) -> Result<(), ApiError> {
    let board = board(app, &seller, deadline).await?;
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
