//! A replica that should not lead, although it could: it does not apply what is committed, or its
//! node's clock is wrong.
//!
//! **Invariants:** it hands leadership to a live voter and lets others stand first, and leads all the
//! same where nobody else can: a bad leader is better than none. Only a lack of progress counts as
//! being stuck: loads of cold entities that take their time do not, as long as one after the other
//! ends.

use crate::shard::core::ShardCore;

/// Ticks without any progress after which applying counts as stuck: ten seconds.
const STUCK_TICKS: u64 = 100;
/// Between attempts to hand over. When nobody is fit to lead, leadership does not go round and round
/// faster than this.
const TICKS_PER_HAND_OVER: u64 = 50;

#[derive(Default)]
pub(crate) struct Reluctance {
    clock_is_off: bool,
    /// What was applied when there last was progress.
    applied: u64,
    ticks_without_progress: u64,
    /// It was time to hand over, and nobody could be handed to just then: a leader forgets now and
    /// then who answered it, and may do so whenever it is time.
    hand_over_is_due: bool,
}

impl ShardCore {
    /// Committed entries that are not in every record yet.
    pub fn apply_lag(&self) -> u64 {
        self.group.commit().saturating_sub(self.applied_throughout())
    }

    /// Whether something committed was not applied for a long time, and nothing after it either.
    pub fn is_stuck(&self) -> bool {
        self.reluctance.ticks_without_progress >= STUCK_TICKS
    }

    /// Everything at or before this index is in the records it belongs to.
    fn applied_throughout(&self) -> u64 {
        let waits_for_load = self.loads.oldest_outcome();
        waits_for_load.map_or(self.applied.0, |index| index.saturating_sub(1))
    }

    pub(crate) fn set_clock_is_off(&mut self, clock_is_off: bool) {
        self.reluctance.clock_is_off = clock_is_off;
        self.group.set_reluctant(self.is_reluctant());
    }

    pub(crate) fn is_reluctant(&self) -> bool {
        self.reluctance.clock_is_off || self.is_stuck()
    }

    pub(crate) fn tick_reluctance(&mut self, ticks: u64) {
        let applied = self.applied_throughout();
        let stands = applied == self.reluctance.applied && applied < self.group.commit();
        self.reluctance.applied = applied;
        self.reluctance.ticks_without_progress =
            if stands { self.reluctance.ticks_without_progress.saturating_add(1) } else { 0 };
        let is_reluctant = self.is_reluctant();
        self.group.set_reluctant(is_reluctant);
        let is_time = self.reluctance.hand_over_is_due || ticks.is_multiple_of(TICKS_PER_HAND_OVER);
        let is_due = is_reluctant && is_time && self.group.is_leader();
        self.reluctance.hand_over_is_due = is_due && !self.group.hand_over();
    }
}
