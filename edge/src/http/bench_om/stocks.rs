//! Stock items: each is the SKU of a product. Its version is its product's alone.

use actors::domain::sku::{Command, Query, View};
use actors::{PriceBook, Reason, Sku, SkuCode, Units};
use axum::Json;
use axum::extract::{RawPathParams, State};
use axum::http::StatusCode;
use cluster::fabric::Envelope;
use cluster::time::Timestamp;
use serde_json::{Value, json};

use super::body::{Row, wrong};
use super::ids::{ProductKey, product_in};
use super::products::attribute;
use crate::http::app::{App, now};
use crate::http::error::ApiError;
use crate::http::refusals;
use crate::http::routes::books;

/// `POST /stock`
pub(super) async fn ingest(State(app): State<App>, row: Row) -> Result<StatusCode, ApiError> {
    let key = ProductKey::named_in(&row)?;
    let on_hand = Units::try_from(row.number("qty_available")?);
    let on_hand =
        on_hand.map_err(|error| wrong("qty_available", "out_of_range", error.to_string()))?;
    let deadline = now().plus(app.settings.request_timeout);
    set(&app, key.sku()?, on_hand, deadline).await.map(|()| StatusCode::OK)
}

/// `GET /stock/{seller}/{product}`
pub(super) async fn show(
    State(app): State<App>,
    params: RawPathParams,
) -> Result<Json<Value>, ApiError> {
    let key = product_in(&params)?;
    let deadline = now().plus(app.settings.request_timeout);
    let query = app.fabric.query::<Sku>(key.sku()?.key(), &[], deadline, Query::Level);
    let level = match query.await?.view {
        View::Level(level) if level.exists => level,
        View::Level(_) => return Err(ApiError::not_found()),
        View::Reservation(_) | View::Reservations(_) | View::Ledger(_) | View::Places(_) => {
            return Err(ApiError::internal());
        }
    };
    let book = books::at_least(&app, &[], deadline).await?;
    Ok(Json(json!({
        "seller_id": key.seller,
        "product_id": key.product,
        "qty_available": level.on_hand.get(),
        "qty_reserved": level.reserved.get(),
        "version": version(book.content()?, key)?,
    })))
}

fn version(book: &PriceBook, key: ProductKey) -> Result<Option<&str>, ApiError> {
    let page = book.any_page(&key.slug()?);
    Ok(page.and_then(|page| attribute(page, "version")))
}

pub(super) async fn set(
    app: &App,
    sku: SkuCode,
    on_hand: Units,
    deadline: Timestamp,
) -> Result<(), ApiError> {
    let reason = Reason::try_from("bench-om".to_owned()).map_err(|_| ApiError::internal())?;
    let command = Command::SetOnHand { on_hand, reason };
    let executed = app.fabric.execute::<Sku>(sku.key(), Envelope::until(deadline), command).await;
    executed.map(|_| ()).map_err(|error| {
        let path = || format!("/admin/v1/inventory/{sku}");
        ApiError::from_command::<Sku>(error, false, path, |why| refusals::of_stock(why, &sku))
    })
}
