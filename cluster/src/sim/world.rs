//! One node with its shards on a simulated disk, driven step by step from one seed.
//!
//! **Invariants:** nothing here reads a clock or draws randomness but from the seed, so a seed is a
//! run; everything that production does between two steps of a shard may be late, reordered where
//! production may reorder it, lost where production may lose it, or cut short by a crash.
//!
//! What the world does not know is what the entities mean: a workload submits commands and judges
//! the replies.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use storage::disk::Disk;
use storage::log::{AppendError, Class, Log, LogError, LogOptions, Record};
use storage::sim_disk::{SimDisk, SplitMix64};

use crate::ids::{EntityKey, EntityRef, Incarnation, NodeId, ShardId};
use crate::placement::shard_map::ShardMap;
use crate::replication::group::group_of;
use crate::replication::members::GroupMembers;
use crate::replication::recovery::Recovering;
use crate::shard::core::{ShardConfig, ShardCore};
use crate::shard::io::{Command, Input, Output, Query, Reply, Space, Token};
use crate::shard::kind::Kinds;
use crate::sim::checkpoint::{Checkpoint, restore};
use crate::time::{Span, Timestamp};

pub(crate) const NODE: NodeId = NodeId(1);
pub(crate) const FIRST: Incarnation = Incarnation(1);
const LOG_DIR: &str = "log";

/// How a world is set up.
#[derive(Clone)]
pub struct WorldOptions {
    pub kinds: Kinds,
    pub n_shards: u32,
    pub segment_bytes: u64,
    /// Small, so that entities leave memory and come back.
    pub resident_bytes_max: usize,
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

pub struct World {
    options: WorldOptions,
    map: ShardMap,
    pub disk: SimDisk,
    random: SplitMix64,
    pub now: Timestamp,
    seed: u64,
    starts: u64,
    log: Log,
    pub(crate) cores: Vec<ShardCore>,
    /// Inputs on their way, per shard in order.
    inbox: Vec<VecDeque<Input>>,
    /// Appends handed out and not yet written.
    appends: VecDeque<(ShardId, u64, Vec<Record>)>,
    lazy: Vec<Record>,
    /// Synced, the news not yet delivered.
    pub(crate) index: BTreeMap<EntityRef, (u64, Vec<u8>)>,
    pub(crate) checkpoint: Option<Checkpoint>,
    pub(crate) covered: BTreeMap<ShardId, u64>,
    replies: Vec<(Token, Reply)>,
    last_token: Token,
    space: Space,
    /// Whether messages between shards may be lost and doubled.
    lossy: bool,
    pub stats: WorldStats,
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
}

impl World {
    pub fn new(seed: u64, options: WorldOptions) -> Result<Self, End> {
        let disk = SimDisk::new(seed);
        let map = ShardMap::even(options.n_shards).map_err(|error| fault(&error))?;
        let (log, _) = open_log(&disk, &options)?;
        let mut world = Self {
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
            index: BTreeMap::new(),
            checkpoint: None,
            covered: BTreeMap::new(),
            replies: Vec::new(),
            last_token: 0,
            space: Space::Free,
            lossy: true,
            stats: WorldStats::default(),
            options,
        };
        let members = GroupMembers::only(NODE);
        let created = world.map.shards().map(|shard| members.record(group_of(shard)));
        let created: Vec<_> = created.collect();
        world.log.append(&created, Class::Client).map_err(|error| fault(&error))?;
        world.log.sync().map_err(|error| fault(&error))?;
        world.restart()?;
        Ok(world)
    }

    /// A number below `bound`, from the seed.
    pub fn draw(&mut self, bound: u64) -> u64 {
        self.random.below(bound)
    }

    pub fn submit(&mut self, command: Command) -> Token {
        self.last_token += 1;
        let token = self.last_token;
        let shard = self.map.shard_of(command.entity.key.slot());
        self.send(shard, Input::Command { token, command });
        token
    }

    pub fn query(&mut self, query: Query) -> Token {
        self.last_token += 1;
        let token = self.last_token;
        let shard = self.map.shard_of(query.entity.key.slot());
        self.send(shard, Input::Query { token, query });
        token
    }

    pub fn shard_of(&self, key: &EntityKey) -> ShardId {
        self.map.shard_of(key.slot())
    }

    pub fn take_replies(&mut self) -> Vec<(Token, Reply)> {
        std::mem::take(&mut self.replies)
    }

