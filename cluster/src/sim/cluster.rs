//! A cluster in one thread: nodes, the network between them, their disks and clocks, and clients.
//!
//! **Invariants:** one seed, one run, told apart by its trace; nothing happens but events in the
//! order of their time. A group has one leader in a term, whatever happens to it.
//!
//! What travels between nodes is in `links`, what is done to the cluster in `nemesis`, what is looked
//! at in `inspection`.

use std::collections::BTreeMap;

use storage::sim_disk::SplitMix64;

use crate::ids::{EntityRef, NodeId, ShardId};
use crate::placement::cluster::{Candidate, Cluster as Agreed, cluster_ref};
use crate::placement::member::NodeNumber;
use crate::placement::shard_map::ShardMap;
use crate::replication::transfer::Transfer;
use crate::shard::io::{Reply, Token};
use crate::sim::agent::{Agent, candidate};
use crate::sim::client::{Act, Client, Finished, Wish};
use crate::sim::clock::SimClock;
use crate::sim::coverage::Coverage;
use crate::sim::events::Event;
use crate::sim::net::SimNet;
use crate::sim::node::{End, SimNode, WorldOptions, fault};
use crate::sim::operator::Operator;
use crate::sim::port::SimPort;
use crate::sim::witness::Witness;
use crate::time::{Span, Timestamp};

pub(crate) const TICK: Span = Span::from_millis(100);
const CLIENT_STEP: Span = Span::from_millis(4);
const OWN_STEP: Span = Span::from_millis(40);
/// Clients have addresses of their own.
pub(crate) const CLIENTS_FROM: u64 = 1_000_000;

/// How a cluster is set up.
#[derive(Clone)]
pub struct ClusterOptions {
    pub n_nodes: u64,
    pub n_clients: u64,
    pub world: WorldOptions,
}

/// Told what happens, as it does.
pub type Watcher = Box<dyn FnMut(Timestamp, &str) + Send>;

pub struct Cluster {
    pub(crate) options: ClusterOptions,
    pub(crate) map: ShardMap,
    pub(crate) seed: u64,
    pub(crate) random: SplitMix64,
    pub(crate) now: Timestamp,
    pub(crate) nodes: BTreeMap<NodeId, Slot>,
    pub(crate) net: SimNet,
    pub(crate) port: SimPort,
    pub(crate) witness: Witness,
    pub(crate) lull_until: Timestamp,
    pub(crate) operator: Operator,
    /// Whether the next replica to ask something is reset.
    pub(crate) resets_asker: bool,
    clients: Vec<Client>,
    finished: Vec<Finished>,
    events: BTreeMap<(Timestamp, u64), Event>,
    n_events: u64,
    /// Who led each group in each term.
    leaders: BTreeMap<(ShardId, u64), NodeId>,
    trace: u64,
    pub(crate) coverage: Coverage,
    watcher: Option<Watcher>,
}

/// A machine, whether its process runs or not.
pub(crate) struct Slot {
    pub(crate) node: SimNode,
    pub(crate) clock: SimClock,
    /// Raised by each start: what was on its way inside the last process is void.
    pub(crate) life: u64,
    pub(crate) is_up: bool,
    pub(crate) paused_until: Timestamp,
    pub(crate) sync_micros_max: u64,
    pub(crate) turn_is_due: bool,
    pub(crate) index_is_due: bool,
    pub(crate) transfers: BTreeMap<ShardId, (NodeId, Transfer)>,
    pub(crate) agent: Agent,
}

impl Cluster {
    pub fn new(seed: u64, options: ClusterOptions) -> Result<Self, End> {
        let map = ShardMap::even(options.world.n_shards).map_err(|error| fault(&error))?;
        let mut cluster = Self {
            map,
            seed,
            random: SplitMix64::new(seed ^ 0xc1a5),
            now: Timestamp::from_micros(1_000_000_000),
            nodes: BTreeMap::new(),
            net: SimNet::new(seed ^ 0x4e7),
            port: SimPort::default(),
            witness: Witness::default(),
            lull_until: Timestamp::ZERO,
            operator: Operator::default(),
            resets_asker: false,
            clients: (0..options.n_clients).map(Client::new).collect(),
            finished: Vec::new(),
            events: BTreeMap::new(),
            n_events: 0,
            leaders: BTreeMap::new(),
            trace: seed,
            coverage: Coverage::default(),
            watcher: None,
            options,
        };
        let voters: Vec<_> = (1..=cluster.options.n_nodes).map(NodeId).collect();
        for nth in 0..cluster.clients.len() {
            cluster.after(Span::from_micros(1), Event::Client { nth });
        }
        cluster.operator.client = cluster.add_client();
        // A cluster that keeps itself in order begins with one node, which the others join.
        let n_first = if cluster.is_governed() { 1 } else { voters.len() };
        let at_first = voters.get(..n_first).unwrap_or_default();
        for id in &voters {
            let number = NodeNumber::try_from(id.0).map_err(|error| fault(&error))?;
            let holds = at_first.contains(id);
            let known = if holds { at_first } else { &[] };
            cluster.add_node(*id, known, candidate(number, id.0))?;
        }
        Ok(cluster)
    }

