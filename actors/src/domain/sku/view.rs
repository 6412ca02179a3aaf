//! A stock as its readers see it.

use cluster::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Event, Holder, LedgerEntry, Policy, Sku, less};
use crate::domain::ids::ReservationId;
use crate::domain::names::LocationId;
use crate::domain::quantity::{PageLimit, Quantity, Units};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Query {
    Level,
    /// The stock, and one reservation where it is open.
    Reservation {
        id: ReservationId,
    },
    /// In order of id, from past `after` on.
    Reservations {
        after: Option<ReservationId>,
        limit: PageLimit,
    },
    /// Newest first; the last 50 changes are kept.
    Ledger {
        limit: PageLimit,
    },
    /// Where the pieces lie.
    Places,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum View {
    Level(Level),
    Reservation(Reply),
    Reservations(ReservationPage),
    Ledger(Vec<LedgerEntry>),
    /// The default location first, which has no name.
    Places(Vec<(Option<LocationId>, Units)>),
}

/// What a command came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reply {
    /// The stock after it.
    pub level: Level,
    /// The reservation that it asked to begin or to take over, as it is held: a repeat may ask for
    /// another life than the first one was granted.
    pub reservation: Option<ReservationView>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Level {
    /// Whether a stock was ever stated for this SKU.
    pub exists: bool,
    pub on_hand: Units,
    pub reserved: Units,
    pub available: Units,
    /// What orders were promised beyond what there is. In bytes this and what follows comes after the
    /// rest, see `codec::sku`.
    #[serde(skip)]
    pub backordered: Units,
    #[serde(skip)]
    pub policy: Policy,
    /// The stock is low with no more than this available.
    #[serde(skip)]
    pub low_stock_at: Option<Units>,
}

impl Level {
    pub(super) fn after(self, event: &Event) -> Self {
        let mut after = self;
        match event {
            Event::OnHandSet { on_hand, .. } | Event::StockedAt { on_hand, .. } => {
                (after.exists, after.on_hand) = (true, *on_hand);
            }
            Event::Confirmed { on_hand, reserved, .. }
            | Event::SoldFrom { on_hand, reserved, .. } => {
                (after.exists, after.on_hand, after.reserved) = (true, *on_hand, *reserved);
            }
            Event::Reserved { reserved, .. }
            | Event::Released { reserved, .. }
            | Event::Expired { reserved, .. } => after.reserved = *reserved,
            Event::PromisesKept { reserved, backordered, .. } => {
                (after.reserved, after.backordered) = (*reserved, *backordered);
            }
            Event::Promised { backordered, .. } | Event::PromiseWithdrawn { backordered, .. } => {
                after.backordered = *backordered;
            }
            Event::PolicySet { policy, .. } => after.policy = *policy,
            Event::LowStockSet { threshold, .. } => after.low_stock_at = *threshold,
            Event::ReleasedEarly { .. }
            | Event::TakenOver { .. }
            | Event::Transferred { .. }
            | Event::RanLow { .. }
            | Event::RanLowNoMore { .. } => {}
        }
        after.available = less(after.on_hand, after.reserved);
        after
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReservationPage {
    pub reservations: Vec<ReservationView>,
    /// Where the next page begins; none on the last.
    pub next: Option<ReservationId>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReservationView {
    pub id: ReservationId,
    pub quantity: Quantity,
    pub holder: Option<Holder>,
    pub expires_at: Option<Timestamp>,
}

impl Sku {
    /// The reservation after an event, where it is open.
    pub(super) fn reservation_after(
        &self,
        id: ReservationId,
        event: Option<&Event>,
    ) -> Option<ReservationView> {
        if let Some(Event::Reserved { id, quantity, holder, expires_at, .. }) = event {
            let (id, quantity, holder, expires_at) = (*id, *quantity, *holder, *expires_at);
            return Some(ReservationView { id, quantity, holder, expires_at });
        }
        let held = self.reservations.get(id)?.view(id);
        if let Some(Event::TakenOver { holder, .. }) = event {
            return Some(ReservationView { holder: Some(*holder), expires_at: None, ..held });
        }
        Some(held)
    }
}