    /// Lets one thing happen.
    pub fn step(&mut self) -> Result<(), End> {
        self.now = self.now.plus(Span::from_micros(1 + self.draw(500)));
        match self.draw(100) {
            0..50 => {
                let shard = self.draw_shard();
                self.deliver(shard)
            }
            50..75 => {
                let shard = self.draw_shard();
                self.flush(shard)
            }
            75..90 => self.write_batch(),
            90..94 => self.tick_all(),
            _ => self.advance_checkpoint(),
        }
    }

    /// Runs until nothing is on its way any more. Nothing is lost meanwhile.
    pub fn settle(&mut self) -> Result<(), End> {
        self.lossy = false;
        let settled = self.run_down();
        self.lossy = true;
        settled
    }

    fn run_down(&mut self) -> Result<(), End> {
        const ROUNDS_MAX: u32 = 10_000;
        for round in 0..ROUNDS_MAX {
            if round >= 40 && self.cores.iter().all(|core| core.status().waiting_tells == 0) {
                return Ok(());
            }
            self.tick_all()?;
            for shard in self.map.shards() {
                while self.inbox_of(shard).is_some_and(|inbox| !inbox.is_empty()) {
                    self.deliver(shard)?;
                }
                self.flush(shard)?;
            }
            self.write_batch()?;
        }
        Err(fault(&"tells are still waiting"))
    }

    /// Cuts the power and starts again from what the disk kept.
    pub fn crash(&mut self) -> Result<(), End> {
        self.stats.crashes += 1;
        self.disk.crash();
        self.reopen()
    }

    /// Starts again as a new process on the same disk.
    pub fn reopen(&mut self) -> Result<(), End> {
        self.restart()
    }

