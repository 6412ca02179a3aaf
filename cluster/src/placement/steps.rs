//! How a shard gets from the nodes it is on to the nodes it is wanted on.
//!
//! **Invariants:** one change at a time; a node votes only once it has nearly everything, and the
//! voters change in one joint step, so that no step leaves the shard with fewer copies than before.
//!
//! Asked by a shard's own leader: whoever asks knows the configuration for certain.

use std::collections::{BTreeMap, BTreeSet};

use crate::ids::NodeId;

/// A learner this close to the end of the log may vote.
pub const BEHIND_MAX: u64 = 1_000;

/// Who holds a shard by now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Configuration {
    pub voters: BTreeSet<NodeId>,
    pub learners: BTreeSet<NodeId>,
    /// A joint change is under way and leaves by itself.
    pub is_joint: bool,
}

/// Who is to hold it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Target {
    /// The first is to lead.
    pub voters: Vec<NodeId>,
    pub learners: BTreeSet<NodeId>,
}

/// What a leader knows of a follower.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Entries it has yet to acknowledge.
    pub behind: u64,
    /// It acknowledged something within the last second.
    pub is_live: bool,
    /// It lacks nothing but entries of the leader's log. Without, a snapshot comes first, however few
    /// entries there are.
    pub has_base: bool,
}

impl Progress {
    fn is_caught_up(self) -> bool {
        self.can_be_fed() && self.behind < BEHIND_MAX
    }

