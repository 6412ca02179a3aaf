//! What the mesh tells the node: frames, and lanes that come and go.
//!
//! **Invariants:** a frame's cost is on its sender's account until its [`Permit`] is dropped, so a
//! handler that keeps what it has not finished is never sent more than the window.

use std::sync::Arc;

use bytes::Bytes;

use crate::ids::NodeId;
use crate::runtime::mesh::lane_queue::LaneQueue;
use crate::wire::Lane;
use crate::wire::greeting::BootId;

/// Tells the connections of one process apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub(super) u64);

/// How a frame was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    Data,
    /// Without credit, because it was asked for. On lanes that carry calls only.
    Answer,
}

/// What a peer sent.
#[derive(Debug)]
pub struct Frame {
    pub from: NodeId,
    pub boot: BootId,
    pub lane: Lane,
    pub class: Class,
    pub connection: ConnectionId,
    /// Of the sender's shard map when it wrote the frame.
    pub map_version: u64,
    pub payload: Bytes,
    /// Kept until the frame is finished with.
    pub permit: Permit,
}

/// A lane that ended, and what can be said about the frames that were given to it.
#[derive(Debug)]
pub struct LostLane {
    pub peer: NodeId,
    pub lane: Lane,
    pub connection: ConnectionId,
    /// Certainly never sent, in order. Of every other frame the fate is unknown.
    pub unsent: Vec<Bytes>,
}

/// A question of a node that is no member yet.
#[derive(Debug)]
pub struct Knock {
    /// As its certificate says; without certificates, as it says itself.
    pub from: NodeId,
    pub boot: BootId,
    pub request: Bytes,
    pub answer: tokio::sync::oneshot::Sender<Bytes>,
}

/// The node behind the mesh. Called from the mesh's own tasks: a method that waits stops a lane.
pub trait MeshHandler: Send + Sync + 'static {
    fn frame(&self, frame: Frame);

    fn lane_lost(&self, lost: LostLane);

    /// Answers or, by dropping the sender, ends the connection without an answer.
    fn knock(&self, knock: Knock);
}

/// A frame's place in its receiver's memory; dropping it lets the sender send more.
#[derive(Debug)]
pub struct Permit {
    queue: Arc<LaneQueue>,
    connection: ConnectionId,
    charge: u64,
}

impl Permit {
    pub(super) fn new(queue: Arc<LaneQueue>, connection: ConnectionId, charge: u64) -> Self {
        Self { queue, connection, charge }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.queue.finished(self.connection, self.charge);
    }
}
