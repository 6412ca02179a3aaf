//! Real processes of one cluster that are killed, paused, cut off, filled up and wiped under load;
//! afterwards what clients saw is judged as simulated clusters are.
//!
//! **Invariants:** the same seed draws the same faults and requests (what nodes were doing then is up
//! to the machine); a fault that was not seen to take effect fails the run, as does a process that
//! ended for no reason of this program's.

mod asker;
mod buyers;
mod carts;
mod crowd;
pub(crate) mod fault;
mod nemesis;
mod stocks;
mod tale;
mod worker;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use storage::clock;

use crate::arguments::{self, Common};
use crate::figures;
use crate::peers::cluster::{Addresses, Cluster, Setup, Standing};
use crate::peers::fault_proxy::Links;
use crate::peers::folder::Folder;
use crate::peers::payment_simulator::PaymentSimulator;
use crate::report::{Report, progress};
use crate::scenarios::random::Random;
use buyers::{Buyers, Reconciled};
use crowd::{Archive, Crowd, GROUP, Manner};
use fault::Fault;
use nemesis::Nemesis;
use tale::Judgement;

/// How long a new cluster may take to share its work.
const FORMS_WITHIN: Duration = Duration::from_secs(180);
/// How long after the end everything that was asked may take to be answered.
const SETTLE_MAX: Duration = Duration::from_secs(900);
const DISK_MIB: u64 = 1_024;
/// So small that entities leave memory, shards are snapshotted and the log is trimmed within seconds.
const FLAGS: [&str; 5] = [
    "--shards=12",
    "--segment-size=4MiB",
    "--snapshot-after=64KiB",
    "--entity-memory=1MiB",
    "--index-cache=4MiB",
];
/// Shoppers who buy beside all others.
const BUYERS_MAX: u16 = 6;
/// Findings that are printed; the first says most.
const SHOWN_MAX: usize = 5;

pub(crate) async fn run(
    common: &Common,
    asked: &arguments::Chaos,
    folder: &Folder,
    report: &mut Report,
) -> anyhow::Result<()> {
    let seed = asked.seed.unwrap_or_else(clock::wall_micros);
    progress(&format!("chaos: seed {seed}"));
    let mut random = Random::seeded(seed);
    let faults = fault::possible(&asked.faults)?;
    let simulator = PaymentSimulator::start(common.omnicart.as_deref(), folder).await?;
    let mut cluster = cluster(common, asked, folder, &simulator, &faults)?;
    cluster.form(usize::from(asked.nodes.get()), FORMS_WITHIN).await?;

    let began = clock::monotonic();
    let ends_at = began + common.measured();
    let pause = Duration::from_millis(asked.pause_ms);
    let addresses = cluster.addresses();
    let manner = Manner { addresses, began, give_up_at: ends_at + SETTLE_MAX, pause };
    let moves = LeaderMoves::watch(cluster.addresses());
    let n_groups = asked.clients.get().div_ceil(u16::try_from(GROUP)?);
    let buyers = Buyers::start(n_groups.min(BUYERS_MAX), &manner, &mut random).await?;
    let crowd = Crowd::start(n_groups, &manner, &mut random);
    let mut nemesis = Nemesis::new(cluster, faults.clone(), random.branch());
    let struck = nemesis.run(ends_at).await;
    let ran = began.elapsed();
    progress("chaos: all is healed, and what was seen is judged");
    let orders = buyers.stop().await?;
    let mut archive = crowd.stop().await?;
    let found = archive.judge(&manner, &mut random).await?;
    let reconciled = buyers::reconcile(orders, &simulator, &manner, &mut random).await?;

    let tallies = nemesis.tallies.clone();
    let unseen: Vec<_> =
        tallies.iter().filter(|(_, tally)| tally.seen == 0).map(|(name, _)| *name).collect();
    let leader_changes = moves.count();
    report.add("nodes", asked.nodes)?;
    report.add("seed", seed)?;
    report.add("seconds", figures::seconds(ran))?;
    report.add("faults", nemesis.faults_seen())?;
    report.add("fault_counts", &tallies)?;
    report.add("faults_never_seen", &unseen)?;
    report.add("leader_changes", leader_changes)?;
    report.add("unexpected_ends", &nemesis.unexpected_ends)?;
    report.add("broken_off", struck.as_ref().err().map(|error| format!("{error:#}")))?;
    add_findings(report, &archive, found, asked)?;
    add_ledger(report, &reconciled)?;
    let uncovered = !unseen.is_empty() || (faults.iter().any(moves_leaders) && leader_changes == 0);
    report.broken_if(uncovered || struck.is_err() || !nemesis.unexpected_ends.is_empty());
    Ok(())
}

