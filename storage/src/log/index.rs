//! Where each group's entries lie, and each group's latest metadata.
//!
//! **Invariants:**
//! - a group's entries are contiguous, and their segments never decrease with the index;
//! - applying the log's records in order gives the same index live and at recovery, although at
//!   recovery the oldest ones may be gone.

use super::record::{GroupId, Record};
use crate::mutants::Mutant;
use std::borrow::Cow;
use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;

/// Where one record lies. A segment is small enough for 32 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) segment: u64,
    pub(super) offset: u32,
    /// With head and padding.
    pub(super) bytes: u32,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct IndexedEntry {
    pub(super) place: Place,
    pub(super) term: u64,
}

/// The metadata of a group of which the latest record counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Slot {
    HardState,
    GroupMeta,
    SnapshotPointer,
    IndexFloor,
}

#[derive(Debug, Clone)]
struct Latest {
    record: Record,
    segment: u64,
}

/// An entry other than the next one was offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Gap {
    pub(super) group: GroupId,
    pub(super) expected: u64,
    pub(super) found: u64,
}

/// What is known of the index that must come next.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Next {
    #[default]
    Unknown,
    /// A snapshot pointer was found whose surroundings were trimmed.
    AtLeast(u64),
    Exactly(u64),
}

#[derive(Debug, Clone, Default)]
pub(super) struct Group {
    entries: VecDeque<IndexedEntry>,
    /// The index of the first of `entries`; of no meaning when there are none.
    first: u64,
    /// Index and term of what came right before `first`, where known.
    base: Option<(u64, u64)>,
    next: Next,
    latest: BTreeMap<Slot, Latest>,
}

impl Group {
    pub(super) fn first_index(&self) -> Option<u64> {
        if self.entries.is_empty() { self.next_index() } else { Some(self.first) }
    }

    pub(super) fn next_index(&self) -> Option<u64> {
        match self.next {
            Next::Unknown => None,
            Next::AtLeast(next) | Next::Exactly(next) => Some(next),
        }
    }

    pub(super) fn entry(&self, index: u64) -> Option<&IndexedEntry> {
        self.entries.get(usize::try_from(index.checked_sub(self.first)?).ok()?)
    }

    pub(super) fn term(&self, index: u64) -> Option<u64> {
        match self.base {
            Some((base, term)) if base == index => Some(term),
            _ => self.entry(index).map(|entry| entry.term),
        }
    }

    pub(super) fn range(&self, range: Range<u64>) -> impl Iterator<Item = &IndexedEntry> {
        range.map_while(|index| self.entry(index))
    }

    /// The latest metadata records, in a fixed order.
    pub(super) fn metadata(&self) -> impl Iterator<Item = &Record> {
        self.latest.values().map(|latest| &latest.record)
    }

    /// The latest metadata records that lie in segments up to `segment`.
    pub(super) fn metadata_up_to(&self, segment: u64) -> impl Iterator<Item = &Record> {
        let old = self.latest.iter().filter(move |(_, latest)| latest.segment <= segment);
        old.filter(|(slot, _)| !is_forgotten(**slot)).map(|(_, latest)| &latest.record)
    }

    /// The oldest segment with an entry that is `needed` or that no snapshot covers.
    pub(super) fn oldest_needed(&self, needed: Option<u64>) -> Option<u64> {
        let covered = match self.latest.get(&Slot::SnapshotPointer).map(|latest| &latest.record) {
            Some(Record::SnapshotPointer { start, .. }) => start.saturating_add(1),
            _ => 0,
        };
        let from = needed.unwrap_or(0).min(covered).max(self.first);
        self.entry(from).map(|entry| entry.place.segment)
    }

    /// Forgets the entries in segments up to `segment`.
    fn forget(&mut self, segment: u64) {
        while let Some(entry) = self.entries.front()
            && entry.place.segment <= segment
        {
            self.base = Some((self.first, entry.term));
            self.first += 1;
            self.entries.pop_front();
        }
    }

    fn apply(&mut self, record: &Record, place: Place, trimmed: bool) -> Result<(), Gap> {
        let slot = match record {
            Record::Entry(entry) => {
                let (group, found) = (entry.group, entry.index);
                let expected = match self.next {
                    Next::Unknown => found,
                    Next::AtLeast(next) => next.max(found),
                    Next::Exactly(next) => next,
                };
                let Some(next) = found.checked_add(1).filter(|_| found == expected) else {
                    return Err(Gap { group, expected, found });
                };
                if self.entries.is_empty() {
                    self.first = found;
                    self.base = self.base.filter(|(base, _)| base + 1 == found);
                }
                self.entries.push_back(IndexedEntry { place, term: entry.term });
                self.next = Next::Exactly(next);
                return Ok(());
            }
            Record::Truncate { from, .. } => {
                self.truncate(*from);
                return Ok(());
            }
            Record::SnapshotPointer { start, start_term, .. } => {
                self.snapshot(*start, *start_term, trimmed);
                Slot::SnapshotPointer
            }
            Record::HardState { .. } => Slot::HardState,
            Record::GroupMeta { .. } => Slot::GroupMeta,
            Record::IndexFloor { .. } => Slot::IndexFloor,
        };
        self.latest.insert(slot, Latest { record: record.clone(), segment: place.segment });
        Ok(())
    }

