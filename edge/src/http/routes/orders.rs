//! Orders, for their shoppers and for the shop.

pub(in crate::http) mod documents;

use actors::domain::order::{Command, Lookup, Query, ReturnNumber, ShipmentNumber, Side, View};
use actors::{Order, OrderId, RefundId};
use axum::extract::State;
use axum::http::StatusCode;
use cluster::fabric::Provenance;

use self::documents::{
    AddNote, AskReturn, CancelOrder, CorrectOrder, DeliverOrder, FulfilOrder, ReceiveReturn,
    RefundOrder,
};
use super::done::Done;
use super::parcels::fulfilment;
use crate::http::app::App;
use crate::http::error::ApiError;
use crate::http::extract::{JsonBody, Operator, OrderToken, PathId, ReadTerms, Terms};
use crate::http::gift_code::GiftCode;
use crate::http::keys::{self, Credential};
use crate::http::refusals;
use crate::http::render::Text;
use crate::http::render::order::{OrderJson, TimelineJson, VoucherJson};
use crate::http::reply::Reply;

/// `GET /store/v1/orders/{id}`
pub(in crate::http) async fn show(
    State(app): State<App>,
    PathId(order): PathId<OrderId>,
    token: OrderToken,
    terms: ReadTerms,
) -> Result<Reply, ApiError> {
    let (view, provenance) = own(&app, order, &token, &terms).await?;
    shown(OrderJson::new, &view, provenance, &terms)
}

/// `GET /store/v1/orders/{id}/timeline`
pub(in crate::http) async fn timeline(
    State(app): State<App>,
    PathId(order): PathId<OrderId>,
    token: OrderToken,
    terms: ReadTerms,
) -> Result<Reply, ApiError> {
    let (view, provenance) = own(&app, order, &token, &terms).await?;
    Reply::resource(StatusCode::OK, &TimelineJson::new(&view), provenance)
}

/// `POST /store/v1/orders/{id}/cancel`
pub(in crate::http) async fn cancel_own(
    State(app): State<App>,
    PathId(order): PathId<OrderId>,
    token: OrderToken,
    terms: Terms,
    body: JsonBody<CancelOrder>,
) -> Result<Reply, ApiError> {
    prove(&app, order, &token, &terms).await?;
    let command = cancellation(body.document, Side::Shopper, &terms, token.credential())?;
    execute(&app, &terms, order, token.credential(), &body.bytes, command).await
}

/// `POST /store/v1/orders/{id}/returns`
pub(in crate::http) async fn ask_return(
    State(app): State<App>,
    PathId(order): PathId<OrderId>,
    token: OrderToken,
    terms: Terms,
    body: JsonBody<AskReturn>,
) -> Result<Reply, ApiError> {
    let view = prove(&app, order, &token, &terms).await?;
    let AskReturn { number, items, reason } = body.document;
    let number = numbered(number, view.returns.len(), &terms, token.credential())?;
    let command = Command::AskReturn { number: ReturnNumber(number), items, reason };
    execute(&app, &terms, order, token.credential(), &body.bytes, command).await
}

/// `GET /admin/v1/orders/{id}`
pub(in crate::http) async fn show_any(
    State(app): State<App>,
    _: Operator,
    PathId(order): PathId<OrderId>,
    terms: ReadTerms,
) -> Result<Reply, ApiError> {
    let (view, provenance) = look_up(&app, order, &terms).await?;
    shown(OrderJson::for_shop, &view, provenance, &terms)
}

/// `PATCH /admin/v1/orders/{id}`
pub(in crate::http) async fn correct(
    State(app): State<App>,
    _: Operator,
    PathId(order): PathId<OrderId>,
    terms: Terms,
    body: JsonBody<CorrectOrder>,
) -> Result<Reply, ApiError> {
    let CorrectOrder(correction) = body.document;
    let command = Command::Correct(Box::new(correction));
    execute(&app, &terms, order, Credential::Operator, &body.bytes, command).await
}

/// `POST /admin/v1/orders/{id}/cancel`
pub(in crate::http) async fn cancel(
    State(app): State<App>,
    _: Operator,
    PathId(order): PathId<OrderId>,
    terms: Terms,
    body: JsonBody<CancelOrder>,
) -> Result<Reply, ApiError> {
    let command = cancellation(body.document, Side::Shop, &terms, Credential::Operator)?;
    execute(&app, &terms, order, Credential::Operator, &body.bytes, command).await
}

