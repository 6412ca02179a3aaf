//! The workload of tallies: what its clients asked for, what they were told, and whether that can be
//! true.
//!
//! Two judges that do not trust each other: one knows the order in which the entities took things
//! and holds every answer against it; the other knows only when operations began and ended.

use std::collections::{BTreeMap, BTreeSet};

use storage::sim_disk::SplitMix64;

use crate::entity::Wire;
use crate::fabric::OutcomeKey;
use crate::ids::ShardId;
use crate::placement::shard_map::ShardMap;
use crate::shard::io::{Freshness, Reply};
use crate::shard::kind::Kinds;
use crate::sim::client::{Finished, Wish};
use crate::sim::linearizability::{self, Observed, Verdict};
use crate::sim::tally::{Look, PLANNED, Seen, Sum, Tally, TallyCommand};
use crate::sim::workload::{Operation, Workload};
use crate::time::{Span, Timestamp};

/// Entities that tell each other, and entities that only clients speak to.
const TELLING: u64 = 24;
const PLAIN: u64 = 6;
/// How long an outcome is remembered under its key, at least and at most.
const KEY_SECS: (u64, u64) = (30, 150);
/// A key is used again only while it has this long to live, by a clock that may be wrong: longer than
/// a client has patience and a clock errs.
const KEY_MARGIN: Span = Span::from_secs(20);
/// Operations back from the newest one that are repeated.
const AGAIN_WITHIN: u64 = 400;

#[derive(Clone, Debug)]
enum Deed {
    /// Adds its amount here, and at those it tells.
    Add {
        tells: Vec<String>,
    },
    /// Adds its amount unless another operation has added its own.
    Unless {
        other: u64,
    },
    /// Adds a round number when its timer fires.
    Later,
    /// Adds its amount when a port has answered.
    Ask,
    Read {
        freshness: Freshness,
        at_least: u64,
    },
    /// Asks for an earlier operation again, under its key.
    Again {
        of: u64,
    },
}

#[derive(Clone, Debug)]
struct Op {
    name: String,
    deed: Deed,
    key: Option<OutcomeKey>,
    end: Option<Finished>,
}

/// Clients of tallies, and what they know.
#[derive(Default)]
pub struct Ledger {
    ops: BTreeMap<u64, Op>,
    /// The newest position each entity's clients know.
    positions: BTreeMap<String, u64>,
    /// The first of the last looks, one at every entity.
    looks_from: Option<u64>,
}

/// What every entity holds in the end.
type Finals = BTreeMap<String, Vec<i64>>;

/// Unlike that of any other operation, and so are the sums.
fn amount(op: u64) -> i64 {
    let mixed = (op + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    // 42 bits.
    ((mixed ^ (mixed >> 29)) >> 22).cast_signed() + 10_000
}

fn held<'a>(finals: &'a Finals, name: &str) -> &'a [i64] {
    finals.get(name).map_or(&[], Vec::as_slice)
}

fn count(finals: &Finals, name: &str, amount: i64) -> usize {
    held(finals, name).iter().filter(|held| **held == amount).count()
}

impl Workload for Ledger {
    fn kinds(&self, kinds: Kinds) -> Kinds {
        kinds.with::<Tally>()
    }

    fn draw(&mut self, op: u64, now: Timestamp, random: &mut SplitMix64) -> Operation {
        let plain = format!("w{}", random.below(PLAIN));
        let telling = format!("e{}", random.below(TELLING));
        let (name, deed) = match random.below(20) {
            0..3 => (plain, Deed::Add { tells: vec![] }),
            3..6 => match self.last_added_to(&plain) {
                Some(other) => (plain, Deed::Unless { other }),
                None => (plain, Deed::Add { tells: vec![] }),
            },
            6..9 => (telling, Deed::Add { tells: vec![] }),
            9..12 => {
                let told: BTreeSet<_> =
                    (0..2).map(|_| format!("e{}", random.below(TELLING))).collect();
                let tells = told.into_iter().filter(|name| *name != telling).collect();
                (telling, Deed::Add { tells })
            }
            12 => (format!("t{op}"), Deed::Later),
            13 => (telling, Deed::Ask),
            14..17 => (plain, Deed::Read { freshness: Freshness::Latest, at_least: 0 }),
            17 => match self.draw_again(op, now, random) {
                Some(again) => again,
                None => (plain, Deed::Add { tells: vec![] }),
            },
            _ => {
                let at_least = self.positions.get(&plain).copied().unwrap_or(0);
                (plain, Deed::Read { freshness: Freshness::Position, at_least })
            }
        };
        let (shortest, longest) = KEY_SECS;
        let secs = shortest + random.below(longest - shortest);
        let not_after = now.plus(Span::from_secs(secs));
        let keyed = random.one_in(3).then_some(not_after);
        self.begin(op, name, deed, keyed)
    }

