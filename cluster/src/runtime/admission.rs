//! How much work may wait for one shard, in bytes.
//!
//! **Invariants:** a permit is held from before a request is sent until it is answered or dropped,
//! so what waits in mailboxes and queues never exceeds the bound; ractor's mailboxes have none.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What a request occupies besides its body.
const REQUEST_OVERHEAD_BYTES: usize = 512;

#[derive(Clone)]
pub(crate) struct Admission {
    used: Arc<AtomicUsize>,
    bytes_max: usize,
}

/// Room for one request; gives it back when dropped.
pub(crate) struct Permit {
    used: Arc<AtomicUsize>,
    bytes: usize,
}

impl Admission {
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self { used: Arc::default(), bytes_max }
    }

    pub(crate) fn admit(&self, body_bytes: usize) -> Option<Permit> {
        let bytes = body_bytes + REQUEST_OVERHEAD_BYTES;
        let before = self.used.fetch_add(bytes, Ordering::Relaxed);
        let permit = Permit { used: Arc::clone(&self.used), bytes };
        (before + bytes <= self.bytes_max).then_some(permit)
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.used.load(Ordering::Relaxed) == 0
    }

    /// How full it is, in percent.
    pub(crate) fn percent_used(&self) -> usize {
        self.used.load(Ordering::Relaxed).saturating_mul(100) / self.bytes_max.max(1)
    }
}

impl Permit {
    /// For what waits one at a time and needs no bound.
    pub(crate) fn free() -> Self {
        Self { used: Arc::default(), bytes: 0 }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.used.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_request_leaves_no_trace() {
        let admission = Admission::new(2_000);
        let first = admission.admit(1_000);
        assert!(first.is_some());
        assert!(admission.admit(1_000).is_none());
        drop(first);
        assert!(admission.admit(1_000).is_some());
    }
}
