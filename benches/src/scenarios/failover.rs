//! What clients see while the leader of the busiest shards is killed, drained, or hands over, and
//! while all nodes restart in turn.
//!
//! **Invariants:** writes come at fixed times, at 30 % of what the cluster can do; each is asked
//! until it has its true outcome; a gap is the longest that a write due in an event's course took.

mod field;
mod gaps;

use std::collections::BTreeMap;

use anyhow::Context as _;

use crate::arguments::{self, Common};
use crate::figures::{millis, percentile};
use crate::machine::Syncs;
use crate::peers::cluster::operator::Operator;
use crate::peers::cluster::{Cluster, Setup};
use crate::peers::folder::Folder;
use crate::report::{Report, progress};
use crate::scenarios::failover::field::{FORMS_WITHIN, Field};
use crate::scenarios::failover::gaps::{Event, Kind, Seen};
use crate::scenarios::random::Random;
use crate::scenarios::traffic::{Aim, Sample, Traffic};

const NODES: usize = 3;
/// Clients that measure what the cluster can do.
const SATURATING: usize = 64;
const LOAD_PERCENT: u64 = 30;
/// Shards that get most of the writes, and how much: gaps are seen in milliseconds there.
const HOT: usize = 2;
const HOT_PERCENT: u64 = 70;

/// The load that everything happens under.
struct Load {
    saturation: u64,
    rate: u64,
    calm: Vec<u64>,
}

pub(crate) async fn run(
    common: &Common,
    asked: &arguments::Failover,
    folder: &Folder,
    report: &mut Report,
) -> anyhow::Result<()> {
    let mut field = formed(common, asked, folder).await?;
    let traffic = field.traffic.clone();
    let aim = Aim { hot: field.hot.clone(), hot_percent: HOT_PERCENT, first: BTreeMap::new() };
    let lasts = common.measured();
    traffic.saturate(SATURATING, &aim, lasts / 5).await;
    let done = traffic.saturate(SATURATING, &aim, lasts).await;
    let saturation = done / lasts.as_secs().max(1);
    let rate = (saturation * LOAD_PERCENT / 100).max(1);
    progress(&format!("failover: {saturation} writes a second at most, {rate} from here on"));
    let mut all = traffic.take_samples();
    let flow = traffic.start(rate, aim);
    let syncs = Syncs::begin(folder.path())?;
    tokio::time::sleep(lasts).await;
    let calm = traffic.take_samples();
    let load = Load { saturation, rate, calm: calm.iter().map(|s| s.took()).collect() };
    all.extend(calm);

    bring_about(&mut field, asked, &mut all).await?;
    let fdatasync = syncs.end()?;
    flow.stop().await?;
    all.extend(traffic.take_samples());
    let (lost, doubled) = traffic.audit().await?;

    report.add("fdatasync_p50_ms", millis(fdatasync.p50_us))?;
    report.add("fdatasync_p99_ms", millis(fdatasync.p99_us))?;
    report.add("fdatasync_max_ms", millis(fdatasync.max_us))?;
    report.add("first_failure", traffic.first_failure())?;
    report.add("lost", lost)?;
    report.add("doubled", doubled)?;
    report.broken_if(lost + doubled > 0);
    tell(report, &load, &field.events, all)
}

/// Three nodes, and stocks in every shard; the busiest are led by one node.
async fn formed(
    common: &Common,
    asked: &arguments::Failover,
    folder: &Folder,
) -> anyhow::Result<Field> {
    let shards = format!("--shards={}", asked.shards);
    let setup = Setup::new(common.omnicart.as_deref(), folder, &[&shards])?;
    let mut cluster = Cluster::new(setup, folder, None).with_logs_asked(asked.logs.as_deref())?;
    cluster.form(NODES, FORMS_WITHIN).await?;
    let random = Random::seeded(asked.seed);
    let operator = Operator::of(&cluster).await?;
    let leaders = operator.leaders(&cluster).await?;
    let n_shards = asked.shards.get();
    // Leads are evened out from the first shard on: the last ones are left where they are.
    let last = leaders.last_key_value().context("nobody leads any shard")?.1;
    let of_last = leaders.iter().rev().filter(|(_, leader)| *leader == last);
    let hot: Vec<_> = of_last.map(|(shard, _)| *shard).take(HOT).collect();
    let traffic = Traffic::to(cluster.addresses(), n_shards, &hot, random).await?;
    Ok(Field { cluster, traffic, operator, hot, n_shards, events: Vec::new() })
}

async fn bring_about(
    field: &mut Field,
    asked: &arguments::Failover,
    all: &mut Vec<Sample>,
) -> anyhow::Result<()> {
    for kind in [Kind::Kill, Kind::Drain, Kind::Transfer] {
        for nth in 1..=asked.events.get() {
            let from = field.events.len();
            match kind {
                Kind::Kill => field.kill().await?,
                Kind::Drain => field.drain().await?,
                Kind::Transfer => field.transfer().await?,
                Kind::Return | Kind::Resume | Kind::Rolling | Kind::Calm => {
                    unreachable!("not brought about on its own")
                }
            }
            all.extend(told(field, from, &format!("{kind:?} {nth}")));
        }
    }
    let from = field.events.len();
    field.rolling_restart().await?;
    all.extend(told(field, from, "all nodes restarted"));
    Ok(())
}

/// Says what was seen of the last events; returns all that was seen.
fn told(field: &Field, from: usize, what: &str) -> Vec<Sample> {
    let seen = Seen::new(field.traffic.take_samples());
    let gaps: Vec<_> = field.events.iter().skip(from).map(|event| seen.told(event)).collect();
    progress(&format!("failover: {what}: {}", gaps.join(", ")));
    seen.into_samples()
}

fn tell(
    report: &mut Report,
    load: &Load,
    events: &[Event],
    all: Vec<Sample>,
) -> anyhow::Result<()> {
    report.add("saturation_per_second", load.saturation)?;
    report.add("writes_per_second", load.rate)?;
    let busy = (load.rate * HOT_PERCENT / 100 / HOT as u64).max(1);
    report.add("resolution_ms", millis(1_000_000 / busy))?;
    report.add("writes", all.len())?;
    report.add("calm_p50_ms", millis(percentile(&load.calm, 50)))?;
    report.add("calm_p99_ms", millis(percentile(&load.calm, 99)))?;
    let failed = all.iter().filter(|sample| !sample.is_done).count();
    let seen = Seen::new(all);
    for (kind, name) in [(Kind::Kill, "kill"), (Kind::Drain, "drain"), (Kind::Transfer, "transfer")]
    {
        let figures = seen.figures(events, kind);
        report.add(&format!("{name}_p50_ms"), figures.p50_ms)?;
        report.add(&format!("{name}_p99_ms"), figures.p99_ms)?;
        report.add(&format!("{name}s"), figures.events)?;
        if kind == Kind::Kill {
            report.add("others_gap_p99_ms", figures.others_p99_ms)?;
        }
        report.add(name, figures)?;
    }
    report.add("return", seen.figures(events, Kind::Return))?;
    report.add("resume", seen.figures(events, Kind::Resume))?;
    report.add("calm", seen.figures(events, Kind::Calm))?;
    let rolling = seen.figures(events, Kind::Rolling);
    report.add("rolling_failed_requests", rolling.failed)?;
    report.add("rolling", rolling)?;
    report.add("failed_requests", failed)?;
    report.broken_if(failed > 0);
    Ok(())
}
