//! Hurts nodes and links one after another and in pairs, sees that it hurt, and heals.
//!
//! **Invariants:** what is drawn follows from the seed alone; every fault that was asked for comes
//! once before any comes twice; a folder is emptied only while every shard has all its copies.

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use serde::Serialize;
use storage::clock;

use super::fault::Fault;
use crate::peers::cluster::{Cluster, Standing};
use crate::peers::fault_proxy::{State, Way};
use crate::peers::process::Signal;
use crate::report::progress;
use crate::scenarios::random::Random;

/// How long a fault lasts, and how long there is none.
const LASTS_MS: std::ops::Range<u64> = 1_500..7_000;
const QUIET_MS: std::ops::Range<u64> = 500..2_500;
const PAIRED_ONE_IN: u64 = 3;
const DELAY_MS: std::ops::Range<u64> = 10..250;
/// How long a fault may take to show.
const SHOWS_WITHIN: Duration = Duration::from_secs(45);
/// How long a cluster may take to be whole again.
const HEALS_WITHIN: Duration = Duration::from_secs(180);
const LOOK_PAUSE: Duration = Duration::from_millis(100);
const EXIT_STORAGE_FAILED: i32 = 74;
const SIGKILL: i32 = 9;

/// How often a fault was brought about, and how often it was seen to have taken effect.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Tally {
    pub(super) begun: u64,
    pub(super) seen: u64,
}

pub(super) struct Nemesis {
    pub(super) cluster: Cluster,
    random: Random,
    asked: Vec<Fault>,
    /// What comes next, the last first.
    queue: Vec<Fault>,
    pub(super) tallies: BTreeMap<&'static str, Tally>,
    /// Ends of processes that nobody brought about.
    pub(super) unexpected_ends: Vec<String>,
}

/// A fault that lasts.
struct Hurt {
    fault: Fault,
    nth: usize,
    seen: bool,
    /// What links counted before.
    before: u64,
    ways: Vec<Way>,
}

impl Nemesis {
    pub(super) fn new(cluster: Cluster, asked: Vec<Fault>, random: Random) -> Self {
        let tallies = asked.iter().map(|fault| (fault.name(), Tally::default())).collect();
        let (queue, unexpected_ends) = (Vec::new(), Vec::new());
        Self { cluster, random, asked, queue, tallies, unexpected_ends }
    }

    /// Goes on until the time has come, and longer until each fault came once and all is healed. Where
    /// it is broken off all is healed too: clients wait for their answers.
    pub(super) async fn run(&mut self, until: Instant) -> anyhow::Result<()> {
        let struck = self.strike_until(until).await;
        let healed = self.heal_all().await;
        match (struck, healed) {
            (struck, Ok(())) => struck,
            (Ok(()), Err(error)) => Err(error.context("not all is healed")),
            (Err(struck), Err(error)) => {
                Err(struck.context(format!("not all is healed either: {error:#}")))
            }
        }
    }

    async fn strike_until(&mut self, until: Instant) -> anyhow::Result<()> {
        let is_due = |tallies: &BTreeMap<_, Tally>| tallies.values().any(|tally| tally.begun == 0);
        while !self.asked.is_empty() && (clock::monotonic() < until || is_due(&self.tallies)) {
            let fault = self.next_fault();
            self.strike(fault).await.with_context(|| format!("after {}", fault.name()))?;
            let quiet = self.random.within(QUIET_MS);
            tokio::time::sleep(Duration::from_millis(quiet)).await;
        }
        Ok(())
    }

    pub(super) fn faults_seen(&self) -> u64 {
        self.tallies.values().map(|tally| tally.seen).sum()
    }

    fn next_fault(&mut self) -> Fault {
        if self.queue.is_empty() {
            self.queue.clone_from(&self.asked);
            for nth in (1..self.queue.len()).rev() {
                let other = self.random.within(0..nth as u64 + 1);
                self.queue.swap(nth, usize::try_from(other).unwrap_or(nth));
            }
        }
        let Some(fault) = self.queue.pop() else { unreachable!("something was asked for") };
        if fault == Fault::Join {
            // A member more for every round would be another cluster in the end.
            self.asked.retain(|asked| *asked != Fault::Join);
        }
        fault
    }

