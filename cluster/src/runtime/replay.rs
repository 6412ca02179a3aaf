//! What was published, over all shards, for whoever asks: page by page from any place on, at any node.
//!
//! **Invariants:** the events of a shard, and so of an entity, come in their order and without a hole,
//! from the log, from history where the log let go of them, and from other nodes where this one has no
//! replica. What is nowhere to be had is refused, never left out. A page holds a bounded number of
//! events and looks at a bounded number of entries: one that is empty may still have more behind it.
//!
//! Between shards there is no order: each page goes on with another one, so that none waits for a busy
//! one. A page ends where this node knows of no more; a replica that lags knows of less.

use std::collections::BTreeMap;
use std::time::Duration;

use storage::clock;
use tokio::time::Instant;

use crate::fabric::Unavailable;
use crate::ids::{EntityRef, Incarnation, ShardId};
use crate::replication::varint::{Reader, push_number};
use crate::runtime::feed::{PublishedEvent, published_in};
use crate::runtime::leaders::Known;
use crate::runtime::operations::Operations;
use crate::runtime::past::Past;
use crate::runtime::postponed::{Postponed, explained};

/// Entries that one page looks at, so that whoever wants what is rare gets an answer in time.
const ENTRIES_MAX: usize = 20_000;

/// How far somebody has read what was published. Opaque to them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplayPosition {
    incarnation: Incarnation,
    /// The shard to go on with.
    next: usize,
    /// One for each shard.
    marks: Vec<Mark>,
}

/// How far a shard was read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Mark {
    /// Every entry up to here is done with.
    done: u64,
    /// Of the entry after that, the effects before this one are.
    within: u32,
}

/// Part of what was published.
#[derive(Debug)]
pub struct ReplayPage {
    pub events: Vec<PublishedEvent>,
    /// To go on from.
    pub position: ReplayPosition,
    /// Whether there is more at once; else there may be later.
    pub has_more: bool,
}

/// Why events were not read.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    #[error("the position is none of this cluster's")]
    UnknownPosition,
    /// Try again, or ask a node that has a replica of it.
    #[error("what happened in shard {shard} is on no node that answers")]
    Elsewhere { shard: ShardId },
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

impl ReplayPosition {
    const VERSION: u8 = 1;

    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![Self::VERSION];
        push_number(&mut bytes, u64::from(self.incarnation.0));
        push_number(&mut bytes, self.next as u64);
        for Mark { done, within } in &self.marks {
            // Hardly any shard is left within an entry.
            push_number(&mut bytes, done.saturating_mul(2) | u64::from(*within > 0));
            if *within > 0 {
                push_number(&mut bytes, u64::from(*within));
            }
        }
        bytes
    }

    /// What [`Self::to_bytes`] made; `None` for anything else.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        let number = |reader: &mut Reader<'_>| reader.number("a position").ok();
        if reader.byte("a position").ok()? != Self::VERSION {
            return None;
        }
        let incarnation = Incarnation(u32::try_from(number(&mut reader)?).ok()?);
        let next = usize::try_from(number(&mut reader)?).ok()?;
        let mut marks = Vec::new();
        while reader.left() > 0 {
            let first = number(&mut reader)?;
            let within = if first % 2 == 1 { number(&mut reader)? } else { 0 };
            let within =
                u32::try_from(within).ok().filter(|within| (*within > 0) == (first % 2 == 1))?;
            marks.push(Mark { done: first / 2, within });
        }
        (next < marks.len()).then_some(Self { incarnation, next, marks })
    }
}

/// A page in the making.
struct Reading<'a> {
    operations: &'a Operations,
    is_wanted: &'a (dyn Fn(&PublishedEvent) -> bool + Sync),
    events_max: usize,
    deadline: Instant,
    events: Vec<PublishedEvent>,
    entries_left: usize,
    /// How far the shards have come that this node has no replica of, once that was asked.
    elsewhere: Option<BTreeMap<ShardId, u64>>,
}

/// What a shard came to within a page.
enum Stretch {
    /// There is no more of it.
    Whole,
    /// The page is full.
    Full,
    /// Enough was looked at.
    Tired,
}

impl Operations {
    /// The beginning of everything that was published.
    pub fn replay_start(&self) -> ReplayPosition {
        let marks = self.services.map.shards().map(|_| Mark::default()).collect();
        ReplayPosition { incarnation: self.fabric.incarnation(), next: 0, marks }
    }

