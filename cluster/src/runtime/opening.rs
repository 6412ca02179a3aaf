//! Opening a data folder: lock, identity, log, index, and the past of every shard.
//!
//! **Invariants:** nothing is written before the folder is known to be ours and its log is read to
//! its end, but by the state index in files of its own; one that cannot be used costs time, never
//! data.
//!
//! The index is opened first and read beside the log: where it holds the past, nothing of the log
//! before its floor has to be kept. The log is read once more in the rare case that they disagree.

use std::collections::BTreeMap;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::thread;

use storage::disk::{DirLock, Disk, RealDisk};
use storage::log::{Class, Log, LogOptions};
use storage::seal::Seal;
use storage::snapshot::{self, Leftovers};
use storage::state::{IndexFault, IndexOptions, StateIndex, set_aside};

use crate::ids::ShardId;
use crate::placement::member::Levels;
use crate::placement::shard_map::ShardMap;
use crate::replication::group::group_of;
use crate::replication::members::GroupMembers;
use crate::replication::reached::Reached;
use crate::replication::recovery::{RecoveredGroup, Recovering, SnapshotAt};
use crate::replication::transfer::offer_of;
use crate::runtime::histories::{History, HistoryParts};
use crate::runtime::identity::{Identity, Origin, Wish, random};
use crate::runtime::maintenance::CurrentSnapshot;
use crate::runtime::node::{NodeConfig, StartError, start_error};
use crate::runtime::restore::{IndexPast, RestoreError, Restorer, floors, read_base};
use crate::runtime::services::Progress;
use crate::runtime::snapshotting::SNAPSHOT_DIR;
use crate::runtime::starts::Starts;
use crate::shard::core::{Base, ShardConfig, ShardCore};
use crate::shard::entry::ENTRY_BYTES_MAX;

/// Says that the log holds every group, so that a log without one is damaged and not new.
const BORN_FILE: &str = "BORN";
const LOG_DIR: &str = "log";
pub(crate) const INDEX_DIR: &str = "state";
/// Ticks without anything to do after which a group rests: two seconds. By then an election's time
/// has passed twice, so its leader has counted answers of everybody; and as resting and waking cost a
/// heartbeat each, there is nothing to gain by a longer wait.
const RESTS_AFTER_TICKS: u32 = 20;

/// A folder with everything in it open and read.
pub(crate) struct Opened {
    pub(crate) lock: DirLock,
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) seal: Option<Arc<dyn Seal>>,
    pub(crate) identity: Identity,
    pub(crate) starts: Starts,
    pub(crate) map: ShardMap,
    pub(crate) log: Log,
    pub(crate) index: StateIndex,
    pub(crate) past: Past,
}

/// The shards' replicas as they were, and how far they had come.
pub(crate) struct Past {
    pub(crate) cores: Vec<(ShardId, ShardCore)>,
    pub(crate) progress: Vec<Progress>,
    pub(crate) current: BTreeMap<ShardId, CurrentSnapshot>,
}

impl Opened {
    pub(crate) fn open(
        config: &NodeConfig,
        newcomer: Option<Identity>,
    ) -> Result<Self, StartError> {
        let folder = &config.folder;
        let disk = RealDisk::open(folder)
            .map_err(|source| StartError::Folder { folder: folder.clone(), source })?;
        let lock = DirLock::acquire(folder)?;
        let disk: Arc<dyn Disk> = Arc::new(disk);
        let number = config.mesh.as_ref().map(|mesh| mesh.number);
        let vault = config.vault.as_deref();
        let wish = Wish { n_shards: config.n_shards, number, newcomer };
        let identity = Identity::read_or_create(disk.as_ref(), vault, wish)?;
        let levels = config.mesh.as_ref().map_or(Levels::OWN, |mesh| mesh.levels);
        let run = u64::from_be_bytes(random()?);
        let starts = Starts::read(&disk, run, levels.highest)?;
        let map = ShardMap::even(identity.n_shards)?;
        let seal = config.vault.clone().map(|vault| vault as Arc<dyn Seal>);
        let folder = Folder { config, disk: &disk, seal: seal.as_ref(), identity: &identity, map };
        let Restored { log, groups, index, bases } = folder.restore()?;
        let past = past(config, &disk, &identity, map, groups, bases)?;
        starts.count()?;
        Ok(Self { lock, disk, seal, identity, starts, map, log, index, past })
    }
}

type Groups = Vec<(ShardId, RecoveredGroup, GroupMembers)>;
type Bases = Vec<(Base, (u64, u64))>;

struct Restored {
    log: Log,
    groups: Groups,
    index: StateIndex,
    bases: Bases,
}

/// A folder that is known to be ours.
#[derive(Clone, Copy)]
struct Folder<'a> {
    config: &'a NodeConfig,
    disk: &'a Arc<dyn Disk>,
    seal: Option<&'a Arc<dyn Seal>>,
    identity: &'a Identity,
    map: ShardMap,
}

