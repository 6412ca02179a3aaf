//! What a node that stops waits for: requests under way, and progress that no entry carries yet.
//!
//! **Invariants:** a request counts as a visit before it looks whether the node is stopping, so it
//! either is refused or is waited for.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use storage::clock;
use tokio::sync::oneshot;

use crate::runtime::services::Services;
use crate::runtime::shard_actor::ShardMessage;
use crate::shard::io::Input;

/// Between looks at whether what is waited for came about.
const LOOK_PAUSE: Duration = Duration::from_millis(5);

/// Counts requests from their arrival to their answer.
#[derive(Clone, Default)]
pub(crate) struct Visits(Arc<AtomicUsize>);

/// One request; counted until dropped.
pub(crate) struct Visit(Visits);

impl Visits {
    pub(crate) fn enter(&self) -> Visit {
        // Ordered with the look at whether the node is stopping, which follows.
        self.0.fetch_add(1, Ordering::SeqCst);
        Visit(self.clone())
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.0.load(Ordering::SeqCst) == 0
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Services {
    /// Lets every shard record what waits for an entry to carry it, such as feed cursors.
    pub(crate) async fn record_progress(&self, at_most: Duration) {
        let started = clock::monotonic();
        // Without space nothing is recorded, however long the wait.
        while !self.log.is_full() && started.elapsed() < at_most {
            // Progress that found no company gets an entry of its own with a tick.
            for actor in self.shards.all() {
                actor.cast(ShardMessage::Input(Input::Tick)).ok();
            }
            tokio::time::sleep(LOOK_PAUSE).await;
            if self.all_settled().await {
                return;
            }
        }
        tracing::info!("some progress is not recorded; what followed it is delivered again");
    }

    async fn all_settled(&self) -> bool {
        for actor in self.shards.all() {
            let (reply, settled) = oneshot::channel();
            // A shard that is gone has nothing to record.
            let asked = actor.cast(ShardMessage::IsSettled(reply)).is_ok();
            if asked && !settled.await.unwrap_or(true) {
                return false;
            }
        }
        true
    }
}
