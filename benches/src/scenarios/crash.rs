//! kill -9 of the real process at random moments under load; afterwards everything that it
//! acknowledged is looked for.
//!
//! **Invariants:** every request carries an idempotency key and is asked again until it is
//! answered, so that what is expected is known exactly; the same seed draws the same requests and
//! the same pauses (what the process was doing when it died is up to the machine).

mod line;
mod mover;
mod shopper;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde::Serialize;
use storage::clock;
use tokio::task::JoinSet;

use crate::arguments::{self, Common};
use crate::load::histogram::Latencies;
use crate::peers::folder::Folder;
use crate::peers::omnicart::{Omnicart, Sizes};
use crate::peers::process::Process;
use crate::report::{Report, progress};
use crate::scenarios::random::Random;
use mover::Mover;
use shopper::Shopper;

/// How long the process lives under load before it is killed.
const LIFE_MS: std::ops::Range<u64> = 50..1_500;
/// How far a start gets before it is killed, where that is drawn.
const START_MS: std::ops::Range<u64> = 0..60;
/// One in so many starts is cut off as well.
const CUT_OFF_ONE_IN: u64 = 4;
const ASK_AGAIN_AFTER: Duration = Duration::from_millis(5);
const SETTLE_MAX: Duration = Duration::from_secs(60);

/// What was promised and what is there.
#[derive(Clone, Debug, Default, Serialize, PartialEq, Eq)]
struct Findings {
    acknowledged: u64,
    lost: u64,
    doubled: u64,
    changed_replies: u64,
    expired_replies: u64,
    replies_compared: u64,
    stock_errors: u64,
    /// Answers that no request should get.
    errors: u64,
    first_violation: Option<String>,
}

impl Findings {
    fn violated(&mut self, what: impl FnOnce() -> String) {
        self.first_violation.get_or_insert_with(what);
    }

    /// Counts what no request should be answered; the run goes on to see what else is wrong.
    fn note(&mut self, outcome: anyhow::Result<()>) {
        if let Err(error) = outcome {
            self.errors += 1;
            self.violated(|| format!("{error:#}"));
        }
    }

    fn is_clean(&self) -> bool {
        self.violations() == 0
    }

    fn violations(&self) -> u64 {
        let Self { lost, doubled, changed_replies, stock_errors, errors, .. } = self;
        lost + doubled + changed_replies + stock_errors + errors
    }
}

/// How much is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scope {
    Recent,
    All,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Answered,
    /// Nobody knows whether it took effect: ask again.
    Unknown,
}

/// A client that knows what it was promised.
trait Client: Send + Sized + 'static {
    /// Asks the open request again, or the next one.
    fn step(&mut self) -> impl Future<Output = anyhow::Result<Step>> + Send;
    fn has_open_request(&self) -> bool;
    fn reconnect(&mut self, address: SocketAddr);
    /// Compares what there is with what was promised.
    fn compare(
        &mut self,
        scope: Scope,
        findings: &mut Findings,
    ) -> impl Future<Output = anyhow::Result<()>> + Send;
    /// Asks again what was answered before, and compares the answers.
    fn repeat(
        &mut self,
        findings: &mut Findings,
    ) -> impl Future<Output = anyhow::Result<()>> + Send;
}

/// All clients.
struct Crowd {
    shoppers: Vec<Shopper>,
    movers: Vec<Mover>,
}

pub(crate) async fn run(
    common: &Common,
    asked: &arguments::Crash,
    folder: &Folder,
    report: &mut Report,
) -> anyhow::Result<()> {
    let seed = asked.seed.unwrap_or_else(clock::wall_micros);
    progress(&format!("crash: seed {seed}"));
    let mut random = Random::seeded(seed);
    let sizes = if asked.small { Sizes::Small } else { Sizes::Default };
    let omnicart = Omnicart::in_folder(common.omnicart.as_deref(), folder)?.with_sizes(sizes);
    let mut server = omnicart.start().await?;
    let mut crowd = Crowd::new(asked.clients.get(), server.address(), &mut random);
    let mut findings = Findings::default();
    let (mut restarts, mut starts_cut_off) = (Latencies::new(), 0_u64);
    for round in 1..=asked.rounds.get() {
        let life = Duration::from_millis(random.within(LIFE_MS));
        crowd.under_load(life, server, &mut findings).await?;
        while random.one_in(CUT_OFF_ONE_IN) {
            let start = omnicart.launch()?;
            tokio::time::sleep(Duration::from_millis(random.within(START_MS))).await;
            start.kill()?;
            starts_cut_off += 1;
        }
        let started = clock::monotonic();
        server = omnicart.start().await?;
        restarts.record(started.elapsed());
        crowd.after_restart(server.address(), Scope::Recent, &mut findings).await?;
        progress(&format!("crash: round {round}, {} acknowledged", findings.acknowledged));
    }
    crowd.after_restart(server.address(), Scope::All, &mut findings).await?;
    report.add("rounds", asked.rounds)?;
    report.add("seed", seed)?;
    for (name, value) in [
        ("acknowledged", findings.acknowledged),
        ("lost", findings.lost),
        ("doubled", findings.doubled),
        ("changed_replies", findings.changed_replies),
        ("expired_replies", findings.expired_replies),
        ("replies_compared", findings.replies_compared),
        ("stock_errors", findings.stock_errors),
        ("errors", findings.errors),
        ("starts_cut_off", starts_cut_off),
    ] {
        report.add(name, value)?;
    }
    report.add("first_violation", &findings.first_violation)?;
    report.add("restart", restarts.percentiles())?;
    report.broken_if(!findings.is_clean());
    // Where no repeat met a reply that was still kept, nothing is known of repeats.
    report.broken_if(findings.expired_replies == findings.replies_compared);
    Ok(())
}

