//! What the rounds of membership need not look at again, because nothing happens there.
//!
//! **Invariants:** a group is passed over only while it rests where it was last found in order, under
//! the same map and with the same nodes fit to lead.

use std::collections::BTreeMap;

use crate::ids::{NodeId, ShardId};
use crate::node::rest::Standstill;

#[derive(Default)]
pub(crate) struct Attention {
    map_version: u64,
    unfit: Vec<NodeId>,
    in_order: BTreeMap<ShardId, Standstill>,
}

impl Attention {
    /// Begins a round under this map, with these nodes unfit to lead.
    pub(crate) fn turn_to(&mut self, map_version: u64, unfit: Vec<NodeId>) {
        if self.map_version != map_version || self.unfit != unfit {
            (self.map_version, self.unfit) = (map_version, unfit);
            self.in_order.clear();
        }
    }

    /// Whether a group, which rests there or does not, is to be looked at.
    pub(crate) fn wants(&self, group: ShardId, rests: Option<Standstill>) -> bool {
        rests.is_none_or(|at| self.in_order.get(&group) != Some(&at))
    }

    /// The group was found in order, and had rested there before it was looked at.
    pub(crate) fn found_in_order(&mut self, group: ShardId, rested: Option<Standstill>) {
        if let Some(at) = rested {
            self.in_order.insert(group, at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GROUP: ShardId = ShardId(4);
    const HERE: Option<Standstill> = Some(Standstill { term: 2, index: 9 });

    #[test]
    fn a_group_is_passed_over_only_where_it_rested_when_it_was_in_order() {
        let mut attention = Attention::default();
        attention.turn_to(3, vec![]);
        assert!(attention.wants(GROUP, HERE));
        attention.found_in_order(GROUP, None);
        assert!(attention.wants(GROUP, HERE), "it did not rest when it was looked at");
        attention.found_in_order(GROUP, HERE);
        assert!(!attention.wants(GROUP, HERE));
        assert!(attention.wants(GROUP, None));
        assert!(attention.wants(GROUP, Some(Standstill { term: 2, index: 10 })));
        assert!(attention.wants(ShardId(5), HERE));
    }

    #[test]
    fn another_map_and_other_unfit_nodes_make_everything_worth_a_look() {
        let mut attention = Attention::default();
        for (version, unfit) in [(3, vec![]), (4, vec![]), (4, vec![NodeId(2)]), (4, vec![])] {
            attention.turn_to(version, unfit.clone());
            assert!(attention.wants(GROUP, HERE), "{version} {unfit:?}");
            attention.found_in_order(GROUP, HERE);
            attention.turn_to(version, unfit);
            assert!(!attention.wants(GROUP, HERE));
        }
    }
}
