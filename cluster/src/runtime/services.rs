//! What every shard actor of a node shares.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use ractor::ActorRef;
use storage::metrics::StorageMetrics;
use storage::state::{IndexFault, IndexJob, IndexWorker, SubmitError, set_aside};
use tokio::runtime::Handle;
use tokio::sync::{oneshot, watch};

use crate::ids::{NodeId, ShardId};
use crate::metrics::ClusterMetrics;
use crate::placement::cluster::Cluster;
use crate::placement::shard_map::ShardMap;
use crate::runtime::admission::Permit;
use crate::runtime::courier::Courier;
use crate::runtime::detector::Reluctant;
use crate::runtime::feed::FeedSignals;
use crate::runtime::fetching::SnapshotFolder;
use crate::runtime::histories::History;
use crate::runtime::leaders::{Known, Leaders};
use crate::runtime::log_writer::{LogEvents, LogWriter};
use crate::runtime::maintenance::CurrentSnapshot;
use crate::runtime::network::Network;
use crate::runtime::ports::Ports;
use crate::runtime::postponed::explained;
use crate::runtime::pulse::Pulse;
use crate::runtime::readmission::Admission;
use crate::runtime::shard_actor::{ShardMessage, Waiter};
use crate::runtime::shelf::Shelf;
use crate::runtime::transfers::Transfers;
use crate::shard::io::{Input, Reply, Space};
use crate::shard::question::Fitness;
use crate::wire::greeting::BootId;

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
    pub(crate) node: NodeId,
    /// When this run of the node began.
    pub(crate) began: Instant,
    pub(crate) map: ShardMap,
    pub(crate) leaders: Leaders,
    /// The cluster as this node's replica of `meta` has it.
    pub(crate) cluster: watch::Sender<Arc<Cluster>>,
    /// None on a node that is alone.
    pub(crate) network: OnceLock<Network>,
    pub(crate) pulse: Pulse,
    pub(crate) courier: Courier,
    /// Nodes that said they may not lead, and the run of theirs that did.
    pub(crate) unfit: Mutex<BTreeMap<NodeId, Option<BootId>>>,
    pub(crate) reluctant: Reluctant,
    /// Whether this node may take part; one that is alone always may.
    pub(crate) admission: watch::Sender<Admission>,
    pub(crate) snapshot_folder: SnapshotFolder,
    pub(crate) transfers: Transfers,
    pub(crate) progress: Vec<Progress>,
    /// What commands are priced from.
    pub(crate) shelf: Arc<Shelf>,
}

/// How far a shard has come since things were last put in order.
#[derive(Default)]
pub(crate) struct Progress {
    /// Log bytes since the last snapshot.
    pub(crate) appended_bytes: AtomicU64,
    /// What the state index holds everything up to.
    pub(crate) index_floor: AtomicU64,
    /// The size of the snapshot that the log goes on from.
    pub(crate) snapshot_bytes: AtomicU64,
    /// A follower waits for a snapshot.
    pub(crate) snapshot_wanted: AtomicBool,
    /// No other node votes in the group.
    pub(crate) is_sole_voter: AtomicBool,
    /// Committed entries that its records lack.
    pub(crate) apply_lag: AtomicU64,
    pub(crate) is_stuck: AtomicBool,
    /// The replica holds something of its group.
    pub(crate) has_past: AtomicBool,
    /// As of this index another replica knows that this one has no part in the group; zero for none.
    pub(crate) removed_as_of: AtomicU64,
    pub(crate) history: History,
    /// Another replica's snapshot that this one goes on from, until maintenance knows of it.
    pub(crate) installed: Mutex<Option<CurrentSnapshot>>,
}

impl Progress {
    /// The group goes on from another replica's snapshot.
    pub(crate) fn restarted(&self, from: CurrentSnapshot) {
        self.snapshot_bytes.store(from.bytes, Ordering::Relaxed);
        *self.installed.lock().unwrap_or_else(PoisonError::into_inner) = Some(from);
        self.appended_bytes.store(0, Ordering::Relaxed);
        self.index_floor.store(0, Ordering::Relaxed);
    }
}

