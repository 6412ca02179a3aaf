//! The simulator's JSON: what it is asked, what it keeps, what it answers.
//!
//! **Invariants:** what was read is valid; a reference has one text form.

use actors::domain::payment::{
    Action, InvalidOperationReference, OperationReference, Outcome, ProviderAnswer,
    ProviderReference, ProviderRequest, ProviderToken, Refusal,
};
use actors::{Currency, Money};
use serde::{Deserialize, Serialize};

/// One thing that the simulator is asked to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Operation {
    pub(crate) reference: Reference,
    pub(crate) action: SimulatedAction,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum SimulatedAction {
    Authorise { amount: Amount, token: TokenText },
    Capture { amount: Amount, authorisation: ReferenceText },
    Void { authorisation: ReferenceText },
    Refund { amount: Amount, authorisation: ReferenceText },
}

/// What an operation came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Result {
    Done { id: ReferenceText },
    Refused { reason: Reason },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Reason {
    Declined,
    InsufficientFunds,
    Expired,
    Invalid,
    AuthenticationRequired,
    SuspectedFraud,
    NotPossible,
}

/// One line of the ledger, and the body of an answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Entry {
    /// Counts from one, without a gap.
    pub(crate) number: u64,
    pub(crate) key: String,
    pub(crate) operation: Operation,
    pub(crate) result: Result,
}

/// What a notice says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NoticeBody {
    pub(crate) event: String,
    pub(crate) entry: Entry,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct Reference(pub(crate) OperationReference);

impl TryFrom<String> for Reference {
    type Error = InvalidOperationReference;

    fn try_from(text: String) -> std::result::Result<Self, InvalidOperationReference> {
        text.parse().map(Self)
    }
}

impl From<Reference> for String {
    fn from(reference: Reference) -> Self {
        reference.0.to_string()
    }
}

/// Names of providers have the same text in JSON.
macro_rules! texts {
    ($($text:ident: $of:ty;)*) => {$(
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub(crate) struct $text(pub(crate) $of);

        impl TryFrom<String> for $text {
            type Error = <$of as TryFrom<String>>::Error;

            fn try_from(text: String) -> std::result::Result<Self, Self::Error> {
                <$of>::try_from(text).map(Self)
            }
        }

        impl From<$text> for String {
            fn from(text: $text) -> Self {
                text.0.as_str().to_owned()
            }
        }
    )*};
}

texts! {
    ReferenceText: ProviderReference;
    TokenText: ProviderToken;
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "RawAmount", into = "RawAmount")]
pub(crate) struct Amount(pub(crate) Money);

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawAmount {
    amount: i64,
    currency: String,
}

#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("an amount is above zero, in a currency of three capital letters")]
pub(crate) struct InvalidAmount;

impl TryFrom<RawAmount> for Amount {
    type Error = InvalidAmount;

    fn try_from(raw: RawAmount) -> std::result::Result<Self, InvalidAmount> {
        let currency: Currency = raw.currency.parse().map_err(|_| InvalidAmount)?;
        let money = Money { minor: raw.amount, currency };
        if money.minor > 0 { Ok(Self(money)) } else { Err(InvalidAmount) }
    }
}

impl From<Amount> for RawAmount {
    fn from(Amount(money): Amount) -> Self {
        Self { amount: money.minor, currency: money.currency.to_string() }
    }
}

/// The simulator does everything at once: no refund of its is ever pending.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the simulator has no refund that is pending")]
pub(crate) struct NeverPending;

impl TryFrom<&ProviderRequest> for Operation {
    type Error = NeverPending;

    fn try_from(request: &ProviderRequest) -> std::result::Result<Self, NeverPending> {
        let action = match &request.action {
            Action::Authorise { amount, token, order: _ } => SimulatedAction::Authorise {
                amount: Amount(*amount),
                token: TokenText(token.clone()),
            },
            Action::Capture { amount, authorisation } => SimulatedAction::Capture {
                amount: Amount(*amount),
                authorisation: ReferenceText(authorisation.clone()),
            },
            Action::Void { authorisation, captured: _ } => {
                SimulatedAction::Void { authorisation: ReferenceText(authorisation.clone()) }
            }
            Action::Refund { amount, authorisation, captures: _ } => SimulatedAction::Refund {
                amount: Amount(*amount),
                authorisation: ReferenceText(authorisation.clone()),
            },
            Action::CheckRefund { .. } => return Err(NeverPending),
        };
        Ok(Self { reference: Reference(request.reference), action })
    }
}

impl SimulatedAction {
    pub(crate) fn amount(&self) -> Option<Money> {
        match self {
            Self::Authorise { amount, .. }
            | Self::Capture { amount, .. }
            | Self::Refund { amount, .. } => Some(amount.0),
            Self::Void { .. } => None,
        }
    }
}

impl Entry {
    pub(crate) fn answer(&self) -> ProviderAnswer {
        let outcome = match &self.result {
            Result::Done { id } => Outcome::Done { reference: id.0.clone() },
            Result::Refused { reason } => Outcome::Refused((*reason).into()),
        };
        ProviderAnswer { operation: self.operation.reference.0.number, outcome }
    }
}

impl From<Reason> for Refusal {
    fn from(reason: Reason) -> Self {
        match reason {
            Reason::Declined => Self::Declined,
            Reason::InsufficientFunds => Self::InsufficientFunds,
            Reason::Expired => Self::MethodExpired,
            Reason::Invalid => Self::MethodInvalid,
            Reason::AuthenticationRequired => Self::AuthenticationRequired,
            Reason::SuspectedFraud => Self::SuspectedFraud,
            Reason::NotPossible => Self::NotPossible,
        }
    }
}
