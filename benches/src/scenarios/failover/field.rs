//! Where events take place: a cluster, its load, and the hand that brings them about.
//!
//! **Invariants:** an event begins when every shard has all its copies and every node leads its
//! share, with one node leading the busiest shards, and is over when its shards are led again.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::Context as _;
use storage::clock;

use crate::peers::cluster::operator::Operator;
use crate::peers::cluster::{Cluster, Standing};
use crate::scenarios::failover::gaps::{Event, Kind};
use crate::scenarios::traffic::Traffic;

pub(super) const FORMS_WITHIN: Duration = Duration::from_secs(180);
/// For a move of leadership, or an election.
const LED_WITHIN: Duration = Duration::from_secs(30);
const LOOK_PAUSE: Duration = Duration::from_millis(50);
/// Before an event, to compare with; some time before, or a write of then may meet the event.
const QUIET: Duration = Duration::from_millis(500);
/// What waited gets its answer, and what comes after an event belongs to it.
const AFTERMATH: Duration = Duration::from_millis(300);

pub(super) struct Field {
    pub(super) cluster: Cluster,
    pub(super) traffic: Traffic,
    pub(super) operator: Operator,
    /// The shards that get most writes.
    pub(super) hot: Vec<u32>,
    pub(super) n_shards: u32,
    pub(super) events: Vec<Event>,
}

impl Field {
    /// `kill -9` of the node that leads the busiest shards, and its return.
    pub(super) async fn kill(&mut self) -> anyhow::Result<()> {
        let (victim, affected) = self.gathered().await?;
        self.calm().await;
        let begun = self.traffic.now();
        self.cluster.kill(victim)?;
        self.until_all_are_led().await?;
        self.over(Kind::Kill, begun, Some(affected)).await;
        let begun = self.traffic.now();
        self.cluster.restart(victim).await?;
        self.cluster.settled(FORMS_WITHIN).await?;
        self.over(Kind::Return, begun, None).await;
        Ok(())
    }

    /// The same node is told to lead nothing, and then to take its share again.
    pub(super) async fn drain(&mut self) -> anyhow::Result<()> {
        let (victim, affected) = self.gathered().await?;
        self.calm().await;
        let begun = self.traffic.now();
        self.operator.drain(&self.cluster, victim).await?;
        self.until_it_leads_nothing(victim).await?;
        self.over(Kind::Drain, begun, Some(affected)).await;
        let begun = self.traffic.now();
        self.operator.resume(&self.cluster, victim).await?;
        self.cluster.settled(FORMS_WITHIN).await?;
        self.over(Kind::Resume, begun, None).await;
        Ok(())
    }

    /// One of the busiest shards goes to the next node, and another shard comes back for it: every
    /// node goes on leading its share, so that nothing else moves.
    pub(super) async fn transfer(&mut self) -> anyhow::Result<()> {
        self.cluster.settled(FORMS_WITHIN).await?;
        let leaders = self.operator.leaders(&self.cluster).await?;
        let busy = *self.hot.first().context("no shard is busy")?;
        let from = *leaders.get(&busy).context("nobody leads the busiest shard")?;
        let to = (from + 1) % self.cluster.nodes.len();
        let is_idle = |shard: &u32| !self.hot.contains(shard);
        let back = leaders.iter().find(|(shard, leader)| **leader == to && is_idle(shard));
        let back = *back.context("a node leads nothing")?.0;
        self.calm().await;
        let begun = self.traffic.now();
        self.operator.transfer(&self.cluster, busy, to).await?;
        self.operator.transfer(&self.cluster, back, from).await?;
        self.until_led_by(&BTreeMap::from([(busy, to), (back, from)])).await?;
        self.over(Kind::Transfer, begun, Some(BTreeSet::from([busy, back]))).await;
        Ok(())
    }

