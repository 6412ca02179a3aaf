//! What a stock says to orders that want more than there is.
//!
//! **Invariants:** what is promised at once, to all orders together, is bounded; the bound concerns
//! new promises alone: what was promised under another policy stays promised.

use cluster::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::domain::quantity::Units;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Policy {
    /// Only what is there is sold.
    #[default]
    Deny,
    /// Pieces that are to come are promised.
    Backorder { limit: Option<Units> },
    /// As with backorders until the thing is out; from then on only what is there is sold.
    Preorder { available_from: Option<Timestamp>, limit: Option<Units> },
}

impl Policy {
    /// How many pieces may be promised at once.
    pub(super) fn promised_max(self, now: Timestamp) -> Units {
        let limit = match self {
            Self::Deny => return Units::ZERO,
            Self::Preorder { available_from: Some(from), .. } if from <= now => return Units::ZERO,
            Self::Backorder { limit } | Self::Preorder { limit, .. } => limit,
        };
        limit.or_else(|| Units::try_from(Units::MAX).ok()).unwrap_or_default()
    }
}
