//! The term of every entry of a log, as runs: a term changes seldom.
//!
//! **Invariants:** runs are in order and never overlap; the last one reaches to the log's end.

use std::collections::VecDeque;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TermRuns {
    /// The first index of each run, and its term.
    runs: VecDeque<(u64, u64)>,
}

impl TermRuns {
    /// Notes an entry behind all others.
    pub fn push(&mut self, index: u64, term: u64) {
        if self.runs.back().is_none_or(|(_, last)| *last != term) {
            self.runs.push_back((index, term));
        }
    }

    /// The term at an index, which must lie in the log.
    pub(crate) fn term(&self, index: u64) -> Option<u64> {
        let after = self.runs.partition_point(|(first, _)| *first <= index);
        self.runs.get(after.checked_sub(1)?).map(|(_, term)| *term)
    }

    /// Forgets everything from `from` on.
    pub(crate) fn truncate(&mut self, from: u64) {
        while self.runs.pop_back_if(|(first, _)| *first >= from).is_some() {}
    }

    /// Forgets everything up to `index`.
    pub(crate) fn forget(&mut self, index: u64) {
        while self.runs.get(1).is_some_and(|(first, _)| *first <= index + 1) {
            self.runs.pop_front();
        }
    }

    pub(crate) fn clear(&mut self) {
        self.runs.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_index_has_the_term_it_was_noted_with() {
        let mut runs = TermRuns::default();
        for (index, term) in [(5, 1), (6, 1), (7, 3), (8, 3), (9, 4)] {
            runs.push(index, term);
        }
        let terms = |runs: &TermRuns| [4, 5, 6, 7, 8, 9].map(|index| runs.term(index));
        assert_eq!(terms(&runs), [None, Some(1), Some(1), Some(3), Some(3), Some(4)]);
        runs.truncate(8);
        runs.push(8, 9);
        assert_eq!([7, 8].map(|index| runs.term(index)), [Some(3), Some(9)]);
        runs.forget(6);
        assert_eq!([6, 7, 8].map(|index| runs.term(index)), [None, Some(3), Some(9)]);
    }
}