    async fn strike(&mut self, fault: Fault) -> anyhow::Result<()> {
        let first = self.draw_node(None);
        let mut hurts = vec![self.begin(fault, first).await?];
        if fault.lasts() && self.random.one_in(PAIRED_ONE_IN) {
            let seconds: Vec<_> = self.asked.iter().filter(|f| f.comes_second()).copied().collect();
            let nth = usize::try_from(self.random.within(0..seconds.len() as u64))?;
            let other = self.draw_node(Some(first));
            if let Some(second) = seconds.get(nth) {
                hurts.push(self.begin(*second, other).await?);
            }
        }
        let lasts = Duration::from_millis(self.random.within(LASTS_MS));
        let until = clock::monotonic() + lasts;
        self.watch(&mut hurts, until).await?;
        self.heal(hurts).await
    }

    fn draw_node(&mut self, other_than: Option<usize>) -> usize {
        let n = self.cluster.nodes.len();
        let taken = usize::from(other_than.is_some());
        let drawn = usize::try_from(self.random.within(0..(n - taken) as u64)).unwrap_or(0);
        // Past the one that is taken, all move up by one.
        drawn + usize::from(other_than.is_some_and(|taken| drawn >= taken))
    }

    async fn begin(&mut self, fault: Fault, nth: usize) -> anyhow::Result<Hurt> {
        let number = self.cluster.node(nth)?.number;
        progress(&format!("chaos: {} at node {number}", fault.name()));
        self.tallies.entry(fault.name()).or_default().begun += 1;
        let mut hurt = Hurt { fault, nth, seen: false, before: 0, ways: Vec::new() };
        match fault {
            Fault::Kill => hurt.seen = self.kill(nth)?,
            Fault::Pause => self.cluster.node(nth)?.signal(Signal::Stop)?,
            Fault::Cut => self.hold_up(&mut hurt, State::Cut, self.ways_of(nth, true, true)?)?,
            Fault::CutOneWay => {
                let is_deaf = self.random.one_in(2);
                let ways = self.ways_of(nth, !is_deaf, is_deaf)?;
                self.hold_up(&mut hurt, State::Cut, ways)?;
            }
            Fault::Slow => {
                let delay = Duration::from_millis(self.random.within(DELAY_MS));
                let ways = self.ways_of(nth, true, true)?;
                self.hold_up(&mut hurt, State::Slow(delay), ways)?;
            }
            Fault::FullDisk => {}
            Fault::FailingFsync => hurt.seen = self.fail_a_sync(nth).await?,
            Fault::Wipe => {
                self.cluster.settled(HEALS_WITHIN).await?;
                self.kill(nth)?;
                std::fs::remove_dir_all(&self.cluster.node(nth)?.data)?;
                self.start(nth)?;
            }
            Fault::DeleteIndex => {
                self.kill(nth)?;
                std::fs::remove_dir_all(self.cluster.node(nth)?.data.join("state"))?;
                self.start(nth)?;
                hurt.seen = true;
            }
            Fault::Drain => hurt.seen = self.drain(nth).await?,
            Fault::RollingRestart => {
                hurt.seen = true;
                for nth in 0..self.cluster.nodes.len() {
                    hurt.seen &= self.drain(nth).await?;
                    self.start(nth)?;
                    self.cluster.ready(nth).await?;
                }
            }
            Fault::Join => {
                let newcomer = self.cluster.add().await?;
                self.cluster.start(newcomer)?;
                self.cluster.ready(newcomer).await?;
                // It leads its share, so it holds copies.
                self.cluster.settled(HEALS_WITHIN).await?;
                hurt.seen = true;
            }
            Fault::Clock => unreachable!("it was refused"),
        }
        Ok(hurt)
    }

