//! What it means for a group to rest: nothing is under way in it, so nobody ticks it and it says
//! nothing, until something happens.
//!
//! While a group rests, the nodes of its members stand in for it: a node says a few times a second
//! which groups it leads that rest (a `Beat`), and that counts as a heartbeat of each of them.
//!
//! **Invariants:** resting is about time alone. A resting replica answers, votes and refuses as it
//! would otherwise; it reads nothing that it would not read awake, because a read asks the group, and
//! asking wakes it. A follower rests only where its leader says it stands, so it never rests under a
//! leader that is gone for longer than a group that is awake would notice.

use std::collections::{BTreeMap, BTreeSet};

use crate::ids::{NodeId, ShardId};
use crate::replication::codec::MessageError;
use crate::replication::varint::{Reader, push_number};
use crate::time::Timestamp;

/// Where a group stands while it rests: everything up to the index, in this term, is applied by all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standstill {
    pub term: u64,
    pub index: u64,
}

/// A replica that rests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rest {
    pub at: Standstill,
    pub role: RestRole,
    /// When its next timer is due, on a leader.
    pub until: Option<Timestamp>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RestRole {
    Leads {
        /// All other members.
        followers: Vec<NodeId>,
    },
    Follows {
        leader: NodeId,
    },
    /// It has no part in its group.
    Outside,
}

/// What one node says to another about the groups they share, a few times a second.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Beat {
    /// The sender leads these, and they rest.
    pub(crate) resting: BTreeMap<ShardId, Standstill>,
    /// The receiver said that these rest, and the sender's replica is not there.
    pub(crate) objections: BTreeSet<ShardId>,
}

/// What an entry takes at least.
const RESTING_BYTES_MIN: usize = 3;

impl Beat {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        push_count(&mut out, self.resting.len());
        for (ShardId(group), at) in &self.resting {
            for number in [u64::from(*group), at.term, at.index] {
                push_number(&mut out, number);
            }
        }
        push_count(&mut out, self.objections.len());
        for ShardId(group) in &self.objections {
            push_number(&mut out, u64::from(*group));
        }
        out
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, MessageError> {
        let mut reader = Reader::new(bytes);
        let mut beat = Self::default();
        let mut after = None;
        for _ in 0..reader.count("count of resting groups", RESTING_BYTES_MIN)? {
            let group = next_group(&mut reader, &mut after)?;
            let term = reader.number("resting group")?;
            let index = reader.number("resting group")?;
            beat.resting.insert(group, Standstill { term, index });
        }
        after = None;
        for _ in 0..reader.count("count of objections", 1)? {
            beat.objections.insert(next_group(&mut reader, &mut after)?);
        }
        match reader.left() {
            0 => Ok(beat),
            left => Err(MessageError::LeftOver(left)),
        }
    }
}

fn push_count(out: &mut Vec<u8>, count: usize) {
    push_number(out, u64::try_from(count).unwrap_or(u64::MAX));
}

/// Groups come in order, each once.
fn next_group(
    reader: &mut Reader<'_>,
    after: &mut Option<ShardId>,
) -> Result<ShardId, MessageError> {
    let group = u32::try_from(reader.number("group")?);
    let group = ShardId(group.map_err(|_| MessageError::TooLarge("group"))?);
    if after.replace(group).is_some_and(|after| after >= group) {
        return Err(MessageError::Unknown("order of groups"));
    }
    Ok(group)
}

#[cfg(test)]
mod tests {
    use proptest::collection::{btree_map, btree_set, vec};
    use proptest::prelude::*;

    use super::*;

    fn beat() -> impl Strategy<Value = Beat> {
        let at = (any::<u64>(), 0..300_u64).prop_map(|(term, index)| Standstill { term, index });
        let group = || prop_oneof![any::<u32>(), 0..300_u32].prop_map(ShardId);
        (btree_map(group(), at, 0..20), btree_set(group(), 0..20))
            .prop_map(|(resting, objections)| Beat { resting, objections })
    }

    proptest! {
        #[test]
        fn a_beat_reads_as_it_was_written(beat in beat()) {
            prop_assert_eq!(Beat::decode(&beat.encode()), Ok(beat));
        }

        #[test]
        fn bytes_that_are_read_are_the_only_ones_that_say_so(
            beat in beat(),
            at in any::<usize>(),
            bit in 0..8_u32,
        ) {
            let mut bytes = beat.encode();
            let at = at % bytes.len();
            bytes[at] ^= 1 << bit;
            if let Ok(read) = Beat::decode(&bytes) {
                prop_assert_eq!(read.encode(), bytes);
            }
        }

        #[test]
        fn no_bytes_make_the_decoder_panic(bytes in vec(any::<u8>(), 0..100)) {
            drop(Beat::decode(&bytes));
        }
    }

    #[test]
    fn groups_out_of_order_and_claims_without_bytes_are_refused() {
        let refused = |bytes: &[u8]| Beat::decode(bytes).expect_err("refused").to_string();
        assert!(refused(&[2, 5, 1, 1, 5, 1, 1, 0]).contains("order of groups"));
        assert!(refused(&[0, 2, 5, 4]).contains("order of groups"));
        assert!(refused(&[200, 1, 1]).contains("count of resting groups"));
        assert!(refused(&[0, 0, 7]).contains("left over"));
    }
}
