//! Groups of clients, each at one entity after another, and the judgement over all they saw.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use cluster::sim::linearizability::Observed;
use hyper::{Method, StatusCode};
use tokio::task::JoinSet;

use super::asker::Asker;
use super::tale::{self, Judgement, Subject, Tale};
use super::worker::{Counts, Notes, Worker};
use super::{carts, stocks};
use crate::peers::cluster::Addresses;
use crate::peers::omnicart;
use crate::report::progress;
use crate::scenarios::random::Random;

/// Clients at one entity at the same time.
pub(super) const GROUP: usize = 3;
/// What one client does with one entity: a resource remembers 256 keys.
const STEPS: u32 = 60;

/// How clients work.
#[derive(Clone)]
pub(super) struct Manner {
    pub(super) addresses: Addresses,
    pub(super) began: Instant,
    /// After this nothing is tried again.
    pub(super) give_up_at: Instant,
    /// Between one answer and the next request.
    pub(super) pause: Duration,
}

impl Manner {
    pub(super) fn asker(&self, random: Random) -> Asker {
        Asker::new(self.addresses.clone(), random, self.began, self.give_up_at)
    }
}

/// All that was seen.
#[derive(Default)]
pub(super) struct Archive {
    pub(super) tales: Vec<Tale>,
    pub(super) counts: Counts,
    pub(super) wrong: Vec<String>,
    pub(super) troubles: BTreeMap<String, u64>,
}

/// Clients at work.
pub(super) struct Crowd {
    groups: JoinSet<anyhow::Result<Archive>>,
    stop: Arc<AtomicBool>,
}

impl Crowd {
    pub(super) fn start(n_groups: u16, manner: &Manner, random: &mut Random) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let mut groups = JoinSet::new();
        for nth in 0..n_groups {
            let workers = (0..GROUP).map(|_| worker(manner, random.branch(), &stop)).collect();
            groups.spawn(group(nth, workers));
        }
        Self { groups, stop }
    }

    /// Lets everyone end what is under way.
    pub(super) async fn stop(mut self) -> anyhow::Result<Archive> {
        self.stop.store(true, Ordering::Relaxed);
        let mut all = Archive::default();
        while let Some(group) = self.groups.join_next().await {
            let Archive { tales, counts, wrong, troubles } = group??;
            all.tales.extend(tales);
            all.counts.add(counts);
            all.wrong.extend(wrong);
            all.meet(troubles);
        }
        Ok(all)
    }
}

fn worker(manner: &Manner, random: Random, stop: &Arc<AtomicBool>) -> Worker {
    Worker::new(manner.asker(random), manner.pause, Arc::clone(stop))
}

async fn group(nth: u16, mut workers: Vec<Worker>) -> anyhow::Result<Archive> {
    let mut archive = Archive::default();
    let mut episode = u64::from(nth);
    while let Some(first) = workers.first_mut().filter(|worker| !worker.is_over()) {
        let subject = if episode.is_multiple_of(2) {
            carts::begin(first).await?
        } else {
            stocks::begin(first).await?
        };
        episode += 1;
        // The run is over: what was begun is in the notes, and nobody else knows of it.
        let Some(subject) = subject else { break };
        let mut working = JoinSet::new();
        for worker in workers.drain(..) {
            working.spawn(one(worker, subject.clone()));
        }
        let mut notes = Notes::default();
        while let Some(worker) = working.join_next().await {
            let mut worker = worker??;
            notes.join(worker.turn_page());
            workers.push(worker);
        }
        archive.file(subject, notes);
    }
    for worker in workers {
        archive.meet(worker.asker.troubles);
    }
    Ok(archive)
}

async fn one(mut worker: Worker, subject: Subject) -> anyhow::Result<Worker> {
    let mut held = Vec::new();
    for _ in 0..STEPS {
        if worker.is_over() {
            break;
        }
        match &subject {
            Subject::Cart(cart) => carts::step(&mut worker, cart).await?,
            Subject::Stock(sku) => stocks::step(&mut worker, sku, &mut held).await?,
        }
        tokio::time::sleep(worker.pause).await;
    }
    Ok(worker)
}

impl Archive {
    fn file(&mut self, subject: Subject, notes: Notes) {
        let Notes { observed, kept, counts, wrong } = notes;
        self.counts.add(counts);
        self.wrong.extend(wrong);
        self.tales.push(Tale { subject, observed, kept });
    }

