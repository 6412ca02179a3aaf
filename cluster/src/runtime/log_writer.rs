//! The thread that owns the node's log: one write and one sync for everything that gathered while
//! the last one was under way.
//!
//! **Invariants:** completions are reported only after the sync that covers them; after a failed
//! write on claimed space or a failed sync nothing is ever reported again and the process ends.
//! While no space can be claimed ahead, new work is refused and what is under way still fits.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use storage::clock;
use storage::disk::Disk;
use storage::log::{
    AppendError, Class, GroupId, Log, LogEntry, LogError, Record, Spare, SpareRequest,
};
use storage::metrics::StorageMetrics;
use tokio::sync::oneshot;

use crate::ids::ShardId;
use crate::runtime::postponed::explained;
use crate::shard::io::Space;

/// Bytes of records that one batch gathers before it is written.
const BATCH_BYTES_MAX: usize = 8 << 20;
/// From this many commands under way on, a batch waits a moment to be worth its sync.
const CROWD: usize = 16;
/// A batch with fewer appends than this share of the commands under way is thin.
const CROWD_SHARE: usize = 8;
const CROWD_PAUSE: Duration = Duration::from_micros(150);
const CROWD_PAUSES_MAX: usize = 4;
/// How often space is tried for again after it ran out.
const SPACE_RETRY: Duration = Duration::from_millis(500);

type ReadDone = oneshot::Sender<Result<Vec<LogEntry>, LogError>>;

/// Payload bytes read at once; the log serves nobody else meanwhile.
const READ_BYTES_MAX: u64 = 1 << 20;

/// What the log writer tells the shards.
pub(crate) trait LogEvents: Send + Sync + 'static {
    /// These appends are durable.
    fn persisted(&self, appends: Vec<(ShardId, u64)>);
    fn space_changed(&self, space: Space);
    /// The log cannot go on; nothing may be acknowledged any more.
    fn failed(&self, why: &str) -> !;
}

enum Job {
    Append {
        shard: ShardId,
        number: u64,
        records: Vec<Record>,
        bytes: usize,
    },
    Lazily(Record),
    /// Logged and synced; nobody but the caller needs to know.
    Durably {
        records: Vec<Record>,
        done: oneshot::Sender<()>,
    },
    Pinned {
        needed: BTreeMap<GroupId, u64>,
        segments_max: u64,
        done: oneshot::Sender<Vec<GroupId>>,
    },
    Read {
        group: GroupId,
        from: u64,
        to: u64,
        done: ReadDone,
    },
    Trim {
        needed: BTreeMap<GroupId, u64>,
        done: oneshot::Sender<()>,
    },
    Allocated(io::Result<Spare>),
    RetrySpace,
    AnnounceSpace,
    CheckSpace,
    Stop,
}

/// The way in. Cheap to clone.
#[derive(Clone)]
pub(crate) struct LogWriter {
    jobs: Sender<Job>,
    queued_bytes: Arc<AtomicUsize>,
    full: Arc<AtomicBool>,
    demand: Arc<AtomicUsize>,
}

struct Worker {
    log: Log,
    disk: Arc<dyn Disk>,
    jobs: Receiver<Job>,
    /// For the allocator thread to answer on.
    own: Sender<Job>,
    events: Arc<dyn LogEvents>,
    metrics: StorageMetrics,
    queued_bytes: Arc<AtomicUsize>,
    full: Arc<AtomicBool>,
    /// No segment can be claimed.
    starved: bool,
    /// There is hardly space for what is not claimed ahead: the state index and snapshots.
    short: bool,
    allocating: bool,
    /// Commands under way in the node.
    demand: Arc<AtomicUsize>,
    /// Jobs that came while a batch waited for space.
    backlog: VecDeque<Job>,
}

