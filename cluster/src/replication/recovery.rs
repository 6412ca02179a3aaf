//! From the node's log back to the past of every shard.
//!
//! **Invariants:** a shard goes on from what its log says and nothing else; an entry is void only
//! if a later record says so; what cannot be read is an error that names its place, never a guess.
//!
//! Entries that the state index is expected to hold are checked by the log and counted here, not
//! kept: a start then needs neither memory nor time for them. Whether the expectation was right is
//! known only at the end of the log; [`RecoveredGroup::lacks_entries_after`] tells, and then the log
//! is read once more.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use storage::codec;
use storage::log::{GroupId, LogEntry, Record, VisitError};

use crate::entity::DecodeError;
use crate::ids::ShardId;
use crate::mutants::Mutant;
use crate::replication::group::{GroupState, group_of};
use crate::replication::members::{GroupMembers, Unversioned, is_unversioned};
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
    /// Those after `passed`.
    pub(crate) entries: VecDeque<LogEntry>,
    /// Of all entries that no snapshot covers, kept or not.
    terms: TermRuns,
    expected_floor: u64,
    passed: Passed,
}

/// Entries that were seen and not kept.
#[derive(Default)]
struct Passed {
    /// The index of the first of `sizes`; of no meaning when there are none.
    first: u64,
    /// Payload bytes, of those that no snapshot covers.
    sizes: VecDeque<u32>,
    /// Index and term of the last one.
    last: (u64, u64),
    /// Whether one of them turned out to be void: then the expectation was wrong.
    voided: bool,
}

impl Passed {
    fn push(&mut self, entry: &LogEntry) {
        if self.sizes.is_empty() {
            self.first = entry.index;
        }
        self.sizes.push_back(u32::try_from(entry.payload.len()).unwrap_or(u32::MAX));
        self.last = (entry.index, entry.term);
    }

    fn cover(&mut self, start: u64) {
        while self.first <= start && self.sizes.pop_front().is_some() {
            self.first += 1;
        }
    }

    fn void(&mut self, from: u64) {
        self.voided |= !self.sizes.is_empty() && self.last.0 >= from;
    }
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
    /// What this replica itself wrote into history begins after this index.
    pub(crate) since: u64,
}

impl SnapshotAt {
    pub(crate) fn covered_by(&self) -> CoveredBy {
        let Self { members, history_to, since, .. } = self;
        CoveredBy { members: members.clone(), history_to: *history_to, since: *since }
    }
}

const COVERED_VERSION: u16 = 3;

/// What a snapshot pointer says besides the place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CoveredBy {
    pub(crate) members: GroupMembers,
    pub(crate) history_to: Option<u64>,
    pub(crate) since: u64,
}

/// As the second format has it.
#[derive(Serialize, Deserialize)]
struct CoveredByV2 {
    members: GroupMembers,
    history_to: Option<u64>,
}

impl CoveredBy {
    pub(crate) fn encode(&self) -> Bytes {
        Bytes::from(codec::encode_versioned(COVERED_VERSION, self))
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        const WHAT: &str = "snapshot pointer";
        let damaged = |why: String| DecodeError { what: WHAT, why };
        if is_unversioned(bytes) {
            let (Unversioned { voters }, history_to) =
                codec::decode(bytes).map_err(|error| damaged(error.to_string()))?;
            let members = GroupMembers { voters, ..GroupMembers::default() };
            return Ok(Self { members, history_to, since: 0 });
        }
        if let Ok((2, body)) = codec::split_version(bytes) {
            let CoveredByV2 { members, history_to } =
                codec::decode(body).map_err(|error| damaged(error.to_string()))?;
            return Ok(Self { members, history_to, since: 0 });
        }
        versioned::decode(WHAT, COVERED_VERSION, bytes)
    }
}

impl Recovering {
    /// For a start with a state index that says it holds everything up to these indexes.
    pub(crate) fn expecting(floors: &BTreeMap<ShardId, u64>) -> Self {
        let group = |(shard, floor): (&ShardId, &u64)| {
            let group = RecoveredGroup { expected_floor: *floor, ..RecoveredGroup::default() };
            (group_of(*shard), group)
        };
        Self { groups: floors.iter().map(group).collect() }
    }