impl Folder<'_> {
    /// Restores every shard; an index that fails on the way is set aside, and all begin again with
    /// an empty one.
    fn restore(self) -> Result<Restored, StartError> {
        let config = self.config;
        let mut index = self.index_of_before()?;
        let (read, mut past) = self.read_log_beside(index.as_mut());
        let (mut log, mut groups) = read?;
        let lacking = |(shard, group, _): &(ShardId, RecoveredGroup, GroupMembers)| {
            group.needs_more_of_the_log(past.floors.get(shard).copied())
        };
        if groups.iter().any(lacking) {
            tracing::info!("the log is read again, as the state index is not as far as it says");
            drop((log, groups));
            (log, groups) = self.open_log(&BTreeMap::new())?;
        }
        snapshot::remove_leftovers(self.disk.as_ref(), SNAPSHOT_DIR, Leftovers::Written)
            .map_err(|error| start_error("snapshots", &error))?;
        let mut index = match index {
            Some(index) => index,
            None => self.open_index()?,
        };
        let restorer = Restorer {
            disk: self.disk,
            seal: self.seal.cloned(),
            kinds: &config.all_kinds(),
            hot_bytes_max: config.resident_bytes_max / groups.len().max(1),
        };
        match restore_all(&restorer, &groups, &mut past, &mut index) {
            Ok(bases) => Ok(Restored { log, groups, index, bases }),
            Err(RestoreError::Index { shard, source }) if !source.is_storage_full() => {
                tracing::warn!(shard.id = %shard, fault = %source, "the state index is rebuilt");
                set_aside(&config.folder.join(INDEX_DIR))?;
                drop((index, log, groups));
                let (log, groups) = self.open_log(&BTreeMap::new())?;
                let mut index = self.open_index()?;
                let mut past = IndexPast::default();
                let bases = restore_all(&restorer, &groups, &mut past, &mut index)?;
                Ok(Restored { log, groups, index, bases })
            }
            Err(
                error @ (RestoreError::Index { .. }
                | RestoreError::History { .. }
                | RestoreError::Snapshot { .. }
                | RestoreError::Record { .. }),
            ) => Err(error.into()),
        }
    }

    /// The state index, if there is one that opens. One that does not is dealt with when the log has
    /// been read.
    fn index_of_before(self) -> Result<Option<StateIndex>, StartError> {
        let folder = self.config.folder.clone();
        let found = self.disk.exists(INDEX_DIR);
        if !found.map_err(|source| StartError::Folder { folder, source })? {
            return Ok(None);
        }
        let path = self.config.folder.join(INDEX_DIR);
        Ok(StateIndex::open(&path, &self.index_options()).ok().map(|opened| opened.index))
    }

    /// Reads the log on this thread, and what the index holds on another.
    fn read_log_beside(
        self,
        index: Option<&mut StateIndex>,
    ) -> (Result<(Log, Groups), StartError>, IndexPast) {
        let Some(index) = index else {
            return (self.open_log(&BTreeMap::new()), IndexPast::default());
        };
        // A fault stays with the index, and is met again when a shard is restored from it.
        let floors = floors(self.map.groups(), index).unwrap_or_default();
        thread::scope(|scope| {
            let scan = scope.spawn(|| {
                let with_floor = floors.iter().filter(|(_, floor)| **floor > 0);
                with_floor.map(|(shard, _)| (*shard, read_base(*shard, index))).collect()
            });
            let read = self.open_log(&floors);
            let bases = scan.join().unwrap_or_else(|panic| resume_unwind(panic));
            (read, IndexPast { floors: floors.clone(), bases })
        })
    }

    fn open_log(self, floors: &BTreeMap<ShardId, u64>) -> Result<(Log, Groups), StartError> {
        let Self { config, disk, identity, map, .. } = self;
        let [a, b, c, d, ..] = identity.cluster_secret;
        let seed = u32::from_be_bytes([a, b, c, d]);
        let segment_bytes = config.segment_bytes;
        let options = LogOptions { segment_bytes, seal: self.seal.cloned(), seed };
        let mut recovering = Recovering::expecting(floors);
        let (mut log, recovery) =
            Log::open(Arc::clone(disk), LOG_DIR, options, &mut |record| recovering.visit(record))?;
        tracing::info!(
            log.segments = recovery.segments,
            log.records = recovery.records,
            log.bytes = recovery.bytes,
            log.torn_tail = ?recovery.torn,
            "log read"
        );
        let mut groups = Vec::with_capacity(map.n_groups());
        let mut created = Vec::new();
        let io = |source| StartError::Folder { folder: config.folder.clone(), source };
        // The first write of a new log may be torn; only once it is whole is the log born.
        let born = disk.exists(BORN_FILE).map_err(io)?;
        for shard in map.groups() {
            let group = recovering.take(group_of(shard)).unwrap_or_default();
            let members = match &group.members {
                Some(members) => members.clone(),
                // A folder of before there was a `catalogue` group is told where that begins.
                None if born && shard == ShardId::CATALOGUE => {
                    let members = GroupMembers::default();
                    created.push(members.record(group_of(shard)));
                    members
                }
                // A folder of before there was a `meta` group gets one at its next start.
                None if !born || shard == ShardId::META => {
                    let members = match identity.origin {
                        Origin::Founded => GroupMembers::only(identity.node),
                        // Others tell it who is there.
                        Origin::Joined => GroupMembers::default(),
                    };
                    created.push(members.record(group_of(shard)));
                    members
                }
                None => return Err(StartError::ShardLost { shard }),
            };
            groups.push((shard, group, members));
        }
        if !created.is_empty() {
            let failed =
                |error: &dyn std::fmt::Display| start_error("the log of a new folder", &error);
            log.append(&created, Class::Client).map_err(|error| failed(&error))?;
            log.sync().map_err(|error| failed(&error))?;
        }
        if !born {
            drop(disk.create_new(BORN_FILE).map_err(io)?);
            disk.sync_dir("").map_err(io)?;
        }
        Ok((log, groups))
    }

    fn index_options(self) -> IndexOptions {
        IndexOptions {
            cache_bytes: self.config.index_cache_bytes,
            seal: self.seal.cloned(),
            ..IndexOptions::default()
        }
    }

    fn open_index(self) -> Result<StateIndex, IndexFault> {
        let path = self.config.folder.join(INDEX_DIR);
        match StateIndex::open(&path, &self.index_options()) {
            Ok(opened) => Ok(opened.index),
            // A sound index must not be given up because the disk is full.
            Err(fault) if fault.is_storage_full() => Err(fault),
            Err(fault) => {
                tracing::warn!(%fault, "the state index is set aside and rebuilt");
                set_aside(&path)?;
                Ok(StateIndex::open(&path, &self.index_options())?.index)
            }
        }
    }
}

