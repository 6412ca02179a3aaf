//! Stocks as they were before any of them promised more than there was.

use serde::Deserialize;

use super::{EndedV1, ReservationV1, SkuRecordV2};
use crate::domain::quantity::Units;
use crate::domain::sku::{self, LedgerEntry, Policy, ReservationPage, ReservationView};

#[derive(Deserialize)]
pub(super) struct SkuRecord {
    on_hand: Option<Units>,
    reservations: Vec<ReservationV1>,
    ended: Vec<EndedV1>,
    ledger: Vec<LedgerEntry>,
}

impl From<SkuRecord> for SkuRecordV2 {
    fn from(SkuRecord { on_hand, reservations, ended, ledger }: SkuRecord) -> Self {
        Self { on_hand, reservations, ended, ledger, extras: Vec::new() }
    }
}

#[derive(Deserialize)]
pub(super) struct Level {
    exists: bool,
    on_hand: Units,
    reserved: Units,
    available: Units,
}

impl From<Level> for sku::Level {
    fn from(Level { exists, on_hand, reserved, available }: Level) -> Self {
        let (backordered, policy, low_stock_at) = (Units::ZERO, Policy::Deny, None);
        Self { exists, on_hand, reserved, available, backordered, policy, low_stock_at }
    }
}

#[derive(Deserialize)]
pub(super) struct Reply {
    level: Level,
    reservation: Option<ReservationView>,
}

impl From<Reply> for sku::Reply {
    fn from(Reply { level, reservation }: Reply) -> Self {
        Self { level: level.into(), reservation }
    }
}

#[derive(Deserialize)]
pub(super) enum View {
    Level(Level),
    Reservation(Reply),
    Reservations(ReservationPage),
    Ledger(Vec<LedgerEntry>),
}

impl From<View> for sku::View {
    fn from(view: View) -> Self {
        match view {
            View::Level(level) => Self::Level(level.into()),
            View::Reservation(reply) => Self::Reservation(reply.into()),
            View::Reservations(page) => Self::Reservations(page),
            View::Ledger(entries) => Self::Ledger(entries),
        }
    }
}
