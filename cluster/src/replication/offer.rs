//! A snapshot as one replica offers it to another: what it is, not what is in it.
//!
//! **Invariants:** the description that travels in a message names one file exactly; the members
//! are those at the snapshot's start, because changes after it are in the log that follows.

use bytes::Bytes;
use raft::eraftpb::{Snapshot, SnapshotMetadata};
use serde::{Deserialize, Serialize};
use storage::codec;
use storage::log::Record;
use storage::snapshot::SnapshotMeta;

use crate::entity::DecodeError;
use crate::ids::{NodeId, ShardId};
use crate::replication::group::group_of;
use crate::replication::members::GroupMembers;
use crate::replication::recovery::CoveredBy;
use crate::shard::versioned;

const VERSION: u16 = 1;

/// A snapshot that can be fetched from the node that offers it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotOffer {
    pub meta: SnapshotMeta,
    /// The highest position inside: before it is applied, the state is of no single moment.
    pub end: u64,
    /// The file's length.
    pub bytes: u64,
    pub members: GroupMembers,
}

/// What the message says besides Raft's own words.
#[derive(Serialize, Deserialize)]
struct Description {
    shard: u32,
    id: u64,
    end: u64,
    bytes: u64,
}

impl SnapshotOffer {
    pub fn shard(&self) -> ShardId {
        ShardId(self.meta.shard)
    }

    /// Whether a replica that lacks everything before `log_start` can go on from it.
    pub(crate) fn serves(&self, to: NodeId, at_least: u64) -> bool {
        self.meta.start >= at_least && self.meta.start > 0 && self.members.contains(to)
    }

    /// What the log says once `file` is this snapshot, whole and durable.
    pub(crate) fn pointer(&self, file: &str) -> Record {
        Record::SnapshotPointer {
            group: group_of(self.shard()),
            start: self.meta.start,
            start_term: self.meta.start_term,
            end: self.end,
            file: file.to_owned(),
            conf: CoveredBy {
                members: self.members.clone(),
                history_to: None,
                since: self.meta.start,
            }
            .encode(),
        }
    }

    pub(crate) fn to_raft(&self) -> Snapshot {
        let SnapshotMeta { shard, start, start_term, id } = self.meta;
        let mut metadata =
            SnapshotMetadata { index: start, term: start_term, ..SnapshotMetadata::default() };
        metadata.set_conf_state(self.members.to_conf_state());
        let description = Description { shard, id, end: self.end, bytes: self.bytes };
        let data = Bytes::from(codec::encode_versioned(VERSION, &description));
        let mut snapshot = Snapshot { data, ..Snapshot::default() };
        snapshot.set_metadata(metadata);
        snapshot
    }

    pub(crate) fn from_raft(snapshot: &Snapshot) -> Result<Self, DecodeError> {
        let Description { shard, id, end, bytes } =
            versioned::decode("snapshot offer", VERSION, &snapshot.data)?;
        let metadata = snapshot.get_metadata();
        let (start, start_term) = (metadata.index, metadata.term);
        if start == 0 || end < start {
            let why = format!("it claims to hold {start} to {end}");
            return Err(DecodeError { what: "snapshot offer", why });
        }
        Ok(Self {
            meta: SnapshotMeta { shard, start, start_term, id },
            end,
            bytes,
            members: GroupMembers::from_conf_state(metadata.get_conf_state(), start),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offer() -> SnapshotOffer {
        let members = GroupMembers { at: 90, ..GroupMembers::voters(&[NodeId(1), NodeId(2)]) };
        let meta = SnapshotMeta { shard: 3, start: 90, start_term: 4, id: 5 };
        SnapshotOffer { meta, end: 95, bytes: 1_000, members }
    }

    #[test]
    fn an_offer_survives_its_message() {
        assert_eq!(SnapshotOffer::from_raft(&offer().to_raft()), Ok(offer()));
    }

    #[test]
    fn an_offer_without_a_start_or_with_an_early_end_is_refused() {
        let mut early = offer();
        early.end = 89;
        SnapshotOffer::from_raft(&early.to_raft()).expect_err("it ends before it starts");
        SnapshotOffer::from_raft(&Snapshot::default()).expect_err("nothing");
    }

    #[test]
    fn an_offer_serves_members_from_its_start_on() {
        assert!(offer().serves(NodeId(1), 90));
        assert!(!offer().serves(NodeId(1), 91));
        assert!(!offer().serves(NodeId(3), 90));
    }
}