fn restore_all(
    restorer: &Restorer<'_>,
    groups: &Groups,
    past: &mut IndexPast,
    index: &mut StateIndex,
) -> Result<Bases, RestoreError> {
    groups.iter().map(|(shard, group, _)| restorer.restore(*shard, group, past, index)).collect()
}

/// Applied entries kept per shard for followers that lag a little.
const LOG_CACHE_BYTES_MAX: usize = 256 << 10;

/// Entries are a megabyte at most, and fit a segment however small it is.
fn entry_bytes_max(segment_bytes: u64) -> usize {
    usize::try_from(segment_bytes / 2).map_or(ENTRY_BYTES_MAX, |half| half.min(ENTRY_BYTES_MAX))
}

/// How far a shard's history reaches, as its log and what lies in the folder say.
fn history_of(
    disk: &Arc<dyn Disk>,
    config: &NodeConfig,
    shard: ShardId,
    at: Option<&SnapshotAt>,
) -> Result<Reached, RestoreError> {
    let seal = config.vault.clone().map(|vault| vault as Arc<dyn Seal>);
    let parts = HistoryParts { disk: Arc::clone(disk), seal, shard };
    let found = match at {
        Some(SnapshotAt { start, since, .. }) => parts.find(*since, *start),
        None => parts.archived(),
    };
    found.map_err(|source| RestoreError::History { shard, source })
}

fn past(
    config: &NodeConfig,
    disk: &Arc<dyn Disk>,
    identity: &Identity,
    map: ShardMap,
    groups: Groups,
    bases: Bases,
) -> Result<Past, StartError> {
    let n_shards = groups.len().max(1);
    let mut past = Past { cores: Vec::new(), progress: Vec::new(), current: BTreeMap::new() };
    for ((shard, group, members), (base, applied)) in groups.into_iter().zip(bases) {
        let history = history_of(disk, config, shard, group.snapshot.as_ref())?;
        past.progress.push(Progress {
            history: History::reaching(history),
            appended_bytes: AtomicU64::new(group.appended_bytes()),
            index_floor: AtomicU64::new(applied.0),
            ..Progress::default()
        });
        if let Some(at) = group.snapshot.clone() {
            let bytes = config.snapshot_log_bytes_min;
            past.current.insert(shard, CurrentSnapshot { at, bytes });
        }
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).map_err(|error| start_error("a shard", &error))?;
        let shard_config = ShardConfig {
            id: shard,
            node: identity.node,
            incarnation: identity.incarnation,
            shards: map,
            kinds: config.all_kinds(),
            resident_bytes_max: match shard {
                // Each node keeps a copy of all of it in memory anyway.
                ShardId::CATALOGUE => usize::MAX,
                _ => config.resident_bytes_max / n_shards,
            },
            entry_bytes_max: entry_bytes_max(config.segment_bytes),
            log_cache_bytes_max: LOG_CACHE_BYTES_MAX,
            rests_after: Some(RESTS_AFTER_TICKS),
            seed,
        };
        let offer = group.snapshot.as_ref().and_then(|at| {
            let offer = offer_of(disk.as_ref(), at);
            // Only a follower could miss it, and it gets a newer one.
            offer.inspect_err(|error| tracing::warn!(shard.id = %shard, %error, "no offer")).ok()
        });
        let state = group.into_state(applied, base.reaches, members, offer);
        past.cores.push((shard, ShardCore::restart(shard_config, base, state)?));
    }
    Ok(past)
}
