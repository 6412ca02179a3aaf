//! Whether this node still hears the others, and what it does when it does not.
//!
//! **Invariants:** silence is counted in missed heartbeats on this node's own monotonic clock, and
//! looked at when a request comes, not when a task gets round to it: a process that was paused knows
//! before its first answer; a lonely node leads nothing that another node votes in and answers no
//! request about it, reads neither.
//!
//! Of a group in which nobody else votes, nobody else can know more: a lonely node goes on with those.
//! So the first node of two is no worse off than if it were alone, and the second, which votes in
//! nothing, stops. Raft alone would keep answers right, because each is confirmed by a majority; a
//! lonely node says so at once instead of letting its clients wait for a majority it cannot reach.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::ids::ShardId;
use crate::placement::member::Standing;
use crate::runtime::leaders::Known;
use crate::runtime::services::Services;
use crate::shard::io::Input;

/// Missed by every peer, so many heartbeats make a node lonely. With one every 100 ms that is the two
/// seconds for which a copy of what all nodes hold may be used without asking.
const BEATS_MISSED_MAX: u32 = 20;
/// Between looks that act on what is seen.
const LOOK_EVERY: Duration = Duration::from_millis(100);

impl Services {
    /// Whether there are other nodes and none of them was heard of for too long.
    pub(crate) fn is_lonely(&self) -> bool {
        let Some(network) = self.network.get() else { return false };
        network.mesh.beats_missed() >= BEATS_MISSED_MAX && self.has_others()
    }

    fn has_others(&self) -> bool {
        let cluster = self.cluster.borrow();
        let mut others = cluster.members().filter(|(node, _)| *node != self.node);
        others.any(|(_, member)| member.standing != Standing::Lost)
    }

    /// Whether a request about a group may be answered here, or passed on from here.
    pub(crate) fn may_serve(&self, group: ShardId) -> bool {
        let is_sole_voter =
            || self.progress_of(group).is_some_and(|p| p.is_sole_voter.load(Ordering::Relaxed));
        !self.is_lonely() || is_sole_voter()
    }

    pub(crate) fn may_serve_all(&self) -> bool {
        self.map.groups().all(|group| self.may_serve(group))
    }
}

/// Watches, until the node stops.
pub(crate) async fn watch(services: Arc<Services>) {
    let mut was_lonely = false;
    while !services.shards.is_stopping() {
        tokio::time::sleep(LOOK_EVERY).await;
        let is_lonely = services.is_lonely();
        if is_lonely != was_lonely {
            was_lonely = is_lonely;
            services.metrics.lonely.set(i64::from(is_lonely));
            if is_lonely {
                tracing::error!(
                    "no other node is heard of: this one stops serving what others vote in"
                );
            } else {
                tracing::info!("other nodes are heard of again");
            }
        }
        if is_lonely {
            services.give_up_leads();
        }
    }
}

impl Services {
    /// Leads nothing that another node votes in.
    fn give_up_leads(&self) {
        for group in self.map.groups() {
            if self.leaders.of(group) == Known::Here && !self.may_serve(group) {
                self.shards.send(group, Input::StepDown);
            }
        }
    }
}
