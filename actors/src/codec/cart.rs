//! The bytes of carts.

use cluster::entity::{DecodeError, Wire};
use cluster::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::{damaged, encode, latest};
use crate::domain::cart::{
    Cart, Command, Event, Existing, Line, Lines, Lookup, Offer, OfferNumber, OfferState, Offers,
    Query, Rejection, Status,
};
use crate::domain::catalogue::ProductName;
use crate::domain::ids::{CartAccess, CartId, SkuCode};
use crate::domain::money::{Currency, Money};
use crate::domain::quantity::Quantity;

const RECORD: &str = "a cart's record";

wire! {
    Command: "a cart's command",
    Event: "a cart's event",
    Rejection: "a cart's rejection",
    Query: "a cart's query",
    Lookup: "a cart's view",
}

#[derive(Serialize, Deserialize)]
struct CartRecordV1 {
    existing: Option<ExistingV1>,
}

#[derive(Serialize, Deserialize)]
struct ExistingV1 {
    access: CartAccess,
    currency: Currency,
    status: Status,
    lines: Vec<LineV1>,
    merged_from: Vec<CartId>,
    offers: Vec<OfferV1>,
    updated_at: Timestamp,
}

#[derive(Serialize, Deserialize)]
struct OfferV1 {
    number: OfferNumber,
    into: CartId,
    state: OfferState,
}

/// The currency is the cart's.
#[derive(Serialize, Deserialize)]
struct LineV1 {
    sku: SkuCode,
    name: ProductName,
    unit_price_minor: i64,
    quantity: Quantity,
}

pub(crate) fn to_record(cart: &Cart) -> Vec<u8> {
    let line = |line: &Line| LineV1 {
        sku: line.sku.clone(),
        name: line.name.clone(),
        unit_price_minor: line.unit_price.minor,
        quantity: line.quantity,
    };
    let offer = |offer: &Offer| OfferV1 {
        number: offer.number,
        into: offer.into,
        state: offer.state.clone(),
    };
    let existing = cart.existing.as_ref().map(|cart| ExistingV1 {
        access: cart.access,
        currency: cart.currency,
        status: cart.status,
        lines: cart.lines.iter().map(line).collect(),
        merged_from: cart.merged_from.clone(),
        offers: cart.offers.iter().map(offer).collect(),
        updated_at: cart.updated_at,
    });
    encode(&CartRecordV1 { existing })
}

pub(crate) fn from_record(bytes: &[u8]) -> Result<Cart, DecodeError> {
    let CartRecordV1 { existing } = latest(RECORD, bytes)?;
    Ok(Cart { existing: existing.map(existing_from).transpose()? })
}

fn existing_from(record: ExistingV1) -> Result<Existing, DecodeError> {
    let currency = record.currency;
    let line = |line: LineV1| Line {
        sku: line.sku,
        name: line.name,
        unit_price: Money { minor: line.unit_price_minor, currency },
        quantity: line.quantity,
    };
    let lines = record.lines.into_iter().map(line).collect();
    let lines = Lines::restore(lines, currency).map_err(|why| damaged(RECORD, why))?;
    let ended = matches!(record.status, Status::MergedAway { .. } | Status::Deleted);
    if ended && lines.iter().next().is_some() {
        return Err(damaged(RECORD, "a cart that has ended has lines"));
    }
    if record.merged_from.len() > Cart::MERGED_FROM_MAX {
        return Err(damaged(RECORD, "a cart remembers too many merged carts"));
    }
    let offer = |OfferV1 { number, into, state }| Offer { number, into, state };
    let offers = record.offers.into_iter().map(offer).collect();
    let offers = Offers::restore(offers, record.status).map_err(|why| damaged(RECORD, why))?;
    Ok(Existing {
        access: record.access,
        currency,
        status: record.status,
        lines,
        merged_from: record.merged_from,
        offers,
        updated_at: record.updated_at,
    })
}
