//! What clients see while the leader of the busiest shards is killed, drained, or hands over.
//!
//! **Invariants:** writes come at fixed times, at 30 % of what the cluster can do; each ends in its
//! true outcome, which is looked for in the end; a gap is the longest that a write due in it took.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::Context as _;
use serde::Serialize;

use crate::arguments::{self, Common};
use crate::figures::{millis, percentile};
use crate::machine;
use crate::peers::cluster::leaders::{LOG_LEVEL, Leaders};
use crate::peers::cluster::{Cluster, Setup};
use crate::peers::folder::Folder;
use crate::report::{Report, progress};
use crate::scenarios::random::Random;
use crate::scenarios::traffic::{Aim, Sample, Traffic};

const NODES: usize = 3;
const FORMS_WITHIN: Duration = Duration::from_secs(180);
/// Clients that measure what the cluster can do.
const SATURATING: usize = 64;
const LOAD_PERCENT: u64 = 30;
/// Shards that get most of the writes, and how much: gaps are seen in milliseconds there.
const HOT: usize = 2;
const HOT_PERCENT: u64 = 60;
/// After a kill: longer than any gap that is expected.
const KILL_LASTS: Duration = Duration::from_secs(5);
/// After a planned move.
const MOVE_LASTS: Duration = Duration::from_millis(500);
const QUIET: Duration = Duration::from_millis(500);

/// Gaps in microseconds.
#[derive(Default)]
struct Gaps {
    /// One for each event: of the worst shard that the node led.
    affected: Vec<u64>,
    /// One for each event: of the worst of the other shards.
    others: Vec<u64>,
    /// Every write to other shards while it happened.
    others_all: Vec<u64>,
    failed: u64,
    others_failed: u64,
}

