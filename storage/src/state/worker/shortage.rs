//! [`Shortage`]: a time in which the disk has no space for what the index is to write.

use std::time::{Duration, Instant};

use crate::state::IndexFault;

/// Between looks at whether there is space again.
const PAUSE: Duration = Duration::from_millis(500);
/// Between tries to open sled, which take from a disk that is full.
const PAUSE_MAX: Duration = Duration::from_secs(16);
/// How long sled may fail to open for another reason, such as that the old one holds its files.
const UNOPENED_MAX: Duration = Duration::from_secs(60);

pub(super) struct Shortage {
    pub(super) fault: IndexFault,
    /// Whether sled answers reads meanwhile.
    pub(super) is_readable: bool,
    pub(super) next_try: Instant,
    pause: Duration,
    /// Since when sled does not open, and not for want of space.
    unopened_since: Option<Instant>,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Tried {
    GoesOn,
    Ends,
}

/// The pause after a pause that was in vain.
pub(super) fn longer(pause: Duration) -> Duration {
    (pause * 2).clamp(PAUSE, PAUSE_MAX)
}

impl Shortage {
    pub(super) fn new(fault: IndexFault, first_pause: Duration, now: Instant) -> Self {
        let next_try = now + first_pause;
        Self { fault, is_readable: false, next_try, pause: PAUSE, unopened_since: None }
    }

    /// A read met it again.
    pub(super) fn goes_on(&mut self, now: Instant) {
        self.is_readable = false;
        self.next_try = now + self.pause;
    }

    /// The index was tried: what it refuses all calls for, and whether there is space.
    pub(super) fn tried(
        &mut self,
        refuses: Option<&IndexFault>,
        space: Result<(), IndexFault>,
        now: Instant,
    ) -> Tried {
        self.is_readable = refuses.is_none();
        match (refuses, space) {
            (None, Ok(())) => {
                tracing::info!("the state index has space again");
                return Tried::Ends;
            }
            (None, Err(fault)) if !fault.is_storage_full() => {
                tracing::warn!(%fault, "no space can be put by for the state index");
                return Tried::Ends;
            }
            (None, Err(_)) => {
                (self.pause, self.unopened_since) = (PAUSE, None);
            }
            (Some(fault), _) => {
                if !self.may_pass(fault, now) {
                    // Whoever comes next is told.
                    tracing::error!(%fault, "the state index did not survive that it found no space");
                    return Tried::Ends;
                }
                self.pause = longer(self.pause);
            }
        }
        self.next_try = now + self.pause;
        Tried::GoesOn
    }

    fn may_pass(&mut self, fault: &IndexFault, now: Instant) -> bool {
        if fault.is_storage_full() {
            self.unopened_since = None;
            return true;
        }
        let since = *self.unopened_since.get_or_insert(now);
        fault.may_pass() && now.saturating_duration_since(since) < UNOPENED_MAX
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::path::Path;

    use super::*;
    use crate::clock;

    fn full() -> IndexFault {
        IndexFault::io("writing", Path::new("x"), io::ErrorKind::StorageFull.into())
    }

    #[test]
    fn a_shortage_ends_with_space_or_a_fault_that_does_not_pass() {
        let now = clock::monotonic();
        let mut shortage = Shortage::new(full(), Duration::ZERO, now);
        assert_eq!(shortage.next_try, now);
        let late = IndexFault::OpenTimedOut { deadline: PAUSE };
        for (refuses, readable, pause) in [
            (Some(full()), false, PAUSE * 2),
            (Some(full()), false, PAUSE * 4),
            (Some(late.clone()), false, PAUSE * 8),
            (None, true, PAUSE),
            (None, true, PAUSE),
        ] {
            assert_eq!(shortage.tried(refuses.as_ref(), Err(full()), now), Tried::GoesOn);
            assert_eq!((shortage.is_readable, shortage.next_try), (readable, now + pause));
        }
        shortage.goes_on(now);
        assert!(!shortage.is_readable);
        assert_eq!(shortage.tried(Some(&late), Err(late.clone()), now), Tried::GoesOn);
        let at_last = now + UNOPENED_MAX;
        assert_eq!(shortage.tried(Some(&late), Err(late.clone()), at_last), Tried::Ends);
        assert_eq!(shortage.tried(None, Ok(()), now), Tried::Ends);
        let other = IndexFault::ReservedShard;
        assert_eq!(shortage.tried(Some(&other), Err(other.clone()), now), Tried::Ends);
    }
}
