//! [`IndexScan`]: every record of a shard, and the proof that none is missing.

use std::fmt;

use super::pieces;
use super::record::{self, Summary};
use super::{IndexEntry, IndexFault, StateIndex};

/// The iterator of [`StateIndex::scan`].
pub struct IndexScan<'a> {
    index: &'a mut StateIndex,
    /// `None` after the end or the first error.
    iter: Option<sled::Iter>,
    shard: u32,
    expected: Summary,
    seen: Summary,
}

impl fmt::Debug for IndexScan<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IndexScan").field("shard", &self.shard).finish_non_exhaustive()
    }
}

impl<'a> IndexScan<'a> {
    pub(super) fn new(
        index: &'a mut StateIndex,
        iter: sled::Iter,
        shard: u32,
        expected: Summary,
    ) -> Self {
        Self { index, iter: Some(iter), shard, expected, seen: Summary::default() }
    }

    /// Compares what was seen with what the shard should hold.
    fn end(&mut self) -> Option<Result<IndexEntry, IndexFault>> {
        if self.seen == self.expected {
            return None;
        }
        let fault = IndexFault::Summary {
            shard: self.shard,
            expected: self.expected.count,
            found: self.seen.count,
        };
        Some(self.index.guarded("scanning", |_| Err(fault)))
    }
}

impl Iterator for IndexScan<'_> {
    type Item = Result<IndexEntry, IndexFault>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut iter = self.iter.take()?;
        let (shard, seal) = (self.shard, self.index.seal());
        let step = self.index.guarded("scanning", |db| {
            let Some(entry) = iter.next() else { return Ok(None) };
            let (full, first) = entry.map_err(IndexFault::sled("scanning"))?;
            let value = pieces::whole(db, &full, &first)?;
            let record = record::decode(shard, &full, &value, seal.as_deref())?;
            let element = record::element(&full, &value);
            Ok(Some((full.get(4..).unwrap_or_default().to_vec(), record, element, iter)))
        });
        match step {
            Ok(Some((key, record, element, iter))) => {
                element.into_iter().for_each(|element| self.seen.add(element));
                self.iter = Some(iter);
                Some(Ok((key, record)))
            }
            Ok(None) => self.end(),
            Err(fault) => Some(Err(fault)),
        }
    }
}
