//! Which nodes each shard is wanted on.
//!
//! **Invariants:** a plan replaces at most one voter of a shard at a time, and only while the shard
//! is not moving already; at most `moves_at_once` shards move; with nothing to improve it is empty,
//! so planning comes to rest.
//!
//! It only reads what the cluster agreed on and who is silent, so every node would plan the same;
//! the leader of the `meta` group alone does.

use std::collections::{BTreeMap, BTreeSet};

use crate::ids::{NodeId, ShardId};
use crate::placement::cluster::{Cluster, NODES_FOR_THREE, Place};
use crate::placement::member::{Member, Standing};

/// Voters of a group that every node replicates.
const VOTERS_EVERYWHERE_MAX: usize = 5;
const VOTERS_OF_A_SHARD: usize = 3;

/// How shards are spread.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Groups that every node replicates.
    pub everywhere: BTreeSet<ShardId>,
    /// Shards that may be on the move at the same time.
    pub moves_at_once: usize,
}

/// The shards whose nodes are to change, with the nodes they are to have, the leading one first.
pub fn plan(
    cluster: &Cluster,
    silent: &BTreeSet<NodeId>,
    rule: &Rule,
) -> Vec<(ShardId, Vec<NodeId>)> {
    let mut planning = Planning::new(cluster, silent, rule);
    for (shard, _) in cluster.places() {
        planning.fill(shard);
    }
    while planning.level_out() {}
    while planning.spread_leads() {}
    planning.obey_pins();
    planning.changes()
}

struct Planning<'a> {
    cluster: &'a Cluster,
    rule: &'a Rule,
    /// Nodes that may hold replicas.
    holders: BTreeMap<NodeId, &'a Member>,
    silent: &'a BTreeSet<NodeId>,
    /// Nodes that may lead and are heard of.
    leaders: BTreeSet<NodeId>,
    wanted: BTreeMap<ShardId, Vec<NodeId>>,
    /// How many shards may still start to move.
    moves_left: usize,
}

impl<'a> Planning<'a> {
    fn new(cluster: &'a Cluster, silent: &'a BTreeSet<NodeId>, rule: &'a Rule) -> Self {
        let holders: BTreeMap<_, _> =
            cluster.members().filter(|(_, member)| member.standing.may_hold()).collect();
        let leads = |(node, member): (&NodeId, &&Member)| {
            (member.standing.may_lead() && !silent.contains(node)).then_some(*node)
        };
        let leaders = holders.iter().filter_map(leads).collect();
        let wanted = cluster.places().map(|(shard, place)| (shard, place.wanted.clone())).collect();
        let moving = cluster.places().filter(|(_, place)| place.is_moving()).count();
        let moves_left = rule.moves_at_once.saturating_sub(moving);
        Self { cluster, rule, holders, silent, leaders, wanted, moves_left }
    }

    /// Gives a shard the voters it lacks and takes it off nodes that may not hold it any more.
    fn fill(&mut self, shard: ShardId) {
        let Some(place) = self.cluster.place(shard) else { return };
        if place.is_moving() {
            return self.rescue(shard, place);
        }
        if self.moves_left == 0 {
            return;
        }
        let n_voters = self.n_voters(shard, &place.wanted);
        let voters = self.filled(place.wanted.clone(), n_voters);
        if voters != place.wanted {
            self.moves_left -= 1;
            self.wanted.insert(shard, voters);
        }
    }

    /// Finds another goal for a move whose target is gone: it would never end.
    fn rescue(&mut self, shard: ShardId, place: &Place) {
        let is_gone = |node: &NodeId| !place.voters.contains(node) && !self.is_there(*node);
        if !place.wanted.iter().any(is_gone) {
            return;
        }
        let n_voters = place.wanted.len();
        let mut voters: Vec<_> =
            place.wanted.iter().copied().filter(|node| !is_gone(node)).collect();
        // Where it came from first: those copies are whole.
        let before = place.voters.iter().copied().filter(|node| self.holders.contains_key(node));
        let others = self.holders.keys().copied().filter(|node| self.is_there(*node));
        for node in before.chain(others).chain(place.voters.iter().copied()) {
            if voters.len() < n_voters && !voters.contains(&node) {
                voters.push(node);
            }
        }
        self.wanted.insert(shard, voters);
    }

