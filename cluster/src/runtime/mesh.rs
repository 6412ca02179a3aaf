//! The mesh: what carries bytes between the nodes of a cluster.
//!
//! One listening port; the node with the lower number dials, so that there is one link to a peer;
//! one connection per lane, each with TLS 1.3 and certificates on both sides. Plain TCP is for
//! nodes on one machine, when it is asked for.
//!
//! **Invariants:**
//! - nothing of a peer is processed before its certificate, its cluster and its membership hold;
//! - sending never waits, and what waits to be sent is bounded in bytes, as is what a peer may have
//!   unhandled here; only raft frames may be dropped, and those are counted;
//! - a lane keeps its order; after it breaks, what was certainly not sent is told apart.
//!
//! It knows no shard and no leader: routing and failure detection are built on top.
//!
//! **No control lane of `ractor_cluster`.** One was planned, for presence, placement and an operator's
//! calls. `ractor_cluster` 0.16.5 would add 29 crates to the tree, with its default features off:
//! among them a C library, `aws-lc-sys`, whose build takes 139 s of a core where all others together
//! take 260 (`cargo build --timings`, development profile), and a `protoc` for eight platforms that is
//! run at build time as it comes. Its registries belong to the process, so several nodes in one, as
//! most tests of this crate have, would spoil each other's; it neither notices a peer that falls silent
//! nor dials again. What was to go over it has a better place: who belongs to the cluster is in `meta`,
//! who is heard of is known from the raft lane, and operators' calls are questions on the calls lane.

mod accept;
pub mod calls;
mod connection;
pub mod credentials;
mod dial;
mod fault;
mod framed;
mod handler;
mod handshake;
mod lane_queue;
pub mod names;
mod peers;
mod socket;
mod validity;

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU16, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use storage::clock;
use storage::disk::Disk;
use tokio::sync::watch;
use tokio::task::JoinSet;

pub use self::accept::Listening;
pub use self::dial::KnockError;
pub use self::fault::LinkFault;
pub use self::handler::{Class, ConnectionId, Frame, Knock, LostLane, MeshHandler, Permit};
pub use self::handshake::HandshakeError;
pub use self::lane_queue::Refused;
pub use self::peers::{Link, Links, PeerAddress};

use self::credentials::{CertificateError, Keyring, Rotation};
use self::lane_queue::{Bounds, WINDOW_BYTES_MIN};
use self::peers::Peers;
use crate::ids::NodeId;
use crate::metrics::{Direction, MeshMetrics};
use crate::wire::Lane;
use crate::wire::greeting::{BootId, ClusterId, Levels, Purpose};

/// Who this node is to its peers.
#[derive(Clone, Copy, Debug)]
pub struct MeshIdentity {
    pub cluster: ClusterId,
    pub node: NodeId,
    /// Another number at every start.
    pub boot: BootId,
    pub levels: Levels,
}

/// How peers prove who they are.
pub enum Protection {
    /// A folder with [`credentials::AUTHORITY_FILE`] and its neighbours, read again while running.
    Certificates(Arc<dyn Disk>),
    /// Not at all: every peer must be on this machine.
    PlainOnLoopback,
}

pub struct MeshConfig {
    pub identity: MeshIdentity,
    pub listen: SocketAddr,
    pub protection: Protection,
    pub limits: MeshLimits,
}

/// The bounds of the mesh.
#[derive(Clone, Copy, Debug)]
pub struct MeshLimits {
    /// From the first byte to the end of the greeting.
    pub handshake_max: Duration,
    /// Connections that have not yet proved who they are; more are closed at once.
    pub unproven_max: usize,
    /// An idle raft lane says so this often.
    pub heartbeat: Duration,
    /// A peer whose raft lane is silent for so long loses all its lanes.
    pub silence_max: Duration,
    pub redial_min: Duration,
    pub redial_max: Duration,
    /// What may wait for a peer on one lane; answers may wait as much again.
    pub queue_bytes_max: u64,
    /// What a peer may have sent on one lane and this node not handled, at least four frames.
    pub window_bytes: u64,
    /// How often the certificate files are looked at.
    pub rotation_every: Duration,
}

impl Default for MeshLimits {
    fn default() -> Self {
        Self {
            handshake_max: Duration::from_secs(3),
            unproven_max: 64,
            heartbeat: Duration::from_millis(100),
            silence_max: Duration::from_secs(3),
            redial_min: Duration::from_millis(50),
            // A dial costs little, and a node that returns is waited for.
            redial_max: Duration::from_secs(1),
            queue_bytes_max: 16 << 20,
            window_bytes: 8 << 20,
            rotation_every: Duration::from_secs(30),
        }
    }
}

impl MeshLimits {
    fn of(&self, _: Lane) -> Bounds {
        Bounds { queue_bytes_max: self.queue_bytes_max, window: self.window_bytes }
    }

    fn window(&self, _: Purpose) -> u64 {
        self.window_bytes
    }
}

