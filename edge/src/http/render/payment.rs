//! A payment in JSON.

use actors::domain::payment::{Doing, Operation, Progress, Status, TransferView, View};
use actors::{Money, OrderId, PaymentId};

use super::{MoneyJson, Text};
use crate::http::rfc3339::Rfc3339;
use crate::http::schema::{
    self, Described, Schema, list, maybe, nullable, object, of, required, word, words,
};

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

impl Described for PaymentJson<'_> {
    fn name() -> String {
        "Payment".to_owned()
    }

    fn schema() -> Schema {
        let status = word(&[
            "captured",
            "open",
            "authorising",
            "authorised",
            "declined",
            "partially_captured",
            "partially_refunded",
            "refunded",
            "cancelling",
            "cancel_failed",
            "cancelled",
        ]);
        let under_way = object([
            required("operation", word(&["capture", "authorise", "void", "refund"])),
            required("since", words::instant()),
        ]);
        object([
            required("id", words::payment_id()),
            required("order", words::order_id()),
            required("provider", words::provider()),
            required("status", status),
            maybe("declined", words::text("there is not enough money")).about("Why."),
            required("amount", of::<Money>()),
            required("captured", of::<Money>()),
            required("refunded", of::<Money>()),
            required("captures", list(transfer_schema(words::capture_id()))),
            required("refunds", list(transfer_schema(words::refund_id()))),
            required("under_way", nullable(under_way))
                .about("What the provider has not answered: in doubt until it does."),
            required("seq", schema::count(5)),
            required("updated_at", words::instant()),
        ])
    }
}

fn transfer_schema(id: Schema) -> Schema {
    object([
        required("id", id),
        required("amount", of::<Money>()),
        required("status", word(&["done", "waiting", "under_way", "failed"])),
        maybe("reference", words::text("ch_8841")),
    ])
}
