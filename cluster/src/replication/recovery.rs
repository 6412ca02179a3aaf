//! From the node's log back to the past of every shard.
//!
//! **Invariants:** a shard goes on from what its log says and nothing else; an entry is void only
//! if a later record says so; what cannot be read is an error that names its place, never a guess.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use storage::codec;
use storage::log::{GroupId, LogEntry, Record, VisitError};

use crate::ids::NodeId;
use crate::replication::group::GroupState;

/// Who votes in a group, as its latest metadata record says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct GroupMembers {
    pub(crate) voters: Vec<u64>,
}

impl GroupMembers {
    pub(crate) fn only(node: NodeId) -> Self {
        Self { voters: vec![node.0] }
    }

    pub(crate) fn encode(&self) -> Bytes {
        Bytes::from(codec::encode(self))
    }

    pub(crate) fn record(&self, group: GroupId) -> Record {
        Record::GroupMeta { group, payload: self.encode() }
    }
}

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
        Bytes::from(codec::encode(self))
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
                let CoveredBy { history_to, .. } = codec::decode(&conf)?;
                let group = self.groups.entry(group).or_default();
                while group.entries.pop_front_if(|entry| entry.index <= start).is_some() {}
                // What was applied was committed, whether or not a hard state says so yet.
                group.commit = group.commit.max(end);
                group.snapshot = Some(SnapshotAt { start, start_term, end, file, history_to });
            }
            Record::GroupMeta { group, payload } => {
                let members: GroupMembers = codec::decode(&payload)?;
                self.groups.entry(group).or_default().members = Some(members);
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
    /// The group's state when everything up to `applied` is in its base already.
    pub(crate) fn into_state(mut self, applied: (u64, u64), members: GroupMembers) -> GroupState {
        let mut before = applied;
        while let Some(entry) = self.entries.pop_front_if(|entry| entry.index <= applied.0) {
            before = (entry.index, entry.term);
        }
        GroupState {
            term: self.term,
            vote: self.vote,
            commit: self.commit,
            voters: members.voters,
            applied: before,
            entries: self.entries,
        }
    }
}