    fn probe(&mut self, op: u64, shard: ShardId, map: ShardMap) -> Option<Operation> {
        let on_shard = |name: &String| map.shard_of(Tally::address(name).key.slot()) == shard;
        let name = (0..u64::MAX).map(|n| format!("p{n}")).find(on_shard)?;
        Some(self.begin(op, name, Deed::Add { tells: vec![] }, None))
    }

    fn audits(&mut self, first: u64) -> Vec<Operation> {
        let mut names: BTreeSet<_> = self.ops.values().map(|op| op.name.clone()).collect();
        names.extend((0..TELLING).map(|n| format!("e{n}")));
        let look = Deed::Read { freshness: Freshness::Latest, at_least: 0 };
        let looks = (first..).zip(names);
        self.looks_from = Some(first);
        looks.map(|(op, name)| self.begin(op, name, look.clone(), None)).collect()
    }

    fn finish(&mut self, finished: Finished) -> Result<(), String> {
        let op = self.ops.get_mut(&finished.op).ok_or("an operation nobody began")?;
        if let Some(Reply::Accepted { index, .. } | Reply::Viewed { index, .. }) = &finished.reply {
            let known = self.positions.entry(op.name.clone()).or_default();
            *known = (*known).max(*index);
        }
        match &finished.reply {
            None | Some(Reply::Accepted { .. } | Reply::Viewed { .. }) => {}
            Some(Reply::Rejected { .. }) if matches!(op.deed, Deed::Unless { .. }) => {}
            Some(other) => return Err(format!("operation {} got {other:?}", finished.op)),
        }
        op.end = Some(finished);
        Ok(())
    }

    fn judge(&self) -> Result<(), String> {
        self.check_looks()?;
        let finals = self.finals()?;
        self.check_counts(&finals)?;
        self.check_answers(&finals)?;
        self.check_order_of_tells(&finals)?;
        self.check_histories()
    }
}

impl Ledger {
    /// The newest operation that adds to an entity, done or not.
    fn last_added_to(&self, name: &str) -> Option<u64> {
        let adds = |op: &Op| op.name == name && matches!(op.deed, Deed::Add { .. });
        self.ops.iter().rev().find(|(_, op)| adds(op)).map(|(id, _)| *id)
    }

    /// An operation that was done under a key that is still good.
    fn draw_again(
        &self,
        op: u64,
        now: Timestamp,
        random: &mut SplitMix64,
    ) -> Option<(String, Deed)> {
        let earliest = op.saturating_sub(AGAIN_WITHIN);
        let from = earliest + random.below(op - earliest);
        let is_good = |op: &Op| {
            let lives = op.key.is_some_and(|key| key.not_after >= now.plus(KEY_MARGIN));
            let is_add = matches!(op.deed, Deed::Add { .. });
            lives && is_add && matches!(op.reply(), Some(Reply::Accepted { reply: Some(_), .. }))
        };
        let (of, done) = self.ops.range(from..).find(|(_, op)| is_good(op))?;
        Some((done.name.clone(), Deed::Again { of: *of }))
    }