impl Services {
    pub(crate) fn submit(&self, job: IndexJob) {
        match self.index.submit(job) {
            Ok(()) => {}
            // Whoever waits for it learns that nothing comes any more.
            Err(SubmitError::Closed { .. }) if self.shards.is_stopping() => {}
            // The shards bound what they hand over below the queue's size, so this is a stuck
            // index, and what it was to keep exists nowhere else in memory.
            Err(error) => fail(&format!("the state index takes no more work: {error}")),
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

    /// As [`Self::index_failed`], but that a node which stops needs the index no more, and that one
    /// which only lacks space is sound.
    pub(crate) fn index_fault(&self, fault: &IndexFault) {
        if self.shards.is_stopping() {
            tracing::debug!(%fault, "the state index is closed");
        } else if fault.is_storage_full() {
            fail(&format!("the state index has no space: {}", explained(fault)))
        } else {
            self.index_failed(&explained(fault))
        }
    }

    /// Resolves once the state index waits for space: whoever waits for it waits for that too.
    pub(crate) async fn index_lacks_space(&self) {
        const PAUSE: Duration = Duration::from_millis(200);
        while !self.index.lacks_space() {
            tokio::time::sleep(PAUSE).await;
        }
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
        self.progress.get(self.map.nth(shard)?)
    }

    pub(crate) fn appended(&self, shard: ShardId, bytes: usize) {
        if let Some(progress) = self.progress_of(shard) {
            let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
            progress.appended_bytes.fetch_add(bytes, Ordering::Relaxed);
        }
    }

    pub(crate) fn leads(&self, shard: ShardId, leads: bool) {
        tracing::debug!(shard.id = %shard, leads, "leadership changed");
        if !leads {
            self.feed.ended(shard);
        }
    }

    /// What a replica of this node knows of its group's leader.
    pub(crate) fn learn_leader(&self, shard: ShardId, known: Known) {
        self.leaders.learn(shard, known);
        let led_here = |group: &ShardId| self.leaders.of(*group) == Known::Here;
        // Groups that are everywhere are no shards.
        let everywhere = ShardId::EVERYWHERE.iter().filter(|group| led_here(group)).count();
        let led = self.leaders.led_here().borrow().saturating_sub(everywhere);
        self.metrics.shards_led.set(i64::try_from(led).unwrap_or(i64::MAX));
    }

    pub(crate) fn fenced(&self, shard: ShardId, why: &str) {
        tracing::error!(shard.id = %shard, "shard fenced: {why}");
        self.metrics.shards_fenced.inc();
    }

    /// A peer says whether it may lead.
    pub(crate) fn hears_fitness(&self, node: NodeId, fitness: Fitness) {
        let mut unfit = self.unfit.lock().unwrap_or_else(PoisonError::into_inner);
        match fitness {
            Fitness::Fit => unfit.remove(&node),
            Fitness::Unfit => unfit.insert(node, self.boot_of(node)),
        };
    }

    /// Whether a node said that it may not lead, and did not start again since.
    pub(crate) fn is_unfit(&self, node: NodeId) -> bool {
        if node == self.node {
            return self.fitness() == Fitness::Unfit;
        }
        let unfit = self.unfit.lock().unwrap_or_else(PoisonError::into_inner);
        unfit.get(&node).is_some_and(|boot| *boot == self.boot_of(node))
    }

    /// A node whose disk is full leaves leading to others, where they can.
    pub(crate) fn fitness(&self) -> Fitness {
        if self.log.is_full() { Fitness::Unfit } else { Fitness::Fit }
    }

    fn boot_of(&self, node: NodeId) -> Option<BootId> {
        self.network.get()?.mesh.links().borrow().get(&node)?.boot
    }

    /// For what the node asks itself: seldom, and one thing at a time.
    pub(crate) fn unbounded_waiter(&self) -> (Waiter, oneshot::Receiver<Reply>) {
        let (reply, answer) = oneshot::channel();
        (Waiter { reply, permit: Permit::free() }, answer)
    }
}

/// The shard actors of this node by id.
#[derive(Default)]
pub(crate) struct Shards {
    actors: OnceLock<(ShardMap, Vec<ActorRef<ShardMessage>>)>,
    /// Messages for shards that are not up yet, counted for the curious.
    dropped: AtomicU64,
    stopping: AtomicUsize,
}

impl Shards {
    /// In the order of the map's groups.
    pub(crate) fn install(&self, map: ShardMap, actors: Vec<ActorRef<ShardMessage>>) {
        if self.actors.set((map, actors)).is_err() {
            unreachable!("a node starts its shards once");
        }
    }

    pub(crate) fn get(&self, shard: ShardId) -> Option<&ActorRef<ShardMessage>> {
        let (map, actors) = self.actors.get()?;
        actors.get(map.nth(shard)?)
    }

    pub(crate) fn all(&self) -> &[ActorRef<ShardMessage>] {
        self.actors.get().map_or(&[], |(_, actors)| actors)
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
        self.stopping.store(1, Ordering::SeqCst);
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::SeqCst) > 0
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
