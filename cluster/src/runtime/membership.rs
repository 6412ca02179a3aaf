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

use crate::entity::Wire;
use crate::fabric::{Envelope, Unavailable};
use crate::ids::{NodeId, ShardId};
use crate::node::rest::Standstill;
use crate::placement::cluster::{Candidate, Cluster, Command, Rejection, Reply, cluster_ref};
use crate::placement::governing;
use crate::placement::member::{Member, Standing};
use crate::placement::planner::Rule;
use crate::placement::shard_map::ShardMap;
use crate::placement::steps::Step;
use crate::placement::tending::{self, Doubts, change_of};
use crate::runtime::asking::{ask, blocking, finished};
use crate::runtime::attention::Attention;
use crate::runtime::handovers::{Handovers, Reports};
use crate::runtime::leaders::Known;
use crate::runtime::mesh::credentials::{CertificateError, Rotation};
use crate::runtime::mesh::{LinkFault, PeerAddress};
use crate::runtime::postponed::Postponed;
use crate::runtime::readmission::{Admission, Seeking};
use crate::runtime::router::Router;
use crate::runtime::services::Services;
use crate::runtime::shard_actor::ShardMessage;
use crate::runtime::starts::Starts;
use crate::shard::io::{Freshness, Input, Query, Reply as ShardReply};
use crate::shard::question::{Fitness, Question};
use crate::time::{Span, Timestamp};

const ROUND: Duration = Duration::from_millis(200);
/// Rounds between plans.
const ROUNDS_PER_PLAN: u32 = 5;
/// Rounds between questions about replicas that seem to have been moved away.
const ROUNDS_PER_REMOVAL: u32 = 5;
/// Rounds between questions at others' doors while nobody is heard of.
const LONELY_ROUNDS: u32 = 25;
/// A peer that was not heard of for so long leads nothing by plan.
const SILENT_AFTER: Duration = Duration::from_secs(3);
/// How long a node that was removed is still talked to.
const PARTING: Duration = Duration::from_secs(60);
const COMMAND_PATIENCE: Span = Span::from_secs(5);

/// How the cluster is kept.
#[derive(Clone, Copy, Debug)]
pub struct PlacementRule {
    /// Shards that may be on the move at the same time.
    pub moves_at_once: usize,
    /// A node that was silent for so long is replaced for good.
    pub replace_after: Duration,
    /// How often a running node's folder is counted: an older copy of it is recognized from then on.
    pub count_every: Duration,
}

impl Default for PlacementRule {
    fn default() -> Self {
        Self {
            moves_at_once: 8,
            replace_after: Duration::from_secs(300),
            count_every: Duration::from_secs(60),
        }
    }
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
    pub(crate) services: Arc<Services>,
}

impl ClusterHandle {
    pub(crate) fn new(router: Arc<Router>, services: Arc<Services>) -> Self {
        Self { router, services }
    }

    /// The cluster as this node knows it.
    pub fn known(&self) -> Arc<Cluster> {
        Arc::clone(&self.services.cluster.borrow())
    }

    /// The node that runs under a candidate's number with another folder, by what is heard of it: a
    /// second process with the same number must not take the place of one that is well.
    pub(crate) fn running_under(&self, candidate: &Candidate) -> Option<NodeId> {
        let cluster = self.known();
        let of_number = |(node, _): &(NodeId, &Member)| node.number() == Some(candidate.number);
        let (node, known) = cluster.members().filter(of_number).last()?;
        if known.folder == candidate.folder || known.standing == Standing::Lost {
            return None;
        }
        let heard = self.services.network.get()?.mesh.last_heard(node);
        let is_me = node == self.services.node;
        let runs = is_me || heard.is_some_and(|heard| heard.elapsed() < SILENT_AFTER);
        runs.then_some(node)
    }

    /// How many groups this node leads.
    pub fn n_led_here(&self) -> usize {
        *self.services.leaders.led_here().borrow()
    }

    /// Reads the certificate files again; they are read from time to time anyway.
    pub async fn reload_certificates(&self) -> Result<Rotation, CertificateError> {
        match self.services.network.get() {
            Some(network) => network.mesh.reload_certificates().await,
            None => Ok(Rotation::Unchanged),
        }
    }

