//! The machine's clock as far as it is believed.
//!
//! **Invariants:** one step forward counts for a minute at most; the rest is caught up with slowly.
//! A clock set wrong for a moment must not end every reservation of the shop.

use crate::time::{Span, Timestamp};

/// Further off from what most nodes agree on, a node gives up leadership.
pub(crate) const OFF_MAX: Span = Span::from_secs(5);
/// Two nodes that lead are no further apart.
pub(crate) const APART_MAX: Span = OFF_MAX.plus(OFF_MAX);
/// A clock that jumps further than this between two readings is not believed at once.
const STEP_MAX: Span = Span::from_secs(60);
/// How much of the doubt a tick takes away.
const CATCH_UP_PER_TICK: Span = Span::from_millis(100);

#[derive(Default)]
pub(crate) struct BelievedClock {
    last: Timestamp,
    /// How far the clock is ahead of what is believed.
    doubt: Span,
}

impl BelievedClock {
    /// The believed time of a reading, and the jump when there was one.
    pub(crate) fn read(&mut self, now: Timestamp) -> (Timestamp, Option<Span>) {
        let step = now.since(self.last);
        let jumped = self.last > Timestamp::ZERO && step > STEP_MAX;
        if jumped {
            self.doubt = self.doubt.plus(step.minus(STEP_MAX));
        }
        // A step back takes back what was doubted.
        self.doubt = self.doubt.minus(self.last.since(now));
        self.last = now;
        (now.minus(self.doubt), jumped.then_some(step))
    }

    /// How far the clock is ahead of what is believed.
    pub(crate) fn doubt(&self) -> Span {
        self.doubt
    }

    /// Whether nothing of its last reading is in doubt.
    pub(crate) fn is_believed(&self) -> bool {
        self.doubt == Span::default()
    }

    pub(crate) fn tick(&mut self) {
        self.doubt = self.doubt.minus(CATCH_UP_PER_TICK);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn second(n: u64) -> Timestamp {
        Timestamp::from_micros(n * 1_000_000)
    }

    #[test]
    fn an_hour_ahead_counts_for_a_minute_and_back_is_back() {
        let mut clock = BelievedClock::default();
        assert_eq!(clock.read(second(10_000)), (second(10_000), None));
        assert_eq!(clock.read(second(10_030)), (second(10_030), None));
        let hour = Span::from_secs(3_600);
        assert_eq!(clock.read(second(13_630)), (second(10_090), Some(hour)));
        assert_eq!(clock.read(second(13_631)), (second(10_091), None));
        assert_eq!(clock.read(second(10_031)), (second(10_031), None));
    }

    #[test]
    fn a_jump_is_caught_up_with_tick_by_tick() {
        let mut clock = BelievedClock::default();
        clock.read(second(10_000));
        clock.read(second(10_070));
        for _ in 0..99 {
            clock.tick();
        }
        assert_eq!(clock.read(second(10_070)).0, Timestamp::from_micros(10_069_900_000));
        clock.tick();
        assert_eq!(clock.read(second(10_070)).0, second(10_070));
    }
}