/// `POST /admin/v1/orders/{id}/fulfilments`
pub(in crate::http) async fn fulfil(
    State(app): State<App>,
    _: Operator,
    PathId(order): PathId<OrderId>,
    terms: Terms,
    body: JsonBody<FulfilOrder>,
) -> Result<Reply, ApiError> {
    let view = latest(&app, order, &terms).await?;
    let (number, n_known) = (body.document.number, view.shipments.len());
    let number = numbered(number, n_known, &terms, Credential::Operator)?;
    let command = fulfilment(&app, &view, ShipmentNumber(number), body.document)?;
    execute(&app, &terms, order, Credential::Operator, &body.bytes, command).await
}

/// `POST /admin/v1/orders/{id}/deliver`
pub(in crate::http) async fn deliver(
    State(app): State<App>,
    _: Operator,
    PathId(order): PathId<OrderId>,
    terms: Terms,
    body: JsonBody<DeliverOrder>,
) -> Result<Reply, ApiError> {
    let view = latest(&app, order, &terms).await?;
    let on_its_way = view.shipments.iter().find(|known| known.delivered_at.is_none());
    let number = body.document.number.or(on_its_way.map(|known| known.number));
    // Where all have arrived, the last one has.
    let number = number.or(view.shipments.last().map(|known| known.number)).unwrap_or(1);
    let command = Command::Deliver { shipment: ShipmentNumber(number) };
    execute(&app, &terms, order, Credential::Operator, &body.bytes, command).await
}

/// `POST /admin/v1/orders/{id}/receive_return`
pub(in crate::http) async fn receive_return(
    State(app): State<App>,
    _: Operator,
    PathId(order): PathId<OrderId>,
    terms: Terms,
    body: JsonBody<ReceiveReturn>,
) -> Result<Reply, ApiError> {
    let view = latest(&app, order, &terms).await?;
    let on_its_way = view.returns.iter().find(|known| known.received_at.is_none());
    let number = body.document.number.or(on_its_way.map(|known| known.number));
    let number = number.or(view.returns.last().map(|known| known.number)).unwrap_or(1);
    let command = Command::ReceiveReturn { number: ReturnNumber(number) };
    execute(&app, &terms, order, Credential::Operator, &body.bytes, command).await
}

/// `POST /admin/v1/orders/{id}/refunds`: the key names the refund, so a retry meets it.
pub(in crate::http) async fn refund(
    State(app): State<App>,
    _: Operator,
    PathId(order): PathId<OrderId>,
    terms: Terms,
    body: JsonBody<RefundOrder>,
) -> Result<Reply, ApiError> {
    let refund = RefundId::from_bytes(named(&app, &terms, "refund")?);
    let RefundOrder { amount, reason } = body.document;
    let command = Command::Refund { refund, amount, reason };
    execute(&app, &terms, order, Credential::Operator, &body.bytes, command).await
}

/// `POST /admin/v1/orders/{id}/vouchers`: as refunds; the key makes the code too.
pub(in crate::http) async fn refund_to_card(
    State(app): State<App>,
    _: Operator,
    PathId(order): PathId<OrderId>,
    terms: Terms,
    body: JsonBody<RefundOrder>,
) -> Result<Reply, ApiError> {
    let (refund, code) = voucher(&app, &terms)?;
    let (card, ending) = (code.id(&app), code.ending());
    let RefundOrder { amount, reason } = body.document;
    let command = Command::RefundToCard { refund, amount, reason, card, ending };
    let done = carry_out(&app, &terms, order, Credential::Operator, &body.bytes, command).await?;
    let json = VoucherJson {
        gift_card: Text(card),
        code: code.in_groups(),
        order: OrderJson::for_shop(&done.reply, done.provenance.seq),
    };
    Ok(Reply::resource(StatusCode::CREATED, &json, done.provenance)?.kept(done.kept))
}

/// `POST /admin/v1/orders/{id}/notes`
pub(in crate::http) async fn add_note(
    State(app): State<App>,
    _: Operator,
    PathId(order): PathId<OrderId>,
    terms: Terms,
    body: JsonBody<AddNote>,
) -> Result<Reply, ApiError> {
    let command = Command::AddNote { text: body.document.text };
    execute(&app, &terms, order, Credential::Operator, &body.bytes, command).await
}

/// A refund that becomes a gift card, and the code of that: the key names both.
pub(super) fn voucher(app: &App, terms: &Terms) -> Result<(RefundId, GiftCode), ApiError> {
    let code = GiftCode::made_of(named(app, terms, "voucher")?);
    Ok((RefundId::from_bytes(named(app, terms, "refund")?), code))
}

fn named(app: &App, terms: &Terms, purpose: &str) -> Result<[u8; 16], ApiError> {
    let scope = terms.required_scope(Credential::Operator)?;
    Ok(keys::half(app.secrets.derive(purpose, &[&scope])))
}