    /// Spoils the link to another node, or mends it: for tests of what a cluster does then.
    pub fn set_link_fault(&self, to: NodeId, fault: LinkFault) {
        if let Some(network) = self.services.network.get() {
            network.mesh.set_fault(to, fault);
        }
    }

    pub(crate) fn leader_of_meta(&self) -> Known {
        self.services.leaders.of(ShardId::META)
    }

    /// What this node's replica of `meta` holds, if that is newer than what is known.
    pub(crate) async fn newer(&self) -> Result<Newer, Postponed> {
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
        let ShardReply::Viewed { view, .. } = finished(answer).await? else {
            return Ok(Newer::NotWhole);
        };
        let cluster = Cluster::from_bytes(&view)?;
        let is_newer = cluster.version() > self.services.cluster.borrow().version();
        Ok(if is_newer { Newer::Cluster(Box::new(cluster)) } else { Newer::Nothing })
    }

    pub async fn execute(&self, command: Command) -> Result<Reply, ClusterError> {
        let now = Timestamp::from_micros(clock::wall_micros());
        let envelope = Envelope::until(now.plus(COMMAND_PATIENCE));
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
    /// When this node first read of each member.
    pub(crate) known_since: BTreeMap<NodeId, Instant>,
    /// Handovers that were tried, and may not have come about.
    pub(crate) handovers: Handovers,
    /// Groups whose voters are on their way to `meta`.
    pub(crate) reports: Reports,
    /// What the peers were told last, and how often they are still to be told.
    pub(crate) told: Fitness,
    pub(crate) tell_again: u8,
    pub(crate) attention: Attention,
    /// Where `meta` rested when it was last read.
    pub(crate) learned_at: Option<Standstill>,
    pub(crate) starts: Arc<Starts>,
    /// Who this node is, as it asks to take part and says at every count of its folder.
    pub(crate) seeking: Seeking,
    /// Whether the cluster began with this node's folder.
    pub(crate) founds: bool,
    /// Whether the cluster has taken note of the last count.
    pub(crate) is_announced: bool,
    /// Since when nodes are known to be removed.
    pub(crate) parted: BTreeMap<NodeId, Instant>,
    pub(crate) counted: Instant,
    pub(crate) learned: Learned,
}

/// What this node's replica of `meta` holds beyond what is known.
pub(crate) enum Newer {
    Cluster(Box<Cluster>),
    Nothing,
    NotWhole,
}

/// What a group was found to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found {
    /// Where it is wanted, and known to be there.
    InOrder,
    Elsewhere,
}

