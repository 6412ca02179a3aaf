//! What Stripe's events say about our operations.
//!
//! **Invariants:** an event about an object that names no operation of ours says nothing.

use actors::domain::payment::{Fact, OperationReference, ProviderReference};
use serde_json::Value;

use super::answers::{operation, text};
use super::requests::{CAPTURE, OPERATION, money};
use crate::providers::payment::{Notice, NoticeRefused};

pub(super) fn read(body: &[u8]) -> Result<Option<Notice>, NoticeRefused> {
    let event: Value = serde_json::from_slice(body).map_err(|_| NoticeRefused::Unreadable)?;
    let id = text(&event, "id").parse().map_err(|_| NoticeRefused::Unreadable)?;
    let object = event.get("data").and_then(|data| data.get("object"));
    let object = object.ok_or(NoticeRefused::Unreadable)?;
    let told = match text(&event, "type") {
        "payment_intent.amount_capturable_updated" => {
            done(object, OPERATION, "id", "amount_capturable")
        }
        "payment_intent.succeeded" => done(object, CAPTURE, "latest_charge", "amount_received"),
        "payment_intent.payment_failed" => refused(object),
        "refund.created" | "refund.updated" | "refund.failed" | "charge.refund.updated" => {
            match text(object, "status") {
                "succeeded" => done(object, OPERATION, "id", "amount"),
                "failed" | "canceled" => refused(object),
                _ => None,
            }
        }
        _ => None,
    };
    Ok(told.map(|(operation, fact)| Notice { event: id, payment: operation.payment, fact }))
}

fn done(object: &Value, name: &str, id: &str, amount: &str) -> Option<(OperationReference, Fact)> {
    let named = operation(object, name)?;
    let reference: ProviderReference = text(object, id).parse().ok()?;
    let amount = object.get(amount).and_then(Value::as_i64)?;
    let amount = Some(money(amount, text(object, "currency"))?);
    Some((named, Fact::Done { operation: named.number, reference, amount }))
}

fn refused(object: &Value) -> Option<(OperationReference, Fact)> {
    let named = operation(object, OPERATION)?;
    Some((named, Fact::Refused { operation: named.number }))
}
