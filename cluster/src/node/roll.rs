//! Which of a node's groups rest, and what the nodes of their members say about that.
//!
//! **Invariants:** a group that is said to rest under a leader is woken when that leader's node does
//! not say so again in time, says something else, or is lost; one that a node leads is woken when the
//! node of a member is silent, is lost, or objects. Whatever wakes a group in vain costs a few
//! heartbeats; nothing can keep one asleep that should be awake.

use std::collections::{BTreeMap, BTreeSet};

use crate::ids::{NodeId, ShardId};
use crate::node::rest::{Beat, Rest, RestRole, Standstill};
use crate::replication::election::ELECTION_TICKS;
use crate::shard::io::Input;
use crate::time::Timestamp;

/// Ticks between beats.
const BEAT_TICKS: u64 = 3;
/// Ticks without a beat after which resting groups wake. Fewer than a follower that is awake waits for
/// its leader at least: a group loses no time by resting.
const SILENCE_TICKS: u64 = ELECTION_TICKS as u64 - 1;
/// Ticks between looks of a resting shard at itself.
const SLOW_TICKS: u64 = 50;

/// What is to be given to which group.
pub(crate) type Inputs = Vec<(ShardId, Input)>;

pub(crate) struct Roll {
    ticks: u64,
    groups: BTreeMap<ShardId, Place>,
    peers: BTreeMap<NodeId, Peer>,
}

enum Place {
    Awake,
    Resting {
        rest: Rest,
        /// The tick at which its leader was last heard of.
        heard: u64,
    },
}

#[derive(Default)]
struct Peer {
    /// The tick at which it was last heard.
    heard: u64,
    /// What it says to rest and does not.
    objections: BTreeSet<ShardId>,
}

impl Roll {
    pub(crate) fn new(groups: impl IntoIterator<Item = ShardId>) -> Self {
        let groups = groups.into_iter().map(|group| (group, Place::Awake)).collect();
        Self { ticks: 0, groups, peers: BTreeMap::new() }
    }

    pub(crate) fn n_resting(&self) -> usize {
        self.groups.values().filter(|place| matches!(place, Place::Resting { .. })).count()
    }

    pub(crate) fn resting_at(&self, group: ShardId) -> Option<Standstill> {
        match self.groups.get(&group)? {
            Place::Resting { rest, .. } => Some(rest.at),
            Place::Awake => None,
        }
    }

    /// A replica of this node rests from now on.
    pub(crate) fn rests(&mut self, group: ShardId, rest: Rest) {
        let heard = self.ticks;
        // It would not rest if it had not heard of them just before.
        match &rest.role {
            RestRole::Leads { followers } => {
                for peer in followers {
                    self.peers.entry(*peer).or_default().heard = heard;
                }
            }
            RestRole::Follows { leader } => self.peers.entry(*leader).or_default().heard = heard,
            RestRole::Outside => {}
        }
        if let Some(place) = self.groups.get_mut(&group) {
            *place = Place::Resting { rest, heard };
        }
    }

    /// A replica of this node does not rest any more.
    pub(crate) fn wakes(&mut self, group: ShardId) {
        if let Some(place) = self.groups.get_mut(&group) {
            *place = Place::Awake;
        }
    }

    /// A replica of this node is not where its leader says that the group rests.
    pub(crate) fn objects(&mut self, group: ShardId, leader: NodeId) {
        self.peers.entry(leader).or_default().objections.insert(group);
    }

    pub(crate) fn hear(&mut self, peer: NodeId) {
        if let Some(peer) = self.peers.get_mut(&peer) {
            peer.heard = self.ticks;
        }
    }

