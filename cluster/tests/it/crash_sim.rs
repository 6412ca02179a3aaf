//! Simulated crashes: whatever the disk loses, tears or refuses, what was acknowledged is there
//! exactly once, or the start is refused with the place of the damage.
//!
//! `OMNICART_SEEDS=10000 cargo test --release -p cluster --test it crash_sim` runs the large number;
//! `OMNICART_SEED=n` runs one.

use std::collections::{BTreeMap, BTreeSet};

use cluster::entity::{Entity, Wire};
use cluster::fabric::{OutcomeKey, Precondition};
use cluster::ids::EntityRef;
use cluster::shard::entry::CommandId;
use cluster::shard::io::{Command, Freshness, Query, Reply, Token};
use cluster::shard::kind::Kinds;
use cluster::sim::world::{End, World, WorldOptions};
use cluster::time::Span;
use storage::disk::Disk;

use crate::tally::{Ask, Tally, TallyCommand, TallyView, key};

const SEEDS_DEFAULT: u64 = 1_500;
const ENTITIES: u64 = 24;
const ROUNDS: u64 = 4;
const STEPS_PER_ROUND: u64 = 1_500;

/// What the disk is made to do besides losing what was not synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    PowerCut,
    FailingSync,
    FailingWrite,
    BitRot,
    FullDisk,
    LyingSync,
}

#[derive(Clone, Debug)]
struct Op {
    source: u64,
    targets: Vec<u64>,
    key: Option<OutcomeKey>,
    fate: Fate,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Fate {
    Open,
    /// Answered yes, with these bytes.
    Done(Option<Vec<u8>>),
    /// Answered that it did not and will not happen.
    Not,
    /// Never answered.
    Unknown,
}

struct Run {
    seed: u64,
    fault: Fault,
    world: World,
    ops: BTreeMap<i64, Op>,
    waiting: BTreeMap<Token, i64>,
    retries: BTreeMap<Token, i64>,
    next_number: u64,
}

fn op_of(run: &Run, id: i64) -> &Op {
    &run.ops[&id]
}

fn entity(n: u64) -> EntityRef {
    EntityRef { kind: Tally::KIND, key: key(&format!("e{n}")) }
}

impl Run {
    fn new(seed: u64) -> Self {
        let faults = [
            Fault::PowerCut,
            Fault::FailingSync,
            Fault::FailingWrite,
            Fault::BitRot,
            Fault::FullDisk,
            Fault::LyingSync,
        ];
        let fault = faults[usize::try_from(seed % 6).expect("small")];
        let options = WorldOptions {
            governed: false,
            kinds: Kinds::default().with::<Tally>(),
            catalogue: None,
            n_shards: 2,
            segment_bytes: 8 << 10,
            resident_bytes_max: 1 << 10,
        };
        let world = World::new(seed, options).unwrap_or_else(|end| panic!("seed {seed}: {end:?}"));
        Self {
            seed,
            fault,
            world,
            ops: BTreeMap::new(),
            waiting: BTreeMap::new(),
            retries: BTreeMap::new(),
            next_number: 0,
        }
    }

    /// The run to its end; `false` when the start was refused with the place of the damage.
    fn run(mut self) -> Result<Coverage, String> {
        for round in 0..ROUNDS {
            self.arm(round);
            let mut ended = Ok(());
            for _ in 0..STEPS_PER_ROUND {
                if self.world.draw(4) == 0 {
                    self.submit_new();
                }
                ended = self.world.step();
                if ended.is_err() {
                    break;
                }
                self.collect();
            }
            match ended {
                Ok(()) | Err(End::Died { .. }) => {}
                Err(End::Refused { why }) => return Err(format!("refused while running: {why}")),
                Err(End::Fault { why }) => return Err(why),
            }
            self.forget_open();
            self.world.disk().set_lying_sync(false);
            self.world.disk().set_capacity(None);
            self.world.disk().fail_sync(u64::MAX);
            self.world.disk().fail_write(u64::MAX);
            if self.fault == Fault::BitRot {
                self.rot();
            }
            match self.world.crash() {
                Ok(()) => {}
                // The only copy is damaged, or never reached the disk: refusing is the right answer.
                Err(End::Refused { why })
                    if [Fault::BitRot, Fault::LyingSync].contains(&self.fault) =>
                {
                    let placed = ["snapshots/", "log/"].iter().any(|place| why.contains(place));
                    assert!(placed, "no place named: {why}");
                    return Ok(Coverage { refused: 1, ..self.coverage() });
                }
                Err(end) => return Err(format!("round {round}: {end:?}")),
            }
            self.retry_keyed();
        }
        self.judge()
    }

