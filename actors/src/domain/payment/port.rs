//! What is asked of a payment provider, and what it answers.
//!
//! **Invariants:** an operation has one number for the life of its payment, so its reference names
//! it at the provider for ever; an answer says which operation it is about, because answers and
//! notices come in any order.

use std::fmt;
use std::str::FromStr;

use cluster::entity::Port;
use serde::{Deserialize, Serialize};

use super::method::{ProviderName, ProviderReference, ProviderToken};
use crate::domain::ids::{OrderId, PaymentId};
use crate::domain::money::Money;
use crate::domain::quantity::OutOfBounds;

/// The door to payment providers.
pub const PORT: Port = Port(1);

/// Counts what was asked of the provider about one payment, from one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u32")]
pub struct OperationNumber(u32);

impl TryFrom<u32> for OperationNumber {
    type Error = OutOfBounds;

    fn try_from(number: u32) -> Result<Self, OutOfBounds> {
        let (what, max) = ("the number of an operation", i64::from(u32::MAX));
        if number > 0 { Ok(Self(number)) } else { Err(OutOfBounds { what, min: 1, max }) }
    }
}

impl OperationNumber {
    pub const FIRST: Self = Self(1);

    pub const fn get(self) -> u32 {
        self.0
    }

    pub(crate) const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

/// Our name of one operation at a provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct OperationReference {
    pub payment: PaymentId,
    pub number: OperationNumber,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the reference of an operation is a payment id, a hyphen and a number from one")]
pub struct InvalidOperationReference;

impl fmt::Display for OperationReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.payment, self.number.0)
    }
}

impl FromStr for OperationReference {
    type Err = InvalidOperationReference;

    fn from_str(text: &str) -> Result<Self, InvalidOperationReference> {
        let (payment, digits) = text.split_once('-').ok_or(InvalidOperationReference)?;
        let payment = payment.parse().map_err(|_| InvalidOperationReference)?;
        let number: u32 = digits.parse().map_err(|_| InvalidOperationReference)?;
        let number = OperationNumber::try_from(number).map_err(|_| InvalidOperationReference)?;
        // One text form: neither a sign nor zeros in front.
        let is_exact = digits.starts_with(|first| matches!(first, '1'..='9'));
        if is_exact { Ok(Self { payment, number }) } else { Err(InvalidOperationReference) }
    }
}

/// One thing to do, at one provider.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProviderRequest {
    pub provider: ProviderName,
    pub reference: OperationReference,
    pub action: Action,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Action {
    /// Holds an amount of the shopper's money.
    Authorise { amount: Money, token: ProviderToken, order: OrderId },
    /// Takes some of what is held.
    Capture { amount: Money, authorisation: ProviderReference },
    /// Gives up what is held and not taken.
    Void {
        authorisation: ProviderReference,
        /// What was taken, in all; a provider that knows better has not given up anything.
        captured: Money,
    },
    /// Gives back some of what was taken.
    Refund { amount: Money, authorisation: ProviderReference, captures: Vec<CapturedPart> },
    /// Says what became of a refund that was pending. Asks for nothing new.
    CheckRefund {
        refund: ProviderReference,
        /// The operation that asked for it.
        asked_as: OperationNumber,
    },
}

/// One capture, for providers that refund captures and not authorisations.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CapturedPart {
    pub capture: ProviderReference,
    pub amount: Money,
}

/// What an operation came to, for good. Whatever is in doubt is no answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProviderAnswer {
    pub operation: OperationNumber,
    pub outcome: Outcome,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    Done {
        reference: ProviderReference,
    },
    Refused(Refusal),
    /// Of refunds alone: taken on, and done or refused later.
    Pending {
        reference: ProviderReference,
    },
}

/// Why a provider said no.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Refusal {
    #[error("the payment was declined")]
    Declined,
    #[error("there is not enough money")]
    InsufficientFunds,
    #[error("the means of payment has expired")]
    MethodExpired,
    #[error("the means of payment is not valid")]
    MethodInvalid,
    #[error("the shopper must authenticate with the provider")]
    AuthenticationRequired,
    #[error("the provider suspects fraud")]
    SuspectedFraud,
    /// The state of the payment at the provider does not allow it.
    #[error("the provider does not allow this any more")]
    NotPossible,
    #[error("there is no such provider")]
    UnknownProvider,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_has_one_text_form() {
        let payment = PaymentId::from_bytes([7; 16]);
        let reference = OperationReference { payment, number: OperationNumber(12) };
        let text = reference.to_string();
        assert_eq!(text, format!("{payment}-12"));
        assert_eq!(text.parse(), Ok(reference));
        let with = |number: &str| format!("{payment}-{number}");
        for bad in ["", "-1", &with(""), &with("0"), &with("+1"), &with("01"), &with("1-1")] {
            assert_eq!(bad.parse::<OperationReference>(), Err(InvalidOperationReference), "{bad}");
        }
    }
}
