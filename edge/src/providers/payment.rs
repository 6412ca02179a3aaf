//! Payment providers, behind one port.
//!
//! **Invariants:** a request goes to the provider that its payment names, and to no other; only a
//! provider's own definite word is an answer: silence, a broken connection, an unclear answer and a
//! provider that is not configured any more leave the payment in doubt.
//!
//! Pauses between attempts are the fabric's, per invocation; per provider there is a breaker.

mod breaker;
pub mod paypal;
pub mod routing;
#[cfg(test)]
mod samples;
mod signature;
pub mod simulator;
pub mod stripe;

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use actors::PaymentId;
use actors::domain::payment::{
    Fact, Outcome, PORT, ProviderAnswer, ProviderEventId, ProviderName, ProviderRequest,
};
use axum::http::HeaderMap;
use cluster::entity::{Answer, Port, Wire};
use cluster::runtime::ports::{InDoubt, InvocationId, PortAdapter, PortFuture, RetryRule};
use cluster::time::{Span, Timestamp};
use serde_json::Value;
use storage::clock;

use crate::metrics::{AttemptOutcome, NoticeOutcome, PaymentMetrics};
use breaker::Breaker;
pub use signature::{InvalidNoticeSecret, NoticeSecret};

/// Providers know a key again for a day at least; an hour is left for clocks and for the way.
const HORIZON: Span = Span::from_secs(23 * 60 * 60);
/// A provider that takes longer is asked again.
const ATTEMPT_MAX: Duration = Duration::from_secs(20);

pub type ProviderFuture<T> = Pin<Box<dyn Future<Output = Result<T, InDoubt>> + Send>>;

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

/// Why a notice is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoticeRefused {
    #[error("the notice is not signed by the provider")]
    BadSignature,
    #[error("the notice was signed too long ago, or in the future")]
    OutOfTime,
    #[error("the notice cannot be read")]
    Unreadable,
    #[error("the provider does not say whether the notice is its own")]
    NotVouched,
}

/// All providers of a shop, by their names.
#[derive(Clone)]
pub struct Providers {
    doors: Arc<BTreeMap<ProviderName, Arc<Door>>>,
    metrics: PaymentMetrics,
}

struct Door {
    provider: Arc<dyn PaymentProvider>,
    breaker: Mutex<Breaker>,
    metrics: PaymentMetrics,
}

impl fmt::Debug for Providers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.doors.keys()).finish()
    }
}

impl Providers {
    pub fn new(
        providers: BTreeMap<ProviderName, Arc<dyn PaymentProvider>>,
        metrics: PaymentMetrics,
    ) -> Self {
        let door = |provider| {
            let (breaker, metrics) = (Mutex::default(), metrics.clone());
            Arc::new(Door { provider, breaker, metrics })
        };
        let doors = providers.into_iter().map(|(name, provider)| (name, door(provider)));
        Self { doors: Arc::new(doors.collect()), metrics }
    }

    pub fn find(&self, name: &ProviderName) -> Option<&dyn PaymentProvider> {
        self.doors.get(name).map(|door| door.provider.as_ref())
    }

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

    pub(crate) fn noticed(&self, outcome: NoticeOutcome) {
        self.metrics.noticed(outcome);
    }
}

impl Door {
    fn breaker(&self) -> MutexGuard<'_, Breaker> {
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One attempt, unless the provider is to be left alone.
    async fn attempt<T>(&self, attempt: ProviderFuture<T>) -> Result<T, InDoubt> {
        if !self.breaker().admit(clock::monotonic()) {
            self.metrics.attempted(AttemptOutcome::HeldBack);
            return Err(InDoubt("the provider did not answer of late".to_owned()));
        }
        let attempt = tokio::time::timeout(ATTEMPT_MAX, attempt).await;
        let attempt = attempt.unwrap_or_else(|_| {
            Err(InDoubt(format!("no answer within {} s", ATTEMPT_MAX.as_secs())))
        });
        match &attempt {
            Ok(_) => {
                self.metrics.attempted(AttemptOutcome::Answered);
                self.breaker().succeeded();
            }
            Err(_) => {
                self.metrics.attempted(AttemptOutcome::InDoubt);
                self.breaker().failed(clock::monotonic());
            }
        }
        attempt
    }
}

impl Providers {
    /// Whether a provider did not answer of late, or is not known here.
    pub(crate) fn rests(&self, name: &ProviderName) -> bool {
        let door = self.doors.get(name);
        door.is_none_or(|door| door.breaker().rests(clock::monotonic()))
    }

    /// Whether this node knows a provider of that name.
    pub fn has(&self, name: &ProviderName) -> bool {
        self.doors.contains_key(name)
    }
}

impl PortAdapter for Providers {
    fn port(&self) -> Port {
        PORT
    }

    fn retry_rule(&self) -> RetryRule {
        RetryRule::Idempotent { horizon: HORIZON }
    }

    fn invoke(&self, id: InvocationId, request: Vec<u8>) -> PortFuture<Answer> {
        let doors = Arc::clone(&self.doors);
        Box::pin(async move {
            let request = read(&request)?;
            let Some(door) = doors.get(&request.provider) else { return Err(nobody(&request)) };
            let attempt = door.provider.carry_out(id.to_string(), request);
            Ok(answer(&door.attempt(attempt).await?))
        })
    }

    fn ask(&self, _: InvocationId, request: Vec<u8>) -> PortFuture<Option<Answer>> {
        let doors = Arc::clone(&self.doors);
        Box::pin(async move {
            let request = read(&request)?;
            // Sending it is refused, or stays in doubt, in the same way.
            let Some(door) = doors.get(&request.provider) else { return Ok(None) };
            let attempt = door.provider.look_up(request);
            Ok(door.attempt(attempt).await?.as_ref().map(answer))
        })
    }
}

/// An error and its cause: neither a yes nor a no.
fn in_doubt(error: impl std::error::Error) -> InDoubt {
    let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
    InDoubt(format!("{error}{cause}"))
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

fn read(request: &[u8]) -> Result<ProviderRequest, InDoubt> {
    ProviderRequest::from_bytes(request).map_err(|error| InDoubt(error.to_string()))
}

fn answer(answer: &ProviderAnswer) -> Answer {
    match answer.outcome {
        Outcome::Done { .. } | Outcome::Pending { .. } => Answer::Done(answer.to_bytes()),
        Outcome::Refused(_) => Answer::Refused(answer.to_bytes()),
    }
}

/// Another node, which has the provider, may have asked before, and money be held: an operator is to
/// configure it here as well. Checkouts with a name that nobody knows are refused at the rim.
fn nobody(request: &ProviderRequest) -> InDoubt {
    InDoubt(format!("payment provider {} is not configured", request.provider))
}
