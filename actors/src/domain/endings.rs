//! What ended for orders at an entity that is limited, and does not begin again: a hold that comes after
//! its release is refused.
//!
//! **Invariants:** in order of time, each order once; the newest [`Endings::MAX`] are remembered, each for
//! a day, since no command is carried out later than that after it was sent.
//!
//! Both bounds are part of `apply` wherever this is used, so a change of one needs new events.

use std::collections::VecDeque;

use cluster::time::{Span, Timestamp};

use super::heap;
use super::ids::OrderId;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Endings(pub(crate) VecDeque<(OrderId, Timestamp)>);

impl Endings {
    pub(crate) const MAX: usize = 1_000;
    pub(crate) const LIFE: Span = Span::from_secs(24 * 60 * 60);

    pub(crate) fn has(&self, order: OrderId, now: Timestamp) -> bool {
        self.0.iter().any(|(known, at)| *known == order && now < at.plus(Self::LIFE))
    }

    pub(crate) fn add(&mut self, order: OrderId, at: Timestamp) {
        self.forget_before(at);
        if self.0.len() >= Self::MAX {
            self.0.pop_front();
        }
        self.0.push_back((order, at));
    }

    pub(crate) fn forget_before(&mut self, now: Timestamp) {
        while self.0.pop_front_if(|(_, at)| at.plus(Self::LIFE) <= now).is_some() {}
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (OrderId, Timestamp)> {
        self.0.iter().copied()
    }

    pub(crate) fn heap_bytes(&self) -> usize {
        heap::allocation(self.0.capacity() * size_of::<(OrderId, Timestamp)>())
    }
}