    fn arm(&mut self, round: u64) {
        let nth = 1 + self.world.draw(60);
        match self.fault {
            Fault::PowerCut | Fault::BitRot => {}
            Fault::FailingSync => self.world.disk().fail_sync(nth),
            Fault::FailingWrite => self.world.disk().fail_write(nth),
            Fault::FullDisk => {
                let used = self.world.disk().used();
                self.world.disk().set_capacity(Some(used + 2_000 * (1 + nth % 8)));
            }
            Fault::LyingSync => self.world.disk().set_lying_sync(round == ROUNDS - 1),
        }
    }

    fn rot(&mut self) {
        let mut files = Vec::new();
        for dir in ["log", "snapshots"] {
            let names = self.world.disk().list(dir).unwrap_or_default();
            files.extend(names.into_iter().map(|name| format!("{dir}/{name}")));
        }
        let nth = usize::try_from(self.world.draw(files.len() as u64)).expect("small");
        let len = self.world.disk().open(&files[nth]).and_then(|file| file.len()).unwrap_or(1);
        let offset = self.world.draw(len);
        let bit = u32::try_from(self.world.draw(8)).expect("small");
        self.world.disk().flip_bit(&files[nth], offset, bit).ok();
    }

    fn submit_new(&mut self) {
        let id = i64::try_from(self.ops.len()).expect("few") + 1;
        let source = self.world.draw(ENTITIES);
        let targets = match self.world.draw(3) {
            0 => {
                let drawn = [self.world.draw(ENTITIES), self.world.draw(ENTITIES)];
                let distinct: BTreeSet<_> = drawn.into_iter().filter(|t| *t != source).collect();
                distinct.into_iter().collect()
            }
            _ => vec![],
        };
        let keyed = self.world.draw(3) == 0;
        let mut scope = [0; 16];
        scope[..8].copy_from_slice(&id.to_be_bytes());
        let not_after = self.world.now().plus(Span::from_secs(86_400));
        let key = keyed.then_some(OutcomeKey { scope, request: scope, not_after });
        self.ops.insert(id, Op { source, targets, key, fate: Fate::Open });
        let token = self.send(id);
        self.waiting.insert(token, id);
    }

    fn send(&mut self, id: i64) -> Token {
        self.next_number += 1;
        let op = &self.ops[&id];
        let to = op.targets.iter().map(|n| format!("e{n}")).collect();
        let command = match op.targets.is_empty() {
            true => TallyCommand::Add(id),
            false => TallyCommand::AddAndTell { amount: id, to },
        };
        let command = |run: &Self| Command {
            entity: entity(op_of(run, id).source),
            id: CommandId { router: 1, number: run.next_number },
            settled_below: 0,
            not_after: run.world.now().plus(Span::from_secs(10)),
            key: op_of(run, id).key,
            precondition: Precondition::None,
            body: command.to_bytes(),
            origin: None,
        };
        let (first, again) = (command(self), command(self));
        let token = self.world.submit(first);
        if self.world.draw(6) == 0 {
            // The same attempt arrives twice; nobody waits for the second answer.
            self.world.submit(again);
        }
        token
    }

    fn collect(&mut self) {
        for (token, reply) in self.world.take_replies() {
            if let Some(id) = self.retries.remove(&token) {
                self.check_retry(id, &reply);
            }
            let Some(id) = self.waiting.remove(&token) else { continue };
            let op = self.ops.get_mut(&id).expect("every token has its operation");
            op.fate = match reply {
                Reply::Accepted { reply, .. } => Fate::Done(reply),
                Reply::NotLeader { .. }
                | Reply::StorageFull
                | Reply::Expired { .. }
                | Reply::Busy { .. } => Fate::Not,
                Reply::Unknown | Reply::Fenced => Fate::Unknown,
                other => panic!("seed {}: operation {id} got {other:?}", self.seed),
            };
        }
    }

    /// A retry under a key gets the first answer, byte for byte.
    fn check_retry(&mut self, id: i64, reply: &Reply) {
        let op = self.ops.get_mut(&id).expect("every token has its operation");
        let Reply::Accepted { reply, replayed, .. } = reply else { return };
        match &op.fate {
            Fate::Done(first) => {
                assert_eq!(reply, first, "seed {}: operation {id}", self.seed);
                assert!(replayed, "seed {}: operation {id} ran again", self.seed);
            }
            Fate::Open | Fate::Unknown | Fate::Not => op.fate = Fate::Done(reply.clone()),
        }
    }

    fn forget_open(&mut self) {
        self.collect();
        for op in self.ops.values_mut() {
            if op.fate == Fate::Open {
                op.fate = Fate::Unknown;
            }
        }
        self.waiting.clear();
        self.retries.clear();
    }

    fn retry_keyed(&mut self) {
        // After a lying sync an acknowledged outcome may be gone, and a retry would redo it.
        if self.fault == Fault::LyingSync {
            return;
        }
        let keyed: Vec<_> =
            self.ops.iter().filter(|(_, op)| op.key.is_some()).map(|(id, _)| *id).collect();
        for id in keyed.into_iter().rev().take(20) {
            let op = self.ops.get_mut(&id).expect("taken from there");
            if op.fate == Fate::Not {
                op.fate = Fate::Unknown;
            }
            let token = self.send(id);
            self.retries.insert(token, id);
        }
    }

