//! What more nodes bring, and what a request costs that comes to the wrong one.
//!
//! **Invariants:** every node may use the same share of a core, however many there are; requests to
//! leaders and to others are the same, come at the same rate, and take turns.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context as _;
use serde::Serialize;

use crate::arguments::{self, Common};
use crate::figures;
use crate::peers::cluster::operator::Operator;
use crate::peers::cluster::{Cluster, Setup};
use crate::peers::cpu::{self, Cap};
use crate::peers::folder::Folder;
use crate::report::{Report, progress};
use crate::scenarios::random::Random;
use crate::scenarios::traffic::{Aim, Traffic};

const FORMS_WITHIN: Duration = Duration::from_secs(240);
const CLIENTS: usize = 64;
const LOG_LEVEL: &str = "--log-level=warn,ops=info";
/// Nodes among which the way a request takes is measured.
const WAYS_AMONG: u16 = 3;
/// The share of what the nodes can do at which the ways are compared.
const WAYS_PERCENT: u64 = 50;

#[derive(Serialize)]
struct Size {
    per_second: f64,
    /// Cores that the nodes used, all together.
    cores_used: f64,
    per_second_per_node_core: f64,
    failed: usize,
}

#[derive(Serialize)]
struct Ways {
    asked_per_second: u64,
    local_cpu_seconds_per_1000: f64,
    remote_cpu_seconds_per_1000: f64,
    turns: Vec<f64>,
    failed: usize,
}

pub(crate) async fn run(
    common: &Common,
    asked: &arguments::Scale,
    folder: &Folder,
    report: &mut Report,
) -> anyhow::Result<()> {
    let mut sizes = BTreeMap::new();
    let mut cap = None;
    let mut failed = 0;
    for (nth, nodes) in asked.nodes.iter().enumerate() {
        let part = Folder::create(Some(folder.path()))?;
        let mut field = Field::form(common, asked, &part, nodes.get(), nth).await?;
        cap = field.caps.first().map(Cap::name).or(cap);
        let size = field.size(common.measured()).await?;
        progress(&format!("scale: {nodes} nodes, {} a second", size.per_second));
        failed += size.failed;
        if nodes.get() == WAYS_AMONG {
            let ways = field.ways(common.measured(), asked, size.per_second).await?;
            report.add("remote_over_local", figures::median(&ways.turns))?;
            failed += ways.failed;
            report.add("ways", ways)?;
        }
        sizes.insert(nodes.get(), size);
    }
    report.add("cap", cap)?;
    report.add("cap_percent", asked.cap_percent)?;
    report.add("sizes", sizes)?;
    report.add("failed_requests", failed)?;
    report.broken_if(failed > 0);
    Ok(())
}

/// One cluster under caps.
struct Field {
    traffic: Traffic,
    // Dropped before the caps: a control group goes when its process has.
    cluster: Cluster,
    caps: Vec<Cap>,
}

impl Field {
    async fn form(
        common: &Common,
        asked: &arguments::Scale,
        folder: &Folder,
        nodes: u16,
        nth: usize,
    ) -> anyhow::Result<Self> {
        let shards = format!("--shards={}", asked.shards);
        let setup = Setup::new(common.omnicart.as_deref(), folder, &[&shards, LOG_LEVEL])?;
        let mut cluster = Cluster::new(setup, folder, None);
        cluster.form(usize::from(nodes), FORMS_WITHIN).await?;
        let random = Random::seeded(u64::from(nodes));
        let traffic = Traffic::to(cluster.addresses(), asked.shards.get(), &[], random).await?;
        let mut caps = Vec::new();
        for node in &cluster.nodes {
            let pid = node.pid().context("a node is not running")?;
            caps.push(Cap::on(pid, asked.cap_percent, nth * 100 + usize::from(node.number))?);
        }
        Ok(Self { traffic, cluster, caps })
    }

    fn cpu_used(&self) -> anyhow::Result<Duration> {
        let pids = self.cluster.nodes.iter().filter_map(|node| node.pid());
        pids.map(cpu::used).sum()
    }

    /// What the cluster can do.
    async fn size(&self, lasts: Duration) -> anyhow::Result<Size> {
        let aim = Aim::default();
        self.traffic.saturate(CLIENTS, &aim, lasts / 5).await;
        self.traffic.take_samples();
        let before = self.cpu_used()?;
        let done = self.traffic.saturate(CLIENTS, &aim, lasts).await;
        let used = self.cpu_used()?.saturating_sub(before);
        Ok(Size {
            per_second: figures::per_second(done, lasts),
            cores_used: figures::ratio(used.as_secs_f64(), lasts.as_secs_f64()),
            per_second_per_node_core: figures::per_second(done, used),
            failed: self.n_failed(),
        })
    }

    fn n_failed(&self) -> usize {
        self.traffic.take_samples().iter().filter(|sample| !sample.is_done).count()
    }

    /// What a request costs that comes to its leader, and to another node.
    async fn ways(
        &mut self,
        lasts: Duration,
        asked: &arguments::Scale,
        per_second: f64,
    ) -> anyhow::Result<Ways> {
        let rate = figures::share(per_second, WAYS_PERCENT);
        let operator = Operator::of(&self.cluster).await?;
        let leaders = operator.leaders(&self.cluster).await?;
        let n_led = u32::try_from(leaders.len())?;
        anyhow::ensure!(n_led == asked.shards.get(), "{n_led} shards are led");
        let first = |further: usize| {
            let nodes = &self.cluster.nodes;
            let address = |nth: usize| nodes.get((nth + further) % nodes.len()).map(|n| n.http);
            let first = leaders.iter().filter_map(|(shard, nth)| Some((*shard, address(*nth)?)));
            Aim { first: first.collect(), ..Aim::default() }
        };
        let (mut local, mut remote, mut turns) = (Vec::new(), Vec::new(), Vec::new());
        let mut failed = 0;
        for turn in 0..usize::from(asked.turns.get()) {
            let here = self.cost(rate, first(0), lasts).await?;
            // Either of the other two, in turns.
            let there = self.cost(rate, first(1 + turn % 2), lasts).await?;
            turns.push(figures::ratio(there, here));
            local.push(here);
            remote.push(there);
            failed += self.n_failed();
        }
        Ok(Ways {
            asked_per_second: rate,
            local_cpu_seconds_per_1000: figures::median(&local),
            remote_cpu_seconds_per_1000: figures::median(&remote),
            turns,
            failed,
        })
    }

    /// Processor time of all nodes for a thousand writes that come at a rate.
    async fn cost(&self, rate: u64, aim: Aim, lasts: Duration) -> anyhow::Result<f64> {
        let flow = self.traffic.start(rate, aim);
        // Connections are opened and leaders found first.
        tokio::time::sleep(lasts / 5).await;
        let (before, from) = (self.cpu_used()?, self.traffic.now());
        tokio::time::sleep(lasts).await;
        let (used, until) = (self.cpu_used()?.saturating_sub(before), self.traffic.now());
        flow.stop().await?;
        let samples = self.traffic.take_samples();
        let counted = samples.iter().filter(|sample| (from..until).contains(&sample.done));
        let thousands = figures::ratio_of(u64::try_from(counted.count())?, 1_000);
        Ok(figures::ratio(used.as_secs_f64(), thousands))
    }
}
