//! A payment in JSON.

use std::fmt;
use std::str::FromStr;

use actors::domain::payment::{Doing, Operation, Progress, Status, TransferView, View};
use actors::{Money, OrderId, PaymentId};
use cluster::fabric::WaitingPlace;
use cluster::ids::ShardId;
use cluster::shard::entry::Cursor;

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

/// Where a list of payments in doubt goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::http) struct DoubtCursor(pub(in crate::http) WaitingPlace);

impl fmt::Display for DoubtCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let WaitingPlace { shard, at } = self.0;
        write!(f, "doubt_{shard}_{}_{}", at.index, at.ordinal)
    }
}

pub(in crate::http) struct InvalidCursor;

impl FromStr for DoubtCursor {
    type Err = InvalidCursor;

    fn from_str(text: &str) -> Result<Self, InvalidCursor> {
        let mut parts = text.strip_prefix("doubt_").ok_or(InvalidCursor)?.split('_');
        let mut next = || parts.next().ok_or(InvalidCursor);
        let shard = next()?.parse().map(ShardId).map_err(|_| InvalidCursor)?;
        let index = next()?.parse().map_err(|_| InvalidCursor)?;
        let ordinal = next()?.parse().map_err(|_| InvalidCursor)?;
        let place = WaitingPlace { shard, at: Cursor { index, ordinal } };
        parts.next().is_none().then_some(Self(place)).ok_or(InvalidCursor)
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

fn transfer<I: fmt::Display>(transfer: &TransferView<I>) -> TransferJson<'_> {
    let (status, reference) = match &transfer.progress {
        Progress::Waiting => ("waiting", None),
        Progress::UnderWay => ("under_way", None),
        Progress::Done(reference) => ("done", Some(reference.as_str())),
        Progress::Failed => ("failed", None),
        Progress::Pending { reference, .. } => ("pending", Some(reference.as_str())),
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
        Doing::CheckRefund(_) => "check_refund",
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
            required(
                "operation",
                word(&["capture", "authorise", "void", "refund", "check_refund"]),
            ),
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
        required("status", word(&["done", "waiting", "under_way", "pending", "failed"])),
        maybe("reference", words::text("ch_8841")),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_of_doubts_has_a_text_form() {
        let at = Cursor { index: 71, ordinal: 2 };
        let cursor = DoubtCursor(WaitingPlace { shard: ShardId(3), at });
        assert_eq!(cursor.to_string(), "doubt_3_71_2");
        assert_eq!(cursor.to_string().parse().ok(), Some(cursor));
        for bad in ["", "doubt_3_71", "doubt_3_71_2_1", "doubt_-3_71_2", "led_3_71_2"] {
            assert!(bad.parse::<DoubtCursor>().is_err(), "{bad}");
        }
    }
}
