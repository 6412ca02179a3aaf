//! Walking all records of a shard in steps while it goes on working: for snapshots and the index.
//!
//! **Invariants:** everything changed at or before the walk's start is either in what it yields or
//! held by the state index at the position it names; a step is bounded, so turns stay short. What
//! it yields is fuzzy: a record may be newer than the start, never older than it was there.

use crate::entity::DecodeError;
use crate::ids::EntityRef;
use crate::mutants::Mutant;
use crate::replication::members::GroupMembers;
use crate::shard::core::{Base, ShardCore};
use crate::shard::header::Header;
use crate::shard::kind::Kinds;
use crate::shard::record::{Record, outline};
use crate::shard::residents::Residency;

/// Entities looked at in one step.
const LOOKS_PER_STEP_MAX: usize = 1_024;
/// Bytes of records yielded in one step.
const BYTES_PER_STEP_MAX: usize = 512 << 10;

/// Where a walk begins.
#[derive(Clone, Debug)]
pub struct WalkStart {
    /// Everything at or before this is in the records, and may go from the log once they are kept.
    pub index: u64,
    pub term: u64,
    pub members: GroupMembers,
    /// The shard's own record.
    pub header: Stored,
}

/// A record as it is stored, or the position at which the state index holds it.
#[derive(Clone, Debug)]
pub struct Stored {
    pub position: u64,
    pub bytes: Vec<u8>,
}

#[derive(Debug)]
pub enum Walked {
    Record {
        entity: EntityRef,
        stored: Stored,
    },
    /// The state index holds it at this position or a later one.
    InIndex {
        entity: EntityRef,
    },
}

/// Which records a walk yields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Walk {
    All,
    /// Only those the state index does not hold as they are.
    Unindexed,
}

#[derive(Debug, Default)]
pub struct WalkStep {
    pub walked: Vec<Walked>,
    /// Where to go on; `None` at the end.
    pub next_after: Option<EntityRef>,
}

impl ShardCore {
    /// Begins a walk; `None` while this replica is in no state to be kept.
    pub fn walk_start(&self) -> Option<WalkStart> {
        if self.fenced.is_some() || !self.is_whole() {
            return None;
        }
        let (index, term) = self.applied;
        let members = self.group.members().clone();
        // Right after a start, members may be known whose change is not applied again yet.
        if members.at > index {
            return None;
        }
        // A parked outcome is applied to the header but not to its record yet.
        if self.loads.oldest_outcome().is_some() && !Mutant::ParkedOutcomeMissed.is_planted() {
            return None;
        }
        Some(WalkStart { index, term, members, header: self.stored_header()? })
    }

    /// The shard's own record as it is; `None` while it is too large to be kept.
    pub fn stored_header(&self) -> Option<Stored> {
        Some(Stored { position: self.header.position, bytes: self.header.encode()? })
    }

    pub fn walk_step(&self, walk: Walk, after: Option<&EntityRef>) -> WalkStep {
        let mut step = WalkStep::default();
        let mut bytes = 0;
        for (looks, (entity, residency)) in self.residents.walk_after(after).enumerate() {
            if looks >= LOOKS_PER_STEP_MAX || bytes >= BYTES_PER_STEP_MAX {
                return step;
            }
            step.next_after = Some(entity.clone());
            match residency {
                Residency::Cold { .. } if walk == Walk::All => {
                    step.walked.push(Walked::InIndex { entity });
                }
                Residency::Cold { .. } => {}
                Residency::Hot(resident) => {
                    let position = resident.committed.position;
                    let indexed = resident.indexed_at == position;
                    if position == 0 || (walk == Walk::Unindexed && indexed) {
                        continue;
                    }
                    let stored = Stored { position, bytes: resident.committed.encode() };
                    bytes += stored.bytes.len();
                    step.walked.push(Walked::Record { entity, stored });
                }
            }
        }
        step.next_after = None;
        step
    }
}

impl Base {
    /// Takes the shard's own record.
    pub fn restore_header(&mut self, bytes: &[u8]) -> Result<(), DecodeError> {
        self.header = Header::decode(bytes)?;
        self.reaches = self.reaches.max(self.header.position);
        Ok(())
    }

    /// Takes a record into memory.
    pub fn restore_hot(
        &mut self,
        entity: EntityRef,
        bytes: &[u8],
        kinds: &Kinds,
    ) -> Result<(), DecodeError> {
        let kind = kinds.find(entity.kind).ok_or_else(|| DecodeError {
            what: "entity record",
            why: format!("kind {} is unknown", entity.kind.0),
        })?;
        let record = Record::decode(bytes, kind)?;
        self.track(&entity, bytes)?;
        self.reaches = self.reaches.max(record.position);
        self.residents.insert_hot(entity, record, 0);
        Ok(())
    }

    /// Notes a record that the state index holds.
    pub fn restore_cold(
        &mut self,
        entity: EntityRef,
        position: u64,
        bytes: &[u8],
    ) -> Result<(), DecodeError> {
        self.track(&entity, bytes)?;
        self.reaches = self.reaches.max(position);
        self.residents.insert_cold(entity, position);
        Ok(())
    }

    /// Bytes of entities in memory so far.
    pub fn hot_bytes(&self) -> usize {
        self.residents.hot_bytes()
    }

    fn track(&mut self, entity: &EntityRef, bytes: &[u8]) -> Result<(), DecodeError> {
        let outline = outline(bytes)?;
        for (name, timer) in outline.timers {
            self.timers.insert(entity, name, timer);
        }
        for invocation in outline.invocations {
            self.invocations.insert(invocation, entity.clone());
        }
        Ok(())
    }
}
