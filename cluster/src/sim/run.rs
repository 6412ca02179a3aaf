//! One seed: a cluster, what clients do to it, what is done to it, and what must be true afterwards.
//!
//! **Invariants:** a seed and its options are one run, whose trace tells it from every other. In the
//! safety phase anything may break; in the liveness phase a majority is healed and the rest stays
//! broken, and every shard must serve; at rest everything is healed, replicas must be equal and the
//! workloads judge what clients were told.

use storage::sim_disk::SplitMix64;

use crate::placement::cluster::Cluster as Agreed;
use crate::shard::kind::Kinds;
use crate::sim::cluster::{Cluster, ClusterOptions, Watcher};
use crate::sim::coverage::Coverage;
use crate::sim::node::{End, WorldOptions};
use crate::sim::workload::{Operation, Workload};
use crate::time::{Span, Timestamp};

const CLIENTS: u64 = 16;
const SHARDS: u32 = 8;
const SEGMENT_BYTES: u64 = 64 << 10;
/// Of entities in memory, per shard.
const RESIDENT_BYTES_MAX: usize = 8 << 10;
/// Until the first leaders are elected.
const WARM_UP: Span = Span::from_secs(3);
const STEP: Span = Span::from_millis(10);
/// Operations begun in a step, if there are clients without one.
const BEGUN_PER_STEP: u64 = 2;
/// One step in so many something is done to the cluster.
const DISTURB_ONE_IN: u64 = 45;
const STEPS_PER_COMPARISON: u64 = 100;
/// Of the safety phase at most: a minute of the cluster's own time and a half.
const STEPS_MAX: u64 = 9_000;
/// Until there is a copy of everything on three nodes.
const STEPS_TO_FOUND: u64 = 6_000;
/// Between healing a majority and asking every shard: elections, and clients' last deadlines.
const STEPS_TO_HEAL: u64 = 1_500;
/// Within which a healed shard must have served.
const STEPS_TO_SERVE: u64 = 1_100;
const STEPS_TO_REST: u64 = 9_000;
const NAP: Span = Span::from_secs(55);
/// In which every shard that is awake looks at its clock.
const STEPS_PER_NAP: u64 = 12;
/// In the middle of a run, and at its end while there are timers. A shard that rested believes a
/// minute of what it missed and catches up, so that a timer takes up to twice as many as it is long.
const NAPS: u64 = 20;
const NAPS_MAX: u64 = 60;
const PATIENCE: Span = Span::from_secs(10);
/// One operation in so many must have succeeded, and this many replicas been compared.
const DONE_ONE_IN: u64 = 8;
const COMPARED_MIN: u64 = 20;

/// How runs are set up.
#[derive(Clone, Copy, Debug)]
pub struct RunOptions {
    /// Nodes at first; by default three, and five for one seed in four.
    pub n_nodes: Option<u64>,
    /// Operations of clients.
    pub n_ops: u64,
}

impl Default for RunOptions {
    fn default() -> Self {
        Self { n_nodes: None, n_ops: 2_000 }
    }
}

/// A run in which everything held.
#[derive(Clone, Copy, Debug)]
pub struct Report {
    /// Operations that have an answer.
    pub done: u64,
    pub coverage: Coverage,
    /// Sums up everything that happened, in order.
    pub trace: u64,
    /// The cluster's own time.
    pub took: Span,
}

/// Why a run failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failed {
    #[error("{0}")]
    Violation(String),
    #[error("nothing happened: {0}")]
    Idle(String),
}

/// Runs a seed. With a watcher, what happens is told as it does.
pub fn run(
    seed: u64,
    options: RunOptions,
    workloads: Vec<Box<dyn Workload>>,
    watcher: Option<Watcher>,
) -> Result<Report, Failed> {
    let mut run = Run::new(seed, options, workloads, watcher).map_err(Failed::Violation)?;
    run.carry_out().map_err(Failed::Violation)?;
    run.report()
}

struct Run {
    options: RunOptions,
    cluster: Cluster,
    workloads: Vec<Box<dyn Workload>>,
    /// The workload that each operation belongs to.
    owners: Vec<usize>,
    /// Operations that ended, and whether each has an answer.
    ended: Vec<Option<bool>>,
    began_at: Timestamp,
    /// Whether the machines sleep, so that long timers come due, and how long they have.
    sleeps: bool,
    slept: Span,
    compared: u64,
}