impl LogWriter {
    pub(crate) fn start(
        log: Log,
        disk: Arc<dyn Disk>,
        events: Arc<dyn LogEvents>,
        metrics: StorageMetrics,
    ) -> io::Result<(Self, JoinHandle<()>)> {
        let (sender, jobs) = channel();
        let queued_bytes = Arc::new(AtomicUsize::new(0));
        let full = Arc::new(AtomicBool::new(false));
        let demand = Arc::new(AtomicUsize::new(0));
        let writer = Self {
            jobs: sender.clone(),
            queued_bytes: Arc::clone(&queued_bytes),
            full: Arc::clone(&full),
            demand: Arc::clone(&demand),
        };
        let worker = Worker {
            log,
            disk,
            jobs,
            own: sender,
            events,
            metrics,
            queued_bytes,
            full,
            starved: false,
            short: false,
            allocating: false,
            demand,
            backlog: VecDeque::new(),
        };
        let thread = std::thread::Builder::new()
            .name("log-writer".to_owned())
            .spawn(move || worker.run())?;
        Ok((writer, thread))
    }

    /// Logs and syncs; gives the bytes that takes.
    pub(crate) fn append(&self, shard: ShardId, number: u64, records: Vec<Record>) -> usize {
        let bytes = records.iter().map(record_bytes).sum();
        self.queued_bytes.fetch_add(bytes, Ordering::Relaxed);
        self.send(Job::Append { shard, number, records, bytes });
        bytes
    }

    pub(crate) fn append_lazily(&self, record: Record) {
        self.send(Job::Lazily(record));
    }

    /// Logs records of the node's own; resolves when they are durable.
    pub(crate) fn append_durably(&self, records: Vec<Record>) -> oneshot::Receiver<()> {
        let (done, finished) = oneshot::channel();
        self.send(Job::Durably { records, done });
        finished
    }

    /// The groups that keep more than `segments_max` segments from being dropped.
    pub(crate) fn pinned(
        &self,
        needed: BTreeMap<GroupId, u64>,
        segments_max: u64,
    ) -> oneshot::Receiver<Vec<GroupId>> {
        let (done, finished) = oneshot::channel();
        self.send(Job::Pinned { needed, segments_max, done });
        finished
    }

    /// Reads entries `from..=to` of a group, as many as fit one read, at least one.
    pub(crate) fn read(
        &self,
        group: GroupId,
        from: u64,
        to: u64,
    ) -> oneshot::Receiver<Result<Vec<LogEntry>, LogError>> {
        let (done, finished) = oneshot::channel();
        self.send(Job::Read { group, from, to, done });
        finished
    }

    /// Drops segments no group needs; resolves when that is done.
    pub(crate) fn trim(&self, needed: BTreeMap<GroupId, u64>) -> oneshot::Receiver<()> {
        let (done, finished) = oneshot::channel();
        self.send(Job::Trim { needed, done });
        finished
    }

    /// Tells the shards that there is no space, if so: it may have run out before there were any.
    pub(crate) fn announce_space(&self) {
        self.send(Job::AnnounceSpace);
    }

    /// Looks at how much space is left: others write to the disk too.
    pub(crate) fn check_space(&self) {
        self.send(Job::CheckSpace);
    }

    pub(crate) fn stop(&self) {
        self.send(Job::Stop);
    }

    /// Bytes handed in and not yet durable: the sign of a disk that cannot keep up.
    pub(crate) fn queued_bytes(&self) -> usize {
        self.queued_bytes.load(Ordering::Relaxed)
    }

    /// Counts a command as under way until the count is dropped.
    pub(crate) fn under_way(&self) -> UnderWay {
        self.demand.fetch_add(1, Ordering::Relaxed);
        UnderWay { demand: Arc::clone(&self.demand) }
    }

    pub(crate) fn is_full(&self) -> bool {
        self.full.load(Ordering::Relaxed)
    }

    fn send(&self, job: Job) {
        // The thread ends only with the process or after `stop`: nothing is lost that matters.
        self.jobs.send(job).ok();
    }
}

/// A command that will need a sync.
pub(crate) struct UnderWay {
    demand: Arc<AtomicUsize>,
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.demand.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Everything that goes to disk with one sync.
#[derive(Default)]
struct Batch {
    records: Vec<Record>,
    done: Vec<(ShardId, u64)>,
    durable: Vec<oneshot::Sender<()>>,
    bytes: usize,
    trims: Vec<(BTreeMap<GroupId, u64>, oneshot::Sender<()>)>,
    stop: bool,
}

impl Worker {
    fn run(mut self) {
        self.want_spare();
        while let Some(first) = self.backlog.pop_front().or_else(|| self.jobs.recv().ok()) {
            let mut batch = Batch::default();
            self.gather(first, &mut batch);
            self.gather_waiting(&mut batch);
            for _ in 0..CROWD_PAUSES_MAX {
                if !self.is_thin(&batch) {
                    break;
                }
                std::thread::sleep(CROWD_PAUSE);
                self.gather_waiting(&mut batch);
            }
            self.write(&mut batch);
            for done in batch.durable {
                done.send(()).ok();
            }
            for (needed, done) in batch.trims {
                self.trim(&needed);
                done.send(()).ok();
            }
            if batch.stop {
                return self.await_allocator();
            }
        }
    }

