//! The workload of a shop: the carts and stocks of production, in simulated clusters.
//!
//! **Invariants:** what is judged is what clients were told and what they are shown at rest: every
//! acknowledged write took effect once, every refused one never, every unknown one at most once.
//!
//! Two judges for carts and for stocks: one holds each answer against the state before it, where
//! that was seen; the other counts, and trusts no sequence number.

mod carts;
mod counts;
mod skus;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, PoisonError};

use actors::{Cart, Sku};
use cluster::entity::Catalogue;
use cluster::fabric::OutcomeKey;
use cluster::ids::ShardId;
use cluster::placement::shard_map::ShardMap;
use cluster::shard::kind::Kinds;
use cluster::sim::client::Finished;
use cluster::sim::workload::{Operation, Workload};
use cluster::time::{Span, Timestamp};
use storage::sim_disk::SplitMix64;

use self::carts::Carts;
pub(super) use self::counts::Counts;
use self::skus::Skus;
use super::range;

/// How long an outcome is remembered under its key, at least and at most.
const KEY_SECS: (u64, u64) = (30, 150);
const KEYED_ONE_IN: u64 = 3;

/// What came about in every shop that was judged so far.
pub(super) type SharedCounts = Arc<Mutex<Counts>>;

/// Clients of a shop, and what they know.
#[derive(Default)]
pub(super) struct Shop {
    carts: Carts,
    skus: Skus,
    counts: SharedCounts,
}

impl Shop {
    pub(super) fn new(counts: SharedCounts) -> Self {
        Self { counts, ..Self::default() }
    }
}

impl Workload for Shop {
    fn kinds(&self, kinds: Kinds) -> Kinds {
        kinds.with::<Cart>().with::<Sku>()
    }

    fn catalogue(&self) -> Option<Catalogue> {
        range::catalogue()
    }

    fn draw(&mut self, op: u64, now: Timestamp, random: &mut SplitMix64) -> Operation {
        let (shortest, longest) = KEY_SECS;
        let secs = shortest + random.below(longest - shortest);
        let not_after = now.plus(Span::from_secs(secs));
        let scope = u128::from(op).to_be_bytes();
        let key = OutcomeKey { scope, request: scope, not_after };
        let key = random.one_in(KEYED_ONE_IN).then_some(key);
        if random.one_in(2) {
            self.carts.draw(op, now, key, random)
        } else {
            self.skus.draw(op, now, key, random)
        }
    }

    /// Other workloads have one.
    fn probe(&mut self, _: u64, _: ShardId, _: ShardMap) -> Option<Operation> {
        None
    }

    fn audits(&mut self, first: u64) -> Vec<Operation> {
        let mut ops = first..;
        let mut audits = self.carts.audits(&mut ops);
        audits.extend(self.skus.audits(&mut ops));
        audits
    }

    fn finish(&mut self, finished: Finished) -> Result<(), String> {
        if self.carts.journal.has(finished.op) {
            self.carts.finish(finished)
        } else {
            self.skus.finish(finished)
        }
    }

    fn judge(&self) -> Result<(), String> {
        let found = self.carts.judge()?.plus(self.skus.judge()?);
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        *counts = counts.plus(found);
        Ok(())
    }
}
