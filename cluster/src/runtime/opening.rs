//! Opening a data folder: lock, identity, log, index, and the past of every shard.
//!
//! **Invariants:** nothing is written before the folder is known to be ours and its log is read to
//! its end; a state index that cannot be used costs time, never data.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use storage::disk::{DirLock, Disk, RealDisk};
use storage::log::{Class, Log, LogOptions};
use storage::seal::Seal;
use storage::snapshot::{self, Leftovers};
use storage::state::{IndexFault, IndexOptions, StateIndex, set_aside};

use crate::ids::ShardId;
use crate::placement::shard_map::ShardMap;
use crate::replication::group::group_of;
use crate::replication::members::GroupMembers;
use crate::replication::recovery::{RecoveredGroup, Recovering};
use crate::replication::transfer::offer_of;
use crate::runtime::identity::Identity;
use crate::runtime::maintenance::CurrentSnapshot;
use crate::runtime::node::{NodeConfig, StartError, start_error};
use crate::runtime::restore::{RestoreError, Restorer};
use crate::runtime::services::Progress;
use crate::runtime::snapshotting::SNAPSHOT_DIR;
use crate::shard::core::{Base, ShardConfig, ShardCore};
use crate::shard::entry::ENTRY_BYTES_MAX;

/// Says that the log holds every group, so that a log without one is damaged and not new.
const BORN_FILE: &str = "BORN";
const LOG_DIR: &str = "log";
pub(crate) const INDEX_DIR: &str = "state";

/// A folder with everything in it open and read.
pub(crate) struct Opened {
    pub(crate) lock: DirLock,
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) seal: Option<Arc<dyn Seal>>,
    pub(crate) identity: Identity,
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
    pub(crate) fn open(config: &NodeConfig) -> Result<Self, StartError> {
        let folder = &config.folder;
        let disk = RealDisk::open(folder)
            .map_err(|source| StartError::Folder { folder: folder.clone(), source })?;
        let lock = DirLock::acquire(folder)?;
        let disk: Arc<dyn Disk> = Arc::new(disk);
        let identity =
            Identity::read_or_create(disk.as_ref(), config.vault.as_deref(), config.n_shards)?;
        let map = ShardMap::even(identity.n_shards)?;
        let seal = config.vault.clone().map(|vault| vault as Arc<dyn Seal>);
        let (log, groups) = open_log(config, &disk, seal.clone(), &identity, map)?;
        snapshot::remove_leftovers(disk.as_ref(), SNAPSHOT_DIR, Leftovers::Written)
            .map_err(|error| start_error("snapshots", &error))?;
        let (index, bases) = restore(config, &disk, seal.as_ref(), &groups)?;
        let past = past(config, &disk, &identity, map, groups, bases)?;
        Ok(Self { lock, disk, seal, identity, map, log, index, past })
    }
}

type Groups = Vec<(ShardId, RecoveredGroup, GroupMembers)>;
type Bases = Vec<(Base, (u64, u64))>;

fn open_log(
    config: &NodeConfig,
    disk: &Arc<dyn Disk>,
    seal: Option<Arc<dyn Seal>>,
    identity: &Identity,
    map: ShardMap,
) -> Result<(Log, Groups), StartError> {
    let [a, b, c, d, ..] = identity.cluster_secret;
    let seed = u32::from_be_bytes([a, b, c, d]);
    let options = LogOptions { segment_bytes: config.segment_bytes, seal, seed };
    let mut recovering = Recovering::default();
    let (mut log, recovery) =
        Log::open(Arc::clone(disk), LOG_DIR, options, &mut |record| recovering.visit(record))?;
    tracing::info!(
        log.segments = recovery.segments,
        log.records = recovery.records,
        log.bytes = recovery.bytes,
        log.torn_tail = ?recovery.torn,
        "log read"
    );
    let mut groups = Vec::with_capacity(map.shards().len());
    let mut created = Vec::new();
    let io = |source| StartError::Folder { folder: config.folder.clone(), source };
    // The first write of a new log may be torn; only once it is whole is the log born.
    let born = disk.exists(BORN_FILE).map_err(io)?;
    for shard in map.shards() {
        let group = recovering.take(group_of(shard)).unwrap_or_default();
        let members = match &group.members {
            Some(members) => members.clone(),
            None if !born => {
                let members = GroupMembers::only(identity.node);
                created.push(members.record(group_of(shard)));
                members
            }
            None => return Err(StartError::ShardLost { shard }),
        };
        groups.push((shard, group, members));
    }
    if !born {
        let failed = |error: &dyn std::fmt::Display| start_error("the log of a new folder", &error);
        log.append(&created, Class::Client).map_err(|error| failed(&error))?;
        log.sync().map_err(|error| failed(&error))?;
        drop(disk.create_new(BORN_FILE).map_err(io)?);
        disk.sync_dir("").map_err(io)?;
    }
    Ok((log, groups))
}

