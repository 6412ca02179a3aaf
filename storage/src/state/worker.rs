//! A thread that owns a [`StateIndex`], so that no caller waits for sled.
//!
//! **Invariants:**
//! - jobs run one after the other, in the order they were submitted;
//! - every accepted job is answered exactly once: with its result, with the index's fault, or with
//!   [`IndexFault::Abandoned`] when the owner gives up on a call that does not return;
//! - the queue is bounded in bytes; a submitter never waits.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::open::caught;
use super::{IndexEntry, IndexFault, IndexRecord, IndexWrite, StateIndex};
use crate::clock;

/// What a job costs in the queue besides the bytes it carries.
const JOB_BYTES: usize = 256;

/// Receives a job's result in the worker's thread; it must not block.
pub type Callback<T> = Box<dyn FnOnce(Result<T, IndexFault>) + Send>;
/// Receives the records of a scan, one by one, in the worker's thread.
pub type ScanSink = Box<dyn FnMut(Vec<u8>, IndexRecord) + Send>;

/// Something for the index to do.
pub enum IndexJob {
    /// [`StateIndex::write`].
    Write { writes: Vec<IndexWrite>, done: Callback<()> },
    /// [`StateIndex::read`].
    Read { shard: u32, key: Bytes, done: Callback<Option<IndexRecord>> },
    /// [`StateIndex::page`].
    Page { shard: u32, after: Option<Bytes>, bytes_max: usize, done: Callback<Vec<IndexEntry>> },
    /// [`StateIndex::scan`]: verified as a whole only when `done` gets the number of records.
    Scan { shard: u32, sink: ScanSink, done: Callback<u64> },
    /// [`StateIndex::forget_tombstones`].
    ForgetTombstones { shard: u32, until: u64, done: Callback<u64> },
    /// [`StateIndex::remove_shard`].
    RemoveShard { shard: u32, done: Callback<u64> },
    /// [`StateIndex::set_floor`].
    SetFloor { shard: u32, position: u64, done: Callback<()> },
    /// [`StateIndex::floor`].
    Floor { shard: u32, done: Callback<Option<u64>> },
    /// [`StateIndex::sync_files`].
    SyncFiles { done: Callback<()> },
    /// [`StateIndex::size_on_disk`].
    SizeOnDisk { done: Callback<u64> },
}

impl IndexJob {
    fn bytes(&self) -> usize {
        let carried = match self {
            Self::Write { writes, .. } => writes
                .iter()
                .map(|write| {
                    size_of::<IndexWrite>()
                        + write.key.len()
                        + write.body.as_ref().map_or(0, Bytes::len)
                })
                .sum(),
            Self::Read { key, .. } => key.len(),
            Self::Page { .. }
            | Self::Scan { .. }
            | Self::ForgetTombstones { .. }
            | Self::RemoveShard { .. }
            | Self::SetFloor { .. }
            | Self::Floor { .. }
            | Self::SyncFiles { .. }
            | Self::SizeOnDisk { .. } => 0,
        };
        JOB_BYTES + carried
    }

    /// Answers without having run.
    fn refuse(self, fault: IndexFault) {
        match self {
            Self::Write { done, .. } | Self::SetFloor { done, .. } | Self::SyncFiles { done } => {
                answer(done, Err(fault));
            }
            Self::Read { done, .. } => answer(done, Err(fault)),
            Self::Page { done, .. } => answer(done, Err(fault)),
            Self::Floor { done, .. } => answer(done, Err(fault)),
            Self::Scan { done, .. }
            | Self::ForgetTombstones { done, .. }
            | Self::RemoveShard { done, .. }
            | Self::SizeOnDisk { done } => answer(done, Err(fault)),
        }
    }
}

