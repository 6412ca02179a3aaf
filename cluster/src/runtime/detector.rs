//! Whether this node still hears the others, agrees with their clocks and applies what is committed,
//! and what it does when not.
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

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use storage::clock;

use crate::ids::{NodeId, ShardId};
use crate::runtime::clocks;
use crate::runtime::leaders::Known;
use crate::runtime::services::{Progress, Services};
use crate::runtime::shard_actor::ShardMessage;
use crate::shard::core::ShardCore;
use crate::shard::io::Input;
use crate::shard::question::Question;

/// Missed by every peer, so many heartbeats make a node lonely. With one every 100 ms that is the two
/// seconds for which a copy of what all nodes hold may be used without asking.
const BEATS_MISSED_MAX: u32 = 20;
/// Between looks that act on what is seen.
const LOOK_EVERY: Duration = Duration::from_millis(100);
const LOOKS_PER_CLOCK: u32 = 20;
const LOOKS_PER_DECLINE: u32 = 10;
/// How long a peer's word that it should not lead holds, unless it says so again.
const DECLINED_FOR: Duration = Duration::from_secs(5);

impl Services {
    /// Whether there are other nodes and none of them was heard of for too long.
    pub(crate) fn is_lonely(&self) -> bool {
        let Some(network) = self.network.get() else { return false };
        network.mesh.beats_missed() >= BEATS_MISSED_MAX && self.has_others()
    }

    fn has_others(&self) -> bool {
        let cluster = self.cluster.borrow();
        let mut others = cluster.members().filter(|(node, _)| *node != self.node);
        others.any(|(_, member)| member.standing.takes_part())
    }

    /// Whether a request about a group may be answered here, or passed on from here.
    pub(crate) fn may_serve(&self, group: ShardId) -> bool {
        let is_sole_voter =
            || self.progress_of(group).is_some_and(|p| p.is_sole_voter.load(Ordering::Relaxed));
        self.is_admitted() && (!self.is_lonely() || is_sole_voter())
    }

    pub(crate) fn may_serve_all(&self) -> bool {
        self.map.groups().all(|group| self.may_serve(group))
    }
}

/// Who told this node that it should not lead, which group, and until when that holds.
#[derive(Default)]
pub(crate) struct Reluctant(Mutex<BTreeMap<(NodeId, Option<ShardId>), Instant>>);

impl Services {
    /// A peer should not lead a group, or any.
    pub(crate) fn declines(&self, node: NodeId, group: Option<ShardId>) {
        // Only groups that exist, so what is kept is bounded.
        if group.is_some_and(|group| self.map.nth(group).is_none()) {
            return;
        }
        let until = clock::monotonic() + DECLINED_FOR;
        self.reluctant
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert((node, group), until);
    }

    pub(crate) fn is_reluctant(&self, node: NodeId, group: ShardId) -> bool {
        let declined = self.reluctant.0.lock().unwrap_or_else(PoisonError::into_inner);
        let holds = |until: &Instant| *until > clock::monotonic();
        [None, Some(group)].iter().any(|which| declined.get(&(node, *which)).is_some_and(holds))
    }
}

impl Progress {
    /// Takes note of what a replica's state says after a step.
    pub(crate) fn learn(&self, shard: ShardId, core: &ShardCore) {
        self.is_sole_voter.store(core.is_sole_voter(), Ordering::Relaxed);
        self.has_past.store(core.has_past(), Ordering::Relaxed);
        self.apply_lag.store(core.apply_lag(), Ordering::Relaxed);
        let is_stuck = core.is_stuck();
        let was_stuck = self.is_stuck.swap(is_stuck, Ordering::Relaxed);
        if is_stuck && !was_stuck && core.leads() {
            tracing::error!(
                shard.id = %shard,
                lag = core.apply_lag(),
                "what is committed is not applied: another node is to lead"
            );
        }
    }
}

/// Watches, until the node stops.
pub(crate) struct Watch {
    services: Arc<Services>,
    was_lonely: bool,
    clock_is_off: bool,
}

impl Watch {
    pub(crate) fn new(services: &Arc<Services>) -> Self {
        Self { services: Arc::clone(services), was_lonely: false, clock_is_off: false }
    }

    pub(crate) async fn run(mut self) {
        let mut looks = 0_u32;
        while !self.services.shards.is_stopping() {
            tokio::time::sleep(LOOK_EVERY).await;
            looks = looks.wrapping_add(1);
            self.look_for_others();
            if looks.is_multiple_of(LOOKS_PER_CLOCK) {
                self.look_at_clocks().await;
            }
            if looks.is_multiple_of(LOOKS_PER_DECLINE) {
                self.look_at_progress().await;
            }
        }
    }

    fn look_for_others(&mut self) {
        let is_lonely = self.services.is_lonely();
        if is_lonely != self.was_lonely {
            self.was_lonely = is_lonely;
            self.services.metrics.lonely.set(i64::from(is_lonely));
            if is_lonely {
                tracing::error!("no other node is heard of: what others vote in is not served");
            } else {
                tracing::info!("other nodes are heard of again");
            }
        }
        if is_lonely {
            self.services.give_up_leads();
        }
    }

    async fn look_at_clocks(&mut self) {
        let Some(ahead) = clocks::compare(&self.services).await else { return };
        self.services.metrics.clock_ahead.set(ahead / 1_000_000);
        let is_off = clocks::is_off(ahead);
        if is_off == self.clock_is_off {
            return;
        }
        self.clock_is_off = is_off;
        let ahead_ms = ahead / 1_000;
        if is_off {
            tracing::error!(ahead_ms, "most other clocks are ahead: this node is not to lead");
        } else {
            tracing::info!(ahead_ms, "the clock agrees with the others again");
        }
        for actor in self.services.shards.all() {
            // An actor that is gone leads nothing.
            actor.cast(ShardMessage::Input(Input::ClockIsOff(is_off))).ok();
        }
    }

    /// Tells the others what this node should not lead, so that they do not hand it back.
    async fn look_at_progress(&self) {
        let services = &self.services;
        let lags = services.progress.iter().map(|p| p.apply_lag.load(Ordering::Relaxed));
        let most = lags.max().unwrap_or(0);
        services.metrics.apply_lag.set(i64::try_from(most).unwrap_or(i64::MAX));
        let is_stuck = |group: &ShardId| {
            services.progress_of(*group).is_some_and(|p| p.is_stuck.load(Ordering::Relaxed))
        };
        let stuck = services.map.groups().filter(is_stuck).map(Some);
        let declined: Vec<_> = if self.clock_is_off { vec![None] } else { stuck.collect() };
        let Some(network) = services.network.get().filter(|_| !declined.is_empty()) else { return };
        let peers: Vec<_> = network.mesh.links().borrow().keys().copied().collect();
        for peer in peers {
            for group in &declined {
                let question = Question::Declines { group: *group };
                let deadline = tokio::time::Instant::from_std(clock::monotonic()) + LOOK_EVERY;
                // A peer that is away hands nothing back.
                if network.ask(peer, &question, deadline).await.is_err() {
                    break;
                }
            }
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
