//! Writes to every shard of a cluster, asked of any node and of the others when one fails, each
//! until it has its outcome.
//!
//! **Invariants:** a write goes under one key however often it is asked, and is asked beyond its
//! deadline until its true outcome is known; what stocks hold in the end is what was acknowledged, or
//! the run says so; latency counts from when a write was due.

mod pool;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use actors::SkuCode;
use anyhow::Context as _;
use cluster::ids::ShardId;
use cluster::placement::shard_map::ShardMap;
use hyper::{Method, StatusCode};
use storage::clock;
use tokio::task::JoinSet;

use crate::load::client::{Answer, Call};
use crate::peers::cluster::Addresses;
use crate::peers::omnicart::{self, StockLevel, keyed};
use crate::scenarios::random::Random;
use crate::scenarios::traffic::pool::Pool;

/// After this a write has failed.
pub(crate) const DEADLINE: Duration = Duration::from_secs(10);
/// After this nobody asks for the outcome of a write that failed.
const OUTCOME_WITHIN: Duration = Duration::from_secs(60);
/// Between rounds over all nodes.
const PAUSE: Duration = Duration::from_millis(10);
/// After so many writes another stock takes a stock's place.
const WRITES_PER_SKU: u64 = 100;
/// A resource remembers 256 keys and refuses more: while none can take its place, no write goes there.
const WRITES_PER_SKU_MAX: u64 = 250;
/// Stocks of one shard that are written to in turns: while its leader is away none is replaced, and
/// what is due meanwhile must find room.
const SKUS: usize = 2;
const SKUS_OF_HOT: usize = 40;
const STOCK: u64 = 1_000;
/// Writes under way at the same time, each with a connection of its own.
const UNDER_WAY_MAX: usize = 12_000;

/// What became of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Done,
    /// It took no effect, by the word of a node.
    Refused,
    Unknown,
}

/// One write, in microseconds since the beginning.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    pub(crate) due: u64,
    pub(crate) done: u64,
    pub(crate) shard: u32,
    /// Whether it took effect within its deadline.
    pub(crate) is_done: bool,
}

impl Sample {
    pub(crate) fn took(self) -> u64 {
        self.done.saturating_sub(self.due)
    }
}

/// Where writes go.
#[derive(Clone, Debug, Default)]
pub(crate) struct Aim {
    /// Shards that get the given share of all, between them; the rest goes everywhere.
    pub(crate) hot: Vec<u32>,
    pub(crate) hot_percent: u64,
    /// The nodes asked first, by shard; without, any.
    pub(crate) first: BTreeMap<u32, SocketAddr>,
}

/// What is written to. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Traffic(Arc<Inner>);

struct Inner {
    addresses: Addresses,
    map: ShardMap,
    began: Instant,
    /// By shard.
    targets: Vec<Vec<Mutex<Target>>>,
    /// Counts all writes, so that stocks take turns.
    turn: AtomicUsize,
    worn: Mutex<Vec<Target>>,
    random: Mutex<Random>,
    pool: Pool,
    samples: Mutex<Vec<Sample>>,
    n_keys: AtomicU64,
    first_failure: Mutex<Option<String>>,
    name: String,
}

/// A stock in one shard.
#[derive(Clone, Debug, Default)]
struct Target {
    sku: String,
    begun: u64,
    /// Another one is on its way to take its place.
    is_leaving: bool,
    acknowledged: u64,
    /// Writes of which nobody knows whether they took effect.
    unknown: u64,
}

