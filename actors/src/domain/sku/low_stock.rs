//! Word that a stock runs low, for whoever orders more of it.
//!
//! **Invariants:** word is given once each time that what is available falls to the threshold or
//! below it, and when a threshold is set that it is below already; never while it stays there.

use cluster::entity::{Effect, Topic, Wire};
use serde::{Deserialize, Serialize};

use super::{Level, Sku};
use crate::domain::quantity::Units;

/// What is published of a stock. Of which one, and when it happened, the feed says beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum StockFact {
    /// As few are available as the threshold says, or fewer, and were not before.
    RanLow { available: Units, threshold: Units },
}

impl Level {
    /// Whether no more is available than the threshold says.
    pub fn is_low(&self) -> bool {
        self.low_stock_at.is_some_and(|threshold| self.available <= threshold)
    }
}

impl Sku {
    /// Of facts about stocks.
    pub const TOPIC: Topic = Topic(4);

    /// What is to be published of a change.
    pub(super) fn low_stock_news(&self, after: &Level) -> Option<Effect> {
        let threshold = after.low_stock_at?;
        // As it was recorded: what expired since is no news of its own.
        if !after.is_low() || self.recorded().is_low() {
            return None;
        }
        let fact = StockFact::RanLow { available: after.available, threshold };
        Some(Effect::Publish { topic: Self::TOPIC, event: fact.to_bytes() })
    }
}
