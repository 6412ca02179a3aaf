//! Running many seeds, one thread per core.
//!
//! **Invariants:** results are given in the order of the seeds, whichever thread was first; a panic
//! is a failed seed and nothing more; at most [`AHEAD_MAX`] results wait for an earlier one.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use cluster::sim::run::{Failed, Report};
use storage::clock;

use crate::failure::Failure;

/// Results on their way.
const AHEAD_MAX: usize = 1_024;

/// What became of a seed.
pub(super) type Ended = Result<Report, Failed>;

/// Runs jobs numbered by a range, and hands out what each gave in their order.
pub(super) fn run_all<T: Send>(
    jobs: Range<u64>,
    threads: Option<NonZeroUsize>,
    run_one: impl Fn(u64) -> Result<T, Failed> + Sync,
    take: &mut dyn FnMut(u64, Result<T, Failed>) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let n_threads = threads.or_else(|| thread::available_parallelism().ok());
    let mut next = jobs.start;
    let waiting = Mutex::new(jobs);
    thread::scope(|scope| {
        let (done_tx, done) = mpsc::sync_channel(AHEAD_MAX);
        for _ in 0..n_threads.map_or(1, NonZeroUsize::get) {
            let (done_tx, waiting, run_one) = (done_tx.clone(), &waiting, &run_one);
            scope.spawn(move || {
                let draw = || waiting.lock().unwrap_or_else(PoisonError::into_inner).next();
                while let Some(job) = draw() {
                    let ended = contained(|| run_one(job));
                    // Nobody wants more once a result could not be told.
                    if done_tx.send((job, ended)).is_err() {
                        return;
                    }
                }
            });
        }
        drop(done_tx);
        let mut early = BTreeMap::new();
        for (job, ended) in done {
            early.insert(job, ended);
            while let Some(ended) = early.remove(&next) {
                take(next, ended)?;
                next += 1;
            }
        }
        Ok(())
    })
}

/// Runs a seed. A panic is what raft-rs does when its own invariants break.
pub(super) fn contained<T>(run_one: impl FnOnce() -> Result<T, Failed>) -> Result<T, Failed> {
    catch_unwind(AssertUnwindSafe(run_one)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
        Err(panicked(text.unwrap_or("a panic without words")))
    })
}

pub(super) fn panicked(what: &str) -> Failed {
    Failed::Violation(format!("panicked: {what}"))
}

/// What a command has cost so far.
pub(super) struct Spent {
    began: Instant,
}

impl Spent {
    pub(super) fn begin() -> Self {
        Self { began: clock::monotonic() }
    }

    pub(super) fn wall_ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Processor time of this process, all its threads together; as long as it took on systems that
    /// do not say.
    pub(super) fn cpu_ms(&self) -> u64 {
        const MS_PER_TICK: u64 = 10;
        let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
        // The name before it may hold anything; user and system time are the 12th and 13th after it.
        let after_name = stat.rsplit(')').next().unwrap_or_default();
        let fields = after_name.split_whitespace().skip(11).take(2);
        let ticks: Vec<u64> = fields.filter_map(|field| field.parse().ok()).collect();
        match ticks.as_slice() {
            [user, system] => (user + system) * MS_PER_TICK,
            _ => self.wall_ms(),
        }
    }
}
