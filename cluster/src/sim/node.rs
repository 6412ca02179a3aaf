//! One node with its shards on a simulated disk: what production does around its cores, in steps.
//!
//! **Invariants:** nothing here reads a clock or draws randomness but from the seed, so a seed is a
//! run; everything that production does between two steps of a shard may be late, reordered where
//! production may reorder it, lost where production may lose it, or cut short by a crash.
//!
//! What leaves the node is handed out (`take_away`): whoever owns the node carries it on.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use storage::disk::Disk;
use storage::log::{AppendError, Class, Log, LogOptions, Record};
use storage::sim_disk::{SimDisk, SplitMix64};

use crate::entity::Catalogue;
use crate::ids::{Incarnation, NodeId, ShardId};
use crate::node::core::NodeCore;
use crate::placement::shard_map::ShardMap;
use crate::replication::group::group_of;
use crate::replication::members::GroupMembers;
use crate::replication::offer::SnapshotOffer;
use crate::replication::transfer::offer_of;
use crate::shard::core::{ShardConfig, ShardCore};
use crate::shard::io::{Input, Output, Space};
use crate::shard::kind::Kinds;
use crate::shard::walk::Stored;
use crate::sim::checkpoint::{Checkpoint, end_of, read_snapshot};
use crate::sim::indexing::Raising;
use crate::sim::state_index::{IndexJob, SimIndex};
use crate::sim::witness::Said;
use crate::time::Timestamp;

pub(crate) const FIRST: Incarnation = Incarnation(1);
pub(crate) const LOG_DIR: &str = "log";
/// Small, so that followers need what only the log holds.
const LOG_CACHE_BYTES_MAX: usize = 1 << 10;
/// What one read of the log gives at most.
const READ_BYTES: u64 = 4 << 10;

/// How a world is set up.
#[derive(Clone)]
pub struct WorldOptions {
    pub kinds: Kinds,
    /// What every node has of the catalogue.
    pub catalogue: Option<Catalogue>,
    pub n_shards: u32,
    pub segment_bytes: u64,
    /// Small, so that entities leave memory and come back.
    pub resident_bytes_max: usize,
    /// Whether the nodes keep the cluster in order by themselves, as real ones do.
    pub governed: bool,
}

impl WorldOptions {
    /// The groups that each node may hold: with what the nodes agree on if they agree on anything.
    pub(crate) fn groups(&self, map: ShardMap) -> Vec<ShardId> {
        if self.governed { map.groups().collect() } else { map.shards().collect() }
    }
}

/// Why a world came to an end. Only [`End::Fault`] is the system's own doing.
#[derive(Debug)]
pub enum End {
    /// The log died under a failed write or sync: production ends its process here.
    Died { why: String },
    /// The disk's damage was noticed at the start: nothing is served.
    Refused { why: String },
    /// A shard fenced itself, or recovery failed without damage to explain it.
    Fault { why: String },
}

/// What leaves a node, from the shard that sent it.
pub(crate) type Away = (ShardId, Output);

pub(crate) struct SimNode {
    pub(crate) id: NodeId,
    pub(crate) options: WorldOptions,
    map: ShardMap,
    pub(crate) disk: SimDisk,
    random: SplitMix64,
    pub(crate) now: Timestamp,
    seed: u64,
    starts: u64,
    pub(crate) log: Log,
    pub(crate) cores: Vec<ShardCore>,
    /// Inputs on their way, per shard in order.
    inbox: Vec<VecDeque<Input>>,
    /// Appends handed out and not yet written.
    appends: VecDeque<(ShardId, u64, Vec<Record>)>,
    lazy: Vec<Record>,
    /// Written and not synced yet.
    writing: Vec<(ShardId, u64)>,
    pub(crate) index: SimIndex,
    pub(crate) raising: Option<Raising>,
    /// Up to where the index is complete.
    pub(crate) floors: BTreeMap<ShardId, u64>,
    pub(crate) checkpoint: Option<Checkpoint>,
    pub(crate) covered: BTreeMap<ShardId, u64>,
    /// The snapshot of each shard, for others to fetch.
    pub(crate) files: BTreeMap<ShardId, (SnapshotOffer, String)>,
    /// Shards whose followers wait for a newer one.
    pub(crate) wanted: BTreeSet<ShardId>,
    away: Vec<Away>,
    pub(crate) around: NodeCore,
    /// What was said since somebody listened.
    said: Vec<(ShardId, Said)>,
    space: Space,
    pub(crate) stats: WorldStats,
}