    /// Time passes for all groups that are awake, and for the others as far as they need it.
    pub(crate) fn tick(&mut self, now: Timestamp, inputs: &mut Inputs) {
        self.ticks += 1;
        let ticks = self.ticks;
        for (group, place) in &mut self.groups {
            let Place::Resting { rest, heard } = place else {
                inputs.push((*group, Input::Tick));
                continue;
            };
            let since = |heard: u64| ticks.saturating_sub(heard);
            let is_silent = |peer: &NodeId| {
                self.peers.get(peer).is_none_or(|peer| since(peer.heard) > SILENCE_TICKS)
            };
            let wakes = match &rest.role {
                RestRole::Leads { followers } => followers.iter().any(is_silent),
                RestRole::Follows { .. } => since(*heard) >= SILENCE_TICKS,
                RestRole::Outside => false,
            };
            if wakes || rest.until.is_some_and(|until| until <= now) {
                inputs.push((*group, place.wake(ticks)));
            } else if (ticks + u64::from(group.0)).is_multiple_of(SLOW_TICKS) {
                inputs.push((*group, Input::SlowTick));
            }
        }
    }

    /// What is to be said to other nodes at this tick.
    pub(crate) fn take_beats(&mut self) -> BTreeMap<NodeId, Beat> {
        let mut beats: BTreeMap<NodeId, Beat> = BTreeMap::new();
        if !self.ticks.is_multiple_of(BEAT_TICKS) {
            return beats;
        }
        for (group, place) in &self.groups {
            let Place::Resting { rest, .. } = place else { continue };
            match &rest.role {
                RestRole::Leads { followers } => {
                    for follower in followers {
                        beats.entry(*follower).or_default().resting.insert(*group, rest.at);
                    }
                }
                // A sign of life, for the leader's node to count on.
                RestRole::Follows { leader } => drop(beats.entry(*leader).or_default()),
                RestRole::Outside => {}
            }
        }
        for (node, peer) in &mut self.peers {
            if !peer.objections.is_empty() {
                let beat = beats.entry(*node).or_default();
                beat.objections = std::mem::take(&mut peer.objections);
            }
        }
        beats
    }

    pub(crate) fn take_beat(&mut self, from: NodeId, beat: &Beat, inputs: &mut Inputs) {
        let ticks = self.ticks;
        for (group, place) in &mut self.groups {
            let said = beat.resting.get(group);
            match (said, &mut *place) {
                (Some(at), Place::Awake) => {
                    inputs.push((*group, Input::LeaderRests { leader: from, at: *at }));
                }
                (Some(at), Place::Resting { rest, heard }) if rest.follows(from, *at) => {
                    *heard = ticks;
                }
                (Some(at), Place::Resting { .. }) => {
                    // Two cannot both be right: whoever is wrong finds out awake.
                    inputs.push((*group, place.wake(ticks)));
                    inputs.push((*group, Input::LeaderRests { leader: from, at: *at }));
                }
                (None, Place::Resting { rest, .. }) if rest.is_under(from) => {
                    inputs.push((*group, place.wake(ticks)));
                }
                (None, Place::Resting { rest, .. })
                    if rest.leads(from) && beat.objections.contains(group) =>
                {
                    inputs.push((*group, place.wake(ticks)));
                }
                (None, Place::Resting { .. } | Place::Awake) => {}
            }
        }
    }

    /// A peer's process is gone, or cannot be reached.
    pub(crate) fn lose(&mut self, peer: NodeId, inputs: &mut Inputs) {
        let ticks = self.ticks;
        for (group, place) in &mut self.groups {
            if let Place::Resting { rest, .. } = place
                && (rest.is_under(peer) || rest.leads(peer))
            {
                inputs.push((*group, place.wake(ticks)));
            }
        }
    }
}

impl Place {
    /// Ends a rest; gives what the replica is told.
    fn wake(&mut self, ticks: u64) -> Input {
        let silent_ticks = match std::mem::replace(self, Self::Awake) {
            Self::Resting { rest: Rest { role: RestRole::Follows { .. }, .. }, heard } => {
                u32::try_from(ticks.saturating_sub(heard)).unwrap_or(u32::MAX)
            }
            Self::Resting { .. } | Self::Awake => 0,
        };
        Input::Wake { silent_ticks }
    }
}

impl Rest {
    fn follows(&self, node: NodeId, at: Standstill) -> bool {
        self.is_under(node) && self.at == at
    }

    fn is_under(&self, node: NodeId) -> bool {
        self.role == RestRole::Follows { leader: node }
    }

    fn leads(&self, node: NodeId) -> bool {
        matches!(&self.role, RestRole::Leads { followers } if followers.contains(&node))
    }
}

#[cfg(test)]
mod tests;
