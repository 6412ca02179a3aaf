//! Word that a stock runs low, for whoever orders more of it.
//!
//! **Invariants:** word is given once each time that what is available falls to the threshold or
//! below it, and when a threshold is set that it is below already; never while it stays there.

use cluster::entity::Effect;

use super::{Level, Sku};
use crate::domain::published::StockFact;

impl Level {
    /// Whether no more is available than the threshold says.
    pub fn is_low(&self) -> bool {
        self.low_stock_at.is_some_and(|threshold| self.available <= threshold)
    }
}

impl Sku {
    /// What is to be published of a change.
    pub(super) fn low_stock_fact(&self, after: &Level) -> Option<Effect> {
        let threshold = after.low_stock_at?;
        // As it was recorded: what expired since is no news of its own.
        let has_become_low = after.is_low() && !self.recorded().is_low();
        let fact = StockFact::RanLow { available: after.available, threshold };
        has_become_low.then(|| fact.into())
    }
}
