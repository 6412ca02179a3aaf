//! When a provider that does not answer is left alone for a while.
//!
//! **Invariants:** after [`FAILURES_MAX`] failures in a row nothing is sent for [`REST`]; then one
//! attempt goes out, and the others wait for what becomes of it.

use std::time::{Duration, Instant};

const FAILURES_MAX: u32 = 5;
const REST: Duration = Duration::from_secs(5);
/// An attempt without an end is counted as failed after this, or no other would ever be made.
const TRIAL_MAX: Duration = Duration::from_secs(90);

#[derive(Debug, Default)]
pub(super) struct Breaker {
    failures: u32,
    closed_again_at: Option<Instant>,
}

impl Breaker {
    /// Whether an attempt may be made. Whoever may, says how it ended.
    pub(super) fn admit(&mut self, now: Instant) -> bool {
        match self.closed_again_at {
            None => true,
            Some(at) if now < at => false,
            Some(_) => {
                self.closed_again_at = Some(now + TRIAL_MAX);
                true
            }
        }
    }

    /// Whether nothing would be sent. When the rest is over, the next one is the trial.
    pub(super) fn rests(&self, now: Instant) -> bool {
        self.closed_again_at.is_some_and(|at| now < at)
    }

    pub(super) fn succeeded(&mut self) {
        *self = Self::default();
    }

    pub(super) fn failed(&mut self, now: Instant) {
        self.failures = self.failures.saturating_add(1);
        if self.failures >= FAILURES_MAX {
            self.closed_again_at = Some(now + REST);
        }
    }
}

#[cfg(test)]
mod tests {
    use storage::clock;

    use super::*;

    #[test]
    fn a_silent_provider_is_tried_once_in_a_while() {
        let start = clock::monotonic();
        let mut breaker = Breaker::default();
        for _ in 1..FAILURES_MAX {
            assert!(breaker.admit(start));
            breaker.failed(start);
        }
        assert!(breaker.admit(start));
        breaker.failed(start);
        assert!(breaker.rests(start));
        assert!(!breaker.admit(start + REST - Duration::from_millis(1)));
        assert!(breaker.admit(start + REST), "one goes out");
        assert!(breaker.rests(start + REST), "until it is known how that went");
        assert!(!breaker.admit(start + REST), "the others wait");
        breaker.failed(start + REST);
        assert!(!breaker.admit(start + REST));
        assert!(breaker.admit(start + REST * 2));
        breaker.succeeded();
        assert!(!breaker.rests(start + REST * 2));
        assert!(breaker.admit(start + REST * 2) && breaker.admit(start + REST * 2));
    }

    #[test]
    fn a_trial_that_never_ends_is_not_waited_for_for_ever() {
        let start = clock::monotonic();
        let mut breaker = Breaker::default();
        (0..FAILURES_MAX).for_each(|_| breaker.failed(start));
        assert!(breaker.admit(start + REST));
        assert!(!breaker.admit(start + REST + TRIAL_MAX - Duration::from_millis(1)));
        assert!(breaker.admit(start + REST + TRIAL_MAX));
    }
}
