//! What events make of a stock.

use super::orders::reservation_of;
use super::{Cause, End, Event, Holder, Kept, LedgerEntry, Promise, Reservation, Sku, Taken, Word};
use crate::domain::ids::ReservationId;
use crate::domain::order::Order;
use crate::domain::quantity::{Delta, Units};
use crate::mutants::Mutant;
use cluster::time::Timestamp;

impl Sku {
    pub(super) fn apply_event(&mut self, event: &Event) {
        match event {
            Event::OnHandSet { on_hand, delta, reason, at } => {
                self.enter(*on_hand, *delta, Cause::Stated(reason.clone()), *at);
            }
            Event::Reserved { id, quantity, holder, expires_at, reserved, at } => {
                let (quantity, holder, expires_at) = (*quantity, *holder, *expires_at);
                // Else an id that begins anew long after its end would be open and ended at once.
                self.ended.forget_before(*at);
                self.reservations.insert(*id, Reservation { quantity, holder, expires_at });
                self.reserved = *reserved;
            }
            Event::Confirmed { id, on_hand, delta, reserved, at } => {
                self.sell(*id, *at);
                self.reserved = *reserved;
                self.enter(*on_hand, *delta, Cause::Sold(*id), *at);
            }
            Event::Released { id, reserved, at } => {
                self.end(*id, End::Released, *at);
                self.reserved = *reserved;
            }
            Event::ReleasedEarly { id, at } => self.end(*id, End::ReleasedBefore, *at),
            Event::TakenOver { id, holder, at: _ } => self.reservations.take_over(*id, *holder),
            Event::Expired { ids, reserved, at } => {
                for id in ids {
                    self.end(*id, End::Expired, *at);
                }
                if !Mutant::ExpiryKeepsStock.is_planted() {
                    self.reserved = *reserved;
                }
            }
            Event::StockedAt { .. } | Event::Transferred { .. } | Event::SoldFrom { .. } => {
                self.apply_of_places(event);
            }
            Event::Promised { .. }
            | Event::PromisesKept { .. }
            | Event::PromiseWithdrawn { .. } => self.apply_of_promises(event),
            Event::PolicySet { policy, at: _ } => self.policy = *policy,
            Event::LowStockSet { threshold, at: _ } => self.low_stock_at = *threshold,
            Event::RanLow { at } => self.low_stock_word = Some(Word::Holds { given: *at }),
            Event::RanLowNoMore { at: _ } => {
                self.low_stock_word = self.low_stock_word.map(Word::over);
            }
        }
    }

    fn apply_of_places(&mut self, event: &Event) {
        if let Event::StockedAt { location, there, on_hand, delta, reason, at } = event {
            self.places.set(location, *there);
            self.enter(*on_hand, *delta, Cause::StatedAt(location.clone(), reason.clone()), *at);
        } else if let Event::Transferred { from, left, to, come, pieces, reason, at } = event {
            for (location, there) in [(from, left), (to, come)] {
                if let Some(location) = location {
                    self.places.set(location, *there);
                }
            }
            let (from, to, reason) = (from.clone(), to.clone(), reason.clone());
            let cause = Cause::Transferred { from, to, pieces: *pieces, reason };
            let on_hand = self.on_hand.unwrap_or_default();
            let delta = Delta::between(on_hand, on_hand);
            self.ledger.push(LedgerEntry { at: *at, delta, on_hand, cause });
        } else if let Event::SoldFrom { id, taken, on_hand, delta: _, reserved, at } = event {
            self.sell(*id, *at);
            for Taken { location, pieces, left, on_hand } in taken {
                if let Some(location) = location {
                    self.places.set(location, *left);
                }
                let delta = Delta::between(*pieces, Units::ZERO);
                self.enter(*on_hand, delta, Cause::SoldFrom(*id, location.clone()), *at);
            }
            self.on_hand = Some(*on_hand);
            self.reserved = *reserved;
        }
    }

    fn apply_of_promises(&mut self, event: &Event) {
        if let Event::Promised { order, asked, waiting, backordered, at } = event {
            self.ended.forget_before(*at);
            let (order, asked, waiting) = (*order, *asked, *waiting);
            self.promises.push(Promise { order, asked, waiting });
            self.backordered = *backordered;
        } else if let Event::PromisesKept { kept, reserved, backordered, at: _ } = event {
            for Kept { order, held, waiting } in kept {
                self.promises.wait_for(*order, *waiting);
                let holder = Holder::try_from(&Order::address(*order)).ok();
                let held = Reservation { quantity: *held, holder, expires_at: None };
                self.reservations.insert(reservation_of(*order), held);
            }
            self.reserved = *reserved;
            self.backordered = *backordered;
        } else if let Event::PromiseWithdrawn { order, backordered, at } = event {
            self.promises.remove(*order);
            self.backordered = *backordered;
            let id = reservation_of(*order);
            // Where pieces are reserved as well, the end of those is the end of it all.
            if self.reservations.get(id).is_none() {
                self.ended.remember(id, End::Released, *at);
            }
        }
    }

    fn enter(&mut self, on_hand: Units, delta: Delta, cause: Cause, at: Timestamp) {
        self.on_hand = Some(on_hand);
        self.ledger.push(LedgerEntry { at, delta, on_hand, cause });
    }

    /// What an order still waits for keeps its name open.
    fn sell(&mut self, id: ReservationId, at: Timestamp) {
        if self.is_promised(id) {
            self.reservations.remove(id);
        } else {
            self.end(id, End::Sold, at);
        }
    }

    fn end(&mut self, id: ReservationId, end: End, at: Timestamp) {
        self.reservations.remove(id);
        self.ended.remember(id, end, at);
    }
}
