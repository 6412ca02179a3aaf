//! When a silent node is given up: its replicas are then made anew elsewhere, and its folder may not
//! come back.
//!
//! **Invariants:** never the node whose copy a shard may need: of each shard it votes in, a majority
//! is there without it; never without others to take its place; one at a time, until nothing counts on
//! the last one any more. Silence alone says nothing about a disk: after a power cut nodes come late.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::ids::NodeId;
use crate::placement::cluster::{Cluster, NODES_FOR_THREE};
use crate::placement::member::Standing;

/// The node to give up, if there is one. `silence` names those that are not heard of now.
pub fn given_up(
    cluster: &Cluster,
    silence: &BTreeMap<NodeId, Duration>,
    after: Duration,
) -> Option<NodeId> {
    let is_there = |node: &NodeId| {
        let member = cluster.member(*node);
        member.is_some_and(|member| member.standing.may_hold()) && !silence.contains_key(node)
    };
    let votes = |node: NodeId| cluster.places().filter(move |(_, p)| p.voters.contains(&node));
    let mut lost = cluster.members().filter(|(_, member)| member.standing == Standing::Lost);
    let waits = lost.any(|(node, _)| votes(node).next().is_some());
    let n_there = cluster.members().filter(|(node, _)| is_there(node)).count();
    if waits || n_there < NODES_FOR_THREE {
        return None;
    }
    let is_spare = |node: NodeId| {
        votes(node).all(|(_, place)| {
            let there = place.voters.iter().filter(|voter| is_there(voter)).count();
            there * 2 > place.voters.len()
        })
    };
    let long = silence.iter().filter(|(_, silent)| **silent >= after).map(|(node, _)| *node);
    let mut known = long.filter(|node| {
        // One that leaves is replaced already.
        cluster.member(*node).is_some_and(|member| member.standing.may_hold())
    });
    known.find(|node| is_spare(*node))
}
