//! The orders of a customer in this run, for whoever looks into it: each is found by the cart that it
//! took.

use std::sync::Arc;

use actors::Cart;
use actors::domain::cart::{Lookup, Query, Status};
use actors::domain::order::View;
use axum::extract::{RawPathParams, State};
use axum::{Extension, Json};
use cluster::time::Timestamp;
use serde_json::{Value, json};

use super::amount::shown;
use super::checkouts::{find, items};
use super::ids::{self, number_in};
use super::runs::Shopper;
use super::sellers::status;
use super::sessions::Sessions;
use super::{carts, customers};
use crate::http::app::{App, now};
use crate::http::at_once::all_at_once;
use crate::http::error::ApiError;

const LISTED_MAX: u64 = 100;

/// `GET /order/{customer}`: the last ones, newest first.
pub(super) async fn list(
    State(app): State<App>,
    Extension(sessions): Extension<Arc<Sessions>>,
    params: RawPathParams,
) -> Result<Json<Vec<Value>>, ApiError> {
    let customer = number_in(&params, "customer")?;
    let deadline = now().plus(app.settings.request_timeout);
    customers::check_known(&app, customer, deadline).await?;
    let shopper = Shopper::now(&app, customer, deadline).await?;
    let (last, _) = carts::current(&app, &sessions, shopper, deadline).await?;
    let order_of = |generation| {
        let app = app.clone();
        async move { order_of(&app, shopper, generation, deadline).await }
    };
    let first = last.saturating_sub(LISTED_MAX - 1);
    let mut orders = Vec::new();
    for found in all_at_once((first..=last).rev(), order_of).await? {
        orders.extend(found?.map(|view| shown_to(&app, customer, &view)));
    }
    Ok(Json(orders))
}

async fn order_of(
    app: &App,
    shopper: Shopper,
    generation: u64,
    deadline: Timestamp,
) -> Result<Option<Box<View>>, ApiError> {
    let id = ids::cart(app, shopper, generation);
    let Lookup(cart) = app.fabric.query::<Cart>(id.key(), &[], deadline, Query::Cart).await?.view;
    match cart.map(|view| view.status) {
        Some(Status::Ordered { order } | Status::CheckingOut { order }) => {
            find(app, order, deadline).await
        }
        Some(
            Status::Open | Status::Merging { .. } | Status::MergedAway { .. } | Status::Deleted,
        )
        | None => Ok(None),
    }
}

fn shown_to(app: &App, customer: u32, view: &View) -> Value {
    json!({
        "customer_id": customer,
        "order_id": view.id.to_string(),
        "status": status(view.status),
        "total_amount": shown(view.totals.grand.minor),
        "items": items(app, view),
    })
}
