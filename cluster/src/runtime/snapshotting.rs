//! Writing one shard's snapshot while the shard goes on working.
//!
//! **Invariants:** the file holds every record as of the start or later; it counts only once the
//! log points to it.

use std::sync::Arc;

use bytes::Bytes;
use ractor::ActorRef;
use sha2::{Digest, Sha256};
use storage::clock;
use storage::disk::Disk;
use storage::seal::Seal;
use storage::snapshot::{self, SnapshotFile, SnapshotItem, SnapshotMeta, SnapshotWriter};
use storage::state::IndexJob;
use tokio::sync::oneshot;

use crate::ids::{EntityRef, ShardId};
use crate::replication::recovery::SnapshotAt;
use crate::runtime::asking::{ask, blocking, callback, finished};
use crate::runtime::postponed::Postponed;
use crate::runtime::services::Services;
use crate::runtime::shard_actor::ShardMessage;
use crate::shard::record::{HEADER_KEY, encode_ref};
use crate::shard::walk::{Stored, Walk, WalkStart, Walked};

/// The folder of all shards' snapshots, in the data folder.
pub(crate) const SNAPSHOT_DIR: &str = "snapshots";

pub(crate) struct Snapshotting<'a> {
    pub(crate) services: &'a Services,
    pub(crate) disk: &'a Arc<dyn Disk>,
    pub(crate) seal: Option<Arc<dyn Seal>>,
    pub(crate) shard: ShardId,
    pub(crate) actor: &'a ActorRef<ShardMessage>,
}

impl Snapshotting<'_> {
    pub(crate) async fn write(&self, start: &WalkStart) -> Result<SnapshotFile, Postponed> {
        let meta = SnapshotMeta {
            shard: self.shard.0,
            start: start.index,
            start_term: start.term,
            id: clock::wall_micros(),
        };
        let (disk, seal) = (Arc::clone(self.disk), self.seal.clone());
        let mut writer =
            blocking(move || SnapshotWriter::create(disk, SNAPSHOT_DIR, meta, seal)).await??;
        let header = Kept { key: HEADER_KEY.to_vec(), stored: start.header.clone() };
        writer = push(writer, vec![header]).await?;
        let mut after = None;
        loop {
            let (kept, next_after) =
                walk_page(self.services, self.shard, self.actor, after).await?;
            writer = push(writer, kept).await?;
            after = next_after;
            if after.is_none() {
                break;
            }
        }
        let (reply, status) = oneshot::channel();
        ask(self.actor, ShardMessage::Status(reply))?;
        let end = finished(status).await?.applied;
        Ok(blocking(move || writer.finish(end)).await??)
    }

    /// Removes the snapshots that `current` replaces. A newer one may have come from a peer meanwhile.
    pub(crate) fn remove_older(&self, current: &SnapshotAt) -> Result<(), Postponed> {
        for name in snapshot::list(self.disk.as_ref(), SNAPSHOT_DIR)? {
            if name.shard == self.shard.0 && name.start < current.start {
                snapshot::remove(self.disk.as_ref(), SNAPSHOT_DIR, &name)?;
            }
        }
        Ok(())
    }
}

async fn read_indexed(
    services: &Services,
    shard: ShardId,
    entity: &EntityRef,
) -> Result<Kept, Postponed> {
    let key = encode_ref(entity);
    let (done, read) = callback();
    let bytes = Bytes::from(key.clone());
    services.submit(IndexJob::Read { shard: shard.0, key: bytes, done });
    let record = finished(read).await??;
    let lost = || Postponed::RecordLost { entity: entity.to_string() };
    let record = record.ok_or_else(lost)?;
    let bytes = record.body.ok_or_else(lost)?.to_vec();
    Ok(Kept { key, stored: Stored { position: record.position, bytes } })
}

/// The next records of a shard, those in the state index too, and where to go on.
async fn walk_page(
    services: &Services,
    shard: ShardId,
    actor: &ActorRef<ShardMessage>,
    after: Option<EntityRef>,
) -> Result<(Vec<Kept>, Option<EntityRef>), Postponed> {
    let (reply, step) = oneshot::channel();
    ask(actor, ShardMessage::WalkStep { walk: Walk::All, after, reply })?;
    let step = finished(step).await?;
    let mut page = Vec::with_capacity(step.walked.len());
    for walked in step.walked {
        page.push(match walked {
            Walked::Record { entity, stored } => Kept { key: encode_ref(&entity), stored },
            Walked::InIndex { entity } => read_indexed(services, shard, &entity).await?,
        });
    }
    Ok((page, step.next_after))
}

/// A hash over all records of a shard. Meaningful while nothing changes.
pub(crate) async fn shard_hash(services: &Services, shard: ShardId) -> Result<[u8; 32], Postponed> {
    let actor = services.shards.get(shard).ok_or(Postponed::Stopping)?;
    let mut hasher = Sha256::new();
    let (reply, start) = oneshot::channel();
    ask(actor, ShardMessage::WalkStart(reply))?;
    if let Some(start) = finished(start).await? {
        hasher.update(start.header.bytes);
    }
    let mut after = None;
    loop {
        let (page, next_after) = walk_page(services, shard, actor, after).await?;
        for kept in page {
            hasher.update(&kept.key);
            hasher.update(kept.stored.position.to_be_bytes());
            hasher.update(&kept.stored.bytes);
        }
        after = next_after;
        if after.is_none() {
            return Ok(hasher.finalize().into());
        }
    }
}

struct Kept {
    key: Vec<u8>,
    stored: Stored,
}

async fn push(mut writer: SnapshotWriter, kept: Vec<Kept>) -> Result<SnapshotWriter, Postponed> {
    blocking(move || {
        for Kept { key, stored } in &kept {
            let body = Some(stored.bytes.as_slice());
            writer.push(&SnapshotItem { key, position: stored.position, body })?;
        }
        Ok(writer)
    })
    .await?
}
