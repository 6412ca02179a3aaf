//! Payment providers, behind one port.
//!
//! **Invariants:** a request goes to the provider that its payment names, and to no other; only a
//! provider's own definite word is an answer: silence, a broken connection, an unclear answer and a
//! provider that is not configured any more leave the payment in doubt.
//!
//! Pauses between attempts are the fabric's, per invocation; per provider there is a breaker.

pub mod paypal;
pub mod routing;
#[cfg(test)]
mod samples;
pub mod simulator;
pub mod stripe;

use actors::PaymentId;
use actors::domain::payment::{
    Fact, Outcome, PORT, ProviderAnswer, ProviderEventId, ProviderName, ProviderRequest,
};
use axum::http::HeaderMap;
use cluster::entity::{Answer, Port, Wire};
use cluster::time::Timestamp;
use serde_json::Value;

use super::door::{ATTEMPT_MAX, ProviderFuture, in_doubt};
use super::doors::{Doors, Outside};
use super::signature::{NoticeRefused, NoticeSecret};

/// One provider.
pub trait PaymentProvider: Send + Sync + 'static {
    /// Carries out a request, once for each key however often it is sent.
    fn carry_out(&self, key: String, request: ProviderRequest) -> ProviderFuture<ProviderAnswer>;
    /// What became of a request; `None` when it never arrived.
    fn look_up(&self, request: ProviderRequest) -> ProviderFuture<Option<ProviderAnswer>>;
    /// What a notice says, once its signature is checked; `None` for what is not about a payment.
    fn read_notice(
        &self,
        headers: &HeaderMap,
        body: &[u8],
        now: Timestamp,
    ) -> Result<Option<Notice>, NoticeRefused>;
    /// Whether a notice that was read is the provider's, where only the provider can tell.
    fn vouch(&self, _: &HeaderMap, _: &[u8]) -> ProviderFuture<bool> {
        Box::pin(std::future::ready(Ok(true)))
    }
}

/// What a provider says unasked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    pub event: ProviderEventId,
    pub payment: PaymentId,
    pub fact: Fact,
}

/// All providers of a shop.
pub type Providers = Doors<dyn PaymentProvider>;

impl Providers {
    /// What a notice says, once it is known to be the provider's.
    pub(crate) async fn read_notice(
        &self,
        provider: &dyn PaymentProvider,
        headers: &HeaderMap,
        body: &[u8],
        now: Timestamp,
    ) -> Result<Option<Notice>, NoticeRefused> {
        let notice = provider.read_notice(headers, body, now)?;
        if notice.is_none() {
            return Ok(None);
        }
        let vouched = tokio::time::timeout(ATTEMPT_MAX, provider.vouch(headers, body)).await;
        match vouched {
            Ok(Ok(true)) => Ok(notice),
            Ok(Ok(false)) => Err(NoticeRefused::BadSignature),
            Ok(Err(_)) | Err(_) => Err(NoticeRefused::NotVouched),
        }
    }
}

impl Outside for dyn PaymentProvider {
    type Request = ProviderRequest;
    type Answer = ProviderAnswer;
    const PORT: Port = PORT;
    const SORT: &'static str = "payment provider";

    fn addressee(request: &ProviderRequest) -> &ProviderName {
        &request.provider
    }

    fn attempt(&self, key: String, request: ProviderRequest) -> ProviderFuture<ProviderAnswer> {
        self.carry_out(key, request)
    }

    fn find(&self, request: ProviderRequest) -> ProviderFuture<Option<ProviderAnswer>> {
        self.look_up(request)
    }

    fn told(answer: &ProviderAnswer) -> Answer {
        match answer.outcome {
            Outcome::Done { .. } | Outcome::Pending { .. } => Answer::Done(answer.to_bytes()),
            Outcome::Refused(_) => Answer::Refused(answer.to_bytes()),
        }
    }
}

/// What a body says; one that is not JSON says nothing.
fn json(body: &[u8]) -> Value {
    serde_json::from_slice(body).unwrap_or_default()
}

/// Percent-encoded: everything but what needs it nowhere.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            escaped.push_str(&format!("%{byte:02X}"));
        }
    }
    escaped
}
