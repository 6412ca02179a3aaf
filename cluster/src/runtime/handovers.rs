//! What this node has under way for the groups it leads: handovers, and reports to `meta`.
//!
//! **Invariants:** a handover that did not come about is tried again after a pause that doubles, since
//! commands wait while one is tried; at most one report of a group is on its way, and nothing waits
//! for it, so a group is tended whether `meta` has a leader or not.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use storage::clock;
use tokio::task::JoinSet;

use crate::ids::{NodeId, ShardId};
use crate::placement::cluster::Command;
use crate::runtime::membership::ClusterHandle;

const PAUSE_MIN: Duration = Duration::from_secs(2);
const PAUSE_MAX: Duration = Duration::from_secs(60);

#[derive(Default)]
pub(crate) struct Handovers {
    map_version: u64,
    tried: BTreeMap<ShardId, Handover>,
}

struct Handover {
    to: NodeId,
    pause: Duration,
    again_at: Instant,
}

impl Handovers {
    /// Begins a round under this map. What failed under another one, as a node was starting or about to
    /// be let go, is no reason to wait now.
    pub(crate) fn turn_to(&mut self, map_version: u64) {
        if std::mem::replace(&mut self.map_version, map_version) != map_version {
            self.tried.clear();
        }
    }

    /// Whether to hand a group over to a node now; if so, it counts as tried.
    pub(crate) fn may_try(&mut self, group: ShardId, to: NodeId) -> bool {
        let now = clock::monotonic();
        let before = self.tried.get(&group).filter(|before| before.to == to);
        if before.is_some_and(|before| now < before.again_at) {
            return false;
        }
        let pause = before.map_or(PAUSE_MIN, |before| (before.pause * 2).min(PAUSE_MAX));
        self.tried.insert(group, Handover { to, pause, again_at: now + pause });
        true
    }

    /// The group is not led here: whatever was tried came about, or is void.
    pub(crate) fn forget(&mut self, group: ShardId) {
        self.tried.remove(&group);
    }
}

#[derive(Default)]
pub(crate) struct Reports {
    under_way: BTreeSet<ShardId>,
    tasks: JoinSet<ShardId>,
}

impl Reports {
    /// Tells `meta` who votes in a group, unless it is being told.
    pub(crate) fn send(&mut self, group: ShardId, report: Command, handle: &ClusterHandle) {
        while let Some(ended) = self.tasks.try_join_next() {
            match ended {
                Ok(group) => self.under_way.remove(&group),
                // Which one it was is not known; all are looked at again.
                Err(_panic) => std::mem::take(&mut self.under_way).pop_first().is_some(),
            };
        }
        if !self.under_way.insert(group) {
            return;
        }
        let handle = handle.clone();
        self.tasks.spawn(async move {
            if let Err(error) = handle.execute(report).await {
                tracing::debug!(shard.id = %group, %error, "a report was not taken");
            }
            group
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handover_is_not_tried_twice_at_once() {
        let mut handovers = Handovers::default();
        let group = ShardId(1);
        assert!(handovers.may_try(group, NodeId(1)));
        assert!(!handovers.may_try(group, NodeId(1)));
        assert!(handovers.may_try(group, NodeId(2)), "another node may be able to");
        handovers.forget(group);
        assert!(handovers.may_try(group, NodeId(2)));
        handovers.turn_to(0);
        assert!(!handovers.may_try(group, NodeId(2)), "nothing has changed");
        handovers.turn_to(1);
        assert!(handovers.may_try(group, NodeId(2)), "what failed was another time");
    }
}
