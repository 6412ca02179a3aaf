//! What clients of a simulated cluster asked for, what they were told, and whether that can be true.
//!
//! Two judges that do not trust each other: one knows the order in which the entities took things
//! and holds every answer against it; the other knows only when operations began and ended.

use std::collections::{BTreeMap, BTreeSet};

use cluster::entity::{Entity, Wire};
use cluster::fabric::OutcomeKey;
use cluster::ids::{EntityRef, ShardId};
use cluster::shard::io::{Freshness, Reply};
use cluster::sim::client::{Finished, Wish};
use cluster::sim::cluster::Cluster;
use cluster::sim::linearizability::{self, Observed, Verdict};
use cluster::time::{Span, Timestamp};

use crate::tally::{Ask, Sum, Tally, TallyCommand, TallyView, key};

/// Entities that tell each other, and entities that only clients speak to.
const TELLING: u64 = 24;
const PLAIN: u64 = 6;
/// What a timer adds.
const PLANNED: i64 = 1_000;

#[derive(Clone, Debug)]
enum Deed {
    /// Adds its amount here, and at those it tells.
    Add {
        tells: Vec<String>,
    },
    /// Adds a round number when its timer fires.
    Later,
    /// Adds its amount when a port has answered.
    Ask,
    Read {
        freshness: Freshness,
        at_least: u64,
    },
}

#[derive(Clone, Debug)]
struct Op {
    name: String,
    deed: Deed,
    end: Option<Finished>,
}

#[derive(Default)]
pub(crate) struct Ledger {
    ops: BTreeMap<u64, Op>,
    /// The newest position each entity's clients know.
    positions: BTreeMap<String, u64>,
    /// What every entity holds in the end.
    finals: BTreeMap<String, Vec<i64>>,
}

