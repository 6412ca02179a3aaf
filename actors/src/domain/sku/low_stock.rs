//! Word that a stock runs low, for whoever orders more of it.
//!
//! **Invariants:** word is given once each time that what is available falls to the threshold or
//! below it, never while it stays there, and at most once in [`Sku::LOW_STOCK_EVERY`]: of a stock that
//! falls sooner after the last word, it is given when that time has passed, if the stock is low then.

use cluster::entity::{Effect, TimerName};
use cluster::time::{Span, Timestamp};
use serde::{Deserialize, Serialize};

use super::{Event, Level, Sku};
use crate::domain::published::StockFact;

/// The last word that was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Word {
    /// The stock has been low since.
    Holds { given: Timestamp },
    /// The stock was not low at some time since.
    Over { given: Timestamp },
}

impl Word {
    pub(super) fn over(self) -> Self {
        let (Self::Holds { given } | Self::Over { given }) = self;
        Self::Over { given }
    }
}

impl Level {
    /// Whether no more is available than the threshold says.
    pub fn is_low(&self) -> bool {
        self.low_stock_at.is_some_and(|threshold| self.available <= threshold)
    }
}

impl Sku {
    pub(super) const LOW_STOCK: TimerName = TimerName(2);
    /// What sells and comes back by the minute is one thing to know for whoever orders more.
    pub const LOW_STOCK_EVERY: Span = Span::from_secs(60 * 60);

    /// What a change is to those who want word, and what is to be done about it.
    pub(super) fn word_after(
        &self,
        level: &Level,
        now: Timestamp,
    ) -> (Option<Event>, Option<Effect>) {
        let Some(threshold) = level.low_stock_at.filter(|_| level.is_low()) else {
            let held = matches!(self.low_stock_word, Some(Word::Holds { .. }));
            return (held.then_some(Event::RanLowNoMore { at: now }), None);
        };
        let due = match self.low_stock_word {
            Some(Word::Holds { .. }) => return (None, None),
            Some(Word::Over { given }) => given.plus(Self::LOW_STOCK_EVERY),
            None => now,
        };
        if due <= now {
            let fact = StockFact::RanLow { available: level.available, threshold };
            return (Some(Event::RanLow { at: now }), Some(fact.into()));
        }
        // While the stock stays low the timer is set already.
        let falls = !self.recorded().is_low();
        (None, falls.then_some(Effect::SetTimer { name: Self::LOW_STOCK, at: due }))
    }
}