/// What this node's replica of `meta` said of the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Learned {
    Whole,
    /// It was filled from a snapshot and waits for what followed that.
    Nothing,
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
        let leads_meta = self.services.leaders.of(ShardId::META) == Known::Here;
        let rests = self.services.pulse.resting_at(ShardId::META);
        if rests.is_none() || self.learned_at != rests {
            self.learned = self.learn().await?;
            self.learned_at = rests;
        }
        match self.admission() {
            Admission::Awaited => {
                // What this node's copy of the cluster waits for comes from the others, after they let
                // it in. That nobody else is in the cluster, only a copy that is whole can say.
                let founds = self.founds && self.learned == Learned::Whole;
                self.seeking.ask_around(&self.services, founds).await;
                return Ok(());
            }
            // It may have been paused for so long that its place was taken: those it does not hear any
            // more say so at the door.
            Admission::Granted
                if self.services.is_lonely() && round.is_multiple_of(LONELY_ROUNDS) =>
            {
                self.seeking.ask_around(&self.services, self.founds).await;
            }
            Admission::Refused { .. } => return Ok(()),
            Admission::Granted => {}
        }
        self.count().await?;
        let holds_everywhere = self.handle.holds_everywhere(leads_meta, self.founds).await?;
        // What a cluster is founded with has begun.
        if holds_everywhere || self.handle.known().version() > 0 {
            self.announce().await;
        }
        self.part();
        if round.is_multiple_of(ROUNDS_PER_PLAN) {
            self.show();
        }
        let cluster = self.handle.known();
        let unfit = cluster.members().map(|(node, _)| node);
        let unfit = unfit.filter(|node| self.services.is_unfit(*node)).collect();
        self.attention.turn_to(cluster.version(), unfit);
        self.handovers.turn_to(cluster.version());
        for group in self.map.groups() {
            let rests = self.services.pulse.resting_at(group);
            if self.services.leaders.of(group) != Known::Here {
                self.handovers.forget(group);
            } else if self.attention.wants(group, rests)
                && self.tend(group).await? == Found::InOrder
            {
                self.attention.found_in_order(group, rests);
            }
        }
        if round.is_multiple_of(ROUNDS_PER_REMOVAL) {
            let nth = usize::try_from(round / ROUNDS_PER_REMOVAL).unwrap_or(0);
            self.services.ask_about_parts(nth).await;
        }
        let leads_meta = self.services.leaders.of(ShardId::META) == Known::Here;
        if leads_meta && round.is_multiple_of(ROUNDS_PER_PLAN) {
            self.govern().await;
        }
        Ok(())
    }

    fn admission(&self) -> Admission {
        self.services.admission.borrow().clone()
    }

    /// Counts the folder once more when that is due.
    async fn count(&mut self) -> Result<(), Postponed> {
        if !self.is_announced || self.counted.elapsed() < self.rule.count_every {
            return Ok(());
        }
        self.counted = clock::monotonic();
        let starts = Arc::clone(&self.starts);
        match blocking(move || starts.count()).await? {
            Ok(start) => {
                self.seeking.me.start = start;
                self.is_announced = false;
            }
            Err(error) => tracing::warn!(%error, "the data folder could not be counted"),
        }
        Ok(())
    }

    /// The cluster works at a level; the folder is to say so before anything of that level is in it.
    async fn see_level(&self, level: u32) -> Result<(), Postponed> {
        if level <= self.starts.level() {
            return Ok(());
        }
        let starts = Arc::clone(&self.starts);
        if let Err(error) = blocking(move || starts.see_level(level)).await? {
            tracing::warn!(%error, level, "the cluster's level could not be noted in the folder");
        }
        Ok(())
    }

    async fn learn(&mut self) -> Result<Learned, Postponed> {
        let cluster = match self.handle.newer().await? {
            Newer::Cluster(cluster) => *cluster,
            Newer::Nothing => return Ok(Learned::Whole),
            Newer::NotWhole => return Ok(Learned::Nothing),
        };
        self.see_level(cluster.level()).await?;
        self.link(&cluster);
        let now = clock::monotonic();
        for (node, _) in cluster.members() {
            self.known_since.entry(node).or_insert(now);
        }
        self.services.cluster.send_replace(Arc::new(cluster));
        self.show();
        Ok(Learned::Whole)
    }

    /// Keeps the mesh's address book.
    fn link(&self, cluster: &Cluster) {
        let Some(network) = self.services.network.get() else { return };
        network.mesh.set_map_version(cluster.version());
        network.mesh.set_level(u16::try_from(cluster.level()).unwrap_or(u16::MAX));
        for (node, member) in cluster.members() {
            match member.standing {
                Standing::Active | Standing::Draining | Standing::Leaving => {
                    network.mesh.set_peer(node, PeerAddress(member.address.clone()));
                }
                Standing::Lost => network.mesh.remove_peer(node),
                // See `part`.
                Standing::Removed => {}
            }
        }
    }

    async fn announce(&mut self) {
        if self.services.leaders.of(ShardId::META) == Known::NotHeld(None) {
            return;
        }
        if self.is_announced {
            return;
        }
        let me = self.seeking.me.clone();
        let is_founded = self.services.cluster.borrow().version() > 0;
        let command = if self.founds && !is_founded {
            let level = me.levels.highest;
            Command::Found { first: me, shards: self.map.groups().collect(), level }
        } else {
            Command::Join(me)
        };
        match self.handle.execute(command).await {
            Ok(_) => self.is_announced = true,
            // What was founded long ago is known in the next round.
            Err(ClusterError::Rejected(Rejection::AlreadyFounded)) => {}
            Err(ClusterError::Rejected(
                why @ (Rejection::OldCopy { .. }
                | Rejection::GivenUp { .. }
                | Rejection::Removed { .. }
                | Rejection::LevelUnknown { .. }),
            )) => self.services.refuse(why.to_string()),
            Err(error) => tracing::warn!(%error, "the cluster does not hear of this node yet"),
        }
    }

    /// Moves a group that this node leads one step nearer to where it is wanted.
    async fn tend(&mut self, group: ShardId) -> Result<Found, Postponed> {
        let cluster = self.handle.known();
        let actor = self.services.shards.get(group).ok_or(Postponed::Stopping)?;
        let (reply, view) = oneshot::channel();
        ask(actor, ShardMessage::LeadView(reply))?;
        let Some(view) = finished(view).await? else { return Ok(Found::Elsewhere) };
        let tended = tending::tend(self.services.node, group, &cluster, &view, &*self.services);
        let Some(tended) = tended else { return Ok(Found::Elsewhere) };
        if let Some(report) = tended.report {
            self.reports.send(group, report, &self.handle);
        }
        match tended.step {
            Some(Step::TransferLead(to)) if !self.handovers.may_try(group, to) => {
                Ok(Found::Elsewhere)
            }
            Some(Step::TransferLead(to)) => {
                tracing::info!(shard.id = %group, to = to.0, "leadership is handed over");
                ask(actor, ShardMessage::Input(Input::TransferLead { to }))?;
                Ok(Found::Elsewhere)
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
                Ok(Found::Elsewhere)
            }
            None if tended.in_order => Ok(Found::InOrder),
            None => Ok(Found::Elsewhere),
        }
    }

    /// Ends the links with nodes that were removed, some time after: until then they learn what they
    /// may let go of, and answer the requests they were asked before.
    fn part(&mut self) {
        let Some(network) = self.services.network.get() else { return };
        let cluster = self.handle.known();
        let removed = cluster.members().filter(|(_, m)| m.standing == Standing::Removed);
        for (node, _) in removed {
            let since = self.parted.entry(node).or_insert_with(clock::monotonic);
            if since.elapsed() >= PARTING {
                network.mesh.remove_peer(node);
            }
        }
    }

    /// Keeps the gauges that tell of the cluster as this node sees it.
    fn show(&self) {
        let cluster = self.handle.known();
        let silent = self.silence(&cluster).into_keys().collect();
        self.services.metrics.cluster_stands(&cluster, &silent);
    }

    /// Tells the cluster what is due.
    async fn govern(&self) {
        let cluster = self.handle.known();
        let everywhere = BTreeSet::from(ShardId::EVERYWHERE);
        let rule = Rule { everywhere, moves_at_once: self.rule.moves_at_once };
        let silence = self.silence(&cluster);
        for command in governing::due(&cluster, &silence, &rule, self.rule.replace_after) {
            tell_of(&command);
            match self.handle.execute(command).await {
                Ok(_) | Err(ClusterError::Rejected(Rejection::StalePlan { .. })) => {}
                Err(error) => tracing::warn!(%error, "what the cluster was told was not taken"),
            }
        }
    }

    /// Members that were not heard of for some time, and for how long.
    fn silence(&self, cluster: &Cluster) -> BTreeMap<NodeId, Duration> {
        let Some(network) = self.services.network.get() else { return BTreeMap::new() };
        let now = clock::monotonic();
        let peers = cluster
            .members()
            .filter(|(node, member)| *node != self.services.node && member.standing.takes_part());
        let since = |node: NodeId| {
            // One that came lately had no time to say anything.
            let known = self.known_since.get(&node).copied().unwrap_or(now);
            let heard = network.mesh.last_heard(node).map_or(known, |heard| heard.max(known));
            now.saturating_duration_since(heard)
        };
        peers
            .map(|(node, _)| (node, since(node)))
            .filter(|(_, since)| *since >= SILENT_AFTER)
            .collect()
    }
}

fn tell_of(command: &Command) {
    match command {
        Command::SetStanding { node, to: Standing::Lost, .. } => {
            tracing::warn!(node.id = node.0, "a node was silent for too long and is replaced");
        }
        Command::SetStanding { node, to, .. } => {
            tracing::info!(node.id = node.0, to = to.name(), "a node's standing changes");
        }
        Command::RaiseLevel { to } => tracing::info!(to, "every node can work at a higher level"),
        Command::Arrange { wanted, .. } => {
            tracing::info!(shards = wanted.len(), "shards are arranged anew");
        }
        Command::Found { .. }
        | Command::Join(_)
        | Command::Pin { .. }
        | Command::Report { .. }
        | Command::Transfer { .. } => {}
    }
}

impl Doubts for Services {
    fn is_unfit(&self, node: NodeId) -> bool {
        self.is_unfit(node)
    }

    fn declines(&self, node: NodeId, group: ShardId) -> bool {
        self.is_reluctant(node, group)
    }
}
