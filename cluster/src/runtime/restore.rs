//! A shard's past from disk: its snapshot or the state index, whichever reaches further.
//!
//! **Invariants:** the state index is used only where our log proves it complete up to a floor the
//! log still continues from; otherwise the shard is rebuilt from its snapshot and the log, and the
//! index is filled anew. Both ways end in the same state.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use storage::disk::Disk;
use storage::history::HistoryError;
use storage::seal::Seal;
use storage::snapshot::{SnapshotError, SnapshotReader};
use storage::state::{IndexFault, IndexWrite, StateIndex};

use crate::entity::DecodeError;
use crate::ids::ShardId;
use crate::replication::recovery::RecoveredGroup;
use crate::shard::core::Base;
use crate::shard::kind::Kinds;
use crate::shard::record::{HEADER_KEY, decode_ref};

/// Records written to the index at once while rebuilding it.
const WRITES_PER_BATCH: usize = 2_048;

#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    #[error("cannot read the snapshot of shard {shard}")]
    Snapshot {
        shard: ShardId,
        #[source]
        source: SnapshotError,
    },
    #[error("shard {shard} holds a record that cannot be read")]
    Record {
        shard: ShardId,
        #[source]
        source: DecodeError,
    },
    #[error("cannot go on with the history of shard {shard}")]
    History {
        shard: ShardId,
        #[source]
        source: HistoryError,
    },
    #[error("the state index failed while shard {shard} was restored")]
    Index {
        shard: ShardId,
        #[source]
        source: IndexFault,
    },
}

/// What restoring a shard needs.
pub(crate) struct Restorer<'a> {
    pub(crate) disk: &'a Arc<dyn Disk>,
    pub(crate) seal: Option<Arc<dyn Seal>>,
    pub(crate) kinds: &'a Kinds,
    pub(crate) hot_bytes_max: usize,
}

/// What the state index of before the start says, as far as it was read.
#[derive(Default)]
pub(crate) struct IndexPast {
    pub(crate) floors: BTreeMap<ShardId, u64>,
    pub(crate) bases: BTreeMap<ShardId, Result<Base, RestoreError>>,
}

impl Restorer<'_> {
    /// The shard's base, and the index and term it holds everything up to.
    pub(crate) fn restore(
        &self,
        shard: ShardId,
        group: &RecoveredGroup,
        past: &mut IndexPast,
        index: &mut StateIndex,
    ) -> Result<(Base, (u64, u64)), RestoreError> {
        let failed = |source| RestoreError::Index { shard, source };
        if let Some(applied) = group.usable_floor(past.floors.get(&shard).copied()) {
            let base = past.bases.remove(&shard).unwrap_or_else(|| read_base(shard, index))?;
            // A disk that lied about a sync may have kept the index and lost the log: what is decided
            // anew would be taken for done.
            let last = group.last_index();
            if base.reaches > last {
                let ahead = IndexFault::Ahead { shard: shard.0, reaches: base.reaches, last };
                return Err(failed(ahead));
            }
            return Ok((base, applied));
        }
        // What it holds is unproven, and so is what its floor says.
        index.set_floor(shard.0, 0).map_err(failed)?;
        index.remove_shard(shard.0).map_err(failed)?;
        match &group.snapshot {
            Some(snapshot) => {
                let keep = &mut |writes: &[IndexWrite]| index.write(writes);
                let base = self.read_snapshot(shard, &snapshot.file, keep)?;
                Ok((base, (snapshot.start, snapshot.start_term)))
            }
            None => Ok((Base::default(), (0, 0))),
        }
    }

    /// The base that a snapshot's file holds; what does not fit memory goes to `keep`.
    pub(crate) fn read_snapshot(
        &self,
        shard: ShardId,
        file: &str,
        keep: &mut dyn FnMut(&[IndexWrite]) -> Result<(), IndexFault>,
    ) -> Result<Base, RestoreError> {
        let unreadable = |source| RestoreError::Record { shard, source };
        let damaged = |source| RestoreError::Snapshot { shard, source };
        let failed = |source| RestoreError::Index { shard, source };
        let reader = SnapshotReader::open(self.disk.as_ref(), file, shard.0, self.seal.clone())
            .map_err(damaged)?;
        let mut base = Base::default();
        let mut writes = Vec::new();
        for item in reader {
            let item = item.map_err(damaged)?;
            let Some(body) = item.body else { continue };
            if item.key == HEADER_KEY {
                base.restore_header(&body).map_err(unreadable)?;
                continue;
            }
            let entity = decode_ref(&item.key).map_err(unreadable)?;
            if base.hot_bytes() < self.hot_bytes_max {
                base.restore_hot(entity, &body, self.kinds).map_err(unreadable)?;
                continue;
            }
            base.restore_cold(entity, item.position, &body).map_err(unreadable)?;
            writes.push(IndexWrite {
                shard: shard.0,
                key: Bytes::from(item.key),
                position: item.position,
                body: Some(Bytes::from(body)),
            });
            if writes.len() >= WRITES_PER_BATCH {
                keep(&writes).map_err(failed)?;
                writes.clear();
            }
        }
        keep(&writes).map_err(failed)?;
        Ok(base)
    }
}

/// How far the index says it is complete, by shard.
pub(crate) fn floors(
    shards: impl Iterator<Item = ShardId>,
    index: &mut StateIndex,
) -> Result<BTreeMap<ShardId, u64>, IndexFault> {
    let mut floor = |shard: ShardId| Ok(index.floor(shard.0)?.map(|floor| (shard, floor)));
    shards.filter_map(|shard| floor(shard).transpose()).collect()
}

/// A shard's base as the index holds it.
pub(crate) fn read_base(shard: ShardId, index: &mut StateIndex) -> Result<Base, RestoreError> {
    let failed = |source| RestoreError::Index { shard, source };
    let unreadable = |source| RestoreError::Record { shard, source };
    let mut base = Base::default();
    for item in index.scan(shard.0).map_err(failed)? {
        let (key, record) = item.map_err(failed)?;
        base.reaches = base.reaches.max(record.position);
        let Some(body) = record.body else { continue };
        if key == HEADER_KEY {
            base.restore_header(&body).map_err(unreadable)?;
            continue;
        }
        let entity = decode_ref(&key).map_err(unreadable)?;
        base.restore_cold(entity, record.position, &body).map_err(unreadable)?;
    }
    Ok(base)
}