/// What came about, for coverage: a run in which nothing happened proves nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct WorldStats {
    pub crashes: u64,
    pub batches: u64,
    pub snapshots: u64,
    pub segments_dropped: u64,
    pub loads: u64,
    pub stores: u64,
    pub tells_lost: u64,
    pub full: u64,
    /// Snapshots of other nodes that a shard went on from.
    pub installs: u64,
    /// Entries read back for followers.
    pub log_reads: u64,
    pub floors: u64,
    /// Shards that started from the state index, and that had to do without.
    pub index_starts: u64,
    pub index_rebuilds: u64,
    /// Times that a replica rested.
    pub rests: u64,
    /// Frames sent to other nodes.
    pub frames: u64,
}

impl SimNode {
    /// A node with an empty disk. Its groups have these voters; with none, it learns who they are.
    pub(crate) fn new(
        id: NodeId,
        seed: u64,
        voters: &[NodeId],
        options: WorldOptions,
    ) -> Result<Self, End> {
        let disk = SimDisk::new(seed);
        let map = ShardMap::even(options.n_shards).map_err(|error| fault(&error))?;
        let log = new_log(&disk, &options)?;
        let mut node = Self {
            id,
            map,
            disk,
            random: SplitMix64::new(seed ^ 0x5eed),
            now: Timestamp::from_micros(1_000_000_000),
            seed,
            starts: 0,
            log,
            cores: Vec::new(),
            inbox: Vec::new(),
            appends: VecDeque::new(),
            lazy: Vec::new(),
            writing: Vec::new(),
            index: SimIndex::default(),
            raising: None,
            floors: BTreeMap::new(),
            checkpoint: None,
            covered: BTreeMap::new(),
            files: BTreeMap::new(),
            wanted: BTreeSet::new(),
            away: Vec::new(),
            around: NodeCore::new(options.groups(map)),
            said: Vec::new(),
            space: Space::Free,
            stats: WorldStats::default(),
            options,
        };
        let members = GroupMembers::voters(voters);
        let created = node.groups().into_iter().map(|shard| members.record(group_of(shard)));
        let created: Vec<_> = created.collect();
        node.log.append(&created, Class::Client).map_err(|error| fault(&error))?;
        node.log.sync().map_err(|error| fault(&error))?;
        node.restart()?;
        Ok(node)
    }

    /// A number below `bound`, from the seed.
    pub(crate) fn draw(&mut self, bound: u64) -> u64 {
        self.random.below(bound)
    }

    /// Cuts the power: what was not synced is there in part.
    pub(crate) fn lose_power(&mut self) {
        self.stats.crashes += 1;
        self.disk.crash();
        self.index.crash(&mut self.random);
    }

