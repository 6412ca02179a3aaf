//! Keeping the log short and restarts quick: snapshots, history, trimming, the state index's floor.
//!
//! **Invariants:** an entry leaves the log only after history holds it and a snapshot covers it,
//! both durable; a floor is noted only after everything below it is on the device. All of it runs
//! beside serving, in bounded steps, one shard at a time; a failure leaves the log longer and
//! nothing else.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use ractor::ActorRef;
use storage::clock;
use storage::disk::Disk;
use storage::log::{GroupId, Record};
use storage::seal::Seal;
use tokio::sync::oneshot;

use crate::ids::ShardId;
use crate::replication::group::group_of;
use crate::replication::offer::SnapshotOffer;
use crate::replication::recovery::SnapshotAt;
use crate::runtime::archive::Archived;
use crate::runtime::asking::{ask, finished};
use crate::runtime::fetching::SnapshotFolder;
use crate::runtime::floors::Floors;
use crate::runtime::node::NodeConfig;
use crate::runtime::postponed::{Postponed, explained};
use crate::runtime::services::{Progress, Services};
use crate::runtime::shard_actor::ShardMessage;
use crate::runtime::snapshotting::Snapshotting;
use crate::shard::io::Input;

/// Between looks at whether something is due.
const PAUSE: Duration = Duration::from_millis(500);
/// Log segments a shard may pin before it is snapshotted whatever its size.
const PINNED_SEGMENTS_MAX: u64 = 8;

/// Between reminders that a fenced shard keeps its log.
const FENCED_TOLD_EVERY: Duration = Duration::from_secs(600);

/// When something is due.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MaintenanceRule {
    /// Log bytes of a shard after which it is snapshotted, at least.
    pub(crate) snapshot_log_bytes_min: u64,
    /// Between floors of the state index.
    pub(crate) index_floor_every: Duration,
}

pub(crate) struct Maintenance {
    pub(crate) services: Arc<Services>,
    pub(crate) disk: Arc<dyn Disk>,
    seal: Option<Arc<dyn Seal>>,
    rule: MaintenanceRule,
    pub(crate) shards: Vec<ShardId>,
    /// The snapshot each shard's log goes on from.
    pub(crate) current: BTreeMap<ShardId, CurrentSnapshot>,
    /// When it was last said that a fenced shard keeps its log.
    fenced_was_told: BTreeMap<ShardId, Instant>,
    floors: Floors,
    floor_was_raised: Instant,
}

#[derive(Clone, Debug)]
pub(crate) struct CurrentSnapshot {
    pub(crate) at: SnapshotAt,
    pub(crate) bytes: u64,
}

/// Looks at what may fail at any moment: the space on the disk, and a state index that hangs. Apart
/// from maintenance, which waits for both.
pub(crate) async fn watch_storage(services: Arc<Services>) {
    const PAUSE: Duration = Duration::from_millis(200);
    while !services.shards.is_stopping() {
        tokio::time::sleep(PAUSE).await;
        services.log.check_space();
        services.check_index();
    }
}

impl Maintenance {
    pub(crate) fn new(
        services: &Arc<Services>,
        config: &NodeConfig,
        current: BTreeMap<ShardId, CurrentSnapshot>,
        floors: Floors,
    ) -> Self {
        let SnapshotFolder { disk, seal, .. } = services.snapshot_folder.clone();
        for (shard, current) in &current {
            services.covered_by(*shard, current.bytes);
        }
        Self {
            services: Arc::clone(services),
            disk,
            seal,
            rule: MaintenanceRule {
                snapshot_log_bytes_min: config.snapshot_log_bytes_min,
                index_floor_every: config.index_floor_every,
            },
            shards: services.map.groups().collect(),
            current,
            fenced_was_told: BTreeMap::new(),
            floors,
            floor_was_raised: clock::monotonic(),
        }
    }

    pub(crate) async fn run(mut self) {
        loop {
            tokio::time::sleep(PAUSE).await;
            if self.services.shards.is_stopping() {
                return;
            }
            match self.look().await {
                Ok(()) => {}
                Err(Postponed::Stopping) if self.services.shards.is_stopping() => return,
                Err(error) => tracing::warn!(error = %explained(&error), "maintenance put off"),
            }
        }
    }

    async fn look(&mut self) -> Result<(), Postponed> {
        self.forget_removed().await?;
        let due = self.due_shards().await?;
        let trims = !due.is_empty();
        for shard in due {
            // One shard that cannot be kept must not keep the others' log.
            match self.snapshot(shard).await {
                Err(Postponed::Stopping) => return Err(Postponed::Stopping),
                Err(error) => {
                    let error = explained(&error);
                    tracing::warn!(shard.id = %shard, %error, "snapshot put off");
                }
                Ok(()) => {}
            }
        }
        if trims {
            finished(self.services.log.trim(self.needed())).await?;
        }
        if self.floor_was_raised.elapsed() >= self.rule.index_floor_every {
            self.floors.raise().await?;
            self.floor_was_raised = clock::monotonic();
        }
        Ok(())
    }

    /// Shards whose log outgrew their last snapshot, so that writing snapshots costs no more than
    /// writing the log did, and shards that pin many segments.
    async fn due_shards(&self) -> Result<Vec<ShardId>, Postponed> {
        let outgrown = |shard: &&ShardId| {
            let last = self.current.get(shard).map_or(0, |current| current.bytes);
            self.services.appended_bytes(**shard) > last.max(self.rule.snapshot_log_bytes_min)
                || self.services.take_snapshot_wanted(**shard)
        };
        let mut due: Vec<_> = self.shards.iter().filter(outgrown).copied().collect();
        let pinned = self.services.log.pinned(self.needed(), PINNED_SEGMENTS_MAX);
        let pinned = pinned.await.map_err(|_| Postponed::Stopping)?;
        due.extend(pinned.into_iter().map(|group| ShardId(group.0)));
        due.sort_unstable();
        due.dedup();
        Ok(due)
    }