#[derive(Serialize)]
struct GapFigures {
    events: usize,
    p50_ms: f64,
    p99_ms: f64,
    max_ms: f64,
    others_p50_ms: f64,
    others_p99_ms: f64,
    others_writes_p99_ms: f64,
    failed: u64,
    others_failed: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Event {
    Kill,
    Drain,
}

pub(crate) async fn run(
    common: &Common,
    asked: &arguments::Failover,
    folder: &Folder,
    report: &mut Report,
) -> anyhow::Result<()> {
    let shards = format!("--shards={}", asked.shards);
    let setup = Setup::new(common.omnicart.as_deref(), folder, &[&shards, LOG_LEVEL])?;
    let mut cluster = Cluster::new(setup, folder, None);
    cluster.form(NODES, FORMS_WITHIN).await?;
    let random = Random::seeded(asked.seed);
    let n_shards = asked.shards.get();
    let hot: Vec<_> = (0..n_shards).take(HOT).collect();
    let traffic = Traffic::to(cluster.addresses(), n_shards, &hot, random).await?;
    let aim = Aim { hot, hot_percent: HOT_PERCENT, first: BTreeMap::new() };

    let lasts = common.measured();
    traffic.saturate(SATURATING, &aim, lasts / 5).await;
    let done = traffic.saturate(SATURATING, &aim, lasts).await;
    let saturation = done / lasts.as_secs().max(1);
    let rate = (saturation * LOAD_PERCENT / 100).max(1);
    progress(&format!("failover: {saturation} writes a second at most, {rate} from here on"));
    traffic.take_samples();
    let flow = traffic.start(rate, aim);
    let loaded = machine::measure(folder.path())?;
    tokio::time::sleep(lasts).await;
    let mut all = traffic.take_samples();
    let calm: Vec<_> = all.iter().map(|sample| sample.took()).collect();

    let mut field = Field { cluster, traffic: traffic.clone(), leaders: Leaders::default() };
    let mut gaps = BTreeMap::new();
    for (name, event) in [("kill", Event::Kill), ("drain", Event::Drain)] {
        let mut found = Gaps::default();
        for nth in 1..=asked.events.get() {
            all.extend(field.one(event, &mut found).await?);
            progress(&format!("failover: {name} {nth}, {:?}", found.affected.last()));
        }
        gaps.insert(name, found);
    }
    flow.stop().await?;
    all.extend(traffic.take_samples());
    let (lost, doubled) = traffic.audit().await?;
    let failed = all.iter().filter(|sample| !sample.is_done).count();

    report.add("saturation_per_second", saturation)?;
    report.add("writes_per_second", rate)?;
    report.add("writes", all.len())?;
    report.add("calm_p50_ms", millis(percentile(&calm, 50)))?;
    report.add("calm_p99_ms", millis(percentile(&calm, 99)))?;
    report.add("fdatasync_p99_ms", millis(loaded.fdatasync_p99_us))?;
    for (name, found) in gaps {
        let figures = found.figures();
        report.add(&format!("{name}_p50_ms"), figures.p50_ms)?;
        report.add(&format!("{name}_p99_ms"), figures.p99_ms)?;
        report.add(name, figures)?;
    }
    report.add("failed_requests", failed)?;
    report.add("first_failure", traffic.first_failure())?;
    report.add("lost", lost)?;
    report.add("doubled", doubled)?;
    report.broken_if(failed > 0 || lost + doubled > 0);
    Ok(())
}

/// Where events take place.
struct Field {
    cluster: Cluster,
    traffic: Traffic,
    leaders: Leaders,
}

impl Field {
    /// Brings one event about, sees what it does, and heals; returns every write meanwhile.
    async fn one(&mut self, event: Event, gaps: &mut Gaps) -> anyhow::Result<Vec<Sample>> {
        self.cluster.settled(FORMS_WITHIN).await?;
        tokio::time::sleep(QUIET).await;
        let leaders = self.leaders.read(&self.cluster)?;
        let victim = *leaders.get(&0).context("nobody leads the busiest shard")?;
        let led = leaders.iter().filter(|(_, leader)| **leader == victim);
        let affected: BTreeSet<_> = led.map(|(shard, _)| *shard).collect();
        let mut before = self.traffic.take_samples();
        let at = self.traffic.now();
        match event {
            Event::Kill => {
                self.cluster.kill(victim)?;
                tokio::time::sleep(KILL_LASTS).await;
            }
            Event::Drain => {
                let status = self.cluster.drain(victim).await?;
                anyhow::ensure!(status.success(), "a drained node ended with {status}");
                tokio::time::sleep(MOVE_LASTS).await;
            }
        }
        let until = self.traffic.now();
        self.cluster.start(victim)?;
        self.cluster.ready(victim).await?;
        let samples = self.traffic.take_samples();
        let meanwhile = samples.iter().filter(|sample| sample.done >= at && sample.due <= until);
        gaps.take(meanwhile, &affected);
        before.extend(samples);
        Ok(before)
    }
}

impl Gaps {
    fn take<'a>(&mut self, samples: impl Iterator<Item = &'a Sample>, affected: &BTreeSet<u32>) {
        let (mut worst, mut worst_other) = (0, 0);
        for sample in samples {
            if affected.contains(&sample.shard) {
                worst = worst.max(sample.took());
                self.failed += u64::from(!sample.is_done);
            } else {
                worst_other = worst_other.max(sample.took());
                self.others_all.push(sample.took());
                self.others_failed += u64::from(!sample.is_done);
            }
        }
        self.affected.push(worst);
        self.others.push(worst_other);
    }

    fn figures(&self) -> GapFigures {
        let of = |gaps: &[u64], nth| millis(percentile(gaps, nth));
        GapFigures {
            events: self.affected.len(),
            p50_ms: of(&self.affected, 50),
            p99_ms: of(&self.affected, 99),
            max_ms: of(&self.affected, 100),
            others_p50_ms: of(&self.others, 50),
            others_p99_ms: of(&self.others, 99),
            others_writes_p99_ms: of(&self.others_all, 99),
            failed: self.failed,
            others_failed: self.others_failed,
        }
    }
}