    /// Whether a node may hold replicas and is heard of.
    fn is_there(&self, node: NodeId) -> bool {
        self.holders.contains_key(&node) && !self.silent.contains(&node)
    }

    fn filled(&self, mut voters: Vec<NodeId>, n_voters: usize) -> Vec<NodeId> {
        let may_hold = |node: &NodeId| self.holders.contains_key(node);
        if voters.len() > n_voters {
            // Those that may stay come first; the sort keeps the order among equals.
            voters.sort_by_key(|node| !may_hold(node));
            voters.truncate(n_voters);
        } else if voters.len() < n_voters {
            while voters.len() < n_voters
                && let Some(node) = self.best_for(&voters)
            {
                voters.push(node);
            }
            return voters;
        }
        let staying: Vec<_> = voters.iter().copied().filter(may_hold).collect();
        // With nobody to take its place, a copy on a bad node is better than none.
        if let Some(nth) = voters.iter().position(|node| !may_hold(node))
            && let Some(node) = self.best_for(&staying)
            && let Some(place) = voters.get_mut(nth)
        {
            *place = node;
        }
        voters
    }

    /// How many are to vote. Voters grow in number with the nodes, and shrink only by an
    /// operator's word: a lost node's vote is worth keeping until another takes its place.
    fn n_voters(&self, shard: ShardId, voters: &[NodeId]) -> usize {
        let n_holders = self.holders.len();
        if n_holders < NODES_FOR_THREE {
            let leaves = |node: &NodeId| {
                let member = self.cluster.member(*node);
                member.is_some_and(|member| member.standing == Standing::Leaving)
            };
            return if voters.iter().any(leaves) { 1 } else { voters.len() };
        }
        if self.rule.everywhere.contains(&shard) {
            let odd = if n_holders.is_multiple_of(2) { n_holders - 1 } else { n_holders };
            return odd.min(VOTERS_EVERYWHERE_MAX);
        }
        VOTERS_OF_A_SHARD
    }

    /// The node that takes a replica best: in a zone with few of its copies, with few replicas.
    fn best_for(&self, others: &[NodeId]) -> Option<NodeId> {
        let in_zone = |zone: &str| {
            let zones = others.iter().filter_map(|node| self.cluster.member(*node));
            zones.filter(|member| member.zone == zone).count()
        };
        let free = self.holders.iter().filter(|(node, _)| !others.contains(node));
        // A copy cannot be made on a node that is not heard of.
        let free = free.filter(|(node, _)| self.is_there(**node));
        let cost = |node: NodeId, member: &Member| {
            (in_zone(&member.zone), !self.leaders.contains(&node), self.held(node), node)
        };
        free.map(|(node, member)| cost(*node, member)).min().map(|(.., node)| node)
    }

    fn sharded(&self) -> impl Iterator<Item = (ShardId, &Vec<NodeId>)> {
        let sharded = |shard: &ShardId| !self.rule.everywhere.contains(shard);
        self.wanted.iter().map(|(shard, voters)| (*shard, voters)).filter(move |(s, _)| sharded(s))
    }

    fn held(&self, node: NodeId) -> usize {
        self.sharded().filter(|(_, voters)| voters.contains(&node)).count()
    }

    fn led(&self, node: NodeId) -> usize {
        self.sharded().filter(|(_, voters)| voters.first() == Some(&node)).count()
    }

