//! What Stripe's answers mean.
//!
//! **Invariants:** a yes is the object in the state that was asked for, a no is a definite error of
//! Stripe's about this very request; whatever else comes back is in doubt: conflicts, limits, faults
//! of the key or of the server, and states that may still change.

use actors::Money;
use actors::domain::payment::{
    Action, OperationReference, Outcome, ProviderReference, ProviderRequest, Refusal,
};
use axum::http::StatusCode;
use cluster::runtime::ports::InDoubt;
use serde_json::Value;

use super::requests::{CAPTURE, OPERATION, money};

/// What an operation came to.
pub(super) fn outcome(
    request: &ProviderRequest,
    status: StatusCode,
    body: &Value,
) -> Result<Outcome, InDoubt> {
    // Whatever Stripe does not know of a refund, the payment goes on, and it is asked again later.
    if let (Action::CheckRefund { refund, .. }, 400 | 404) = (&request.action, status.as_u16()) {
        return Ok(Outcome::Pending { reference: refund.clone() });
    }
    match status {
        StatusCode::OK => match &request.action {
            Action::Authorise { .. } => authorised(body),
            Action::Capture { .. } | Action::Void { .. } => {
                state_of_intent(request, body)?.ok_or_else(|| undecided(body))
            }
            Action::Refund { .. } => refunded(body),
            Action::CheckRefund { refund, .. } => Ok(checked(refund, body)),
        },
        StatusCode::PAYMENT_REQUIRED | StatusCode::BAD_REQUEST => {
            refused(request, body.get("error").unwrap_or(&Value::Null))
        }
        other => Err(InDoubt(format!("stripe answered {other}"))),
    }
}

/// What became of an operation; nothing where it never arrived.
pub(super) fn found(
    request: &ProviderRequest,
    status: StatusCode,
    body: &Value,
) -> Result<Option<Outcome>, InDoubt> {
    if status != StatusCode::OK {
        return Err(InDoubt(format!("stripe answered {status} to a question")));
    }
    match &request.action {
        Action::CheckRefund { refund, .. } => Ok(Some(checked(refund, body))),
        Action::Capture { .. } | Action::Void { .. } => state_of_intent(request, body),
        Action::Authorise { .. } => match list(body)? {
            [] => Ok(None),
            [intent] => authorised(intent).map(Some),
            _ => Err(InDoubt("stripe knows an operation twice".to_owned())),
        },
        Action::Refund { .. } => {
            let refunds = list(body)?;
            if let Some(ours) = refunds.iter().find(|refund| is_named(refund, OPERATION, request)) {
                return refunded(ours).map(Some);
            }
            let has_more = body.get("has_more").and_then(Value::as_bool).unwrap_or(true);
            if has_more { Err(InDoubt("stripe knows more refunds".to_owned())) } else { Ok(None) }
        }
    }
}

fn authorised(intent: &Value) -> Result<Outcome, InDoubt> {
    match text(intent, "status") {
        // Captured by hand since, perhaps; it was authorised in any case.
        "requires_capture" | "succeeded" => done(intent, "id"),
        // Its one attempt failed, and nobody makes another.
        "requires_payment_method" => {
            let error = intent.get("last_payment_error").unwrap_or(&Value::Null);
            Ok(Outcome::Refused(refusal(error)))
        }
        "canceled" => Ok(Outcome::Refused(Refusal::NotPossible)),
        _ => Err(undecided(intent)),
    }
}

/// A capture or a void, by the intent as it is; nothing where neither has happened.
fn state_of_intent(request: &ProviderRequest, intent: &Value) -> Result<Option<Outcome>, InDoubt> {
    let is_capture = matches!(request.action, Action::Capture { .. });
    match (is_capture, text(intent, "status")) {
        (_, "requires_capture") => Ok(None),
        (true, "succeeded") if is_named(intent, CAPTURE, request) => {
            done(intent, "latest_charge").map(Some)
        }
        (true, "succeeded" | "canceled") => Ok(Some(Outcome::Refused(Refusal::NotPossible))),
        (false, "canceled") => done(intent, "id").map(Some),
        // What was left of a partial capture went back by itself. A capture that is not known here
        // is another hand's: to say that nothing is kept would be wrong.
        (false, "succeeded") if received(intent) == captured(request) => {
            done(intent, "id").map(Some)
        }
        (_, _) => Err(undecided(intent)),
    }
}