    /// A machine with an empty disk. Without voters it waits to be told who its groups are.
    pub(crate) fn add_node(
        &mut self,
        id: NodeId,
        voters: &[NodeId],
        me: Candidate,
    ) -> Result<(), End> {
        let seed = self.seed.wrapping_mul(1_009).wrapping_add(id.0);
        let node = SimNode::new(id, seed, voters, self.options.world.clone())?;
        let agent = Agent::new(self.add_client(), me);
        let slot = Slot {
            agent,
            node,
            clock: SimClock::new(self.random.below(2_000)),
            life: 1,
            is_up: true,
            paused_until: Timestamp::ZERO,
            sync_micros_max: 2_000,
            turn_is_due: false,
            index_is_due: false,
            transfers: BTreeMap::new(),
        };
        self.nodes.insert(id, slot);
        self.began(id);
        Ok(())
    }

    /// One beside those of the workloads.
    fn add_client(&mut self) -> usize {
        let nth = self.clients.len();
        self.clients.push(Client::new(u64::try_from(nth).unwrap_or(u64::MAX)));
        self.after(Span::from_micros(1), Event::Client { nth });
        nth
    }

    /// Whether the nodes keep the cluster in order by themselves.
    pub(crate) fn is_governed(&self) -> bool {
        self.options.world.governed
    }

    pub(crate) fn groups(&self) -> Vec<ShardId> {
        self.options.world.groups(self.map)
    }

    /// What the members agreed on, as far as any of them knows.
    pub(crate) fn agreed(&self) -> Option<&Agreed> {
        let known = self.nodes.values().map(|slot| slot.agent.known());
        known.max_by_key(|known| known.version()).filter(|known| known.version() > 0)
    }

    /// A number below `bound`, from the seed.
    pub fn draw(&mut self, bound: u64) -> u64 {
        self.random.below(bound)
    }

    pub fn now(&self) -> Timestamp {
        self.now
    }

    pub fn map(&self) -> ShardMap {
        self.map
    }

    /// Sums up everything that happened, in order.
    pub fn trace(&self) -> u64 {
        self.trace
    }

    pub fn coverage(&self) -> Coverage {
        let mut coverage = self.coverage;
        coverage.events = self.n_events;
        coverage.packets_lost = self.net.lost;
        coverage.leaders = u64::try_from(self.leaders.len()).unwrap_or(u64::MAX);
        for stats in self.nodes.values().map(|slot| slot.node.stats) {
            coverage.disks_full += stats.full;
            coverage.snapshots += stats.snapshots;
            coverage.segments_dropped += stats.segments_dropped;
            coverage.installs += stats.installs;
            coverage.log_reads += stats.log_reads;
            coverage.stores += stats.stores;
            coverage.loads += stats.loads;
            coverage.floors += stats.floors;
            coverage.index_starts += stats.index_starts;
            coverage.index_rebuilds += stats.index_rebuilds;
            coverage.rests += stats.rests;
        }
        coverage
    }

    /// Lets somebody watch what happens.
    pub fn watch(&mut self, watcher: Option<Watcher>) {
        self.watcher = watcher;
    }

    /// Tells whoever watches. What costs something to say is said only then.
    pub(crate) fn say(&mut self, what: impl FnOnce() -> String) {
        if let Some(watcher) = &mut self.watcher {
            watcher(self.now, &what());
        }
    }

    /// Whether clients are to ask nothing for the moment.
    pub(crate) fn is_lull(&self) -> bool {
        self.now < self.lull_until
    }

    /// A client without an operation.
    pub fn idle_client(&mut self) -> Option<usize> {
        let asking = self.clients.iter().take(self.n_asking()).enumerate();
        let idle: Vec<_> = asking.filter(|(_, c)| c.is_idle()).map(|(n, _)| n).collect();
        let nth = self.draw(u64::try_from(idle.len()).unwrap_or(0));
        idle.get(usize::try_from(nth).unwrap_or(0)).copied()
    }