    /// Starts again as a new process on the same disk.
    pub(crate) fn restart(&mut self) -> Result<(), End> {
        self.starts += 1;
        self.checkpoint = None;
        self.appends.clear();
        self.lazy.clear();
        self.writing.clear();
        self.away.clear();
        self.around = NodeCore::new(self.groups());
        self.said.clear();
        self.files.clear();
        self.wanted.clear();
        self.index.end_process();
        self.raising = None;
        self.floors.clear();
        self.space = Space::Free;
        let mut recovering = self.read_log()?;
        self.cores.clear();
        self.covered.clear();
        self.inbox = self.groups().iter().map(|_| VecDeque::new()).collect();
        let mut out = Vec::new();
        for shard in self.groups() {
            let group = recovering.take(group_of(shard)).unwrap_or_default();
            let lost = || End::Refused { why: format!("{LOG_DIR}/ holds nothing of {shard}") };
            let members = group.members.clone().ok_or_else(lost)?;
            let (base, applied) = self.base_of(shard, &group)?;
            let start = group.snapshot.as_ref().map_or(0, |at| at.start);
            self.covered.insert(shard, start);
            let offer = group.snapshot.as_ref().map(|at| {
                let offer = offer_of(&self.disk, at).map_err(|error| end_of(&error))?;
                self.files.insert(shard, (offer.clone(), at.file.clone()));
                Ok(offer)
            });
            let state = group.into_state(applied, base.reaches, members, offer.transpose()?);
            let config = self.shard_config(shard);
            let core = ShardCore::restart(config, base, state).map_err(|error| fault(&error))?;
            self.cores.push(core);
        }
        for shard in self.groups() {
            let now = self.now;
            if let Some(core) = self.core_mut(shard) {
                core.start(now, &mut out);
            }
            if let Some(catalogue) = self.options.catalogue.clone() {
                self.send(shard, Input::Catalogue(Ok(catalogue)));
            }
            self.carry_out(shard, &mut out)?;
        }
        Ok(())
    }

    fn shard_config(&self, shard: ShardId) -> ShardConfig {
        let mut seed = [0; 32];
        let number = self.seed.wrapping_mul(31).wrapping_add(self.starts);
        for (to, from) in seed.iter_mut().zip(number.to_be_bytes()) {
            *to = from;
        }
        ShardConfig {
            id: shard,
            node: self.id,
            incarnation: FIRST,
            shards: self.map,
            kinds: self.options.kinds.clone(),
            resident_bytes_max: self.options.resident_bytes_max,
            entry_bytes_max: usize::try_from(self.options.segment_bytes / 2).unwrap_or(usize::MAX),
            log_cache_bytes_max: LOG_CACHE_BYTES_MAX,
            // Soon, so that groups rest and wake all the time.
            rests_after: Some(1 + u32::from(seed[7] % 8)),
            seed,
        }
    }

    pub(crate) fn deliver(&mut self, shard: ShardId) -> Result<(), End> {
        let input = self.inbox_mut(shard).and_then(VecDeque::pop_front);
        let Some(input) = input else { return Ok(()) };
        self.work(shard, |core, now, out| core.step(now, input, out))
    }

    /// Lets a core do something, and carries out what it wants done.
    fn work(
        &mut self,
        shard: ShardId,
        work: impl FnOnce(&mut ShardCore, Timestamp, &mut Vec<Output>),
    ) -> Result<(), End> {
        let now = self.now;
        let mut out = Vec::new();
        let Some(core) = self.core_mut(shard) else { return Ok(()) };
        let led = core.leads();
        work(core, now, &mut out);
        let is_effect = |out: &Output| matches!(out, Output::Tell { .. } | Output::Invoke { .. });
        // One that was elected may find in the same step that it was removed.
        let leads = led || core.leads() || out.iter().any(|out| matches!(out, Output::Leads(true)));
        if !leads && out.iter().any(is_effect) {
            return Err(fault(&format!("shard {shard} has effects where it does not lead")));
        }
        self.carry_out(shard, &mut out)
    }

    pub(crate) fn flush(&mut self, shard: ShardId) -> Result<(), End> {
        self.work(shard, ShardCore::flush)
    }

    pub(crate) fn tick_all(&mut self) {
        self.claim_space();
        let mut inputs = Vec::new();
        self.around.tick(self.now, &mut inputs);
        for (shard, input) in inputs {
            self.send(shard, input);
        }
    }

    pub(crate) fn take_frames(&mut self) -> Vec<(NodeId, Vec<u8>)> {
        let frames = self.around.take_frames();
        self.stats.frames += u64::try_from(frames.len()).unwrap_or(0);
        frames
    }

