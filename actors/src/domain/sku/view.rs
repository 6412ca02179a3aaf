//! A stock as its readers see it.

use cluster::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Event, Holder, LedgerEntry, Sku, less};
use crate::domain::ids::ReservationId;
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
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum View {
    Level(Level),
    Reservation(Reply),
    Reservations(ReservationPage),
    Ledger(Vec<LedgerEntry>),
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
}

impl Level {
    pub(super) fn after(self, event: Option<&Event>) -> Self {
        let (exists, on_hand, reserved) = match event {
            Some(Event::OnHandSet { on_hand, .. }) => (true, *on_hand, self.reserved),
            Some(Event::Confirmed { on_hand, reserved, .. }) => (true, *on_hand, *reserved),
            Some(
                Event::Reserved { reserved, .. }
                | Event::Released { reserved, .. }
                | Event::Expired { reserved, .. },
            ) => (self.exists, self.on_hand, *reserved),
            Some(Event::ReleasedEarly { .. } | Event::TakenOver { .. }) | None => return self,
        };
        Self { exists, on_hand, reserved, available: less(on_hand, reserved) }
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