/// Why a job was not taken; it comes back untouched.
#[derive(thiserror::Error)]
pub enum SubmitError {
    /// The queue is full; later is better.
    #[error("the state index has {queued_bytes} bytes of work queued")]
    Busy { job: Box<IndexJob>, queued_bytes: usize },
    /// The worker is closed or was abandoned.
    #[error("the state index is closed")]
    Closed { job: Box<IndexJob> },
}

impl fmt::Debug for SubmitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SubmitError({self})")
    }
}

/// The job that runs, as far as others must know it.
struct Running {
    since: Instant,
    abandon: Box<dyn FnOnce(IndexFault) + Send>,
}

#[derive(Default)]
struct Queue {
    jobs: VecDeque<IndexJob>,
    bytes: usize,
    running: Option<Running>,
    progress: Progress,
}

/// How far the worker is on its way to its end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Progress {
    #[default]
    Open,
    /// No job is taken any more; those that wait still run.
    Closed,
    /// No job may start any more.
    Abandoned,
    /// The thread has let go of the index.
    Exited,
}

impl Queue {
    fn advance(&mut self, to: Progress) {
        self.progress = self.progress.max(to);
    }
}

#[derive(Default)]
struct Shared {
    queue: Mutex<Queue>,
    changed: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The handle of the worker's thread. Dropping it lets queued jobs finish, without waiting for them.
pub struct IndexWorker {
    shared: Arc<Shared>,
    queue_bytes_max: usize,
}

impl IndexWorker {
    /// Moves an index into a thread of its own. `queue_bytes_max` bounds the work that waits.
    pub fn start(index: StateIndex, queue_bytes_max: usize) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let theirs = Arc::clone(&shared);
        std::thread::Builder::new()
            .name("state-index".to_owned())
            .spawn(move || work(index, &theirs))?;
        Ok(Self { shared, queue_bytes_max })
    }

    /// Queues a job. A queue with room for any byte takes a job of any size.
    pub fn submit(&self, job: IndexJob) -> Result<(), SubmitError> {
        let mut queue = self.shared.lock();
        let bytes = job.bytes();
        if queue.progress != Progress::Open {
            return Err(SubmitError::Closed { job: Box::new(job) });
        }
        if queue.bytes > 0 && queue.bytes + bytes > self.queue_bytes_max {
            return Err(SubmitError::Busy { job: Box::new(job), queued_bytes: queue.bytes });
        }
        queue.bytes += bytes;
        queue.jobs.push_back(job);
        drop(queue);
        self.shared.changed.notify_all();
        Ok(())
    }

    /// Bytes of the jobs that wait.
    pub fn queued_bytes(&self) -> usize {
        self.shared.lock().bytes
    }

    /// How long the job that runs has been running; zero when none does.
    pub fn stalled_for(&self) -> Duration {
        let queue = self.shared.lock();
        let since = queue.running.as_ref().map(|running| running.since);
        since.map_or(Duration::ZERO, |since| clock::monotonic().duration_since(since))
    }

    /// Gives up on a call that does not return: the job that runs and those that wait are answered
    /// with [`IndexFault::Abandoned`]. The thread stays behind with the old folder.
    pub fn abandon(&self) {
        let (jobs, running) = {
            let mut queue = self.shared.lock();
            queue.advance(Progress::Abandoned);
            queue.bytes = 0;
            (std::mem::take(&mut queue.jobs), queue.running.take())
        };
        self.shared.changed.notify_all();
        if let Some(running) = running {
            (running.abandon)(IndexFault::Abandoned);
        }
        jobs.into_iter().for_each(|job| job.refuse(IndexFault::Abandoned));
    }

