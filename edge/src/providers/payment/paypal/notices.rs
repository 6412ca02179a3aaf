//! What PayPal's events say about our operations, and what it takes to have PayPal vouch for one.
//!
//! **Invariants:** an event about an object that names no operation of ours says nothing.

use actors::domain::payment::Fact;
use axum::http::HeaderMap;
use serde_json::{Value, json};

use super::amounts;
use super::answers::{CUSTOM, INVOICE, operation, text};
use crate::providers::payment::{Notice, NoticeRefused};

/// The resource of this event is the refund.
const REFUNDED: &str = "PAYMENT.CAPTURE.REFUNDED";

/// PayPal's id of the address that it sends events to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebhookId(String);

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the id of a webhook is 1 to 50 letters and digits")]
pub struct InvalidWebhookId;

impl TryFrom<&str> for WebhookId {
    type Error = InvalidWebhookId;

    fn try_from(text: &str) -> Result<Self, InvalidWebhookId> {
        let fits = (1..=50).contains(&text.len());
        let is_plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if fits && is_plain { Ok(Self(text.to_owned())) } else { Err(InvalidWebhookId) }
    }
}

/// What an event came with.
pub(super) struct Transmission<'a> {
    id: &'a str,
    time: &'a str,
    signature: &'a str,
    algorithm: &'a str,
    certificate: &'a str,
}

impl<'a> Transmission<'a> {
    /// Nothing where one of the headers is missing or longer than PayPal's ever are.
    pub(super) fn of(headers: &'a HeaderMap) -> Option<Self> {
        const BYTES_MAX: usize = 500;
        let header = |name: &str| {
            let value = headers.get(name)?.to_str().ok()?;
            (1..=BYTES_MAX).contains(&value.len()).then_some(value)
        };
        Some(Self {
            id: header("paypal-transmission-id")?,
            time: header("paypal-transmission-time")?,
            signature: header("paypal-transmission-sig")?,
            algorithm: header("paypal-auth-algo")?,
            certificate: header("paypal-cert-url")?,
        })
    }

    /// The event is quoted byte by byte: in another order of members it was not signed.
    pub(super) fn question(&self, WebhookId(webhook): &WebhookId, event: &[u8]) -> String {
        let members = json!({
            "auth_algo": self.algorithm,
            "cert_url": self.certificate,
            "transmission_id": self.id,
            "transmission_sig": self.signature,
            "transmission_time": self.time,
            "webhook_id": webhook,
        });
        let members = members.to_string();
        let open = members.strip_suffix('}').unwrap_or(&members);
        format!("{open},\"webhook_event\":{}}}", String::from_utf8_lossy(event))
    }
}

pub(super) fn read(body: &[u8]) -> Result<Option<Notice>, NoticeRefused> {
    let event: Value = serde_json::from_slice(body).map_err(|_| NoticeRefused::Unreadable)?;
    let id = text(&event, "id").parse().map_err(|_| NoticeRefused::Unreadable)?;
    let resource = event.get("resource").ok_or(NoticeRefused::Unreadable)?;
    let kind = text(&event, "event_type");
    let is_capture = kind.starts_with("PAYMENT.CAPTURE.") && kind != REFUNDED;
    let name = if is_capture { INVOICE } else { CUSTOM };
    let Some(named) = operation(resource, name) else { return Ok(None) };
    let operation = named.number;
    let fact = match (kind, text(resource, "status")) {
        ("PAYMENT.AUTHORIZATION.CREATED", "CREATED")
        | ("PAYMENT.CAPTURE.COMPLETED", "COMPLETED")
        | (REFUNDED, "COMPLETED") => {
            let reference = text(resource, "id").parse();
            let amount = resource.get("amount").and_then(amounts::read);
            let (Ok(reference), Some(amount)) = (reference, amount) else { return Ok(None) };
            Fact::Done { operation, reference, amount: Some(amount) }
        }
        ("PAYMENT.CAPTURE.DENIED" | "PAYMENT.CAPTURE.DECLINED" | "PAYMENT.REFUND.FAILED", _) => {
            Fact::Refused { operation }
        }
        (_, _) => return Ok(None),
    };
    Ok(Some(Notice { event: id, payment: named.payment, fact }))
}