    fn meet(&mut self, troubles: BTreeMap<String, u64>) {
        for (what, n) in troubles {
            *self.troubles.entry(what).or_default() += n;
        }
    }

    /// Looks at every entity, asks again what was answered, looks once more, and judges.
    pub(super) async fn judge(
        &mut self,
        manner: &Manner,
        random: &mut Random,
    ) -> anyhow::Result<Judgement> {
        const AT_A_TIME: usize = 8;
        let mut waiting = std::mem::take(&mut self.tales);
        let progress = Progress { of: waiting.len(), judged: Arc::default() };
        let mut share = Vec::new();
        let each = waiting.len().div_ceil(AT_A_TIME).max(1);
        while !waiting.is_empty() {
            share.push(waiting.split_off(waiting.len().saturating_sub(each)));
        }
        let mut judges = JoinSet::new();
        for tales in share {
            let worker = worker(manner, random.branch(), &Arc::default());
            judges.spawn(judge_some(worker, tales, progress.clone()));
        }
        let mut all = Judgement::default();
        while let Some(judged) = judges.join_next().await {
            let (found, notes) = judged??;
            all.add(found);
            self.counts.add(notes.counts);
            self.wrong.extend(notes.wrong);
        }
        Ok(all)
    }
}

/// How far the judgement has come.
#[derive(Clone)]
struct Progress {
    of: usize,
    judged: Arc<AtomicUsize>,
}

impl Progress {
    fn one_more(&self) {
        const TOLD_EVERY: usize = 100;
        let judged = self.judged.fetch_add(1, Ordering::Relaxed) + 1;
        if judged.is_multiple_of(TOLD_EVERY) {
            progress(&format!("chaos: {judged} of {} entities judged", self.of));
        }
    }
}

async fn judge_some(
    mut worker: Worker,
    tales: Vec<Tale>,
    progress: Progress,
) -> anyhow::Result<(Judgement, Notes)> {
    let mut all = Judgement::default();
    for mut tale in tales {
        look(&mut worker, &mut tale).await?;
        for kept in std::mem::take(&mut tale.kept) {
            worker.repeat_of(&kept).await;
        }
        let there = look(&mut worker, &mut tale).await?;
        let Some(there) = there else { continue };
        // A long history takes a while, and others wait for this thread.
        let (tale, found) = tokio::task::spawn_blocking(move || {
            let found = tale.judge(there);
            (tale, found)
        })
        .await?;
        if found != Judgement::default() {
            let Tale { subject, observed, .. } = &tale;
            let history: Vec<_> = observed.iter().map(shown).collect();
            let history = history.join("\n  ");
            worker.notes.wrong.push(format!("{subject:?}: {found:?}, {there} there\n  {history}"));
        }
        all.add(found);
        progress.one_more();
    }
    Ok((all, worker.turn_page()))
}

fn shown(seen: &Observed) -> String {
    let Observed { invoked_at, done_at, adds, sum } = seen;
    let done = done_at.map(|at| at.as_micros());
    format!("{}..{done:?} adds {adds} sum {sum:?}", invoked_at.as_micros())
}

/// Reads an entity and adds that to its tale.
async fn look(worker: &mut Worker, tale: &mut Tale) -> anyhow::Result<Option<i64>> {
    let call = match &tale.subject {
        Subject::Cart(cart) => cart.read()?,
        Subject::Stock(sku) => omnicart::inventory(Method::GET, sku, "")?,
    };
    let invoked_at = worker.asker.now();
    let Some(answer) = worker.asker.insist(&call).await else {
        worker.notes.counts.unanswered += 1;
        return Ok(None);
    };
    // What is gone holds nothing.
    let sum = match (answer.status, &tale.subject) {
        (StatusCode::NOT_FOUND, _) => 0,
        (_, Subject::Cart(_)) => tale::cart_in(&answer)?,
        (_, Subject::Stock(_)) => stocks::LEVEL_IN(&answer)?,
    };
    let done_at = Some(worker.asker.now());
    tale.observed.push(Observed { invoked_at, done_at, adds: 0, sum: Some(sum) });
    Ok(Some(sum))
}

impl Judgement {
    fn add(&mut self, other: Self) {
        self.lost += other.lost;
        self.doubled += other.doubled;
        self.oversold += other.oversold;
        self.stock_errors += other.stock_errors;
        self.not_linearizable += other.not_linearizable;
        self.undecided += other.undecided;
    }
}
