//! [`Recent`]: what sled took and may still lose when one of its writes finds no space.

use std::collections::VecDeque;

/// A key of sled's tree and what is to be there.
pub(super) type Change = (Vec<u8>, Option<Vec<u8>>);

/// More than this is brought into sled's files before more is taken.
pub(super) const BYTES_MAX: usize = 1024 * 1024;

/// Batches that are not known to be in sled's files, oldest first, numbered in their order.
pub(super) struct Recent {
    batches: VecDeque<Vec<Change>>,
    /// The number of the newest batch.
    last: u64,
    bytes: usize,
}

impl Recent {
    /// After an opening: everything up to a batch is in the files.
    pub(super) fn after(last: u64) -> Self {
        Self { batches: VecDeque::new(), last, bytes: 0 }
    }

    /// The number of the newest batch.
    pub(super) fn last(&self) -> u64 {
        self.last
    }

    /// The number of the next batch.
    pub(super) fn next(&self) -> u64 {
        self.last + 1
    }

    pub(super) fn push(&mut self, batch: Vec<Change>) {
        let bytes = |(key, value): &Change| key.len() + value.as_ref().map_or(0, Vec::len);
        self.bytes += batch.iter().map(bytes).sum::<usize>();
        self.last += 1;
        self.batches.push_back(batch);
    }

    pub(super) fn is_large(&self) -> bool {
        self.bytes >= BYTES_MAX
    }

    /// All of it is in the files.
    pub(super) fn clear(&mut self) {
        *self = Self::after(self.last);
    }

    /// The batches that files lack which hold everything up to batch `found`; `None` when these are
    /// not what they were: older than what had reached them, or somebody else's.
    pub(super) fn since(&self, found: u64) -> Option<impl Iterator<Item = &Vec<Change>>> {
        let missing = usize::try_from(self.last.checked_sub(found)?).ok()?;
        let held = self.batches.len().checked_sub(missing)?;
        Some(self.batches.iter().skip(held))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_files_lack_is_given_and_files_that_lack_more_are_refused() {
        let mut recent = Recent::after(7);
        let batch = |n: u8| vec![(vec![n], Some(vec![n; 10]))];
        for n in [8, 9, 10] {
            assert_eq!(recent.next(), u64::from(n));
            recent.push(batch(n));
        }
        let since = |recent: &Recent, found| {
            recent.since(found).map(|batches| batches.cloned().collect::<Vec<_>>())
        };
        assert_eq!(since(&recent, 10), Some(vec![]));
        assert_eq!(since(&recent, 8), Some(vec![batch(9), batch(10)]));
        assert_eq!(since(&recent, 7), Some(vec![batch(8), batch(9), batch(10)]));
        assert_eq!(since(&recent, 6), None);
        assert_eq!(since(&recent, 11), None);
        assert!(!recent.is_large());
        recent.push(vec![(vec![0], Some(vec![0; BYTES_MAX]))]);
        assert!(recent.is_large());
        recent.clear();
        assert!(!recent.is_large());
        assert_eq!((since(&recent, 11), since(&recent, 10)), (Some(vec![]), None));
    }
}