#[derive(Debug, thiserror::Error)]
pub enum MeshError {
    #[error("cannot listen for other nodes on {address}")]
    Listen {
        address: SocketAddr,
        #[source]
        source: io::Error,
    },
    #[error("{0} can be reached from other machines, and there are no certificates")]
    NotLoopback(SocketAddr),
    #[error("a window of {bytes} bytes: at least {WINDOW_BYTES_MIN} are needed")]
    Window { bytes: u64 },
    #[error(transparent)]
    Certificates(#[from] CertificateError),
}

/// A certificate that ends before is warned of.
const SOON_DAYS: u64 = 14;

enum Security {
    Certificates(Arc<Keyring>),
    PlainOnLoopback,
}

/// The mesh as the rest of the node sees it. Cheap to clone.
#[derive(Clone)]
pub struct Mesh(Arc<Shared>);

struct Shared {
    identity: MeshIdentity,
    security: Security,
    limits: MeshLimits,
    peers: Peers,
    metrics: MeshMetrics,
    address: SocketAddr,
    map_version: AtomicU64,
    /// Of the cluster; zero until it is known.
    level: AtomicU16,
    connections: AtomicU64,
    /// A running number for what is left to chance: jitter and loss.
    chance: AtomicU64,
    handler: OnceLock<Arc<dyn MeshHandler>>,
    tasks: Mutex<Option<JoinSet<()>>>,
}

impl Mesh {
    /// Takes the port. Peers are dialed and heard once the mesh [serves](Listening::serve).
    pub async fn bind(
        config: MeshConfig,
        metrics: MeshMetrics,
    ) -> Result<(Self, Listening), MeshError> {
        let MeshConfig { identity, listen, protection, limits } = config;
        if limits.window_bytes < WINDOW_BYTES_MIN {
            return Err(MeshError::Window { bytes: limits.window_bytes });
        }
        let security = match protection {
            Protection::Certificates(disk) => {
                Security::Certificates(Arc::new(Keyring::open(disk, identity.node)?))
            }
            Protection::PlainOnLoopback if listen.ip().is_loopback() => Security::PlainOnLoopback,
            Protection::PlainOnLoopback => return Err(MeshError::NotLoopback(listen)),
        };
        let failed = |source| MeshError::Listen { address: listen, source };
        let listener = tokio::net::TcpListener::bind(listen).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let mesh = Self(Arc::new(Shared {
            identity,
            security,
            limits,
            peers: Peers::new(limits),
            metrics,
            address,
            map_version: AtomicU64::new(0),
            level: AtomicU16::new(0),
            connections: AtomicU64::new(0),
            chance: AtomicU64::new(identity.boot.0 ^ identity.node.0.rotate_left(32)),
            handler: OnceLock::new(),
            tasks: Mutex::new(Some(JoinSet::new())),
        }));
        mesh.0.tell_expiry();
        let listening = Listening::new(mesh.clone(), listener);
        Ok((mesh, listening))
    }

    pub fn node(&self) -> NodeId {
        self.0.identity.node
    }

    /// Where this node listens.
    pub fn address(&self) -> SocketAddr {
        self.0.address
    }

    /// Adds a peer, or tells where a known one has moved to; a link that is open stays.
    pub fn set_peer(&self, node: NodeId, address: PeerAddress) {
        if node == self.node() {
            return;
        }
        if let Some(peer) = self.0.peers.put(node, address)
            && self.node() < node
        {
            self.0.spawn(dial::keep_linked(Arc::clone(&self.0), peer));
        }
    }

    /// Ends all connections of a peer and takes no others from it.
    pub fn remove_peer(&self, node: NodeId) {
        self.0.lost(self.0.peers.remove(node));
    }

    /// Gives a frame to a lane, without waiting. What is refused was certainly not sent; what is
    /// taken may be lost with its connection, whose id is returned.
    pub fn send(&self, to: NodeId, lane: Lane, payload: Bytes) -> Result<ConnectionId, Refused> {
        self.0.push(to, lane, payload)
    }

    /// From this moment frames carry this version of the shard map.
    pub fn set_map_version(&self, version: u64) {
        self.0.map_version.store(version, Ordering::Release);
    }

    /// The cluster works at this level: a peer that cannot is refused from now on.
    pub fn set_level(&self, level: u16) {
        self.0.level.store(level, Ordering::Release);
    }

    /// What is open to every peer, and every change of it.
    pub fn links(&self) -> watch::Receiver<Links> {
        self.0.peers.links()
    }

    /// When the last frame of a peer came in, on any lane.
    pub fn last_heard(&self, peer: NodeId) -> Option<Instant> {
        self.0.peers.last_heard(peer)
    }

    /// Heartbeats that every peer missed since a frame of any of them came in.
    pub fn beats_missed(&self) -> u32 {
        let beat = self.0.limits.heartbeat.as_micros().max(1);
        let silent = self.0.peers.silent_for().as_micros();
        u32::try_from(silent / beat).unwrap_or(u32::MAX)
    }