    pub fn begin(&mut self, client: usize, op: u64, entity: EntityRef, wish: Wish, patience: Span) {
        let (now, shard) = (self.now, self.map.shard_of(entity.key.slot()));
        self.say(|| format!("client {client} begins {op} on {entity}: {wish:?}"));
        if let Some(client) = self.clients.get_mut(client) {
            client.begin(op, entity, shard, wish, now, patience);
        }
    }

    /// Clients of the workloads; behind them are those of the cluster's own.
    fn n_asking(&self) -> usize {
        usize::try_from(self.options.n_clients).unwrap_or(usize::MAX)
    }

    pub(crate) fn is_idle(&self, client: usize) -> bool {
        self.clients.get(client).is_some_and(Client::is_idle)
    }

    /// Lets one of the cluster's own clients ask the cluster's entity.
    pub(crate) fn begin_for(&mut self, client: usize, wish: Wish, patience: Span) {
        let now = self.now;
        if let Some(client) = self.clients.get_mut(client) {
            client.begin(u64::MAX, cluster_ref(), ShardId::META, wish, now, patience);
        }
    }

    pub fn take_finished(&mut self) -> Vec<Finished> {
        std::mem::take(&mut self.finished)
    }

    /// Lets everything happen that does within a span.
    pub fn run(&mut self, span: Span) -> Result<(), End> {
        let end = self.now.plus(span);
        while let Some(first) = self.events.first_entry()
            && first.key().0 <= end
        {
            let ((at, _), event) = first.remove_entry();
            self.now = at.max(self.now);
            self.handle(event)?;
        }
        self.now = end;
        Ok(())
    }

    /// All machines are put to sleep and wake together: to each of them, what was about to happen
    /// happens then, and its clock has gone on.
    pub(crate) fn sleep(&mut self, span: Span) {
        self.say(|| format!("all machines sleep for {} us", span.as_micros()));
        let before = self.now;
        self.now = before.plus(span);
        let events = std::mem::take(&mut self.events);
        self.events = events.into_iter().map(|((at, n), it)| ((at.plus(span), n), it)).collect();
        for slot in self.nodes.values_mut() {
            slot.clock.sleep(span);
            slot.agent.sleep(span);
            if slot.paused_until > before {
                slot.paused_until = slot.paused_until.plus(span);
            }
        }
    }

    pub(crate) fn after(&mut self, span: Span, event: Event) {
        self.n_events += 1;
        self.events.insert((self.now.plus(span), self.n_events), event);
    }

    pub(crate) fn restart_after(&mut self, span: Span, node: NodeId) {
        self.after(span, Event::Restart { node });
    }

    pub(crate) fn note(&mut self, what: u64, of: u64) {
        let mixed = self.trace ^ self.now.as_micros().rotate_left(17) ^ what.rotate_left(41) ^ of;
        self.trace = SplitMix64::new(mixed).next_u64();
    }

    /// A node whose process is the one meant.
    pub(crate) fn slot(&mut self, node: NodeId, life: u64) -> Option<&mut Slot> {
        self.nodes.get_mut(&node).filter(|slot| slot.is_up && slot.life == life)
    }

    /// As [`Self::slot`], with its clock read, unless it is paused.
    pub(crate) fn awake(&mut self, node: NodeId, life: u64) -> Option<&mut Slot> {
        let now = self.now;
        let slot = self.slot(node, life).filter(|slot| slot.paused_until <= now)?;
        slot.node.now = slot.clock.read(now);
        Some(slot)
    }

    pub(crate) fn began(&mut self, node: NodeId) {
        let Some(slot) = self.nodes.get_mut(&node) else { return };
        slot.is_up = true;
        slot.turn_is_due = false;
        slot.index_is_due = false;
        slot.transfers.clear();
        let life = slot.life;
        slot.agent.restart(life);
        self.look_soon(node, life);
        let first = Span::from_micros(self.random.below(TICK.as_micros()));
        self.after(first, Event::Tick { node, life });
        self.want_turn(node);
    }

    pub(crate) fn want_turn(&mut self, node: NodeId) {
        let Some(slot) = self.nodes.get_mut(&node).filter(|slot| slot.is_up) else { return };
        if std::mem::replace(&mut slot.turn_is_due, true) {
            return;
        }
        let life = slot.life;
        let pause = slot.paused_until.since(self.now);
        let micros = 20 + self.random.below(80);
        self.after(pause.plus(Span::from_micros(micros)), Event::Turn { node, life });
    }

    /// A process that its log failed is gone, and starts again; anything else ends the run.
    pub(crate) fn survive(&mut self, node: NodeId, done: Result<(), End>) -> Result<(), End> {
        match done {
            Err(End::Died { why }) => {
                self.coverage.deaths += 1;
                self.say(|| format!("node {} ends: {why}", node.0));
                self.kill(node);
                let pause = Span::from_millis(200 + self.random.below(2_000));
                self.restart_after(pause, node);
                Ok(())
            }
            other => other,
        }
    }

