//! What happened to one entity, change by change, from its first one on.
//!
//! **Invariants:** changes come in their order and without a hole, each with the sequence that the
//! entity had after it; a page holds a bounded number of them and looks at a bounded number of
//! entries. See [`crate::runtime::replay`] for where they come from.

use std::time::Duration;

use storage::clock;
use tokio::time::Instant;

use crate::entity::{Entity, TimerName};
use crate::ids::{EntityKey, EntityRef, Position, ShardId};
use crate::runtime::operations::Operations;
use crate::runtime::replay::ReplayError;
use crate::shard::entry::{Cause, CommandId, Cursor, Entry, Verdict};
use crate::shard::turn::outcomes;
use crate::time::Timestamp;

/// Entries of the log that one page looks at.
const ENTRIES_MAX: usize = 20_000;

/// How far somebody has read of an entity's changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LifePosition {
    /// Every entry up to here is done with.
    pub done: u64,
    /// Of the entry after that, so many of the entity's changes are.
    pub within: u32,
    /// The entity's sequence by then.
    pub seq: u64,
}

/// One command that changed an entity.
#[derive(Clone, Debug)]
pub struct Change {
    pub position: Position,
    /// The entity's sequence after it.
    pub seq: u64,
    pub at: Timestamp,
    pub by: ChangedBy,
    /// As the entity's type encodes them.
    pub events: Vec<Vec<u8>>,
}

/// Who gave the command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangedBy {
    /// Somebody outside.
    Request(CommandId),
    /// Another entity: of this shard and in the same entry where nothing more is known.
    Entity(Option<(ShardId, u64)>),
    Timer(TimerName),
    /// A port, to what was asked there.
    Answer(Cursor),
}

/// Part of an entity's changes.
#[derive(Debug)]
pub struct LifePage {
    pub changes: Vec<Change>,
    /// To go on from.
    pub position: LifePosition,
    pub has_more: bool,
}

impl Operations {
    /// The changes of an entity after a position, or some of them.
    pub async fn changes_of<E: Entity>(
        &self,
        key: EntityKey,
        mut position: LifePosition,
        changes_max: usize,
        within: Duration,
    ) -> Result<LifePage, ReplayError> {
        let shard = self.services.map.group_of(E::HOME, &key);
        let entity = EntityRef { kind: E::KIND, key };
        let deadline = Instant::from_std(clock::monotonic()) + within;
        let to = self.frontier(shard, &mut None, deadline).await?;
        let mut changes = Vec::new();
        let mut entries_left = ENTRIES_MAX;
        while position.done < to {
            let past = self.past(shard, (position.done, to), Some(&entity)).await?;
            for (index, _, entry) in &past.entries {
                let at = Position { incarnation: self.fabric.incarnation(), shard, index: *index };
                let read = (at, entry);
                if !take(&mut changes, &mut position, &entity, read, changes_max) {
                    return Ok(LifePage { changes, position, has_more: true });
                }
            }
            position = LifePosition { done: past.to, within: 0, ..position };
            entries_left = entries_left.saturating_sub(past.entries.len().max(1));
            let is_tired = entries_left == 0 || Instant::from_std(clock::monotonic()) >= deadline;
            if is_tired {
                break;
            }
        }
        Ok(LifePage { changes, position, has_more: position.done < to })
    }
}

/// Takes the changes of an entry, as many as there is room for; says whether that is all of them.
fn take(
    changes: &mut Vec<Change>,
    position: &mut LifePosition,
    entity: &EntityRef,
    (at, entry): (Position, &Entry),
    changes_max: usize,
) -> bool {
    let skipped = if at.index == position.done + 1 { position.within } else { 0 };
    let own = outcomes(&entry.items).map(|(outcome, _)| outcome);
    let own = own.filter(|outcome| outcome.entity == *entity);
    let own = own.filter_map(|outcome| match &outcome.verdict {
        Verdict::Accepted { events, .. } if !events.is_empty() => Some((&outcome.cause, events)),
        Verdict::Accepted { .. }
        | Verdict::Rejected(_)
        | Verdict::Quarantined
        | Verdict::PreconditionFailed => None,
    });
    let rest = own.skip(usize::try_from(skipped).unwrap_or(usize::MAX));
    for (within, (cause, events)) in (skipped..).zip(rest) {
        if changes.len() == changes_max {
            *position = LifePosition { done: at.index - 1, within, ..*position };
            return false;
        }
        position.seq += 1;
        changes.push(Change {
            position: at,
            seq: position.seq,
            at: entry.time,
            by: changed_by(cause),
            events: events.iter().map(|event| event.0.clone()).collect(),
        });
    }
    *position = LifePosition { done: at.index, within: 0, ..*position };
    true
}

fn changed_by(cause: &Cause) -> ChangedBy {
    match cause {
        Cause::Routed(routed) | Cause::Keyed { routed, .. } => ChangedBy::Request(routed.id),
        Cause::Told { from, seq, .. } => ChangedBy::Entity(Some((*from, *seq))),
        Cause::Nested => ChangedBy::Entity(None),
        Cause::TimerFired { name, .. } => ChangedBy::Timer(*name),
        Cause::Answered { invocation } => ChangedBy::Answer(*invocation),
    }
}
