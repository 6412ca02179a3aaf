//! Carts of guests.

use std::time::Duration;

use actors::domain::cart::{Command, Lookup, Query, Rejection, Status, View};
use actors::{Cart, CartId, SkuCode};
use axum::extract::State;
use axum::http::StatusCode;
use cluster::fabric::{CommandError, Envelope, Executed, Provenance};
use cluster::ids::Position;
use cluster::time::Timestamp;

use super::cart_gift_cards::balances;
use super::documents::{AddItems, CreateCart, SetQuantity};
use super::done::Done;
use super::entries::unbound;
use crate::http::app::{App, now};
use crate::http::error::ApiError;
use crate::http::extract::{GuestCart, JsonBody, MayCreate, PathId, ReadTerms, Terms};
use crate::http::keys::{self, Credential, IdempotencyKey};
use crate::http::refusals;
use crate::http::render::cart::{CartJson, CreatedJson};
use crate::http::reply::Reply;

/// Between attempts while prices may be out of date.
const PRICES_PAUSE: Duration = Duration::from_millis(100);

/// `POST /store/v1/carts`
pub(in crate::http) async fn create(
    State(app): State<App>,
    terms: Terms,
    _: MayCreate,
    body: JsonBody<CreateCart>,
) -> Result<Reply, ApiError> {
    unbound(&terms)?;
    let id = new_id(&app, &terms)?;
    let token = app.secrets.cart_token(id);
    let currency = body.document.currency.unwrap_or_else(|| app.default_currency());
    let command = Command::Create { currency, access: token.access() };
    let done = execute(&app, &terms, id, Credential::Nobody, &body.bytes, command).await?;
    let json = CreatedJson {
        cart: CartJson::new(&done.reply, done.provenance.seq, &None),
        token: token.text(),
    };
    let reply = Reply::resource(StatusCode::CREATED, &json, done.provenance)?;
    Ok(reply.at(path_of(id)).kept(done.kept))
}

/// Derived from the key, so that a retry on any node meets the same cart; else random.
fn new_id(app: &App, terms: &Terms) -> Result<CartId, ApiError> {
    terms.key.as_ref().map_or(Ok(()), IdempotencyKey::check_secret)?;
    let bytes = terms.id_bytes(app, Credential::Nobody, "cart")?;
    let (slot, unique) = keys::slot_and_unique(bytes);
    Ok(CartId::in_slot(slot, unique))
}

/// `GET /store/v1/carts/{id}`
pub(in crate::http) async fn show(
    State(app): State<App>,
    cart: GuestCart,
    terms: ReadTerms,
) -> Result<Reply, ApiError> {
    let (view, provenance) = look_up(&app, &cart, &terms.at_least, terms.deadline).await?;
    // What is on its gift cards changes without the cart.
    if terms.knows(provenance.seq) && view.gift_cards.is_empty() {
        return Ok(Reply::not_modified(provenance));
    }
    let balances = balances(&app, &view, terms.deadline).await;
    Reply::resource(StatusCode::OK, &CartJson::new(&view, provenance.seq, &balances), provenance)
}

pub(super) async fn look_up(
    app: &App,
    cart: &GuestCart,
    at_least: &[Position],
    deadline: Timestamp,
) -> Result<(View, Provenance), ApiError> {
    let viewed = app.fabric.query::<Cart>(cart.id.key(), at_least, deadline, Query::Cart).await?;
    let Lookup(view) = viewed.view;
    let view = view.filter(|view| view.access == cart.token.access());
    let view = view.ok_or_else(ApiError::cart_not_found)?;
    match view.status {
        Status::Open
        | Status::Merging { .. }
        | Status::CheckingOut { .. }
        | Status::Ordered { .. } => Ok((view, viewed.provenance)),
        Status::MergedAway { into } => Err(refusals::of_cart(Rejection::MergedAway { into })),
        Status::Deleted => Err(ApiError::cart_not_found()),
    }
}