impl Crowd {
    fn new(shoppers: u16, address: SocketAddr, random: &mut Random) -> Self {
        let movers = shoppers.div_ceil(2);
        Self {
            shoppers: (0..shoppers)
                .map(|nth| Shopper::new(nth, address, random.branch()))
                .collect(),
            movers: (0..movers).map(|nth| Mover::new(nth, address, random.branch())).collect(),
        }
    }

    /// Lets everyone work until the server is killed, `life` later.
    async fn under_load(
        &mut self,
        life: Duration,
        server: Process,
        findings: &mut Findings,
    ) -> anyhow::Result<()> {
        let stop = Arc::new(AtomicBool::new(false));
        let shoppers = started(std::mem::take(&mut self.shoppers), &stop);
        let movers = started(std::mem::take(&mut self.movers), &stop);
        tokio::time::sleep(life).await;
        server.kill()?;
        stop.store(true, Ordering::Relaxed);
        self.shoppers = ended(shoppers, findings).await?;
        self.movers = ended(movers, findings).await?;
        Ok(())
    }

    async fn after_restart(
        &mut self,
        address: SocketAddr,
        scope: Scope,
        findings: &mut Findings,
    ) -> anyhow::Result<()> {
        settle(&mut self.shoppers, address, findings).await?;
        settle(&mut self.movers, address, findings).await?;
        findings.acknowledged = self.shoppers.iter().map(Shopper::acknowledged).sum::<u64>()
            + self.movers.iter().map(Mover::acknowledged).sum::<u64>();
        for shopper in &mut self.shoppers {
            let checked = check(shopper, scope, findings).await;
            findings.note(checked);
        }
        for mover in &mut self.movers {
            let checked = check(mover, scope, findings).await;
            findings.note(checked);
        }
        if scope == Scope::All {
            mover::check_sum(&self.movers, findings);
        }
        Ok(())
    }
}

type Working<C> = JoinSet<(C, anyhow::Result<()>)>;

fn started<C: Client>(clients: Vec<C>, stop: &Arc<AtomicBool>) -> Working<C> {
    let mut working = JoinSet::new();
    for mut client in clients {
        let stop = Arc::clone(stop);
        working.spawn(async move {
            while !stop.load(Ordering::Relaxed) {
                match client.step().await {
                    Ok(Step::Answered) => {}
                    Ok(Step::Unknown) => tokio::time::sleep(ASK_AGAIN_AFTER).await,
                    Err(error) => return (client, Err(error)),
                }
            }
            (client, Ok(()))
        });
    }
    working
}

async fn ended<C: Client>(
    mut working: Working<C>,
    findings: &mut Findings,
) -> anyhow::Result<Vec<C>> {
    let mut clients = Vec::new();
    while let Some(joined) = working.join_next().await {
        let (client, outcome) = joined?;
        findings.note(outcome);
        clients.push(client);
    }
    Ok(clients)
}

/// Looks before the repeats, which would make good what was lost, and after them, as what they do
/// twice shows only then.
async fn check<C: Client>(
    client: &mut C,
    scope: Scope,
    findings: &mut Findings,
) -> anyhow::Result<()> {
    let before = findings.violations();
    client.compare(scope, findings).await?;
    client.repeat(findings).await?;
    // What was wrong already is not to be counted twice.
    if findings.violations() == before {
        client.compare(scope, findings).await?;
    }
    Ok(())
}

/// Asks every open request until it is answered.
async fn settle<C: Client>(
    clients: &mut [C],
    address: SocketAddr,
    findings: &mut Findings,
) -> anyhow::Result<()> {
    let started = clock::monotonic();
    for client in clients {
        client.reconnect(address);
        while client.has_open_request() {
            match client.step().await {
                Ok(Step::Answered) => {}
                Ok(Step::Unknown) => tokio::time::sleep(ASK_AGAIN_AFTER).await,
                Err(error) => findings.note(Err(error)),
            }
            anyhow::ensure!(
                started.elapsed() < SETTLE_MAX,
                "requests are unanswered {SETTLE_MAX:?} after a restart"
            );
        }
    }
    Ok(())
}
