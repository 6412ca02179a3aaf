//! The address book, and what is known of each peer's link.
//!
//! **Invariants:** a connection is opened only for a peer that is in the book at that moment, so a
//! peer that was removed stays silent; connections of another boot of a peer end when it is heard
//! from anew.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use storage::clock;
use tokio::sync::{Notify, watch};

use crate::ids::NodeId;
use crate::runtime::mesh::MeshLimits;
use crate::runtime::mesh::fault::LinkFault;
use crate::runtime::mesh::handler::{ConnectionId, LostLane};
use crate::runtime::mesh::lane_queue::{LaneQueue, Opened};
use crate::wire::Lane;
use crate::wire::greeting::BootId;

/// Where a node listens: `host:port`. A host is looked up at every dial, because it may move.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PeerAddress(pub String);

impl fmt::Display for PeerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What is open to a peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// The run of the peer's process that was last heard from.
    pub boot: Option<BootId>,
    pub lanes: Vec<Lane>,
    /// When `lanes` or `boot` last changed.
    pub since: Instant,
}

impl Link {
    pub fn is_up(&self, lane: Lane) -> bool {
        self.lanes.contains(&lane)
    }

    /// Whether the node can be replicated to and asked.
    pub fn is_whole(&self) -> bool {
        Lane::ALL.into_iter().all(|lane| self.is_up(lane))
    }
}

/// The links of all peers, by node.
pub type Links = BTreeMap<NodeId, Link>;

pub(super) struct Peer {
    pub(super) node: NodeId,
    pub(super) address: watch::Sender<PeerAddress>,
    pub(super) fault: watch::Sender<LinkFault>,
    pub(super) removed: watch::Sender<bool>,
    /// Rung when a lane ends.
    pub(super) ended: Notify,
    lanes: [(Lane, Arc<LaneQueue>); 4],
    /// Microseconds since the mesh began; zero for never.
    heard: AtomicU64,
}

impl Peer {
    fn new(node: NodeId, address: PeerAddress, limits: &MeshLimits) -> Self {
        let lanes = Lane::ALL.map(|lane| (lane, Arc::new(LaneQueue::new(lane, limits.of(lane)))));
        Self {
            node,
            address: watch::Sender::new(address),
            fault: watch::Sender::new(LinkFault::default()),
            removed: watch::Sender::new(false),
            ended: Notify::new(),
            lanes,
            heard: AtomicU64::new(0),
        }
    }

    pub(super) fn queue(&self, lane: Lane) -> Option<&Arc<LaneQueue>> {
        self.lanes.iter().find(|(of, _)| *of == lane).map(|(_, queue)| queue)
    }

    pub(super) fn closed_lane(&self) -> Option<Lane> {
        self.lanes.iter().find(|(_, queue)| !queue.is_open()).map(|(lane, _)| *lane)
    }

    fn open_lanes(&self) -> Vec<Lane> {
        let open = self.lanes.iter().filter(|(_, queue)| queue.is_open());
        open.map(|(lane, _)| *lane).collect()
    }

    /// Ends every lane but one.
    fn end_lanes(&self, except: Option<Lane>) -> Vec<LostLane> {
        let ended = self.lanes.iter().filter(|(lane, _)| Some(*lane) != except);
        let ended = ended.filter_map(|(lane, queue)| Some((*lane, queue.end()?)));
        ended.map(|(lane, (connection, unsent))| self.lost(lane, connection, unsent)).collect()
    }

    fn lost(&self, lane: Lane, connection: ConnectionId, unsent: Vec<Bytes>) -> LostLane {
        LostLane { peer: self.node, lane, connection, unsent }
    }
}

/// A lane that was just opened, and those that ended for it.
pub(super) struct Registered {
    pub(super) opened: Opened,
    pub(super) queue: Arc<LaneQueue>,
    pub(super) lost: Vec<LostLane>,
}

pub(super) struct Peers {
    began: Instant,
    limits: MeshLimits,
    /// Of any peer, in microseconds since the mesh began.
    heard: AtomicU64,
    book: Mutex<BTreeMap<NodeId, Arc<Peer>>>,
    links: watch::Sender<Links>,
}

impl Peers {
    pub(super) fn new(limits: MeshLimits) -> Self {
        Self {
            began: clock::monotonic(),
            limits,
            heard: AtomicU64::new(0),
            book: Mutex::new(BTreeMap::new()),
            links: watch::Sender::new(Links::new()),
        }
    }

    pub(super) fn find(&self, node: NodeId) -> Option<Arc<Peer>> {
        self.book().get(&node).cloned()
    }