fn open_index(config: &NodeConfig, seal: Option<&Arc<dyn Seal>>) -> Result<StateIndex, IndexFault> {
    let path = config.folder.join(INDEX_DIR);
    let options = IndexOptions {
        cache_bytes: config.index_cache_bytes,
        seal: seal.cloned(),
        ..IndexOptions::default()
    };
    match StateIndex::open(&path, &options) {
        Ok(opened) => Ok(opened.index),
        Err(fault) => {
            tracing::warn!(%fault, "the state index is set aside and rebuilt");
            set_aside(&path)?;
            Ok(StateIndex::open(&path, &options)?.index)
        }
    }
}

/// Restores every shard; an index that fails on the way is set aside, and all begin again with an
/// empty one.
fn restore(
    config: &NodeConfig,
    disk: &Arc<dyn Disk>,
    seal: Option<&Arc<dyn Seal>>,
    groups: &Groups,
) -> Result<(StateIndex, Bases), StartError> {
    let restorer = Restorer {
        disk,
        seal: seal.cloned(),
        kinds: &config.kinds,
        hot_bytes_max: config.resident_bytes_max / groups.len().max(1),
    };
    let mut index = open_index(config, seal)?;
    match restore_all(&restorer, groups, &mut index) {
        Ok(bases) => Ok((index, bases)),
        Err(RestoreError::Index { shard, source }) => {
            tracing::warn!(shard.id = %shard, fault = %source, "the state index is rebuilt");
            set_aside(&config.folder.join(INDEX_DIR))?;
            drop(index);
            let mut fresh = open_index(config, seal)?;
            let bases = restore_all(&restorer, groups, &mut fresh)?;
            Ok((fresh, bases))
        }
        Err(error @ (RestoreError::Snapshot { .. } | RestoreError::Record { .. })) => {
            Err(error.into())
        }
    }
}

fn restore_all(
    restorer: &Restorer<'_>,
    groups: &Groups,
    index: &mut StateIndex,
) -> Result<Bases, RestoreError> {
    groups.iter().map(|(shard, group, _)| restorer.restore(*shard, group, index)).collect()
}

/// Entries are a megabyte at most, and fit a segment however small it is.
fn entry_bytes_max(segment_bytes: u64) -> usize {
    usize::try_from(segment_bytes / 2).map_or(ENTRY_BYTES_MAX, |half| half.min(ENTRY_BYTES_MAX))
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
        let appended = group.entries.iter().map(|entry| entry.payload.len()).sum::<usize>();
        past.progress.push(Progress {
            appended_bytes: AtomicU64::new(u64::try_from(appended).unwrap_or(u64::MAX)),
            index_floor: AtomicU64::new(applied.0),
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
            kinds: config.kinds.clone(),
            resident_bytes_max: config.resident_bytes_max / n_shards,
            entry_bytes_max: entry_bytes_max(config.segment_bytes),
            seed,
        };
        let offer = group.snapshot.as_ref().and_then(|at| {
            let offer = offer_of(disk.as_ref(), at);
            // Only a follower could miss it, and it gets a newer one.
            offer.inspect_err(|error| tracing::warn!(shard.id = %shard, %error, "no offer")).ok()
        });
        let state = group.into_state(applied, members, offer);
        past.cores.push((shard, ShardCore::restart(shard_config, base, state)?));
    }
    Ok(past)
}
