//! Parcels, for the shop and for carriers.

use actors::domain::names::{Label, SellerId};
use actors::domain::order::{Command, ParcelCommand, ParcelState, Rejection, ShipmentNumber, View};
use actors::domain::payment::ProviderName;
use actors::{Order, OrderId};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};

use super::hooks::{self, Told};
use super::orders::documents::{BookParcel, FulfilOrder, Items, Sent};
use super::orders::{execute, latest, path_of};
use crate::http::app::{App, now};
use crate::http::code::Code;
use crate::http::error::ApiError;
use crate::http::extract::{JsonBody, Operator, PathId, RawBody, Terms};
use crate::http::keys::Credential;
use crate::http::refusals;
use crate::http::reply::Reply;
use crate::providers::carrier::Notice;

/// `POST /admin/v1/orders/{id}/book_parcel`: asks a carrier again that refused, or another one, or
/// takes the shop's word of who brings the pieces.
pub(in crate::http) async fn book(
    State(app): State<App>,
    _: Operator,
    PathId(order): PathId<OrderId>,
    terms: Terms,
    body: JsonBody<BookParcel>,
) -> Result<Reply, ApiError> {
    let view = latest(&app, order, &terms).await?;
    let BookParcel { number, carrier, tracking } = body.document;
    let shipment = number.map_or_else(|| meant(&view), ShipmentNumber);
    let command = if let (Some(carrier), Some(tracking)) = (&carrier, tracking) {
        if number.is_none() {
            // Only a key tells a retry from what is said of the next one.
            terms.required_scope(Credential::Operator)?;
        }
        ParcelCommand::State { shipment, carrier: carrier.clone(), tracking }
    } else {
        let carrier = match &carrier {
            Some(words) => one_of_ours(&app, words.as_str())?,
            None => carrier_of(&app, &view, shipment)?,
        };
        ParcelCommand::Book { shipment, carrier }
    };
    let command = Command::OfParcel(command);
    execute(&app, &terms, order, Credential::Operator, &body.bytes, command).await
}

/// The shipment that waits for somebody who brings it. Where none does it is the last one: a repeat
/// under a key is to reach the order, which has its answer.
fn meant(view: &View) -> ShipmentNumber {
    let first = |is_it: fn(&ParcelState) -> bool| {
        view.parcels.iter().find(|parcel| is_it(&parcel.state)).map(|parcel| parcel.shipment)
    };
    let refused = first(|state| matches!(state, ParcelState::Refused(_)));
    let waiting = refused.or_else(|| first(|state| *state == ParcelState::Asked));
    let last = || view.parcels.last().map(|parcel| parcel.shipment);
    let sent = || view.shipments.last().map(|shipment| ShipmentNumber(shipment.number));
    waiting.or_else(last).or_else(sent).unwrap_or(ShipmentNumber(1))
}

/// The carrier that was asked for it. Where none was, the order says so, whoever is named.
fn carrier_of(app: &App, view: &View, shipment: ShipmentNumber) -> Result<ProviderName, ApiError> {
    let known = view.parcels.iter().find(|parcel| parcel.shipment == shipment);
    let anybody = || app.settings.carriers.as_ref().and_then(|carriers| carriers.first());
    let carrier = known.map(|parcel| parcel.carrier.clone()).or_else(anybody);
    carrier.map_or_else(|| chosen(app, view), Ok)
}

/// What a fulfilment asks of the order: a carrier of ours is asked where no tracking number is given.
pub(super) fn fulfilment(
    app: &App,
    view: &View,
    shipment: ShipmentNumber,
    document: FulfilOrder,
) -> Result<Command, ApiError> {
    let FulfilOrder { number: _, sent, carrier, tracking } = document;
    let items = match sent {
        Sent::Items(items) => items,
        // Where nothing is left the order says so, or is asked again under a key and has its answer.
        Sent::AllOf(seller) => sent_as(view, shipment, &seller)
            .or_else(|| view.unsent_by(&seller))
            .ok_or_else(|| {
                let detail = format!("the order has no line of seller {seller}");
                ApiError::new(Code::LINE_NOT_FOUND, detail).about("seller")
            })?,
    };
    if let (Some(carrier), Some(tracking)) = (&carrier, tracking) {
        return Ok(Command::Fulfil { shipment, items, carrier: carrier.clone(), tracking });
    }
    let carrier = match &carrier {
        Some(words) => one_of_ours(app, words.as_str())?,
        None => chosen(app, view)?,
    };
    Ok(Command::OfParcel(ParcelCommand::Fulfil { shipment, items, carrier }))
}

/// What was sent under this number, if it was that seller's alone: whoever asks again means the same.
fn sent_as(view: &View, shipment: ShipmentNumber, seller: &SellerId) -> Option<Items> {
    let known = view.shipments.iter().find(|known| known.number == shipment.0)?;
    let is_sellers = view.sellers_of(&known.items).eq([seller]);
    is_sellers.then(|| known.items.clone())
}

/// The carrier of the way that the shopper chose.
fn chosen(app: &App, view: &View) -> Result<ProviderName, ApiError> {
    one_of_ours(app, view.shipping.as_ref().map_or("", |shipping| shipping.carrier.as_str()))
}

fn one_of_ours(app: &App, words: &str) -> Result<ProviderName, ApiError> {
    let carriers = app.settings.carriers.as_ref();
    carriers.and_then(|carriers| carriers.named(words)).ok_or_else(|| {
        let shown = Label::of_what_fits(words);
        let detail = format!(
            "carrier {shown} is not asked by this shop: say who brings it, with a tracking number"
        );
        ApiError::new(Code::CARRIER_UNKNOWN, detail).about("carrier")
    })
}

/// `POST /hooks/shipping/{provider}`: what a carrier says unasked.
pub(in crate::http) async fn take_notice(
    State(app): State<App>,
    PathId(name): PathId<ProviderName>,
    headers: HeaderMap,
    RawBody(body): RawBody,
) -> Result<StatusCode, ApiError> {
    let carriers = app.settings.carriers.as_ref().ok_or_else(ApiError::not_found)?;
    let carrier = carriers.find(&name).ok_or_else(ApiError::not_found)?;
    let read = carrier.read_notice(&headers, &body, now());
    let told = |Notice { event, parcel, to }| {
        let (order, shipment) = (parcel.order, parcel.shipment);
        let notified = ParcelCommand::Notified { event, carrier: name, shipment, to };
        Told { key: order.key(), command: Command::OfParcel(notified), path: path_of(order) }
    };
    let is_elsewhere =
        |why: &Rejection| matches!(why, Rejection::NotFound | Rejection::ShipmentNotFound { .. });
    let count = |outcome| carriers.noticed(outcome);
    hooks::take::<Order, _>(&app, count, read, told, is_elsewhere, refusals::of_order).await
}