    /// SIGTERM to one node after the other, each of which starts again.
    pub(super) async fn rolling_restart(&mut self) -> anyhow::Result<()> {
        self.cluster.settled(FORMS_WITHIN).await?;
        let begun = self.traffic.now();
        for nth in 0..self.cluster.nodes.len() {
            let status = self.cluster.drain(nth).await?;
            anyhow::ensure!(status.success(), "a node that was to end ended with {status}");
            self.cluster.restart(nth).await?;
            self.cluster.settled(FORMS_WITHIN).await?;
        }
        self.over(Kind::Rolling, begun, None).await;
        Ok(())
    }

    /// Waits until everything is in its place and one node leads the busiest shards; gives it and
    /// all it leads.
    async fn gathered(&mut self) -> anyhow::Result<(usize, BTreeSet<u32>)> {
        const ATTEMPTS_MAX: u32 = 10;
        for _ in 0..ATTEMPTS_MAX {
            self.cluster.settled(FORMS_WITHIN).await?;
            let leaders = self.operator.leaders(&self.cluster).await?;
            let busy = self.hot.first().context("no shard is busy")?;
            let victim = *leaders.get(busy).context("nobody leads the busiest shard")?;
            let elsewhere = |shard: &&u32| leaders.get(shard) != Some(&victim);
            let Some(other) = self.hot.iter().find(elsewhere) else {
                let led = leaders.iter().filter(|(_, leader)| **leader == victim);
                return Ok((victim, led.map(|(shard, _)| *shard).collect()));
            };
            let from = *leaders.get(other).context("nobody leads a busy shard")?;
            let is_idle = |shard: &u32| !self.hot.contains(shard);
            let swapped = leaders.iter().find(|(shard, at)| **at == victim && is_idle(shard));
            self.operator.transfer(&self.cluster, *other, victim).await?;
            if let Some((shard, _)) = swapped {
                self.operator.transfer(&self.cluster, *shard, from).await?;
            }
            self.until_led_by(&BTreeMap::from([(*other, victim)])).await?;
        }
        anyhow::bail!("the busiest shards are not led by one node")
    }

    async fn calm(&mut self) {
        let begun = self.traffic.now();
        tokio::time::sleep(QUIET).await;
        let (kind, over, affected) = (Kind::Calm, self.traffic.now(), None);
        tokio::time::sleep(QUIET / 5).await;
        self.events.push(Event { kind, begun, over, affected });
    }

    async fn over(&mut self, kind: Kind, begun: u64, affected: Option<BTreeSet<u32>>) {
        tokio::time::sleep(AFTERMATH).await;
        self.events.push(Event { kind, begun, over: self.traffic.now(), affected });
    }

    async fn until_led_by(&self, wanted: &BTreeMap<u32, usize>) -> anyhow::Result<()> {
        let started = clock::monotonic();
        while started.elapsed() < LED_WITHIN {
            let leaders = self.operator.leaders(&self.cluster).await?;
            if wanted.iter().all(|(shard, leader)| leaders.get(shard) == Some(leader)) {
                return Ok(());
            }
            tokio::time::sleep(LOOK_PAUSE).await;
        }
        anyhow::bail!("shards are not led as wanted after {LED_WITHIN:?}: {wanted:?}")
    }

    async fn until_all_are_led(&self) -> anyhow::Result<()> {
        let started = clock::monotonic();
        while started.elapsed() < LED_WITHIN {
            let standings = self.cluster.standings().await;
            let led: u64 = standings.iter().flatten().map(|standing| standing.led).sum();
            if led >= u64::from(self.n_shards) {
                return Ok(());
            }
            tokio::time::sleep(LOOK_PAUSE).await;
        }
        anyhow::bail!("some shards have no leader after {LED_WITHIN:?}")
    }

    async fn until_it_leads_nothing(&self, nth: usize) -> anyhow::Result<()> {
        let started = clock::monotonic();
        let http = self.cluster.node(nth)?.http;
        while started.elapsed() < LED_WITHIN {
            if Standing::of(http).await.is_some_and(|standing| standing.led == 0) {
                return self.until_all_are_led().await;
            }
            tokio::time::sleep(LOOK_PAUSE).await;
        }
        anyhow::bail!("a drained node leads shards after {LED_WITHIN:?}")
    }
}
