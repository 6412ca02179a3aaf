//! What clients saw of events: for each, the longest that a write due in its course took.
//!
//! **Invariants:** gaps are told apart by whether the event concerned the shard; every write counts
//! in each event in whose course it was due or under way.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::figures::{millis, percentile};
use crate::scenarios::traffic::Sample;

/// Something that was done to the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// `kill -9` of a node, until others lead all its shards.
    Kill,
    /// It starts again and takes its share.
    Return,
    /// A node hands over all it leads.
    Drain,
    /// It takes its share again.
    Resume,
    /// Two nodes change places at the lead of two shards.
    Transfer,
    /// All nodes end on SIGTERM and start again, one after the other.
    Rolling,
    /// Nothing, to compare with.
    Calm,
}

/// One event and its course, in microseconds as samples are.
#[derive(Clone, Debug)]
pub(super) struct Event {
    pub(super) kind: Kind,
    pub(super) begun: u64,
    pub(super) over: u64,
    /// Shards whose leader it concerns; none: all.
    pub(super) affected: Option<BTreeSet<u32>>,
}

/// What was seen of all events of a kind.
#[derive(Serialize)]
pub(super) struct Figures {
    pub(super) events: usize,
    pub(super) p50_ms: f64,
    pub(super) p99_ms: f64,
    max_ms: f64,
    others_p50_ms: f64,
    pub(super) others_p99_ms: f64,
    /// Single writes to other shards, not the worst one of each event.
    others_writes_p99_ms: f64,
    /// How long the events themselves took.
    lasted_p50_ms: f64,
    pub(super) failed: usize,
    others_failed: usize,
}

/// Writes of a whole run.
pub(super) struct Seen {
    by_due: Vec<Sample>,
}

impl Event {
    fn concerns(&self, shard: u32) -> bool {
        self.affected.as_ref().is_none_or(|affected| affected.contains(&shard))
    }
}

impl Seen {
    pub(super) fn new(mut samples: Vec<Sample>) -> Self {
        samples.sort_unstable_by_key(|sample| sample.due);
        Self { by_due: samples }
    }

    pub(super) fn into_samples(self) -> Vec<Sample> {
        self.by_due
    }

    fn during<'a>(&'a self, event: &'a Event) -> impl Iterator<Item = &'a Sample> {
        let due = self.by_due.iter().take_while(|sample| sample.due <= event.over);
        due.filter(|sample| sample.done >= event.begun)
    }

    /// The worst write to shards that the event concerns, and to the others.
    fn worst(&self, event: &Event) -> (Option<Sample>, Option<Sample>) {
        let (affected, others): (Vec<_>, Vec<_>) =
            self.during(event).partition(|sample| event.concerns(sample.shard));
        let worst = |of: Vec<&Sample>| of.into_iter().max_by_key(|sample| sample.took()).copied();
        (worst(affected), worst(others))
    }

    fn gaps(&self, event: &Event) -> (u64, u64) {
        let (affected, others) = self.worst(event);
        let took = |sample: Option<Sample>| sample.map_or(0, Sample::took);
        (took(affected), took(others))
    }

    /// An event in a few words, for whoever looks for a reason.
    pub(super) fn told(&self, event: &Event) -> String {
        let (affected, others) = self.worst(event);
        let told = |sample: Option<Sample>| {
            let Some(sample) = sample else { return "none".to_owned() };
            let after = i128::from(sample.due) - i128::from(event.begun);
            let took = millis(sample.took());
            format!("{took} ms in shard {} from {} ms on", sample.shard, after / 1_000)
        };
        let lasted = millis(event.over - event.begun);
        format!("{:?} of {lasted} ms: {}; others {}", event.kind, told(affected), told(others))
    }

    pub(super) fn figures(&self, events: &[Event], kind: Kind) -> Figures {
        let events: Vec<_> = events.iter().filter(|event| event.kind == kind).collect();
        let (affected, others): (Vec<_>, Vec<_>) =
            events.iter().map(|event| self.gaps(event)).unzip();
        let (mut writes, mut failed, mut others_failed) = (Vec::new(), 0, 0);
        for event in &events {
            for sample in self.during(event) {
                let is_failed = usize::from(!sample.is_done);
                if event.concerns(sample.shard) {
                    failed += is_failed;
                } else {
                    others_failed += is_failed;
                    writes.push(sample.took());
                }
            }
        }
        let lasted: Vec<_> = events.iter().map(|event| event.over - event.begun).collect();
        let of = |gaps: &[u64], nth| millis(percentile(gaps, nth));
        Figures {
            events: events.len(),
            p50_ms: of(&affected, 50),
            p99_ms: of(&affected, 99),
            max_ms: of(&affected, 100),
            others_p50_ms: of(&others, 50),
            others_p99_ms: of(&others, 99),
            others_writes_p99_ms: of(&writes, 99),
            lasted_p50_ms: of(&lasted, 50),
            failed,
            others_failed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(shard: u32, due: u64, done: u64) -> Sample {
        Sample { due, done, shard, is_done: true }
    }

    #[test]
    fn a_gap_is_the_longest_write_of_an_event_and_counts_where_it_belongs() {
        let before = sample(1, 0, 90);
        let seen = Seen::new(vec![
            sample(2, 140, 145),
            sample(1, 110, 150),
            before,
            sample(1, 95, 105),
            Sample { is_done: false, ..sample(3, 120, 180) },
            sample(1, 201, 900),
        ]);
        let affected = Some(BTreeSet::from([1]));
        let event = Event { kind: Kind::Kill, begun: 100, over: 200, affected };
        assert_eq!(seen.gaps(&event), (40, 60));
        assert_eq!(seen.gaps(&Event { affected: None, ..event.clone() }), (60, 0));
        let calm = Event { kind: Kind::Calm, begun: 0, over: 90, affected: None };
        let figures = seen.figures(&[event, calm], Kind::Kill);
        assert_eq!((figures.events, figures.failed, figures.others_failed), (1, 0, 1));
        assert_eq!(figures.p99_ms.to_string(), "0.04");
    }
}
