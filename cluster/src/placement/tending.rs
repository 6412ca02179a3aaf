//! What a group's leader does about where the group is and where it is wanted.
//!
//! **Invariants:** a node that cannot lead well is asked to last; nothing is in order that will not
//! stay so.

use std::collections::BTreeSet;

use crate::ids::{NodeId, ShardId};
use crate::placement::cluster::{Cluster, Command};
use crate::placement::steps::{self, Step, Target};
use crate::replication::members::{MemberChange, MemberStep};
use crate::shard::lead_view::LeadView;

/// What is known of the members beside what they agreed on.
pub trait Doubts {
    /// Whether a node said that it had better not lead anything.
    fn is_unfit(&self, node: NodeId) -> bool;
    /// Whether it did not take this group's lead when it was asked lately.
    fn declines(&self, node: NodeId, group: ShardId) -> bool;
}

/// What is to be done for a group.
#[derive(Debug)]
pub struct Tended {
    /// What the cluster does not know yet of who votes.
    pub report: Option<Command>,
    pub step: Option<Step>,
    /// It is where it is wanted, and known to be there.
    pub in_order: bool,
}

/// Asked by the group's leader; `None` for a group that the cluster does not know.
pub fn tend(
    me: NodeId,
    group: ShardId,
    cluster: &Cluster,
    view: &LeadView,
    doubts: &impl Doubts,
) -> Option<Tended> {
    let place = cluster.place(group)?;
    let learners =
        if group.is_everywhere() { cluster.learners_everywhere(place) } else { BTreeSet::new() };
    let mut voters = place.wanted.clone();
    // That passes with time.
    let is_final = !voters.iter().any(|node| doubts.declines(*node, group));
    // The sort keeps the order among equals.
    voters.sort_by_key(|node| doubts.is_unfit(*node) || doubts.declines(*node, group));
    let LeadView { configuration, followers, changed_at } = view;
    let is_known = configuration.voters == place.voters;
    let report = (!configuration.is_joint && !is_known).then(|| Command::Report {
        shard: group,
        voters: configuration.voters.clone(),
        at: *changed_at,
    });
    let step = steps::next(me, configuration, &Target { voters, learners }, followers);
    let in_order = step.is_none() && is_known && is_final;
    Some(Tended { report, step, in_order })
}

/// A step in the group's own terms.
pub fn change_of(step: &Step, view: &LeadView) -> MemberChange {
    let now = &view.configuration;
    let steps = match step {
        Step::AddLearners(nodes) => nodes.iter().copied().map(MemberStep::AddLearner).collect(),
        Step::Become { voters, learners } => {
            let votes = voters.difference(&now.voters).copied().map(MemberStep::AddVoter);
            let learns = learners.difference(&now.learners).copied().map(MemberStep::AddLearner);
            let goes = now.voters.union(&now.learners).copied();
            let goes = goes.filter(|node| !voters.contains(node) && !learners.contains(node));
            votes.chain(learns).chain(goes.map(MemberStep::Remove)).collect()
        }
        Step::TransferLead(_) => Vec::new(),
    };
    MemberChange { steps }
}