    /// The connection to a peer broke.
    pub(crate) fn lose(&mut self, peer: NodeId) {
        let mut inputs = Vec::new();
        self.around.lose(peer, &mut inputs);
        for (shard, input) in inputs {
            self.send(shard, input);
        }
    }

    /// What the log writer does: one write for what has reached it, `reached` appends at most.
    pub(crate) fn begin_write(&mut self, reached: usize) -> Result<(), End> {
        let reached = reached.min(self.appends.len());
        let mut records = std::mem::take(&mut self.lazy);
        for (shard, number, appended) in self.appends.drain(..reached) {
            records.extend(appended);
            self.writing.push((shard, number));
        }
        if records.is_empty() { Ok(()) } else { self.append(&records) }
    }

    /// One sync for what was written.
    pub(crate) fn finish_write(&mut self) -> Result<(), End> {
        if self.writing.is_empty() {
            return Ok(());
        }
        self.log.sync().map_err(|error| died(&error))?;
        self.stats.batches += 1;
        for (shard, number) in std::mem::take(&mut self.writing) {
            self.send(shard, Input::Persisted { number });
        }
        Ok(())
    }

    /// Logs and syncs, after everything that came before.
    pub(crate) fn append_durably(&mut self, records: &[Record]) -> Result<(), End> {
        self.begin_write(usize::MAX)?;
        self.append(records)?;
        self.log.sync().map_err(|error| died(&error))?;
        self.finish_write()
    }

    pub(crate) fn appends_waiting(&self) -> usize {
        self.appends.len()
    }

    pub(crate) fn is_writing(&self) -> bool {
        !self.writing.is_empty()
    }

    fn append(&mut self, records: &[Record]) -> Result<(), End> {
        let appended = match self.log.append(records, Class::Client) {
            Err(AppendError::NoSpace) => {
                self.set_space(Space::Full);
                self.log.append(records, Class::Essential)
            }
            other => other,
        };
        self.claim_space();
        appended.map_err(|error| died(&error))
    }

    pub(crate) fn log_mut(&mut self) -> &mut Log {
        &mut self.log
    }

    /// Allocates segments ahead, and tells the shards whether that worked.
    fn claim_space(&mut self) {
        while let Some(request) = self.log.wanted_spare() {
            match request.allocate(&self.disk) {
                Ok(spare) => self.log.add_spare(spare),
                Err(_) => return self.set_space(Space::Full),
            }
        }
        self.set_space(Space::Free);
    }

    fn set_space(&mut self, space: Space) {
        if self.space == space {
            return;
        }
        self.space = space;
        self.stats.full += u64::from(space == Space::Full);
        for shard in self.groups() {
            self.send(shard, Input::Space(space));
        }
    }

    fn carry_out(&mut self, shard: ShardId, out: &mut Vec<Output>) -> Result<(), End> {
        for output in out.drain(..) {
            match output {
                Output::Append { number, records } => {
                    self.appends.push_back((shard, number, records));
                }
                Output::AppendLazily(record) => self.lazy.push(record),
                Output::Load { entity } => {
                    self.index.push(IndexJob::Load { shard, entity });
                }
                Output::Store { entity, position, record } => {
                    let bytes = record.len();
                    let stored = Stored { position, bytes: record };
                    self.index.push(IndexJob::Store { shard, entity, stored, bytes });
                }
                Output::Fenced { why } | Output::IndexDamaged { why } => {
                    return Err(End::Fault { why });
                }
                Output::ReadLog { from, to } => {
                    let read = self.log.read_entries(group_of(shard), from, to + 1, READ_BYTES);
                    self.stats.log_reads += 1;
                    let entries = read.unwrap_or_default();
                    self.send(shard, Input::LogRead { from, entries });
                }
                Output::SnapshotWanted => {
                    self.wanted.insert(shard);
                }
                Output::Install { offer, file } => self.install(shard, offer, file)?,
                Output::Send { to, message } => {
                    self.said.push((shard, Said::of(&message)));
                    self.around.send(shard, to, &message).map_err(|error| fault(&error))?;
                }
                Output::Rests(rest) => {
                    self.stats.rests += 1;
                    self.around.rests(shard, rest);
                }
                Output::Wakes => self.around.wakes(shard),
                Output::CannotRest { leader } => self.around.cannot_rest(shard, leader),
                Output::Reply { .. }
                | Output::Tell { .. }
                | Output::AckTells { .. }
                | Output::Fetch { .. }
                | Output::Invoke { .. }
                | Output::Published { .. }
                | Output::Leads(_)
                | Output::Members(_)
                | Output::ClockStepped { .. }
                | Output::Panicked { .. }
                | Output::Quarantined { .. } => self.away.push((shard, output)),
            }
        }
        Ok(())
    }

