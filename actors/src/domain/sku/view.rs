//! A stock as its readers see it.

use cluster::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Event, Holder, LedgerEntry, less};
use crate::domain::ids::ReservationId;
use crate::domain::quantity::{PageLimit, Quantity, Units};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Query {
    Level,
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
    Reservations(ReservationPage),
    Ledger(Vec<LedgerEntry>),
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