    fn judge(mut self) -> Result<Coverage, String> {
        self.world.settle().map_err(|end| format!("{end:?}"))?;
        self.collect();
        let live = self.views()?;
        self.check(&live)?;
        self.world.reopen().map_err(|end| format!("{end:?}"))?;
        self.world.settle().map_err(|end| format!("{end:?}"))?;
        if self.views()? != live {
            return Err("replay differs from the live state".to_owned());
        }
        Ok(self.coverage())
    }

    fn coverage(&self) -> Coverage {
        let done = self.ops.values().filter(|op| matches!(op.fate, Fate::Done(_))).count();
        Coverage {
            done: done as u64,
            refused: 0,
            snapshots: self.world.stats().snapshots,
            dropped: self.world.stats().segments_dropped,
            loads: self.world.stats().loads,
            full: self.world.stats().full,
        }
    }

    fn views(&mut self) -> Result<Vec<Vec<i64>>, String> {
        let mut tokens = BTreeMap::new();
        for n in 0..ENTITIES {
            let not_after = self.world.now().plus(Span::from_secs(60));
            let query = Query {
                entity: entity(n),
                at_least: 0,
                freshness: Freshness::Latest,
                not_after,
                body: Ask.to_bytes(),
            };
            tokens.insert(self.world.query(query), n);
        }
        self.world.settle().map_err(|end| format!("{end:?}"))?;
        let mut views = vec![None; usize::try_from(ENTITIES).expect("few")];
        for (token, reply) in self.world.take_replies() {
            let (Some(n), Reply::Viewed { view, .. }) = (tokens.get(&token), &reply) else {
                continue;
            };
            let view = TallyView::from_bytes(view).map_err(|error| error.to_string())?;
            views[usize::try_from(*n).expect("few")] = Some(view.added);
        }
        views.into_iter().map(|view| view.ok_or("a read got no answer".to_owned())).collect()
    }

    fn check(&self, views: &[Vec<i64>]) -> Result<(), String> {
        let count = |n: u64, id: i64| {
            let added = &views[usize::try_from(n).expect("few")];
            added.iter().filter(|amount| **amount == id).count()
        };
        for (id, op) in &self.ops {
            let here = count(op.source, *id);
            let there: Vec<_> = op.targets.iter().map(|target| count(*target, *id)).collect();
            let whole = there.iter().all(|n| *n == here);
            let right = match (&op.fate, self.fault) {
                (Fate::Done(_), Fault::LyingSync) => here <= 1 && whole,
                (Fate::Done(_), _) => here == 1 && whole,
                (Fate::Not, _) => here == 0 && whole,
                (Fate::Unknown | Fate::Open, _) => here <= 1 && whole,
            };
            if !right {
                return Err(format!("operation {id} {op:?}: {here} times here, {there:?} there"));
            }
        }
        self.check_order(views)
    }

    /// What one entity tells another arrives in the order it was told.
    fn check_order(&self, views: &[Vec<i64>]) -> Result<(), String> {
        for (source, told) in views.iter().enumerate() {
            for (target, heard) in views.iter().enumerate() {
                let between = |id: &&i64| {
                    let op = &self.ops[*id];
                    let from = usize::try_from(op.source) == Ok(source);
                    from && op.targets.iter().any(|to| usize::try_from(*to) == Ok(target))
                };
                let told = told.iter().filter(between);
                if !told.eq(heard.iter().filter(between)) {
                    return Err(format!("e{target} heard e{source} in another order"));
                }
            }
        }
        Ok(())
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Coverage {
    done: u64,
    refused: u64,
    snapshots: u64,
    dropped: u64,
    loads: u64,
    full: u64,
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().expect("a number"))
}

#[test]
fn nothing_acknowledged_is_lost_or_doubled_by_crashes() {
    let seeds = match number("OMNICART_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("OMNICART_SEEDS").unwrap_or(SEEDS_DEFAULT),
    };
    let single = seeds.end - seeds.start == 1;
    let mut all = Coverage::default();
    for seed in seeds {
        let one = Run::new(seed).run().unwrap_or_else(|why| panic!("seed {seed}: {why}"));
        all.done += one.done;
        all.refused += one.refused;
        all.snapshots += one.snapshots;
        all.dropped += one.dropped;
        all.loads += one.loads;
        all.full += one.full;
    }
    println!("{all:?}");
    // A run in which nothing happened proves nothing.
    assert!(single || (all.done > 1_000 && all.snapshots > 10 && all.dropped > 10), "{all:?}");
    assert!(single || (all.loads > 100 && all.full > 0 && all.refused > 0), "{all:?}");
}
