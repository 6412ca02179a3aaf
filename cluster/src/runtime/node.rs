//! One node: its folder, its log, its shards, and the handle to talk to them.
//!
//! **Invariants:** nothing is served before the log is read to its end; a folder is used by one
//! process at a time; stopping refuses new work first, then lets what is under way reach the disk.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use prometheus_client::registry::Registry;
use ractor::{Actor, ActorProcessingErr, ActorRef, SupervisionEvent};
use sha2::{Digest, Sha256};
use storage::clock;
use storage::disk::{DirLock, LockError};
use storage::log::LogError;
use storage::metrics::StorageMetrics;
use storage::state::{IndexFault, IndexWorker};
use storage::vault::Vault;
use tokio::sync::{oneshot, watch};

use crate::entity::Catalogue;
use crate::fabric::Fabric;
use crate::ids::ShardId;
use crate::metrics::ClusterMetrics;
use crate::placement::shard_map::ShardCountError;
use crate::replication::group::GroupError;
use crate::runtime::feed::{FeedConsumer, FeedSignals, Follower};
use crate::runtime::floors::Floors;
use crate::runtime::identity::IdentityError;
use crate::runtime::log_writer::LogWriter;
use crate::runtime::maintenance::{Maintenance, MaintenanceRule};
use crate::runtime::opening::{INDEX_DIR, Opened, Past};
use crate::runtime::ports::{PortAdapter, Ports};
use crate::runtime::restore::RestoreError;
use crate::runtime::router::Router;
use crate::runtime::services::{Services, Shards, ShardsOfLog};
use crate::runtime::shard_actor::{ShardActor, ShardMessage};
use crate::runtime::snapshotting::shard_hash;
use crate::shard::core::{ShardCore, ShardStatus};
use crate::shard::io::{Input, Space};
use crate::shard::kind::Kinds;

/// What shards may hand to the state index before it is considered stuck.
const INDEX_QUEUE_BYTES_MAX: usize = 512 << 20;
/// How long stopping waits for requests that are under way.
const UNDER_WAY_MAX: Duration = Duration::from_secs(5);
/// What stopping spends on making the next start quick.
const FLOOR_AT_STOP_MAX: Duration = Duration::from_secs(25);
const TICK: Duration = Duration::from_millis(100);

/// What a node is started with.
pub struct NodeConfig {
    pub folder: PathBuf,
    /// For a new folder; an existing one keeps its number. `None` is the default of 64.
    pub n_shards: Option<u32>,
    pub kinds: Kinds,
    pub ports: Vec<Arc<dyn PortAdapter>>,
    /// Who follows the feed of published events.
    pub consumers: Vec<Arc<dyn FeedConsumer>>,
    pub catalogue: Option<Catalogue>,
    /// Encrypts everything at rest.
    pub vault: Option<Arc<Vault>>,
    /// Size of one log segment; four are on disk at least.
    pub segment_bytes: u64,
    /// Log bytes of a shard after which a snapshot is due, at least.
    pub snapshot_log_bytes_min: u64,
    /// How often the state index is brought up to date.
    pub index_floor_every: Duration,
    /// Memory for entities, over all shards.
    pub resident_bytes_max: usize,
    /// Memory for requests that wait, per shard.
    pub shard_queue_bytes_max: usize,
    /// Memory for the state index's own cache.
    pub index_cache_bytes: u64,
}

