//! What the records of a log say together: entries without a gap, members and snapshots.
//!
//! **Invariants:** a gap is reported once, and never behind damage: what was lost there is unknown.

use std::collections::BTreeMap;

use storage::log::Record;

#[derive(Default)]
pub(super) struct Groups {
    by_shard: BTreeMap<u32, Group>,
}

#[derive(Default)]
struct Group {
    /// The entry expected next, where it is known.
    next: Option<u64>,
    has_members: bool,
    snapshot: Option<String>,
}

impl Groups {
    /// Takes the next record of the log; an error says how it does not fit.
    pub(super) fn take(&mut self, record: &Record) -> Result<(), String> {
        let shard = record.group().0;
        let group = self.by_shard.entry(shard).or_default();
        match record {
            Record::Entry(entry) => {
                let expected = group.next.replace(entry.index.saturating_add(1));
                match expected {
                    Some(expected) if expected != entry.index => {
                        let found = entry.index;
                        Err(format!("shard {shard} expects entry {expected}, found is {found}"))
                    }
                    Some(_) | None => Ok(()),
                }
            }
            Record::Truncate { from, .. } => {
                group.next = group.next.map(|next| next.min(*from));
                Ok(())
            }
            Record::SnapshotPointer { start, file, .. } => {
                // Of nothing: the replica let go of everything it held.
                group.snapshot = Some(file.clone()).filter(|_| *start > 0);
                let beyond = start.saturating_add(1);
                group.next = group.next.map(|next| next.max(beyond));
                Ok(())
            }
            Record::GroupMeta { .. } => {
                group.has_members = true;
                Ok(())
            }
            Record::HardState { .. } | Record::IndexFloor { .. } => Ok(()),
        }
    }

    /// Records were lost: any entry may come next.
    pub(super) fn skip(&mut self) {
        self.by_shard.values_mut().for_each(|group| group.next = None);
    }

    pub(super) fn known(&self) -> impl Iterator<Item = u32> {
        self.by_shard.keys().copied()
    }

    pub(super) fn has_members(&self, shard: u32) -> bool {
        self.by_shard.get(&shard).is_some_and(|group| group.has_members)
    }

    /// The snapshots that the log goes on from.
    pub(super) fn snapshots(&self) -> impl Iterator<Item = (u32, &str)> {
        self.by_shard.iter().filter_map(|(shard, group)| Some((*shard, group.snapshot.as_deref()?)))
    }
}

#[cfg(test)]
mod tests {
    use storage::log::{EntryKind, GroupId, LogEntry};

    use super::*;

    const GROUP: GroupId = GroupId(3);

    fn entry(index: u64) -> Record {
        let (term, kind) = (1, EntryKind::Normal);
        Record::Entry(LogEntry { group: GROUP, term, index, kind, payload: "x".into() })
    }

    #[track_caller]
    fn check(records: &[Record], gaps: usize) {
        let mut groups = Groups::default();
        let found = records.iter().filter(|record| groups.take(record).is_err()).count();
        assert_eq!(found, gaps);
    }

    #[test]
    fn a_gap_is_found_once() {
        check(&[entry(5), entry(6), entry(8), entry(9)], 1);
        check(&[entry(5), entry(6), entry(6)], 1);
    }

    #[test]
    fn voided_and_covered_entries_are_no_gap() {
        let truncate = Record::Truncate { group: GROUP, from: 6 };
        check(&[entry(5), entry(6), entry(7), truncate, entry(6)], 0);
        let pointer = Record::SnapshotPointer {
            group: GROUP,
            start: 9,
            start_term: 1,
            end: 9,
            file: "snapshots/a".into(),
            conf: "".into(),
        };
        check(&[entry(5), pointer.clone(), entry(10)], 0);
        check(&[entry(5), pointer, entry(12)], 1);
    }

    #[test]
    fn behind_damage_any_entry_may_follow() {
        let mut groups = Groups::default();
        groups.take(&entry(1)).unwrap();
        groups.skip();
        groups.take(&entry(7)).unwrap();
        groups.take(&entry(9)).unwrap_err();
    }
}
