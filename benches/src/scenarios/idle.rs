//! What a cluster costs that nobody asks anything: processor time and frames between its nodes.
//!
//! **Invariants:** nothing is measured before every group of every node rests, or has had the time to;
//! the nodes are asked nothing meanwhile but how much they sent, once before and once after.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context as _;
use storage::clock;

use crate::arguments::{self, Common};
use crate::figures;
use crate::metrics;
use crate::peers::cluster::{Cluster, Setup, exposition};
use crate::peers::cpu;
use crate::peers::folder::Folder;
use crate::report::{Report, progress};

const NODES: usize = 3;
const FORMS_WITHIN: Duration = Duration::from_secs(300);
const RESTS_WITHIN: Duration = Duration::from_secs(120);
const LOOK_PAUSE: Duration = Duration::from_secs(1);
/// What forming the cluster left to be done in the background ends meanwhile.
const CALM: Duration = Duration::from_secs(35);
/// What 256 idle groups on three nodes may cost.
const CPU_PERCENT_MAX: f64 = 2.0;
const FRAMES_PER_SECOND_MAX: f64 = 100.0;

/// What the nodes had used and sent at a moment.
struct Reading {
    used: Vec<Duration>,
    frames: u64,
}

pub(crate) async fn run(
    common: &Common,
    asked: &arguments::Idle,
    folder: &Folder,
    report: &mut Report,
) -> anyhow::Result<()> {
    let shards = format!("--shards={}", asked.shards);
    let setup = Setup::new(common.omnicart.as_deref(), folder, &[&shards])?;
    let mut cluster = Cluster::new(setup, folder, None);
    let began = clock::monotonic();
    cluster.form(NODES, FORMS_WITHIN).await?;
    progress(&format!("idle: {NODES} nodes share {} shards", asked.shards));
    // `meta` is one group more.
    let resting = rest(&cluster, u64::from(asked.shards.get()) + 1).await;
    let began_after = began.elapsed();
    tokio::time::sleep(CALM).await;
    let before = Reading::of(&cluster).await?;
    let started = clock::monotonic();
    tokio::time::sleep(common.measured()).await;
    let after = Reading::of(&cluster).await?;
    let took = started.elapsed();

    let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
    let percent =
        |used: Duration| figures::ratio_of(micros(used).saturating_mul(100), micros(took));
    let spent = |(after, before): (&Duration, &Duration)| after.saturating_sub(*before);
    let spent: Vec<_> = after.used.iter().zip(&before.used).map(spent).collect();
    let names = (1..).map(|number| format!("node_{number}"));
    let mut cpu: BTreeMap<_, _> = names.zip(spent.iter().map(|used| percent(*used))).collect();
    let total = percent(spent.iter().sum());
    cpu.insert("total".to_owned(), total);
    let frames = figures::per_second(after.frames.saturating_sub(before.frames), took);
    report.add("shards", asked.shards)?;
    report.add("groups_resting", resting)?;
    report.add("began_after_seconds", figures::seconds(began_after))?;
    report.add("seconds", figures::seconds(took))?;
    report.add("cpu_percent_of_core", cpu)?;
    report.add("frames_per_second", frames)?;
    report.broken_if(total >= CPU_PERCENT_MAX || frames >= FRAMES_PER_SECOND_MAX);
    Ok(())
}

/// Waits until every node says that all of its groups rest; gives how many do in the end.
async fn rest(cluster: &Cluster, groups: u64) -> Vec<Option<u64>> {
    let started = clock::monotonic();
    loop {
        let mut resting = Vec::new();
        for node in &cluster.nodes {
            let text = exposition(node.http).await.unwrap_or_default();
            resting.push(metrics::counter(&text, "omnicart_cluster_groups_resting"));
        }
        if resting.iter().all(|n| *n == Some(groups)) || started.elapsed() > RESTS_WITHIN {
            return resting;
        }
        tokio::time::sleep(LOOK_PAUSE).await;
    }
}

impl Reading {
    async fn of(cluster: &Cluster) -> anyhow::Result<Self> {
        let mut reading = Self { used: Vec::new(), frames: 0 };
        for node in &cluster.nodes {
            let pid = node.pid().context("a node ended by itself")?;
            reading.frames += frames_sent(node.http).await?;
            reading.used.push(cpu::used(pid)?);
        }
        Ok(reading)
    }
}

/// Frames that a node sent to the others, on all lanes.
async fn frames_sent(node: SocketAddr) -> anyhow::Result<u64> {
    let text = exposition(node).await.context("a node does not tell its metrics")?;
    metrics::sum(&text, "omnicart_cluster_mesh_frames_total", "direction=\"out\"")
        .context("a node does not count its frames")
}