    fn kill(&mut self, nth: usize) -> anyhow::Result<bool> {
        let status = self.cluster.kill(nth)?;
        let by_us = status.signal() == Some(SIGKILL);
        if !by_us {
            self.ended_by_itself(nth, status)?;
        }
        Ok(by_us)
    }

    async fn drain(&mut self, nth: usize) -> anyhow::Result<bool> {
        let status = self.cluster.drain(nth).await?;
        if !status.success() {
            self.ended_by_itself(nth, status)?;
        }
        Ok(status.success())
    }

    fn start(&mut self, nth: usize) -> anyhow::Result<()> {
        self.cluster.start(nth)
    }

    fn ended_by_itself(&mut self, nth: usize, status: ExitStatus) -> anyhow::Result<()> {
        let number = self.cluster.node(nth)?.number;
        let what = format!("node {number} ended by itself with {status}");
        progress(&format!("chaos: {what}"));
        self.unexpected_ends.push(what);
        Ok(())
    }

    /// The ways from and to a node.
    fn ways_of(&self, nth: usize, from: bool, to: bool) -> anyhow::Result<Vec<Way>> {
        let me = self.cluster.node(nth)?.number;
        let others = self.cluster.nodes.iter().map(|node| node.number).filter(|other| *other != me);
        let both = others.flat_map(|other| {
            let (there, back) = (Way { from: me, to: other }, Way { from: other, to: me });
            [from.then_some(there), to.then_some(back)]
        });
        Ok(both.flatten().collect())
    }

    fn hold_up(&self, hurt: &mut Hurt, state: State, ways: Vec<Way>) -> anyhow::Result<()> {
        let links = self.cluster.links().context("there is nothing between the nodes")?;
        hurt.before = if state == State::Cut { links.withheld() } else { links.delayed() };
        for way in &ways {
            links.set(*way, state);
        }
        hurt.ways = ways;
        Ok(())
    }

    /// Lets the next sync of a node fail, which it must not survive.
    async fn fail_a_sync(&mut self, nth: usize) -> anyhow::Result<bool> {
        let pid = self.cluster.node(nth)?.pid().context("the node is not running")?;
        let mut tracer = Tracer::attach(pid)?;
        let ended = self.cluster.ended(nth, SHOWS_WITHIN).await;
        tracer.end();
        let status = ended?;
        if status.code() == Some(EXIT_STORAGE_FAILED) {
            return Ok(true);
        }
        self.ended_by_itself(nth, status)?;
        Ok(false)
    }

    /// Waits until faults are seen to hurt, and until their time is over.
    async fn watch(&mut self, hurts: &mut [Hurt], until: Instant) -> anyhow::Result<()> {
        let shows_until = clock::monotonic() + SHOWS_WITHIN;
        loop {
            for hurt in hurts.iter_mut().filter(|hurt| !hurt.seen) {
                hurt.seen = self.shows(hurt).await?;
            }
            let now = clock::monotonic();
            // Whether a wiped node is filled again shows when all is healed.
            let all_seen = hurts.iter().all(|hurt| hurt.seen || hurt.fault == Fault::Wipe);
            if now >= until && (all_seen || now >= shows_until) {
                return Ok(());
            }
            tokio::time::sleep(LOOK_PAUSE).await;
        }
    }

    async fn shows(&self, hurt: &Hurt) -> anyhow::Result<bool> {
        let node = self.cluster.node(hurt.nth)?;
        Ok(match hurt.fault {
            Fault::Pause => node.pid().is_some_and(is_stopped),
            Fault::Cut | Fault::CutOneWay => {
                self.cluster.links().is_some_and(|links| links.withheld() > hurt.before)
            }
            Fault::Slow => self.cluster.links().is_some_and(|links| links.delayed() > hurt.before),
            Fault::FullDisk => {
                let disk = node.disk.as_ref().context("the node has no disk of its own")?;
                // Space that snapshots and trimming gave back is taken as well.
                disk.fill()?;
                Standing::of(node.http).await.is_some_and(|standing| standing.is_full)
            }
            Fault::Kill
            | Fault::FailingFsync
            | Fault::Wipe
            | Fault::DeleteIndex
            | Fault::Clock
            | Fault::RollingRestart
            | Fault::Join
            | Fault::Drain => hurt.seen,
        })
    }