fn locked<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Traffic {
    /// States a stock in every shard.
    pub(crate) async fn to(
        addresses: Addresses,
        n_shards: u32,
        hot: &[u32],
        mut random: Random,
    ) -> anyhow::Result<Self> {
        let map = ShardMap::even(n_shards)?;
        let name = format!("{:016x}", random.number());
        let skus = |shard: ShardId| {
            let n = if hot.contains(&shard.0) { SKUS_OF_HOT } else { SKUS };
            (0..n).map(|_| Mutex::default()).collect()
        };
        let traffic = Self(Arc::new(Inner {
            addresses,
            map,
            began: clock::monotonic(),
            targets: map.shards().map(skus).collect(),
            turn: AtomicUsize::new(0),
            worn: Mutex::default(),
            random: Mutex::new(random),
            pool: Pool::default(),
            samples: Mutex::default(),
            n_keys: AtomicU64::new(0),
            first_failure: Mutex::default(),
            name,
        }));
        for shard in map.shards() {
            for nth in 0..traffic.targets(shard.0).len() {
                traffic.renew(shard.0, nth).await?;
            }
        }
        Ok(traffic)
    }

    /// Time since the beginning, in microseconds.
    pub(crate) fn now(&self) -> u64 {
        self.micros(clock::monotonic())
    }

    fn micros(&self, at: Instant) -> u64 {
        let since = at.saturating_duration_since(self.0.began).as_micros();
        u64::try_from(since).unwrap_or(u64::MAX)
    }

    /// Writes that ended since this was asked last.
    pub(crate) fn take_samples(&self) -> Vec<Sample> {
        std::mem::take(&mut *locked(&self.0.samples))
    }

    pub(crate) fn first_failure(&self) -> Option<String> {
        locked(&self.0.first_failure).clone()
    }

    /// So many clients write without pause; returns how many writes they did.
    pub(crate) async fn saturate(&self, clients: usize, aim: &Aim, lasts: Duration) -> u64 {
        let until = clock::monotonic() + lasts;
        let mut tasks = JoinSet::new();
        for _ in 0..clients {
            let (traffic, aim) = (self.clone(), aim.clone());
            tasks.spawn(async move {
                let mut done = 0;
                while clock::monotonic() < until {
                    let is_done = traffic.write(&aim, clock::monotonic()).await;
                    done += u64::from(is_done && clock::monotonic() < until);
                }
                done
            });
        }
        tasks.join_all().await.into_iter().sum()
    }

    /// Writes at fixed times until stopped.
    pub(crate) fn start(&self, per_second: u64, aim: Aim) -> Flow {
        let stop = Arc::new(AtomicBool::new(false));
        let (traffic, stopped) = (self.clone(), Arc::clone(&stop));
        let every = Duration::from_nanos(1_000_000_000 / per_second.max(1));
        let pacing = tokio::spawn(async move {
            let mut tasks = JoinSet::new();
            let mut due = clock::monotonic();
            while !stopped.load(Ordering::Relaxed) {
                tokio::time::sleep_until(due.into()).await;
                while tasks.try_join_next().is_some() {}
                if tasks.len() >= UNDER_WAY_MAX {
                    // What cannot even be asked fails at once, and is seen.
                    traffic.failed("too many writes are under way".to_owned());
                    traffic.note(due, 0, false);
                } else {
                    let (traffic, aim) = (traffic.clone(), aim.clone());
                    tasks.spawn(async move { traffic.write(&aim, due).await });
                }
                due += every;
            }
            tasks.join_all().await;
        });
        Flow { stop, pacing }
    }

    /// One write, until it has its outcome; whether it took effect within its deadline.
    async fn write(&self, aim: &Aim, due: Instant) -> bool {
        let (shard, first) = self.draw(aim);
        let Some(sku) = self.begin(shard) else {
            self.failed(format!("no stock of shard {shard} remembers another key"));
            self.note(due, shard, false);
            return false;
        };
        let call = omnicart::inventory(Method::POST, &sku, "/adjust")
            .map(|call| call.json(&serde_json::json!({"delta": 1, "reason": "traffic"})))
            .and_then(|call| keyed(call, &self.new_key()));
        let Ok(call) = call else { return false };
        let mut answer = self.ask(&call, first, due + DEADLINE).await;
        let is_in_time = answer.is_some();
        if !is_in_time {
            self.failed(format!("{}: no answer in time", call.path));
            answer = self.ask(&call, first, due + OUTCOME_WITHIN).await;
        }
        let outcome = match answer.map(|answer| answer.expect(StatusCode::OK)) {
            Some(Ok(_)) => Outcome::Done,
            Some(Err(error)) => {
                self.failed(format!("{}: {error}", call.path));
                Outcome::Refused
            }
            None => Outcome::Unknown,
        };
        let is_done = is_in_time && outcome == Outcome::Done;
        self.note(due, shard, is_done);
        self.end(shard, &sku, outcome);
        is_done
    }

    fn draw(&self, aim: &Aim) -> (u32, Option<SocketAddr>) {
        let mut random = locked(&self.0.random);
        let is_hot = random.within(0..100) < aim.hot_percent;
        let nth = random.number();
        let within = |n: usize| usize::try_from(nth % (n as u64).max(1)).unwrap_or(0);
        let hot = aim.hot.get(within(aim.hot.len())).filter(|_| is_hot).copied();
        let any = || u32::try_from(within(self.0.targets.len())).unwrap_or(0);
        let shard = hot.unwrap_or_else(any);
        (shard, aim.first.get(&shard).copied())
    }

    fn targets(&self, shard: u32) -> &[Mutex<Target>] {
        let nth = usize::try_from(shard).unwrap_or(usize::MAX);
        self.0.targets.get(nth).map_or(&[], Vec::as_slice)
    }

    /// The stock to write to; one that is worn is replaced meanwhile. `None` while all are worn out.
    fn begin(&self, shard: u32) -> Option<String> {
        let targets = self.targets(shard);
        let turn = self.0.turn.fetch_add(1, Ordering::Relaxed);
        let places = (0..targets.len()).map(|nth| turn.wrapping_add(nth) % targets.len());
        for nth in places {
            let mut target = locked(targets.get(nth)?);
            if target.begun >= WRITES_PER_SKU_MAX {
                continue;
            }
            target.begun += 1;
            if target.begun >= WRITES_PER_SKU && !target.is_leaving {
                target.is_leaving = true;
                self.replace(shard, nth);
            }
            return Some(target.sku.clone());
        }
        None
    }

    /// Lets another stock take a stock's place, some time from now.
    fn replace(&self, shard: u32, nth: usize) {
        let traffic = self.clone();
        tokio::spawn(async move {
            if let Err(error) = traffic.renew(shard, nth).await {
                traffic.failed(format!("{error:#}"));
                traffic.keep(shard, nth);
            }
        });
    }

    /// No other stock could take its place: the next write tries again.
    fn keep(&self, shard: u32, nth: usize) {
        if let Some(target) = self.targets(shard).get(nth) {
            locked(target).is_leaving = false;
        }
    }

    fn end(&self, shard: u32, sku: &str, outcome: Outcome) {
        let count = |target: &mut Target| match outcome {
            Outcome::Done => target.acknowledged += 1,
            Outcome::Refused => {}
            Outcome::Unknown => target.unknown += 1,
        };
        for target in self.targets(shard) {
            let mut target = locked(target);
            if target.sku == sku {
                return count(&mut target);
            }
        }
        let mut worn = locked(&self.0.worn);
        if let Some(target) = worn.iter_mut().rev().find(|target| target.sku == sku) {
            count(target);
        }
    }

    /// States a new stock in a shard and lets writes go there instead of to an old one.
    async fn renew(&self, shard: u32, nth: usize) -> anyhow::Result<()> {
        let sku = self.sku_in(shard)?;
        let call = omnicart::set_on_hand(&sku, u32::try_from(STOCK)?)?;
        let call = keyed(call, &self.new_key())?;
        let answer = self.ask(&call, None, clock::monotonic() + 3 * DEADLINE).await;
        answer.context("no stock could be stated")?.expect(StatusCode::OK)?;
        let Some(target) = self.targets(shard).get(nth) else { return Ok(()) };
        let mut target = locked(target);
        let old = std::mem::replace(&mut *target, Target { sku, ..Target::default() });
        // Both at once, or a write that ends in between would find neither.
        if !old.sku.is_empty() {
            locked(&self.0.worn).push(old);
        }
        Ok(())
    }

    fn sku_in(&self, shard: u32) -> anyhow::Result<String> {
        loop {
            let drawn = locked(&self.0.random).number();
            let name = format!("traffic-{drawn:016x}");
            let sku = SkuCode::try_from(name.clone())?;
            if self.0.map.shard_of(sku.key().slot()).0 == shard {
                return Ok(name);
            }
        }
    }

    fn new_key(&self) -> String {
        let nth = self.0.n_keys.fetch_add(1, Ordering::Relaxed);
        format!("{}-{nth}", self.0.name)
    }

    /// Asks one node after the other until one answers.
    async fn ask(&self, call: &Call, first: Option<SocketAddr>, until: Instant) -> Option<Answer> {
        let addresses = self.0.addresses.all();
        let start = match first.and_then(|first| addresses.iter().position(|at| *at == first)) {
            Some(nth) => nth,
            None => usize::try_from(locked(&self.0.random).number() >> 1).unwrap_or(0),
        };
        for round in 0_usize.. {
            let nth = start.wrapping_add(round) % addresses.len().max(1);
            let address = addresses.get(nth)?;
            if let Some(answer) = self.0.pool.ask(*address, call, until).await {
                return Some(answer);
            }
            if clock::monotonic() >= until {
                break;
            }
            if (round + 1).is_multiple_of(addresses.len().max(1)) {
                tokio::time::sleep(PAUSE).await;
            }
        }
        None
    }

    fn note(&self, due: Instant, shard: u32, is_done: bool) {
        let (due, done) = (self.micros(due), self.now());
        locked(&self.0.samples).push(Sample { due, done, shard, is_done });
    }

    fn failed(&self, why: String) {
        locked(&self.0.first_failure).get_or_insert(why);
    }

    /// Looks whether stocks are what was acknowledged: pieces lost and doubled.
    pub(crate) async fn audit(&self) -> anyhow::Result<(u64, u64)> {
        let mut all = std::mem::take(&mut *locked(&self.0.worn));
        all.extend(self.0.targets.iter().flatten().map(|target| locked(target).clone()));
        let (mut lost, mut doubled) = (0, 0);
        for target in all {
            let call = omnicart::inventory(Method::GET, &target.sku, "")?;
            let answer = self.ask(&call, None, clock::monotonic() + DEADLINE).await;
            let answer = answer.with_context(|| format!("{} cannot be read", target.sku))?;
            let level: StockLevel = answer.expect(StatusCode::OK)?.json()?;
            let promised = STOCK + target.acknowledged;
            lost += promised.saturating_sub(level.on_hand);
            doubled += level.on_hand.saturating_sub(promised + target.unknown);
        }
        Ok((lost, doubled))
    }
}

/// Writes that go on until they are told to stop.
pub(crate) struct Flow {
    stop: Arc<AtomicBool>,
    pacing: tokio::task::JoinHandle<()>,
}

impl Flow {
    /// No more writes; those under way get their outcome.
    pub(crate) async fn stop(self) -> anyhow::Result<()> {
        self.stop.store(true, Ordering::Relaxed);
        self.pacing.await.context("the pacing of writes ended badly")
    }
}
