//! Checkouts: a cart becomes an order, paid by the simulator's card, and one parcel per seller is on
//! its way.
//!
//! **Invariants:** a tid that comes again finds its order, and adds to it what is missing: nothing is
//! reserved, paid or sent twice. Of a card nothing is read.
//!
//! Where a checkout is cut off after its cart took a newer version and before that line was dropped,
//! the next one buys the newer version.

use std::sync::Arc;

use actors::domain::cart::{Command as CartCommand, LineView, Rejection, Status, View as CartView};
use actors::domain::contact::{Address, Contact};
use actors::domain::names::Label;
use actors::domain::order::{
    Command, Lookup, Query, ShipmentNumber, Shortfall, StockStatus, Terms, View,
};
use actors::domain::payment::{PaymentMethod, ProviderName};
use actors::{Order, OrderId};
use axum::extract::{RawPathParams, State};
use axum::{Extension, Json};
use cluster::entity::Catalogue;
use cluster::fabric::{CommandError, Envelope};
use cluster::time::Timestamp;
use serde_json::{Value, json};

use super::body::{Row, wrong};
use super::carts::{self, is_current};
use super::ids::{self, number_in, tid_in};
use super::items::ItemJson;
use super::products::in_parts;
use super::runs::{Run, Shopper};
use super::sessions::Sessions;
use crate::http::app::{App, now};
use crate::http::code::Code;
use crate::http::error::ApiError;
use crate::http::refusals;
use crate::http::routes::books;
use crate::http::routes::checkout::{ended, failed};

/// Whatever the driver says of a card: this one pays.
const TOKEN: &str = "tok_visa";
const PROVIDER: &str = "simulator";
/// Prices may change under a checkout that often.
const ATTEMPTS_MAX: usize = 4;

/// `POST /cart/{customer}/checkout`
pub(super) async fn check_out(
    State(app): State<App>,
    Extension(sessions): Extension<Arc<Sessions>>,
    params: RawPathParams,
    row: Row,
) -> Result<Json<Value>, ApiError> {
    let customer = number_in(&params, "customer")?;
    if row.number("CustomerId")? != customer {
        return Err(wrong("CustomerId", "invalid", "is another customer than the path's"));
    }
    let tid = row.name("instanceId")?;
    let terms = terms(&app, &row)?;
    let deadline = now().plus(app.settings.request_timeout);
    let book = books::of_all_before(&app, deadline).await?;
    let shopper = Shopper { customer, run: Run::of(book.content()?)? };
    let (order, _) = ids::order(&app, shopper, &tid);
    if find(&app, order, deadline).await?.is_none() {
        begin(&app, &sessions, (shopper, &tid), terms, deadline).await?;
    }
    let wait_until = deadline.min(now().plus(app.settings.checkout_wait));
    let (view, _) = ended(&app, order, None, wait_until).await?;
    let settled = view.as_ref().and_then(|view| Some((view, view.settlement.as_ref()?)));
    let Some((view, settlement)) = settled else {
        return Err(ApiError::new(Code::CHECKOUT_TIMED_OUT, "the checkout is still under way"));
    };
    if let Some(failure) = &settlement.failure {
        return Err(failed(failure, settlement, view));
    }
    ship(&app, view, &tid, deadline).await?;
    let items = items(&app, view);
    Ok(Json(json!({"order_id": order.to_string(), "items": items})))
}

/// `GET /cart/{customer}/history/{tid}`
pub(super) async fn show_items(
    State(app): State<App>,
    params: RawPathParams,
) -> Result<Json<Vec<ItemJson>>, ApiError> {
    let (customer, tid) = (number_in(&params, "customer")?, tid_in(&params)?);
    let deadline = now().plus(app.settings.request_timeout);
    let shopper = Shopper::now(&app, customer, deadline).await?;
    let (order, _) = ids::order(&app, shopper, &tid);
    let view = find(&app, order, deadline).await?;
    Ok(Json(view.map_or_else(Vec::new, |view| items(&app, &view))))
}

fn terms(app: &App, row: &Row) -> Result<Terms, ApiError> {
    let label = |text: &str| Label::of_what_fits(text);
    let name = format!("{} {}", row.text_if_any("FirstName")?, row.text_if_any("LastName")?);
    let line2 = Some(row.text_if_any("Complement")?).filter(|text| !text.is_empty());
    let postal_code = Some(row.text_if_any("ZipCode")?).filter(|text| !text.is_empty());
    let internal = || ApiError::internal();
    let shipping = Address {
        name: label(name.trim()),
        line1: label(row.text_if_any("Street")?),
        line2: line2.map(label),
        city: label(row.text_if_any("City")?),
        region: None,
        postal_code: postal_code.map(label),
        country: "BR".parse().map_err(|_| internal())?,
    };
    let provider: ProviderName = PROVIDER.parse().map_err(|_| internal())?;
    if !app.settings.payment_providers.as_ref().is_some_and(|all| all.has(&provider)) {
        let detail = "the benchmark needs a payment provider named simulator";
        return Err(ApiError::new(Code::PROVIDER_UNKNOWN, detail));
    }
    Ok(Terms {
        contact: Contact { email: None, shipping, billing: None },
        method: PaymentMethod { provider, token: TOKEN.parse().map_err(|_| internal())? },
        shortfall: Shortfall::DropLines,
        capture: app.settings.capture,
    })
}

