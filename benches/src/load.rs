//! Putting load on something and measuring what comes back.
//!
//! **Invariants:** what happens in the warm-up, or ends after the window, is not counted; a failed
//! exchange is counted apart and never as a fast answer.

pub(crate) mod client;
pub(crate) mod closed;
pub(crate) mod histogram;
pub(crate) mod open;

use std::time::{Duration, Instant};

use crate::figures;
use crate::load::histogram::Latencies;

/// One user of a system under load: does one thing at a time, again and again.
pub(crate) trait User: Send + 'static {
    /// What the next exchange needs and nobody wants timed.
    fn prepare(&mut self) -> impl Future<Output = anyhow::Result<()>> + Send {
        async { Ok(()) }
    }

    /// The timed part. An error is an answer that should not have come, or none at all.
    fn exchange(&mut self) -> impl Future<Output = anyhow::Result<()>> + Send;
}

/// When load begins to count and when it stops.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window {
    pub(crate) warm_up: Duration,
    pub(crate) measured: Duration,
}

impl Window {
    /// A window with a fifth of its length, one second at most, before it to warm up in.
    pub(crate) fn of(measured: Duration) -> Self {
        Self { warm_up: (measured / 5).min(Duration::from_secs(1)), measured }
    }

    fn from(self, start: Instant) -> Span {
        let counts_from = start + self.warm_up;
        Span { counts_from, ends_at: counts_from + self.measured }
    }
}

#[derive(Clone, Copy)]
struct Span {
    counts_from: Instant,
    ends_at: Instant,
}

impl Span {
    fn counts(&self, done: Instant) -> bool {
        (self.counts_from..self.ends_at).contains(&done)
    }
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Measured {
    pub(crate) latencies: Latencies,
    pub(crate) failed: u64,
    pub(crate) first_failure: Option<String>,
    /// Time that was counted, over all windows that are part of this.
    pub(crate) measured: Duration,
}

impl Measured {
    pub(crate) fn nothing() -> Self {
        Self {
            latencies: Latencies::new(),
            failed: 0,
            first_failure: None,
            measured: Duration::ZERO,
        }
    }

    fn answered(&mut self, took: Duration) {
        self.latencies.record(took);
    }

    fn failed(&mut self, why: &anyhow::Error) {
        self.failed += 1;
        self.first_failure.get_or_insert_with(|| format!("{why:#}"));
    }

    /// Adds what another user saw in the same window.
    fn join(&mut self, other: &Self) {
        self.latencies.add(&other.latencies);
        self.failed += other.failed;
        if self.first_failure.is_none() {
            self.first_failure.clone_from(&other.first_failure);
        }
    }

    /// Adds another window of the same load.
    pub(crate) fn extend(&mut self, other: &Self) {
        self.join(other);
        self.measured += other.measured;
    }

    pub(crate) fn per_second(&self) -> f64 {
        figures::per_second(self.latencies.count(), self.measured)
    }

    /// A rate to ask for that is well within what was reached.
    pub(crate) fn half_rate(&self) -> u64 {
        let nanos = (self.measured.as_nanos() * 2).max(1);
        let rate = u128::from(self.latencies.count()) * 1_000_000_000 / nanos;
        u64::try_from(rate).unwrap_or(u64::MAX).max(1)
    }
}
