//! Who votes in a group, who only learns, and how that changes.
//!
//! **Invariants:** a change is one or two log entries and takes effect where it is applied, in the
//! same order on every replica; a replica never goes back to members it has left behind: it keeps
//! the latest it applied, with the index of that change, and skips changes up to there.
//!
//! A change travels in a format of its own. Raft-rs wants its own encoding beside it when a leader
//! proposes, and that one never leaves the process.

use bytes::Bytes;
use raft::eraftpb::{
    ConfChangeSingle, ConfChangeTransition, ConfChangeType, ConfChangeV2, ConfState,
};
use serde::{Deserialize, Serialize};
use storage::codec;
use storage::log::{GroupId, Record};

use crate::entity::DecodeError;
use crate::ids::NodeId;
use crate::shard::versioned;

const CHANGE_VERSION: u16 = 1;
/// The first format had no version before it. Its one voter makes it begin as if it had this one.
const UNVERSIONED: u16 = 1;
pub(crate) const MEMBERS_VERSION: u16 = 2;

/// The members of a group as of one index of its log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupMembers {
    pub voters: Vec<u64>,
    pub learners: Vec<u64>,
    /// The voters before a change that is under way: their majority is needed too.
    pub voters_outgoing: Vec<u64>,
    /// Voters that become learners when the change is through.
    pub learners_next: Vec<u64>,
    pub auto_leave: bool,
    /// The index of the change that made it so; zero at the group's birth.
    pub at: u64,
}

/// One replica's part in a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum MemberStep {
    AddVoter(NodeId),
    AddLearner(NodeId),
    Remove(NodeId),
}

/// Steps that take effect together.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberChange {
    /// Empty: the change that is under way ends.
    pub steps: Vec<MemberStep>,
}

/// Members as the first format has them.
#[derive(Deserialize)]
pub(crate) struct Unversioned {
    pub(crate) voters: Vec<u64>,
}

impl GroupMembers {
    /// Replicas a group may have, learners included. Also bounds what a decoder accepts.
    pub const MEMBERS_MAX: usize = 256;

    pub fn voters(voters: &[NodeId]) -> Self {
        Self { voters: voters.iter().map(|node| node.0).collect(), ..Self::default() }
    }

    pub(crate) fn only(node: NodeId) -> Self {
        Self::voters(&[node])
    }

    /// Whether a node has a part in the group.
    pub fn contains(&self, node: NodeId) -> bool {
        let all = [&self.voters, &self.learners, &self.voters_outgoing, &self.learners_next];
        all.into_iter().any(|ids| ids.contains(&node.0))
    }

    pub(crate) fn has_voter(&self, node: NodeId) -> bool {
        self.voters.contains(&node.0) || self.voters_outgoing.contains(&node.0)
    }

    /// Which voter a node is, and how many there are; whoever is none counts as the first.
    pub(crate) fn place_among_voters(&self, node: NodeId) -> (u64, u64) {
        let leaving = self.voters_outgoing.iter().filter(|id| !self.voters.contains(id));
        let voters = || self.voters.iter().chain(leaving.clone());
        let before = voters().filter(|id| **id < node.0).count();
        let place = if self.has_voter(node) { before } else { 0 };
        (place as u64, voters().count() as u64)
    }

    /// Whether nobody but `node` has a part in the group.
    pub(crate) fn is_only(&self, node: NodeId) -> bool {
        self.voters == [node.0] && self.learners.is_empty() && !self.is_changing()
    }

    /// Whether a change is under way.
    pub fn is_changing(&self) -> bool {
        !self.voters_outgoing.is_empty()
    }

    pub(crate) fn encode(&self) -> Bytes {
        Bytes::from(codec::encode_versioned(MEMBERS_VERSION, self))
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        if is_unversioned(bytes) {
            let damaged = |why: String| DecodeError { what: "group members", why };
            let Unversioned { voters } =
                codec::decode(bytes).map_err(|error| damaged(error.to_string()))?;
            return Ok(Self { voters, ..Self::default() });
        }
        versioned::decode("group members", MEMBERS_VERSION, bytes)
    }

    pub(crate) fn record(&self, group: GroupId) -> Record {
        Record::GroupMeta { group, payload: self.encode() }
    }

