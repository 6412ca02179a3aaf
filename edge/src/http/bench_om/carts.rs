//! Carts of customers. Each order takes its cart with it; the customer's next one is of the next
//! generation.
//!
//! **Invariants:** a line is of the version that its name says, which is the one that it was added
//! with.
//!
//! An item's voucher takes nothing off. Only promotions do, and one for each voucher does not fit: a
//! book copies all its promotions whenever one changes, a cart takes five codes for its ten lines, and
//! a code that a client had made would be good in the storefront too. Boards keep what is paid, not
//! what it would have cost. A gift card pays, and leaves the amounts as they are. So lines cost their
//! full price, and `Voucher` and `total_incentive` are shown as zero.

use std::sync::Arc;

use actors::domain::cart::{Command, Lookup, Query, Rejection, Status, View};
use actors::{Cart, CartId, PriceBook, Quantity};
use axum::extract::{RawPathParams, State};
use axum::http::StatusCode;
use axum::{Extension, Json};
use cluster::entity::Catalogue;
use cluster::fabric::{CommandError, Envelope};
use cluster::time::Timestamp;

use super::body::{Row, wrong};
use super::customers;
use super::ids::{self, ProductKey, number_in};
use super::items::ItemJson;
use super::products::{attribute, in_parts};
use super::runs::Shopper;
use super::sessions::Sessions;
use crate::http::app::{App, now};
use crate::http::error::ApiError;
use crate::http::refusals;

/// `PATCH /cart/{customer}/add`
pub(super) async fn add(
    State(app): State<App>,
    Extension(sessions): Extension<Arc<Sessions>>,
    params: RawPathParams,
    row: Row,
) -> Result<StatusCode, ApiError> {
    let customer = number_in(&params, "customer")?;
    let key = ProductKey { seller: row.number("SellerId")?, product: row.number("ProductId")? };
    let quantity = Quantity::try_from(row.number("Quantity")?);
    let quantity =
        quantity.map_err(|error| wrong("Quantity", "out_of_range", error.to_string()))?;
    // For its type alone.
    row.minor_if_any("Voucher")?;
    let (sku, version) = (key.sku()?, row.name("Version")?);
    let deadline = now().plus(app.settings.request_timeout);
    let shopper = Shopper::now(&app, customer, deadline).await?;
    let command = Command::AddItems { items: vec![(sku.clone(), quantity)] };
    let view = change(&app, &sessions, shopper, command, deadline).await?;
    let added = view.iter().flat_map(|view| &view.lines).find(|line| line.sku == sku);
    // Nobody asked for the version that it has by now.
    if added.is_some_and(|line| in_parts(&line.name).1 != version) {
        change(&app, &sessions, shopper, Command::RemoveLine { sku }, deadline).await?;
    }
    Ok(StatusCode::OK)
}

/// `PATCH /cart/{customer}/seal`: nothing is left in the cart.
pub(super) async fn seal(
    State(app): State<App>,
    Extension(sessions): Extension<Arc<Sessions>>,
    params: RawPathParams,
) -> Result<StatusCode, ApiError> {
    let customer = number_in(&params, "customer")?;
    let deadline = now().plus(app.settings.request_timeout);
    let shopper = Shopper::now(&app, customer, deadline).await?;
    let (_, current) = current(&app, &sessions, shopper, deadline).await?;
    if let Some(cart) = current.filter(|cart| !cart.lines.is_empty()) {
        let cleared = execute(&app, cart.id, Command::Clear, deadline).await;
        cleared.map_err(|error| refused(error, cart.id))?;
    }
    Ok(StatusCode::OK)
}

/// `GET /cart/{customer}`
pub(super) async fn show(
    State(app): State<App>,
    Extension(sessions): Extension<Arc<Sessions>>,
    params: RawPathParams,
) -> Result<Json<Vec<ItemJson>>, ApiError> {
    let customer = number_in(&params, "customer")?;
    let deadline = now().plus(app.settings.request_timeout);
    let shopper = Shopper::now(&app, customer, deadline).await?;
    let (_, current) = current(&app, &sessions, shopper, deadline).await?;
    let catalogue = app.fabric.catalogue();
    let book = catalogue.as_ref().and_then(Catalogue::content);
    let lines = current.iter().flat_map(|view| &view.lines);
    let items = lines.filter_map(|line| {
        ItemJson::new((&line.sku, &line.name), (line.unit_price, line.quantity), book)
    });
    Ok(Json(items.collect()))
}

/// Changes the customer's cart, made where there is none, and shows it.
async fn change(
    app: &App,
    sessions: &Sessions,
    shopper: Shopper,
    command: Command,
    deadline: Timestamp,
) -> Result<Option<View>, ApiError> {
    let mut generation = sessions.generation(shopper);
    loop {
        let id = ids::cart(app, shopper, generation);
        match execute(app, id, command.clone(), deadline).await {
            Ok(executed) => {
                sessions.moved_to(shopper, generation);
                return Ok(executed.reply.and_then(|Lookup(view)| view));
            }
            Err(CommandError::Rejected { rejection: Rejection::NotFound, .. }) => {
                if generation == 0 {
                    customers::check_known(app, shopper.customer, deadline).await?;
                }
                customers::create_cart(app, shopper, generation, deadline).await?;
            }
            Err(CommandError::Rejected {
                rejection: Rejection::Ordered { .. } | Rejection::Deleted,
                ..
            }) => generation += 1,
            Err(error) => return Err(refused(error, id)),
        }
    }
}

/// The customer's cart that is no order yet, if there is one, and of which generation it is or will be.
pub(super) async fn current(
    app: &App,
    sessions: &Sessions,
    shopper: Shopper,
    deadline: Timestamp,
) -> Result<(u64, Option<View>), ApiError> {
    let mut generation = sessions.generation(shopper);
    loop {
        let id = ids::cart(app, shopper, generation);
        let query = app.fabric.query::<Cart>(id.key(), &[], deadline, Query::Cart);
        let Lookup(view) = query.await?.view;
        let Some(view) = view else { return Ok((generation, None)) };
        match view.status {
            Status::Ordered { .. } | Status::Deleted | Status::MergedAway { .. } => generation += 1,
            Status::Open | Status::Merging { .. } | Status::CheckingOut { .. } => {
                sessions.moved_to(shopper, generation);
                return Ok((generation, Some(view)));
            }
        }
    }
}

/// Whether a product has this version.
pub(super) fn is_current(book: &PriceBook, sku: &actors::SkuCode, version: &str) -> bool {
    let page = sku.as_str().parse().ok().and_then(|slug| book.page(&slug));
    page.and_then(|page| attribute(page, "version")) == Some(version)
}

pub(super) async fn execute(
    app: &App,
    id: CartId,
    command: Command,
    deadline: Timestamp,
) -> Result<cluster::fabric::Executed<Lookup>, CommandError<Rejection>> {
    app.fabric.execute::<Cart>(id.key(), Envelope::until(deadline), command).await
}

pub(super) fn refused(error: CommandError<Rejection>, id: CartId) -> ApiError {
    let path = || format!("/store/v1/carts/{id}");
    ApiError::from_command::<Cart>(error, false, path, refusals::of_cart)
}
