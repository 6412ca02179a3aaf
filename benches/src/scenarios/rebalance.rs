//! What clients see while a fourth node joins and takes its share.
//!
//! **Invariants:** the load before and meanwhile is the same; the join is over when every shard has
//! all its copies and every node leads its share, to within one shard.

use std::collections::BTreeMap;
use std::time::Duration;

use storage::clock;

use crate::arguments::{self, Common};
use crate::figures::{self, millis, percentile};
use crate::peers::cluster::{Cluster, Setup};
use crate::peers::folder::Folder;
use crate::report::{Report, progress};
use crate::scenarios::random::Random;
use crate::scenarios::traffic::{Aim, Sample, Traffic};

const NODES: usize = 3;
const FORMS_WITHIN: Duration = Duration::from_secs(180);
const JOINS_WITHIN: Duration = Duration::from_secs(300);
const SATURATING: usize = 64;
const LOAD_PERCENT: u64 = 30;

pub(crate) async fn run(
    common: &Common,
    asked: &arguments::Rebalance,
    folder: &Folder,
    report: &mut Report,
) -> anyhow::Result<()> {
    let shards = format!("--shards={}", asked.shards);
    let setup = Setup::new(common.omnicart.as_deref(), folder, &[&shards])?;
    let mut cluster = Cluster::new(setup, folder, None).with_logs_asked(asked.logs.as_deref())?;
    cluster.form(NODES, FORMS_WITHIN).await?;
    let random = Random::seeded(asked.seed);
    let traffic = Traffic::to(cluster.addresses(), asked.shards.get(), &[], random).await?;
    let (aim, lasts) = (Aim::default(), common.measured());
    traffic.saturate(SATURATING, &aim, lasts / 5).await;
    let done = traffic.saturate(SATURATING, &aim, lasts).await;
    let saturation = done / lasts.as_secs().max(1);
    let rate = (saturation * LOAD_PERCENT / 100).max(1);
    progress(&format!("rebalance: {saturation} writes a second at most, {rate} from here on"));

    let flow = traffic.start(rate, aim);
    tokio::time::sleep(lasts / 5).await;
    traffic.take_samples();
    tokio::time::sleep(lasts).await;
    let before = traffic.take_samples();
    let began = clock::monotonic();
    // It takes no requests before it serves, as a load balancer would have it.
    let newcomer = cluster.add_unlisted().await?;
    cluster.start(newcomer)?;
    cluster.ready(newcomer).await?;
    let serves_after = began.elapsed();
    cluster.list(newcomer)?;
    cluster.settled(JOINS_WITHIN).await?;
    let even_after = began.elapsed();
    let meanwhile = traffic.take_samples();
    progress(&format!("rebalance: even after {even_after:?}"));
    for line in by_second(&meanwhile) {
        progress(&line);
    }
    tokio::time::sleep(lasts).await;
    let led: Vec<_> = cluster.standings().await.iter().map(|s| s.map(|s| s.led)).collect();
    flow.stop().await?;
    let after = traffic.take_samples();
    let (lost, doubled) = traffic.audit().await?;

    let p99 = |samples: &[Sample]| percentile(&took(samples), 99);
    let (calm, joining) = (p99(&before), p99(&meanwhile));
    let all = || before.iter().chain(&meanwhile).chain(&after);
    let failed = all().filter(|sample| !sample.is_done).count();
    report.add("saturation_per_second", saturation)?;
    report.add("writes_per_second", rate)?;
    report.add("writes", all().count())?;
    report.add("baseline_p50_ms", millis(percentile(&took(&before), 50)))?;
    report.add("baseline_p99_ms", millis(calm))?;
    report.add("join_p50_ms", millis(percentile(&took(&meanwhile), 50)))?;
    report.add("join_p99_ms", millis(joining))?;
    report.add("join_max_ms", millis(percentile(&took(&meanwhile), 100)))?;
    report.add("join_over_baseline", figures::ratio_of(joining, calm))?;
    report.add("after_p99_ms", millis(p99(&after)))?;
    report.add("serves_after_seconds", figures::seconds(serves_after))?;
    report.add("even_after_seconds", figures::seconds(even_after))?;
    report.add("leaders", led)?;
    report.add("failed_requests", failed)?;
    report.add("first_failure", traffic.first_failure())?;
    report.add("lost", lost)?;
    report.add("doubled", doubled)?;
    report.broken_if(failed > 0 || lost + doubled > 0);
    Ok(())
}

fn took(samples: &[Sample]) -> Vec<u64> {
    samples.iter().map(|sample| sample.took()).collect()
}

/// What each second of the join was like, for whoever looks for a reason.
fn by_second(samples: &[Sample]) -> Vec<String> {
    const SECOND: u64 = 1_000_000;
    let mut seconds: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
    for sample in samples {
        seconds.entry(sample.due / SECOND).or_default().push(sample.took());
    }
    let first = seconds.first_key_value().map_or(0, |(first, _)| *first);
    let told = |(at, took): (&u64, &Vec<u64>)| {
        let [p50, p99, max] = [50, 99, 100].map(|nth| millis(percentile(took, nth)));
        let (nth, n) = (at - first, took.len());
        format!("rebalance: second {nth}: {n} writes, p50 {p50}, p99 {p99}, max {max} ms")
    };
    seconds.iter().map(told).collect()
}