impl Run {
    fn new(
        seed: u64,
        options: RunOptions,
        workloads: Vec<Box<dyn Workload>>,
        watcher: Option<Watcher>,
    ) -> Result<Self, String> {
        let kinds = Kinds::default().with::<Agreed>();
        let kinds = workloads.iter().fold(kinds, |kinds, load| load.kinds(kinds));
        let world = WorldOptions {
            kinds,
            catalogue: workloads.iter().find_map(|load| load.catalogue()),
            n_shards: SHARDS,
            segment_bytes: SEGMENT_BYTES,
            resident_bytes_max: RESIDENT_BYTES_MAX,
            // In the others members change at random, which no planner would do.
            governed: (seed / 4).is_multiple_of(2),
        };
        let n_nodes = options.n_nodes.unwrap_or(if seed % 4 == 3 { 5 } else { 3 });
        let cluster_options = ClusterOptions { n_nodes, n_clients: CLIENTS, world };
        let mut cluster = Cluster::new(seed, cluster_options).map_err(told)?;
        cluster.watch(watcher);
        for provider in workloads.iter().flat_map(|load| load.providers()) {
            cluster.port.add(provider);
        }
        let sleeps = workloads.iter().any(|load| load.has_long_timers());
        let (owners, ended, began_at) = (Vec::new(), Vec::new(), cluster.now());
        let (slept, compared) = (Span::from_micros(0), 0);
        Ok(Self { options, cluster, workloads, owners, ended, began_at, sleeps, slept, compared })
    }

    fn carry_out(&mut self) -> Result<(), String> {
        self.be_safe()?;
        self.live()?;
        self.rest()?;
        self.judge()
    }

    /// The safety phase: whatever happens, nothing may be wrong.
    fn be_safe(&mut self) -> Result<(), String> {
        self.cluster.run(WARM_UP).map_err(told)?;
        self.found()?;
        for step in 1..=STEPS_MAX {
            if self.begun() >= self.options.n_ops {
                break;
            }
            if self.slept == Span::default() && self.begun() > self.options.n_ops / 2 {
                for _ in 0..NAPS {
                    self.nap()?;
                }
            }
            self.begin_some();
            if self.cluster.draw(DISTURB_ONE_IN) == 0 {
                self.cluster.disturb().map_err(told)?;
            }
            self.step()?;
            if step.is_multiple_of(STEPS_PER_COMPARISON) {
                self.compare()?;
            }
        }
        Ok(())
    }

    /// All machines sleep for as long as a shard believes its clock at once, and look at it.
    fn nap(&mut self) -> Result<(), String> {
        if !self.sleeps {
            return Ok(());
        }
        self.cluster.sleep(NAP);
        self.slept = self.slept.plus(NAP);
        (0..STEPS_PER_NAP).try_for_each(|_| self.step())
    }

    /// Until the cluster that is to be disturbed is one.
    fn found(&mut self) -> Result<(), String> {
        for _ in 0..STEPS_TO_FOUND {
            if self.cluster.may_lose_one() {
                return Ok(());
            }
            self.cluster.run(STEP).map_err(told)?;
        }
        Err(format!("the cluster does not come to be\n{}", self.cluster.describe()))
    }

    fn begin_some(&mut self) {
        if self.cluster.is_lull() {
            return;
        }
        for _ in 0..BEGUN_PER_STEP.min(self.options.n_ops - self.begun()) {
            let Some(client) = self.cluster.idle_client() else { return };
            let (op, now) = (self.begun(), self.cluster.now());
            let owner = self.draw_workload();
            let random: &mut SplitMix64 = &mut self.cluster.random;
            let Some(workload) = self.workloads.get_mut(owner) else { return };
            let operation = workload.draw(op, now, random);
            self.begin(client, owner, operation);
        }
    }

    fn draw_workload(&mut self) -> usize {
        match u64::try_from(self.workloads.len()) {
            Ok(n) if n > 1 => usize::try_from(self.cluster.draw(n)).unwrap_or(0),
            Ok(_) | Err(_) => 0,
        }
    }

    fn begun(&self) -> u64 {
        u64::try_from(self.owners.len()).unwrap_or(u64::MAX)
    }

    fn begin(&mut self, client: usize, owner: usize, operation: Operation) -> u64 {
        let op = self.begun();
        self.owners.push(owner);
        self.ended.push(None);
        self.cluster.begin(client, op, operation.entity, operation.wish, PATIENCE);
        op
    }