    fn begin(
        &mut self,
        id: u64,
        name: String,
        deed: Deed,
        key_until: Option<Timestamp>,
    ) -> Operation {
        let of = if let Deed::Again { of } = &deed { *of } else { id };
        let first = self.ops.get(&of);
        let key = match first {
            Some(first) => first.key,
            None => key_until.map(|not_after| {
                let scope = u128::from(id).to_be_bytes();
                OutcomeKey { scope, request: scope, not_after }
            }),
        };
        let command = |command: TallyCommand| Wish::Command { key, body: command.to_bytes() };
        let add = |tells: &[String]| {
            command(TallyCommand::Add { amount: amount(of), tell: tells.to_vec() })
        };
        let wish = match first.map_or(&deed, |first| &first.deed) {
            Deed::Add { tells } => add(tells),
            Deed::Unless { other } => {
                let unless = amount(*other);
                command(TallyCommand::AddUnless { amount: amount(id), unless })
            }
            Deed::Later => command(TallyCommand::AddLater { after_ms: 700 }),
            Deed::Ask => command(TallyCommand::Ask(amount(id))),
            Deed::Read { freshness, at_least } => {
                Wish::Query { freshness: *freshness, at_least: *at_least, body: Look.to_bytes() }
            }
            Deed::Again { .. } => add(&[]),
        };
        let entity = Tally::address(&name);
        self.ops.insert(id, Op { name, deed, key, end: None });
        Operation { entity, wish }
    }

    /// At rest everybody is answered: without its last look, what an entity holds is unknown.
    fn check_looks(&self) -> Result<(), String> {
        let Some(from) = self.looks_from else { return Ok(()) };
        for (id, op) in self.ops.range(from..) {
            if op.view()?.is_none() {
                return Err(format!("operation {id} looks at {} and is not answered", op.name));
            }
        }
        Ok(())
    }

    /// The last look at each entity.
    fn finals(&self) -> Result<Finals, String> {
        let mut finals = Finals::new();
        for op in self.ops.values() {
            if let Some((view, _)) = op.view()? {
                let longest = finals.entry(op.name.clone()).or_default();
                if view.len() >= longest.len() {
                    *longest = view;
                }
            }
        }
        Ok(finals)
    }

    /// What was acknowledged is there once; what was not, once or never; told ones alike.
    fn check_counts(&self, finals: &Finals) -> Result<(), String> {
        for (id, op) in &self.ops {
            let (here, there) = match &op.deed {
                Deed::Read { .. } | Deed::Again { .. } => continue,
                Deed::Later => (count(finals, &op.name, PLANNED), vec![]),
                Deed::Ask | Deed::Unless { .. } => (count(finals, &op.name, amount(*id)), vec![]),
                Deed::Add { tells } => {
                    let there = tells.iter().map(|name| count(finals, name, amount(*id)));
                    (count(finals, &op.name, amount(*id)), there.collect())
                }
            };
            let right = match op.reply() {
                Some(Reply::Rejected { .. }) => here == 0,
                Some(_) => here == 1,
                None => here <= 1,
            };
            if !right || there.iter().any(|n| *n != here) {
                return Err(format!("operation {id} {op:?}: {here} times here, {there:?} there"));
            }
        }
        Ok(())
    }

    /// Every answer is what the entity's own order of things says it had to be.
    fn check_answers(&self, finals: &Finals) -> Result<(), String> {
        for (id, op) in &self.ops {
            let Some(end) = &op.end else { continue };
            let held = held(finals, &op.name);
            if let Some((view, index)) = op.view()? {
                if !held.starts_with(&view) {
                    return Err(format!("operation {id} saw what never was: {view:?}"));
                }
                self.check_freshness(*id, op, end, held.get(..view.len()).unwrap_or(held), index)?;
            }
            match (&op.deed, op.sum()?) {
                (Deed::Unless { other }, None) => self.check_refusal(*id, *other, held)?,
                (Deed::Add { .. } | Deed::Unless { .. }, Some(sum)) => {
                    let at = held.iter().position(|held| *held == amount(*id));
                    let at = at.ok_or("an answer to what is not there")?;
                    let was: i64 = held.iter().take(at + 1).sum();
                    if sum != was {
                        return Err(format!("operation {id} was told {sum}, and it was {was}"));
                    }
                }
                (Deed::Again { of }, _) => self.check_repeat(*id, *of)?,
                (Deed::Add { .. } | Deed::Later | Deed::Ask | Deed::Read { .. }, _) => {}
            }
        }
        Ok(())
    }

    /// What an operation was refused for is there for good.
    fn check_refusal(&self, id: u64, other: u64, held: &[i64]) -> Result<(), String> {
        let refused = matches!(self.ops.get(&id).and_then(Op::reply), Some(Reply::Rejected { .. }));
        if !refused || held.contains(&amount(other)) {
            return Ok(());
        }
        Err(format!("operation {id} was refused for {other}, which is not there"))
    }

