//! A stock at one instant, and how a statement about the whole of it is judged.

use cluster::time::Timestamp;

use super::{Event, Level, Reason, Rejection, Sku};
use crate::domain::ids::ReservationId;
use crate::domain::quantity::{Delta, Units};

/// The stock at one instant, without the reservations that are past their expiry by then.
pub(super) struct Standing {
    pub(super) now: Timestamp,
    pub(super) exists: bool,
    pub(super) on_hand: Units,
    pub(super) reserved: Units,
    pub(super) due: Vec<ReservationId>,
}

impl Standing {
    pub(super) fn level(&self) -> Level {
        let Self { exists, on_hand, reserved, .. } = *self;
        Level { exists, on_hand, reserved, available: self.available() }
    }

    pub(super) fn available(&self) -> Units {
        less(self.on_hand, self.reserved)
    }

    /// What must be recorded for the stock to be as it stands.
    pub(super) fn into_event(self) -> Option<Event> {
        let Self { now: at, reserved, due: ids, .. } = self;
        (!ids.is_empty()).then_some(Event::Expired { ids, reserved, at })
    }

    pub(super) fn adjust(&self, delta: Delta, reason: Reason) -> Result<Option<Event>, Rejection> {
        if delta.get() == 0 {
            return Ok(None);
        }
        let below = Rejection::BelowReserved { reserved: self.reserved };
        let sum = i64::from(self.on_hand.get()) + delta.get();
        let Ok(sum) = u32::try_from(sum) else { return Err(below) };
        let on_hand = Units::try_from(sum).map_err(|_| Rejection::OnHandTooLarge)?;
        if on_hand < self.reserved {
            return Err(below);
        }
        Ok(Some(Event::OnHandSet { on_hand, delta, reason, at: self.now }))
    }

    pub(super) fn set_on_hand(
        &self,
        on_hand: Units,
        reason: Reason,
    ) -> Result<Option<Event>, Rejection> {
        if on_hand < self.reserved {
            return Err(Rejection::BelowReserved { reserved: self.reserved });
        }
        if self.exists && self.on_hand == on_hand {
            return Ok(None);
        }
        let delta = Delta::between(self.on_hand, on_hand);
        Ok(Some(Event::OnHandSet { on_hand, delta, reason, at: self.now }))
    }
}

impl Sku {
    pub(super) fn standing(&self, now: Timestamp) -> Standing {
        let (due, lapsed) = self.reservations.due(now);
        Standing {
            now,
            exists: self.on_hand.is_some(),
            on_hand: self.on_hand.unwrap_or_default(),
            reserved: less(self.reserved, lapsed),
            due,
        }
    }
}

/// A difference that the invariants keep from falling below zero.
pub(super) fn less(whole: Units, part: Units) -> Units {
    whole.minus(part).unwrap_or_else(|| unreachable!("{part} of {whole} pieces"))
}
