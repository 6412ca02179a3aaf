//! The bytes of stocks.

use cluster::entity::{DecodeError, Wire};
use cluster::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::{damaged, encode, encode_with_parts, latest, latest_with_parts};
use crate::domain::ids::ReservationId;
use crate::domain::names::LocationId;
use crate::domain::quantity::{Quantity, Units};
use crate::domain::sku::{
    Command, End, Ended, EndedReservation, Event, Holder, Ledger, LedgerEntry, Level, Places,
    Policy, Promise, Promises, Query, Rejection, Reply, Reservation, Reservations, Sku, View, Word,
};

const RECORD: &str = "a sku's record";

wire! {
    Command: "a sku's command",
    Event: "a sku's event",
    Rejection: "a sku's rejection",
    Query: "a sku's query",
}

/// What a level has besides its first shape, each at most once and in this order, and only where it
/// is not as usual. New ones come last.
#[derive(PartialEq, Serialize, Deserialize)]
enum LevelPart {
    Backordered(Units),
    Policy(Policy),
    LowStock(Units),
}

fn level_parts(level: &Level) -> Vec<LevelPart> {
    let waits = level.backordered > Units::ZERO;
    let backordered = waits.then_some(LevelPart::Backordered(level.backordered));
    let policy = (level.policy != Policy::Deny).then_some(LevelPart::Policy(level.policy));
    let low_stock = level.low_stock_at.map(LevelPart::LowStock);
    backordered.into_iter().chain(policy).chain(low_stock).collect()
}

/// Equal values have equal bytes: parts are those that would be written.
fn put_together(
    what: &'static str,
    level: &mut Level,
    parts: &[LevelPart],
) -> Result<(), DecodeError> {
    for part in parts {
        match part {
            LevelPart::Backordered(pieces) => level.backordered = *pieces,
            LevelPart::Policy(policy) => level.policy = *policy,
            LevelPart::LowStock(threshold) => level.low_stock_at = Some(*threshold),
        }
    }
    let is_whole = level_parts(level) == parts;
    is_whole.then_some(()).ok_or_else(|| damaged(what, "the parts of a level are not in order"))
}

impl Wire for Reply {
    fn to_bytes(&self) -> Vec<u8> {
        encode_with_parts(self, &level_parts(&self.level))
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        const WHAT: &str = "a sku's reply";
        let (mut reply, parts): (Self, Vec<_>) = latest_with_parts(WHAT, bytes)?;
        put_together(WHAT, &mut reply.level, &parts)?;
        Ok(reply)
    }
}

impl Wire for View {
    fn to_bytes(&self) -> Vec<u8> {
        let parts = match self {
            Self::Level(level) | Self::Reservation(Reply { level, .. }) => level_parts(level),
            Self::Reservations(_) | Self::Ledger(_) | Self::Places(_) => Vec::new(),
        };
        encode_with_parts(self, &parts)
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        const WHAT: &str = "a sku's view";
        let (mut view, parts): (Self, Vec<_>) = latest_with_parts(WHAT, bytes)?;
        match &mut view {
            Self::Level(level) | Self::Reservation(Reply { level, .. }) => {
                put_together(WHAT, level, &parts)?;
            }
            Self::Reservations(_) | Self::Ledger(_) | Self::Places(_) if parts.is_empty() => {}
            Self::Reservations(_) | Self::Ledger(_) | Self::Places(_) => {
                return Err(damaged(WHAT, "there are parts of no level"));
            }
        }
        Ok(view)
    }
}

#[derive(Serialize, Deserialize)]
struct SkuRecordV1 {
    on_hand: Option<Units>,
    reservations: Vec<ReservationV1>,
    ended: Vec<EndedV1>,
    ledger: Vec<LedgerEntry>,
}

/// What most stocks do not have, each at most once and in this order. New ones come last.
#[derive(PartialEq, Serialize, Deserialize)]
enum Part {
    Policy(Policy),
    LowStock(Units),
    Promises(Vec<Promise>),
    Places(Vec<(LocationId, Units)>),
    LowStockWord(Word),
}

fn parts_of(sku: &Sku) -> Vec<Part> {
    let policy = (sku.policy != Policy::Deny).then_some(Part::Policy(sku.policy));
    let low_stock = sku.low_stock_at.map(Part::LowStock);
    let promises: Vec<_> = sku.promises.iter().copied().collect();
    let promises = (!promises.is_empty()).then_some(Part::Promises(promises));
    let places: Vec<_> = sku.places.iter().cloned().collect();
    let places = (!places.is_empty()).then_some(Part::Places(places));
    let word = sku.low_stock_word.map(Part::LowStockWord);
    let parts = policy.into_iter().chain(low_stock).chain(promises);
    parts.chain(places).chain(word).collect()
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
    let first = SkuRecordV1 {
        on_hand: sku.on_hand,
        reservations: sku.reservations.iter().map(reservation).collect(),
        ended: sku.ended.iter().map(ended).collect(),
        ledger: sku.ledger.iter().cloned().collect(),
    };
    encode_with_parts(&first, &parts_of(sku))
}

pub(crate) fn from_record(bytes: &[u8]) -> Result<Sku, DecodeError> {
    let (record, parts): (SkuRecordV1, _) = latest_with_parts(RECORD, bytes)?;
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
    with_parts(sku, &parts)
}

fn with_parts(mut sku: Sku, parts: &[Part]) -> Result<Sku, DecodeError> {
    for part in parts {
        match part {
            Part::Policy(policy) => sku.policy = *policy,
            Part::LowStock(threshold) => sku.low_stock_at = Some(*threshold),
            Part::Promises(promises) => {
                let promises = Promises::restore(promises.clone());
                let promises = promises.map_err(|why| damaged(RECORD, why))?;
                let pieces = promises.pieces();
                sku.backordered =
                    pieces.ok_or_else(|| damaged(RECORD, "a sku has promised more than can be"))?;
                sku.promises = promises;
            }
            Part::Places(places) => {
                let places = Places::restore(places.clone(), sku.on_hand.unwrap_or_default());
                sku.places = places.map_err(|why| damaged(RECORD, why))?;
            }
            Part::LowStockWord(word) => sku.low_stock_word = Some(*word),
        }
    }
    if sku.ended.iter().any(|ended| sku.is_promised(ended.id)) {
        return Err(damaged(RECORD, "a promise of a sku is open and has ended"));
    }
    // Equal values have equal bytes.
    let is_whole = parts_of(&sku) == parts;
    is_whole.then_some(sku).ok_or_else(|| damaged(RECORD, "the parts of a sku are not in order"))
}
