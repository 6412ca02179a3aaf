//! What a payment tells its order.
//!
//! **Invariants:** whatever an order asks for comes to news, a refusal too; each piece of news is
//! told once, in the order in which it happened.

use serde::{Deserialize, Serialize};

use super::{Refusal, Rejection};
use crate::domain::ids::{CaptureId, RefundId};
use crate::domain::money::Money;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum News {
    Authorised {
        amount: Money,
    },
    /// For good: what was in doubt is not in doubt any more, and nothing is held.
    Declined {
        reason: Refusal,
    },
    Captured {
        capture: CaptureId,
        amount: Money,
        /// Of all captures.
        total: Money,
    },
    CaptureFailed {
        capture: CaptureId,
        amount: Money,
        reason: Reason,
    },
    Refunded {
        refund: RefundId,
        amount: Money,
        /// Of all refunds.
        total: Money,
    },
    RefundFailed {
        refund: RefundId,
        amount: Money,
        reason: Reason,
    },
    /// Nothing is held, nothing is kept, and nothing is under way.
    Cancelled,
    /// Something is still held or kept. Another `Cancel` tries again.
    CancelFailed {
        reason: Reason,
    },
    /// An operator wants the payment given up. The order tells it to, unless it is taking the money.
    VoidAsked,
}

/// Why something did not happen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Reason {
    #[error("{0}")]
    Provider(Refusal),
    /// It was never asked of the provider.
    #[error("{0}")]
    Rule(Rejection),
}
