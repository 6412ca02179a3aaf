//! A cluster as an operator sees it: what its members agreed on, beside what each said of itself.
//!
//! **Invariants:** a node that gave no answer is shown as such, and what others say of it is never
//! taken for its own word; of two that claim to lead a shard the one of the newer term counts.

use std::collections::{BTreeMap, BTreeSet};

use crate::ids::{NodeId, ShardId};
use crate::placement::cluster::{Cluster, Place};
use crate::placement::member::Member;
use crate::placement::shard_map::ShardMap;
use crate::placement::tolerance::{Risk, risk};
use crate::shard::report::{FollowerReport, NodeReport, ReplicaReport, Role};

/// Answers of all nodes that gave one.
#[derive(Clone, Debug)]
pub struct Survey {
    /// The node that asked the others.
    pub asked: NodeId,
    pub map: ShardMap,
    pub cluster: Cluster,
    pub reports: BTreeMap<NodeId, NodeReport>,
}

/// One node.
#[derive(Clone, Debug)]
pub struct NodeView<'a> {
    pub node: NodeId,
    /// None of a node that is alone.
    pub member: Option<&'a Member>,
    /// What it says of itself; none when it gave no answer.
    pub report: Option<&'a NodeReport>,
    /// How long it was silent towards whoever heard it last.
    pub silent_ms: Option<u64>,
    /// Nodes that answered and have no whole link to it.
    pub unlinked_from: Vec<NodeId>,
    pub n_led: usize,
    pub n_held: usize,
}

/// One shard.
#[derive(Clone, Debug)]
pub struct ShardView<'a> {
    pub shard: ShardId,
    /// None in a node that is alone.
    pub place: Option<&'a Place>,
    /// By its own word, or by that of the replicas with the newest term.
    pub leader: Option<NodeId>,
    pub serving: Serving,
    pub term: u64,
    pub commit: u64,
    pub applied: u64,
    /// Committed entries that the leader, or else the foremost replica, has yet to apply.
    pub lag: u64,
    /// On the leader's disk, or else the most that any replica has.
    pub bytes: u64,
    pub voters: BTreeSet<NodeId>,
    pub learners: BTreeSet<NodeId>,
    pub is_moving: bool,
    pub replicas: Vec<ReplicaView<'a>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Serving {
    Yes,
    No,
    /// The node that is said to lead gave no answer.
    Unknown,
}

/// One replica of a shard.
#[derive(Clone, Debug)]
pub struct ReplicaView<'a> {
    pub node: NodeId,
    /// What it says of itself.
    pub report: Option<&'a ReplicaReport>,
    /// What its leader says of it.
    pub progress: Option<FollowerReport>,
}

impl Survey {
    /// Members that should have answered and did not.
    pub fn unanswered(&self) -> BTreeSet<NodeId> {
        let members = self.cluster.members().filter(|(_, member)| member.standing.takes_part());
        members.map(|(node, _)| node).filter(|node| !self.reports.contains_key(node)).collect()
    }

    /// Why the cluster would not survive the loss of a node; none when it would.
    pub fn risk(&self) -> Option<Risk> {
        risk(&self.cluster, &self.unanswered())
    }

