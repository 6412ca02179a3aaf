//! How the simulator misbehaves: as its settings and the tokens say, and as often in every run.
//!
//! **Invariants:** what happens follows from the seed, the reference and the attempt alone; whether
//! an operation is refused does not depend on the attempt.

use super::wire::{Reason, Reference};
use crate::providers::chance::{Manner, Percent};

#[derive(Clone, Debug, Default)]
pub struct Behaviour {
    pub seed: u64,
    /// Of authorisations.
    pub declines: Percent,
    /// Of attempts: nothing is done, and there is no answer.
    pub timeouts: Percent,
    /// Of attempts: it is done, and there is no answer.
    pub late_successes: Percent,
    /// Of notices: sent twice, or after a later one.
    pub odd_notices: Percent,
}

impl Behaviour {
    pub(crate) fn refusal(&self, reference: Reference, token: &str) -> Option<Reason> {
        match token {
            "tok_decline" => Some(Reason::Declined),
            "tok_insufficient_funds" => Some(Reason::InsufficientFunds),
            "tok_expired" => Some(Reason::Expired),
            "tok_authentication_required" => Some(Reason::AuthenticationRequired),
            "tok_fraud" => Some(Reason::SuspectedFraud),
            // The others behave as the settings say, or in the manner that they name.
            known if known.starts_with("tok_") => {
                self.falls_on(self.declines, "decline", reference, 0).then_some(Reason::Declined)
            }
            _ => Some(Reason::Invalid),
        }
    }

    /// The `attempt` counts from zero.
    pub(crate) fn manner(&self, reference: Reference, token: Option<&str>, attempt: u32) -> Manner {
        match (token, attempt) {
            (Some("tok_timeout"), 0..2) => Manner::Lost,
            (Some("tok_late_success"), 0..2) => Manner::Late,
            (_, _) if self.falls_on(self.timeouts, "timeout", reference, attempt) => Manner::Lost,
            (_, _) if self.falls_on(self.late_successes, "late", reference, attempt) => {
                Manner::Late
            }
            (_, _) => Manner::Prompt,
        }
    }

    pub(crate) fn is_odd_notice(&self, reference: Reference) -> bool {
        self.falls_on(self.odd_notices, "notice", reference, 0)
    }

    fn falls_on(&self, share: Percent, what: &str, reference: Reference, attempt: u32) -> bool {
        let (payment, number) = (reference.0.payment, reference.0.number.get());
        let of = [&payment.as_bytes()[..], &number.to_le_bytes()].concat();
        share.has(self.seed, what, &of, attempt)
    }
}
