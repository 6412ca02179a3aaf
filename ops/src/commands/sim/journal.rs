//! What clients asked of one kind of entities, and what they were told.
//!
//! **Invariants:** what a client is told is never older than what it knew when it asked; a key has
//! one outcome, however often it is sent.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use cluster::entity::{Entity, Wire};
use cluster::fabric::OutcomeKey;
use cluster::shard::io::{Freshness, Reply};
use cluster::sim::client::{Finished, Wish};
use cluster::time::{Span, Timestamp};
use storage::sim_disk::SplitMix64;

/// A key is sent again only while it has this long to live: longer than a client has patience and a
/// clock errs.
const KEY_MARGIN: Span = Span::from_secs(20);
/// Operations back from the newest one that are repeated.
const AGAIN_WITHIN: u64 = 400;

/// One request and its answer.
#[derive(Clone)]
pub(super) struct Asked<D> {
    pub(super) entity: u64,
    pub(super) deed: D,
    pub(super) how: How,
    known: Known,
    pub(super) end: Option<Finished>,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum How {
    /// `first` is the request that this one repeats under its key; itself if it repeats none.
    Write {
        key: Option<OutcomeKey>,
        first: u64,
    },
    Read {
        freshness: Freshness,
    },
}

/// The newest place of an entity that any client knows.
#[derive(Clone, Copy, Debug, Default)]
struct Known {
    index: u64,
    seq: u64,
}

/// What became of a request and its repeats.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fate {
    Refused,
    /// It has taken effect once, or never will.
    Unknown,
    Done,
}

pub(super) struct Journal<D> {
    asked: BTreeMap<u64, Asked<D>>,
    known: BTreeMap<u64, Known>,
}

impl<D> Default for Journal<D> {
    fn default() -> Self {
        Self { asked: BTreeMap::new(), known: BTreeMap::new() }
    }
}

impl<D: fmt::Debug> fmt::Debug for Asked<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { entity, deed, how, .. } = self;
        write!(f, "({deed:?} of {entity}, {how:?})")
    }
}

impl<D> Asked<D> {
    pub(super) fn reply(&self) -> Option<&Reply> {
        self.end.as_ref()?.reply.as_ref()
    }

    /// The answer's bytes and the entity's sequence after it, where the answer was kept.
    pub(super) fn accepted(&self) -> Option<(&[u8], u64)> {
        let Reply::Accepted { reply: Some(reply), seq, .. } = self.reply()? else { return None };
        Some((reply, *seq))
    }

    pub(super) fn rejected(&self) -> Option<(&[u8], u64)> {
        let Reply::Rejected { rejection, seq, .. } = self.reply()? else { return None };
        Some((rejection, *seq))
    }

    pub(super) fn viewed(&self) -> Option<(&[u8], u64)> {
        let Reply::Viewed { view, seq, .. } = self.reply()? else { return None };
        Some((view, *seq))
    }

    fn fate(&self) -> Fate {
        match self.reply() {
            Some(Reply::Accepted { .. }) => Fate::Done,
            Some(_) => Fate::Refused,
            None => Fate::Unknown,
        }
    }

    /// What is asked for, of the newest place that is known.
    pub(super) fn wish(&self, body: Vec<u8>) -> Wish {
        match self.how {
            How::Write { key, .. } => Wish::Command { key, body },
            How::Read { freshness: freshness @ Freshness::Latest } => {
                Wish::Query { freshness, at_least: 0, body }
            }
            How::Read { freshness: freshness @ Freshness::Position } => {
                Wish::Query { freshness, at_least: self.known.index, body }
            }
        }
    }
}

impl<D: Clone> Journal<D> {
    /// Enters a request. Without a key it repeats nothing.
    pub(super) fn write(
        &mut self,
        op: u64,
        entity: u64,
        deed: D,
        key: Option<OutcomeKey>,
    ) -> &Asked<D> {
        self.enter(op, entity, deed, How::Write { key, first: op })
    }

    pub(super) fn read(
        &mut self,
        op: u64,
        entity: u64,
        deed: D,
        freshness: Freshness,
    ) -> &Asked<D> {
        self.enter(op, entity, deed, How::Read { freshness })
    }

    /// Enters an earlier request again, under its key, if one is found: done, refused, unknown or
    /// still on its way. With its number.
    pub(super) fn draw_repeat(
        &mut self,
        op: u64,
        now: Timestamp,
        random: &mut SplitMix64,
    ) -> Option<(u64, &Asked<D>)> {
        let earliest = op.saturating_sub(AGAIN_WITHIN);
        let from = earliest + random.below(op - earliest);
        let lives = |asked: &Asked<D>| match asked.how {
            How::Write { key: Some(key), .. } => key.not_after >= now.plus(KEY_MARGIN),
            How::Write { key: None, .. } | How::Read { .. } => false,
        };
        let (_, found) = self.asked.range(from..).find(|(_, asked)| lives(asked))?;
        let Asked { entity, deed, how, .. } = found.clone();
        let How::Write { first, .. } = how else { return None };
        Some((first, self.enter(op, entity, deed, how)))
    }

    fn enter(&mut self, op: u64, entity: u64, deed: D, how: How) -> &Asked<D> {
        let known = self.known.get(&entity).copied().unwrap_or_default();
        let asked = Asked { entity, deed, how, known, end: None };
        self.asked.entry(op).insert_entry(asked).into_mut()
    }

    pub(super) fn has(&self, op: u64) -> bool {
        self.asked.contains_key(&op)
    }