    /// Whether a batch serves few of those who wait for a sync: the others are on their way, and a
    /// sync for each handful of them would cost everybody more than a moment's patience.
    fn is_thin(&self, batch: &Batch) -> bool {
        let waiting = self.demand.load(Ordering::Relaxed);
        !batch.stop && waiting >= CROWD && batch.done.len() * CROWD_SHARE < waiting
    }

    fn gather_waiting(&mut self, batch: &mut Batch) {
        while batch.bytes < BATCH_BYTES_MAX
            && let Some(next) = self.backlog.pop_front().or_else(|| self.jobs.try_recv().ok())
        {
            self.gather(next, batch);
        }
    }

    fn gather(&mut self, job: Job, batch: &mut Batch) {
        match job {
            Job::Append { shard, number, records, bytes } => {
                batch.records.extend(records);
                batch.done.push((shard, number));
                batch.bytes += bytes;
            }
            Job::Lazily(record) => batch.records.push(record),
            Job::Durably { records, done } => {
                batch.records.extend(records);
                batch.durable.push(done);
            }
            Job::Pinned { needed, segments_max, done } => {
                let pins = self.log.pinned_by(&needed, segments_max);
                done.send(pins.into_iter().map(|pin| pin.group).collect()).ok();
            }
            Job::Read { group, from, to, done } => {
                let entries = self.log.read_entries(group, from, to + 1, READ_BYTES_MAX);
                // Whoever asked may have gone.
                done.send(entries).ok();
            }
            Job::Trim { needed, done } => batch.trims.push((needed, done)),
            Job::Allocated(allocated) => self.take_spare(allocated),
            Job::RetrySpace => self.want_spare(),
            // By this thread, so that it cannot overtake or be overtaken by a change.
            Job::AnnounceSpace if self.full.load(Ordering::Relaxed) => {
                self.events.space_changed(Space::Full);
            }
            Job::AnnounceSpace => {}
            Job::CheckSpace => self.look_at_space(),
            Job::Stop => batch.stop = true,
        }
    }

    fn write(&mut self, batch: &mut Batch) {
        if batch.records.is_empty() {
            return;
        }
        let mut appended = self.log.append(&batch.records, Class::Client);
        while matches!(appended, Err(AppendError::NoSpace)) && self.wait_for_spare() {
            appended = self.log.append(&batch.records, Class::Client);
        }
        match appended {
            Ok(()) => {}
            Err(AppendError::NoSpace) => {
                self.starved = true;
                self.settle_space();
                if let Err(error) = self.log.append(&batch.records, Class::Essential) {
                    self.events.failed(&format!("the log has no space left: {error}"));
                }
            }
            Err(
                error @ (AppendError::Fatal(_)
                | AppendError::TooLarge { .. }
                | AppendError::Seal(_)),
            ) => self.events.failed(&explained(&error)),
        }
        self.want_spare();
        if batch.done.is_empty() && batch.durable.is_empty() {
            return;
        }
        let started = clock::monotonic();
        if let Err(error) = self.log.sync() {
            self.events.failed(&explained(&error));
        }
        self.metrics.log_synced(started.elapsed(), &self.log.stats());
        self.queued_bytes.fetch_sub(batch.bytes, Ordering::Relaxed);
        self.events.persisted(std::mem::take(&mut batch.done));
    }

    fn trim(&mut self, needed: &BTreeMap<GroupId, u64>) {
        match self.log.trim(needed) {
            Ok(_) => {
                self.metrics.log_stands(&self.log.stats());
                self.want_spare();
            }
            Err(error) => self.events.failed(&explained(&error)),
        }
    }

