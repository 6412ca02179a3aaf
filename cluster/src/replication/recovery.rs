//! From the node's log back to the past of every shard.
//!
//! **Invariants:** a shard goes on from what its log says and nothing else; an entry is void only
//! if a later record says so; what cannot be read is an error that names its place, never a guess.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use storage::codec;
use storage::log::{GroupId, LogEntry, Record, VisitError};

use crate::entity::DecodeError;
use crate::replication::group::GroupState;
use crate::replication::members::{GroupMembers, MEMBERS_VERSION, Unversioned, is_unversioned};
use crate::replication::offer::SnapshotOffer;
use crate::replication::term_runs::TermRuns;
use crate::shard::versioned;

/// What the log holds of every group.
#[derive(Default)]
pub(crate) struct Recovering {
    groups: BTreeMap<GroupId, RecoveredGroup>,
}

#[derive(Default)]
pub(crate) struct RecoveredGroup {
    pub(crate) term: u64,
    pub(crate) vote: u64,
    pub(crate) commit: u64,
    pub(crate) members: Option<GroupMembers>,
    pub(crate) snapshot: Option<SnapshotAt>,
    pub(crate) index_floor: u64,
    pub(crate) entries: VecDeque<LogEntry>,
}

/// The snapshot a group's log goes on from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SnapshotAt {
    pub(crate) start: u64,
    pub(crate) start_term: u64,
    pub(crate) end: u64,
    pub(crate) file: String,
    /// The members at its start.
    pub(crate) members: GroupMembers,
    /// The last index that history held when the log was let go up to `start`.
    pub(crate) history_to: Option<u64>,
}

/// What a snapshot pointer says besides the place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CoveredBy {
    pub(crate) members: GroupMembers,
    pub(crate) history_to: Option<u64>,
}

impl CoveredBy {
    pub(crate) fn encode(&self) -> Bytes {
        Bytes::from(codec::encode_versioned(MEMBERS_VERSION, self))
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        if is_unversioned(bytes) {
            let damaged = |why: String| DecodeError { what: "snapshot pointer", why };
            let (Unversioned { voters }, history_to) =
                codec::decode(bytes).map_err(|error| damaged(error.to_string()))?;
            let members = GroupMembers { voters, ..GroupMembers::default() };
            return Ok(Self { members, history_to });
        }
        versioned::decode("snapshot pointer", MEMBERS_VERSION, bytes)
    }
}

impl Recovering {
    pub(crate) fn visit(&mut self, record: Record) -> Result<(), VisitError> {
        match record {
            Record::Entry(entry) => {
                self.groups.entry(entry.group).or_default().entries.push_back(entry);
            }
            Record::HardState { group, term, vote, commit } => {
                let group = self.groups.entry(group).or_default();
                (group.term, group.vote) = (term, vote);
                group.commit = commit.max(group.commit);
            }
            Record::Truncate { group, from } => {
                let entries = &mut self.groups.entry(group).or_default().entries;
                while entries.pop_back_if(|entry| entry.index >= from).is_some() {}
            }
            Record::SnapshotPointer { group, start, start_term, end, file, conf } => {
                let CoveredBy { members, history_to } = CoveredBy::decode(&conf)?;
                let group = self.groups.entry(group).or_default();
                while group.entries.pop_front_if(|entry| entry.index <= start).is_some() {}
                // What was applied was committed, whether or not a hard state says so yet.
                group.commit = group.commit.max(end);
                let at = SnapshotAt { start, start_term, end, file, members, history_to };
                group.snapshot = Some(at);
            }
            Record::GroupMeta { group, payload } => {
                let members = GroupMembers::decode(&payload)?;
                let group = self.groups.entry(group).or_default();
                // The change was applied, so it was committed.
                group.commit = group.commit.max(members.at);
                group.members = Some(members);
            }
            Record::IndexFloor { group, position } => {
                let group = self.groups.entry(group).or_default();
                group.commit = group.commit.max(position);
                group.index_floor = position;
            }
        }
        Ok(())
    }

    pub(crate) fn take(&mut self, group: GroupId) -> Option<RecoveredGroup> {
        self.groups.remove(&group)
    }
}

impl RecoveredGroup {
    /// The group's state when everything up to `applied` is in its base already. `offer` is the
    /// snapshot its log goes on from.
    pub(crate) fn into_state(
        mut self,
        applied: (u64, u64),
        members: GroupMembers,
        offer: Option<SnapshotOffer>,
    ) -> GroupState {
        let snapshot = self.snapshot.as_ref();
        let log_start = snapshot.map_or((0, 0), |at| (at.start, at.start_term));
        let mut terms = TermRuns::default();
        for entry in &self.entries {
            terms.push(entry.index, entry.term);
        }
        let last = self.entries.back().map_or(applied.0, |entry| entry.index).max(applied.0);
        // A snapshot says how late its records are; those of the state index may be as late as the
        // last entry.
        let in_index = if self.index_floor > 0 { last } else { 0 };
        let whole_at = snapshot.map_or(0, |at| at.end).max(in_index);
        let mut before = applied;
        while let Some(entry) = self.entries.pop_front_if(|entry| entry.index <= applied.0) {
            before = (entry.index, entry.term);
        }
        GroupState {
            term: self.term,
            vote: self.vote,
            // A snapshot of another replica may hold more than this log does, and a torn write may
            // have left a commit index without its entries.
            commit: self.commit.min(last),
            members,
            applied: before,
            entries: self.entries,
            log_start,
            terms,
            snapshot: offer,
            whole_at,
        }
    }
}
