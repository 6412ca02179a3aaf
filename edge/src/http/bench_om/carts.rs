//! Carts of customers. Each order takes its cart with it; the customer's next one is of the next
//! generation.

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
use super::ids::{self, ProductKey, number_in};
use super::items::ItemJson;
use super::products::attribute;
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
    let (sku, version) = (key.sku()?, row.name("Version")?);
    let deadline = now().plus(app.settings.request_timeout);
    let command = Command::AddItems { items: vec![(sku.clone(), quantity)] };
    let generation = change(&app, &sessions, customer, command, deadline).await?;
    sessions.saw(customer, generation, sku, version);
    Ok(StatusCode::OK)
}

/// `PATCH /cart/{customer}/seal`: nothing is left in the cart.
pub(super) async fn seal(
    State(app): State<App>,
    Extension(sessions): Extension<Arc<Sessions>>,
    params: RawPathParams,
) -> Result<StatusCode, ApiError> {
    let customer = number_in(&params, "customer")?;
    empty(&app, &sessions, customer).await.map(|()| StatusCode::OK)
}

pub(super) async fn empty(app: &App, sessions: &Sessions, customer: u32) -> Result<(), ApiError> {
    let deadline = now().plus(app.settings.request_timeout);
    change(app, sessions, customer, Command::Clear, deadline).await?;
    sessions.emptied(customer);
    Ok(())
}

/// `GET /cart/{customer}`
pub(super) async fn show(
    State(app): State<App>,
    Extension(sessions): Extension<Arc<Sessions>>,
    params: RawPathParams,
) -> Result<Json<Vec<ItemJson>>, ApiError> {
    let customer = number_in(&params, "customer")?;
    let deadline = now().plus(app.settings.request_timeout);
    let current = current(&app, &sessions, customer, deadline).await?;
    let versions = sessions.of(customer).versions;
    let catalogue = app.fabric.catalogue();
    let book = catalogue.as_ref().and_then(Catalogue::content);
    let lines = current.iter().flat_map(|(_, view)| &view.lines);
    let items = lines.filter_map(|line| {
        let version = versions.get(&line.sku).cloned();
        let named = (&line.sku, &line.name);
        ItemJson::new(named, (line.unit_price, line.quantity), version, book)
    });
    Ok(Json(items.collect()))
}

/// Changes the customer's cart, made where there is none; says of which generation it is.
async fn change(
    app: &App,
    sessions: &Sessions,
    customer: u32,
    command: Command,
    deadline: Timestamp,
) -> Result<u64, ApiError> {
    let mut generation = sessions.of(customer).generation;
    loop {
        let id = ids::cart(app, customer, generation);
        match execute(app, id, command.clone(), deadline).await {
            Ok(_) => {
                sessions.moved_to(customer, generation);
                return Ok(generation);
            }
            Err(CommandError::Rejected { rejection: Rejection::NotFound, .. }) => {
                let access = app.secrets.cart_token(id).access();
                let create = Command::Create { currency: app.default_currency(), access };
                let made = execute(app, id, create, deadline).await;
                made.map_err(|error| refused(error, id))?;
            }
            Err(CommandError::Rejected {
                rejection: Rejection::Ordered { .. } | Rejection::Deleted,
                ..
            }) => generation += 1,
            Err(error) => return Err(refused(error, id)),
        }
    }
}

/// The customer's cart that is no order yet, if there is one.
pub(super) async fn current(
    app: &App,
    sessions: &Sessions,
    customer: u32,
    deadline: Timestamp,
) -> Result<Option<(u64, View)>, ApiError> {
    let mut generation = sessions.of(customer).generation;
    loop {
        let id = ids::cart(app, customer, generation);
        let query = app.fabric.query::<Cart>(id.key(), &[], deadline, Query::Cart);
        let Lookup(view) = query.await?.view;
        let Some(view) = view else { return Ok(None) };
        match view.status {
            Status::Ordered { .. } | Status::Deleted | Status::MergedAway { .. } => generation += 1,
            Status::Open | Status::Merging { .. } | Status::CheckingOut { .. } => {
                sessions.moved_to(customer, generation);
                return Ok(Some((generation, view)));
            }
        }
    }
}

/// Whether a line was added with the version that its product has.
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