    fn truncate(&mut self, from: u64) {
        let kept = usize::try_from(from.saturating_sub(self.first)).unwrap_or(usize::MAX);
        self.entries.truncate(kept);
        self.next = match self.next {
            // The voided entries went with a trimmed segment.
            Next::Unknown => Next::Unknown,
            Next::AtLeast(next) => Next::AtLeast(next.min(from)),
            Next::Exactly(next) => Next::Exactly(next.min(from)),
        };
        self.base = self.base.filter(|(base, _)| *base < from);
    }

    /// A snapshot up to `start` was made here, or came from a leader that is ahead.
    fn snapshot(&mut self, start: u64, term: u64, trimmed: bool) {
        let next = start.saturating_add(1);
        let (beyond, after) = match self.next {
            Next::Unknown if !trimmed => (true, Next::Exactly(next)),
            Next::Unknown => (true, Next::AtLeast(next)),
            Next::AtLeast(known) => (start >= known, Next::AtLeast(next)),
            Next::Exactly(known) => (start >= known, Next::Exactly(next)),
        };
        if beyond {
            self.entries.clear();
            self.next = after;
        }
        if self.first_index() == Some(next) {
            self.base = Some((start, term));
        }
    }
}

/// What a planted bug lets go with its segment.
fn is_forgotten(slot: Slot) -> bool {
    (slot == Slot::HardState && Mutant::HardStateLostWithSegment.is_planted())
        || (slot == Slot::GroupMeta && Mutant::MembersLostWithSegment.is_planted())
}

/// All groups of the node.
#[derive(Debug, Default)]
pub(super) struct Groups {
    groups: BTreeMap<GroupId, Group>,
    /// Records older than those applied so far were trimmed.
    trimmed: bool,
}

impl Groups {
    /// For recovery of a log whose oldest records are gone.
    pub(super) fn of_trimmed() -> Self {
        Self { trimmed: true, ..Self::default() }
    }

    /// All records were applied: what is not known by now will not be.
    pub(super) fn settle(&mut self) {
        self.trimmed = false;
        for group in self.groups.values_mut() {
            if let Next::AtLeast(next) = group.next {
                group.next = Next::Exactly(next);
            }
        }
    }