    fn restart(&mut self) -> Result<(), End> {
        self.starts += 1;
        self.checkpoint = None;
        self.appends.clear();
        self.lazy.clear();
        self.replies.clear();
        self.index.clear();
        self.space = Space::Free;
        let mut recovering = Recovering::default();
        let (log, _) = open_log_into(&self.disk, &self.options, &mut recovering)?;
        self.log = log;
        self.cores.clear();
        self.covered.clear();
        self.inbox = self.map.shards().map(|_| VecDeque::new()).collect();
        let mut out = Vec::new();
        for shard in self.map.shards() {
            let group = recovering.take(group_of(shard)).unwrap_or_default();
            let lost = || End::Refused { why: format!("{LOG_DIR}/ holds nothing of {shard}") };
            let members = group.members.clone().ok_or_else(lost)?;
            let (base, applied) = restore(&self.disk, shard, &group, &self.options.kinds)?;
            self.covered.insert(shard, applied.0);
            let state = group.into_state(applied, members, None);
            let config = self.shard_config(shard);
            let core = ShardCore::restart(config, base, state).map_err(|error| fault(&error))?;
            self.cores.push(core);
        }
        for shard in self.map.shards() {
            let now = self.now;
            if let Some(core) = self.core_mut(shard) {
                core.start(now, &mut out);
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
            node: NODE,
            incarnation: FIRST,
            shards: self.map,
            kinds: self.options.kinds.clone(),
            resident_bytes_max: self.options.resident_bytes_max,
            entry_bytes_max: usize::try_from(self.options.segment_bytes / 2).unwrap_or(usize::MAX),
            seed,
        }
    }

    fn deliver(&mut self, shard: ShardId) -> Result<(), End> {
        let input = self.inbox_mut(shard).and_then(VecDeque::pop_front);
        let Some(input) = input else { return Ok(()) };
        let now = self.now;
        let mut out = Vec::new();
        if let Some(core) = self.core_mut(shard) {
            core.step(now, input, &mut out);
        }
        self.carry_out(shard, &mut out)
    }

    fn flush(&mut self, shard: ShardId) -> Result<(), End> {
        let now = self.now;
        let mut out = Vec::new();
        if let Some(core) = self.core_mut(shard) {
            core.flush(now, &mut out);
        }
        self.carry_out(shard, &mut out)
    }

    fn tick_all(&mut self) -> Result<(), End> {
        self.claim_space();
        self.now = self.now.plus(Span::from_millis(100));
        for shard in self.map.shards() {
            self.send(shard, Input::Tick);
        }
        Ok(())
    }

    /// What the log writer does: one write and one sync for what has reached it.
    fn write_batch(&mut self) -> Result<(), End> {
        let waiting = self.appends.len();
        let reached = self.draw(u64::try_from(waiting).unwrap_or(0)) + 1;
        let reached = usize::try_from(reached).map_or(waiting, |reached| reached.min(waiting));
        let taken: Vec<_> = self.appends.drain(..reached).collect();
        let mut records = std::mem::take(&mut self.lazy);
        for (_, _, appended) in &taken {
            records.extend(appended.iter().cloned());
        }
        if records.is_empty() {
            return Ok(());
        }
        self.append(&records)?;
        if taken.is_empty() {
            return Ok(());
        }
        self.log.sync().map_err(|error| died(&error))?;
        self.stats.batches += 1;
        for (shard, number, _) in taken {
            self.send(shard, Input::Persisted { number });
        }
        Ok(())
    }

    pub(crate) fn append(&mut self, records: &[Record]) -> Result<(), End> {
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
        for shard in self.map.shards() {
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
                Output::Reply { token, reply } => self.replies.push((token, reply)),
                Output::Load { entity } => {
                    self.stats.loads += 1;
                    let stored = self.index.get(&entity).cloned();
                    self.send(shard, Input::Loaded { entity, stored });
                }
                Output::Store { entity, position, record } => {
                    self.stats.stores += 1;
                    let bytes = record.len();
                    self.index.insert(entity.clone(), (position, record));
                    self.send(shard, Input::Indexed { entity, position, bytes });
                }
                Output::Tell { target, tell } => match self.draw(8) {
                    0 if self.lossy => self.stats.tells_lost += 1,
                    1 => {
                        self.send(target, Input::Told(tell.clone()));
                        self.send(target, Input::Told(tell));
                    }
                    _ => self.send(target, Input::Told(tell)),
                },
                Output::AckTells { source, up_to } => {
                    if self.draw(4) > 0 || !self.lossy {
                        self.send(source, Input::TellsAcked { target: shard, up_to });
                    }
                }
                Output::Fenced { why } | Output::IndexDamaged { why } => {
                    return Err(End::Fault { why });
                }
                Output::Send { .. }
                | Output::ReadLog { .. }
                | Output::SnapshotWanted
                | Output::Fetch { .. }
                | Output::Install { .. }
                | Output::Members(_)
                | Output::Invoke { .. }
                | Output::Published { .. }
                | Output::Leads(_)
                | Output::ClockStepped { .. }
                | Output::Panicked { .. }
                | Output::Quarantined { .. } => {}
            }
        }
        Ok(())
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

    fn inbox_of(&self, shard: ShardId) -> Option<&VecDeque<Input>> {
        self.inbox.get(usize::try_from(shard.0).ok()?)
    }

    fn inbox_mut(&mut self, shard: ShardId) -> Option<&mut VecDeque<Input>> {
        self.inbox.get_mut(usize::try_from(shard.0).ok()?)
    }

    pub(crate) fn core(&self, shard: ShardId) -> Option<&ShardCore> {
        self.cores.get(usize::try_from(shard.0).ok()?)
    }

    fn core_mut(&mut self, shard: ShardId) -> Option<&mut ShardCore> {
        self.cores.get_mut(usize::try_from(shard.0).ok()?)
    }
}

fn open_log(disk: &SimDisk, options: &WorldOptions) -> Result<(Log, u64), End> {
    open_log_into(disk, options, &mut Recovering::default())
}

fn open_log_into(
    disk: &SimDisk,
    options: &WorldOptions,
    recovering: &mut Recovering,
) -> Result<(Log, u64), End> {
    let disk: Arc<dyn Disk> = Arc::new(disk.clone());
    let segment_bytes = options.segment_bytes;
    let options = LogOptions { segment_bytes, ..LogOptions::default() };
    match Log::open(disk, LOG_DIR, options, &mut |record| recovering.visit(record)) {
        Ok((log, recovery)) => Ok((log, recovery.records)),
        Err(error @ LogError::Damaged { .. }) => Err(End::Refused { why: error.to_string() }),
        Err(error) => Err(fault(&error)),
    }
}

pub(crate) fn fault(why: &impl std::fmt::Display) -> End {
    End::Fault { why: why.to_string() }
}

pub(crate) fn died(why: &impl std::fmt::Display) -> End {
    End::Died { why: why.to_string() }
}