    /// Spoils the link to a peer, or mends it.
    pub fn set_fault(&self, peer: NodeId, fault: LinkFault) {
        if let Some(peer) = self.0.peers.find(peer) {
            peer.fault.send_replace(fault);
        }
    }

    /// Reads the certificate files again, such as on a signal; without certificates, nothing.
    pub async fn reload_certificates(&self) -> Result<Rotation, CertificateError> {
        let Security::Certificates(keyring) = &self.0.security else {
            return Ok(Rotation::Unchanged);
        };
        let keyring = Arc::clone(keyring);
        let reloaded = match tokio::task::spawn_blocking(move || keyring.reload()).await {
            Ok(rotation) => rotation,
            // A reload that was cut short changed nothing.
            Err(_) => Ok(Rotation::Unchanged),
        };
        if matches!(reloaded, Ok(Rotation::Changed)) {
            self.0.tell_expiry();
        }
        reloaded
    }

    /// Asks whoever of this cluster listens at an address: how a newcomer introduces itself.
    pub async fn knock(
        &self,
        address: &PeerAddress,
        request: Bytes,
        within: Duration,
    ) -> Result<(NodeId, Bytes), KnockError> {
        dial::knock(&self.0, address, request, within).await
    }

    /// Ends everything: no connection, no dial and no call of the handler remains afterwards. Must
    /// be called, because the mesh's own tasks keep it alive.
    pub async fn stop(&self) {
        let tasks = self.0.tasks.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(mut tasks) = tasks {
            tasks.shutdown().await;
        }
        self.0.lost(self.0.peers.remove_all());
    }
}

impl Shared {
    fn push(&self, to: NodeId, lane: Lane, payload: Bytes) -> Result<ConnectionId, Refused> {
        let peer = self.peers.find(to).ok_or(Refused::UnknownPeer)?;
        let queue = peer.queue(lane).ok_or(Refused::UnknownPeer)?;
        let loss = peer.fault.borrow().loss_per_mille;
        if lane == Lane::Raft && loss > 0 && self.chance() % 1_000 < u64::from(loss) {
            self.metrics.dropped(lane, Direction::Out);
            return Err(Refused::Full);
        }
        let pushed = queue.push(payload);
        if pushed == Err(Refused::Full) {
            self.metrics.dropped(lane, Direction::Out);
        }
        pushed
    }

    /// Answers on the connection that asked, or not at all.
    fn answer(
        &self,
        to: NodeId,
        (lane, on): (Lane, ConnectionId),
        payload: Bytes,
    ) -> Result<(), Refused> {
        let peer = self.peers.find(to).ok_or(Refused::UnknownPeer)?;
        let queue = peer.queue(lane).ok_or(Refused::UnknownPeer)?;
        let pushed = queue.push_answer(on, payload);
        if pushed == Err(Refused::Full) {
            self.metrics.dropped(lane, Direction::Out);
        }
        pushed
    }

    /// Says until when the certificate in use is valid.
    fn tell_expiry(&self) {
        let Security::Certificates(keyring) = &self.security else { return };
        let Some(expires) = keyring.current().expires else { return };
        self.metrics.certificate_expires.set(i64::try_from(expires).unwrap_or(i64::MAX));
        let left = expires.saturating_sub(clock::wall_micros() / 1_000_000);
        let days_left = left / (24 * 60 * 60);
        if days_left < SOON_DAYS {
            tracing::warn!(days_left, "the node's certificate expires soon");
        } else {
            tracing::info!(days_left, "the node's certificate is valid");
        }
    }

    fn map_version(&self) -> u64 {
        self.map_version.load(Ordering::Acquire)
    }

    /// What this node can do, from the cluster's level on.
    fn levels(&self) -> Levels {
        let Levels { min, max } = self.identity.levels;
        Levels { min: self.level.load(Ordering::Acquire).clamp(min, max), max }
    }

    fn next_connection(&self) -> ConnectionId {
        ConnectionId(self.connections.fetch_add(1, Ordering::Relaxed))
    }

    fn handler_frame(&self, frame: Frame) {
        if let Some(handler) = self.handler.get() {
            handler.frame(frame);
        }
    }

    fn lost(&self, lanes: impl IntoIterator<Item = LostLane>) {
        for lost in lanes {
            self.metrics.lanes_up.dec();
            if let Some(handler) = self.handler.get() {
                handler.lane_lost(lost);
            }
        }
    }

    /// Runs a task until it ends or the mesh stops.
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(tasks) = tasks.as_mut() {
            // Those that ended are let go of here, or the set would grow with every connection.
            while tasks.try_join_next().is_some() {}
            tasks.spawn(task);
        }
    }

    /// SplitMix64: enough to keep nodes out of step.
    fn chance(&self) -> u64 {
        let mut z = self.chance.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}