    /// Moves one replica from the node with most to the one with fewest, if that evens them out.
    fn level_out(&mut self) -> bool {
        if self.moves_left == 0 || self.holders.len() <= NODES_FOR_THREE {
            return false;
        }
        let load = |node: &NodeId| (self.held(*node), *node);
        let most = self.holders.keys().map(load).max_by_key(|(held, node)| (*held, *node));
        let fewest = self.leaders.iter().map(load).min();
        let (Some((n_most, most)), Some((n_fewest, fewest))) = (most, fewest) else { return false };
        if n_most < n_fewest + 2 {
            return false;
        }
        let zone = |node: NodeId| self.cluster.member(node).map(|member| member.zone.as_str());
        let fits = |voters: &[NodeId]| {
            let mut others = voters.iter().filter(|node| **node != most);
            voters.contains(&most)
                && !voters.contains(&fewest)
                && (zone(most) == zone(fewest) || others.all(|node| zone(*node) != zone(fewest)))
        };
        let movable = |shard: &ShardId| {
            self.cluster.place(*shard).is_some_and(|place| {
                let is_settled = !place.is_moving() && is_same(&place.wanted, self.at(*shard));
                // Without its replica the node could not lead by an operator's word.
                is_settled && place.pin != Some(most)
            })
        };
        let found = self.sharded().find(|(shard, voters)| fits(voters) && movable(shard));
        let Some((shard, voters)) = found else { return false };
        let replaced = |node: &NodeId| if *node == most { fewest } else { *node };
        let voters = voters.iter().map(replaced).collect();
        self.moves_left -= 1;
        self.wanted.insert(shard, voters);
        true
    }

    fn at(&self, shard: ShardId) -> &[NodeId] {
        self.wanted.get(&shard).map_or(&[], Vec::as_slice)
    }

    /// Lets another of a shard's voters lead where the first may not, or leads too much.
    fn spread_leads(&mut self) -> bool {
        let better = |voters: &[NodeId]| {
            let first = *voters.first()?;
            let rest = voters.iter().skip(1).filter(|node| self.leaders.contains(node));
            let (led, least) = rest.map(|node| (self.led(*node), *node)).min()?;
            let may_stay = self.leaders.contains(&first);
            (!may_stay || self.led(first) > led + 1).then_some(least)
        };
        let pinned = |shard: ShardId| self.pinned(shard).is_some();
        let found = self
            .sharded()
            .filter(|(shard, _)| !pinned(*shard))
            .find_map(|(shard, voters)| better(voters).map(|node| (shard, node)));
        let Some((shard, node)) = found else { return false };
        self.put_first(shard, node);
        true
    }

    fn obey_pins(&mut self) {
        let pinned: Vec<_> = self
            .wanted
            .keys()
            .filter_map(|shard| self.pinned(*shard).map(|node| (*shard, node)))
            .collect();
        for (shard, node) in pinned {
            self.put_first(shard, node);
        }
        let everywhere: Vec<_> = self.rule.everywhere.iter().copied().collect();
        for shard in everywhere {
            let leads = |node: &NodeId| self.leaders.contains(node);
            if self.at(shard).first().is_some_and(|first| !leads(first))
                && let Some(node) = self.at(shard).iter().copied().find(leads)
            {
                self.put_first(shard, node);
            }
        }
    }

    /// Who leads a shard by an operator's word, if it can.
    fn pinned(&self, shard: ShardId) -> Option<NodeId> {
        let pin = self.cluster.place(shard)?.pin?;
        (self.at(shard).contains(&pin) && self.leaders.contains(&pin)).then_some(pin)
    }

    fn put_first(&mut self, shard: ShardId, node: NodeId) {
        if let Some(voters) = self.wanted.get_mut(&shard)
            && let Some(nth) = voters.iter().position(|voter| *voter == node)
            && let Some(part) = voters.get_mut(..=nth)
        {
            part.rotate_right(1);
        }
    }

    fn changes(self) -> Vec<(ShardId, Vec<NodeId>)> {
        let is_change = |shard: ShardId, voters: &Vec<NodeId>| {
            self.cluster.place(shard).is_none_or(|Place { wanted, .. }| wanted != voters)
        };
        self.wanted.into_iter().filter(|(shard, voters)| is_change(*shard, voters)).collect()
    }
}

/// Whether two lists name the same nodes.
fn is_same(left: &[NodeId], right: &[NodeId]) -> bool {
    left.len() == right.len() && left.iter().all(|node| right.contains(node))
}
