//! The state index's floor: how far it is complete, so that the next start replays only the rest.
//!
//! **Invariants:** a floor is noted only after everything at or below it is in the index and the
//! index's files are on the device; first inside the index, then in our log, and the lower counts.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use storage::log::Record;
use storage::state::IndexJob;
use tokio::sync::oneshot;

use crate::ids::ShardId;
use crate::replication::group::group_of;
use crate::runtime::asking::{ask, callback, finished};
use crate::runtime::postponed::Postponed;
use crate::runtime::services::Services;
use crate::runtime::shard_actor::ShardMessage;

/// Raises the floors of all shards of a node.
#[derive(Clone)]
pub(crate) struct Floors {
    pub(crate) services: Arc<Services>,
    pub(crate) shards: Vec<ShardId>,
}

impl Floors {
    /// Brings what changed lately into the state index, so that the next start replays little.
    pub(crate) async fn raise(&self) -> Result<(), Postponed> {
        // It would wait for space that may never come, and others wait for it; the next start replays
        // more of the log instead. What is under way is done when there is space, and does no harm.
        if self.services.log.is_full() {
            return Ok(());
        }
        tokio::select! {
            raised = self.raise_all() => raised,
            () = self.services.index_lacks_space() => Ok(()),
        }
    }

    async fn raise_all(&self) -> Result<(), Postponed> {
        let mut floors = Vec::new();
        for shard in &self.shards {
            let actor = self.services.shards.get(*shard).ok_or(Postponed::Stopping)?;
            let (reply, start) = oneshot::channel();
            ask(actor, ShardMessage::WalkStart(reply))?;
            let Some(start) = finished(start).await? else { continue };
            if start.index == 0 || self.services.floor(*shard) == start.index {
                continue;
            }
            let mut after = None;
            loop {
                let (reply, step) = oneshot::channel();
                ask(actor, ShardMessage::IndexStep { after, reply })?;
                after = finished(step).await??;
                if after.is_none() {
                    break;
                }
            }
            floors.push((*shard, start.index));
        }
        if floors.is_empty() {
            return Ok(());
        }
        self.sync_index().await?;
        let mut still = Vec::with_capacity(floors.len());
        for (shard, position) in floors {
            let actor = self.services.shards.get(shard).ok_or(Postponed::Stopping)?;
            let (reply, set) = oneshot::channel();
            ask(actor, ShardMessage::SetFloor { position, reply })?;
            if finished(set).await?? {
                still.push((shard, position));
            }
        }
        let floors = still;
        self.sync_index().await?;
        let record = |(shard, position): &(ShardId, u64)| Record::IndexFloor {
            group: group_of(*shard),
            position: *position,
        };
        finished(self.services.log.append_durably(floors.iter().map(record).collect())).await?;
        for (shard, position) in floors {
            self.services.set_floor(shard, position);
        }
        Ok(())
    }

    async fn sync_index(&self) -> Result<(), Postponed> {
        let (done, synced) = callback();
        self.services.submit(IndexJob::SyncFiles { done });
        Ok(finished(synced).await??)
    }
}

impl Services {
    fn floor(&self, shard: ShardId) -> u64 {
        self.progress_of(shard).map_or(0, |p| p.index_floor.load(Ordering::Relaxed))
    }

    fn set_floor(&self, shard: ShardId, position: u64) {
        if let Some(progress) = self.progress_of(shard) {
            progress.index_floor.store(position, Ordering::Relaxed);
        }
    }
}