fn cluster(
    common: &Common,
    asked: &arguments::Chaos,
    folder: &Folder,
    simulator: &PaymentSimulator,
    faults: &[Fault],
) -> anyhow::Result<Cluster> {
    let payments = simulator.flag();
    let flags: Vec<_> = FLAGS.into_iter().chain([payments.as_str()]).collect();
    let setup = Setup::new(common.omnicart.as_deref(), folder, &flags)?;
    let mut cluster = Cluster::new(setup, folder, Some(Links::new()));
    if faults.contains(&Fault::FullDisk) {
        cluster = cluster.with_disks(DISK_MIB);
    }
    cluster.with_logs_asked(asked.logs.as_deref())
}

fn add_findings(
    report: &mut Report,
    archive: &Archive,
    found: Judgement,
    asked: &arguments::Chaos,
) -> anyhow::Result<()> {
    let Archive { counts, wrong, troubles, .. } = archive;
    let Judgement { lost, doubled, oversold, stock_errors, not_linearizable, undecided } = found;
    // Everything wrong besides what is counted by the piece is in `wrong` once.
    let violations = u64::try_from(wrong.len())?;
    for (name, value) in [
        ("acknowledged", counts.acknowledged),
        ("lost", lost),
        ("doubled", doubled),
        ("violations", violations),
        ("oversold", oversold),
        ("not_linearizable", not_linearizable),
        ("undecided", undecided),
        ("stock_errors", stock_errors),
        ("changed_replies", counts.changed_replies),
        ("expired_replies", counts.expired_replies),
        ("replies_compared", counts.repeated),
        ("reads", counts.reads),
        ("unknown", counts.unknown),
        ("unanswered", counts.unanswered),
    ] {
        report.add(name, value)?;
    }
    report.add("troubles", troubles)?;
    let shown: Vec<_> = wrong.iter().take(SHOWN_MAX).collect();
    report.add("first_violations", &shown)?;
    if let Some(logs) = &asked.logs {
        std::fs::write(logs.join("violations.txt"), wrong.join("\n\n"))
            .context("cannot write the violations")?;
    }
    let broken = [lost, doubled, violations, oversold, undecided, stock_errors, counts.unanswered];
    report.broken_if(broken.iter().any(|n| *n > 0) || counts.acknowledged == 0);
    Ok(())
}

/// The provider's ledger and the orders have the same charges and refunds.
fn add_ledger(report: &mut Report, reconciled: &Reconciled) -> anyhow::Result<()> {
    let Reconciled { orders, charges, unmatched, first_unmatched } = reconciled;
    report.add("orders", orders)?;
    report.add("charges", charges)?;
    report.add("ledger_unmatched", unmatched)?;
    report.add("first_unmatched", first_unmatched)?;
    report.broken_if(*unmatched > 0 || *charges == 0);
    Ok(())
}

/// Whether a leader cannot stay where it is.
fn moves_leaders(fault: &Fault) -> bool {
    [Fault::Kill, Fault::Drain, Fault::RollingRestart, Fault::Wipe].contains(fault)
}

/// Counts leaders that came to a node, as the nodes say of themselves.
struct LeaderMoves {
    count: Arc<AtomicU64>,
    watching: tokio::task::JoinHandle<()>,
}

impl LeaderMoves {
    fn watch(addresses: Addresses) -> Self {
        const PAUSE: Duration = Duration::from_millis(500);
        let count = Arc::new(AtomicU64::new(0));
        let seen = Arc::clone(&count);
        let watching = tokio::spawn(async move {
            let mut led = BTreeMap::new();
            loop {
                for address in addresses.all() {
                    let Some(standing) = Standing::of(address).await else { continue };
                    let before = led.insert(address, standing.led).unwrap_or(standing.led);
                    seen.fetch_add(standing.led.saturating_sub(before), Ordering::Relaxed);
                }
                tokio::time::sleep(PAUSE).await;
            }
        });
        Self { count, watching }
    }

    fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }
}

impl Drop for LeaderMoves {
    fn drop(&mut self) {
        self.watching.abort();
    }
}
