//! Who leads which group, as far as this node knows.
//!
//! **Invariants:** a replica on this node says what it knows after every step; where there is none,
//! the last thing a peer said counts. It is a guess in both cases: who is asked in vain says so.

use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::{Notify, watch};

use crate::ids::{NodeId, ShardId};
use crate::placement::shard_map::ShardMap;

/// What a replica knows of its group's leader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Known {
    /// It is here, and has begun to serve.
    Here,
    There(NodeId),
    Nobody,
    /// The replica here serves nothing after a fault, and will not until the program is mended.
    Fenced,
    /// This node holds no replica of the group.
    NotHeld(Option<NodeId>),
}

pub(crate) struct Leaders {
    map: ShardMap,
    known: Vec<AtomicU64>,
    /// Rung when what is known of a group changes.
    changes: Vec<Notify>,
    n_led_here: watch::Sender<usize>,
    /// Groups with a replica here and no known leader, and groups of all nodes while they have no
    /// replica here.
    n_unsettled: watch::Sender<usize>,
}

const HERE: u64 = u64::MAX;
const FENCED: u64 = u64::MAX - 1;
const NOBODY: u64 = 0;
/// Marks what was heard of a group that this node holds no replica of.
const NOT_HELD: u64 = 1 << 63;

impl Known {
    const fn bits(self) -> u64 {
        match self {
            Self::Here => HERE,
            Self::There(node) => node.0,
            Self::Nobody => NOBODY,
            Self::Fenced => FENCED,
            Self::NotHeld(Some(node)) => NOT_HELD | node.0,
            Self::NotHeld(None) => NOT_HELD,
        }
    }

    const fn of(bits: u64) -> Self {
        match bits {
            HERE => Self::Here,
            NOBODY => Self::Nobody,
            FENCED => Self::Fenced,
            NOT_HELD => Self::NotHeld(None),
            bits if bits & NOT_HELD != 0 => Self::NotHeld(Some(NodeId(bits & !NOT_HELD))),
            bits => Self::There(NodeId(bits)),
        }
    }

    /// The other node that leads, if one is known to.
    pub(crate) const fn elsewhere(self) -> Option<NodeId> {
        match self {
            Self::There(node) | Self::NotHeld(Some(node)) => Some(node),
            Self::Here | Self::Nobody | Self::Fenced | Self::NotHeld(None) => None,
        }
    }

    /// Whether this node knows whom to ask, and has its replica of what is everywhere.
    pub(crate) fn is_settled(self, group: ShardId) -> bool {
        match self {
            Self::Here | Self::There(_) | Self::Fenced => true,
            Self::Nobody => false,
            Self::NotHeld(_) => !group.is_everywhere(),
        }
    }
}

impl Leaders {
    /// Nobody is known to lead anything.
    pub(crate) fn unknown(map: ShardMap) -> Self {
        Self {
            map,
            known: map.groups().map(|_| AtomicU64::new(NOBODY)).collect(),
            changes: map.groups().map(|_| Notify::new()).collect(),
            n_led_here: watch::Sender::new(0),
            n_unsettled: watch::Sender::new(map.n_groups()),
        }
    }

    pub(crate) fn of(&self, group: ShardId) -> Known {
        let known = self.map.nth(group).and_then(|nth| self.known.get(nth));
        known.map_or(Known::NotHeld(None), |bits| Known::of(bits.load(Ordering::Relaxed)))
    }

    /// A replica of this node says what it knows.
    pub(crate) fn learn(&self, group: ShardId, now: Known) {
        let Some(known) = self.map.nth(group).and_then(|nth| self.known.get(nth)) else { return };
        let before = Known::of(known.load(Ordering::Relaxed));
        let now = match (now, before) {
            // The replica knows nothing; what was heard stands.
            (Known::NotHeld(None), Known::NotHeld(Some(_))) => before,
            _ => now,
        };
        if now == before {
            return;
        }
        known.store(now.bits(), Ordering::Relaxed);
        self.ring(group);
        count(&self.n_led_here, before == Known::Here, now == Known::Here);
        count(&self.n_unsettled, !before.is_settled(group), !now.is_settled(group));
    }