fn received(intent: &Value) -> Option<Money> {
    money(intent.get("amount_received")?.as_i64()?, text(intent, "currency"))
}

fn captured(request: &ProviderRequest) -> Option<Money> {
    match &request.action {
        Action::Void { captured, .. } => Some(*captured),
        Action::Authorise { .. }
        | Action::Capture { .. }
        | Action::Refund { .. }
        | Action::CheckRefund { .. } => None,
    }
}

fn refunded(refund: &Value) -> Result<Outcome, InDoubt> {
    match text(refund, "status") {
        "succeeded" => done(refund, "id"),
        "pending" => reference(refund, "id").map(|reference| Outcome::Pending { reference }),
        "failed" | "canceled" => Ok(Outcome::Refused(Refusal::NotPossible)),
        _ => Err(undecided(refund)),
    }
}

/// What became of a refund; one that is neither done nor refused is pending.
fn checked(known: &ProviderReference, refund: &Value) -> Outcome {
    refunded(refund).unwrap_or_else(|_| Outcome::Pending { reference: known.clone() })
}

fn refused(request: &ProviderRequest, error: &Value) -> Result<Outcome, InDoubt> {
    let intent = error.get("payment_intent");
    match (&request.action, text(error, "type"), text(error, "code")) {
        (_, "card_error", _) => Ok(Outcome::Refused(refusal(error))),
        (
            Action::Capture { .. } | Action::Void { .. },
            "invalid_request_error",
            "payment_intent_unexpected_state",
        ) => {
            let intent = intent.ok_or_else(|| undecided(error))?;
            state_of_intent(request, intent)?.ok_or_else(|| undecided(intent))
        }
        (Action::Authorise { .. }, "invalid_request_error", _)
            if text(error, "param") == "payment_method" =>
        {
            Ok(Outcome::Refused(Refusal::MethodInvalid))
        }
        (Action::Authorise { .. } | Action::Refund { .. }, "invalid_request_error", _) => {
            Ok(Outcome::Refused(Refusal::NotPossible))
        }
        (_, kind, code) => Err(InDoubt(format!("stripe refused: {kind:.40} {code:.60}"))),
    }
}

fn refusal(error: &Value) -> Refusal {
    match (text(error, "code"), text(error, "decline_code")) {
        (_, "insufficient_funds") => Refusal::InsufficientFunds,
        (_, "fraudulent" | "stolen_card" | "lost_card" | "merchant_blacklist") => {
            Refusal::SuspectedFraud
        }
        ("expired_card", _) => Refusal::MethodExpired,
        ("authentication_required", _) | (_, "authentication_required") => {
            Refusal::AuthenticationRequired
        }
        ("incorrect_number" | "invalid_number" | "incorrect_cvc" | "invalid_cvc", _)
        | ("invalid_expiry_month" | "invalid_expiry_year", _) => Refusal::MethodInvalid,
        (_, _) => Refusal::Declined,
    }
}

fn done(object: &Value, member: &str) -> Result<Outcome, InDoubt> {
    reference(object, member).map(|reference| Outcome::Done { reference })
}

fn reference(object: &Value, member: &str) -> Result<ProviderReference, InDoubt> {
    let reference = text(object, member).parse();
    reference.map_err(|_| InDoubt(format!("stripe gave no {member}")))
}

fn undecided(object: &Value) -> InDoubt {
    InDoubt(format!("stripe has not decided: {:.60}", text(object, "status")))
}

fn list(body: &Value) -> Result<&[Value], InDoubt> {
    let data = body.get("data").and_then(Value::as_array);
    data.map(Vec::as_slice).ok_or_else(|| InDoubt("stripe gave no list".to_owned()))
}

fn is_named(object: &Value, name: &str, request: &ProviderRequest) -> bool {
    operation(object, name) == Some(request.reference)
}

/// The operation that an object's metadata names.
pub(super) fn operation(object: &Value, name: &str) -> Option<OperationReference> {
    text(object.get("metadata")?, name).parse().ok()
}

/// A member that is text; empty where it is none.
pub(super) fn text<'a>(object: &'a Value, member: &str) -> &'a str {
    object.get(member).and_then(Value::as_str).unwrap_or_default()
}