    fn step(&mut self) -> Result<(), String> {
        self.cluster.run(STEP).map_err(told)?;
        for finished in self.cluster.take_finished() {
            let nth = usize::try_from(finished.op).unwrap_or(usize::MAX);
            let owner = self.owners.get(nth).and_then(|owner| self.workloads.get_mut(*owner));
            if let Some(ended) = self.ended.get_mut(nth) {
                *ended = Some(finished.reply.is_some());
            }
            owner.map_or(Ok(()), |owner| owner.finish(finished))?;
        }
        Ok(())
    }

    fn end_of(&self, op: u64) -> Option<bool> {
        *self.ended.get(usize::try_from(op).ok()?)?
    }

    fn compare(&mut self) -> Result<(), String> {
        self.compared += self.cluster.compare_replicas().map_err(told)?;
        Ok(())
    }

    /// The liveness phase: a majority is healed and the rest stays broken, every shard must serve.
    fn live(&mut self) -> Result<(), String> {
        // A node that has yet to be replaced must not be the second one to lack.
        let broken = match self.cluster.draw(2) {
            0 if self.cluster.may_lose_one() => Some(self.cluster.draw_node()),
            _ => None,
        };
        self.cluster.heal(broken);
        for _ in 0..STEPS_TO_HEAL {
            self.step()?;
        }
        let map = self.cluster.map();
        for shard in map.shards() {
            let op = self.begun();
            let probe = |(nth, load): (usize, &mut Box<dyn Workload>)| {
                Some((nth, load.probe(op, shard, map)?))
            };
            let Some((owner, probe)) = self.workloads.iter_mut().enumerate().find_map(probe) else {
                continue;
            };
            let client = self.idle_client()?;
            let op = self.begin(client, owner, probe);
            for _ in 0..STEPS_TO_SERVE {
                self.step()?;
                if self.end_of(op).is_some() {
                    break;
                }
            }
            if self.end_of(op) != Some(true) {
                let state = self.cluster.describe();
                return Err(format!("shard {shard} serves nobody, {broken:?} is cut off\n{state}"));
            }
        }
        Ok(())
    }

    fn idle_client(&mut self) -> Result<usize, String> {
        self.cluster.idle_client().ok_or_else(|| "no client is idle after its deadline".to_owned())
    }

    fn rest(&mut self) -> Result<(), String> {
        self.cluster.heal(None);
        // Whoever waits for the world outside gives up, as it is meant to.
        for _ in 0..NAPS_MAX {
            if self.cluster.has_no_timer() {
                break;
            }
            self.nap()?;
        }
        self.cluster.heal_outside();
        for _ in 0..STEPS_TO_REST {
            self.step()?;
            if self.cluster.is_at_rest() {
                return self.compare();
            }
            if self.cluster.is_quiet() {
                self.nap()?;
            }
        }
        Err(format!("the cluster does not come to rest\n{}", self.cluster.describe()))
    }

    fn judge(&mut self) -> Result<(), String> {
        for owner in 0..self.workloads.len() {
            let first = self.begun();
            let Some(workload) = self.workloads.get_mut(owner) else { continue };
            for audit in workload.audits(first) {
                let client = loop {
                    match self.cluster.idle_client() {
                        Some(client) => break client,
                        None => self.step()?,
                    }
                };
                self.begin(client, owner, audit);
            }
        }
        while self.ended.contains(&None) {
            self.step()?;
        }
        self.workloads.iter().try_for_each(|load| load.judge())
    }

    fn report(&self) -> Result<Report, Failed> {
        let mut coverage = self.cluster.coverage();
        coverage.compared = self.compared;
        let done = self.ended.iter().filter(|ended| **ended == Some(true)).count();
        let done = u64::try_from(done).unwrap_or(u64::MAX);
        let changed = coverage.leaders > u64::from(SHARDS);
        let enough = self.options.n_ops / DONE_ONE_IN;
        if !changed || done < enough || coverage.compared < COMPARED_MIN {
            return Err(Failed::Idle(format!("{done} operations done, {coverage:?}")));
        }
        let (trace, took) = (self.cluster.trace(), self.cluster.now().since(self.began_at));
        let took = took.minus(self.slept);
        Ok(Report { done, coverage, trace, took })
    }
}

fn told(end: End) -> String {
    match end {
        End::Died { why } => format!("a log died: {why}"),
        End::Refused { why } => format!("a node refused to start: {why}"),
        End::Fault { why } => why,
    }
}