    /// A peer says who leads. A replica here knows better.
    pub(crate) fn hear(&self, group: ShardId, leader: Option<NodeId>) {
        let Some(known) = self.map.nth(group).and_then(|nth| self.known.get(nth)) else { return };
        let before = known.load(Ordering::Relaxed);
        if matches!(Known::of(before), Known::NotHeld(_)) {
            let heard = Known::NotHeld(leader).bits();
            // When the replica spoke meanwhile, its word stands.
            known.compare_exchange(before, heard, Ordering::Relaxed, Ordering::Relaxed).ok();
            if heard != before {
                self.ring(group);
            }
        }
    }

    /// Waits until another leader of a group is known than before.
    pub(crate) async fn differ(&self, group: ShardId, from: Known) {
        let Some(changes) = self.map.nth(group).and_then(|nth| self.changes.get(nth)) else {
            return std::future::pending().await;
        };
        loop {
            let mut changed = pin!(changes.notified());
            // From here on no change is missed.
            changed.as_mut().enable();
            let known = self.of(group);
            let is_led = known == Known::Here || known.elsewhere().is_some();
            if is_led && known != from {
                return;
            }
            changed.await;
        }
    }

    fn ring(&self, group: ShardId) {
        if let Some(changes) = self.map.nth(group).and_then(|nth| self.changes.get(nth)) {
            changes.notify_waiters();
        }
    }

    pub(crate) fn led_here(&self) -> watch::Receiver<usize> {
        self.n_led_here.subscribe()
    }

    /// Zero once this node can serve requests for every group.
    pub(crate) fn unsettled(&self) -> watch::Receiver<usize> {
        self.n_unsettled.subscribe()
    }
}

/// Counts one group more or less.
fn count(counter: &watch::Sender<usize>, before: bool, now: bool) {
    match (before, now) {
        (false, true) => counter.send_modify(|n| *n += 1),
        (true, false) => counter.send_modify(|n| *n = n.saturating_sub(1)),
        (true, true) | (false, false) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHARD: ShardId = ShardId(1);
    const PEER: NodeId = NodeId(7);

    fn leaders() -> Leaders {
        Leaders::unknown(ShardMap::even(2).expect("2 shards are possible"))
    }

    #[test]
    fn a_node_is_settled_once_it_knows_whom_to_ask() {
        let leaders = leaders();
        assert_eq!(*leaders.unsettled().borrow(), 4);
        leaders.learn(ShardId::CATALOGUE, Known::There(PEER));
        leaders.learn(ShardId(0), Known::Here);
        leaders.learn(SHARD, Known::NotHeld(None));
        leaders.learn(ShardId::META, Known::NotHeld(None));
        assert_eq!(*leaders.unsettled().borrow(), 1, "without meta it knows nothing");
        leaders.learn(ShardId::META, Known::There(PEER));
        assert_eq!((*leaders.unsettled().borrow(), *leaders.led_here().borrow()), (0, 1));
        leaders.learn(ShardId(0), Known::Nobody);
        assert_eq!((*leaders.unsettled().borrow(), *leaders.led_here().borrow()), (1, 0));
    }

    #[tokio::test]
    async fn whoever_waits_for_another_leader_hears_of_it_at_once() {
        let leaders = leaders();
        let other = NodeId(9);
        tokio::join!(leaders.differ(SHARD, Known::Nobody), async {
            leaders.learn(ShardId(0), Known::There(PEER));
            leaders.learn(SHARD, Known::There(PEER));
        });
        // What has changed by then is not waited for.
        leaders.differ(SHARD, Known::Nobody).await;
        tokio::select! {
            biased;
            () = leaders.differ(SHARD, Known::There(PEER)) => panic!("it leads as before"),
            () = std::future::ready(()) => {}
        }
        leaders.learn(SHARD, Known::NotHeld(None));
        tokio::join!(leaders.differ(SHARD, Known::NotHeld(None)), async {
            leaders.hear(SHARD, Some(other));
        });
        assert_eq!(leaders.of(SHARD).elsewhere(), Some(other));
    }

    #[test]
    fn what_a_peer_says_counts_only_without_a_replica() {
        let leaders = leaders();
        leaders.learn(SHARD, Known::There(PEER));
        leaders.hear(SHARD, Some(NodeId(9)));
        assert_eq!(leaders.of(SHARD), Known::There(PEER));
        leaders.learn(SHARD, Known::NotHeld(None));
        leaders.hear(SHARD, Some(NodeId(9)));
        leaders.learn(SHARD, Known::NotHeld(None));
        assert_eq!(leaders.of(SHARD), Known::NotHeld(Some(NodeId(9))));
    }
}