    /// Finishes the queue and closes the index; abandons it when that takes longer than `patience`.
    pub fn close(self, patience: Duration) -> Closed {
        let mut queue = self.shared.lock();
        queue.advance(Progress::Closed);
        self.shared.changed.notify_all();
        let waiting = |queue: &mut Queue| queue.progress != Progress::Exited;
        let waited = self.shared.changed.wait_timeout_while(queue, patience, waiting);
        let (queue, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
        drop(queue);
        if !timeout.timed_out() {
            return Closed::Cleanly;
        }
        self.abandon();
        Closed::Abandoned
    }
}

impl Drop for IndexWorker {
    fn drop(&mut self) {
        self.shared.lock().advance(Progress::Closed);
        self.shared.changed.notify_all();
    }
}

/// How [`IndexWorker::close`] ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Closed {
    /// Every job ran and sled has let go of its files.
    Cleanly,
    /// Sled did not return in time.
    Abandoned,
}

fn work(mut index: StateIndex, shared: &Shared) {
    while let Some(job) = next_job(shared) {
        run(&mut index, shared, job);
    }
    drop(index);
    shared.lock().advance(Progress::Exited);
    shared.changed.notify_all();
}

fn next_job(shared: &Shared) -> Option<IndexJob> {
    let mut queue = shared.lock();
    loop {
        if let Some(job) = queue.jobs.pop_front() {
            queue.bytes = queue.bytes.saturating_sub(job.bytes());
            return Some(job);
        }
        if queue.progress != Progress::Open {
            return None;
        }
        queue = shared.changed.wait(queue).unwrap_or_else(PoisonError::into_inner);
    }
}

fn run(index: &mut StateIndex, shared: &Shared, job: IndexJob) {
    match job {
        IndexJob::Write { writes, done } => watched(shared, done, || index.write(&writes)),
        IndexJob::Read { shard, key, done } => watched(shared, done, || index.read(shard, &key)),
        IndexJob::Page { shard, after, bytes_max, done } => {
            watched(shared, done, || index.page(shard, after.as_deref(), bytes_max));
        }
        IndexJob::Scan { shard, mut sink, done } => watched(shared, done, || {
            let mut records = 0;
            for entry in index.scan(shard)? {
                let (key, record) = entry?;
                sink(key, record);
                records += 1;
            }
            Ok(records)
        }),
        IndexJob::ForgetTombstones { shard, until, done } => {
            watched(shared, done, || index.forget_tombstones(shard, until));
        }
        IndexJob::RemoveShard { shard, done } => {
            watched(shared, done, || index.remove_shard(shard));
        }
        IndexJob::SetFloor { shard, position, done } => {
            watched(shared, done, || index.set_floor(shard, position));
        }
        IndexJob::Floor { shard, done } => watched(shared, done, || index.floor(shard)),
        IndexJob::SyncFiles { done } => watched(shared, done, || index.sync_files()),
        IndexJob::SizeOnDisk { done } => watched(shared, done, || index.size_on_disk()),
    }
}

/// Runs one job where the watchdog can see it. Whoever takes the callback first answers.
fn watched<T: 'static>(
    shared: &Shared,
    done: Callback<T>,
    job: impl FnOnce() -> Result<T, IndexFault>,
) {
    let slot = Arc::new(Mutex::new(Some(done)));
    let take = |slot: &Mutex<Option<Callback<T>>>| {
        slot.lock().unwrap_or_else(PoisonError::into_inner).take()
    };
    let theirs = Arc::clone(&slot);
    let abandon = Box::new(move |fault| {
        if let Some(done) = take(&theirs) {
            answer(done, Err(fault));
        }
    });
    let allowed = {
        let mut queue = shared.lock();
        let allowed = queue.progress < Progress::Abandoned;
        queue.running = allowed.then(|| Running { since: clock::monotonic(), abandon });
        allowed
    };
    let result = if allowed { caught("working", job) } else { Err(IndexFault::Abandoned) };
    shared.lock().running = None;
    if let Some(done) = take(&slot) {
        answer(done, result);
    }
}

/// A callback that panics must not end the thread that others wait for.
fn answer<T>(done: Callback<T>, result: Result<T, IndexFault>) {
    if catch_unwind(AssertUnwindSafe(|| done(result))).is_err() {
        tracing::error!("a callback of the state index panicked; its caller got no answer");
    }
}