    pub fn nodes(&self) -> Vec<NodeView<'_>> {
        let members: BTreeMap<_, _> = self.cluster.members().collect();
        let ids: BTreeSet<_> = members.keys().chain(self.reports.keys()).copied().collect();
        ids.into_iter().map(|node| self.node(node, members.get(&node).copied())).collect()
    }

    fn node<'a>(&'a self, node: NodeId, member: Option<&'a Member>) -> NodeView<'a> {
        let others = || self.reports.iter().filter(move |(other, _)| **other != node);
        let heard = |report: &NodeReport| {
            let peer = report.peers.iter().find(|peer| peer.node == node)?;
            peer.silent_ms
        };
        let report = self.reports.get(&node);
        let silent_ms = match report {
            Some(_) => Some(0),
            None => others().filter_map(|(_, report)| heard(report)).min(),
        };
        let is_unlinked = |report: &NodeReport| {
            report.peers.iter().any(|peer| peer.node == node && !peer.is_linked)
        };
        let takes_part = member.is_some_and(|member| member.standing.takes_part());
        let unlinked = others().filter(|(_, report)| takes_part && is_unlinked(report));
        let replicas = report.map_or(&[][..], |report| &report.replicas);
        let sharded = || replicas.iter().filter(|replica| replica.group != ShardId::META);
        NodeView {
            node,
            member,
            report,
            silent_ms,
            unlinked_from: unlinked.map(|(other, _)| *other).collect(),
            n_led: sharded().filter(|replica| replica.role == Role::Leads).count(),
            n_held: sharded().count(),
        }
    }

    /// The shards, then the group of the cluster itself.
    pub fn shards(&self) -> Vec<ShardView<'_>> {
        let mut by_group = BTreeMap::<ShardId, BTreeMap<NodeId, &ReplicaReport>>::new();
        for (node, report) in &self.reports {
            for replica in &report.replicas {
                by_group.entry(replica.group).or_default().insert(*node, replica);
            }
        }
        let none = BTreeMap::new();
        let said = |group| by_group.get(&group).unwrap_or(&none);
        self.map.groups().map(|group| self.shard(group, said(group))).collect()
    }

    fn shard<'a>(
        &'a self,
        shard: ShardId,
        said: &BTreeMap<NodeId, &'a ReplicaReport>,
    ) -> ShardView<'a> {
        let place = self.cluster.place(shard);
        let claims = said.iter().filter(|(_, r)| matches!(r.role, Role::Leads | Role::Begins));
        let claim = claims.max_by_key(|(_, replica)| (replica.term, replica.role == Role::Leads));
        let claim = claim.map(|(node, replica)| (*node, *replica));
        let rank =
            |replica: &&ReplicaReport| (replica.term, replica.leader.is_some(), replica.commit);
        let foremost = said.values().copied().max_by_key(rank);
        let (leader, serving) = match (claim, foremost.and_then(|replica| replica.leader)) {
            // One that a newer term has deposed may not know yet.
            (Some((_, claimed)), Some(other))
                if foremost.is_some_and(|f| f.term > claimed.term) =>
            {
                (Some(other), self.serving_by_hearsay(other))
            }
            (Some((node, claimed)), _) => {
                let serves = claimed.role == Role::Leads && claimed.fenced.is_none();
                (Some(node), if serves { Serving::Yes } else { Serving::No })
            }
            (None, Some(other)) => (Some(other), self.serving_by_hearsay(other)),
            (None, None) if self.unanswered().is_empty() => (None, Serving::No),
            (None, None) => (None, self.serving_without_word(place)),
        };
        let witness = claim.map(|(_, replica)| replica).or(foremost);
        let newest = said.values().max_by_key(|replica| replica.members_at).copied();
        let members = claim.map(|(_, replica)| replica).or(newest);
        let agreed = place.map(|place| place.voters.clone()).unwrap_or_default();
        let voters = members.map_or(agreed, |replica| replica.voters.clone());
        let learners = members.map(|replica| replica.learners.clone()).unwrap_or_default();
        let nodes: BTreeSet<_> = said.keys().chain(&voters).chain(&learners).copied().collect();
        let progress = |node: NodeId| {
            let (_, replica) = claim?;
            replica.followers.iter().find(|follower| follower.node == node).copied()
        };
        let replica = |node: NodeId| ReplicaView {
            node,
            report: said.get(&node).copied(),
            progress: progress(node),
        };
        let number = |of: fn(&ReplicaReport) -> u64| witness.map_or(0, of);
        ShardView {
            shard,
            place,
            leader,
            serving,
            term: number(|r| r.term),
            commit: number(|r| r.commit),
            applied: number(|r| r.applied),
            lag: number(|r| r.commit.saturating_sub(r.applied)),
            bytes: number(|r| r.log_bytes.saturating_add(r.snapshot_bytes)),
            is_moving: place.is_some_and(Place::is_moving),
            replicas: nodes.into_iter().map(replica).collect(),
            voters,
            learners,
        }
    }

    /// Of a leader that others name.
    fn serving_by_hearsay(&self, leader: NodeId) -> Serving {
        if self.reports.contains_key(&leader) { Serving::No } else { Serving::Unknown }
    }

    /// Of a shard that nobody who answered knows a leader of: with a majority of its voters silent,
    /// one of those may lead.
    fn serving_without_word(&self, place: Option<&Place>) -> Serving {
        let Some(place) = place else { return Serving::No };
        let n_silent = place.voters.intersection(&self.unanswered()).count();
        if n_silent * 2 > place.voters.len() { Serving::Unknown } else { Serving::No }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::placement::member::{FolderId, Levels, Standing, Start};
    use crate::shard::report::{Pace, PeerReport};

    const SHARD: ShardId = ShardId(0);

    /// A cluster of three, each with a replica of one shard and one of the group of the cluster.
    fn cluster() -> Cluster {
        let mut cluster = Cluster::default();
        for node in 1..=3 {
            let member = Member {
                address: format!("10.0.0.{node}:7700"),
                zone: "one".to_owned(),
                levels: Levels { lowest: 1, highest: 1 },
                folder: FolderId([0; 16]),
                start: Start::default(),
                standing: Standing::Active,
            };
            cluster.members.insert(NodeId(node), member);
        }
        for shard in [SHARD, ShardId::META] {
            let wanted = vec![NodeId(1), NodeId(2), NodeId(3)];
            let voters = wanted.iter().copied().collect();
            cluster.places.insert(shard, Place { wanted, voters, ..Place::default() });
        }
        cluster
    }

    fn replica(role: Role, leader: Option<u64>, term: u64) -> ReplicaReport {
        let followers = [2, 3].map(|node| FollowerReport {
            node: NodeId(node),
            matched: 9,
            behind: 1,
            is_live: node == 2,
            pace: Pace::Streaming,
        });
        ReplicaReport {
            group: SHARD,
            role,
            leader: leader.map(NodeId),
            term,
            commit: 10,
            applied: 8,
            last: 10,
            voters: [1, 2, 3].map(NodeId).into(),
            learners: BTreeSet::new(),
            members_at: 4,
            is_changing: false,
            followers: if role == Role::Leads { followers.to_vec() } else { Vec::new() },
            fenced: None,
            is_whole: true,
            entities: 3,
            memory_bytes: 30,
            log_bytes: 100,
            snapshot_bytes: 1_000,
            clock_doubt_ms: 0,
        }
    }

    fn survey(replicas: Vec<(u64, ReplicaReport)>) -> Survey {
        let peer = |node| PeerReport {
            node: NodeId(node),
            silent_ms: Some(500 + node),
            is_linked: node != 3,
        };
        let report = |(node, replica)| {
            let peers = [1, 2, 3].into_iter().filter(|peer| *peer != node).map(peer).collect();
            (NodeId(node), NodeReport { peers, replicas: vec![replica], ..NodeReport::default() })
        };
        Survey {
            asked: NodeId(1),
            map: ShardMap::even(1).expect("one shard is possible"),
            cluster: cluster(),
            reports: replicas.into_iter().map(report).collect(),
        }
    }

    #[track_caller]
    fn check(replicas: Vec<(u64, ReplicaReport)>, leader: Option<u64>, serving: Serving) {
        let survey = survey(replicas);
        let shards = survey.shards();
        let shard = shards.first().expect("the shard");
        assert_eq!((shard.leader, shard.serving), (leader.map(NodeId), serving));
    }

    #[test]
    fn a_shard_is_led_by_whoever_says_so_in_the_newest_term() {
        let follower = |leader, term| replica(Role::Votes, leader, term);
        let leads = |node, term| replica(Role::Leads, Some(node), term);
        let all = vec![(1, leads(1, 5)), (2, follower(Some(1), 5)), (3, follower(Some(1), 5))];
        check(all, Some(1), Serving::Yes);
        check(vec![(1, leads(1, 5)), (2, leads(2, 6))], Some(2), Serving::Yes);
        // Node 3 was elected by node 2 and did not answer; node 1 has not heard of it.
        check(vec![(1, leads(1, 5)), (2, follower(Some(3), 6))], Some(3), Serving::Unknown);
        check(vec![(1, replica(Role::Begins, Some(1), 5))], Some(1), Serving::No);
        let fenced = ReplicaReport { fenced: Some("why".to_owned()), ..leads(1, 5) };
        check(vec![(1, fenced)], Some(1), Serving::No);
    }

    #[test]
    fn without_a_leader_it_counts_who_did_not_answer() {
        let follower = || replica(Role::Votes, None, 5);
        check(vec![(1, follower()), (2, follower()), (3, follower())], None, Serving::No);
        check(vec![(1, follower()), (2, follower())], None, Serving::No);
        // The two others may lead and serve where this one cannot see them.
        check(vec![(1, follower())], None, Serving::Unknown);
        let believes = replica(Role::Votes, Some(2), 5);
        check(vec![(1, believes.clone()), (2, follower())], Some(2), Serving::No);
        check(vec![(1, believes)], Some(2), Serving::Unknown);
    }

    #[test]
    fn a_silent_node_is_shown_by_what_others_know() {
        let survey = survey(vec![
            (1, replica(Role::Leads, Some(1), 5)),
            (2, replica(Role::Votes, Some(1), 5)),
        ]);
        assert_eq!(survey.unanswered(), BTreeSet::from([NodeId(3)]));
        let nodes = survey.nodes();
        let [first, second, third] = nodes.as_slice() else { panic!("{nodes:?}") };
        assert_eq!((first.silent_ms, first.n_led, first.n_held), (Some(0), 1, 1));
        assert_eq!((second.silent_ms, second.n_led, second.n_held), (Some(0), 0, 1));
        assert!(third.report.is_none());
        assert_eq!(third.silent_ms, Some(503));
        assert_eq!(third.unlinked_from, [NodeId(1), NodeId(2)]);
        assert!(matches!(survey.risk(), Some(Risk::Silent { .. })));
        let shards = survey.shards();
        let shard = shards.first().expect("the shard");
        assert_eq!((shard.term, shard.commit, shard.applied, shard.lag), (5, 10, 8, 2));
        assert_eq!(shard.bytes, 1_100);
        let of = |node| shard.replicas.iter().find(|replica| replica.node == NodeId(node));
        let third = of(3).expect("a voter");
        assert!(third.report.is_none() && third.progress.is_some_and(|progress| !progress.is_live));
        assert!(of(1).expect("a voter").progress.is_none(), "nobody follows itself");
    }

    #[test]
    fn a_node_that_is_alone_is_a_cluster_of_one() {
        let alone =
            ReplicaReport { voters: [NodeId(1)].into(), ..replica(Role::Leads, Some(1), 5) };
        let survey = Survey { cluster: Cluster::default(), ..survey(vec![(1, alone)]) };
        assert_eq!(survey.nodes().len(), 1);
        assert_eq!(survey.shards().first().expect("the shard").serving, Serving::Yes);
        assert_eq!(survey.risk(), Some(Risk::TooFewNodes { nodes: 1 }));
    }
}
