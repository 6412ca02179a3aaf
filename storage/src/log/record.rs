//! What the log keeps, as values.
//!
//! **Invariants:**
//! - a record is kind, group, term and index plus a payload, and decodes to what was encoded;
//! - a kind's number is never given to another kind.

use bytes::{Buf, BufMut, Bytes};
use std::fmt;

/// A replicated group of this node: a shard, or one of the groups that live on every node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupId(pub u32);

impl fmt::Display for GroupId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// What an entry's payload is to the replication layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryKind {
    Normal,
    ConfChange,
    ConfChangeV2,
}

/// One entry of a group's replicated log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogEntry {
    pub group: GroupId,
    pub term: u64,
    pub index: u64,
    pub kind: EntryKind,
    pub payload: Bytes,
}

/// One record of the node's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record {
    Entry(LogEntry),
    HardState {
        group: GroupId,
        term: u64,
        vote: u64,
        commit: u64,
    },
    /// The entries from `from` on are void, as a new leader has others there.
    Truncate {
        group: GroupId,
        from: u64,
    },
    /// A snapshot file covers everything up to `start`, so entries up to there may go. The file
    /// holds records as late as `end`; `conf` is opaque.
    ///
    /// With a `start` at or after the next index, all entries held are void and the next one is
    /// `start + 1`. So it is when an entry of another term is held at `start`: the log then puts a
    /// `Truncate` from `start` in front.
    SnapshotPointer {
        group: GroupId,
        start: u64,
        start_term: u64,
        end: u64,
        file: String,
        conf: Bytes,
    },
    /// Opaque metadata of a group, of which the latest counts.
    GroupMeta {
        group: GroupId,
        payload: Bytes,
    },
    /// The state index durably holds everything at or before `position`.
    IndexFloor {
        group: GroupId,
        position: u64,
    },
}

/// The kinds on disk: those of [`Record`] and two of the log's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Normal,
    ConfChange,
    ConfChangeV2,
    HardState,
    Truncate,
    SnapshotPointer,
    GroupMeta,
    IndexFloor,
    /// Its index is the sequence number of the first segment that must exist.
    TrimPoint,
    /// Nothing follows in this segment; another segment does.
    SegmentEnd,
}

impl Kind {
    const ALL: [Self; 10] = [
        Self::Normal,
        Self::ConfChange,
        Self::ConfChangeV2,
        Self::HardState,
        Self::Truncate,
        Self::SnapshotPointer,
        Self::GroupMeta,
        Self::IndexFloor,
        Self::TrimPoint,
        Self::SegmentEnd,
    ];

    pub(super) const fn code(self) -> u8 {
        match self {
            Self::Normal => 1,
            Self::ConfChange => 2,
            Self::ConfChangeV2 => 3,
            Self::HardState => 4,
            Self::Truncate => 5,
            Self::SnapshotPointer => 6,
            Self::GroupMeta => 7,
            Self::IndexFloor => 8,
            Self::TrimPoint => 9,
            Self::SegmentEnd => 10,
        }
    }

    pub(super) fn from_code(code: u8) -> Option<Self> {
        Self::ALL.get(usize::from(code).checked_sub(1)?).copied()
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Normal => "entry",
            Self::ConfChange => "conf change entry",
            Self::ConfChangeV2 => "conf change v2 entry",
            Self::HardState => "hard state",
            Self::Truncate => "truncate",
            Self::SnapshotPointer => "snapshot pointer",
            Self::GroupMeta => "group meta",
            Self::IndexFloor => "index floor",
            Self::TrimPoint => "trim point",
            Self::SegmentEnd => "segment end",
        }
    }

    pub(super) const fn entry(self) -> Option<EntryKind> {
        match self {
            Self::Normal => Some(EntryKind::Normal),
            Self::ConfChange => Some(EntryKind::ConfChange),
            Self::ConfChangeV2 => Some(EntryKind::ConfChangeV2),
            Self::HardState
            | Self::Truncate
            | Self::SnapshotPointer
            | Self::GroupMeta
            | Self::IndexFloor
            | Self::TrimPoint
            | Self::SegmentEnd => None,
        }
    }
}

/// The part of a record that is never sealed and stands in its head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Label {
    pub(super) kind: Kind,
    pub(super) group: GroupId,
    pub(super) term: u64,
    pub(super) index: u64,
}

impl Label {
    /// What a sealed payload is bound to.
    pub(super) fn associated_data(&self) -> [u8; 21] {
        let mut aad = [0; 21];
        let mut rest = aad.as_mut_slice();
        rest.put_u8(self.kind.code());
        rest.put_u32_le(self.group.0);
        rest.put_u64_le(self.term);
        rest.put_u64_le(self.index);
        aad
    }
}

impl Record {
    /// The group whose record this is.
    pub const fn group(&self) -> GroupId {
        match self {
            Self::Entry(entry) => entry.group,
            Self::HardState { group, .. }
            | Self::Truncate { group, .. }
            | Self::SnapshotPointer { group, .. }
            | Self::GroupMeta { group, .. }
            | Self::IndexFloor { group, .. } => *group,
        }
    }