    pub(crate) fn visit(&mut self, record: Record) -> Result<(), VisitError> {
        match record {
            Record::Entry(entry) => {
                self.groups.entry(entry.group).or_default().take_entry(entry);
            }
            Record::HardState { group, term, vote, commit } => {
                let group = self.groups.entry(group).or_default();
                (group.term, group.vote) = (term, vote);
                if Mutant::VoteForgotten.is_planted() {
                    group.vote = 0;
                }
                group.commit = commit.max(group.commit);
            }
            Record::Truncate { group, from } => {
                let group = self.groups.entry(group).or_default();
                while !Mutant::TruncationForgotten.is_planted()
                    && group.entries.pop_back_if(|entry| entry.index >= from).is_some()
                {
                }
                group.passed.void(from);
                group.terms.truncate(from);
            }
            Record::SnapshotPointer { group, start, start_term, end, file, conf } => {
                let CoveredBy { members, history_to, since } = CoveredBy::decode(&conf)?;
                let group = self.groups.entry(group).or_default();
                while group.entries.pop_front_if(|entry| entry.index <= start).is_some() {}
                group.passed.cover(start);
                group.terms.forget(start);
                // What was applied was committed, whether or not a hard state says so yet.
                group.commit = group.commit.max(end);
                let at = SnapshotAt { start, start_term, end, file, members, history_to, since };
                // Of nothing: the replica let go of everything it held.
                group.snapshot = Some(at).filter(|at| at.start > 0);
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

    pub(crate) fn get(&self, group: GroupId) -> Option<&RecoveredGroup> {
        self.groups.get(&group)
    }

    pub(crate) fn take(&mut self, group: GroupId) -> Option<RecoveredGroup> {
        self.groups.remove(&group)
    }
}

impl RecoveredGroup {
    fn take_entry(&mut self, mut entry: LogEntry) {
        self.terms.push(entry.index, entry.term);
        if entry.index <= self.expected_floor {
            return self.passed.push(&entry);
        }
        if self.expected_floor > 0 {
            // A few behind the floor must not keep all that was read with them.
            entry.payload = Bytes::copy_from_slice(&entry.payload);
        }
        self.entries.push_back(entry);
    }

    /// Whether a base that holds everything up to `applied` would need entries that were not kept.
    pub(crate) fn lacks_entries_after(&self, applied: u64) -> bool {
        self.passed.voided || (!self.passed.sizes.is_empty() && self.passed.last.0 > applied)
    }

    /// Whether the log was read with expectations of the index that turned out wrong, so that
    /// entries are missing which this shard is to be made from. `inside` is the floor that the index
    /// itself holds.
    pub(crate) fn needs_more_of_the_log(&self, inside: Option<u64>) -> bool {
        let from_snapshot = || self.snapshot.as_ref().map_or(0, |snapshot| snapshot.start);
        let applied = self.usable_floor(inside).map_or_else(from_snapshot, |(index, _)| index);
        self.lacks_entries_after(applied)
    }

    /// How far the index is complete, if the log continues from there; as index and term.
    pub(crate) fn usable_floor(&self, inside: Option<u64>) -> Option<(u64, u64)> {
        let floor = match Mutant::IndexUsedAboveFloor.is_planted() {
            true => inside.map(|_| self.commit)?,
            false => inside?.min(self.index_floor),
        };
        let (start, start_term) =
            self.snapshot.as_ref().map_or((0, 0), |snapshot| (snapshot.start, snapshot.start_term));
        if floor == 0 || floor < start || floor > self.commit.max(start) {
            return None;
        }
        let term = if floor == start { Some(start_term) } else { self.term(floor) };
        term.map(|term| (floor, term))
    }

    /// The last entry of the log, or what stands for it.
    pub(crate) fn last_index(&self) -> u64 {
        let start = self.snapshot.as_ref().map_or(0, |snapshot| snapshot.start);
        let kept = self.entries.back().map_or(0, |entry| entry.index);
        start.max(kept).max(self.passed.last.0)
    }

    /// The term of an entry that was kept, or of the last one that was not.
    pub(crate) fn term(&self, index: u64) -> Option<u64> {
        if !self.passed.sizes.is_empty() && self.passed.last.0 == index {
            return Some(self.passed.last.1);
        }
        let nth = index.checked_sub(self.entries.front()?.index)?;
        self.entries.get(usize::try_from(nth).ok()?).map(|entry| entry.term)
    }

    /// Bytes of entries that no snapshot covers.
    pub(crate) fn appended_bytes(&self) -> u64 {
        let kept = self.entries.iter().map(|entry| entry.payload.len() as u64);
        let passed = self.passed.sizes.iter().map(|bytes| u64::from(*bytes));
        kept.chain(passed).sum()
    }

    /// The group's state when everything up to `applied` is in its base already, and nothing that came
    /// after `reaches`. `offer` is the snapshot its log goes on from.
    pub(crate) fn into_state(
        mut self,
        applied: (u64, u64),
        reaches: u64,
        members: GroupMembers,
        offer: Option<SnapshotOffer>,
    ) -> GroupState {
        let snapshot = self.snapshot.as_ref();
        let log_start = snapshot.map_or((0, 0), |at| (at.start, at.start_term));
        let last = self.entries.back().map_or(applied.0, |entry| entry.index).max(applied.0);
        // Not the last entry: before that is committed, others may have to be given what is here.
        let whole_at = snapshot.map_or(0, |at| at.end).max(reaches);
        let mut before = applied;
        while let Some(entry) = self.entries.pop_front_if(|entry| entry.index <= applied.0) {
            before = (entry.index, entry.term);
        }
        GroupState {
            term: self.term,
            vote: self.vote,
            // A snapshot of another replica may hold more than this log does, and a torn write may
            // have left a commit index without its entries.
            commit: match Mutant::AllEntriesCommitted.is_planted() {
                true => last,
                false => self.commit.min(last),
            },
            members,
            applied: before,
            entries: self.entries,
            log_start,
            terms: self.terms,
            snapshot: offer,
            whole_at,
        }
    }
}

#[cfg(test)]
mod tests {
    use storage::log::EntryKind;

    use super::*;
    use crate::ids::NodeId;

    const SHARD: ShardId = ShardId(3);

    fn entry(index: u64) -> Record {
        let kind = EntryKind::Normal;
        let payload = Bytes::from_static(b"tea");
        Record::Entry(LogEntry { group: group_of(SHARD), term: 7, index, kind, payload })
    }

    fn pointer(start: u64) -> Record {
        let members = GroupMembers::only(NodeId(1));
        let conf = CoveredBy { members, history_to: None, since: 0 }.encode();
        let (group, file) = (group_of(SHARD), String::new());
        Record::SnapshotPointer { group, start, start_term: 7, end: start, file, conf }
    }

    #[track_caller]
    fn recovered(floor: u64, records: impl IntoIterator<Item = Record>) -> RecoveredGroup {
        let mut recovering = Recovering::expecting(&BTreeMap::from([(SHARD, floor)]));
        for record in records {
            recovering.visit(record).unwrap();
        }
        recovering.take(group_of(SHARD)).unwrap()
    }

    #[test]
    fn a_pointer_of_every_format_is_read() {
        let members = GroupMembers::only(NodeId(1));
        let covered = |since| CoveredBy { members: members.clone(), history_to: Some(7), since };
        let now = covered(5).encode();
        let mut golden = b"\x03\0\x01\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0".to_vec();
        // No learners, no others, no leaving by itself, and so since the group's birth.
        golden.extend([0; 33]);
        golden.extend(b"\x01\x07\0\0\0\0\0\0\0\x05\0\0\0\0\0\0\0");
        assert_eq!(now, golden);
        assert_eq!(CoveredBy::decode(&now), Ok(covered(5)));
        let second = CoveredByV2 { members: members.clone(), history_to: Some(7) };
        let second = codec::encode_versioned(2, &second);
        assert_eq!(CoveredBy::decode(&second), Ok(covered(0)));
        let first = codec::encode(&(&members.voters, Some(7_u64)));
        assert_eq!(CoveredBy::decode(&first), Ok(covered(0)));
    }

    #[test]
    fn entries_the_index_holds_are_counted_and_not_kept() {
        let group = recovered(5, (1..=8).map(entry));
        let kept: Vec<_> = group.entries.iter().map(|entry| entry.index).collect();
        assert_eq!(kept, [6, 7, 8]);
        assert_eq!(group.appended_bytes(), 8 * 3);
        assert_eq!([4, 5, 6, 9].map(|index| group.term(index)), [None, Some(7), Some(7), None]);
        assert!(!group.lacks_entries_after(5));
        assert!(group.lacks_entries_after(4));
    }

    #[test]
    fn what_a_snapshot_covers_counts_no_longer() {
        let group = recovered(5, (1..=8).map(entry).chain([pointer(3)]));
        assert_eq!(group.appended_bytes(), 5 * 3);
        assert!(group.lacks_entries_after(3));
        let group = recovered(5, (1..=8).map(entry).chain([pointer(6)]));
        assert_eq!(group.appended_bytes(), 2 * 3);
        assert!(!group.lacks_entries_after(6));
    }

    #[test]
    fn an_index_that_holds_void_entries_is_not_believed() {
        let truncate = |from| Record::Truncate { group: group_of(SHARD), from };
        let records =
            |from| (1..=8).map(entry).chain([truncate(from)]).chain((from..=9).map(entry));
        assert!(recovered(5, records(5)).lacks_entries_after(5));
        assert!(!recovered(5, records(6)).lacks_entries_after(5));
    }
}
