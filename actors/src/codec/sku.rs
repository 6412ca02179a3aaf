//! The bytes of stocks.

use cluster::entity::{DecodeError, Wire};
use cluster::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::{damaged, encode, latest};
use crate::domain::ids::ReservationId;
use crate::domain::quantity::{Quantity, Units};
use crate::domain::sku::{
    Command, End, Ended, EndedReservation, Event, Holder, Ledger, LedgerEntry, Query, Rejection,
    Reply, Reservation, Reservations, Sku, View,
};

const RECORD: &str = "a sku's record";

wire! {
    Command: "a sku's command",
    Event: "a sku's event",
    Rejection: "a sku's rejection",
    Query: "a sku's query",
    Reply: "a sku's reply",
    View: "a sku's view",
}

#[derive(Serialize, Deserialize)]
struct SkuRecordV1 {
    on_hand: Option<Units>,
    reservations: Vec<ReservationV1>,
    ended: Vec<EndedV1>,
    ledger: Vec<LedgerEntry>,
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
    encode(&SkuRecordV1 {
        on_hand: sku.on_hand,
        reservations: sku.reservations.iter().map(reservation).collect(),
        ended: sku.ended.iter().map(ended).collect(),
        ledger: sku.ledger.iter().cloned().collect(),
    })
}

pub(crate) fn from_record(bytes: &[u8]) -> Result<Sku, DecodeError> {
    let record: SkuRecordV1 = latest(RECORD, bytes)?;
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
    Ok(Sku { on_hand: record.on_hand, reserved, reservations, ended, ledger })
}