    /// First what keeps others from being healed, then the processes.
    async fn heal(&mut self, hurts: Vec<Hurt>) -> anyhow::Result<()> {
        for hurt in &hurts {
            let node = self.cluster.node(hurt.nth)?;
            for way in &hurt.ways {
                if let Some(links) = self.cluster.links() {
                    links.set(*way, State::Open);
                }
            }
            match (hurt.fault, &node.disk) {
                (Fault::Pause, _) if node.is_running() => node.signal(Signal::Continue)?,
                (Fault::FullDisk, Some(disk)) => disk.relieve()?,
                (_, _) => {}
            }
        }
        self.start_all().await?;
        for hurt in hurts {
            let mut seen = hurt.seen;
            if hurt.fault == Fault::Wipe {
                self.cluster.settled(HEALS_WITHIN).await?;
                seen = true;
            }
            let tally = self.tallies.entry(hurt.fault.name()).or_default();
            tally.seen += u64::from(seen);
        }
        Ok(())
    }

    /// Ends whatever may still hurt anybody.
    async fn heal_all(&mut self) -> anyhow::Result<()> {
        if let Some(links) = self.cluster.links() {
            links.open_all();
        }
        for node in &self.cluster.nodes {
            if node.is_running() && node.pid().is_some_and(is_stopped) {
                node.signal(Signal::Continue)?;
            }
            if let Some(disk) = &node.disk {
                disk.relieve()?;
            }
        }
        self.start_all().await
    }

    /// Starts whoever is down and waits until all serve.
    async fn start_all(&mut self) -> anyhow::Result<()> {
        for nth in 0..self.cluster.nodes.len() {
            self.start_if_down(nth).await?;
        }
        for nth in 0..self.cluster.nodes.len() {
            let ready = self.cluster.ready(nth).await;
            // One that was full may learn of it only now.
            if ready.is_err() && self.start_if_down(nth).await? == Was::Down {
                self.cluster.ready(nth).await?;
            } else {
                ready?;
            }
        }
        Ok(())
    }

    async fn start_if_down(&mut self, nth: usize) -> anyhow::Result<Was> {
        let is_ours = self.cluster.node(nth)?.is_running();
        if is_ours && self.cluster.process_mut(nth)?.is_running()? {
            return Ok(Was::Up);
        }
        if is_ours {
            let status = self.cluster.ended(nth, HEALS_WITHIN).await?;
            self.ended_by_itself(nth, status)?;
        }
        self.start(nth)?;
        Ok(Was::Down)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Was {
    Up,
    Down,
}

/// Whether a process is stopped, as the system sees it.
fn is_stopped(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The name before it may hold anything but ends with the last bracket.
    let state = stat.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().next());
    matches!(state, Some("T" | "t"))
}

/// Lets every sync of a process fail for as long as it looks on.
struct Tracer(Child);

impl Tracer {
    fn attach(pid: u32) -> anyhow::Result<Self> {
        let tracer = Command::new("strace")
            .args(["-f", "-qq", "-o", "/dev/null", "-e", "trace=fdatasync,fsync"])
            .args(["-e", "inject=fdatasync,fsync:error=EIO", "-p", &pid.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        tracer.map(Self).context("a failing sync needs strace")
    }

    fn end(&mut self) {
        // It ends with the process that it looked at.
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

impl Drop for Tracer {
    fn drop(&mut self) {
        self.end();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stopped_process_is_told_from_a_running_one() {
        assert!(!is_stopped(std::process::id()));
        let mut child =
            Command::new("sh").args(["-c", "kill -STOP $$; exec true"]).spawn().unwrap();
        let began = clock::monotonic();
        while !is_stopped(child.id()) && began.elapsed() < Duration::from_secs(30) {
            std::thread::yield_now();
        }
        assert!(is_stopped(child.id()));
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