impl NodeConfig {
    /// The defaults for a folder.
    pub fn new(folder: PathBuf, kinds: Kinds) -> Self {
        Self {
            folder,
            n_shards: None,
            kinds,
            ports: Vec::new(),
            consumers: Vec::new(),
            catalogue: None,
            vault: None,
            segment_bytes: 64 << 20,
            snapshot_log_bytes_min: 16 << 20,
            index_floor_every: Duration::from_secs(30),
            resident_bytes_max: 2 << 30,
            shard_queue_bytes_max: 8 << 20,
            index_cache_bytes: 32 << 20,
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("cannot open the data folder {}", .folder.display())]
    Folder {
        folder: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error(transparent)]
    Lock(#[from] LockError),
    #[error(transparent)]
    Identity(#[from] IdentityError),
    #[error(transparent)]
    Shards(#[from] ShardCountError),
    #[error("cannot open the log")]
    Log(#[from] LogError),
    #[error("cannot open the state index")]
    Index(#[from] IndexFault),
    #[error(transparent)]
    Restore(#[from] RestoreError),
    #[error("the log holds nothing of shard {shard}, which it must since the folder was made")]
    ShardLost { shard: ShardId },
    #[error(transparent)]
    Group(#[from] GroupError),
    #[error("cannot start {what}: {why}")]
    Start { what: &'static str, why: String },
}

/// A running node.
pub struct Node {
    fabric: Fabric,
    services: Arc<Services>,
    n_shards: usize,
    supervisor: ActorRef<()>,
    background: Vec<tokio::task::JoinHandle<()>>,
    floors: Floors,
    log_thread: Option<JoinHandle<()>>,
    /// Held for the life of the node.
    _lock: DirLock,
}

impl Node {
    /// Opens the folder, recovers every shard and starts serving. Returns once recovery is done;
    /// shards begin to lead moments later, see [`Node::is_ready`].
    pub async fn start(config: NodeConfig, registry: &mut Registry) -> Result<Self, StartError> {
        let metrics = Arc::new(ClusterMetrics::register(registry));
        let storage_metrics = StorageMetrics::register(registry);
        let shards = Arc::new(Shards::default());
        let Opened { lock, disk, seal, identity, map, log, index, past } = Opened::open(&config)?;
        let Past { cores, progress, current } = past;
        let started = |what| move |error: std::io::Error| start_error(what, &error);
        let events = Arc::new(ShardsOfLog::new(Arc::clone(&shards)));
        let (log, log_thread) =
            LogWriter::start(log, Arc::clone(&disk), events, storage_metrics.clone())
                .map_err(started("the log writer"))?;
        let index =
            IndexWorker::start(index, INDEX_QUEUE_BYTES_MAX).map_err(started("the state index"))?;
        let incarnation = identity.incarnation;
        let services = Arc::new(Services {
            log,
            index,
            index_folder: config.folder.join(INDEX_DIR),
            ports: Ports::new(config.ports.clone(), Arc::clone(&shards), incarnation),
            feed: FeedSignals::default(),
            metrics,
            storage_metrics,
            n_leading: watch::Sender::new(0),
            progress,
            shards,
        });
        let supervisor = supervise(cores, &services, config.catalogue.as_ref()).await?;
        let random = random_u64().map_err(|error| start_error("the router", &error))?;
        let router = Router::new(map, Arc::clone(&services), random, config.shard_queue_bytes_max);
        let fabric = Fabric::new(Arc::new(router), incarnation, identity.cluster_secret);
        if services.log.is_full() {
            // It ran full before there was anybody to tell.
            services.shards.tell_space(Space::Full);
        }
        let followers = config.consumers.iter().map(|consumer| Follower {
            services: Arc::clone(&services),
            disk: Arc::clone(&disk),
            seal: seal.clone(),
            incarnation,
            consumer: Arc::clone(consumer),
            consumed: BTreeMap::new(),
        });
        let mut background: Vec<_> =
            followers.map(|follower| tokio::spawn(follower.run())).collect();
        let floors = Floors { services: Arc::clone(&services), shards: map.shards().collect() };
        let maintenance = Maintenance {
            services: Arc::clone(&services),
            disk,
            seal,
            rule: MaintenanceRule {
                snapshot_log_bytes_min: config.snapshot_log_bytes_min,
                index_floor_every: config.index_floor_every,
            },
            shards: map.shards().collect(),
            current,
            floors: floors.clone(),
            floor_was_raised: clock::monotonic(),
        };
        background.push(tokio::spawn(maintenance.run()));
        Ok(Self {
            fabric,
            services,
            n_shards: map.shards().len(),
            supervisor,
            background,
            floors,
            log_thread: Some(log_thread),
            _lock: lock,
        })
    }

    pub fn fabric(&self) -> Fabric {
        self.fabric.clone()
    }

    /// Whether every shard is led and serving.
    pub fn is_ready(&self) -> bool {
        self.readiness().is_ready()
    }

    /// A probe of [`Node::is_ready`] that outlives borrows of the node.
    pub fn readiness(&self) -> Readiness {
        Readiness { services: Arc::clone(&self.services), n_shards: self.n_shards }
    }

    /// Resolves once every shard is led.
    pub async fn ready(&self) {
        let mut leading = self.services.n_leading.subscribe();
        // The sender lives as long as this node.
        leading.wait_for(|n| *n == self.n_shards).await.ok();
    }

    /// The numbers of every shard, in order.
    pub async fn status(&self) -> Vec<ShardStatus> {
        let mut all = Vec::with_capacity(self.n_shards);
        for actor in self.services.shards.all() {
            let (reply, answer) = oneshot::channel();
            if actor.cast(ShardMessage::Status(reply)).is_ok() {
                all.extend(answer.await.ok());
            }
        }
        all
    }

    /// A hash over every record of every shard: equal for equal states, however they came about.
    pub async fn state_hash(&self) -> Option<[u8; 32]> {
        let mut hasher = Sha256::new();
        for shard in &self.floors.shards {
            let hash = shard_hash(&self.services, *shard).await.ok()?;
            hasher.update(hash);
        }
        Some(hasher.finalize().into())
    }

    /// Gives every shard a new catalogue.
    pub fn publish_catalogue(&self, catalogue: &Catalogue) {
        for actor in self.services.shards.all() {
            let input = Input::Catalogue(Some(catalogue.clone()));
            // A shard that is gone prices nothing.
            actor.cast(ShardMessage::Input(input)).ok();
        }
    }

    /// Refuses new work, lets what is under way reach the disk, and ends.
    pub async fn stop(mut self) {
        self.services.shards.begin_stop();
        let patience = clock::monotonic();
        while !self.fabric.is_idle() && patience.elapsed() < UNDER_WAY_MAX {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        // A snapshot cut short leaves a temporary file, which the next one replaces.
        for task in self.background.drain(..) {
            task.abort();
            task.await.ok();
        }
        // A tick records progress that waited for an entry to carry it, such as feed cursors.
        for actor in self.services.shards.all() {
            actor.cast(ShardMessage::Input(Input::Tick)).ok();
        }
        let raised = tokio::time::timeout(FLOOR_AT_STOP_MAX, self.floors.raise()).await;
        if !matches!(raised, Ok(Ok(()))) {
            tracing::info!("the state index is behind; the next start replays more of the log");
        }
        self.supervisor.stop_children_and_wait(None, None).await;
        // The supervisor may have ended by itself.
        self.supervisor.stop_and_wait(None, None).await.ok();
        self.services.log.stop();
        if let Some(thread) = self.log_thread.take() {
            let ended = tokio::task::spawn_blocking(move || thread.join().is_ok()).await;
            if !ended.unwrap_or(false) {
                tracing::error!("the log writer ended badly");
            }
        }
    }
}

/// Tells whether a node serves.
#[derive(Clone)]
pub struct Readiness {
    services: Arc<Services>,
    n_shards: usize,
}

impl Readiness {
    pub fn is_ready(&self) -> bool {
        *self.services.n_leading.borrow() == self.n_shards && !self.services.shards.is_stopping()
    }
}

/// Starts the shard actors under a supervisor.
async fn supervise(
    cores: Vec<(ShardId, ShardCore)>,
    services: &Arc<Services>,
    catalogue: Option<&Catalogue>,
) -> Result<ActorRef<()>, StartError> {
    let (supervisor, _) = Actor::spawn(None, Supervisor, ())
        .await
        .map_err(|error| start_error("the supervisor", &error))?;
    let mut actors = Vec::with_capacity(cores.len());
    for (shard, core) in cores {
        let arguments = (shard, core, Arc::clone(services));
        let (actor, _) = Actor::spawn_linked(None, ShardActor, arguments, supervisor.get_cell())
            .await
            .map_err(|error| start_error("a shard", &error))?;
        actor.send_interval(TICK, || ShardMessage::Input(Input::Tick));
        actors.push(actor);
    }
    services.shards.install(actors);
    for actor in services.shards.all() {
        let start = ShardMessage::Start { catalogue: catalogue.cloned() };
        actor.cast(start).map_err(|error| start_error("a shard", &error))?;
    }
    Ok(supervisor)
}

/// Watches the shard actors. Their state is in the log alone, so one that dies is healed by
/// replay, and the simplest replay is a restart of the process.
struct Supervisor;

impl Actor for Supervisor {
    type Msg = ();
    type State = ();
    type Arguments = ();

    async fn pre_start(&self, _: ActorRef<()>, (): ()) -> Result<(), ActorProcessingErr> {
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        _myself: ActorRef<()>,
        event: SupervisionEvent,
        (): &mut (),
    ) -> Result<(), ActorProcessingErr> {
        if let SupervisionEvent::ActorFailed(_, why) = event {
            const EXIT_SHARD_DIED: i32 = 70;
            tracing::error!("a shard died, the process ends to replay its log: {why}");
            std::process::exit(EXIT_SHARD_DIED);
        }
        Ok(())
    }
}

fn random_u64() -> Result<u64, getrandom::Error> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes)?;
    Ok(u64::from_be_bytes(bytes))
}

pub(crate) fn start_error(what: &'static str, why: &impl std::fmt::Display) -> StartError {
    StartError::Start { what, why: why.to_string() }
}
