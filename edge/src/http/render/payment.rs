//! A payment in JSON.

use actors::domain::payment::{Doing, Operation, Progress, Status, TransferView, View};
use actors::{OrderId, PaymentId};

use super::{MoneyJson, Text};
use crate::http::rfc3339::Rfc3339;

#[derive(serde::Serialize)]
pub(in crate::http) struct PaymentJson<'a> {
    id: Text<PaymentId>,
    order: Text<OrderId>,
    provider: &'a str,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    declined: Option<String>,
    amount: MoneyJson,
    captured: MoneyJson,
    refunded: MoneyJson,
    captures: Vec<TransferJson<'a>>,
    refunds: Vec<TransferJson<'a>>,
    /// What the provider has not answered: in doubt until it does.
    under_way: Option<OperationJson>,
    seq: u64,
    updated_at: Text<Rfc3339>,
}

#[derive(serde::Serialize)]
struct TransferJson<'a> {
    id: String,
    amount: MoneyJson,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reference: Option<&'a str>,
}

#[derive(serde::Serialize)]
struct OperationJson {
    operation: &'static str,
    since: Text<Rfc3339>,
}

impl<'a> PaymentJson<'a> {
    pub(in crate::http) fn new(view: &'a View, seq: u64) -> Self {
        let declined = match view.status {
            Status::Declined { reason } => Some(reason.to_string()),
            Status::Open
            | Status::Authorising
            | Status::Authorised
            | Status::PartiallyCaptured
            | Status::Captured
            | Status::PartiallyRefunded
            | Status::Refunded
            | Status::Cancelling
            | Status::CancelFailed
            | Status::Cancelled => None,
        };
        Self {
            id: Text(view.id),
            order: Text(view.order),
            provider: view.provider.as_str(),
            status: status(view.status),
            declined,
            amount: MoneyJson(view.amount),
            captured: MoneyJson(view.captured),
            refunded: MoneyJson(view.refunded),
            captures: view.captures.iter().map(transfer).collect(),
            refunds: view.refunds.iter().map(transfer).collect(),
            under_way: view.under_way.as_ref().map(operation),
            seq,
            updated_at: Text(Rfc3339(view.updated_at)),
        }
    }
}

fn status(status: Status) -> &'static str {
    match status {
        Status::Open => "open",
        Status::Authorising => "authorising",
        Status::Authorised => "authorised",
        Status::Declined { .. } => "declined",
        Status::PartiallyCaptured => "partially_captured",
        Status::Captured => "captured",
        Status::PartiallyRefunded => "partially_refunded",
        Status::Refunded => "refunded",
        Status::Cancelling => "cancelling",
        Status::CancelFailed => "cancel_failed",
        Status::Cancelled => "cancelled",
    }
}

fn transfer<I: std::fmt::Display>(transfer: &TransferView<I>) -> TransferJson<'_> {
    let (status, reference) = match &transfer.progress {
        Progress::Waiting => ("waiting", None),
        Progress::UnderWay => ("under_way", None),
        Progress::Done(reference) => ("done", Some(reference.as_str())),
        Progress::Failed => ("failed", None),
    };
    let (id, amount) = (transfer.id.to_string(), MoneyJson(transfer.amount));
    TransferJson { id, amount, status, reference }
}

fn operation(operation: &Operation) -> OperationJson {
    let name = match operation.doing {
        Doing::Authorise => "authorise",
        Doing::Capture(_) => "capture",
        Doing::Void => "void",
        Doing::Refund(_) => "refund",
    };
    OperationJson { operation: name, since: Text(Rfc3339(operation.asked_at)) }
}
