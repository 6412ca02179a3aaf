//! A payment as its readers see it.

use cluster::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::intent::{Authorisation, Cancellation, Intent, Transfer};
use super::method::{ProviderName, ProviderReference};
use super::port::{OperationNumber, Refusal};
use crate::domain::ids::{CaptureId, OrderId, PaymentId, RefundId};
use crate::domain::money::Money;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Query {
    Payment,
}

/// Nothing where the payment was never opened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lookup(pub Option<View>);

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct View {
    pub id: PaymentId,
    pub order: OrderId,
    pub provider: ProviderName,
    /// What the order asks for.
    pub amount: Money,
    pub status: Status,
    pub captured: Money,
    pub refunded: Money,
    pub captures: Vec<TransferView<CaptureId>>,
    pub refunds: Vec<TransferView<RefundId>>,
    /// What the provider has not answered yet.
    pub under_way: Option<Operation>,
    pub updated_at: Timestamp,
}

/// Where a payment stands, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Status {
    Open,
    Authorising,
    Authorised,
    Declined { reason: Refusal },
    PartiallyCaptured,
    Captured,
    PartiallyRefunded,
    Refunded,
    Cancelling,
    CancelFailed,
    Cancelled,
}

/// Something that the provider was asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operation {
    pub number: OperationNumber,
    pub doing: Doing,
    pub asked_at: Timestamp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Doing {
    Authorise,
    Capture(CaptureId),
    Void,
    Refund(RefundId),
    /// Asks what became of a refund that is pending.
    CheckRefund(RefundId),
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransferView<I> {
    pub id: I,
    pub amount: Money,
    pub progress: Progress,
}

/// How far a capture or a refund has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Progress {
    /// Something else is under way.
    Waiting,
    UnderWay,
    Done(ProviderReference),
    Failed,
    /// The provider has taken it on, and says later what becomes of it.
    Pending {
        operation: OperationNumber,
        reference: ProviderReference,
    },
}

impl Intent {
    pub(super) fn view(&self, id: PaymentId) -> View {
        View {
            id,
            order: self.order,
            provider: self.method.provider.clone(),
            amount: self.amount,
            status: self.status(),
            captured: self.captured,
            refunded: self.refunded,
            captures: self.captures.iter().map(Transfer::view).collect(),
            refunds: self.refunds.iter().map(Transfer::view).collect(),
            under_way: self.under_way,
            updated_at: self.updated_at,
        }
    }

    fn status(&self) -> Status {
        match self.cancellation {
            Cancellation::Asked => return Status::Cancelling,
            Cancellation::Failed => return Status::CancelFailed,
            Cancellation::Ended => return Status::Cancelled,
            Cancellation::NotAsked => {}
        }
        match self.authorisation {
            Authorisation::NotAsked => Status::Open,
            Authorisation::UnderWay => Status::Authorising,
            Authorisation::Declined(reason) => Status::Declined { reason },
            Authorisation::Held(_) | Authorisation::Released(_) => {
                match (self.captured.minor, self.refunded.minor) {
                    (0, _) => Status::Authorised,
                    (captured, 0) if captured < self.amount.minor => Status::PartiallyCaptured,
                    (_, 0) => Status::Captured,
                    (captured, refunded) if refunded < captured => Status::PartiallyRefunded,
                    (_, _) => Status::Refunded,
                }
            }
        }
    }
}

impl<I: Copy> Transfer<I> {
    fn view(&self) -> TransferView<I> {
        TransferView { id: self.id, amount: self.amount, progress: self.progress.clone() }
    }
}
