//! What a log's records mean, told a second time and more simply; and a source of valid records.

use bytes::Bytes;
use std::collections::BTreeMap;
use storage::log::{EntryKind, GroupId, LogEntry, Record};
use storage::sim_disk::SplitMix64;

pub(super) const GROUPS: u64 = 4;

#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct GroupModel {
    pub(super) entries: BTreeMap<u64, LogEntry>,
    /// The index that comes next, once anything is known of it.
    pub(super) next: Option<u64>,
    /// The latest hard state, metadata, pointer and floor.
    pub(super) latest: [Option<Record>; 4],
}

impl GroupModel {
    pub(super) fn covered(&self) -> u64 {
        match self.latest[2] {
            Some(Record::SnapshotPointer { start, .. }) => start,
            _ => 0,
        }
    }
}

/// The meaning of a run of records.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Model {
    pub(super) groups: BTreeMap<GroupId, GroupModel>,
}

impl Model {
    pub(super) fn of(records: &[Record]) -> Self {
        let mut model = Self::default();
        for record in records {
            model.apply(record);
        }
        model
    }

    pub(super) fn apply(&mut self, record: &Record) {
        let group = self.groups.entry(record.group()).or_default();
        let slot = match record {
            Record::Entry(entry) => {
                // Only what lay before a trimmed start can be missing.
                if group.next.is_some_and(|next| next != entry.index) {
                    assert!(group.next < Some(entry.index));
                    group.entries.clear();
                }
                group.next = Some(entry.index + 1);
                group.entries.insert(entry.index, entry.clone());
                return;
            }
            Record::Truncate { from, .. } => {
                group.entries.split_off(from);
                group.next = group.next.map(|next| next.min(*from));
                return;
            }
            Record::SnapshotPointer { start, .. } => {
                if group.next.is_none_or(|next| *start >= next) {
                    group.entries.clear();
                    group.next = Some(start + 1);
                }
                2
            }
            Record::HardState { .. } => 0,
            Record::GroupMeta { .. } => 1,
            Record::IndexFloor { .. } => 3,
        };
        group.latest[slot] = Some(record.clone());
    }

    /// Whether `self` may be what is recovered of `whole` after entries below `floors` were
    /// allowed to go.
    pub(super) fn matches(&self, whole: &Self, floors: &BTreeMap<GroupId, u64>) -> bool {
        let empty = GroupModel::default();
        let ids = self.groups.keys().chain(whole.groups.keys());
        ids.into_iter().all(|id| {
            let found = self.groups.get(id).unwrap_or(&empty);
            let wanted = whole.groups.get(id).unwrap_or(&empty);
            let floor = floors.get(id).copied().unwrap_or(0);
            let next_known = found.next.is_some() || wanted.entries.range(floor..).next().is_none();
            found.latest == wanted.latest
                && next_known
                && found.next.is_none_or(|next| Some(next) == wanted.next)
                && found.entries.iter().all(|(at, entry)| wanted.entries.get(at) == Some(entry))
                && wanted.entries.range(floor..).all(|(at, _)| found.entries.contains_key(at))
        })
    }
}

/// A record that is appended, or that the log puts in by itself.
pub(super) enum Step {
    Appended(Record),
    Implied(Record),
}

/// A batch of records that may follow the ones in `model`, which is brought up to date.
pub(super) fn batch(model: &mut Model, random: &mut SplitMix64) -> Vec<Step> {
    let mut records = Vec::new();
    for _ in 0..=random.below(4) {
        let group = GroupId(u32::try_from(random.below(GROUPS)).unwrap());
        let state = model.groups.get(&group).cloned().unwrap_or_default();
        let next = state.next.unwrap_or(1);
        let last_term = state.entries.values().next_back().map_or(1, |entry| entry.term);
        let new: Vec<Record> = match random.below(20) {
            0 => {
                let (term, vote) = (random.below(9), random.below(4));
                vec![Record::HardState { group, term, vote, commit: next - 1 }]
            }
            1 => vec![Record::GroupMeta { group, payload: payload(random, 200) }],
            2 => vec![Record::IndexFloor { group, position: next - 1 }],
            3 if next > state.covered() + 1 => {
                let from = state.covered() + 1 + random.below(next - state.covered() - 1);
                let entry = entry(group, last_term + 1, from, random);
                vec![Record::Truncate { group, from }, entry]
            }
            4 | 5 => {
                let (file, conf) = (format!("snapshots/{group}-{next}"), payload(random, 60));
                // Mostly a snapshot of entries held, sometimes one sent by a leader far ahead.
                let ahead = random.one_in(4);
                // Snapshots do not go back, and entries before the last one may be trimmed.
                let low = state.entries.keys().next().copied().unwrap_or(next);
                let low = low.max(state.covered() + 1).min(next);
                let held = low + random.below(next - low);
                let (start, start_term) = match state.entries.get(&held) {
                    Some(entry) if !ahead => (held, entry.term + u64::from(random.one_in(4))),
                    _ => (next + random.below(5), last_term + 1),
                };
                if state.entries.get(&start).is_some_and(|entry| entry.term != start_term) {
                    records.push(Step::Implied(Record::Truncate { group, from: start }));
                    model.apply(&Record::Truncate { group, from: start });
                }
                vec![Record::SnapshotPointer { group, start, start_term, end: next, file, conf }]
            }
            _ => (0..=random.below(3))
                .map(|ahead| entry(group, last_term, next + ahead, random))
                .collect(),
        };
        for record in &new {
            model.apply(record);
        }
        records.extend(new.into_iter().map(Step::Appended));
    }
    records
}

fn entry(group: GroupId, term: u64, index: u64, random: &mut SplitMix64) -> Record {
    let kind = match random.below(10) {
        0 => EntryKind::ConfChange,
        1 => EntryKind::ConfChangeV2,
        _ => EntryKind::Normal,
    };
    let bytes_max = if random.one_in(8) { 1700 } else { 250 };
    Record::Entry(LogEntry { group, term, index, kind, payload: payload(random, bytes_max) })
}

/// Noise, or zeros with noise in between: unwritten sectors must not be mistaken for these.
fn payload(random: &mut SplitMix64, bytes_max: u64) -> Bytes {
    let sparse = random.one_in(3);
    let bytes = random.below(bytes_max + 1);
    (0..bytes)
        .map(
            |_| if sparse && !random.one_in(2000) { 0 } else { random.next_u64().to_le_bytes()[0] },
        )
        .collect()
}