    /// A snapshot of another history voids the entries held. That must be seen at recovery even
    /// when the entry that tells was trimmed, so a truncation is put in front of its pointer.
    pub(super) fn with_truncations<'r>(&self, records: &'r [Record]) -> Cow<'r, [Record]> {
        let pointed = |record: &Record| matches!(record, Record::SnapshotPointer { .. });
        let mut after: BTreeMap<GroupId, Group> = records
            .iter()
            .filter(|record| pointed(record))
            .map(|record| (record.group(), self.find(record.group()).cloned().unwrap_or_default()))
            .collect();
        if after.is_empty() {
            return Cow::Borrowed(records);
        }
        let place = Place { segment: 0, offset: 0, bytes: 0 };
        let mut expanded = Vec::with_capacity(records.len() + 1);
        for record in records {
            if let Some(group) = after.get_mut(&record.group()) {
                if let Record::SnapshotPointer { group: id, start, start_term, .. } = record
                    && group.entry(*start).is_some_and(|held| held.term != *start_term)
                {
                    group.truncate(*start);
                    expanded.push(Record::Truncate { group: *id, from: *start });
                }
                // Appending the batch reports a gap; here it does not matter.
                let _gap = group.apply(record, place, false);
            }
            expanded.push(record.clone());
        }
        Cow::Owned(expanded)
    }

    pub(super) fn find(&self, group: GroupId) -> Option<&Group> {
        self.groups.get(&group)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (GroupId, &Group)> {
        self.groups.iter().map(|(id, group)| (*id, group))
    }

    pub(super) fn apply(&mut self, record: &Record, place: Place) -> Result<(), Gap> {
        let trimmed = self.trimmed;
        self.groups.entry(record.group()).or_default().apply(record, place, trimmed)
    }

    pub(super) fn forget(&mut self, segment: u64) {
        for group in self.groups.values_mut() {
            group.forget(segment);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::record::{EntryKind, LogEntry};
    use bytes::Bytes;

    const GROUP: GroupId = GroupId(1);

    fn entry(index: u64, term: u64) -> Record {
        let kind = EntryKind::Normal;
        Record::Entry(LogEntry { group: GROUP, term, index, kind, payload: Bytes::new() })
    }

    fn truncate(from: u64) -> Record {
        Record::Truncate { group: GROUP, from }
    }

    fn pointer(start: u64, start_term: u64) -> Record {
        let (file, conf) = (String::new(), Bytes::new());
        Record::SnapshotPointer { group: GROUP, start, start_term, end: start, file, conf }
    }

    /// Applies records, each in a segment of its own: 0, 1, 2 and so on.
    fn group(records: &[Record]) -> Result<Group, Gap> {
        let mut group = Group::default();
        for (segment, record) in (0..).zip(records) {
            group.apply(record, Place { segment, offset: 0, bytes: 0 }, false)?;
        }
        Ok(group)
    }

    /// The first and next index, and the terms from one before the first.
    #[track_caller]
    fn check(records: &[Record], first: u64, next: u64, terms: &[Option<u64>]) {
        let group = group(records).unwrap();
        assert_eq!((group.first_index(), group.next_index()), (Some(first), Some(next)));
        let found: Vec<_> = (first - 1..next).map(|index| group.term(index)).collect();
        assert_eq!(found, terms);
    }

    #[test]
    fn entries_are_contiguous() {
        check(&[entry(5, 1), entry(6, 2)], 5, 7, &[None, Some(1), Some(2)]);
        let gap = group(&[entry(5, 1), entry(7, 1)]).unwrap_err();
        assert_eq!(gap, Gap { group: GROUP, expected: 6, found: 7 });
        group(&[entry(5, 1), entry(5, 1)]).unwrap_err();
    }

    #[test]
    fn a_truncated_suffix_is_replaced() {
        let records = [entry(5, 1), entry(6, 1), entry(7, 1), truncate(6), entry(6, 2)];
        check(&records, 5, 7, &[None, Some(1), Some(2)]);
        check(&[entry(5, 1), truncate(9), entry(6, 1)], 5, 7, &[None, Some(1), Some(1)]);
        check(&[pointer(4, 1), entry(5, 1), truncate(5)], 5, 5, &[Some(1)]);
    }

    #[test]
    fn a_snapshot_of_held_entries_keeps_them() {
        let records = [entry(5, 1), entry(6, 1), pointer(5, 1)];
        check(&records, 5, 7, &[None, Some(1), Some(1)]);
        check(&[entry(5, 1), pointer(4, 1)], 5, 6, &[Some(1), Some(1)]);
        check(&[entry(5, 1), pointer(2, 1)], 5, 6, &[None, Some(1)]);
    }

    #[test]
    fn a_snapshot_ahead_or_of_another_history_replaces_the_entries() {
        check(&[entry(5, 1), pointer(9, 3), entry(10, 3)], 10, 11, &[Some(3), Some(3)]);
        let conflict = [entry(5, 1), entry(6, 1), truncate(5), pointer(5, 2)];
        check(&conflict, 6, 6, &[Some(2)]);
    }

    #[test]
    fn behind_a_trimmed_start_an_old_snapshot_says_little() {
        let mut groups = Groups::of_trimmed();
        let place = Place { segment: 2, offset: 0, bytes: 0 };
        // The entries 5 to 7, which this snapshot left alone, were trimmed.
        groups.apply(&pointer(4, 1), place).unwrap();
        groups.apply(&entry(8, 1), place).unwrap();
        groups.apply(&entry(10, 1), place).unwrap_err();
        assert_eq!(groups.find(GROUP).unwrap().first_index(), Some(8));
        assert_eq!(groups.find(GROUP).unwrap().term(4), None);
        let mut groups = Groups::of_trimmed();
        groups.apply(&pointer(4, 1), place).unwrap();
        groups.settle();
        groups.apply(&entry(8, 1), place).unwrap_err();
    }

    #[test]
    fn a_snapshot_of_another_history_is_preceded_by_a_truncation() {
        let mut groups = Groups::default();
        let place = Place { segment: 1, offset: 0, bytes: 0 };
        groups.apply(&entry(5, 1), place).unwrap();
        groups.apply(&entry(6, 1), place).unwrap();
        for same in [vec![pointer(5, 1)], vec![entry(7, 2), pointer(7, 2)], vec![pointer(9, 9)]] {
            assert_eq!(*groups.with_truncations(&same), same);
        }
        let other = [entry(7, 1), pointer(5, 2), pointer(6, 3)];
        let [first, second, third] = other.clone();
        assert_eq!(*groups.with_truncations(&other), [first, truncate(5), second, third]);
    }
}
