//! A thread that owns a [`StateIndex`], so that no caller waits for sled.
//!
//! **Invariants:**
//! - jobs run one after the other, in the order they were submitted;
//! - every accepted job is answered exactly once: with its result, with the index's fault, or with
//!   [`IndexFault::Abandoned`] when the owner gives up on a call that does not return;
//! - the queue is bounded in bytes; a submitter never waits;
//! - jobs that find no disk space wait for it, with all behind them but reads: those are answered
//!   from what waits, or from sled as soon as it can be opened.

mod job;
mod queue;
mod shortage;

use std::fmt;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use self::job::answer;
use self::queue::{Next, Progress, Queue, Running};
use super::nudge::{Nudges, SideDoor};
use super::open::caught;
use super::{IndexFault, StateIndex};
use crate::clock;

pub use self::job::{Callback, IndexJob, ScanSink};

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
    pub fn start(mut index: StateIndex, queue_bytes_max: usize) -> io::Result<Self> {
        index.keep_room();
        let shared = Arc::new(Shared::default());
        let (theirs, door) = (Arc::clone(&shared), index.side_door.clone());
        std::thread::Builder::new()
            .name("state-index".to_owned())
            .spawn(move || work(index, &theirs))?;
        // From here on the thread ends with it, whatever fails.
        let worker = Self { shared, queue_bytes_max };
        let theirs = Arc::clone(&worker.shared);
        std::thread::Builder::new()
            .name("state-index-watch".to_owned())
            .spawn(move || nudge_what_hangs(&theirs, &door))?;
        Ok(worker)
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
        queue.push(job);
        drop(queue);
        self.shared.changed.notify_all();
        Ok(())
    }

    /// Whether jobs wait for space on the disk.
    pub fn lacks_space(&self) -> bool {
        self.shared.lock().shortage.is_some()
    }

    /// Bytes of the jobs that wait.
    pub fn queued_bytes(&self) -> usize {
        self.shared.lock().bytes
    }

    /// How long the job that runs has been running; zero when none does.
    pub fn stalled_for(&self) -> Duration {
        let since = self.shared.lock().running_since();
        since.map_or(Duration::ZERO, |since| clock::monotonic().duration_since(since))
    }

    /// Gives up on a call that does not return: the job that runs and those that wait are answered
    /// with [`IndexFault::Abandoned`]. The thread stays behind with the old folder.
    pub fn abandon(&self) {
        let (jobs, running) = {
            let mut queue = self.shared.lock();
            queue.advance(Progress::Abandoned);
            (queue.take_all(), queue.running.take())
        };
        self.shared.changed.notify_all();
        if let Some(running) = running {
            (running.abandon)(IndexFault::Abandoned);
        }
        jobs.into_iter().for_each(|job| job.refuse(IndexFault::Abandoned));
    }

    /// Finishes the queue and closes the index; abandons it when that takes longer than `patience`.
    pub fn close(&self, patience: Duration) -> Closed {
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
    let undone = loop {
        match next(shared) {
            Next::Run(job) => {
                let Some((job, fault)) = run(&mut index, shared, job) else {
                    shared.lock().goes_well();
                    continue;
                };
                let put_off = shared.lock().puts_off(job, fault);
                if let Err(job) = put_off {
                    job.refuse(IndexFault::Abandoned);
                }
            }
            Next::Tell(done, record) => answer(done, Ok(Some(record))),
            Next::Mend => mend(&mut index, shared),
            Next::Wait(_) => {}
            Next::End(undone) => break undone,
        }
    };
    if let Some((jobs, fault)) = undone {
        jobs.into_iter().for_each(|job| job.refuse(fault.clone()));
    }
    drop(index);
    shared.lock().advance(Progress::Exited);
    shared.changed.notify_all();
}

/// Looks after the job that runs, as long as one may.
fn nudge_what_hangs(shared: &Shared, door: &SideDoor) {
    const LOOK_PAUSE: Duration = Duration::from_millis(500);
    let mut watched = None;
    let mut nudges = Nudges::default();
    loop {
        // Not woken by every job that comes.
        std::thread::sleep(LOOK_PAUSE);
        let queue = shared.lock();
        if queue.progress >= Progress::Abandoned {
            return;
        }
        let since = queue.running_since();
        drop(queue);
        if since != std::mem::replace(&mut watched, since) {
            nudges = Nudges::default();
        }
        if let Some(since) = since {
            nudges.look(clock::monotonic().duration_since(since), door);
        }
    }
}