    pub(crate) fn to_conf_state(&self) -> ConfState {
        ConfState {
            voters: self.voters.clone(),
            learners: self.learners.clone(),
            voters_outgoing: self.voters_outgoing.clone(),
            learners_next: self.learners_next.clone(),
            auto_leave: self.auto_leave,
            ..ConfState::default()
        }
    }

    /// Sorted, as the order in which raft-rs lists members is nobody's business.
    pub(crate) fn from_conf_state(conf: &ConfState, at: u64) -> Self {
        let sorted = |ids: &[u64]| {
            let mut ids = ids.to_vec();
            ids.sort_unstable();
            ids
        };
        Self {
            voters: sorted(&conf.voters),
            learners: sorted(&conf.learners),
            voters_outgoing: sorted(&conf.voters_outgoing),
            learners_next: sorted(&conf.learners_next),
            auto_leave: conf.auto_leave,
            at,
        }
    }
}

/// Whether bytes are of the first format, in which a group had one voter.
pub(crate) fn is_unversioned(bytes: &[u8]) -> bool {
    matches!(codec::split_version(bytes), Ok((UNVERSIONED, _)))
}

impl MemberChange {
    /// The change as an entry's payload; ending a change has an empty one, as raft-rs makes it.
    pub(crate) fn encode(&self) -> Vec<u8> {
        if self.steps.is_empty() {
            return Vec::new();
        }
        codec::encode_versioned(CHANGE_VERSION, &self.steps)
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        if bytes.is_empty() {
            return Ok(Self::default());
        }
        let steps: Vec<MemberStep> = versioned::decode("member change", CHANGE_VERSION, bytes)?;
        if steps.len() > GroupMembers::MEMBERS_MAX {
            let why = format!("{} steps", steps.len());
            return Err(DecodeError { what: "member change", why });
        }
        Ok(Self { steps })
    }

    /// Whether a node is a voter before and not after.
    pub(crate) fn demotes(&self, node: NodeId) -> bool {
        self.steps.iter().any(|step| match step {
            MemberStep::AddVoter(_) => false,
            MemberStep::AddLearner(id) | MemberStep::Remove(id) => *id == node,
        })
    }

    /// In raft-rs' terms: always through joint consensus when more than one thing changes.
    pub(crate) fn to_raft(&self) -> ConfChangeV2 {
        let single = |step: &MemberStep| {
            let (change_type, node) = match step {
                MemberStep::AddVoter(node) => (ConfChangeType::AddNode, node),
                MemberStep::AddLearner(node) => (ConfChangeType::AddLearnerNode, node),
                MemberStep::Remove(node) => (ConfChangeType::RemoveNode, node),
            };
            ConfChangeSingle { change_type, node_id: node.0, ..ConfChangeSingle::default() }
        };
        let changes: Vec<_> = self.steps.iter().map(single).collect();
        ConfChangeV2 {
            transition: ConfChangeTransition::Auto,
            changes: changes.into(),
            ..ConfChangeV2::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn members() -> GroupMembers {
        GroupMembers {
            voters: vec![1, 2, 4],
            learners: vec![5],
            voters_outgoing: vec![1, 2, 3],
            learners_next: vec![3],
            auto_leave: true,
            at: 77,
        }
    }

    #[test]
    fn members_survive_their_bytes_and_raft_rs() {
        assert_eq!(GroupMembers::decode(&members().encode()).expect("own bytes"), members());
        let conf = members().to_conf_state();
        assert_eq!(GroupMembers::from_conf_state(&conf, 77), members());
    }

    #[test]
    fn the_first_format_is_still_read() {
        let first = codec::encode(&vec![9_u64]);
        let read = GroupMembers::decode(&first).expect("the first format");
        assert_eq!(read, GroupMembers::only(NodeId(9)));
    }

    #[test]
    fn a_change_survives_its_bytes_and_its_end_is_empty() {
        let steps = vec![
            MemberStep::AddVoter(NodeId(4)),
            MemberStep::AddLearner(NodeId(5)),
            MemberStep::Remove(NodeId(1)),
        ];
        let change = MemberChange { steps };
        assert_eq!(MemberChange::decode(&change.encode()).expect("own bytes"), change);
        assert!(change.demotes(NodeId(1)) && !change.demotes(NodeId(4)));
        assert_eq!(MemberChange::default().encode(), Vec::<u8>::new());
        assert_eq!(MemberChange::decode(&[]).expect("empty"), MemberChange::default());
        MemberChange::decode(&[1, 0, 9]).expect_err("cut short");
    }
}