    /// The events after a position that are wanted, or some of them.
    pub async fn replay(
        &self,
        from: ReplayPosition,
        is_wanted: &(dyn Fn(&PublishedEvent) -> bool + Sync),
        events_max: usize,
        within: Duration,
    ) -> Result<ReplayPage, ReplayError> {
        let mut position = from;
        let n_shards = self.services.map.shards().len();
        let is_ours = position.incarnation == self.fabric.incarnation();
        if !is_ours || position.marks.len() != n_shards {
            return Err(ReplayError::UnknownPosition);
        }
        let mut reading = Reading {
            operations: self,
            is_wanted,
            events_max,
            deadline: Instant::from_std(clock::monotonic()) + within,
            events: Vec::new(),
            entries_left: ENTRIES_MAX,
            elsewhere: None,
        };
        let mut has_more = false;
        for _ in 0..n_shards {
            let nth = position.next;
            let (Some(shard), Some(mark)) =
                (self.services.map.shards().nth(nth), position.marks.get_mut(nth))
            else {
                return Err(ReplayError::UnknownPosition);
            };
            let stretch = reading.read(shard, mark).await?;
            // One that was not looked through is gone on with, or a rare event would never be met.
            if !matches!(stretch, Stretch::Tired) {
                position.next = (nth + 1) % n_shards;
            }
            if !matches!(stretch, Stretch::Whole) {
                has_more = true;
                break;
            }
        }
        Ok(ReplayPage { events: reading.events, position, has_more })
    }
}

impl Reading<'_> {
    async fn read(&mut self, shard: ShardId, mark: &mut Mark) -> Result<Stretch, ReplayError> {
        let (operations, deadline) = (self.operations, self.deadline);
        let to = operations.frontier(shard, &mut self.elsewhere, deadline).await?;
        while mark.done < to {
            let past = operations.past(shard, (mark.done, to), None).await?;
            for (index, _, entry) in &past.entries {
                let begun = if *index == mark.done + 1 { mark.within } else { 0 };
                let incarnation = operations.fabric.incarnation();
                for event in published_in(incarnation, shard, *index, entry) {
                    let at = event.id.at;
                    if at.ordinal < begun || !(self.is_wanted)(&event) {
                        continue;
                    }
                    if self.events.len() == self.events_max {
                        *mark = Mark { done: index - 1, within: at.ordinal };
                        return Ok(Stretch::Full);
                    }
                    self.events.push(event);
                }
                self.entries_left = self.entries_left.saturating_sub(1);
                *mark = Mark { done: *index, within: 0 };
            }
            *mark = Mark { done: past.to, within: 0 };
            if self.is_tired() && mark.done < to {
                return Ok(Stretch::Tired);
            }
        }
        Ok(Stretch::Whole)
    }

    fn is_tired(&self) -> bool {
        self.entries_left == 0 || Instant::from_std(clock::monotonic()) >= self.deadline
    }
}

impl Operations {
    /// What happened in a shard after an index and up to another, as far as it comes at once.
    pub(crate) async fn past(
        &self,
        shard: ShardId,
        stretch: (u64, u64),
        of: Option<&EntityRef>,
    ) -> Result<Past, ReplayError> {
        self.services.past(shard, stretch, of).await.map_err(|why| failed(shard, &why))
    }

    /// Up to where a shard can be read; `elsewhere` is asked for once, and only where this node has no
    /// replica of it.
    pub(crate) async fn frontier(
        &self,
        shard: ShardId,
        elsewhere: &mut Option<BTreeMap<ShardId, u64>>,
        deadline: Instant,
    ) -> Result<u64, ReplayError> {
        if !matches!(self.services.leaders.of(shard), Known::NotHeld(_)) {
            let status = self.services.status_of(shard).await.map_err(|why| failed(shard, &why))?;
            if status.whole {
                return Ok(status.applied);
            }
        }
        let known = match elsewhere {
            Some(known) => known,
            None => elsewhere.insert(self.applied_elsewhere(deadline).await),
        };
        known.get(&shard).copied().ok_or(ReplayError::Elsewhere { shard })
    }
}

fn failed(shard: ShardId, why: &Postponed) -> ReplayError {
    match why {
        Postponed::Stopping => Unavailable::ShuttingDown.into(),
        Postponed::Elsewhere { .. } | Postponed::Restarted => ReplayError::Elsewhere { shard },
        Postponed::Snapshot(_)
        | Postponed::History(_)
        | Postponed::Log(_)
        | Postponed::Index(_)
        | Postponed::RecordLost { .. }
        | Postponed::Entry(_)
        | Postponed::Consumer(_) => {
            tracing::error!(shard.id = %shard, error = explained(why), "history cannot be read");
            Unavailable::Fenced { shard: shard.0 }.into()
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn position(next: usize, marks: &[(u64, u32)]) -> ReplayPosition {
        let marks = marks.iter().map(|(done, within)| Mark { done: *done, within: *within });
        ReplayPosition { incarnation: Incarnation(3), next, marks: marks.collect() }
    }

    #[test]
    fn the_bytes_of_a_position_never_change() {
        let position = position(1, &[(0, 0), (300, 0), (7, 2)]);
        let golden = [1, 3, 1, 0, 0xd8, 4, 15, 2];
        assert_eq!(position.to_bytes(), golden);
        assert_eq!(ReplayPosition::from_bytes(&golden), Some(position));
        assert_eq!(ReplayPosition::from_bytes(&golden[..7]), None);
        assert_eq!(ReplayPosition::from_bytes(&[1, 3, 3, 0, 0, 0]), None, "no such shard");
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_position_or_none(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            if let Some(position) = ReplayPosition::from_bytes(&bytes) {
                prop_assert_eq!(position.to_bytes(), bytes);
            }
        }
    }
}
