//! The open reservations of a SKU, by id and by expiry.
//!
//! **Invariants:** `by_id` is in strict order of id; `by_expiry` is in order and holds exactly the
//! reservations that expire, each at its expiry.
//!
//! Both are flat lists, not trees: a stock is copied whenever a turn begins to change it, and a
//! list of thousands is copied at once where a tree is copied node by node and takes twice the room.

use std::collections::VecDeque;

use cluster::ids::{EntityKey, EntityKind, EntityRef};
use cluster::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::{ReservationPage, ReservationView};
use crate::domain::heap;
use crate::domain::ids::ReservationId;
use crate::domain::quantity::{PageLimit, Quantity, Units};

/// The entity that a reservation belongs to; one with a generated id, so that it stays small.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    kind: EntityKind,
    number: [u8; 16],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("only an entity with a generated id holds stock")]
pub struct InvalidHolder;

impl TryFrom<&EntityRef> for Holder {
    type Error = InvalidHolder;

    fn try_from(entity: &EntityRef) -> Result<Self, InvalidHolder> {
        match &entity.key {
            EntityKey::Number(number) => Ok(Self { kind: entity.kind, number: *number }),
            EntityKey::Name(_) => Err(InvalidHolder),
        }
    }
}

impl From<Holder> for EntityRef {
    fn from(holder: Holder) -> Self {
        Self { kind: holder.kind, key: EntityKey::Number(holder.number) }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reservation {
    pub(crate) quantity: Quantity,
    pub(crate) holder: Option<Holder>,
    pub(crate) expires_at: Option<Timestamp>,
}

impl Reservation {
    pub(super) fn is_due(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|at| at <= now)
    }

    pub(super) fn view(&self, id: ReservationId) -> ReservationView {
        let Self { quantity, holder, expires_at } = *self;
        ReservationView { id, quantity, holder, expires_at }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Reservations {
    by_id: Vec<(ReservationId, Reservation)>,
    by_expiry: VecDeque<(Timestamp, ReservationId)>,
}

impl Reservations {
    pub(crate) fn len(&self) -> usize {
        self.by_id.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (ReservationId, &Reservation)> {
        self.by_id.iter().map(|(id, reservation)| (*id, reservation))
    }

    pub(crate) fn get(&self, id: ReservationId) -> Option<&Reservation> {
        let found = self.find(id).ok()?;
        self.by_id.get(found).map(|(_, reservation)| reservation)
    }

    pub(crate) fn insert(&mut self, id: ReservationId, reservation: Reservation) {
        self.remove(id);
        if let Some(at) = reservation.expires_at {
            let gap = self.by_expiry.partition_point(|known| *known < (at, id));
            let (len, capacity) = (self.by_expiry.len(), self.by_expiry.capacity());
            self.by_expiry.reserve_exact(heap::growth(len, capacity));
            self.by_expiry.insert(gap, (at, id));
        }
        if let Err(gap) = self.find(id) {
            let (len, capacity) = (self.by_id.len(), self.by_id.capacity());
            self.by_id.reserve_exact(heap::growth(len, capacity));
            self.by_id.insert(gap, (id, reservation));
        }
    }

    pub(super) fn remove(&mut self, id: ReservationId) {
        let Ok(found) = self.find(id) else { return };
        let (_, Reservation { expires_at, .. }) = self.by_id.remove(found);
        if heap::is_roomy(self.by_id.len(), self.by_id.capacity()) {
            self.by_id.shrink_to(self.by_id.len() * 2);
        }
        if let Some(at) = expires_at {
            self.forget_expiry(at, id);
        }
    }

    pub(super) fn take_over(&mut self, id: ReservationId, holder: Holder) {
        let Ok(found) = self.find(id) else { return };
        let Some((_, held)) = self.by_id.get_mut(found) else { return };
        held.holder = Some(holder);
        if let Some(at) = held.expires_at.take() {
            self.forget_expiry(at, id);
        }
    }

    fn forget_expiry(&mut self, at: Timestamp, id: ReservationId) {
        if let Ok(found) = self.by_expiry.binary_search(&(at, id)) {
            self.by_expiry.remove(found);
        }
        if heap::is_roomy(self.by_expiry.len(), self.by_expiry.capacity()) {
            self.by_expiry.shrink_to(self.by_expiry.len() * 2);
        }
    }

    fn find(&self, id: ReservationId) -> Result<usize, usize> {
        self.by_id.binary_search_by(|(known, _)| known.cmp(&id))
    }

    /// The reservations past their expiry, earliest first, and how many pieces they hold.
    pub(super) fn due(&self, now: Timestamp) -> (Vec<ReservationId>, Units) {
        let due: Vec<_> =
            self.by_expiry.iter().take_while(|(at, _)| *at <= now).map(|(_, id)| *id).collect();
        let pieces = due.iter().filter_map(|id| self.get(*id)).map(|held| held.quantity.into());
        let lapsed = sum(pieces).unwrap_or_default();
        (due, lapsed)
    }

    /// All pieces held; `None` when they are more than a stock can be.
    pub(crate) fn pieces(&self) -> Option<Units> {
        sum(self.by_id.iter().map(|(_, held)| held.quantity.into()))
    }

    pub(super) fn first_expiry(&self) -> Option<Timestamp> {
        self.by_expiry.front().map(|(at, _)| *at)
    }

    pub(super) fn first_expiry_after(
        &self,
        now: Timestamp,
        except: Option<ReservationId>,
    ) -> Option<Timestamp> {
        let n_due = self.by_expiry.partition_point(|(at, _)| *at <= now);
        let later = self.by_expiry.range(n_due..);
        later.into_iter().find(|(_, id)| Some(*id) != except).map(|(at, _)| *at)
    }

    pub(super) fn page(
        &self,
        after: Option<ReservationId>,
        limit: PageLimit,
        now: Timestamp,
    ) -> ReservationPage {
        let n_before = after.map_or(0, |after| self.by_id.partition_point(|(id, _)| *id <= after));
        let open = self.by_id.iter().skip(n_before).filter(|(_, held)| !held.is_due(now));
        let mut open = open.map(|(id, held)| held.view(*id));
        let reservations: Vec<_> = open.by_ref().take(limit.get()).collect();
        let more = open.next().is_some();
        let next = reservations.last().map(|last| last.id).filter(|_| more);
        ReservationPage { reservations, next }
    }

    pub(super) fn heap_bytes(&self) -> usize {
        heap::allocation(self.by_id.capacity() * size_of::<(ReservationId, Reservation)>())
            + heap::allocation(self.by_expiry.capacity() * size_of::<(Timestamp, ReservationId)>())
    }
}

fn sum(mut pieces: impl Iterator<Item = Units>) -> Option<Units> {
    pieces.try_fold(Units::ZERO, Units::plus)
}
