//! This node's part in the cluster: it learns what the members agreed on, moves the groups it leads
//! to where they are wanted, and, while it leads `meta`, plans for all.
//!
//! **Invariants:** everything here can be lost at any moment: what is agreed is in `meta`, what is
//! so is in the groups, and each round starts from these two alone.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use storage::clock;
use tokio::sync::oneshot;

use crate::entity::{Entity, Wire};
use crate::fabric::{Envelope, Precondition, Unavailable};
use crate::ids::{EntityKey, EntityRef, NodeId, ShardId, Slot};
use crate::placement::cluster::{Candidate, Cluster, Command, Fewer, Rejection, Reply};
use crate::placement::member::Standing;
use crate::placement::planner::{Rule, plan};
use crate::placement::shard_map::ShardMap;
use crate::placement::steps::{self, Step, Target};
use crate::replication::members::{MemberChange, MemberStep};
use crate::runtime::asking::{ask, finished};
use crate::runtime::leaders::Known;
use crate::runtime::mesh::{LinkFault, PeerAddress};
use crate::runtime::postponed::Postponed;
use crate::runtime::router::Router;
use crate::runtime::services::Services;
use crate::runtime::shard_actor::ShardMessage;
use crate::shard::io::{Freshness, Input, Query, Reply as ShardReply};
use crate::shard::lead_view::LeadView;
use crate::shard::question::{Fitness, Question};
use crate::time::{Span, Timestamp};

const ROUND: Duration = Duration::from_millis(200);
/// Rounds between plans.
const ROUNDS_PER_PLAN: u32 = 5;
/// A peer that was not heard of for so long leads nothing by plan.
const SILENT_AFTER: Duration = Duration::from_secs(3);
const COMMAND_PATIENCE: Span = Span::from_secs(5);
/// The level at which a cluster begins that this program founds.
pub(crate) const LEVEL: u32 = 1;

/// How the cluster is kept.
#[derive(Clone, Copy, Debug)]
pub struct PlacementRule {
    /// Shards that may be on the move at the same time.
    pub moves_at_once: usize,
    /// A node that was silent for so long is replaced for good.
    pub replace_after: Duration,
}

impl Default for PlacementRule {
    fn default() -> Self {
        Self { moves_at_once: 8, replace_after: Duration::from_secs(300) }
    }
}

/// The address of the entity that the `meta` group holds.
pub(crate) fn cluster_ref() -> EntityRef {
    EntityRef { kind: Cluster::KIND, key: EntityKey::in_slot(Slot::from_bits(0), [0; 14]) }
}

/// Why the cluster did not do what it was told.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    #[error(transparent)]
    Rejected(#[from] Rejection),
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
    #[error("the meta group gave an answer that cannot be read")]
    Unreadable,
}

/// The way to the cluster's own entity, from any node.
#[derive(Clone)]
pub struct ClusterHandle {
    router: Arc<Router>,
    services: Arc<Services>,
}

impl ClusterHandle {
    pub(crate) fn new(router: Arc<Router>, services: Arc<Services>) -> Self {
        Self { router, services }
    }

    /// The cluster as this node knows it.
    pub fn known(&self) -> Arc<Cluster> {
        Arc::clone(&self.services.cluster.borrow())
    }

    /// How many groups this node leads.
    pub fn n_led_here(&self) -> usize {
        *self.services.leaders.led_here().borrow()
    }

    /// Spoils the link to another node, or mends it: for tests of what a cluster does then.
    pub fn set_link_fault(&self, to: NodeId, fault: LinkFault) {
        if let Some(network) = self.services.network.get() {
            network.mesh.set_fault(to, fault);
        }
    }

    pub async fn execute(&self, command: Command) -> Result<Reply, ClusterError> {
        let now = Timestamp::from_micros(clock::wall_micros());
        let envelope = Envelope {
            deadline: now.plus(COMMAND_PATIENCE),
            key: None,
            precondition: Precondition::None,
        };
        let entity = cluster_ref();
        let body = command.to_bytes();
        let reply = self.router.command(ShardId::META, &entity, &envelope, body).await?;
        if let ShardReply::Rejected { rejection, .. } = reply {
            let rejection = Rejection::from_bytes(&rejection);
            return Err(rejection.map_or(ClusterError::Unreadable, ClusterError::Rejected));
        }
        let ShardReply::Accepted { reply, .. } = reply else {
            return Err(ClusterError::Unreadable);
        };
        // Without a reply, it took effect under an id whose answer was lost on the way.
        let Some(reply) = reply else { return Ok(Reply::Done) };
        Reply::from_bytes(&reply).map_err(|_| ClusterError::Unreadable)
    }
}