    /// A replica that starts again must not be of a time before what it said.
    pub(crate) fn check_start(&self, node: NodeId) -> Result<(), End> {
        let Some(slot) = self.nodes.get(&node) else { return Ok(()) };
        let mut cores = self.groups().into_iter().zip(&slot.node.cores);
        cores.try_for_each(|(shard, core)| {
            let (term, last) = (core.group.term(), core.group.last_index());
            let checked = self.witness.check_start(node, shard, term, last);
            checked.map_err(|why| fault(&why))
        })
    }

    pub(crate) fn check_leader(&mut self, node: NodeId, shard: ShardId) -> Result<(), End> {
        let core = self.nodes.get(&node).filter(|slot| slot.is_up);
        let Some(core) = core.and_then(|slot| slot.node.core(shard)) else { return Ok(()) };
        let status = core.status();
        if !status.leads {
            return Ok(());
        }
        let n_known = self.leaders.len();
        let known = *self.leaders.entry((shard, status.term)).or_insert(node);
        if self.leaders.len() > n_known {
            self.say(|| format!("node {} leads shard {shard} in term {}", node.0, status.term));
        }
        if known == node {
            return Ok(());
        }
        let (NodeId(one), NodeId(other)) = (known, node);
        let term = status.term;
        Err(fault(&format!("shard {shard} had leaders {one} and {other} in term {term}")))
    }

    pub(crate) fn answer(&mut self, token: Token, reply: Reply) -> Result<(), End> {
        self.note(token, 0);
        let (now, nth) = (self.now, usize::try_from(Client::of(token)).unwrap_or(usize::MAX));
        let client = self.clients.get_mut(nth);
        let finished = client.and_then(|client| client.take(token, reply, now));
        finished.map_or(Ok(()), |finished| self.finish(nth, finished))
    }

    fn finish(&mut self, nth: usize, finished: Finished) -> Result<(), End> {
        if nth == self.operator.client {
            return self.operated(&finished);
        }
        if let Some(node) = self.agent_of(nth) {
            self.say(|| format!("node {} is told by the cluster: {:?}", node.0, finished.reply));
            let told = self.nodes.get_mut(&node).map(|slot| slot.agent.finish(&finished));
            if let Some(Err(why)) = told {
                self.refused(node, &why);
            }
            return Ok(());
        }
        if nth < self.n_asking() {
            self.say(|| format!("operation {} ends: {:?}", finished.op, finished.reply));
            self.finished.push(finished);
        }
        Ok(())
    }

    /// The node that a client is the agent of.
    fn agent_of(&self, nth: usize) -> Option<NodeId> {
        let of_agent = |(_, slot): &(&NodeId, &Slot)| slot.agent.client == nth;
        self.nodes.iter().find(of_agent).map(|(id, _)| *id)
    }

    /// From where a client asks: an agent from its node, everybody else from outside.
    pub(crate) fn address_of(&self, nth: usize) -> NodeId {
        let outside = NodeId(CLIENTS_FROM + u64::try_from(nth).unwrap_or(0));
        if nth <= self.operator.client { outside } else { self.agent_of(nth).unwrap_or(outside) }
    }

    pub(crate) fn act(&mut self, nth: usize) -> Result<(), End> {
        let me = self.address_of(nth);
        let is_gone = nth > self.operator.client && !self.nodes.contains_key(&me);
        if is_gone {
            return Ok(());
        }
        self.after(
            if nth < self.n_asking() { CLIENT_STEP } else { OWN_STEP },
            Event::Client { nth },
        );
        if nth == self.operator.client {
            self.operate_on();
        }
        let elsewhere = self.any_node();
        let now = self.now;
        let Some(client) = self.clients.get_mut(nth) else { return Ok(()) };
        match client.act(now, elsewhere) {
            Act::Nothing => Ok(()),
            Act::Finished(finished) => self.finish(nth, finished),
            Act::Send { to, packet } => {
                self.send(me, to, packet);
                Ok(())
            }
        }
    }

    /// One of the machines.
    pub fn draw_node(&mut self) -> NodeId {
        self.any_node()
    }

    pub(crate) fn any_node(&mut self) -> NodeId {
        let nth = self.draw(u64::try_from(self.nodes.len()).unwrap_or(1));
        let nth = usize::try_from(nth).unwrap_or(0);
        self.nodes.keys().nth(nth).copied().unwrap_or(NodeId(1))
    }
}
