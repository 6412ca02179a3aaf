//! A stock at one instant, and how a statement about the whole of it is judged.

use cluster::entity::Effect;
use cluster::time::Timestamp;

use super::{Event, Level, Policy, Reason, Rejection, Sku};
use crate::domain::ids::ReservationId;
use crate::domain::quantity::{Delta, Units};

/// The stock at one instant, without the reservations that are past their expiry by then.
pub(super) struct Standing {
    pub(super) now: Timestamp,
    pub(super) exists: bool,
    pub(super) on_hand: Units,
    pub(super) reserved: Units,
    pub(super) backordered: Units,
    pub(super) due: Vec<ReservationId>,
    policy: Policy,
    low_stock_at: Option<Units>,
}

impl Standing {
    pub(super) fn level(&self) -> Level {
        let Self { exists, on_hand, reserved, backordered, policy, low_stock_at, .. } = *self;
        let available = self.available();
        Level { exists, on_hand, reserved, available, backordered, policy, low_stock_at }
    }

    pub(super) fn available(&self) -> Units {
        less(self.on_hand, self.reserved)
    }

    /// What must be recorded for the stock to be as it stands.
    pub(super) fn into_event(self) -> Option<Event> {
        let Self { now: at, reserved, due: ids, .. } = self;
        (!ids.is_empty()).then_some(Event::Expired { ids, reserved, at })
    }

    /// What lies at the default location is adjusted.
    pub(super) fn adjust(
        &self,
        delta: Delta,
        reason: Reason,
        elsewhere: Units,
    ) -> Result<Option<Event>, Rejection> {
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
        if i64::from(elsewhere.get()) + delta.get() < 0 {
            return Err(Rejection::TooFewThere { there: elsewhere });
        }
        Ok(Some(Event::OnHandSet { on_hand, delta, reason, at: self.now }))
    }

    /// So many lie at the default location, where so many were known.
    pub(super) fn set_elsewhere(
        &self,
        stated: Units,
        reason: Reason,
        elsewhere: Units,
    ) -> Result<Option<Event>, Rejection> {
        let on_hand = less(self.on_hand, elsewhere).plus(stated);
        let on_hand = on_hand.ok_or(Rejection::OnHandTooLarge)?;
        if on_hand < self.reserved {
            return Err(Rejection::BelowReserved { reserved: self.reserved });
        }
        if self.exists && self.on_hand == on_hand {
            return Ok(None);
        }
        let delta = Delta::between(self.on_hand, on_hand);
        Ok(Some(Event::OnHandSet { on_hand, delta, reason, at: self.now }))
    }

    pub(super) fn set_policy(&self, policy: Policy) -> Option<Event> {
        (policy != self.policy).then_some(Event::PolicySet { policy, at: self.now })
    }

    pub(super) fn set_low_stock(&self, threshold: Option<Units>) -> Option<Event> {
        let changes = threshold != self.low_stock_at;
        changes.then_some(Event::LowStockSet { threshold, at: self.now })
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
            backordered: self.backordered,
            due,
            policy: self.policy,
            low_stock_at: self.low_stock_at,
        }
    }

    /// The level as the last command left it.
    pub(super) fn recorded(&self) -> Level {
        let on_hand = self.on_hand.unwrap_or_default();
        Level {
            exists: self.on_hand.is_some(),
            on_hand,
            reserved: self.reserved,
            available: less(on_hand, self.reserved),
            backordered: self.backordered,
            policy: self.policy,
            low_stock_at: self.low_stock_at,
        }
    }

    /// Moves the one timer when the earliest expiry moves.
    pub(super) fn timer_effect(
        &self,
        standing: &Standing,
        event: Option<&Event>,
        timer_is_spent: bool,
    ) -> Option<Effect> {
        let (ended, added) = match event {
            Some(Event::Reserved { expires_at, .. }) => (None, *expires_at),
            Some(
                Event::Confirmed { id, .. }
                | Event::SoldFrom { id, .. }
                | Event::Released { id, .. }
                | Event::TakenOver { id, .. },
            ) => (Some(*id), None),
            Some(
                Event::OnHandSet { .. }
                | Event::ReleasedEarly { .. }
                | Event::Expired { .. }
                | Event::PolicySet { .. }
                | Event::LowStockSet { .. }
                | Event::Promised { .. }
                | Event::PromisesKept { .. }
                | Event::PromiseWithdrawn { .. }
                | Event::StockedAt { .. }
                | Event::Transferred { .. }
                | Event::RanLow { .. }
                | Event::RanLowNoMore { .. },
            )
            | None => (None, None),
        };
        let armed = if timer_is_spent { None } else { self.reservations.first_expiry() };
        let remaining = self.reservations.first_expiry_after(standing.now, ended);
        let wanted = remaining.into_iter().chain(added).min();
        let name = Self::EXPIRY;
        match wanted {
            same if same == armed => None,
            Some(at) => Some(Effect::SetTimer { name, at }),
            None => Some(Effect::CancelTimer { name }),
        }
    }
}

/// A difference that the invariants keep from falling below zero.
pub(super) fn less(whole: Units, part: Units) -> Units {
    whole.minus(part).unwrap_or_else(|| unreachable!("{part} of {whole} pieces"))
}
