//! How far the history of a shard is here without a hole.
//!
//! **Invariants:** what is proven is on the device; an index is only ever called reached when
//! everything before it, back to where its part begins, is here too.

/// Two parts: what came before this replica, as far as it was fetched, and what it wrote itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Reached {
    /// From the beginning up to here, at most `since`.
    pub(crate) before: u64,
    /// The replica went on from another one's snapshot at this index; zero if it never did.
    pub(crate) since: u64,
    /// After `since` and up to here.
    pub(crate) own: u64,
}

impl Reached {
    /// Whether the two parts are one.
    pub(crate) fn is_joined(&self) -> bool {
        self.before >= self.since
    }

    /// What is fetched still.
    pub(crate) fn missing(&self) -> u64 {
        self.since.saturating_sub(self.before)
    }

    /// Up to where all that comes after `index` is here; `None` when the next entry is not.
    pub(crate) fn proven_after(&self, index: u64) -> Option<u64> {
        if self.is_joined() || index >= self.since {
            Some(self.own).filter(|own| index < *own)
        } else {
            Some(self.before).filter(|before| index < *before)
        }
    }

    /// The replica goes on from another one's snapshot. What it has is the earlier part from now on;
    /// of two parts that never met, only the first is.
    pub(crate) fn restarted_at(self, since: u64) -> Self {
        let before = if self.is_joined() { self.own } else { self.before };
        Self { before: before.min(since), since, own: since }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of a replica that never went on from another one's snapshot.
    fn alone(own: u64) -> Reached {
        Reached { own, ..Reached::default() }
    }

    #[track_caller]
    fn check(reached: Reached, after: &[(u64, Option<u64>)]) {
        for (index, proven) in after {
            assert_eq!(reached.proven_after(*index), *proven, "after {index} of {reached:?}");
        }
    }

    #[test]
    fn a_replica_from_the_beginning_has_everything() {
        check(alone(0), &[(0, None), (7, None)]);
        check(alone(90), &[(0, Some(90)), (89, Some(90)), (90, None)]);
    }

    #[test]
    fn between_the_parts_nothing_is_proven() {
        let started = Reached::default().restarted_at(100);
        check(started, &[(0, None), (99, None), (100, None)]);
        let grown = Reached { before: 40, own: 130, ..started };
        assert_eq!(grown.missing(), 60);
        check(grown, &[(0, Some(40)), (39, Some(40)), (40, None), (99, None)]);
        check(grown, &[(100, Some(130)), (129, Some(130)), (130, None)]);
    }

    #[test]
    fn parts_that_met_are_one() {
        let joined = Reached { before: 100, since: 100, own: 130 };
        assert_eq!(joined.missing(), 0);
        check(joined, &[(0, Some(130)), (99, Some(130)), (100, Some(130)), (130, None)]);
        check(joined.restarted_at(200), &[(0, Some(130)), (130, None), (199, None), (200, None)]);
    }

    #[test]
    fn a_later_snapshot_keeps_the_part_that_has_no_hole() {
        let apart = Reached { before: 40, since: 100, own: 130 };
        assert_eq!(apart.restarted_at(200), Reached { before: 40, since: 200, own: 200 });
        assert_eq!(alone(70).restarted_at(200).before, 70);
    }
}