pub(crate) struct Membership {
    pub(crate) services: Arc<Services>,
    pub(crate) handle: ClusterHandle,
    pub(crate) map: ShardMap,
    pub(crate) rule: PlacementRule,
    pub(crate) began: Instant,
    /// Who this node is, until the cluster has taken note of this start.
    pub(crate) unannounced: Option<Announcement>,
    /// What the peers were told last, and how often they are still to be told.
    pub(crate) told: Fitness,
    pub(crate) tell_again: u8,
}

/// What a node says about itself at every start.
#[derive(Clone)]
pub(crate) struct Announcement {
    pub(crate) me: Candidate,
    /// Whether the cluster began with this node's folder.
    pub(crate) founds: bool,
}

impl Membership {
    pub(crate) async fn run(mut self) {
        let mut round = 0_u32;
        loop {
            tokio::time::sleep(ROUND).await;
            if self.services.shards.is_stopping() {
                return;
            }
            round = round.wrapping_add(1);
            match self.look(round).await {
                Ok(()) => {}
                Err(Postponed::Stopping) => return,
                Err(error) => tracing::warn!(%error, "the cluster could not be looked at"),
            }
        }
    }

    /// Tells the peers what has changed, again and again for a while: they may not hear it at once.
    fn tell_fitness(&mut self, round: u32) {
        const TIMES: u8 = 10;
        let fitness = self.services.fitness();
        if std::mem::replace(&mut self.told, fitness) != fitness {
            self.tell_again = TIMES;
        }
        let is_due = round.is_multiple_of(ROUNDS_PER_PLAN);
        if !is_due || (fitness == Fitness::Fit && self.tell_again == 0) {
            return;
        }
        self.tell_again = self.tell_again.saturating_sub(1);
        let Some(network) = self.services.network.get() else { return };
        let peers: Vec<_> = network.mesh.links().borrow().keys().copied().collect();
        for peer in peers {
            let services = Arc::clone(&self.services);
            tokio::spawn(async move {
                let deadline = tokio::time::Instant::from_std(clock::monotonic()) + ROUND;
                if let Some(network) = services.network.get() {
                    // It is told again.
                    network.ask(peer, &Question::Fitness(fitness), deadline).await.ok();
                }
            });
        }
    }

    async fn look(&mut self, round: u32) -> Result<(), Postponed> {
        self.tell_fitness(round);
        self.learn().await?;
        self.announce().await;
        for group in self.map.groups() {
            if self.services.leaders.of(group) == Known::Here {
                self.tend(group).await?;
            }
        }
        let leads_meta = self.services.leaders.of(ShardId::META) == Known::Here;
        if leads_meta && round.is_multiple_of(ROUNDS_PER_PLAN) {
            self.plan().await;
        }
        Ok(())
    }

    /// Reads what this node's replica of `meta` holds.
    async fn learn(&self) -> Result<(), Postponed> {
        let actor = self.services.shards.get(ShardId::META).ok_or(Postponed::Stopping)?;
        let now = Timestamp::from_micros(clock::wall_micros());
        let query = Query {
            entity: cluster_ref(),
            at_least: 0,
            freshness: Freshness::Position,
            not_after: now.plus(COMMAND_PATIENCE),
            body: crate::placement::cluster::Query::Whole.to_bytes(),
        };
        let (waiter, answer) = self.services.unbounded_waiter();
        ask(actor, ShardMessage::Query(query, waiter))?;
        let ShardReply::Viewed { view, .. } = finished(answer).await? else { return Ok(()) };
        let cluster = Cluster::from_bytes(&view)?;
        if cluster.version() <= self.services.cluster.borrow().version() {
            return Ok(());
        }
        self.link(&cluster);
        self.services.cluster.send_replace(Arc::new(cluster));
        Ok(())
    }

    /// Keeps the mesh's address book.
    fn link(&self, cluster: &Cluster) {
        let Some(network) = self.services.network.get() else { return };
        network.mesh.set_map_version(cluster.version());
        for (node, member) in cluster.members() {
            match member.standing {
                Standing::Active | Standing::Draining | Standing::Leaving => {
                    network.mesh.set_peer(node, PeerAddress(member.address.clone()));
                }
                Standing::Lost => network.mesh.remove_peer(node),
            }
        }
    }

    async fn announce(&mut self) {
        if self.services.leaders.of(ShardId::META) == Known::NotHeld(None) {
            return;
        }
        let Some(Announcement { me, founds }) = self.unannounced.clone() else { return };
        let is_founded = self.services.cluster.borrow().version() > 0;
        let command = if founds && !is_founded {
            Command::Found { first: me, shards: self.map.groups().collect(), level: LEVEL }
        } else {
            Command::Join(me)
        };
        match self.handle.execute(command).await {
            Ok(_) => self.unannounced = None,
            // What was founded long ago is known in the next round.
            Err(ClusterError::Rejected(Rejection::AlreadyFounded)) => {}
            Err(error) => tracing::warn!(%error, "the cluster does not hear of this node yet"),
        }
    }