    /// Goes on from another node's snapshot: what was begun on the old state is void.
    fn install(&mut self, shard: ShardId, offer: SnapshotOffer, file: String) -> Result<(), End> {
        self.checkpoint.take_if(|checkpoint| checkpoint.shard() == shard);
        self.raising.take_if(|raising| raising.shard() == shard);
        self.index.forget_jobs(shard);
        self.index.remove_shard(shard);
        self.floors.remove(&shard);
        let base = read_snapshot(&self.disk, shard, &file, &self.options.kinds)?;
        self.covered.insert(shard, offer.meta.start);
        self.files.insert(shard, (offer, file));
        self.stats.installs += 1;
        self.send(shard, Input::Installed(Box::new(base)));
        Ok(())
    }

    pub(crate) fn take_away(&mut self) -> Vec<Away> {
        std::mem::take(&mut self.away)
    }

    pub(crate) fn take_said(&mut self) -> Vec<(ShardId, Said)> {
        std::mem::take(&mut self.said)
    }

    fn groups(&self) -> Vec<ShardId> {
        self.options.groups(self.map)
    }

    pub(crate) fn map(&self) -> ShardMap {
        self.map
    }

    pub(crate) fn send(&mut self, shard: ShardId, input: Input) {
        if let Some(inbox) = self.inbox_mut(shard) {
            inbox.push_back(input);
        }
    }

    pub(crate) fn draw_shard(&mut self) -> ShardId {
        let n = self.draw(u64::from(self.options.n_shards));
        ShardId(u32::try_from(n).unwrap_or(0))
    }

    pub(crate) fn inbox_of(&self, shard: ShardId) -> Option<&VecDeque<Input>> {
        self.inbox.get(self.map.nth(shard)?)
    }

    fn inbox_mut(&mut self, shard: ShardId) -> Option<&mut VecDeque<Input>> {
        self.inbox.get_mut(self.map.nth(shard)?)
    }

    pub(crate) fn core(&self, shard: ShardId) -> Option<&ShardCore> {
        self.cores.get(self.map.nth(shard)?)
    }

    fn core_mut(&mut self, shard: ShardId) -> Option<&mut ShardCore> {
        self.cores.get_mut(self.map.nth(shard)?)
    }
}

/// The log of an empty disk.
fn new_log(disk: &SimDisk, options: &WorldOptions) -> Result<Log, End> {
    let disk: Arc<dyn Disk> = Arc::new(disk.clone());
    let segment_bytes = options.segment_bytes;
    let options = LogOptions { segment_bytes, ..LogOptions::default() };
    let opened = Log::open(disk, LOG_DIR, options, &mut |_| Ok(()));
    opened.map(|(log, _)| log).map_err(|error| fault(&error))
}

pub(crate) fn fault(why: &impl std::fmt::Display) -> End {
    End::Fault { why: why.to_string() }
}

pub(crate) fn died(why: &impl std::fmt::Display) -> End {
    End::Died { why: why.to_string() }
}