/// Makes the customer's cart the order, without the lines whose product has changed.
async fn begin(
    app: &App,
    sessions: &Sessions,
    (shopper, tid): (Shopper, &str),
    terms: Terms,
    deadline: Timestamp,
) -> Result<(), ApiError> {
    let (order, payment) = ids::order(app, shopper, tid);
    let (generation, cart) = carts::current(app, sessions, shopper, deadline).await?;
    let mut cart = cart.ok_or_else(|| refusals::of_cart(Rejection::Empty))?;
    match cart.status {
        Status::CheckingOut { order: known } if known == order => return Ok(()),
        Status::CheckingOut { .. }
        | Status::Open
        | Status::Merging { .. }
        | Status::MergedAway { .. }
        | Status::Deleted
        | Status::Ordered { .. } => {}
    }
    let command = CartCommand::CheckOutWith {
        order,
        payment,
        terms: Box::new(terms),
        shipping: None,
        means: Vec::new(),
    };
    // A cart that takes new prices takes new names, and forgets what was added.
    let added = cart.lines.clone();
    for _ in 0..ATTEMPTS_MAX {
        drop_stale(app, &added, &cart, deadline).await?;
        let done = carts::execute(app, cart.id, command.clone(), deadline).await;
        let executed = match done {
            // Another request with this tid was faster.
            Err(CommandError::Rejected {
                rejection: Rejection::Ordered { order: known }, ..
            }) if known == order => {
                return Ok(());
            }
            done => done.map_err(|error| carts::refused(error, cart.id))?,
        };
        let view = executed.reply.and_then(|it| it.0);
        // The prices are others than those of the cart, which has them by now.
        match view {
            Some(view) if view.status == Status::Open => cart = view,
            Some(_) | None => {
                sessions.moved_to(shopper, generation);
                return Ok(());
            }
        }
    }
    Err(ApiError::new(Code::PRICE_CHANGED, "prices change faster than the cart is checked out"))
}

async fn drop_stale(
    app: &App,
    added: &[LineView],
    cart: &CartView,
    deadline: Timestamp,
) -> Result<(), ApiError> {
    let book = books::of_all_before(app, deadline).await?;
    let book = book.content()?;
    let is_stale = |line: &&LineView| {
        let added = added.iter().find(|it| it.sku == line.sku);
        added.is_some_and(|it| !is_current(book, &it.sku, in_parts(&it.name).1))
    };
    for line in cart.lines.iter().filter(is_stale) {
        let command = CartCommand::RemoveLine { sku: line.sku.clone() };
        let done = carts::execute(app, cart.id, command, deadline).await;
        done.map_err(|error| carts::refused(error, cart.id))?;
    }
    Ok(())
}

pub(super) async fn find(
    app: &App,
    order: OrderId,
    deadline: Timestamp,
) -> Result<Option<Box<View>>, ApiError> {
    let query = app.fabric.query::<Order>(order.key(), &[], deadline, Query::Order);
    let Lookup(view) = query.await?.view;
    Ok(view)
}

/// One parcel per seller, of all that it has to send.
pub(super) async fn ship(
    app: &App,
    view: &View,
    tid: &str,
    deadline: Timestamp,
) -> Result<(), ApiError> {
    let unsent = view.sellers.iter().filter_map(|lines| view.unsent_by(&lines.seller));
    let parcels = unsent.filter(|items| !items.is_empty());
    for (nth, items) in parcels.enumerate() {
        let number = u16::try_from(view.shipments.len() + nth + 1).unwrap_or(u16::MAX);
        let command = Command::Fulfil {
            shipment: ShipmentNumber(number),
            items,
            carrier: Label::of_what_fits("bench-om"),
            tracking: Label::of_what_fits(tid),
        };
        execute(app, view.id, command, deadline).await?;
    }
    Ok(())
}

pub(super) async fn execute(
    app: &App,
    order: OrderId,
    command: Command,
    deadline: Timestamp,
) -> Result<(), ApiError> {
    let envelope = Envelope::until(deadline);
    let executed = app.fabric.execute::<Order>(order.key(), envelope, command).await;
    executed.map(|_| ()).map_err(|error| {
        let path = || format!("/store/v1/orders/{order}");
        ApiError::from_command::<Order>(error, false, path, refusals::of_order)
    })
}

/// What was bought.
pub(super) fn items(app: &App, view: &View) -> Vec<ItemJson> {
    let catalogue = app.fabric.catalogue();
    let book = catalogue.as_ref().and_then(Catalogue::content);
    let is_bought = |stock: &StockStatus| match stock {
        StockStatus::Refused | StockStatus::Released => false,
        StockStatus::Asked
        | StockStatus::Reserved
        | StockStatus::Sold
        | StockStatus::Backordered { .. } => true,
    };
    let bought = view.lines.iter().filter(|it| is_bought(&it.stock));
    let items = bought.filter_map(|it| {
        let named = (&it.line.sku, &it.line.name);
        ItemJson::new(named, (it.line.unit_price, it.line.quantity), book)
    });
    items.collect()
}
