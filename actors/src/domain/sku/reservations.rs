//! The open reservations of a SKU, by id and by expiry, and the marks of early releases.
//!
//! **Invariants:** `by_expiry` holds exactly the reservations that expire, each at its expiry.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use cluster::ids::{EntityKey, EntityKind, EntityRef};
use cluster::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::{ReservationPage, ReservationView, Sku};
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
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Reservations {
    by_id: BTreeMap<ReservationId, Reservation>,
    by_expiry: BTreeSet<(Timestamp, ReservationId)>,
}

impl Reservations {
    pub(crate) fn len(&self) -> usize {
        self.by_id.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (ReservationId, &Reservation)> {
        self.by_id.iter().map(|(id, reservation)| (*id, reservation))
    }

    pub(super) fn get(&self, id: ReservationId) -> Option<&Reservation> {
        self.by_id.get(&id)
    }

    pub(crate) fn insert(&mut self, id: ReservationId, reservation: Reservation) {
        self.remove(id);
        if let Some(at) = reservation.expires_at {
            self.by_expiry.insert((at, id));
        }
        self.by_id.insert(id, reservation);
    }

    pub(super) fn remove(&mut self, id: ReservationId) {
        if let Some(Reservation { expires_at: Some(at), .. }) = self.by_id.remove(&id) {
            self.by_expiry.remove(&(at, id));
        }
    }

    pub(super) fn take_over(&mut self, id: ReservationId, holder: Holder) {
        if let Some(held) = self.by_id.get_mut(&id) {
            held.holder = Some(holder);
            if let Some(at) = held.expires_at.take() {
                self.by_expiry.remove(&(at, id));
            }
        }
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
        sum(self.by_id.values().map(|held| held.quantity.into()))
    }

    pub(super) fn first_expiry(&self) -> Option<Timestamp> {
        self.by_expiry.first().map(|(at, _)| *at)
    }

    pub(super) fn first_expiry_after(
        &self,
        now: Timestamp,
        except: Option<ReservationId>,
    ) -> Option<Timestamp> {
        let last = ReservationId::from_bytes([u8::MAX; 16]);
        self.by_expiry
            .range((Bound::Excluded((now, last)), Bound::Unbounded))
            .find(|(_, id)| Some(*id) != except)
            .map(|(at, _)| *at)
    }

    pub(super) fn page(
        &self,
        after: Option<ReservationId>,
        limit: PageLimit,
        now: Timestamp,
    ) -> ReservationPage {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let mut open =
            self.by_id.range((from, Bound::Unbounded)).filter(|(_, held)| !held.is_due(now)).map(
                |(id, held)| ReservationView {
                    id: *id,
                    quantity: held.quantity,
                    holder: held.holder,
                    expires_at: held.expires_at,
                },
            );
        let reservations: Vec<_> = open.by_ref().take(limit.get()).collect();
        let more = open.next().is_some();
        let next = reservations.last().map(|last| last.id).filter(|_| more);
        ReservationPage { reservations, next }
    }

    pub(super) fn heap_bytes(&self) -> usize {
        heap::tree(self.by_id.len(), size_of::<(ReservationId, Reservation)>())
            + heap::tree(self.by_expiry.len(), size_of::<(Timestamp, ReservationId)>())
    }
}

fn sum(mut pieces: impl Iterator<Item = Units>) -> Option<Units> {
    pieces.try_fold(Units::ZERO, Units::plus)
}

/// Reservations that were released before they were made, each until its mark is forgotten.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ReleaseMarkers(BTreeMap<ReservationId, Timestamp>);

impl ReleaseMarkers {
    pub(crate) fn restore(markers: BTreeMap<ReservationId, Timestamp>) -> Option<Self> {
        (markers.len() <= Sku::RELEASE_MARKERS_MAX).then_some(Self(markers))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (ReservationId, Timestamp)> {
        self.0.iter().map(|(id, until)| (*id, *until))
    }

    pub(super) fn refuses(&self, id: ReservationId, now: Timestamp) -> bool {
        self.0.get(&id).is_some_and(|until| *until > now)
    }

    /// What a new mark takes the place of: those past their time, else the oldest of a full house.
    pub(super) fn forgettable(&self, now: Timestamp) -> Vec<ReservationId> {
        let past: Vec<_> =
            self.iter().filter(|(_, until)| *until <= now).map(|(id, _)| id).collect();
        if !past.is_empty() || self.0.len() < Sku::RELEASE_MARKERS_MAX {
            return past;
        }
        self.iter().min_by_key(|(id, until)| (*until, *id)).map(|(id, _)| id).into_iter().collect()
    }

    pub(super) fn replace(
        &mut self,
        forgotten: &[ReservationId],
        id: ReservationId,
        until: Timestamp,
    ) {
        for id in forgotten {
            self.0.remove(id);
        }
        self.0.insert(id, until);
    }

    pub(super) fn heap_bytes(&self) -> usize {
        heap::tree(self.0.len(), size_of::<(ReservationId, Timestamp)>())
    }
}
