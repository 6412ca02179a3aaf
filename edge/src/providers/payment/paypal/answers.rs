//! What PayPal's answers mean.
//!
//! **Invariants:** a yes is the object in the state that was asked for, a no is an issue that PayPal
//! names about this very request; whatever else comes back is in doubt: faults of the server, limits,
//! issues that are not known here, and states that may still change.

use actors::domain::payment::{OperationReference, Outcome, ProviderReference, Refusal};
use cluster::runtime::ports::InDoubt;
use serde_json::Value;

use super::access::Answer;

/// A member that is text; empty where it is none.
pub(super) fn text<'a>(object: &'a Value, member: &str) -> &'a str {
    object.get(member).and_then(Value::as_str).unwrap_or_default()
}

/// The members of a list; none where there is no such list.
pub(super) fn list<'a>(object: &'a Value, member: &str) -> &'a [Value] {
    object.get(member).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// The issue of a request that was understood and not done.
pub(super) fn issue(answer: &Answer) -> Option<&str> {
    let is_refusal = matches!(answer.status.as_u16(), 400 | 403 | 404 | 422);
    let details = list(&answer.body, "details").first();
    let issue = details.map(|detail| text(detail, "issue"));
    let issue = issue.filter(|issue| !issue.is_empty()).unwrap_or(text(&answer.body, "name"));
    (is_refusal && !issue.is_empty()).then_some(issue)
}

/// What a definite issue comes to; nothing for one that leaves things open.
pub(super) fn refusal(issue: &str) -> Option<Refusal> {
    Some(match issue {
        "INSTRUMENT_DECLINED"
        | "PAYER_CANNOT_PAY"
        | "TRANSACTION_REFUSED"
        | "TRANSACTION_BLOCKED_BY_PAYEE"
        | "CARD_BRAND_NOT_SUPPORTED"
        | "AUTHORIZATION_DENIED" => Refusal::Declined,
        "INSUFFICIENT_FUNDS" | "REFUND_FAILED_INSUFFICIENT_FUNDS" => Refusal::InsufficientFunds,
        "CARD_EXPIRED" | "INSTRUMENT_EXPIRED" => Refusal::MethodExpired,
        "ORDER_NOT_APPROVED" | "PAYER_ACTION_REQUIRED" => Refusal::AuthenticationRequired,
        "COMPLIANCE_VIOLATION" | "TRANSACTION_RECEIVING_LIMIT_EXCEEDED" => Refusal::SuspectedFraud,
        "AUTHORIZATION_VOIDED"
        | "PREVIOUSLY_VOIDED"
        | "AUTHORIZATION_EXPIRED"
        | "AUTHORIZATION_ALREADY_CAPTURED"
        | "PREVIOUSLY_CAPTURED"
        | "ORDER_ALREADY_CAPTURED"
        | "ORDER_ALREADY_AUTHORIZED"
        | "ORDER_VOIDED"
        | "ORDER_EXPIRED"
        | "MAX_CAPTURE_AMOUNT_EXCEEDED"
        | "MAX_CAPTURE_COUNT_EXCEEDED"
        | "MAX_NUMBER_OF_REFUNDS_EXCEEDED"
        | "CAPTURE_FULLY_REFUNDED"
        | "REFUND_AMOUNT_EXCEEDED"
        | "REFUND_NOT_ALLOWED"
        | "REFUND_NOT_PERMITTED_DUE_TO_CHARGEBACK"
        | "REFUND_TIME_LIMIT_EXCEEDED"
        | "REFUND_CAPTURE_CURRENCY_MISMATCH" => Refusal::NotPossible,
        _ => return None,
    })
}

/// An issue that nobody expected of this request.
pub(super) fn unclear(answer: &Answer) -> InDoubt {
    let issue = issue(answer).unwrap_or_default();
    InDoubt(format!("paypal answered {} {issue:.60}", answer.status))
}

/// What carries our reference: of authorisations and of refunds.
pub(super) const CUSTOM: &str = "custom_id";
/// Of captures, which carry the custom id of their authorisation.
pub(super) const INVOICE: &str = "invoice_id";

pub(super) fn is_named(object: &Value, name: &str, reference: OperationReference) -> bool {
    operation(object, name) == Some(reference)
}

/// The operation that made an object.
pub(super) fn operation(object: &Value, name: &str) -> Option<OperationReference> {
    text(object, name).parse().ok()
}

pub(super) fn authorised(authorisation: &Value) -> Result<Outcome, InDoubt> {
    match text(authorisation, "status") {
        "CREATED" | "CAPTURED" | "PARTIALLY_CAPTURED" => done(authorisation),
        "DENIED" => Ok(Outcome::Refused(Refusal::Declined)),
        "VOIDED" | "EXPIRED" => Ok(Outcome::Refused(Refusal::NotPossible)),
        _ => Err(undecided(authorisation)),
    }
}

pub(super) fn captured(capture: &Value) -> Result<Outcome, InDoubt> {
    match text(capture, "status") {
        // Given back since, perhaps; it was captured in any case.
        "COMPLETED" | "PARTIALLY_REFUNDED" | "REFUNDED" => done(capture),
        "DECLINED" | "FAILED" => Ok(Outcome::Refused(Refusal::Declined)),
        _ => Err(undecided(capture)),
    }
}

pub(super) fn refunded(refund: &Value) -> Result<Outcome, InDoubt> {
    match text(refund, "status") {
        "COMPLETED" => done(refund),
        "PENDING" => name(refund).map(|reference| Outcome::Pending { reference }),
        "FAILED" | "CANCELLED" => Ok(Outcome::Refused(Refusal::NotPossible)),
        _ => Err(undecided(refund)),
    }
}

pub(super) fn done(object: &Value) -> Result<Outcome, InDoubt> {
    name(object).map(|reference| Outcome::Done { reference })
}

pub(super) fn name(object: &Value) -> Result<ProviderReference, InDoubt> {
    text(object, "id").parse().map_err(|_| InDoubt("paypal gave no id".to_owned()))
}

pub(super) fn undecided(object: &Value) -> InDoubt {
    InDoubt(format!("paypal has not decided: {:.60}", text(object, "status")))
}