    pub(super) fn label(&self) -> Label {
        let (kind, term, index) = match self {
            Self::Entry(entry) => {
                let kind = match entry.kind {
                    EntryKind::Normal => Kind::Normal,
                    EntryKind::ConfChange => Kind::ConfChange,
                    EntryKind::ConfChangeV2 => Kind::ConfChangeV2,
                };
                (kind, entry.term, entry.index)
            }
            Self::HardState { term, commit, .. } => (Kind::HardState, *term, *commit),
            Self::Truncate { from, .. } => (Kind::Truncate, 0, *from),
            Self::SnapshotPointer { start, start_term, .. } => {
                (Kind::SnapshotPointer, *start_term, *start)
            }
            Self::GroupMeta { .. } => (Kind::GroupMeta, 0, 0),
            Self::IndexFloor { position, .. } => (Kind::IndexFloor, 0, *position),
        };
        Label { kind, group: self.group(), term, index }
    }

    /// The payload's bytes: the record's own where it is one run of bytes, else encoded.
    pub(super) fn payload(&self) -> Bytes {
        match self {
            Self::Entry(LogEntry { payload, .. }) | Self::GroupMeta { payload, .. } => {
                payload.clone()
            }
            Self::HardState { vote, .. } => Bytes::copy_from_slice(&vote.to_le_bytes()),
            Self::Truncate { .. } | Self::IndexFloor { .. } => Bytes::new(),
            Self::SnapshotPointer { end, file, conf, .. } => {
                let mut bytes = Vec::with_capacity(16 + file.len() + conf.len());
                bytes.put_u64_le(*end);
                bytes.put_u64_le(file.len() as u64);
                bytes.put_slice(file.as_bytes());
                bytes.put_slice(conf);
                bytes.into()
            }
        }
    }

    /// The record of a label and its opened payload; `None` when they do not fit together, or the
    /// kind is the log's own.
    pub(super) fn decode(label: &Label, mut payload: Bytes) -> Option<Self> {
        let Label { kind, group, term, index } = *label;
        if let Some(kind) = kind.entry() {
            return Some(Self::Entry(LogEntry { group, term, index, kind, payload }));
        }
        let record = match kind {
            Kind::HardState => {
                let vote = payload.try_get_u64_le().ok()?;
                Self::HardState { group, term, vote, commit: index }
            }
            Kind::Truncate => Self::Truncate { group, from: index },
            Kind::SnapshotPointer => {
                let end = payload.try_get_u64_le().ok()?;
                let file_bytes = usize::try_from(payload.try_get_u64_le().ok()?).ok()?;
                if file_bytes > payload.len() {
                    return None;
                }
                let file = String::from_utf8(payload.split_to(file_bytes).into()).ok()?;
                // A copy, so that the latest pointer does not pin a whole segment in memory.
                let conf = Bytes::copy_from_slice(&payload);
                let (start, start_term) = (index, term);
                return Some(Self::SnapshotPointer { group, start, start_term, end, file, conf });
            }
            Kind::GroupMeta => {
                return Some(Self::GroupMeta { group, payload: Bytes::copy_from_slice(&payload) });
            }
            Kind::IndexFloor => Self::IndexFloor { group, position: index },
            Kind::Normal
            | Kind::ConfChange
            | Kind::ConfChangeV2
            | Kind::TrimPoint
            | Kind::SegmentEnd => return None,
        };
        payload.is_empty().then_some(record)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_record_decodes_to_itself() {
        let group = GroupId(7);
        let entry = |kind| {
            Record::Entry(LogEntry { group, term: 3, index: 9, kind, payload: "tea".into() })
        };
        let records = [
            entry(EntryKind::Normal),
            entry(EntryKind::ConfChange),
            entry(EntryKind::ConfChangeV2),
            Record::HardState { group, term: 4, vote: 2, commit: 8 },
            Record::Truncate { group, from: 5 },
            Record::SnapshotPointer {
                group,
                start: 6,
                start_term: 2,
                end: 8,
                file: "snapshots/7-6".into(),
                conf: "conf".into(),
            },
            Record::GroupMeta { group, payload: "meta".into() },
            Record::IndexFloor { group, position: 4 },
        ];
        for record in records {
            let decoded = Record::decode(&record.label(), record.payload());
            assert_eq!(decoded.as_ref(), Some(&record));
        }
    }

    #[test]
    fn a_payload_of_the_wrong_size_is_no_record() {
        let label = |kind| Label { kind, group: GroupId(1), term: 1, index: 1 };
        assert_eq!(Record::decode(&label(Kind::HardState), "short".into()), None);
        assert_eq!(Record::decode(&label(Kind::HardState), "123456789".into()), None);
        assert_eq!(Record::decode(&label(Kind::Truncate), "x".into()), None);
        let mut pointer = vec![0; 8];
        pointer.extend_from_slice(&u64::MAX.to_le_bytes());
        assert_eq!(Record::decode(&label(Kind::SnapshotPointer), pointer.into()), None);
        assert_eq!(Record::decode(&label(Kind::SegmentEnd), Bytes::new()), None);
    }

    #[test]
    fn every_kind_has_its_own_code() {
        for kind in Kind::ALL {
            assert_eq!(Kind::from_code(kind.code()), Some(kind));
        }
        assert_eq!(Kind::from_code(0), None);
        assert_eq!(Kind::from_code(11), None);
    }
}
