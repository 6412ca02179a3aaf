//! How the simulator misbehaves: as its settings and the tokens say, and as often in every run.
//!
//! **Invariants:** what happens follows from the seed, the reference and the attempt alone; whether
//! an operation is refused does not depend on the attempt.

use super::wire::{Reason, Reference};

/// A share of all cases: 0 to 100.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Percent(u8);

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a percentage is a whole number from 0 to 100")]
pub struct InvalidPercent;

impl TryFrom<u8> for Percent {
    type Error = InvalidPercent;

    fn try_from(percent: u8) -> Result<Self, InvalidPercent> {
        if percent <= 100 { Ok(Self(percent)) } else { Err(InvalidPercent) }
    }
}

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

/// What becomes of one attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    Prompt,
    /// Nothing is done, and there is no answer.
    Lost,
    /// It is done, and there is no answer.
    Late,
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
        let payment = reference.0.payment;
        let parts = [
            &self.seed.to_le_bytes()[..],
            what.as_bytes(),
            payment.as_bytes(),
            &reference.0.number.get().to_le_bytes(),
            &attempt.to_le_bytes(),
        ];
        mixed(parts.into_iter().flatten()) % 100 < u64::from(share.0)
    }
}

/// FNV-1a, and a finish that spreads it; chance of this quality is enough here.
fn mixed<'a>(bytes: impl Iterator<Item = &'a u8>) -> u64 {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for byte in bytes {
        hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    }
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash ^ (hash >> 33)
}
