//! The bytes of carts.

use cluster::entity::{DecodeError, Wire};
use cluster::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::{damaged, encode, encode_with_parts, latest, latest_with_parts};
use crate::domain::cart::{
    Cart, Command, Event, Existing, GivenCard, Line, Lines, Lookup, Offer, OfferNumber, OfferState,
    Offers, Query, Rejection, Status, View,
};
use crate::domain::catalogue::ProductName;
use crate::domain::ids::{CartAccess, CartId, SkuCode};
use crate::domain::money::{Currency, Money};
use crate::domain::pricing::{Discount, GivenCode};
use crate::domain::quantity::Quantity;
use crate::domain::twins::first_twin;

const RECORD: &str = "a cart's record";

wire! {
    Command: "a cart's command",
    Event: "a cart's event",
    Rejection: "a cart's rejection",
    Query: "a cart's query",
}

/// What a cart has besides its first shape. New ones come last.
#[derive(Serialize, Deserialize)]
enum Part {
    Discount(Discount),
    Code(GivenCode),
    GiftCard(GivenCard),
}

fn parts(discounts: &[Discount], codes: &[GivenCode], gift_cards: &[GivenCard]) -> Vec<Part> {
    let discounts = discounts.iter().cloned().map(Part::Discount);
    let codes = codes.iter().cloned().map(Part::Code);
    let gift_cards = gift_cards.iter().cloned().map(Part::GiftCard);
    discounts.chain(codes).chain(gift_cards).collect()
}

impl Wire for Lookup {
    fn to_bytes(&self) -> Vec<u8> {
        let parts_of = |view: &View| parts(&view.discounts, &view.codes, &view.gift_cards);
        let parts = self.0.as_ref().map(parts_of);
        encode_with_parts(self, &parts.unwrap_or_default())
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        const WHAT: &str = "a cart's view";
        let (mut lookup, parts): (Self, _) = latest_with_parts(WHAT, bytes)?;
        match &mut lookup.0 {
            Some(view) => {
                (view.discounts, view.codes, view.gift_cards) = sorted(WHAT, parts)?;
            }
            None if parts.is_empty() => {}
            None => return Err(damaged(WHAT, "no cart has parts")),
        }
        Ok(lookup)
    }
}

type Sorted = (Vec<Discount>, Vec<GivenCode>, Vec<GivenCard>);

/// Parts of each kind. Those of one kind lie together, or one value had several bytes.
fn sorted(what: &'static str, parts: Vec<Part>) -> Result<Sorted, DecodeError> {
    let (mut discounts, mut codes, mut gift_cards) = Sorted::default();
    for part in parts {
        match part {
            Part::Discount(discount) if codes.is_empty() && gift_cards.is_empty() => {
                discounts.push(discount);
            }
            Part::Code(given) if gift_cards.is_empty() => codes.push(given),
            Part::GiftCard(given) => gift_cards.push(given),
            Part::Discount(_) | Part::Code(_) => {
                return Err(damaged(what, "the parts of a cart are out of order"));
            }
        }
    }
    Ok((discounts, codes, gift_cards))
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
    let parts_of = |cart: &Existing| parts(&cart.discounts, &cart.codes, &cart.gift_cards);
    let parts = cart.existing.as_ref().map(parts_of);
    encode_with_parts(&CartRecordV1 { existing }, &parts.unwrap_or_default())
}

pub(crate) fn from_record(bytes: &[u8]) -> Result<Cart, DecodeError> {
    let (CartRecordV1 { existing }, parts) = latest_with_parts(RECORD, bytes)?;
    if existing.is_none() && !parts.is_empty() {
        return Err(damaged(RECORD, "no cart has parts"));
    }
    Ok(Cart { existing: existing.map(|record| existing_from(record, parts)).transpose()? })
}

fn existing_from(record: ExistingV1, parts: Vec<Part>) -> Result<Existing, DecodeError> {
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
    let (discounts, codes, gift_cards) = sorted(RECORD, parts)?;
    if codes.len() > Cart::CODES_MAX || first_twin(&codes, |given| &given.code).is_some() {
        return Err(damaged(RECORD, "a cart has too many codes, or one twice"));
    }
    if gift_cards.len() > Cart::GIFT_CARDS_MAX
        || first_twin(&gift_cards, |given| &given.card).is_some()
    {
        return Err(damaged(RECORD, "a cart has too many gift cards, or one twice"));
    }
    if !lines.bear(&discounts) {
        return Err(damaged(RECORD, "more is taken off a line of a cart than it comes to"));
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
        discounts: discounts.into_boxed_slice(),
        codes: codes.into_boxed_slice(),
        gift_cards: gift_cards.into_boxed_slice(),
        updated_at: record.updated_at,
    })
}