    /// Whether it would have everything soon, if there were nothing more.
    pub fn can_be_fed(self) -> bool {
        self.is_live && self.has_base
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    AddLearners(BTreeSet<NodeId>),
    /// These and no others, in one joint change.
    Become {
        voters: BTreeSet<NodeId>,
        learners: BTreeSet<NodeId>,
    },
    TransferLead(NodeId),
}

/// The next step, or none when there is nothing to do or something to wait for.
pub fn next(
    me: NodeId,
    now: &Configuration,
    target: &Target,
    followers: &BTreeMap<NodeId, Progress>,
) -> Option<Step> {
    if now.is_joint {
        return None;
    }
    let wanted: BTreeSet<_> = target.voters.iter().copied().collect();
    let present = |node: &NodeId| now.voters.contains(node) || now.learners.contains(node);
    let missing: BTreeSet<_> =
        wanted.union(&target.learners).filter(|node| !present(node)).copied().collect();
    if !missing.is_empty() {
        return Some(Step::AddLearners(missing));
    }
    let is_ready = |node: &NodeId| {
        now.voters.contains(node) || followers.get(node).is_some_and(|f| f.is_caught_up())
    };
    // A leader votes until it has handed over: the next one lets it go.
    let mut voters = wanted;
    voters.insert(me);
    let learners: BTreeSet<_> = target.learners.difference(&voters).copied().collect();
    if voters != now.voters || learners != now.learners {
        return voters.iter().all(is_ready).then_some(Step::Become { voters, learners });
    }
    let first = *target.voters.first()?;
    let may_follow = followers.get(&first).is_some_and(|follower| follower.is_caught_up());
    (first != me && may_follow).then_some(Step::TransferLead(first))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIVE: Progress = Progress { behind: 0, is_live: true, has_base: true };

    fn nodes<C: FromIterator<NodeId>>(ids: &[u64]) -> C {
        ids.iter().map(|id| NodeId(*id)).collect()
    }

    fn configuration(voters: &[u64], learners: &[u64]) -> Configuration {
        Configuration { voters: nodes(voters), learners: nodes(learners), is_joint: false }
    }

    /// Asked by node 1, with the followers given.
    #[track_caller]
    fn check(
        now: &Configuration,
        voters: &[u64],
        learners: &[u64],
        followers: &[(u64, Progress)],
        then: Option<Step>,
    ) {
        let target = Target { voters: nodes(voters), learners: nodes(learners) };
        let followers = followers.iter().map(|(id, progress)| (NodeId(*id), *progress)).collect();
        assert_eq!(next(NodeId(1), now, &target, &followers), then);
    }

    #[test]
    fn one_replica_becomes_three_by_way_of_learners() {
        let alone = configuration(&[1], &[]);
        check(&alone, &[1, 2, 3], &[], &[], Some(Step::AddLearners(nodes(&[2, 3]))));
        let learning = configuration(&[1], &[2, 3]);
        let far = Progress { behind: BEHIND_MAX, ..LIVE };
        check(&learning, &[1, 2, 3], &[], &[(2, LIVE), (3, far)], None);
        let silent = Progress { is_live: false, ..LIVE };
        check(&learning, &[1, 2, 3], &[], &[(2, LIVE), (3, silent)], None);
        let become_three = Step::Become { voters: nodes(&[1, 2, 3]), learners: nodes(&[]) };
        check(&learning, &[1, 2, 3], &[], &[(2, LIVE), (3, LIVE)], Some(become_three));
        check(&configuration(&[1, 2, 3], &[]), &[1, 2, 3], &[], &[(2, LIVE), (3, LIVE)], None);
    }

    #[test]
    fn a_node_that_waits_for_a_snapshot_neither_votes_nor_leads_however_short_the_log() {
        let empty = Progress { behind: 3, is_live: true, has_base: false };
        let learning = configuration(&[1, 2, 3], &[4]);
        check(&learning, &[4, 1, 2], &[], &[(2, LIVE), (3, LIVE), (4, empty)], None);
        let voting = configuration(&[1, 2, 4], &[]);
        check(&voting, &[4, 1, 2], &[], &[(2, LIVE), (4, empty)], None);
        let hand_over = Some(Step::TransferLead(NodeId(4)));
        check(&voting, &[4, 1, 2], &[], &[(2, LIVE), (4, LIVE)], hand_over);
    }

    #[test]
    fn a_replica_is_replaced_in_one_joint_change() {
        let now = configuration(&[1, 2, 3], &[4]);
        let replaced = Step::Become { voters: nodes(&[1, 2, 4]), learners: nodes(&[]) };
        check(&now, &[1, 2, 4], &[], &[(2, LIVE), (4, LIVE)], Some(replaced));
    }

    #[test]
    fn a_leader_that_is_to_go_hands_over_first() {
        let now = configuration(&[1], &[2]);
        let both = Step::Become { voters: nodes(&[1, 2]), learners: nodes(&[]) };
        check(&now, &[2], &[], &[(2, LIVE)], Some(both));
        let hand_over = Some(Step::TransferLead(NodeId(2)));
        check(&configuration(&[1, 2], &[]), &[2], &[], &[(2, LIVE)], hand_over);
    }

    #[test]
    fn a_leader_that_is_to_learn_votes_until_it_has_handed_over() {
        let now = configuration(&[1, 2, 3], &[]);
        let fewer = Step::Become { voters: nodes(&[1, 2]), learners: nodes(&[3]) };
        check(&now, &[2], &[1, 3], &[(2, LIVE), (3, LIVE)], Some(fewer));
        let now = configuration(&[1, 2], &[3]);
        let hand_over = Some(Step::TransferLead(NodeId(2)));
        check(&now, &[2], &[1, 3], &[(2, LIVE), (3, LIVE)], hand_over);
    }

    #[test]
    fn nothing_is_asked_while_a_joint_change_is_under_way() {
        let now = Configuration { is_joint: true, ..configuration(&[1, 2, 3], &[4]) };
        check(&now, &[1, 2, 4], &[], &[(2, LIVE), (4, LIVE)], None);
    }

    #[test]
    fn the_lead_goes_to_the_first_once_it_can_take_it() {
        let now = configuration(&[1, 2, 3], &[]);
        check(&now, &[2, 1, 3], &[], &[(3, LIVE)], None);
        check(&now, &[2, 1, 3], &[], &[(2, LIVE)], Some(Step::TransferLead(NodeId(2))));
    }

    #[test]
    fn learners_that_stay_learners_are_added_and_dropped() {
        let now = configuration(&[1], &[2]);
        check(&now, &[1], &[2], &[(2, LIVE)], None);
        check(&now, &[1], &[2, 3], &[(2, LIVE)], Some(Step::AddLearners(nodes(&[3]))));
        let alone = Step::Become { voters: nodes(&[1]), learners: nodes(&[]) };
        check(&now, &[1], &[], &[(2, LIVE)], Some(alone));
    }
}
