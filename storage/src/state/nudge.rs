//! Waking sled where it waits for what never comes.
//!
//! sled 0.34.7 waits without end for a write that fails in the thread in which a reservation ends: the
//! failure is noted there and nobody is told. Whoever asks for a flush after that is refused at once,
//! and the others are woken with it.
//!
//! **Invariants:** whoever lets go of sled takes it from here first, or its files would stay locked.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sled::Db;

/// What runs this long may wait for what has failed; then again after twice as long.
const FIRST_AFTER: Duration = Duration::from_secs(1);

/// A way to sled beside its owner's.
#[derive(Clone, Default)]
pub(super) struct SideDoor(Arc<Mutex<Option<Db>>>);

impl SideDoor {
    pub(super) fn open_to(&self, db: &Db) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(db.clone());
    }

    pub(super) fn close(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    /// Asks sled for a flush in a thread of its own, which may have to wait as well.
    fn nudge(&self) {
        let Some(db) = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone() else {
            return;
        };
        // What sled says to it the owner hears too; a panic ends this thread alone.
        let ask = move || drop(db.flush());
        drop(std::thread::Builder::new().name("state-index-nudge".to_owned()).spawn(ask));
    }
}

/// When to nudge during one job.
#[derive(Default)]
pub(super) struct Nudges {
    given: u32,
}

impl Nudges {
    /// Nudges if a job that runs for so long is due for it. Each time a thread more may be waiting, so
    /// the pauses double.
    pub(super) fn look(&mut self, running_for: Duration, door: &SideDoor) {
        if running_for >= FIRST_AFTER.saturating_mul(1_u32 << self.given.min(30)) {
            self.given += 1;
            door.nudge();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_job_is_nudged_less_and_less_often() {
        let (mut nudges, door) = (Nudges::default(), SideDoor::default());
        let mut given = Vec::new();
        for second in 0..40 {
            let before = nudges.given;
            nudges.look(Duration::from_secs(second), &door);
            given.extend((nudges.given > before).then_some(second));
        }
        assert_eq!(given, [1, 2, 4, 8, 16, 32]);
    }
}
