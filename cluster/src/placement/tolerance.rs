//! Whether a cluster survives the loss of a node, and if not, why.
//!
//! **Invariants:** a cluster is at risk as soon as one group would lose its majority with one more
//! node, whichever node that is.

use std::collections::BTreeSet;
use std::fmt;

use crate::ids::NodeId;
use crate::placement::cluster::{Cluster, NODES_FOR_THREE, Place};

/// Why the loss of one node would stop some shard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Risk {
    TooFewNodes { nodes: usize },
    TooFewCopies { shards: usize },
    Silent { nodes: BTreeSet<NodeId> },
}

impl fmt::Display for Risk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooFewNodes { nodes: 1 } => {
                write!(f, "one node holds everything; {NODES_FOR_THREE} survive the loss of one")
            }
            Self::TooFewNodes { nodes } => {
                write!(f, "{nodes} nodes hold data; {NODES_FOR_THREE} survive the loss of one")
            }
            Self::TooFewCopies { shards } => {
                write!(f, "{shards} shards have fewer than {NODES_FOR_THREE} copies")
            }
            Self::Silent { nodes } => {
                let nodes: Vec<_> = nodes.iter().map(|node| node.0.to_string()).collect();
                write!(f, "not heard of: node {}; with one more, shards stop", nodes.join(", "))
            }
        }
    }
}

/// What a cluster is at risk of, with these nodes silent; none when it is fault tolerant.
pub fn risk(cluster: &Cluster, silent: &BTreeSet<NodeId>) -> Option<Risk> {
    let holders = cluster.members().filter(|(_, member)| member.standing.may_hold()).count();
    if holders < NODES_FOR_THREE {
        // A node without a cluster is one node.
        return Some(Risk::TooFewNodes { nodes: holders.max(1) });
    }
    let places = || cluster.places().map(|(_, place)| place);
    let shards = places().filter(|place| place.voters.len() < NODES_FOR_THREE).count();
    if shards > 0 {
        return Some(Risk::TooFewCopies { shards });
    }
    let is_fragile = |place: &&Place| {
        let n_there = place.voters.difference(silent).count();
        n_there <= place.voters.len() / 2 + 1
    };
    let fragile = places().filter(|place| place.voters.len() > 2).filter(is_fragile);
    let nodes: BTreeSet<_> =
        fragile.flat_map(|place| place.voters.intersection(silent)).copied().collect();
    (!nodes.is_empty()).then_some(Risk::Silent { nodes })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::ShardId;
    use crate::placement::member::{FolderId, Levels, Member, Standing, Start};

    fn cluster(standings: &[Standing], voters: &[&[u64]]) -> Cluster {
        let mut cluster = Cluster::default();
        for (nth, standing) in (1_u64..).zip(standings) {
            let member = Member {
                address: format!("10.0.0.{nth}:7700"),
                zone: "one".to_owned(),
                levels: Levels { lowest: 1, highest: 1 },
                folder: FolderId([0; 16]),
                start: Start::default(),
                standing: *standing,
            };
            cluster.members.insert(NodeId(nth), member);
        }
        for (shard, voters) in (0..).map(ShardId).zip(voters) {
            let wanted: Vec<_> = voters.iter().copied().map(NodeId).collect();
            let voters = wanted.iter().copied().collect();
            cluster.places.insert(shard, Place { wanted, voters, ..Place::default() });
        }
        cluster
    }

    #[track_caller]
    fn check(cluster: &Cluster, silent: &[u64], then: Option<Risk>) {
        assert_eq!(risk(cluster, &silent.iter().copied().map(NodeId).collect()), then);
    }

    const ACTIVE: Standing = Standing::Active;

    #[test]
    fn one_and_two_nodes_survive_nothing() {
        check(&Cluster::default(), &[], Some(Risk::TooFewNodes { nodes: 1 }));
        let two = cluster(&[ACTIVE, ACTIVE], &[&[1]]);
        check(&two, &[], Some(Risk::TooFewNodes { nodes: 2 }));
        let third_lost = cluster(&[ACTIVE, ACTIVE, Standing::Lost], &[&[1, 2, 3]]);
        check(&third_lost, &[3], Some(Risk::TooFewNodes { nodes: 2 }));
    }

    #[test]
    fn three_nodes_survive_one_once_every_shard_has_three_copies() {
        let three = [ACTIVE, Standing::Draining, ACTIVE];
        check(&cluster(&three, &[&[1, 2, 3], &[1, 2, 3]]), &[], None);
        let few = Some(Risk::TooFewCopies { shards: 1 });
        check(&cluster(&three, &[&[1, 2, 3], &[1]]), &[], few);
    }

    #[test]
    fn with_a_node_away_one_more_is_one_too_many() {
        let nodes = BTreeSet::from([NodeId(2)]);
        let three = cluster(&[ACTIVE; 3], &[&[1, 2, 3]]);
        check(&three, &[2], Some(Risk::Silent { nodes: nodes.clone() }));
        let five_votes = cluster(&[ACTIVE; 5], &[&[1, 2, 3, 4, 5]]);
        check(&five_votes, &[2], None);
        let elsewhere = cluster(&[ACTIVE; 5], &[&[1, 2, 3, 4, 5], &[3, 4, 5]]);
        check(&elsewhere, &[2], None);
        let four = cluster(&[ACTIVE; 4], &[&[1, 2, 4], &[1, 3, 4]]);
        check(&four, &[2], Some(Risk::Silent { nodes }));
    }
}
