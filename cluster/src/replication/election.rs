//! How long a replica waits for a leader before it stands itself.
//!
//! **Invariants:** the wait is a function of seed, node, group, members and term alone, so a run of the
//! simulator is the same however often anybody asks; two voters of a group of ten or fewer never
//! wait alike, so they do not split its votes, and no voter is the first in every term.

use storage::log::GroupId;

use crate::ids::NodeId;
use crate::replication::members::GroupMembers;

/// Ticks without a leader before an election at least, and one more than at most.
pub(crate) const ELECTION_TICKS: usize = 10;
const ELECTION_TICKS_END: usize = 2 * ELECTION_TICKS;
pub(crate) const HEARTBEAT_TICKS: usize = 2;

/// What sets one replica's waits apart from another's.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    seed: u64,
    node: NodeId,
    group: GroupId,
}

impl Patience {
    pub(crate) fn new(seed: u64, node: NodeId, group: GroupId) -> Self {
        Self { seed: mix(mix(seed ^ mix(node.0)) ^ u64::from(group.0)), node, group }
    }

    /// Every voter has its own part of the time in which one stands.
    pub(crate) fn ticks(self, term: u64, members: &GroupMembers) -> usize {
        let range = (ELECTION_TICKS_END - ELECTION_TICKS) as u64;
        let (place, parts) = members.place_among_voters(self.node);
        let parts = parts.clamp(1, range);
        let width = range / parts;
        let part = (place + u64::from(self.group.0) + term) % parts;
        let drawn = part * width + mix(self.seed ^ mix(term)) % width;
        ELECTION_TICKS + usize::try_from(drawn).unwrap_or(0)
    }
}

/// The finalizer of Sebastiano Vigna's SplitMix64.
fn mix(number: u64) -> u64 {
    let number = number.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let number = (number ^ (number >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    number ^ (number >> 31)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn waits_are_repeatable_in_range_and_never_alike() {
        let nodes = [NodeId(1), NodeId(4), NodeId(65_543)];
        let members = GroupMembers::voters(&nodes);
        let mut first = BTreeMap::new();
        for term in 0..1_000 {
            let wait = |node| Patience::new(7, node, GroupId(3)).ticks(term, &members);
            let waits: BTreeMap<_, _> = nodes.map(|node| (wait(node), node)).into();
            assert_eq!(waits, nodes.map(|node| (wait(node), node)).into());
            assert_eq!(waits.len(), nodes.len(), "in term {term}");
            assert!(waits.keys().all(|wait| (ELECTION_TICKS..ELECTION_TICKS_END).contains(wait)));
            *first.entry(waits.into_values().next()).or_insert(0) += 1;
        }
        assert!(first.values().all(|n| (300..400).contains(n)), "{first:?}");
        let stranger = Patience::new(7, NodeId(9), GroupId(3)).ticks(1, &members);
        assert!((ELECTION_TICKS..ELECTION_TICKS_END).contains(&stranger));
    }
}
