//! Numbers drawn from a seed: SplitMix64, which is short and good enough to pick moments with.

use std::ops::Range;

#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) const fn seeded(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// The start of an empty range.
    pub(crate) fn within(&mut self, range: Range<u64>) -> u64 {
        let width = range.end.saturating_sub(range.start).max(1);
        range.start + self.number() % width
    }

    pub(crate) fn one_in(&mut self, n: u64) -> bool {
        self.within(0..n) == 0
    }

    /// A source of its own, so that what one client draws does not depend on another's pace.
    pub(crate) fn branch(&mut self) -> Self {
        Self(self.number())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_draws_the_same_again() {
        let draw = |seed| {
            let mut random = Random::seeded(seed);
            let mut branch = random.branch();
            [random.number(), branch.number(), random.within(0..100), branch.within(7..8)]
        };
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
        assert_eq!(draw(1)[3], 7);
        let mut random = Random::seeded(3);
        let hits = (0..4_000).filter(|_| random.one_in(4)).count();
        assert!((900..1_100).contains(&hits), "{hits}");
    }
}
