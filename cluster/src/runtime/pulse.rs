//! The shell around the node's core: its clock, and what carries frames to peers and back.
//!
//! **Invariants:** sending never waits; what was handed in while others were at work leaves in one
//! frame with it; what a peer sends reaches each group in the order it came.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use raft::eraftpb::Message;
use storage::clock;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;

use crate::ids::{NodeId, ShardId};
use crate::node::core::{CarryError, NodeCore};
use crate::node::rest::{Rest, Standstill};
use crate::runtime::mesh::{Frame, Mesh};
use crate::runtime::services::{Services, Shards};
use crate::shard::io::Input;
use crate::time::Timestamp;
use crate::wire::Lane;

/// The tick of everything that counts in ticks.
const TICK: Duration = Duration::from_millis(100);

pub(crate) struct Pulse {
    core: Mutex<NodeCore>,
    /// Rung when something waits for a peer.
    waiting: Notify,
}

impl Pulse {
    pub(crate) fn new(groups: impl IntoIterator<Item = ShardId>) -> Self {
        Self { core: Mutex::new(NodeCore::new(groups)), waiting: Notify::new() }
    }

    /// Takes what a group says to a peer.
    pub(crate) fn send(&self, group: ShardId, to: NodeId, message: &Message) {
        let sent = self.core().send(group, to, message);
        match sent {
            Ok(()) => self.waiting.notify_one(),
            // A peer that is away or too slow misses it: Raft asks again.
            Err(CarryError::Full) => {}
            Err(error) => {
                tracing::error!(shard.id = %group, %error, "a message to a peer cannot be sent");
            }
        }
    }

    pub(crate) fn rests(&self, group: ShardId, rest: Rest) {
        self.core().rests(group, rest);
    }

    pub(crate) fn wakes(&self, group: ShardId) {
        self.core().wakes(group);
    }

    pub(crate) fn cannot_rest(&self, group: ShardId, leader: NodeId) {
        self.core().cannot_rest(group, leader);
    }

    /// Where a group of this node rests.
    pub(crate) fn resting_at(&self, group: ShardId) -> Option<Standstill> {
        self.core().resting_at(group)
    }

    /// Hands what a peer sent to the groups it is for.
    pub(crate) fn receive(&self, frame: &Frame, shards: &Shards) {
        let mut inputs = Vec::new();
        let received = self.core().receive(frame.from, &frame.payload, &mut inputs);
        for (group, input) in inputs {
            shards.send(group, input);
        }
        if let Err(error) = received {
            tracing::error!(peer.id = frame.from.0, %error, "a peer's frame cannot be read");
        }
    }

    /// Begins to tick, and to carry where there is a mesh.
    pub(crate) fn begin(services: &Arc<Services>) -> Vec<JoinHandle<()>> {
        let ticking = Arc::clone(services);
        let ticking = tokio::spawn(async move { ticking.pulse.beat(&ticking).await });
        let mut tasks = vec![ticking];
        if let Some(mesh) = services.network.get().map(|network| network.mesh.clone()) {
            let (watching, watched) = (Arc::clone(services), mesh.clone());
            let watching = async move { watching.pulse.watch(&watched, &watching.shards).await };
            let carrying = Arc::clone(services);
            let carrying = async move { carrying.pulse.carry(&mesh).await };
            tasks.extend([tokio::spawn(watching), tokio::spawn(carrying)]);
        }
        tasks
    }

    async fn beat(&self, services: &Services) {
        let mut ticks = tokio::time::interval(TICK);
        // Ticks count what others had time for: those of a pause are not made up for.
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut inputs = Vec::new();
        loop {
            ticks.tick().await;
            self.tick(services, &mut inputs);
            for (group, input) in inputs.drain(..) {
                services.shards.send(group, input);
            }
        }
    }

    fn tick(&self, services: &Services, inputs: &mut Vec<(ShardId, Input)>) {
        let now = Timestamp::from_micros(clock::wall_micros());
        let mut core = self.core();
        core.tick(now, inputs);
        services.metrics.groups_resting.set(i64::try_from(core.n_resting()).unwrap_or(i64::MAX));
        if core.is_waiting() {
            self.waiting.notify_one();
        }
    }

    /// Wakes what counts on a peer as soon as its connection breaks or its process is another one.
    async fn watch(&self, mesh: &Mesh, shards: &Shards) {
        let mut links = mesh.links();
        let mut before = BTreeMap::new();
        loop {
            let now: BTreeMap<_, _> = {
                let links = links.borrow_and_update();
                let up = links.iter().filter(|(_, link)| link.is_up(Lane::Raft));
                up.map(|(node, link)| (*node, link.boot)).collect()
            };
            let mut inputs = Vec::new();
            for (peer, _) in before.iter().filter(|(peer, boot)| now.get(peer) != Some(boot)) {
                self.core().lose(*peer, &mut inputs);
            }
            for (group, input) in inputs {
                shards.send(group, input);
            }
            before = now;
            if links.changed().await.is_err() {
                return;
            }
        }
    }

    /// Carries what waits, for as long as the mesh is there.
    async fn carry(&self, mesh: &Mesh) {
        loop {
            self.waiting.notified().await;
            // Whoever else is about to say something says it now.
            tokio::task::yield_now().await;
            let frames = self.core().take_frames();
            for (to, frame) in frames {
                // As in `send`.
                mesh.send(to, Lane::Raft, Bytes::from(frame)).ok();
            }
        }
    }

    fn core(&self) -> MutexGuard<'_, NodeCore> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