    /// Claims the next segment on a thread of its own: zeroing it takes longer than a commit may.
    fn want_spare(&mut self) {
        if self.allocating {
            return;
        }
        let Some(request) = self.log.wanted_spare() else { return };
        self.allocating = true;
        let (disk, own) = (Arc::clone(&self.disk), self.own.clone());
        let started = std::thread::Builder::new()
            .name("log-allocator".to_owned())
            .spawn(move || allocate(&request, disk.as_ref(), &own));
        if let Err(error) = started {
            self.take_spare(Err(error));
        }
    }

    /// Waits for the segment that is being allocated; `false` when there is none to be had.
    fn wait_for_spare(&mut self) -> bool {
        self.want_spare();
        while self.allocating {
            match self.jobs.recv() {
                Ok(Job::Allocated(allocated)) => {
                    let claimed = allocated.is_ok();
                    self.take_spare(allocated);
                    return claimed;
                }
                Ok(other) => self.backlog.push_back(other),
                Err(_closed) => return false,
            }
        }
        false
    }

    /// Nobody else may use the folder while the allocator still writes to it.
    fn await_allocator(&self) {
        while self.allocating && !matches!(self.jobs.recv(), Ok(Job::Allocated(_)) | Err(_)) {}
    }

    fn take_spare(&mut self, allocated: io::Result<Spare>) {
        self.allocating = false;
        match allocated {
            Ok(spare) => {
                self.log.add_spare(spare);
                self.starved = false;
                self.settle_space();
                self.want_spare();
            }
            Err(error) if !is_want_of_space(&error) => {
                self.events.failed(&format!("cannot claim space: {}", explained(&error)));
            }
            Err(error) => {
                if !self.starved {
                    tracing::error!(%error, "no space for the next log segment: writes are refused");
                }
                self.starved = true;
                self.settle_space();
                let own = self.own.clone();
                let retry = std::thread::Builder::new().spawn(move || {
                    std::thread::sleep(SPACE_RETRY);
                    own.send(Job::RetrySpace).ok();
                });
                if let Err(error) = retry {
                    self.events.failed(&format!("no thread to wait for space: {error}"));
                }
            }
        }
    }

    fn look_at_space(&mut self) {
        // A disk that cannot be asked is met again where it is written to.
        if let Ok(free) = self.disk.free_bytes() {
            self.short = free < self.log.segment_bytes();
            self.settle_space();
        }
    }

    fn settle_space(&mut self) {
        let full = self.starved || self.short;
        if self.full.swap(full, Ordering::Relaxed) != full {
            let space = if full { Space::Full } else { Space::Free };
            self.metrics.log_space(full);
            self.events.space_changed(space);
            if full {
                tracing::error!("the disk is full: writes are refused");
            } else {
                tracing::info!("there is space again: writes are accepted");
            }
        }
    }
}

/// Claims a segment, and leaves space for another: the state index has no claim of its own, and what
/// it fails to take for want of space has left memory.
fn allocate(request: &SpareRequest, disk: &dyn Disk, done: &Sender<Job>) {
    let allocated = disk.free_bytes().and_then(|free| {
        if free / 2 < request.bytes() {
            return Err(io::Error::from(io::ErrorKind::StorageFull));
        }
        request.allocate(disk)
    });
    done.send(Job::Allocated(allocated)).ok();
}

/// Whether a failure to claim space says that there is none, or nothing to claim it with, for now.
fn is_want_of_space(error: &io::Error) -> bool {
    const TOO_MANY_FILES: [i32; 2] = [23, 24];
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    let mut too_many_files = false;
    while let Some(error) = cause {
        let code = error.downcast_ref::<io::Error>().and_then(io::Error::raw_os_error);
        too_many_files |= code.is_some_and(|code| TOO_MANY_FILES.contains(&code));
        cause = error.source();
    }
    too_many_files || error.kind() == io::ErrorKind::StorageFull
}

fn record_bytes(record: &Record) -> usize {
    const OVERHEAD: usize = 64;
    OVERHEAD
        + match record {
            Record::Entry(entry) => entry.payload.len(),
            Record::HardState { .. }
            | Record::Truncate { .. }
            | Record::SnapshotPointer { .. }
            | Record::GroupMeta { .. }
            | Record::IndexFloor { .. } => 0,
        }
}

#[cfg(test)]
mod tests;
