//! The state index of a simulated node, with what a crash leaves of it.
//!
//! **Invariants:** jobs are done in the order they came; after a crash it is what it was at some
//! moment since its files were last synced. It may be gone at a restart, as it may be rebuilt.

use std::collections::{BTreeMap, VecDeque};

use storage::sim_disk::SplitMix64;

use crate::entity::DecodeError;
use crate::ids::{EntityRef, ShardId};
use crate::shard::core::Base;
use crate::shard::walk::Stored;

/// An entity's record, or the shard's own.
type Key = (ShardId, Option<EntityRef>);

#[derive(Default)]
pub(crate) struct SimIndex {
    records: BTreeMap<Key, Stored>,
    floors: BTreeMap<ShardId, u64>,
    /// What was there before each change since the last sync.
    unsynced: Vec<Change>,
    jobs: VecDeque<IndexJob>,
}

enum Change {
    Record(Key, Option<Stored>),
    Floor(ShardId, Option<u64>),
}

/// What a shard wants of the index.
pub(crate) enum IndexJob {
    Load {
        shard: ShardId,
        entity: EntityRef,
    },
    Store {
        shard: ShardId,
        entity: EntityRef,
        stored: Stored,
        bytes: usize,
    },
    StoreHeader {
        shard: ShardId,
        stored: Stored,
    },
    /// Everything up to here is stored: sync, note it inside, sync, and note it in the log.
    RaiseFloor {
        shard: ShardId,
        position: u64,
    },
}

impl IndexJob {
    pub(crate) fn shard(&self) -> ShardId {
        match self {
            Self::Load { shard, .. }
            | Self::Store { shard, .. }
            | Self::StoreHeader { shard, .. }
            | Self::RaiseFloor { shard, .. } => *shard,
        }
    }
}

impl SimIndex {
    pub(crate) fn push(&mut self, job: IndexJob) {
        self.jobs.push_back(job);
    }

    pub(crate) fn next_job(&mut self) -> Option<IndexJob> {
        self.jobs.pop_front()
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.jobs.is_empty()
    }

    /// What waits for this shard is void; the rest stays.
    pub(crate) fn forget_jobs(&mut self, shard: ShardId) {
        self.jobs.retain(|job| job.shard() != shard);
    }

    /// What [`Self::get`] will give once everything that waits is done.
    pub(crate) fn latest(&self, entity: &EntityRef, shard: ShardId) -> Option<&Stored> {
        let waiting = self.jobs.iter().rev().find_map(|job| match job {
            IndexJob::Store { entity: of, stored, .. } if of == entity => Some(stored),
            IndexJob::Store { .. }
            | IndexJob::Load { .. }
            | IndexJob::StoreHeader { .. }
            | IndexJob::RaiseFloor { .. } => None,
        });
        waiting.or_else(|| self.get(entity, shard))
    }

    pub(crate) fn get(&self, entity: &EntityRef, shard: ShardId) -> Option<&Stored> {
        self.records.get(&(shard, Some(entity.clone())))
    }

    pub(crate) fn put(&mut self, shard: ShardId, entity: Option<EntityRef>, stored: Stored) {
        let key = (shard, entity);
        let before = self.records.insert(key.clone(), stored);
        self.unsynced.push(Change::Record(key, before));
    }

    pub(crate) fn remove_shard(&mut self, shard: ShardId) {
        self.set_floor(shard, None);
        let keys: Vec<_> = self.of_shard(shard).map(|(key, _)| key.clone()).collect();
        for key in keys {
            let before = self.records.remove(&key);
            self.unsynced.push(Change::Record(key, before));
        }
    }

    fn set_floor(&mut self, shard: ShardId, floor: Option<u64>) {
        let before = match floor {
            Some(floor) => self.floors.insert(shard, floor),
            None => self.floors.remove(&shard),
        };
        self.unsynced.push(Change::Floor(shard, before));
    }

    /// Notes that everything up to `position` is in the durable part.
    pub(crate) fn raise_floor(&mut self, shard: ShardId, position: u64) {
        self.sync();
        self.set_floor(shard, Some(position));
        self.sync();
    }

    pub(crate) fn floors(&self) -> BTreeMap<ShardId, u64> {
        self.floors.clone()
    }

    fn sync(&mut self) {
        self.unsynced.clear();
    }

    /// The process is gone; its files stay.
    pub(crate) fn end_process(&mut self) {
        self.jobs.clear();
    }

    /// Of what was not synced, the end is lost.
    pub(crate) fn crash(&mut self, random: &mut SplitMix64) {
        let n = u64::try_from(self.unsynced.len()).unwrap_or(0);
        let kept = usize::try_from(random.below(n + 1)).unwrap_or(0);
        for change in self.unsynced.drain(kept..).rev() {
            match change {
                Change::Record(key, Some(before)) => drop(self.records.insert(key, before)),
                Change::Record(key, None) => drop(self.records.remove(&key)),
                Change::Floor(shard, Some(before)) => drop(self.floors.insert(shard, before)),
                Change::Floor(shard, None) => drop(self.floors.remove(&shard)),
            }
        }
        self.sync();
    }

    /// Somebody deleted the folder.
    pub(crate) fn wipe(&mut self) {
        *self = Self::default();
    }

    /// A shard's base as it is here.
    pub(crate) fn base(&self, shard: ShardId) -> Result<Base, DecodeError> {
        let mut base = Base::default();
        for ((_, entity), stored) in self.of_shard(shard) {
            match entity {
                None => base.restore_header(&stored.bytes)?,
                Some(entity) => {
                    base.restore_cold(entity.clone(), stored.position, &stored.bytes)?;
                }
            }
        }
        Ok(base)
    }

    /// The latest position of any record of a shard.
    pub(crate) fn reaches(&self, shard: ShardId) -> u64 {
        self.of_shard(shard).map(|(_, stored)| stored.position).max().unwrap_or(0)
    }

    fn of_shard(&self, shard: ShardId) -> impl Iterator<Item = (&Key, &Stored)> {
        self.records.range((shard, None)..).take_while(move |((of, _), _)| *of == shard)
    }
}
