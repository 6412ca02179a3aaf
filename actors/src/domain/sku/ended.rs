//! How reservations ended, so that a late repeat of a command meets the end and not a new beginning.
//!
//! **Invariants:** in order of time; each id once; at most [`Ended::ENTRIES_MAX`], of the last
//! [`Ended::LIFE`].
//!
//! It is searched from end to end: a thousand entries lie side by side in memory, and a second
//! order to search by would have to be copied whenever a turn begins.

use std::collections::{BTreeSet, VecDeque};

use cluster::time::{Span, Timestamp};
use serde::{Deserialize, Serialize};

use super::Rejection;
use crate::domain::heap;
use crate::domain::ids::ReservationId;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum End {
    Sold,
    Released,
    Expired,
    /// It was released before it was made.
    ReleasedBefore,
}

impl From<End> for Rejection {
    fn from(end: End) -> Self {
        match end {
            End::Sold => Self::AlreadyConfirmed,
            End::Released | End::ReleasedBefore => Self::ReleasedBefore,
            End::Expired => Self::Expired,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct EndedReservation {
    pub(crate) id: ReservationId,
    pub(crate) end: End,
    pub(crate) at: Timestamp,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ended(VecDeque<EndedReservation>);

impl Ended {
    /// Part of `apply`, as is the life, so a change needs a new event.
    pub(crate) const ENTRIES_MAX: usize = 1_000;
    /// No command is carried out later than this after it was sent.
    pub(crate) const LIFE: Span = Span::from_secs(24 * 60 * 60);

    /// What a stock could remember; the error says why it could not.
    pub(crate) fn restore(entries: VecDeque<EndedReservation>) -> Result<Self, &'static str> {
        if entries.len() > Self::ENTRIES_MAX {
            return Err("a sku remembers too many ended reservations");
        }
        if !entries.iter().is_sorted_by_key(|entry| entry.at) {
            return Err("the ended reservations of a sku are not in order of time");
        }
        let ids: BTreeSet<_> = entries.iter().map(|entry| entry.id).collect();
        if ids.len() < entries.len() {
            return Err("a reservation of a sku has ended twice");
        }
        Ok(Self(entries))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &EndedReservation> {
        self.0.iter()
    }

    /// How a reservation ended, if that is remembered.
    pub(super) fn end_of(&self, id: ReservationId, now: Timestamp) -> Option<End> {
        let found = self.0.iter().find(|entry| entry.id == id)?;
        (now < found.at.plus(Self::LIFE)).then_some(found.end)
    }

    pub(super) fn remember(&mut self, id: ReservationId, end: End, at: Timestamp) {
        self.forget_before(at);
        if self.0.len() >= Self::ENTRIES_MAX {
            self.0.pop_front();
        }
        self.0.reserve_exact(heap::growth(self.0.len(), self.0.capacity()));
        self.0.push_back(EndedReservation { id, end, at });
    }

    pub(super) fn forget_before(&mut self, now: Timestamp) {
        while self.0.pop_front_if(|entry| entry.at.plus(Self::LIFE) <= now).is_some() {}
        if heap::is_roomy(self.0.len(), self.0.capacity()) {
            self.0.shrink_to(self.0.len() * 2);
        }
    }

    pub(super) fn heap_bytes(&self) -> usize {
        heap::allocation(self.0.capacity() * size_of::<EndedReservation>())
    }
}
