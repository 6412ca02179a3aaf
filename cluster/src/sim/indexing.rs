//! What a simulated node does with its state index: loads, stores, and the floor up to which the next
//! start may believe it. The same steps as production takes, one at a time.

use std::sync::Arc;

use storage::disk::Disk;
use storage::log::{Log, LogError, LogOptions, Record};

use crate::ids::{EntityRef, ShardId};
use crate::replication::group::group_of;
use crate::replication::recovery::{RecoveredGroup, Recovering};
use crate::shard::core::Base;
use crate::shard::io::Input;
use crate::shard::walk::{Walk, Walked};
use crate::sim::checkpoint::restore;
use crate::sim::node::{End, LOG_DIR, SimNode, fault};
use crate::sim::state_index::IndexJob;

/// A floor is raised when this many entries came since the last one.
const ENTRIES_PER_FLOOR: u64 = 6;

/// Bringing everything of a shard into the index, up to where it began.
pub(crate) struct Raising {
    shard: ShardId,
    position: u64,
    after: Option<EntityRef>,
}

impl Raising {
    pub(crate) fn shard(&self) -> ShardId {
        self.shard
    }
}

impl SimNode {
    /// Carries out what waits for the index, `jobs` at most.
    pub(crate) fn work_index(&mut self, jobs: usize) -> Result<(), End> {
        for _ in 0..jobs {
            let Some(job) = self.index.next_job() else { return Ok(()) };
            match job {
                IndexJob::Load { shard, entity } => {
                    self.stats.loads += 1;
                    let stored = self.index.get(&entity, shard);
                    let stored = stored.map(|stored| (stored.position, stored.bytes.clone()));
                    self.send(shard, Input::Loaded { entity, stored });
                }
                IndexJob::Store { shard, entity, stored, bytes } => {
                    self.stats.stores += 1;
                    let position = stored.position;
                    self.index.put(shard, Some(entity.clone()), stored);
                    self.send(shard, Input::Indexed { entity, position, bytes });
                }
                IndexJob::StoreHeader { shard, stored } => self.index.put(shard, None, stored),
                IndexJob::RaiseFloor { shard, position } => {
                    self.index.raise_floor(shard, position);
                    let group = group_of(shard);
                    self.append_durably(&[Record::IndexFloor { group, position }])?;
                    self.stats.floors += 1;
                    self.floors.insert(shard, position);
                }
            }
        }
        Ok(())
    }

    /// Takes the raising of a floor one step further, or begins one.
    pub(crate) fn advance_floor(&mut self) {
        let raising = self.raising.take().or_else(|| {
            let shard = self.draw_shard();
            let position = self.core(shard)?.walk_start()?.index;
            let raised = self.floors.get(&shard).copied().unwrap_or(0);
            (position >= raised + ENTRIES_PER_FLOOR).then_some(Raising {
                shard,
                position,
                after: None,
            })
        });
        let Some(mut raising) = raising else { return };
        let shard = raising.shard;
        let Some(core) = self.core(shard) else { return };
        let step = core.walk_step(Walk::Unindexed, raising.after.as_ref());
        // Without its header a floor means nothing.
        let Some(header) = core.stored_header() else { return };
        for walked in step.walked {
            if let Walked::Record { entity, stored } = walked {
                self.index.push(IndexJob::Store { shard, entity, stored, bytes: 0 });
            }
        }
        raising.after = step.next_after;
        if raising.after.is_some() {
            self.raising = Some(raising);
            return;
        }
        let position = raising.position;
        self.index.push(IndexJob::StoreHeader { shard, stored: header });
        self.index.push(IndexJob::RaiseFloor { shard, position });
    }

    /// A shard's base and what it holds everything up to: from the index where it can be believed.
    pub(crate) fn base_of(
        &mut self,
        shard: ShardId,
        group: &RecoveredGroup,
    ) -> Result<(Base, (u64, u64)), End> {
        let inside = self.index.floors().get(&shard).copied();
        if let Some(applied) = group.usable_floor(inside) {
            self.stats.index_starts += 1;
            self.floors.insert(shard, applied.0);
            return Ok((self.index.base(shard).map_err(|error| fault(&error))?, applied));
        }
        self.stats.index_rebuilds += 1;
        self.index.remove_shard(shard);
        restore(&self.disk, shard, group, &self.options.kinds)
    }

    /// Opens the log and reads what it holds, expecting of the index what it says; once more where
    /// that was wrong.
    pub(crate) fn read_log(&mut self) -> Result<Recovering, End> {
        let floors = self.index.floors();
        let mut recovering = Recovering::expecting(&floors);
        self.log = self.open_log_into(&mut recovering)?;
        let mut lacks = false;
        for shard in self.options.groups(self.map()) {
            let Some(group) = recovering.get(group_of(shard)) else { continue };
            lacks |= group.needs_more_of_the_log(floors.get(&shard).copied());
            // A disk that lied about a sync may have kept the index and lost the log.
            if self.index.reaches(shard) > group.last_index() {
                self.index.remove_shard(shard);
                lacks = true;
            }
        }
        if lacks {
            recovering = Recovering::default();
            self.log = self.open_log_into(&mut recovering)?;
        }
        Ok(recovering)
    }

    fn open_log_into(&self, recovering: &mut Recovering) -> Result<Log, End> {
        let disk: Arc<dyn Disk> = Arc::new(self.disk.clone());
        let segment_bytes = self.options.segment_bytes;
        let options = LogOptions { segment_bytes, ..LogOptions::default() };
        match Log::open(disk, LOG_DIR, options, &mut |record| recovering.visit(record)) {
            Ok((log, _)) => Ok(log),
            Err(error @ LogError::Damaged { .. }) => Err(End::Refused { why: error.to_string() }),
            Err(error) => Err(fault(&error)),
        }
    }
}