    pub(super) fn links(&self) -> watch::Receiver<Links> {
        self.links.subscribe()
    }

    /// Adds a peer, or tells a known one's new address; the peer when it is new.
    pub(super) fn put(&self, node: NodeId, address: PeerAddress) -> Option<Arc<Peer>> {
        let mut book = self.book();
        if let Some(peer) = book.get(&node) {
            peer.address.send_if_modified(|known| {
                let changed = *known != address;
                *known = address;
                changed
            });
            return None;
        }
        let peer = Arc::new(Peer::new(node, address, &self.limits));
        book.insert(node, Arc::clone(&peer));
        self.publish(&peer, None);
        Some(peer)
    }

    pub(super) fn remove(&self, node: NodeId) -> Vec<LostLane> {
        let mut book = self.book();
        let Some(peer) = book.remove(&node) else { return Vec::new() };
        peer.removed.send_replace(true);
        let lost = peer.end_lanes(None);
        self.links.send_modify(|links| {
            links.remove(&node);
        });
        lost
    }

    pub(super) fn remove_all(&self) -> Vec<LostLane> {
        let nodes: Vec<_> = self.book().keys().copied().collect();
        nodes.into_iter().flat_map(|node| self.remove(node)).collect()
    }

    /// Opens a lane to a peer; `None` when it is not in the book any more.
    pub(super) fn register(
        &self,
        peer: &Arc<Peer>,
        lane: Lane,
        boot: BootId,
        (connection, credit): (ConnectionId, u64),
    ) -> Option<Registered> {
        let book = self.book();
        let known = book.get(&peer.node).is_some_and(|known| Arc::ptr_eq(known, peer));
        let queue = peer.queue(lane).filter(|_| known)?;
        let before = self.links.borrow().get(&peer.node).and_then(|link| link.boot);
        let other_boot = before.is_some_and(|before| before != boot);
        let mut lost = if other_boot { peer.end_lanes(Some(lane)) } else { Vec::new() };
        let mut opened = queue.open(connection, credit);
        if let Some((displaced, unsent)) = opened.displaced.take() {
            lost.push(peer.lost(lane, displaced, unsent));
        }
        self.publish(peer, Some(boot));
        Some(Registered { opened, queue: Arc::clone(queue), lost })
    }

    /// A connection of a peer ended; `None` when another has taken its place.
    pub(super) fn ended(
        &self,
        peer: &Peer,
        lane: Lane,
        connection: ConnectionId,
    ) -> Option<LostLane> {
        let book = self.book();
        let unsent = peer.queue(lane)?.end_of(connection)?;
        if book.contains_key(&peer.node) {
            self.publish(peer, None);
        }
        Some(peer.lost(lane, connection, unsent))
    }

    /// Ends all lanes of a peer that fell silent.
    pub(super) fn silence(&self, peer: &Peer) -> Vec<LostLane> {
        let book = self.book();
        let lost = peer.end_lanes(None);
        if book.contains_key(&peer.node) {
            self.publish(peer, None);
        }
        lost
    }

    pub(super) fn heard(&self, peer: &Peer) {
        let since = clock::monotonic().saturating_duration_since(self.began).as_micros();
        let since = u64::try_from(since).unwrap_or(u64::MAX).max(1);
        peer.heard.store(since, Ordering::Relaxed);
        self.heard.fetch_max(since, Ordering::Relaxed);
    }

    /// How long no peer was heard of, since the mesh began at most.
    pub(super) fn silent_for(&self) -> Duration {
        let heard = Duration::from_micros(self.heard.load(Ordering::Relaxed));
        clock::monotonic().saturating_duration_since(self.began).saturating_sub(heard)
    }

    pub(super) fn last_heard(&self, node: NodeId) -> Option<Instant> {
        match self.find(node)?.heard.load(Ordering::Relaxed) {
            0 => None,
            micros => self.began.checked_add(Duration::from_micros(micros)),
        }
    }

    /// Tells watchers what is open to a peer. Called with the book locked, so in order.
    fn publish(&self, peer: &Peer, boot: Option<BootId>) {
        let lanes = peer.open_lanes();
        self.links.send_if_modified(|links| {
            let before = links.get(&peer.node);
            let boot = boot.or_else(|| before.and_then(|link| link.boot));
            if before.is_some_and(|link| link.lanes == lanes && link.boot == boot) {
                return false;
            }
            links.insert(peer.node, Link { boot, lanes, since: clock::monotonic() });
            true
        });
    }

    fn book(&self) -> MutexGuard<'_, BTreeMap<NodeId, Arc<Peer>>> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
