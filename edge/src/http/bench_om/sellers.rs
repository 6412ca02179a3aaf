//! Sellers, and what their boards say.
//!
//! **Invariants:** both halves of a dashboard are of one read of one entity, so that they agree; an
//! entry is an order as far as it is the seller's.

use actors::domain::entry::{Command, Lookup, Query as EntryQuery};
use actors::domain::order::Status;
use actors::domain::seller::Standing;
use actors::domain::seller_board::{Consignment, Dashboard, Query};
use actors::{Entry, OrderId, Seller, SellerBoard};
use axum::Json;
use axum::extract::{RawPathParams, State};
use axum::http::StatusCode;
use cluster::fabric::Envelope;
use serde_json::{Value, json};

use super::amount::shown;
use super::body::{Row, label};
use super::ids::{self, number_in};
use crate::http::app::{App, now};
use crate::http::error::ApiError;
use crate::http::refusals;

/// `POST /seller`
pub(super) async fn ingest(State(app): State<App>, row: Row) -> Result<StatusCode, ApiError> {
    let id = ids::seller(row.number("id")?)?;
    let name = match row.text_if_any("company_name")? {
        "" => row.text("name")?,
        name => name,
    };
    let name = label("name", name)?;
    let envelope = Envelope::until(now().plus(app.settings.request_timeout));
    let key = id.key();
    let path = || format!("/admin/v1/sellers/{id}");
    let content = Seller { id: id.clone(), name, standing: Standing::Active };
    let command = Command::Put { content };
    let executed = app.fabric.execute::<Entry<Seller>>(key, envelope, command).await;
    let executed = executed.map_err(|error| {
        ApiError::from_command::<Entry<Seller>>(error, false, path, refusals::of_entry)
    });
    executed.map(|_| StatusCode::CREATED)
}

/// `GET /seller/{seller}`
pub(super) async fn show(
    State(app): State<App>,
    params: RawPathParams,
) -> Result<Json<Value>, ApiError> {
    let number = number_in(&params, "seller")?;
    let (key, deadline) = (ids::seller(number)?.key(), now().plus(app.settings.request_timeout));
    let query = app.fabric.query::<Entry<Seller>>(key, &[], deadline, EntryQuery::Content);
    let Lookup(seller) = query.await?.view;
    let seller = seller.ok_or_else(ApiError::not_found)?;
    Ok(Json(json!({"id": number, "name": seller.name.as_str()})))
}

/// `GET /seller/dashboard/{seller}`
pub(super) async fn show_dashboard(
    State(app): State<App>,
    params: RawPathParams,
) -> Result<Json<Value>, ApiError> {
    let number = number_in(&params, "seller")?;
    let seller = ids::seller(number)?;
    let deadline = now().plus(app.settings.request_timeout);
    let query = app.fabric.query::<SellerBoard>(seller.key(), &[], deadline, Query::Dashboard);
    let board = query.await?.view;
    Ok(Json(json!({
        "sellerView": summary(&app, number, &board),
        "orderEntries": entries(number, &board),
    })))
}

fn summary(app: &App, seller: u32, board: &Dashboard) -> Value {
    let currency = app.default_currency();
    let sums = board.sums.iter().find(|(known, _)| *known == currency);
    let open = sums.map(|(_, sums)| sums.open).unwrap_or_default();
    json!({
        "seller_id": seller,
        "count_orders": open.orders,
        "count_items": open.pieces,
        "total_amount": shown(open.amount),
        "total_freight": shown(0),
        "total_incentive": shown(0),
        "total_invoice": shown(open.amount),
        "total_items": shown(open.amount),
    })
}

fn entries(seller: u32, board: &Dashboard) -> Vec<Value> {
    board.open.iter().map(|(order, it)| entry(seller, *order, it)).collect()
}

fn entry(seller: u32, order: OrderId, it: &Consignment) -> Value {
    let amount = shown(it.amount.minor);
    json!({
        "natural_key": order.to_string(),
        "order_id": order.to_string(),
        "seller_id": seller,
        "quantity": it.pieces,
        "total_items": amount,
        "total_amount": amount,
        "total_incentive": shown(0),
        "total_invoice": amount,
        "freight_value": shown(0),
        "order_status": status(it.status),
        "delivery_status": if it.shipped > it.delivered { "shipped" } else { "ready_to_ship" },
    })
}

pub(super) const fn status(status: Status) -> &'static str {
    match status {
        Status::Pending | Status::OnHold => "INVOICED",
        Status::Confirmed => "READY_FOR_SHIPMENT",
        Status::Processing | Status::Shipped => "IN_TRANSIT",
        Status::Delivered | Status::Returned => "DELIVERED",
        Status::Cancelling | Status::Cancelled | Status::Failed => "CANCELED",
    }
}