    /// Moves a group that this node leads one step nearer to where it is wanted.
    async fn tend(&self, group: ShardId) -> Result<(), Postponed> {
        let cluster = self.handle.known();
        let Some(place) = cluster.place(group) else { return Ok(()) };
        let actor = self.services.shards.get(group).ok_or(Postponed::Stopping)?;
        let (reply, view) = oneshot::channel();
        ask(actor, ShardMessage::LeadView(reply))?;
        let Some(view) = finished(view).await? else { return Ok(()) };
        let learners = match group {
            ShardId::META => cluster.learners_everywhere(place),
            _ => BTreeSet::new(),
        };
        let mut voters = place.wanted.clone();
        // The sort keeps the order among equals.
        voters.sort_by_key(|node| {
            self.services.is_unfit(*node) || self.services.is_reluctant(*node, group)
        });
        let target = Target { voters, learners };
        let LeadView { configuration, followers, changed_at } = &view;
        if !configuration.is_joint && configuration.voters != place.voters {
            let voters = configuration.voters.clone();
            let report = Command::Report { shard: group, voters, at: *changed_at };
            if let Err(error) = self.handle.execute(report).await {
                tracing::debug!(shard.id = %group, %error, "a report was not taken");
            }
        }
        match steps::next(self.services.node, configuration, &target, followers) {
            Some(Step::TransferLead(to)) => {
                tracing::info!(shard.id = %group, to = to.0, "leadership is handed over");
                ask(actor, ShardMessage::Input(Input::TransferLead { to }))
            }
            Some(step) => {
                let change = change_of(&step, &view);
                tracing::info!(shard.id = %group, ?step, "members change");
                let (waiter, answer) = self.services.unbounded_waiter();
                ask(actor, ShardMessage::ChangeMembers(change, waiter))?;
                let reply = finished(answer).await?;
                if !matches!(reply, ShardReply::Changing { .. }) {
                    tracing::debug!(shard.id = %group, ?reply, "a change must wait");
                }
                Ok(())
            }
            None => Ok(()),
        }
    }

    async fn plan(&self) {
        let cluster = self.handle.known();
        let silence = self.silence(&cluster);
        let long = |(_, since): &(&NodeId, &Duration)| **since >= self.rule.replace_after;
        for (node, _) in silence.iter().filter(long) {
            tracing::warn!(node.id = node.0, "a node was silent for too long and is replaced");
            let (to, fewer) = (Standing::Lost, Fewer::Accept);
            let lost = Command::SetStanding { node: *node, to, fewer };
            if let Err(error) = self.handle.execute(lost).await {
                tracing::warn!(%error, "a silent node is not given up");
            }
        }
        let silent = silence.into_keys().collect();
        let everywhere = BTreeSet::from([ShardId::META]);
        let rule = Rule { everywhere, moves_at_once: self.rule.moves_at_once };
        let wanted = plan(&cluster, &silent, &rule);
        if wanted.is_empty() {
            return;
        }
        tracing::info!(shards = wanted.len(), "shards are arranged anew");
        let arrange = Command::Arrange { seen: cluster.version(), wanted };
        match self.handle.execute(arrange).await {
            Ok(_) | Err(ClusterError::Rejected(Rejection::StalePlan { .. })) => {}
            Err(error) => tracing::warn!(%error, "a plan was not taken"),
        }
    }

    /// Members that were not heard of for some time, and for how long.
    fn silence(&self, cluster: &Cluster) -> BTreeMap<NodeId, Duration> {
        let Some(network) = self.services.network.get() else { return BTreeMap::new() };
        let now = clock::monotonic();
        let peers = cluster.members().filter(|(node, member)| {
            *node != self.services.node && member.standing != Standing::Lost
        });
        let since = |node: NodeId| {
            let heard = network.mesh.last_heard(node).unwrap_or(self.began);
            now.saturating_duration_since(heard)
        };
        peers
            .map(|(node, _)| (node, since(node)))
            .filter(|(_, since)| *since >= SILENT_AFTER)
            .collect()
    }
}

/// A step in the group's own terms.
fn change_of(step: &Step, view: &LeadView) -> MemberChange {
    let now = &view.configuration;
    let steps = match step {
        Step::AddLearners(nodes) => nodes.iter().copied().map(MemberStep::AddLearner).collect(),
        Step::Become { voters, learners } => {
            let votes = voters.difference(&now.voters).copied().map(MemberStep::AddVoter);
            let learns = learners.difference(&now.learners).copied().map(MemberStep::AddLearner);
            let goes = now.voters.union(&now.learners).copied();
            let goes = goes.filter(|node| !voters.contains(node) && !learners.contains(node));
            votes.chain(learns).chain(goes.map(MemberStep::Remove)).collect()
        }
        Step::TransferLead(_) => Vec::new(),
    };
    MemberChange { steps }
}
