//! Customers: a row is read, and of it the number is kept: who is a customer has a cart. What they are
//! called is said again at each checkout.
//!
//! **Invariants:** a customer is known by the first cart of the first run, whichever run it is.

use actors::Cart;
use actors::domain::cart::{Command, Lookup, Query};
use axum::Json;
use axum::extract::{RawPathParams, State};
use axum::http::StatusCode;
use cluster::time::Timestamp;
use serde_json::{Value, json};

use super::body::Row;
use super::carts::{execute, refused};
use super::ids::{self, number_in};
use super::runs::{Run, Shopper};
use crate::http::app::{App, now};
use crate::http::error::ApiError;

/// `POST /customer`
pub(super) async fn ingest(State(app): State<App>, row: Row) -> Result<StatusCode, ApiError> {
    let customer = row.number("id")?;
    let deadline = now().plus(app.settings.request_timeout);
    if !is_known(&app, customer, deadline).await? {
        create_cart(&app, Shopper { customer, run: Run::FIRST }, 0, deadline).await?;
    }
    Ok(StatusCode::CREATED)
}

/// `GET /customer/{customer}`
pub(super) async fn show(
    State(app): State<App>,
    params: RawPathParams,
) -> Result<Json<Value>, ApiError> {
    let customer = number_in(&params, "customer")?;
    check_known(&app, customer, now().plus(app.settings.request_timeout)).await?;
    Ok(Json(json!({"id": customer})))
}

pub(super) async fn check_known(
    app: &App,
    customer: u32,
    deadline: Timestamp,
) -> Result<(), ApiError> {
    if is_known(app, customer, deadline).await? { Ok(()) } else { Err(ApiError::not_found()) }
}

async fn is_known(app: &App, customer: u32, deadline: Timestamp) -> Result<bool, ApiError> {
    let id = ids::cart(app, Shopper { customer, run: Run::FIRST }, 0);
    let Lookup(first) = app.fabric.query::<Cart>(id.key(), &[], deadline, Query::Cart).await?.view;
    Ok(first.is_some())
}

pub(super) async fn create_cart(
    app: &App,
    shopper: Shopper,
    generation: u64,
    deadline: Timestamp,
) -> Result<(), ApiError> {
    let id = ids::cart(app, shopper, generation);
    let access = app.secrets.cart_token(id).access();
    let create = Command::Create { currency: app.default_currency(), access };
    let made = execute(app, id, create, deadline).await;
    made.map(|_| ()).map_err(|error| refused(error, id))
}
