//! One provider, and the attempts at it.
//!
//! **Invariants:** an attempt ends; a provider that does not answer is left alone for a while.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cluster::runtime::ports::InDoubt;
use cluster::time::Span;
use storage::clock;

use super::breaker::Breaker;
use crate::metrics::{AttemptOutcome, ProviderMetrics};

/// Providers know a key again for a day at least; an hour is left for clocks and for the way.
pub(super) const HORIZON: Span = Span::from_secs(23 * 60 * 60);
/// A provider that takes longer is asked again.
pub(super) const ATTEMPT_MAX: Duration = Duration::from_secs(20);

pub type ProviderFuture<T> = Pin<Box<dyn Future<Output = Result<T, InDoubt>> + Send>>;

pub(super) struct Door<P> {
    pub(super) provider: P,
    breaker: Mutex<Breaker>,
    metrics: ProviderMetrics,
}

impl<P> Door<P> {
    pub(super) fn new(provider: P, metrics: ProviderMetrics) -> Self {
        Self { provider, breaker: Mutex::default(), metrics }
    }

    fn breaker(&self) -> MutexGuard<'_, Breaker> {
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether nothing would be sent just now.
    pub(super) fn rests(&self) -> bool {
        self.breaker().rests(clock::monotonic())
    }

    /// One attempt, unless the provider is to be left alone.
    pub(super) async fn attempt<T>(&self, attempt: ProviderFuture<T>) -> Result<T, InDoubt> {
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

/// An error and its cause: neither a yes nor a no.
pub(super) fn in_doubt(error: impl std::error::Error) -> InDoubt {
    let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
    InDoubt(format!("{error}{cause}"))
}