/// Unlike that of any other operation, and so are the sums.
fn amount(op: u64) -> i64 {
    let mixed = (op + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    i64::try_from((mixed ^ (mixed >> 29)) >> 22).expect("42 bits") + 10_000
}

fn entity(name: &str) -> EntityRef {
    EntityRef { kind: Tally::KIND, key: key(name) }
}

impl Ledger {
    pub(crate) fn begun(&self) -> u64 {
        self.ops.len() as u64
    }

    pub(crate) fn done(&self) -> u64 {
        self.ops.values().filter(|op| op.reply().is_some()).count() as u64
    }

    pub(crate) fn is_done(&self, op: u64) -> bool {
        self.ops[&op].reply().is_some()
    }

    pub(crate) fn is_ended(&self, op: u64) -> bool {
        self.ops[&op].end.is_some()
    }

    /// The next operation of the workload.
    pub(crate) fn draw(&mut self, cluster: &mut Cluster) -> (u64, EntityRef, Wish) {
        let plain = format!("w{}", cluster.draw(PLAIN));
        let telling = format!("e{}", cluster.draw(TELLING));
        let (name, deed) = match cluster.draw(20) {
            0..6 => (plain, Deed::Add { tells: vec![] }),
            6..9 => (telling, Deed::Add { tells: vec![] }),
            9..12 => {
                let told: BTreeSet<_> =
                    (0..2).map(|_| format!("e{}", cluster.draw(TELLING))).collect();
                let tells = told.into_iter().filter(|name| *name != telling).collect();
                (telling, Deed::Add { tells })
            }
            12 => (format!("t{}", self.begun()), Deed::Later),
            13 => (telling, Deed::Ask),
            14..18 => (plain, Deed::Read { freshness: Freshness::Latest, at_least: 0 }),
            _ => {
                let at_least = self.positions.get(&plain).copied().unwrap_or(0);
                (plain, Deed::Read { freshness: Freshness::Position, at_least })
            }
        };
        let keyed = cluster.draw(3) == 0;
        let not_after = cluster.now().plus(Span::from_secs(86_400));
        self.begin(name, deed, keyed.then_some(not_after))
    }

    /// An operation on a shard that must succeed.
    pub(crate) fn probe(&mut self, shard: ShardId, cluster: &Cluster) -> (u64, EntityRef, Wish) {
        let on_shard = |name: &String| cluster.map().shard_of(key(name).slot()) == shard;
        let name = (0..).map(|n| format!("p{n}")).find(on_shard).expect("a name for every shard");
        self.begin(name, Deed::Add { tells: vec![] }, None)
    }

    /// A look at everything there is.
    pub(crate) fn audits(&mut self) -> Vec<(u64, EntityRef, Wish)> {
        let mut names: BTreeSet<_> = self.ops.values().map(|op| op.name.clone()).collect();
        names.extend((0..TELLING).map(|n| format!("e{n}")));
        let look = Deed::Read { freshness: Freshness::Latest, at_least: 0 };
        names.into_iter().map(|name| self.begin(name, look.clone(), None)).collect()
    }

    fn begin(
        &mut self,
        name: String,
        deed: Deed,
        key_until: Option<Timestamp>,
    ) -> (u64, EntityRef, Wish) {
        let id = self.begun();
        let mut scope = [0; 16];
        scope[..8].copy_from_slice(&id.to_be_bytes());
        let key = key_until.map(|not_after| OutcomeKey { scope, request: scope, not_after });
        let command = |command: TallyCommand| Wish::Command { key, body: command.to_bytes() };
        let wish = match &deed {
            Deed::Add { tells } if tells.is_empty() => command(TallyCommand::Add(amount(id))),
            Deed::Add { tells } => {
                command(TallyCommand::AddAndTell { amount: amount(id), to: tells.clone() })
            }
            Deed::Later => command(TallyCommand::AddLater { amount: 0, after_ms: 700 }),
            Deed::Ask => command(TallyCommand::Ask(amount(id))),
            Deed::Read { freshness, at_least } => {
                Wish::Query { freshness: *freshness, at_least: *at_least, body: Ask.to_bytes() }
            }
        };
        let to = entity(&name);
        self.ops.insert(id, Op { name, deed, end: None });
        (id, to, wish)
    }

    pub(crate) fn finish(&mut self, finished: Finished) -> Result<(), String> {
        let op = self.ops.get_mut(&finished.op).ok_or("an operation nobody began")?;
        if let Some(Reply::Accepted { index, .. } | Reply::Viewed { index, .. }) = &finished.reply {
            let known = self.positions.entry(op.name.clone()).or_default();
            *known = (*known).max(*index);
        }
        match &finished.reply {
            None | Some(Reply::Accepted { .. } | Reply::Viewed { .. }) => {}
            Some(other) => return Err(format!("operation {} got {other:?}", finished.op)),
        }
        op.end = Some(finished);
        Ok(())
    }

    /// Holds everything that was said against everything that is.
    pub(crate) fn judge(&mut self) -> Result<(), String> {
        self.take_finals()?;
        self.check_counts()?;
        self.check_answers()?;
        self.check_order_of_tells()?;
        self.check_histories()
    }

    /// The last look at each entity.
    fn take_finals(&mut self) -> Result<(), String> {
        for op in self.ops.values() {
            if let Some((view, _)) = op.view()? {
                let longest = self.finals.entry(op.name.clone()).or_default();
                if view.len() >= longest.len() {
                    *longest = view;
                }
            }
        }
        Ok(())
    }

    fn count(&self, name: &str, amount: i64) -> usize {
        let held = self.finals.get(name).map_or(&[][..], Vec::as_slice);
        held.iter().filter(|held| **held == amount).count()
    }

    /// What was acknowledged is there once; what was not, once or never; told ones alike.
    fn check_counts(&self) -> Result<(), String> {
        for (id, op) in &self.ops {
            let (here, there) = match &op.deed {
                Deed::Read { .. } => continue,
                Deed::Later => (self.count(&op.name, PLANNED), vec![]),
                Deed::Ask => (self.count(&op.name, amount(*id)), vec![]),
                Deed::Add { tells } => {
                    let there = tells.iter().map(|name| self.count(name, amount(*id)));
                    (self.count(&op.name, amount(*id)), there.collect())
                }
            };
            let right = if op.reply().is_some() { here == 1 } else { here <= 1 };
            if !right || there.iter().any(|n| *n != here) {
                return Err(format!("operation {id} {op:?}: {here} times here, {there:?} there"));
            }
        }
        Ok(())
    }

    /// Every answer is what the entity's own order of things says it had to be.
    fn check_answers(&self) -> Result<(), String> {
        for (id, op) in &self.ops {
            let Some(end) = &op.end else { continue };
            let held = self.finals.get(&op.name).map_or(&[][..], Vec::as_slice);
            if let Some((view, index)) = op.view()? {
                if !held.starts_with(&view) {
                    return Err(format!("operation {id} saw what never was: {view:?}"));
                }
                self.check_freshness(*id, op, end, view.len(), index)?;
            }
            let Some(Reply::Accepted { reply: Some(reply), .. }) = &end.reply else { continue };
            if let Deed::Add { .. } = op.deed {
                let Sum(sum) = Sum::from_bytes(reply).map_err(|error| error.to_string())?;
                let at = held.iter().position(|held| *held == amount(*id)).ok_or("counted")?;
                let was: i64 = held[..=at].iter().sum();
                if sum != was {
                    return Err(format!("operation {id} was told {sum}, and it was {was}"));
                }
            }
        }
        Ok(())
    }

    /// A read sees what was acknowledged before it began, or what its position asks for.
    fn check_freshness(
        &self,
        id: u64,
        read: &Op,
        end: &Finished,
        len: usize,
        index: u64,
    ) -> Result<(), String> {
        let Deed::Read { freshness, at_least } = &read.deed else { return Ok(()) };
        if index < *at_least {
            return Err(format!("operation {id} asked for {at_least} and got {index}"));
        }
        let held = &self.finals[&read.name];
        for (other_id, other) in self.ops.iter().filter(|(_, other)| other.name == read.name) {
            let Some(before) = &other.end else { continue };
            let Some(Reply::Accepted { index: at, .. }) = &before.reply else { continue };
            let Deed::Add { .. } = other.deed else { continue };
            let must = match freshness {
                Freshness::Latest => before.done_at < end.invoked_at,
                Freshness::Position => *at <= *at_least && !before.retried,
            };
            let seen = held[..len].contains(&amount(*other_id));
            if must && !seen {
                return Err(format!("operation {id} {read:?} does not see {other_id} {other:?}"));
            }
        }
        Ok(())
    }

    /// What one entity tells another arrives in the order it was told.
    fn check_order_of_tells(&self) -> Result<(), String> {
        let mut told = BTreeMap::new();
        for (id, op) in &self.ops {
            if let Deed::Add { tells } = &op.deed {
                told.insert(amount(*id), (&op.name, tells));
            }
        }
        for (target, heard) in &self.finals {
            for (source, said) in &self.finals {
                let between = |amount: &&i64| {
                    told.get(*amount)
                        .is_some_and(|(from, to)| *from == source && to.contains(target))
                };
                if !said.iter().filter(between).eq(heard.iter().filter(between)) {
                    return Err(format!("{target} heard {source} in another order"));
                }
            }
        }
        Ok(())
    }

    /// The second judge: times and sums alone.
    fn check_histories(&self) -> Result<(), String> {
        for n in 0..PLAIN {
            let name = format!("w{n}");
            let mut history = Vec::new();
            for (id, op) in self.ops.iter().filter(|(_, op)| op.name == name) {
                let Some(end) = &op.end else { continue };
                let (adds, sum) = match &op.deed {
                    Deed::Add { .. } => (amount(*id), op.sum()?),
                    Deed::Read { freshness: Freshness::Latest, .. } => {
                        (0, op.view()?.map(|(view, _)| view.iter().sum()))
                    }
                    Deed::Read { .. } | Deed::Later | Deed::Ask => continue,
                };
                let done_at = op.reply().map(|_| end.done_at);
                history.push(Observed { invoked_at: end.invoked_at, done_at, adds, sum });
            }
            match linearizability::check(&history) {
                Verdict::Linearizable => {}
                verdict => {
                    return Err(format!("the history of {name} is {verdict:?}: {history:?}"));
                }
            }
        }
        Ok(())
    }
}

impl Op {
    fn reply(&self) -> Option<&Reply> {
        self.end.as_ref()?.reply.as_ref()
    }

    fn view(&self) -> Result<Option<(Vec<i64>, u64)>, String> {
        let Some(Reply::Viewed { view, index, .. }) = self.reply() else { return Ok(None) };
        let view = TallyView::from_bytes(view).map_err(|error| error.to_string())?;
        Ok(Some((view.added, *index)))
    }

    fn sum(&self) -> Result<Option<i64>, String> {
        let Some(Reply::Accepted { reply: Some(reply), .. }) = self.reply() else {
            return Ok(None);
        };
        let Sum(sum) = Sum::from_bytes(reply).map_err(|error| error.to_string())?;
        Ok(Some(sum))
    }
}