/// A repeat that names pieces would call off more of them: only a key tells it from another request.
fn cancellation(
    asked: CancelOrder,
    by: Side,
    terms: &Terms,
    credential: Credential<'_>,
) -> Result<Command, ApiError> {
    let CancelOrder { items, reason } = asked;
    let Some(items) = items else { return Ok(Command::Cancel { by, reason }) };
    terms.required_scope(credential)?;
    Ok(Command::CancelPieces { by, items, reason })
}

pub(super) fn path_of(order: OrderId) -> String {
    format!("/store/v1/orders/{order}")
}

fn shown<'a>(
    json: impl FnOnce(&'a View, u64) -> OrderJson<'a>,
    view: &'a View,
    provenance: Provenance,
    terms: &ReadTerms,
) -> Result<Reply, ApiError> {
    if terms.knows(provenance.seq) {
        return Ok(Reply::not_modified(provenance));
    }
    Reply::resource(StatusCode::OK, &json(view, provenance.seq), provenance)
}

/// The order, if the token is its cart's.
async fn own(
    app: &App,
    order: OrderId,
    token: &OrderToken,
    terms: &ReadTerms,
) -> Result<(Box<View>, Provenance), ApiError> {
    let (view, provenance) = look_up(app, order, terms).await?;
    if app.secrets.check_cart_token(view.cart, token.as_bytes()).is_none() {
        return Err(ApiError::order_not_found());
    }
    Ok((view, provenance))
}

/// The order as it is, if the token is its cart's.
async fn prove(
    app: &App,
    order: OrderId,
    token: &OrderToken,
    terms: &Terms,
) -> Result<Box<View>, ApiError> {
    let view = latest(app, order, terms).await?;
    let proof = app.secrets.check_cart_token(view.cart, token.as_bytes());
    proof.map(|_| view).ok_or_else(ApiError::order_not_found)
}

pub(super) async fn latest(
    app: &App,
    order: OrderId,
    terms: &Terms,
) -> Result<Box<View>, ApiError> {
    let query = app.fabric.query::<Order>(order.key(), &[], terms.deadline, Query::Order);
    let Lookup(view) = query.await?.view;
    view.ok_or_else(ApiError::order_not_found)
}

/// The number that is given, else the next one; then only a key tells a retry from another request.
fn numbered(
    given: Option<u16>,
    n_known: usize,
    terms: &Terms,
    credential: Credential<'_>,
) -> Result<u16, ApiError> {
    if let Some(given) = given {
        return Ok(given);
    }
    terms.required_scope(credential)?;
    Ok(u16::try_from(n_known + 1).unwrap_or(u16::MAX))
}

async fn look_up(
    app: &App,
    order: OrderId,
    terms: &ReadTerms,
) -> Result<(Box<View>, Provenance), ApiError> {
    let key = order.key();
    let query = app.fabric.query::<Order>(key, &terms.at_least, terms.deadline, Query::Order);
    let viewed = query.await?;
    let Lookup(view) = viewed.view;
    Ok((view.ok_or_else(ApiError::order_not_found)?, viewed.provenance))
}

/// Carries out a command that answers with the order.
pub(super) async fn execute(
    app: &App,
    terms: &Terms,
    order: OrderId,
    credential: Credential<'_>,
    body: &[u8],
    command: Command,
) -> Result<Reply, ApiError> {
    let Done { reply: view, provenance, kept } =
        carry_out(app, terms, order, credential, body, command).await?;
    let json = match credential {
        Credential::Operator => OrderJson::for_shop(&view, provenance.seq),
        Credential::Cart(_) | Credential::Nobody => OrderJson::new(&view, provenance.seq),
    };
    Ok(Reply::resource(StatusCode::OK, &json, provenance)?.kept(kept))
}

pub(super) async fn carry_out(
    app: &App,
    terms: &Terms,
    order: OrderId,
    credential: Credential<'_>,
    body: &[u8],
    command: Command,
) -> Result<Done<Box<View>>, ApiError> {
    let envelope = terms.envelope(credential, body);
    let executed = app.fabric.execute::<Order>(order.key(), envelope, command).await;
    let executed = executed.map_err(|error| {
        let resource = || path_of(order);
        ApiError::from_command::<Order>(error, terms.is_keyed(), resource, refusals::of_order)
    })?;
    let done = Done::of::<Order>(app, terms, order.key(), executed, Query::Order, Ok).await?;
    done.try_map(|Lookup(view)| view.ok_or_else(ApiError::order_not_found))
}