/// `DELETE /store/v1/carts/{id}`
pub(in crate::http) async fn delete(
    State(app): State<App>,
    cart: GuestCart,
    terms: Terms,
) -> Result<Reply, ApiError> {
    let credential = Credential::Cart(cart.token.as_bytes());
    let done = execute(&app, &terms, cart.id, credential, b"", Command::Delete).await?;
    Ok(Reply::empty(StatusCode::NO_CONTENT, done.provenance).kept(done.kept))
}

/// `POST /store/v1/carts/{id}/items`
pub(in crate::http) async fn add_items(
    State(app): State<App>,
    cart: GuestCart,
    terms: Terms,
    body: JsonBody<AddItems>,
) -> Result<Reply, ApiError> {
    let command = Command::AddItems { items: body.document.items };
    change(&app, &terms, &cart, &body.bytes, command).await
}

/// `PUT /store/v1/carts/{id}/items/{sku}`
pub(in crate::http) async fn set_quantity(
    State(app): State<App>,
    cart: GuestCart,
    PathId(sku): PathId<SkuCode>,
    terms: Terms,
    body: JsonBody<SetQuantity>,
) -> Result<Reply, ApiError> {
    let command = match body.document.quantity {
        Some(quantity) => Command::SetQuantity { sku, quantity },
        None => Command::RemoveLine { sku },
    };
    change(&app, &terms, &cart, &body.bytes, command).await
}

/// `DELETE /store/v1/carts/{id}/items/{sku}`
pub(in crate::http) async fn remove_item(
    State(app): State<App>,
    cart: GuestCart,
    PathId(sku): PathId<SkuCode>,
    terms: Terms,
) -> Result<Reply, ApiError> {
    change(&app, &terms, &cart, b"", Command::RemoveLine { sku }).await
}

/// Carries out a command that answers with the cart.
pub(super) async fn change(
    app: &App,
    terms: &Terms,
    cart: &GuestCart,
    body: &[u8],
    command: Command,
) -> Result<Reply, ApiError> {
    let credential = Credential::Cart(cart.token.as_bytes());
    let done = execute(app, terms, cart.id, credential, body, command).await?;
    let balances = balances(app, &done.reply, terms.deadline).await;
    let json = CartJson::new(&done.reply, done.provenance.seq, &balances);
    Ok(Reply::resource(StatusCode::OK, &json, done.provenance)?.kept(done.kept))
}

pub(super) async fn execute(
    app: &App,
    terms: &Terms,
    id: CartId,
    credential: Credential<'_>,
    body: &[u8],
    command: Command,
) -> Result<Done<View>, ApiError> {
    let envelope = terms.envelope(credential, body);
    let executed = priced(app, terms, id, &envelope, &command).await;
    let executed = executed.map_err(|error| {
        let resource = || path_of(id);
        ApiError::from_command::<Cart>(error, terms.is_keyed(), resource, refusals::of_cart)
    })?;
    let done = Done::of::<Cart>(app, terms, id.key(), executed, Query::Cart, Ok).await?;
    done.try_map(|Lookup(view)| view.ok_or_else(ApiError::cart_not_found))
}

/// Executes a command, again if prices are about to be up to date. Where they are not known to be,
/// nothing was recorded.
async fn priced(
    app: &App,
    terms: &Terms,
    id: CartId,
    envelope: &Envelope,
    command: &Command,
) -> Result<Executed<Lookup>, CommandError<Rejection>> {
    let wait_until = terms.deadline.min(terms.now().plus(app.settings.prices_wait_max));
    loop {
        let executed = app.fabric.execute::<Cart>(id.key(), envelope.clone(), command.clone());
        match executed.await {
            Err(CommandError::Rejected { rejection: Rejection::CatalogueStale, .. })
                if now() < wait_until =>
            {
                tokio::time::sleep(PRICES_PAUSE).await;
            }
            executed => return executed,
        }
    }
}

pub(super) fn path_of(id: CartId) -> String {
    format!("/store/v1/carts/{id}")
}