/// What to do next, after the wait for it if need be.
fn next(shared: &Shared) -> Next {
    let mut queue = shared.lock();
    let next = queue.next(clock::monotonic());
    if let Next::Wait(at_most) = &next {
        match at_most {
            Some(at_most) => drop(shared.changed.wait_timeout(queue, *at_most)),
            None => drop(shared.changed.wait(queue)),
        }
    }
    next
}

/// Opens sled again if it must be, and ends the shortage if there is space.
fn mend(index: &mut StateIndex, shared: &Shared) {
    let reopened = watch(shared, Box::new(|_| ()), || match index.fault() {
        Some(_) => index.reopen(),
        None => Ok(()),
    });
    let space = reopened.and_then(|()| index.put_space_by());
    shared.lock().mended(index.fault(), space);
}

/// Runs a job and answers it, unless it finds no space: then it comes back.
fn run(index: &mut StateIndex, shared: &Shared, job: IndexJob) -> Option<(IndexJob, IndexFault)> {
    match job {
        IndexJob::Write { writes, done } => {
            let (done, fault) = watched(shared, done, || index.write(&writes))?;
            Some((IndexJob::Write { writes, done }, fault))
        }
        IndexJob::Read { shard, key, done } => {
            let (done, fault) = watched(shared, done, || index.read(shard, &key))?;
            Some((IndexJob::Read { shard, key, done }, fault))
        }
        IndexJob::Scan { shard, mut sink, done } => {
            let scanned = watched(shared, done, || {
                let mut records = 0;
                for entry in index.scan(shard)? {
                    let (key, record) = entry?;
                    sink(key, record);
                    records += 1;
                }
                Ok(records)
            });
            // What the sink took it would get twice.
            let (done, fault) = scanned?;
            answer(done, Err(fault));
            None
        }
        IndexJob::RemoveShard { shard, done } => {
            let (done, fault) = watched(shared, done, || index.remove_shard(shard))?;
            Some((IndexJob::RemoveShard { shard, done }, fault))
        }
        IndexJob::SetFloor { shard, position, done } => {
            let (done, fault) = watched(shared, done, || index.set_floor(shard, position))?;
            Some((IndexJob::SetFloor { shard, position, done }, fault))
        }
        IndexJob::Floor { shard, done } => {
            let (done, fault) = watched(shared, done, || index.floor(shard))?;
            Some((IndexJob::Floor { shard, done }, fault))
        }
        IndexJob::SyncFiles { done } => {
            let (done, fault) = watched(shared, done, || index.sync_files())?;
            Some((IndexJob::SyncFiles { done }, fault))
        }
        IndexJob::SizeOnDisk { done } => {
            let (done, fault) = watched(shared, done, || index.size_on_disk())?;
            Some((IndexJob::SizeOnDisk { done }, fault))
        }
    }
}

/// Runs one job where the watchdog can see it, and answers it unless it finds no space. Whoever takes
/// the callback first answers.
fn watched<T: 'static>(
    shared: &Shared,
    done: Callback<T>,
    job: impl FnOnce() -> Result<T, IndexFault>,
) -> Option<(Callback<T>, IndexFault)> {
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
    let result = watch(shared, abandon, job);
    match (take(&slot)?, result) {
        (done, Err(fault)) if fault.is_storage_full() => Some((done, fault)),
        (done, result) => {
            answer(done, result);
            None
        }
    }
}

/// Calls the index where the watchdog can see how long that takes.
fn watch<T>(
    shared: &Shared,
    abandon: Box<dyn FnOnce(IndexFault) + Send>,
    call: impl FnOnce() -> Result<T, IndexFault>,
) -> Result<T, IndexFault> {
    let allowed = {
        let mut queue = shared.lock();
        let allowed = queue.progress < Progress::Abandoned;
        queue.running = allowed.then(|| Running { since: clock::monotonic(), abandon });
        allowed
    };
    let result = if allowed { caught("working", call) } else { Err(IndexFault::Abandoned) };
    shared.lock().running = None;
    result
}
