//! What every shard actor of a node shares.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use ractor::ActorRef;
use storage::metrics::StorageMetrics;
use storage::state::{IndexJob, IndexWorker, set_aside};
use tokio::runtime::Handle;
use tokio::sync::watch;

use crate::ids::ShardId;
use crate::metrics::ClusterMetrics;
use crate::runtime::feed::FeedSignals;
use crate::runtime::log_writer::{LogEvents, LogWriter};
use crate::runtime::ports::Ports;
use crate::runtime::shard_actor::ShardMessage;
use crate::shard::io::{Input, Space};

/// One operation of the state index longer than this means that it hangs.
const INDEX_STALL_MAX: Duration = Duration::from_secs(60);
/// The exit status of a process whose log or index failed.
const EXIT_STORAGE_FAILED: i32 = 74;

pub(crate) struct Services {
    pub(crate) log: LogWriter,
    pub(crate) index: IndexWorker,
    pub(crate) index_folder: PathBuf,
    pub(crate) shards: Arc<Shards>,
    pub(crate) ports: Ports,
    pub(crate) feed: FeedSignals,
    pub(crate) metrics: Arc<ClusterMetrics>,
    pub(crate) storage_metrics: StorageMetrics,
    pub(crate) n_leading: watch::Sender<usize>,
    pub(crate) progress: Vec<Progress>,
}

/// How far a shard has come since things were last put in order.
#[derive(Default)]
pub(crate) struct Progress {
    /// Log bytes since the last snapshot.
    pub(crate) appended_bytes: AtomicU64,
    /// What the state index holds everything up to.
    pub(crate) index_floor: AtomicU64,
}

impl Services {
    pub(crate) fn submit(&self, job: IndexJob) {
        if let Err(error) = self.index.submit(job) {
            // The shards bound what they hand over below the queue's size, so this is a stuck
            // index, and what it was to keep exists nowhere else in memory.
            fail(&format!("the state index takes no more work: {error}"));
        }
    }

    /// A record that cannot be read back cannot be served: set the index aside and end; the next
    /// start rebuilds it from snapshots and the log.
    pub(crate) fn index_failed(&self, why: &str) -> ! {
        if let Err(error) = set_aside(&self.index_folder) {
            tracing::error!(%error, "the state index cannot be set aside");
        }
        fail(&format!("the state index failed; the next start rebuilds it: {why}"))
    }

    /// Ends the process when the index hangs.
    pub(crate) fn check_index(&self) {
        self.storage_metrics.index_stands(&self.index);
        let stalled = self.index.stalled_for();
        if stalled > INDEX_STALL_MAX {
            self.index_failed(&format!("one operation takes {} s", stalled.as_secs()));
        }
    }

    pub(crate) fn progress_of(&self, shard: ShardId) -> Option<&Progress> {
        self.progress.get(usize::try_from(shard.0).ok()?)
    }

    pub(crate) fn appended(&self, shard: ShardId, bytes: usize) {
        if let Some(progress) = self.progress_of(shard) {
            let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
            progress.appended_bytes.fetch_add(bytes, Ordering::Relaxed);
        }
    }

    pub(crate) fn leads(&self, shard: ShardId, leads: bool) {
        tracing::debug!(shard.id = %shard, leads, "leadership changed");
        self.n_leading.send_modify(|n| if leads { *n += 1 } else { *n = n.saturating_sub(1) });
        self.metrics.shards_led.set(i64::try_from(*self.n_leading.borrow()).unwrap_or(i64::MAX));
    }
}

/// The shard actors of this node by id.
#[derive(Default)]
pub(crate) struct Shards {
    actors: OnceLock<Vec<ActorRef<ShardMessage>>>,
    /// Messages for shards that are not up yet, counted for the curious.
    dropped: AtomicU64,
    stopping: AtomicUsize,
}

impl Shards {
    pub(crate) fn install(&self, actors: Vec<ActorRef<ShardMessage>>) {
        if self.actors.set(actors).is_err() {
            unreachable!("a node starts its shards once");
        }
    }

    pub(crate) fn get(&self, shard: ShardId) -> Option<&ActorRef<ShardMessage>> {
        self.actors.get()?.get(usize::try_from(shard.0).ok()?)
    }

    pub(crate) fn all(&self) -> &[ActorRef<ShardMessage>] {
        self.actors.get().map_or(&[], Vec::as_slice)
    }

    /// Sends an input, or drops it where the shard is not up: tells are offered again.
    pub(crate) fn send(&self, shard: ShardId, input: Input) {
        let sent = match self.get(shard) {
            Some(actor) => actor.cast(ShardMessage::Input(input)).is_ok(),
            None => false,
        };
        if !sent {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(crate) fn tell_space(&self, space: Space) {
        for actor in self.all() {
            // An actor that is gone needs no news.
            actor.cast(ShardMessage::Input(Input::Space(space))).ok();
        }
    }

    pub(crate) fn begin_stop(&self) {
        self.stopping.store(1, Ordering::Relaxed);
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed) > 0
    }
}

/// Passes what the log writer says on to the shards.
pub(crate) struct ShardsOfLog {
    shards: Arc<Shards>,
    runtime: Handle,
}

impl ShardsOfLog {
    /// To be made inside the runtime that the shards run in.
    pub(crate) fn new(shards: Arc<Shards>) -> Self {
        Self { shards, runtime: Handle::current() }
    }
}

impl LogEvents for ShardsOfLog {
    fn persisted(&self, appends: Vec<(ShardId, u64)>) {
        let shards = Arc::clone(&self.shards);
        // One wake-up of the runtime for all of them, not one each from a foreign thread.
        self.runtime.spawn(async move {
            for (shard, number) in appends {
                shards.send(shard, Input::Persisted { number });
            }
        });
    }

    fn space_changed(&self, space: Space) {
        self.shards.tell_space(space);
    }

    fn failed(&self, why: &str) -> ! {
        fail(why)
    }
}

/// Ends the process: after a failed sync nobody knows what the disk holds, and going on would
/// acknowledge what may be lost.
fn fail(why: &str) -> ! {
    tracing::error!("storage failed, the process ends: {why}");
    std::process::exit(EXIT_STORAGE_FAILED)
}