    pub(super) fn get(&self, op: u64) -> Option<&Asked<D>> {
        self.asked.get(&op)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, &Asked<D>)> {
        self.asked.iter().map(|(op, asked)| (*op, asked))
    }

    /// Whom each of these reads was about, and the view that it was answered with.
    pub(super) fn audited<'a>(
        &'a self,
        audits: &'a BTreeSet<u64>,
    ) -> impl Iterator<Item = Result<(u64, &'a [u8]), String>> {
        audits.iter().map(|op| {
            let asked = self.get(*op).ok_or("an audit nobody began")?;
            let (view, _) = asked.viewed().ok_or_else(|| format!("audit {op} has no answer"))?;
            Ok((asked.entity, view))
        })
    }

    /// What became of a request. Answers of other sorts than a shop gives are an error.
    pub(super) fn finish(&mut self, finished: Finished) -> Result<&Asked<D>, String> {
        let op = finished.op;
        let asked = self.asked.get_mut(&op).ok_or("an operation nobody began")?;
        let known = self.known.entry(asked.entity).or_default();
        match &finished.reply {
            None => {}
            Some(
                Reply::Accepted { reply: Some(_), seq, index, replayed }
                | Reply::Rejected { seq, index, replayed, .. },
            ) => {
                if !replayed && (*seq < asked.known.seq || *index < asked.known.index) {
                    return Err(format!("operation {op} knew {:?}, got {finished:?}", asked.known));
                }
                *known = Known { index: known.index.max(*index), seq: known.seq.max(*seq) };
            }
            // The sequence is that of another moment.
            Some(Reply::Accepted { reply: None, index, .. }) => {
                known.index = known.index.max(*index);
            }
            Some(Reply::Viewed { seq, index, .. }) => {
                if *seq < asked.known.seq || *index < asked.known.index {
                    return Err(format!("operation {op} knew {:?}, saw {finished:?}", asked.known));
                }
                *known = Known { index: known.index.max(*index), seq: known.seq.max(*seq) };
            }
            Some(other) => return Err(format!("operation {op} got {other:?}")),
        }
        asked.end = Some(finished);
        Ok(asked)
    }

    /// What became of each request, its repeats included, under its own number.
    pub(super) fn fates(&self) -> BTreeMap<u64, Fate> {
        let mut fates = BTreeMap::new();
        for (_, asked) in self.iter() {
            let How::Write { first, .. } = asked.how else { continue };
            let fate = fates.entry(first).or_insert(Fate::Refused);
            *fate = asked.fate().max(*fate);
        }
        fates
    }

    /// What was added to an entity for sure, and each of what may have been, where `of` says what a deed
    /// adds.
    pub(super) fn added(
        &self,
        entity: u64,
        fates: &BTreeMap<u64, Fate>,
        of: impl Fn(&D) -> Option<i64>,
    ) -> (i64, Vec<i64>) {
        let (mut sure, mut maybe) = (0, Vec::new());
        for (op, asked) in self.iter().filter(|(_, asked)| asked.entity == entity) {
            let Some(added) = of(&asked.deed) else { continue };
            match fates.get(&op) {
                Some(Fate::Done) => sure += added,
                Some(Fate::Unknown) => maybe.push(added),
                Some(Fate::Refused) | None => {}
            }
        }
        (sure, maybe)
    }

    /// Repeats under a key get the first answer, byte for byte, but for refusals that entities of this
    /// kind do not remember. Gives how many repeats were answered.
    pub(super) fn check_repeats<E: Entity>(&self) -> Result<u64, String> {
        let is_momentary = |rejection: &[u8]| {
            E::Rejection::from_bytes(rejection).is_ok_and(|rejection| E::is_momentary(&rejection))
        };
        let mut told: BTreeMap<u64, (u64, &Reply)> = BTreeMap::new();
        let mut n_repeats = 0;
        for (op, asked) in self.iter() {
            let (How::Write { first, key: Some(_) }, Some(reply)) = (asked.how, asked.reply())
            else {
                continue;
            };
            if asked.rejected().is_some_and(|(rejection, _)| is_momentary(rejection)) {
                continue;
            }
            let Some((earlier, other)) = told.insert(first, (op, reply)) else { continue };
            if kept(reply) != kept(other) {
                return Err(format!("{op} repeats {earlier}, got {reply:?} instead of {other:?}"));
            }
            n_repeats += 1;
        }
        Ok(n_repeats)
    }
}

/// An answer but for whether it was given before.
fn kept(reply: &Reply) -> Reply {
    let mut reply = reply.clone();
    if let Reply::Accepted { replayed, .. } | Reply::Rejected { replayed, .. } = &mut reply {
        *replayed = false;
    }
    reply
}

/// Whether some of these numbers add up to `sum`.
pub(super) fn adds_up(sum: i64, some_of: &[i64]) -> bool {
    let mut sums = BTreeSet::from([0]);
    for number in some_of {
        let with: Vec<_> = sums.iter().map(|sum: &i64| sum + number).collect();
        sums.extend(with);
    }
    sums.contains(&sum)
}

pub(super) fn count<T>(all: impl Iterator<Item = T>) -> u64 {
    u64::try_from(all.count()).unwrap_or(u64::MAX)
}

/// Bytes that a client was sent.
pub(super) trait Read: Wire {
    fn read(bytes: &[u8]) -> Result<Self, String> {
        Self::from_bytes(bytes).map_err(|error| error.to_string())
    }
}

impl<T: Wire> Read for T {}