    /// A repeat under a key gets the first answer, byte for byte.
    fn check_repeat(&self, id: u64, of: u64) -> Result<(), String> {
        let told = |id: u64| {
            let reply = self.ops.get(&id).and_then(Op::reply)?;
            let Reply::Accepted { reply, seq, index, .. } = reply else { return None };
            Some((reply.clone(), *seq, *index))
        };
        let (Some(first), Some(again)) = (told(of), told(id)) else { return Ok(()) };
        if first == again {
            return Ok(());
        }
        Err(format!("operation {id} repeats {of} and got {again:?} instead of {first:?}"))
    }

    /// A read sees what was acknowledged before it began, or what its position asks for.
    fn check_freshness(
        &self,
        id: u64,
        read: &Op,
        end: &Finished,
        seen: &[i64],
        index: u64,
    ) -> Result<(), String> {
        let Deed::Read { freshness, at_least } = &read.deed else { return Ok(()) };
        if index < *at_least {
            return Err(format!("operation {id} asked for {at_least} and got {index}"));
        }
        for (other_id, other) in self.ops.iter().filter(|(_, other)| other.name == read.name) {
            let Some(before) = &other.end else { continue };
            let Some(Reply::Accepted { index: at, .. }) = &before.reply else { continue };
            let (Deed::Add { .. } | Deed::Unless { .. }) = other.deed else { continue };
            let sees = seen.contains(&amount(*other_id));
            if sees && *at > index && !before.retried {
                return Err(format!("operation {id} sees {other_id} of {at} already at {index}"));
            }
            let must = match freshness {
                Freshness::Latest => before.done_at < end.invoked_at,
                Freshness::Position => *at <= *at_least && !before.retried,
            };
            if must && !sees {
                return Err(format!("operation {id} {read:?} does not see {other_id} {other:?}"));
            }
        }
        Ok(())
    }

    /// What one entity tells another arrives in the order it was told.
    fn check_order_of_tells(&self, finals: &Finals) -> Result<(), String> {
        let mut told = BTreeMap::new();
        for (id, op) in &self.ops {
            if let Deed::Add { tells } = &op.deed
                && !tells.is_empty()
            {
                told.insert(amount(*id), (&op.name, tells));
            }
        }
        let mut said: BTreeMap<_, Vec<i64>> = BTreeMap::new();
        let mut heard = said.clone();
        for (name, added) in finals {
            for amount in added {
                let Some((from, to)) = told.get(amount) else { continue };
                if *from == name {
                    for target in *to {
                        said.entry((*from, target)).or_default().push(*amount);
                    }
                } else {
                    heard.entry((*from, name)).or_default().push(*amount);
                }
            }
        }
        for (between @ (source, target), said) in &said {
            if heard.get(between) != Some(said) {
                return Err(format!("{target} heard {source} in another order"));
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
                    Deed::Unless { .. } if matches!(end.reply, Some(Reply::Rejected { .. })) => {
                        continue;
                    }
                    Deed::Add { .. } | Deed::Unless { .. } => (amount(*id), op.sum()?),
                    Deed::Read { freshness: Freshness::Latest, .. } => {
                        (0, op.view()?.map(|(view, _)| view.iter().sum()))
                    }
                    Deed::Read { .. } | Deed::Later | Deed::Ask | Deed::Again { .. } => continue,
                };
                let done_at = op.reply().map(|_| end.done_at);
                history.push(Observed { invoked_at: end.invoked_at, done_at, adds, sum });
            }
            match linearizability::check(&history) {
                Verdict::Linearizable => {}
                verdict @ (Verdict::Violated | Verdict::Undecided) => {
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
        let Seen(view) = Seen::from_bytes(view).map_err(|error| error.to_string())?;
        Ok(Some((view, *index)))
    }

    fn sum(&self) -> Result<Option<i64>, String> {
        let Some(Reply::Accepted { reply: Some(reply), .. }) = self.reply() else {
            return Ok(None);
        };
        let Sum(sum) = Sum::from_bytes(reply).map_err(|error| error.to_string())?;
        Ok(Some(sum))
    }
}
