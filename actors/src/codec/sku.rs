//! The bytes of stocks.

mod v1;

use cluster::entity::{DecodeError, Wire};
use cluster::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::{damaged, encode, encode_second, latest, latest_of_two};
use crate::domain::ids::ReservationId;
use crate::domain::names::LocationId;
use crate::domain::quantity::{Quantity, Units};
use crate::domain::sku::{
    Command, End, Ended, EndedReservation, Event, Holder, Ledger, LedgerEntry, Places, Policy,
    Promise, Promises, Query, Rejection, Reply, Reservation, Reservations, Sku, View,
};

const RECORD: &str = "a sku's record";

wire! {
    Command: "a sku's command",
    Event: "a sku's event",
    Rejection: "a sku's rejection",
    Query: "a sku's query",
}

impl Wire for Reply {
    fn to_bytes(&self) -> Vec<u8> {
        encode_second(self)
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        latest_of_two::<v1::Reply, Self>("a sku's reply", bytes)
    }
}

impl Wire for View {
    fn to_bytes(&self) -> Vec<u8> {
        encode_second(self)
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        latest_of_two::<v1::View, Self>("a sku's view", bytes)
    }
}

#[derive(Serialize, Deserialize)]
struct SkuRecordV2 {
    on_hand: Option<Units>,
    reservations: Vec<ReservationV1>,
    ended: Vec<EndedV1>,
    ledger: Vec<LedgerEntry>,
    extras: Vec<Extra>,
}

/// What most stocks do not have, each at most once and in this order.
#[derive(Serialize, Deserialize)]
enum Extra {
    Policy(Policy),
    LowStock(Units),
    Promises(Vec<Promise>),
    Places(Vec<(LocationId, Units)>),
}

impl Extra {
    fn rank(&self) -> u8 {
        match self {
            Self::Policy(_) => 0,
            Self::LowStock(_) => 1,
            Self::Promises(_) => 2,
            Self::Places(_) => 3,
        }
    }
}

#[derive(Serialize, Deserialize)]
struct ReservationV1 {
    id: ReservationId,
    quantity: Quantity,
    holder: Option<Holder>,
    expires_at: Option<Timestamp>,
}

#[derive(Serialize, Deserialize)]
struct EndedV1 {
    id: ReservationId,
    end: End,
    at: Timestamp,
}

pub(crate) fn to_record(sku: &Sku) -> Vec<u8> {
    let reservation = |(id, held): (ReservationId, &Reservation)| {
        let Reservation { quantity, holder, expires_at } = *held;
        ReservationV1 { id, quantity, holder, expires_at }
    };
    let ended = |EndedReservation { id, end, at }: &EndedReservation| EndedV1 {
        id: *id,
        end: *end,
        at: *at,
    };
    let policy = (sku.policy != Policy::Deny).then_some(Extra::Policy(sku.policy));
    let low_stock = sku.low_stock_at.map(Extra::LowStock);
    let promises: Vec<_> = sku.promises.iter().copied().collect();
    let promises = (!promises.is_empty()).then_some(Extra::Promises(promises));
    let places: Vec<_> = sku.places.iter().cloned().collect();
    let places = (!places.is_empty()).then_some(Extra::Places(places));
    encode_second(&SkuRecordV2 {
        on_hand: sku.on_hand,
        reservations: sku.reservations.iter().map(reservation).collect(),
        ended: sku.ended.iter().map(ended).collect(),
        ledger: sku.ledger.iter().cloned().collect(),
        extras: policy.into_iter().chain(low_stock).chain(promises).chain(places).collect(),
    })
}

pub(crate) fn from_record(bytes: &[u8]) -> Result<Sku, DecodeError> {
    let record: SkuRecordV2 = latest_of_two::<v1::SkuRecord, _>(RECORD, bytes)?;
    if record.reservations.len() > Sku::RESERVATIONS_MAX {
        return Err(damaged(RECORD, "a sku has too many reservations"));
    }
    if !record.reservations.is_sorted_by(|left, right| left.id < right.id) {
        return Err(damaged(RECORD, "the reservations of a sku are not in strict order of id"));
    }
    let mut reservations = Reservations::default();
    for ReservationV1 { id, quantity, holder, expires_at } in record.reservations {
        reservations.insert(id, Reservation { quantity, holder, expires_at });
    }
    let reserved = reservations.pieces().filter(|sum| *sum <= record.on_hand.unwrap_or_default());
    let Some(reserved) = reserved else {
        return Err(damaged(RECORD, "a sku has more pieces reserved than on hand"));
    };
    let ended =
        record.ended.into_iter().map(|EndedV1 { id, end, at }| EndedReservation { id, end, at });
    let ended = Ended::restore(ended.collect()).map_err(|why| damaged(RECORD, why))?;
    if ended.iter().any(|entry| reservations.get(entry.id).is_some()) {
        return Err(damaged(RECORD, "a reservation of a sku is open and has ended"));
    }
    let ledger = Ledger::restore(record.ledger)
        .ok_or_else(|| damaged(RECORD, "the ledger of a sku is too long"))?;
    let on_hand = record.on_hand;
    let sku = Sku { on_hand, reserved, reservations, ended, ledger, ..Sku::default() };
    with_extras(sku, record.extras)
}

fn with_extras(mut sku: Sku, extras: Vec<Extra>) -> Result<Sku, DecodeError> {
    if !extras.is_sorted_by(|left, right| left.rank() < right.rank()) {
        return Err(damaged(RECORD, "the rarer parts of a sku are not in order"));
    }
    for extra in extras {
        match extra {
            Extra::Policy(policy) => sku.policy = policy,
            Extra::LowStock(threshold) => sku.low_stock_at = Some(threshold),
            Extra::Promises(promises) => {
                let promises = Promises::restore(promises).map_err(|why| damaged(RECORD, why))?;
                let pieces = promises.pieces();
                sku.backordered =
                    pieces.ok_or_else(|| damaged(RECORD, "a sku has promised more than can be"))?;
                sku.promises = promises;
            }
            Extra::Places(places) => {
                let places = Places::restore(places, sku.on_hand.unwrap_or_default());
                sku.places = places.map_err(|why| damaged(RECORD, why))?;
            }
        }
    }
    if sku.ended.iter().any(|ended| sku.is_promised(ended.id)) {
        return Err(damaged(RECORD, "a promise of a sku is open and has ended"));
    }
    Ok(sku)
}
