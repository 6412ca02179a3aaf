//! Snapshots and trimming in the simulated world: the same steps as production takes, one at a
//! time, so that anything may happen between them.

use std::collections::BTreeMap;
use std::sync::Arc;

use storage::disk::Disk;
use storage::sim_disk::SimDisk;
use storage::snapshot::{
    SnapshotError, SnapshotItem, SnapshotMeta, SnapshotReader, SnapshotWriter,
};

use crate::ids::{EntityRef, ShardId};
use crate::replication::group::group_of;
use crate::replication::offer::SnapshotOffer;
use crate::replication::recovery::RecoveredGroup;
use crate::shard::core::Base;
use crate::shard::io::Input;
use crate::shard::kind::Kinds;
use crate::shard::record::{HEADER_KEY, decode_ref, encode_ref};
use crate::shard::walk::{Walk, WalkStart, Walked};
use crate::sim::node::{End, SimNode, died, fault};

const SNAPSHOT_DIR: &str = "snapshots";

/// A snapshot in the making.
pub(crate) struct Checkpoint {
    shard: ShardId,
    start: WalkStart,
    writer: SnapshotWriter,
    after: Option<EntityRef>,
}

impl Checkpoint {
    pub(crate) fn shard(&self) -> ShardId {
        self.shard
    }
}

impl SimNode {
    /// Takes the snapshot in the making one step further, or begins one.
    pub(crate) fn advance_checkpoint(&mut self) -> Result<(), End> {
        match self.checkpoint.take() {
            None => self.begin_checkpoint(),
            Some(checkpoint) => self.go_on(checkpoint),
        }
    }

    fn begin_checkpoint(&mut self) -> Result<(), End> {
        let wanted = self.wanted.pop_first();
        let shard = wanted.unwrap_or_else(|| self.draw_shard());
        let covered = self.covered.get(&shard).copied().unwrap_or(0);
        let after = if wanted.is_some() { covered } else { covered + 8 };
        let start = self.core(shard).and_then(|core| core.walk_start());
        let Some(start) = start.filter(|start| start.index > after) else { return Ok(()) };
        let disk: Arc<dyn Disk> = Arc::new(self.disk.clone());
        let id = self.draw(u64::MAX);
        let meta = SnapshotMeta { shard: shard.0, start: start.index, start_term: start.term, id };
        let begun =
            SnapshotWriter::create(disk, SNAPSHOT_DIR, meta, None).and_then(|mut writer| {
                let header = &start.header;
                let body = Some(header.bytes.as_slice());
                writer.push(&SnapshotItem { key: HEADER_KEY, position: header.position, body })?;
                Ok(writer)
            });
        // A full disk puts a snapshot off.
        let Ok(writer) = begun else { return Ok(()) };
        self.checkpoint = Some(Checkpoint { shard, start, writer, after: None });
        Ok(())
    }

    fn go_on(&mut self, mut checkpoint: Checkpoint) -> Result<(), End> {
        let shard = checkpoint.shard;
        let Some(core) = self.core(shard) else { return Ok(()) };
        let step = core.walk_step(Walk::All, checkpoint.after.as_ref());
        for walked in step.walked {
            let (entity, position, bytes) = match walked {
                Walked::Record { entity, stored } => (entity, stored.position, stored.bytes),
                Walked::InIndex { entity } => {
                    let Some(stored) = self.index.latest(&entity, shard).cloned() else {
                        return Err(fault(&format!("{entity} is in no index")));
                    };
                    (entity, stored.position, stored.bytes)
                }
            };
            let key = encode_ref(&entity);
            let item = SnapshotItem { key: &key, position, body: Some(&bytes) };
            if checkpoint.writer.push(&item).is_err() {
                return Ok(());
            }
        }
        checkpoint.after = step.next_after;
        if checkpoint.after.is_some() {
            self.checkpoint = Some(checkpoint);
            return Ok(());
        }
        self.finish_checkpoint(checkpoint)
    }

    fn finish_checkpoint(&mut self, checkpoint: Checkpoint) -> Result<(), End> {
        let Checkpoint { shard, start, writer, .. } = checkpoint;
        let end = self.core(shard).map_or(start.index, |core| core.status().applied);
        let Ok(file) = writer.finish(end) else { return Ok(()) };
        let members = start.members;
        let offer = SnapshotOffer { meta: file.meta, end: file.end, bytes: file.bytes, members };
        self.append_durably(&[offer.pointer(&file.path)])?;
        self.stats.snapshots += 1;
        self.covered.insert(shard, start.index);
        self.files.insert(shard, (offer.clone(), file.path));
        self.send(shard, Input::Covered(offer));
        let needed: BTreeMap<_, _> =
            self.covered.iter().map(|(shard, covered)| (group_of(*shard), covered + 1)).collect();
        let before = self.log_mut().stats().segments;
        self.log_mut().trim(&needed).map_err(|error| died(&error))?;
        let dropped = before.saturating_sub(self.log_mut().stats().segments);
        self.stats.segments_dropped += u64::try_from(dropped).unwrap_or(0);
        Ok(())
    }
}

/// A shard's base from its snapshot, if it has one.
pub(crate) fn restore(
    disk: &SimDisk,
    shard: ShardId,
    group: &RecoveredGroup,
    kinds: &Kinds,
) -> Result<(Base, (u64, u64)), End> {
    let Some(snapshot) = &group.snapshot else { return Ok((Base::default(), (0, 0))) };
    let base = read_snapshot(disk, shard, &snapshot.file, kinds)?;
    Ok((base, (snapshot.start, snapshot.start_term)))
}

/// Everything a snapshot holds, in memory.
pub(crate) fn read_snapshot(
    disk: &SimDisk,
    shard: ShardId,
    file: &str,
    kinds: &Kinds,
) -> Result<Base, End> {
    let mut base = Base::default();
    let reader = SnapshotReader::open(disk, file, shard.0, None).map_err(|e| end_of(&e))?;
    for item in reader {
        let item = item.map_err(|error| end_of(&error))?;
        let Some(body) = item.body else { continue };
        let restored = if item.key == HEADER_KEY {
            base.restore_header(&body)
        } else {
            decode_ref(&item.key).and_then(|entity| base.restore_hot(entity, &body, kinds))
        };
        restored.map_err(|error| fault(&error))?;
    }
    Ok(base)
}

pub(crate) fn end_of(error: &SnapshotError) -> End {
    let damage = matches!(error, SnapshotError::Damaged { .. } | SnapshotError::Io { .. });
    if damage { End::Refused { why: error.to_string() } } else { fault(error) }
}
