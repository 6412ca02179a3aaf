//! When a request to the outside world may simply be sent again.
//!
//! **Invariants:** what the other side may have forgotten is not sent again before it was asked.

use crate::mutants::Mutant;
use crate::time::{Span, Timestamp};

/// When an attempt may simply be repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetryRule {
    /// The other side recognises the id for this long after the first attempt.
    Idempotent { horizon: Span },
    /// It does not: ask what became of the id before sending it again.
    AskFirst,
}

impl RetryRule {
    /// Whether to send without asking what became of it.
    pub(crate) fn may_send(self, now: Timestamp, asked_at: Timestamp, sent_before: bool) -> bool {
        match self {
            Self::Idempotent { horizon } => {
                now <= asked_at.plus(horizon) || Mutant::SentPastHorizon.is_planted()
            }
            Self::AskFirst => !sent_before,
        }
    }
}
