//! The shell around the node's core: its clock, and what carries frames to peers and back.
//!
//! **Invariants:** sending never waits; what was handed in while others were at work leaves in one
//! frame with it; what a peer sends reaches each group in the order it came.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use raft::eraftpb::Message;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;

use crate::ids::{NodeId, ShardId};
use crate::node::core::{CarryError, NodeCore};
use crate::runtime::mesh::{Frame, Mesh};
use crate::runtime::services::{Services, Shards};
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
        let ticking = tokio::spawn(async move { ticking.pulse.beat(&ticking.shards).await });
        let mesh = services.network.get().map(|network| network.mesh.clone());
        let carrying = mesh.map(|mesh| {
            let services = Arc::clone(services);
            tokio::spawn(async move { services.pulse.carry(&mesh).await })
        });
        [ticking].into_iter().chain(carrying).collect()
    }

    async fn beat(&self, shards: &Shards) {
        let mut ticks = tokio::time::interval(TICK);
        // Ticks count what others had time for: those of a pause are not made up for.
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut inputs = Vec::new();
        loop {
            ticks.tick().await;
            self.core().tick(&mut inputs);
            for (group, input) in inputs.drain(..) {
                shards.send(group, input);
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
