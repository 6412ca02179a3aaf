//! The part of a node around its shards' cores: time passes for all of them at once, those with nothing
//! to do rest, and what their groups say to other nodes leaves and arrives together.
//!
//! **Invariants:** no clock, no randomness, no I/O, as in the cores; what waits for a peer is bounded
//! in bytes, and what finds no room is lost, for Raft asks again; nothing is handed to a group that
//! came in another node's name.

use std::collections::{BTreeMap, VecDeque};

use raft::eraftpb::Message;

use crate::ids::{NodeId, ShardId};
use crate::node::bundle::{Bundle, Item, Kind, Unpacking};
use crate::node::rest::{Rest, Standstill};
use crate::node::roll::Roll;
use crate::replication::codec::{self, MessageError};
use crate::shard::io::Input;
use crate::time::Timestamp;

/// What may wait for one peer.
const WAITING_BYTES_MAX: usize = 16 << 20;

/// Why a message does not leave, or a frame brings nothing more.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum CarryError {
    #[error(transparent)]
    Message(#[from] MessageError),
    #[error("a message of {bytes} bytes does not fit a frame")]
    TooLarge { bytes: usize },
    #[error("too many bytes wait for the peer")]
    Full,
    #[error("a peer poses as node {claimed}")]
    Posing { claimed: u64 },
}

/// See the module.
pub struct NodeCore {
    roll: Roll,
    outgoing: BTreeMap<NodeId, Outgoing>,
}

/// What waits for a peer, in order.
#[derive(Default)]
struct Outgoing {
    full: VecDeque<Bundle>,
    open: Bundle,
    /// In `full`.
    full_bytes: usize,
}

impl NodeCore {
    /// Around the cores of these groups.
    pub fn new(groups: impl IntoIterator<Item = ShardId>) -> Self {
        Self { roll: Roll::new(groups), outgoing: BTreeMap::new() }
    }

    /// Time passes, for all groups at the same moment: what they say then shares frames.
    pub fn tick(&mut self, now: Timestamp, inputs: &mut Vec<(ShardId, Input)>) {
        self.roll.tick(now, inputs);
        for (to, beat) in self.roll.take_beats() {
            // Without room for it, it is late, and what it is about wakes.
            self.outgoing.entry(to).or_default().push(Kind::Beat, &beat.encode()).ok();
        }
    }

    /// A replica of this node needs no ticks until it wakes.
    pub fn rests(&mut self, group: ShardId, rest: Rest) {
        self.roll.rests(group, rest);
    }

    pub fn wakes(&mut self, group: ShardId) {
        self.roll.wakes(group);
    }

    /// A replica of this node is not where its leader's node says that it rests.
    pub fn cannot_rest(&mut self, group: ShardId, leader: NodeId) {
        self.roll.objects(group, leader);
    }

    /// A peer's process is gone or another one, or its connection is: whoever counts on it wakes.
    pub fn lose(&mut self, peer: NodeId, inputs: &mut Vec<(ShardId, Input)>) {
        self.roll.lose(peer, inputs);
    }

    /// Where a group of this node rests.
    pub fn resting_at(&self, group: ShardId) -> Option<Standstill> {
        self.roll.resting_at(group)
    }

    pub fn n_resting(&self) -> usize {
        self.roll.n_resting()
    }

    /// Whether there are frames to be taken.
    pub fn is_waiting(&self) -> bool {
        self.outgoing.values().any(|outgoing| !outgoing.is_empty())
    }

    /// Takes what a group says to a peer, to leave with [`Self::take_frames`].
    pub fn send(
        &mut self,
        group: ShardId,
        to: NodeId,
        message: &Message,
    ) -> Result<(), CarryError> {
        let mut bytes = Vec::new();
        codec::encode(group, message, &mut bytes)?;
        self.outgoing.entry(to).or_default().push(Kind::Message, &bytes)
    }

    /// Everything that waits, one frame after the other for each peer.
    pub fn take_frames(&mut self) -> Vec<(NodeId, Vec<u8>)> {
        let mut frames = Vec::new();
        for (to, outgoing) in &mut self.outgoing {
            frames.extend(outgoing.take().map(|bundle| (*to, bundle.into_frame())));
        }
        frames
    }

    /// Takes a frame of a peer apart into what is for the groups here. What comes before an error
    /// holds.
    pub fn receive(
        &mut self,
        from: NodeId,
        frame: &[u8],
        inputs: &mut Vec<(ShardId, Input)>,
    ) -> Result<(), CarryError> {
        self.roll.hear(from);
        for item in Unpacking::of(frame)? {
            match item? {
                Item::Message(_, message) if message.from != from.0 => {
                    return Err(CarryError::Posing { claimed: message.from });
                }
                Item::Message(group, message) => inputs.push((group, Input::Message(*message))),
                Item::Beat(beat) => self.roll.take_beat(from, &beat, inputs),
            }
        }
        Ok(())
    }
}

impl Outgoing {
    fn is_empty(&self) -> bool {
        self.full.is_empty() && self.open.is_empty()
    }

    fn push(&mut self, kind: Kind, item: &[u8]) -> Result<(), CarryError> {
        if !self.open.has_room(item) {
            if !Bundle::default().has_room(item) {
                return Err(CarryError::TooLarge { bytes: item.len() });
            }
            if self.full_bytes + self.open.len() + item.len() > WAITING_BYTES_MAX {
                return Err(CarryError::Full);
            }
            if !self.open.is_empty() {
                let full = std::mem::take(&mut self.open);
                self.full_bytes += full.len();
                self.full.push_back(full);
            }
        }
        self.open.push(kind, item);
        Ok(())
    }

    fn take(&mut self) -> impl Iterator<Item = Bundle> {
        let Self { full, open, .. } = std::mem::take(self);
        full.into_iter().chain([open].into_iter().filter(|bundle| !bundle.is_empty()))
    }
}

#[cfg(test)]
mod tests;
