//! One node: its folder, its log, its shards, and the handle to talk to them.
//!
//! **Invariants:** nothing is served before the log is read to its end; a folder is used by one
//! process at a time; stopping refuses new work first, then lets what is under way reach the disk.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock};
use std::thread::JoinHandle;
use std::time::Duration;

use prometheus_client::registry::Registry;
use ractor::{Actor, ActorProcessingErr, ActorRef, SupervisionEvent};
use sha2::{Digest, Sha256};
use storage::clock;
use storage::disk::{DirLock, LockError, RealDisk};
use storage::log::LogError;
use storage::metrics::StorageMetrics;
use storage::state::{Closed, IndexFault, IndexWorker};
use storage::vault::Vault;
use tokio::sync::{oneshot, watch};

use crate::catalogue::CatalogueReader;
use crate::entity::Catalogue;
use crate::fabric::Fabric;
use crate::ids::{NodeId, ShardId};
use crate::metrics::{ClusterMetrics, MeshMetrics, TransferMetrics};
use crate::placement::cluster::Cluster;
use crate::placement::shard_map::ShardCountError;
use crate::placement::steps::Progress;
use crate::replication::group::GroupError;
use crate::runtime::beginning::begin_alone;
use crate::runtime::cataloguing;
use crate::runtime::courier::Courier;
use crate::runtime::detector::Reluctant;
use crate::runtime::feed::{FeedConsumer, FeedSignals, Follower};
use crate::runtime::fetching::SnapshotFolder;
use crate::runtime::floors::Floors;
use crate::runtime::identity::{Identity, IdentityError, Origin};
use crate::runtime::joining::{JoinError, MeshSettings};
use crate::runtime::leaders::Leaders;
use crate::runtime::log_writer::LogWriter;
use crate::runtime::maintenance::{CurrentSnapshot, Maintenance, watch_storage};
use crate::runtime::membership::ClusterHandle;
use crate::runtime::opening::{INDEX_DIR, Opened, Past};
use crate::runtime::operations::Operations;
use crate::runtime::peering::Peering;
use crate::runtime::ports::{PortAdapter, Ports};
use crate::runtime::pulse::Pulse;
use crate::runtime::readmission::Admission;
use crate::runtime::restore::RestoreError;
use crate::runtime::router::Router;
use crate::runtime::services::{Services, Shards, ShardsOfLog};
use crate::runtime::shard_actor::{ShardActor, ShardMessage};
use crate::runtime::shelf::{CatalogueAge, Shelf};
use crate::runtime::snapshotting::shard_hash;
use crate::runtime::starts::Starts;
use crate::runtime::transfers::Transfers;
use crate::shard::core::{ShardCore, ShardStatus};
use crate::shard::io::Input;
use crate::shard::kind::Kinds;
use crate::shard::lead_view::LeadView;
use crate::shard::question::{Fitness, Question};

/// What shards may hand to the state index before it is considered stuck.
const INDEX_QUEUE_BYTES_MAX: usize = 512 << 20;
/// How long stopping waits for the state index to let go of its files.
const INDEX_CLOSE_MAX: Duration = Duration::from_secs(5);
/// How long stopping waits for requests that are under way.
const UNDER_WAY_MAX: Duration = Duration::from_secs(5);
/// How long stopping waits for progress, such as feed cursors, to be recorded.
const PROGRESS_MAX: Duration = Duration::from_secs(2);
/// What stopping spends on making the next start quick.
const FLOOR_AT_STOP_MAX: Duration = Duration::from_secs(25);
/// What stopping spends on letting others lead.
const HAND_OVER_MAX: Duration = Duration::from_secs(3);
/// What telling one peer about it may take.
const FAREWELL_MAX: Duration = Duration::from_millis(300);

