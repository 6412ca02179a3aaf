//! What a leader knows of its group: for whoever places replicas.

use std::collections::{BTreeMap, BTreeSet};

use crate::ids::NodeId;
use crate::placement::steps::{Configuration, Progress};
use crate::shard::core::ShardCore;

/// A group as its leader sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeadView {
    pub configuration: Configuration,
    pub followers: BTreeMap<NodeId, Progress>,
    /// The log index of the change that made the configuration.
    pub changed_at: u64,
}

impl ShardCore {
    /// `None` on a replica that does not lead.
    pub fn lead_view(&self) -> Option<LeadView> {
        if !self.leads_started() {
            return None;
        }
        let members = self.group.members();
        let nodes = |ids: &[u64]| ids.iter().map(|id| NodeId(*id)).collect::<BTreeSet<_>>();
        let configuration = Configuration {
            voters: nodes(&members.voters),
            learners: nodes(&members.learners),
            is_joint: members.is_changing() || self.group.is_transferring(),
        };
        let mut followers = self.group.progress();
        if self.rests() {
            // They say nothing, as they agreed when they had everything: that is no sign of absence.
            followers.values_mut().for_each(|follower| follower.is_live = true);
        }
        Some(LeadView { configuration, followers, changed_at: members.at })
    }

    pub fn is_fenced(&self) -> bool {
        self.fenced.is_some()
    }

    /// Whether nobody else votes in the group.
    pub fn is_sole_voter(&self) -> bool {
        self.group.is_only_voter()
    }

    pub fn leads(&self) -> bool {
        self.leads_started()
    }

    /// The leader as far as it is known; nobody when it is this replica.
    pub fn other_leader(&self) -> Option<NodeId> {
        self.group.other_leader()
    }

    /// The index before the first one that this replica's log must hold.
    pub fn log_start(&self) -> u64 {
        self.group.log_start()
    }

    /// Whether this replica is one: before it was ever given anything, it is not.
    pub fn is_held(&self) -> bool {
        self.group.members().contains(self.node)
    }
}
