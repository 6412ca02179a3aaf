//! How long a replica waits for a leader before it stands itself.
//!
//! **Invariants:** the wait is a function of seed, node, group and term alone, so a run of the
//! simulator is the same however often anybody asks; two nodes of a group seldom wait alike, and
//! never in every term.

use storage::log::GroupId;

use crate::ids::NodeId;

/// Ticks without a leader before an election at least, and one more than at most.
pub(crate) const ELECTION_TICKS: usize = 10;
const ELECTION_TICKS_END: usize = 2 * ELECTION_TICKS;
pub(crate) const HEARTBEAT_TICKS: usize = 2;

/// What sets one replica's waits apart from another's.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    seed: u64,
}

impl Patience {
    pub(crate) fn new(seed: u64, node: NodeId, group: GroupId) -> Self {
        Self { seed: mix(mix(seed ^ mix(node.0)) ^ u64::from(group.0)) }
    }

    pub(crate) fn ticks(self, term: u64) -> usize {
        let range = ELECTION_TICKS_END - ELECTION_TICKS;
        let drawn = mix(self.seed ^ mix(term)) % u64::try_from(range).unwrap_or(1);
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
    use super::*;

    #[test]
    fn waits_are_repeatable_in_range_and_unlike_each_other() {
        let mut alike = 0;
        for term in 0..1_000 {
            let wait = |node| Patience::new(7, NodeId(node), GroupId(3)).ticks(term);
            assert_eq!(wait(1), wait(1));
            assert!((ELECTION_TICKS..ELECTION_TICKS_END).contains(&wait(1)));
            alike += usize::from(wait(1) == wait(2));
        }
        assert!((50..200).contains(&alike), "{alike} of 1,000 terms");
    }
}