/// What a node is started with.
pub struct NodeConfig {
    pub folder: PathBuf,
    /// For a new folder; an existing one keeps its number. `None` is the default of 64.
    pub n_shards: Option<u32>,
    pub kinds: Kinds,
    pub ports: Vec<Arc<dyn PortAdapter>>,
    /// Who follows the feed of published events.
    pub consumers: Vec<Arc<dyn FeedConsumer>>,
    /// What commands are priced from for the life of the node, where no `reader` is given.
    pub catalogue: Option<Catalogue>,
    /// Reads the catalogue from the group that all nodes replicate.
    pub reader: Option<Arc<dyn CatalogueReader>>,
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
    /// `None` for a node that is alone.
    pub mesh: Option<MeshSettings>,
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
            reader: None,
            vault: None,
            segment_bytes: 64 << 20,
            snapshot_log_bytes_min: 16 << 20,
            index_floor_every: Duration::from_secs(30),
            resident_bytes_max: 2 << 30,
            shard_queue_bytes_max: 8 << 20,
            index_cache_bytes: 32 << 20,
            mesh: None,
        }
    }

    /// The shop's kinds, and the one that the `meta` group holds.
    pub(crate) fn all_kinds(&self) -> Kinds {
        self.kinds.clone().with::<Cluster>()
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
    #[error("cannot take part in a cluster")]
    Join(#[from] JoinError),
    #[error("cannot start {what}: {why}")]
    Start { what: &'static str, why: String },
}

/// A running node.
pub struct Node {
    fabric: Fabric,
    operations: Operations,
    services: Arc<Services>,
    cluster: Option<ClusterHandle>,
    supervisor: ActorRef<()>,
    background: Vec<tokio::task::JoinHandle<()>>,
    /// Shards need it to the last: ended after them.
    pulse: Vec<tokio::task::JoinHandle<()>>,
    floors: Floors,
    log_thread: Option<JoinHandle<()>>,
    /// Held for the life of the node.
    _lock: DirLock,
}

impl Node {
    /// Opens the folder, recovers every shard and starts serving. Returns once recovery is done;
    /// shards begin to lead moments later, see [`Node::is_ready`].
    pub async fn start(config: NodeConfig, registry: &mut Registry) -> Result<Self, StartError> {
        let newcomer = newcomer(&config).await?;
        let opened = Opened::open(&config, newcomer)?;
        let Begun { services, cores, current, identity, starts, lock, log_thread } =
            begin(&config, opened, registry)?;
        let supervisor = supervise(cores, &services).await?;
        let random = random_u64().map_err(|error| start_error("the router", &error))?;
        let queue_bytes_max = config.shard_queue_bytes_max;
        let router = Router::new(services.map, Arc::clone(&services), random, queue_bytes_max);
        let router = Arc::new(router);
        let incarnation = identity.incarnation;
        let shelf = Arc::clone(&services.shelf);
        let fabric = Fabric::new(Arc::clone(&router), incarnation, identity.cluster_secret, shelf);
        services.log.announce_space();
        let floors =
            Floors { services: Arc::clone(&services), shards: services.map.groups().collect() };
        let maintenance = Maintenance::new(&services, &config, current, floors.clone());
        let mut background = vec![
            tokio::spawn(maintenance.run()),
            tokio::spawn(watch_storage(Arc::clone(&services))),
        ];
        if let Some(reader) = config.reader {
            background.push(tokio::spawn(cataloguing::follow(Arc::clone(&services), reader)));
            background.push(tokio::spawn(cataloguing::confirm(Arc::clone(&services))));
        }
        for consumer in &config.consumers {
            let follower = Follower::new(&services, incarnation, Arc::clone(consumer));
            background.push(tokio::spawn(follower.run()));
        }
        let mut cluster = None;
        let handle = ClusterHandle::new(router, Arc::clone(&services));
        if let Some(settings) = config.mesh {
            let metrics = MeshMetrics::register(registry);
            let peering = Peering { settings, identity, starts, metrics };
            background.extend(peering.begin(&services, &handle).await?);
            cluster = Some(handle);
        } else {
            let founds = identity.origin == Origin::Founded;
            background.push(tokio::spawn(begin_alone(handle, founds)));
        }
        let pulse = Pulse::begin(&services);
        let operations = Operations::new(fabric.clone(), Arc::clone(&services));
        Ok(Self {
            fabric,
            operations,
            services,
            cluster,
            supervisor,
            background,
            pulse,
            floors,
            log_thread: Some(log_thread),
            _lock: lock,
        })
    }

    pub fn fabric(&self) -> Fabric {
        self.fabric.clone()
    }

    /// What operators see of the cluster and do to it, from this node.
    pub fn operations(&self) -> Operations {
        self.operations.clone()
    }

    /// The cluster this node belongs to; none when it is alone.
    pub fn cluster(&self) -> Option<&ClusterHandle> {
        self.cluster.as_ref()
    }

    /// Whether requests for every shard can be served, but for fenced ones: they will not come up, and
    /// the others serve without them. Metrics, the log and [`Node::status`] tell of those.
    pub fn is_ready(&self) -> bool {
        self.readiness().is_ready()
    }

    /// A probe of [`Node::is_ready`] that outlives borrows of the node.
    pub fn readiness(&self) -> Readiness {
        Readiness { services: Arc::clone(&self.services) }
    }

    /// Resolves once requests for every shard can be served.
    pub async fn ready(&self) {
        let mut unsettled = self.services.leaders.unsettled();
        // The sender lives as long as this node.
        unsettled.wait_for(|n| *n == 0).await.ok();
        self.services.shelf.settled().await;
    }

    /// Resolves, with the reason, when the cluster refuses this node: it takes no part from then on.
    pub async fn refused(&self) -> String {
        let mut admission = self.services.admission.subscribe();
        let refused = admission.wait_for(|now| matches!(now, Admission::Refused { .. })).await;
        match refused.as_deref() {
            Ok(Admission::Refused { why }) => why.clone(),
            // The sender lives as long as this node.
            Ok(Admission::Awaited | Admission::Granted) | Err(_) => std::future::pending().await,
        }
    }

    /// The numbers of every shard, in order.
    pub async fn status(&self) -> Vec<ShardStatus> {
        let mut all = Vec::new();
        for actor in self.services.map.shards().filter_map(|s| self.services.shards.get(s)) {
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

    /// Refuses new work, lets what is under way reach the disk, and ends.
    pub async fn stop(mut self) {
        self.hand_over().await;
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
        self.services.record_progress(PROGRESS_MAX).await;
        let raised = tokio::time::timeout(FLOOR_AT_STOP_MAX, self.floors.raise()).await;
        if !matches!(raised, Ok(Ok(()))) {
            tracing::info!("the state index is behind; the next start replays more of the log");
        }
        if let Some(network) = self.services.network.get() {
            network.mesh.stop().await;
        }
        self.supervisor.stop_children_and_wait(None, None).await;
        // The supervisor may have ended by itself.
        self.supervisor.stop_and_wait(None, None).await.ok();
        for task in self.pulse.drain(..) {
            task.abort();
            task.await.ok();
        }
        let services = Arc::clone(&self.services);
        let closed = tokio::task::spawn_blocking(move || services.index.close(INDEX_CLOSE_MAX));
        if !matches!(closed.await, Ok(Closed::Cleanly)) {
            tracing::warn!("the state index was not closed in time");
        }
        self.services.log.stop();
        if let Some(thread) = self.log_thread.take() {
            let ended = tokio::task::spawn_blocking(move || thread.join().is_ok()).await;
            if !ended.unwrap_or(false) {
                tracing::error!("the log writer ended badly");
            }
        }
    }
}

impl Node {
    /// Lets other nodes lead what this one leads, where they can.
    async fn hand_over(&self) {
        let Some(network) = self.services.network.get() else { return };
        let peers: Vec<_> = network.mesh.links().borrow().keys().copied().collect();
        for peer in peers {
            let deadline = tokio::time::Instant::from_std(clock::monotonic()) + FAREWELL_MAX;
            // A peer that is away gives this node nothing to lead.
            network.ask(peer, &Question::Fitness(Fitness::Unfit), deadline).await.ok();
        }
        let mut led = self.services.leaders.led_here();
        for group in self.services.map.groups() {
            let Some(actor) = self.services.shards.get(group) else { continue };
            let (reply, view) = oneshot::channel();
            if actor.cast(ShardMessage::LeadView(reply)).is_err() {
                continue;
            }
            let Ok(Some(LeadView { configuration, followers, .. })) = view.await else { continue };
            let can_lead = |(node, progress): &(&NodeId, &Progress)| {
                configuration.voters.contains(node) && progress.can_be_fed()
            };
            let nearest = followers.iter().filter(can_lead).min_by_key(|(_, p)| p.behind);
            if let Some((to, _)) = nearest {
                let transfer = Input::TransferLead { to: *to };
                // An actor that is gone leads nothing.
                actor.cast(ShardMessage::Input(transfer)).ok();
            }
        }
        let handed_over = led.wait_for(|n| *n == 0);
        if tokio::time::timeout(HAND_OVER_MAX, handed_over).await.is_err() {
            tracing::info!("some shards have nobody else to lead them");
        }
    }
}

/// A node whose threads run and whose shards do not yet.
struct Begun {
    services: Arc<Services>,
    cores: Vec<(ShardId, ShardCore)>,
    current: BTreeMap<ShardId, CurrentSnapshot>,
    identity: Identity,
    starts: Arc<Starts>,
    lock: DirLock,
    log_thread: JoinHandle<()>,
}

/// Starts the threads that own the log and the state index.
fn begin(
    config: &NodeConfig,
    opened: Opened,
    registry: &mut Registry,
) -> Result<Begun, StartError> {
    let Opened { lock, disk, seal, identity, starts, map, log, index, past } = opened;
    let Past { cores, progress, current } = past;
    let storage_metrics = StorageMetrics::register(registry);
    let shards = Arc::new(Shards::default());
    // In its first run a folder has nothing to have forgotten.
    let asks = config.mesh.is_some() && starts.current().epoch > 1;
    let admission = if asks { Admission::Awaited } else { Admission::Granted };
    let started = |what| move |error: std::io::Error| start_error(what, &error);
    let events = Arc::new(ShardsOfLog::new(Arc::clone(&shards)));
    let (log, log_thread) =
        LogWriter::start(log, Arc::clone(&disk), events, storage_metrics.clone())
            .map_err(started("the log writer"))?;
    let index =
        IndexWorker::start(index, INDEX_QUEUE_BYTES_MAX).map_err(started("the state index"))?;
    let services = Arc::new(Services {
        log,
        index,
        index_folder: config.folder.join(INDEX_DIR),
        ports: Ports::new(config.ports.clone(), Arc::clone(&shards), identity.incarnation),
        feed: FeedSignals::default(),
        metrics: Arc::new(ClusterMetrics::register(registry)),
        storage_metrics,
        node: identity.node,
        began: clock::monotonic(),
        map,
        leaders: Leaders::unknown(map),
        cluster: watch::Sender::new(Arc::default()),
        network: OnceLock::new(),
        pulse: Pulse::new(map.groups()),
        courier: Courier::default(),
        unfit: Mutex::default(),
        reluctant: Reluctant::default(),
        admission: watch::Sender::new(admission),
        snapshot_folder: SnapshotFolder {
            disk,
            seal,
            kinds: config.all_kinds(),
            hot_bytes_max: config.resident_bytes_max / map.n_groups(),
        },
        transfers: Transfers::new(TransferMetrics::register(registry)),
        progress,
        shards,
        shelf: shelf(config, registry),
    });
    Ok(Begun { services, cores, current, identity, starts: Arc::new(starts), lock, log_thread })
}

/// Where this node's shards find the catalogue.
fn shelf(config: &NodeConfig, registry: &mut Registry) -> Arc<Shelf> {
    if config.reader.is_none() {
        return Arc::new(Shelf::given(config.catalogue.clone()));
    }
    let shelf = Arc::new(Shelf::of_group());
    registry.register_collector(Box::new(CatalogueAge(Arc::clone(&shelf))));
    shelf
}

/// The identity of a folder that is new and belongs to somebody else's cluster.
async fn newcomer(config: &NodeConfig) -> Result<Option<Identity>, StartError> {
    let Some(settings) = config.mesh.as_ref().filter(|mesh| !mesh.join.is_empty()) else {
        return Ok(None);
    };
    let folder = config.folder.clone();
    let disk =
        RealDisk::open(&config.folder).map_err(|source| StartError::Folder { folder, source })?;
    if Identity::read(&disk, config.vault.as_deref())?.is_some() {
        return Ok(None);
    }
    Ok(Some(settings.introduce().await?))
}

/// Tells whether a node serves.
#[derive(Clone)]
pub struct Readiness {
    services: Arc<Services>,
}

impl Readiness {
    pub fn is_ready(&self) -> bool {
        let services = &self.services;
        *services.leaders.unsettled().borrow() == 0
            && services.shelf.is_settled()
            && !services.shards.is_stopping()
            && services.may_serve_all()
    }
}

/// Starts the shard actors under a supervisor.
async fn supervise(
    cores: Vec<(ShardId, ShardCore)>,
    services: &Arc<Services>,
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
        actors.push(actor);
    }
    services.shards.install(services.map, actors);
    for actor in services.shards.all() {
        actor.cast(ShardMessage::Start).map_err(|error| start_error("a shard", &error))?;
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
