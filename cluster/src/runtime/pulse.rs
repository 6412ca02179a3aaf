//! The shell around the node's core: carries frames to peers and back.
//!
//! **Invariants:** sending never waits; what was handed in while others were at work leaves in one
//! frame with it; what a peer sends reaches each group in the order it came.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use raft::eraftpb::Message;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use crate::ids::{NodeId, ShardId};
use crate::node::core::{CarryError, NodeCore};
use crate::runtime::mesh::{Frame, Mesh};
use crate::runtime::services::{Services, Shards};
use crate::wire::Lane;

#[derive(Default)]
pub(crate) struct Pulse {
    core: Mutex<NodeCore>,
    /// Rung when something waits for a peer.
    waiting: Notify,
}

impl Pulse {
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

    /// Carries what waits, for as long as the mesh is there.
    pub(crate) async fn carry(&self, mesh: &Mesh) {
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

    /// As [`Self::carry`], in a task of its own.
    pub(crate) fn begin(services: &Arc<Services>) -> Option<JoinHandle<()>> {
        let mesh = services.network.get()?.mesh.clone();
        let services = Arc::clone(services);
        Some(tokio::spawn(async move { services.pulse.carry(&mesh).await }))
    }

    fn core(&self) -> MutexGuard<'_, NodeCore> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