    /// The first index each group still needs from the log.
    fn needed(&self) -> BTreeMap<GroupId, u64> {
        let first = |shard: &ShardId| self.current.get(shard).map_or(1, |c| c.at.start + 1);
        self.shards.iter().map(|shard| (group_of(*shard), first(shard))).collect()
    }

    async fn snapshot(&mut self, shard: ShardId) -> Result<(), Postponed> {
        let actor = self.actor(shard)?.clone();
        let appended = self.services.appended_bytes(shard);
        let (reply, start) = oneshot::channel();
        ask(&actor, ShardMessage::WalkStart(reply))?;
        let Some(start) = finished(start).await? else { return self.tell_if_fenced(shard).await };
        if let Some(installed) = self.services.take_installed(shard) {
            self.current.insert(shard, installed);
        }
        if self.current.get(&shard).is_some_and(|current| current.at.start >= start.index) {
            return Ok(());
        }
        let last = self.current.get(&shard).map(|current| Archived::of(&current.at));
        let last = last.unwrap_or_default();
        let history_to = self.services.archive(shard, last, start.index).await?;
        let snapshotting = Snapshotting {
            services: &self.services,
            disk: &self.disk,
            seal: self.seal.clone(),
            shard,
            actor: &actor,
        };
        let file = snapshotting.write(&start).await?;
        self.services.storage_metrics.snapshot_written(&file);
        let at = SnapshotAt {
            start: start.index,
            start_term: start.term,
            end: file.end,
            file: file.path.clone(),
            members: start.members.clone(),
            history_to,
            since: last.since,
        };
        let pointer = Record::SnapshotPointer {
            group: group_of(shard),
            start: at.start,
            start_term: at.start_term,
            end: at.end,
            file: at.file.clone(),
            conf: at.covered_by().encode(),
        };
        let (reply, pointed) = oneshot::channel();
        ask(&actor, ShardMessage::Point { start: at.start, pointer, reply })?;
        let Ok(durable) = pointed.await else {
            tracing::info!(shard.id = %shard, "snapshot dropped: the replica goes on from a newer one");
            return Ok(());
        };
        finished(durable).await?;
        let offer = SnapshotOffer {
            meta: file.meta,
            end: file.end,
            bytes: file.bytes,
            members: start.members,
        };
        ask(&actor, ShardMessage::Input(Input::Covered(offer)))?;
        self.services.forget_appended(shard, appended);
        snapshotting.remove_older(&at)?;
        tracing::info!(shard.id = %shard, start = at.start, bytes = file.bytes, "snapshot written");
        self.services.covered_by(shard, file.bytes);
        self.current.insert(shard, CurrentSnapshot { at, bytes: file.bytes });
        Ok(())
    }

    /// The log of a fenced shard is the only copy of what a program that can apply it will need,
    /// so it stays, and with it every later segment of the node's log. That is for an operator.
    async fn tell_if_fenced(&mut self, shard: ShardId) -> Result<(), Postponed> {
        let fenced = self.services.status_of(shard).await?.fenced;
        let told = self.fenced_was_told.get(&shard);
        if fenced && told.is_none_or(|told| told.elapsed() >= FENCED_TOLD_EVERY) {
            tracing::warn!(shard.id = %shard, "a fenced shard keeps its log, so the log grows");
            self.fenced_was_told.insert(shard, clock::monotonic());
        }
        Ok(())
    }

    pub(crate) fn actor(&self, shard: ShardId) -> Result<&ActorRef<ShardMessage>, Postponed> {
        self.services.shards.get(shard).ok_or(Postponed::Stopping)
    }
}

impl Services {
    /// Log bytes of a shard since its last snapshot.
    pub(crate) fn appended_bytes(&self, shard: ShardId) -> u64 {
        self.progress_of(shard).map_or(0, |p| p.appended_bytes.load(Ordering::Relaxed))
    }

    fn covered_by(&self, shard: ShardId, snapshot_bytes: u64) {
        if let Some(progress) = self.progress_of(shard) {
            progress.snapshot_bytes.store(snapshot_bytes, Ordering::Relaxed);
        }
    }

    /// A follower of this shard can only go on from a snapshot.
    pub(crate) fn snapshot_wanted(&self, shard: ShardId) {
        if let Some(progress) = self.progress_of(shard) {
            progress.snapshot_wanted.store(true, Ordering::Relaxed);
        }
    }

    /// The snapshot of another replica that this one went on from since this was last asked.
    fn take_installed(&self, shard: ShardId) -> Option<CurrentSnapshot> {
        self.progress_of(shard)?.installed.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// A shard's replica holds nothing any more.
    pub(crate) fn begin_anew(&self, shard: ShardId) {
        drop(self.take_installed(shard));
        if let Some(progress) = self.progress_of(shard) {
            progress.appended_bytes.store(0, Ordering::Relaxed);
            progress.index_floor.store(0, Ordering::Relaxed);
        }
    }

    fn take_snapshot_wanted(&self, shard: ShardId) -> bool {
        let wanted = |p: &Progress| p.snapshot_wanted.swap(false, Ordering::Relaxed);
        self.progress_of(shard).is_some_and(wanted)
    }

    fn forget_appended(&self, shard: ShardId, bytes: u64) {
        if let Some(progress) = self.progress_of(shard) {
            let less = |appended: u64| Some(appended.saturating_sub(bytes));
            let order = Ordering::Relaxed;
            // It began to count anew when the replica went on from another one's snapshot.
            progress.appended_bytes.fetch_update(order, order, less).ok();
        }
    }
}
