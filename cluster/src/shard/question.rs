//! What nodes ask each other about groups, as bytes.
//!
//! **Invariants:** a question says which group it is for, so the node that gets it needs to know
//! nothing else; an answer says what became of the question there and nothing of the sender.

use serde::{Deserialize, Serialize};
use storage::codec;
use storage::snapshot::SnapshotMeta;

use crate::entity::DecodeError;
use crate::ids::{EntityRef, ShardId};
use crate::shard::io::{Command, Query, Reply};
use crate::shard::outbox::Tell;
use crate::shard::versioned;
use crate::wire::Lane;

const VERSION: u16 = 1;

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Question {
    Command {
        group: ShardId,
        command: Command,
    },
    Query {
        group: ShardId,
        query: Query,
    },
    /// A tell for an entity of `group`.
    Tell {
        group: ShardId,
        tell: Tell,
    },
    /// `target` has recorded the outcomes of the tells of `group` up to this number.
    TellsAcked {
        group: ShardId,
        target: ShardId,
        up_to: u64,
    },
    /// Whether the asking node may be given something to lead.
    Fitness(Fitness),
    /// A piece of a snapshot that the asked node offered.
    Piece {
        group: ShardId,
        start: u64,
        start_term: u64,
        id: u64,
        offset: u64,
    },
    /// What the asked node's clock says.
    Clock,
    /// The asking node should not lead this group for now, or without one any.
    Declines {
        group: Option<ShardId>,
    },
    /// Whether the asking node has a part in this group.
    Part {
        group: ShardId,
    },
    /// What happened after an index, up to another that is committed.
    History {
        group: ShardId,
        after: u64,
        to: u64,
    },
    /// What the asked node knows of itself, and of its replicas from this group on.
    Report {
        from: ShardId,
    },
    /// As `History`, of one entity.
    HistoryOf {
        group: ShardId,
        after: u64,
        to: u64,
        entity: EntityRef,
    },
}

/// Entries that happened one after the other, without any left out.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct HistoryPiece {
    /// Up to here there are no others.
    pub(crate) to: u64,
    pub(crate) entries: Vec<HistoryItem>,
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct HistoryItem {
    pub(crate) index: u64,
    #[serde(with = "crate::blob")]
    pub(crate) payload: Vec<u8>,
}

/// Whether a node is fit to lead: one that stops, or whose disk is full, is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Fitness {
    Fit,
    Unfit,
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Answer {
    Reply(Reply),
    /// Passed to the group's replica here, which leads it as far as it knows.
    Taken,
    /// Empty at the end of the file.
    Piece(#[serde(with = "crate::blob")] Vec<u8>),
    /// That snapshot is here no more, or what happened then is not here.
    Gone,
    /// Since the Unix epoch.
    Clock {
        micros: u64,
    },
    /// As of this index of the group's log.
    Part {
        as_of: u64,
        has_part: bool,
    },
    History(HistoryPiece),
    /// A `NodeReport`, which has a version of its own.
    Report(#[serde(with = "crate::blob")] Vec<u8>),
}

impl Question {
    /// What may be large travels where it delays no request.
    pub(crate) fn lane(&self) -> Lane {
        match self {
            Self::Command { .. }
            | Self::Query { .. }
            | Self::Tell { .. }
            | Self::TellsAcked { .. }
            | Self::Fitness(_)
            | Self::Clock
            | Self::Declines { .. }
            | Self::Part { .. }
            | Self::Report { .. } => Lane::Calls,
            Self::Piece { .. } | Self::History { .. } | Self::HistoryOf { .. } => Lane::Bulk,
        }
    }

    pub(crate) fn piece(meta: SnapshotMeta, offset: u64) -> Self {
        let SnapshotMeta { shard, start, start_term, id } = meta;
        Self::Piece { group: ShardId(shard), start, start_term, id, offset }
    }

    /// The question's bytes; `None` when it is larger than anything that can be read back.
    pub(crate) fn encode(&self) -> Option<Vec<u8>> {
        codec::try_encode_versioned(VERSION, self).ok()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        versioned::decode("a question of another node", VERSION, bytes)
    }
}

impl Answer {
    pub(crate) fn encode(&self) -> Option<Vec<u8>> {
        codec::try_encode_versioned(VERSION, self).ok()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        versioned::decode("an answer of another node", VERSION, bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{EntityKey, EntityKind, NodeId};
    use crate::shard::report::NodeReport;
    use proptest::prelude::*;

    #[test]
    fn questions_and_answers_survive_the_way() {
        let meta = SnapshotMeta { shard: 3, start: 9, start_term: 2, id: 77 };
        let piece = Question::piece(meta, 4_096);
        let history = Question::History { group: ShardId(3), after: 7, to: 90 };
        let key = EntityKey::Name("tea".into());
        let entity = EntityRef { kind: EntityKind(2), key };
        let of_one = Question::HistoryOf { group: ShardId(3), after: 7, to: 90, entity };
        for question in [piece, history, of_one] {
            assert_eq!(question.lane(), Lane::Bulk);
            let bytes = question.encode().expect("small");
            assert_eq!(Question::decode(&bytes), Ok(question));
        }
        for answer in [
            Answer::Reply(Reply::NotLeader { hint: Some(NodeId(3)) }),
            Answer::Piece(vec![7; 1_000]),
            Answer::Taken,
            Answer::Gone,
            Answer::Clock { micros: 9 },
            Answer::Part { as_of: 7, has_part: false },
            Answer::History(HistoryPiece {
                to: 9,
                entries: vec![HistoryItem { index: 7, payload: vec![1; 1_000] }],
            }),
            Answer::Report(NodeReport::default().encode()),
        ] {
            let bytes = answer.encode().expect("small");
            assert_eq!(Answer::decode(&bytes), Ok(answer));
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_question_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            Question::decode(&bytes).ok();
            Answer::decode(&bytes).ok();
            let versioned = [&[1, 0], bytes.as_slice()].concat();
            Question::decode(&versioned).ok();
            Answer::decode(&versioned).ok();
            NodeReport::decode(&versioned).ok();
        }
    }
}
