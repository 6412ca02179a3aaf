//! When the timers of a shard's entities are due.
//!
//! **Invariants:** holds exactly the timers that the records hold, whether a record is in memory or
//! not; it is derived from them and never stored.

use std::collections::BTreeSet;

use crate::entity::TimerName;
use crate::ids::EntityRef;
use crate::shard::entry::Cursor;
use crate::shard::record::Timer;
use crate::time::Timestamp;

#[derive(Default)]
pub(crate) struct TimerQueue {
    due: BTreeSet<(Timestamp, EntityRef, TimerName, Cursor)>,
}

/// One timer that is due.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Due {
    pub(crate) entity: EntityRef,
    pub(crate) name: TimerName,
    pub(crate) set_at: Cursor,
}

impl TimerQueue {
    pub(crate) fn insert(&mut self, entity: &EntityRef, name: TimerName, timer: Timer) {
        self.due.insert((timer.at, entity.clone(), name, timer.set_at));
    }

    pub(crate) fn remove(&mut self, entity: &EntityRef, name: TimerName, timer: Timer) {
        self.due.remove(&(timer.at, entity.clone(), name, timer.set_at));
    }

    pub(crate) fn due(&self, now: Timestamp) -> impl Iterator<Item = Due> {
        self.due.iter().take_while(move |(at, ..)| *at <= now).map(|(_, entity, name, set_at)| {
            Due { entity: entity.clone(), name: *name, set_at: *set_at }
        })
    }

    /// When the first one is due.
    pub(crate) fn next(&self) -> Option<Timestamp> {
        self.due.first().map(|(at, ..)| *at)
    }

    pub(crate) fn len(&self) -> usize {
        self.due.len()
    }
}
