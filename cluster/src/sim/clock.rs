//! A node's own clock: it runs fast or slow, and is set wrong now and then.
//!
//! **Invariants:** between two settings it never runs backwards.

use crate::time::{Span, Timestamp};

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct SimClock {
    /// Parts in a million by which it runs fast.
    fast_ppm: u64,
    /// How far it was set ahead, and behind.
    ahead: Span,
    behind: Span,
    /// How long the machine slept: its clock was right when it woke.
    slept: Span,
}

impl SimClock {
    pub(crate) fn new(fast_ppm: u64) -> Self {
        Self { fast_ppm, ..Self::default() }
    }

    pub(crate) fn read(&self, now: Timestamp) -> Timestamp {
        let since = now.minus(self.slept).since(Timestamp::ZERO).as_micros();
        let drift = Span::from_micros(since / 1_000_000 * self.fast_ppm);
        now.plus(drift).plus(self.ahead).minus(self.behind)
    }

    pub(crate) fn sleep(&mut self, span: Span) {
        self.slept = self.slept.plus(span);
    }

    pub(crate) fn set(&mut self, ahead: Span, behind: Span) {
        (self.ahead, self.behind) = (ahead, behind);
    }
}
