//! What this node fetches from others in bulk: how much at once, and how far it is.
//!
//! **Invariants:** only so many transfers run at the same time; what is counted as remaining is
//! taken back however a transfer ends.

use tokio::sync::{Semaphore, SemaphorePermit};

use crate::metrics::{Bulk, TransferMetrics};

/// Transfers that a node receives at the same time; the others wait their turn.
const AT_ONCE_MAX: usize = 2;

pub(crate) struct Transfers {
    turns: Semaphore,
    pub(crate) metrics: TransferMetrics,
}

impl Transfers {
    pub(crate) fn new(metrics: TransferMetrics) -> Self {
        Self { turns: Semaphore::new(AT_ONCE_MAX), metrics }
    }

    /// Waits for a turn, in order of asking. `None` when there are none any more.
    pub(crate) async fn turn(&self) -> Option<SemaphorePermit<'_>> {
        self.turns.acquire().await.ok()
    }

    /// Begins to count a snapshot of which so many bytes are wanted.
    pub(crate) fn snapshot(&self, bytes: u64) -> Remaining<'_> {
        let left = i64::try_from(bytes).unwrap_or(i64::MAX);
        self.metrics.snapshot_bytes_remaining.inc_by(left);
        Remaining { metrics: &self.metrics, left }
    }
}

/// What a snapshot still lacks.
pub(crate) struct Remaining<'a> {
    metrics: &'a TransferMetrics,
    left: i64,
}

impl Remaining<'_> {
    pub(crate) fn arrived(&mut self, bytes: usize) {
        self.metrics.fetched(Bulk::Snapshot, bytes);
        let less = i64::try_from(bytes).unwrap_or(i64::MAX).min(self.left);
        self.left -= less;
        self.metrics.snapshot_bytes_remaining.dec_by(less);
    }
}

impl Drop for Remaining<'_> {
    fn drop(&mut self) {
        self.metrics.snapshot_bytes_remaining.dec_by(self.left);
    }
}
