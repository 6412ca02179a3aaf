//! What changed in a shard since an index: for a copy of all of it that is kept beside the shard.
//!
//! **Invariants:** everything that is given is as of one index. Entities that are not in memory are
//! brought there first, so this is for shards whose entities all stay there.

use crate::catalogue::{ChangedRecord, Changes};
use crate::shard::core::ShardCore;
use crate::shard::io::Output;

/// Entities brought into memory at once.
const LOADS_MAX: usize = 1_024;

impl ShardCore {
    /// The entities that changed after `after`; `None` while that cannot be told: ask again.
    pub(crate) fn changes_after(&mut self, after: u64, out: &mut Vec<Output>) -> Option<Changes> {
        let is_steady = self.fenced.is_none() && self.is_held() && self.is_whole();
        if !is_steady || self.loads.oldest_outcome().is_some() {
            return None;
        }
        let absent = self.residents.cold_after(after).take(LOADS_MAX);
        let absent: Vec<_> = absent.collect();
        if !absent.is_empty() {
            for entity in &absent {
                self.load(entity, out);
            }
            return None;
        }
        let mut changes = Changes { records: Vec::new(), newest: after, to: self.applied.0 };
        for (entity, record) in self.residents.committed_after(after) {
            changes.newest = changes.newest.max(record.position);
            let state = record.state.to_record();
            changes.records.push(ChangedRecord { entity: entity.clone(), state });
        }
        Some(changes)
    }
}
