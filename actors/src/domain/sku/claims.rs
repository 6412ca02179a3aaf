//! Deciding about one reservation: whether it begins, who has it, how it ends.
//!
//! **Invariants:** a reservation with a holder is ended only with that holder named; an id whose end
//! is remembered never begins again.

use super::standing::{Standing, less};
use super::{End, Event, Holder, IfUnknown, Rejection, Reservation, Sku};
use crate::domain::ids::ReservationId;
use crate::domain::quantity::Delta;
use crate::mutants::Mutant;

impl Reservation {
    fn is_held_by_another(&self, than: Option<Holder>) -> bool {
        self.holder.is_some() && self.holder != than
    }

    /// Whether an entity took it for itself: nothing but that entity ends it.
    fn is_taken_over(&self) -> bool {
        self.holder.is_some() && self.expires_at.is_none()
    }
}

impl Sku {
    pub(super) fn reserve(
        &self,
        standing: &Standing,
        id: ReservationId,
        asked: Reservation,
    ) -> Result<Option<Event>, Rejection> {
        let at = standing.now;
        if let Some(held) = self.reservations.get(id) {
            return match held.quantity {
                _ if held.is_due(at) => Err(Rejection::Expired),
                same if same == asked.quantity => Ok(None),
                held => Err(Rejection::DifferentQuantity { held }),
            };
        }
        if let Some(end) = self.ended.end_of(id, at)
            && !Mutant::LateReserve.is_planted()
        {
            return Err(end.into());
        }
        if asked.is_due(at) {
            return Err(Rejection::Expired);
        }
        if self.reservations.len() - standing.due.len() >= Self::RESERVATIONS_MAX {
            return Err(Rejection::TooManyReservations);
        }
        let Reservation { quantity, holder, expires_at } = asked;
        let available = standing.available();
        match standing.reserved.plus(quantity.into()) {
            Some(reserved) if reserved <= standing.on_hand || Mutant::Oversold.is_planted() => {
                Ok(Some(Event::Reserved { id, quantity, holder, expires_at, reserved, at }))
            }
            Some(_) | None => Err(Rejection::OutOfStock { requested: quantity, available }),
        }
    }

    pub(super) fn confirm(
        &self,
        standing: &Standing,
        id: ReservationId,
        holder: Option<Holder>,
    ) -> Result<Option<Event>, Rejection> {
        let at = standing.now;
        let Some(held) = self.reservations.get(id) else {
            return match self.ended.end_of(id, at) {
                // Nothing of it is there yet.
                None if self.is_promised(id) => Ok(None),
                Some(End::Sold) => Ok(None),
                Some(end @ (End::Released | End::Expired | End::ReleasedBefore)) => Err(end.into()),
                None => Err(Rejection::NotReserved),
            };
        };
        if held.is_due(at) {
            return Err(Rejection::Expired);
        }
        if held.is_held_by_another(holder) {
            return Err(Rejection::HeldByAnother);
        }
        let on_hand = less(standing.on_hand, held.quantity.into());
        let delta = Delta::between(standing.on_hand, on_hand);
        let reserved = less(standing.reserved, held.quantity.into());
        Ok(Some(Event::Confirmed { id, on_hand, delta, reserved, at }))
    }

    pub(super) fn release(
        &self,
        standing: &Standing,
        id: ReservationId,
        holder: Option<Holder>,
        if_unknown: IfUnknown,
    ) -> Result<Option<Event>, Rejection> {
        let at = standing.now;
        if let Some(held) = self.reservations.get(id) {
            if held.is_due(at) {
                return Ok(None);
            }
            if held.is_held_by_another(holder) {
                return Err(Rejection::HeldByAnother);
            }
            let reserved = less(standing.reserved, held.quantity.into());
            return Ok(Some(Event::Released { id, reserved, at }));
        }
        if self.is_promised(id) {
            return Err(Rejection::HeldByAnother);
        }
        match (self.ended.end_of(id, at), if_unknown) {
            (Some(End::Sold), _) => Err(Rejection::AlreadyConfirmed),
            (Some(End::Released | End::Expired | End::ReleasedBefore), _) => Ok(None),
            (None, IfUnknown::RefuseItsReserve) => Ok(Some(Event::ReleasedEarly { id, at })),
            (None, IfUnknown::Reject) => Err(Rejection::NotReserved),
        }
    }

    pub(super) fn take_over(
        &self,
        standing: &Standing,
        id: ReservationId,
        holder: Holder,
    ) -> Result<Option<Event>, Rejection> {
        let at = standing.now;
        let Some(held) = self.reservations.get(id) else {
            return Err(self.ended.end_of(id, at).map_or(Rejection::NotReserved, Into::into));
        };
        if held.is_due(at) {
            return Err(Rejection::Expired);
        }
        match (held.is_taken_over(), held.is_held_by_another(Some(holder))) {
            (true, false) => Ok(None),
            (true, true) => Err(Rejection::HeldByAnother),
            (false, _) => Ok(Some(Event::TakenOver { id, holder, at })),
        }
    }
}
