//! Running many seeds, one thread per core.
//!
//! **Invariants:** results are given in the order of the seeds, whichever thread was first; a panic
//! is a failed seed and nothing more; at most [`AHEAD_MAX`] results wait for an earlier one.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Instant;

use cluster::sim::run::{Failed, Report};
use storage::clock;

use crate::failure::Failure;

/// Results on their way.
const AHEAD_MAX: u64 = 256;

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
    let turns = Turns::new(jobs);
    thread::scope(|scope| {
        let (done_tx, done) = mpsc::channel();
        for _ in 0..n_threads.map_or(1, NonZeroUsize::get) {
            let (done_tx, turns, run_one) = (done_tx.clone(), &turns, &run_one);
            scope.spawn(move || {
                while let Some(job) = turns.draw() {
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
            while let Some(ended) = early.remove(&turns.next()) {
                take(turns.next(), ended).inspect_err(|_| turns.end())?;
                turns.advance();
            }
        }
        Ok(())
    })
}

/// Who runs what, and how far the results were handed out.
struct Turns {
    waiting: Mutex<Waiting>,
    advanced: Condvar,
}

struct Waiting {
    jobs: Range<u64>,
    /// The first job whose result was not handed out.
    next: u64,
}

impl Waiting {
    fn is_far_ahead(&self) -> bool {
        self.jobs.start >= self.next + AHEAD_MAX && !self.jobs.is_empty()
    }
}

impl Turns {
    fn new(jobs: Range<u64>) -> Self {
        let waiting = Mutex::new(Waiting { next: jobs.start, jobs });
        Self { waiting, advanced: Condvar::new() }
    }

    /// The next job, once no more than so many results wait for an earlier one.
    fn draw(&self) -> Option<u64> {
        let waiting = self.advanced.wait_while(self.lock(), |waiting| waiting.is_far_ahead());
        waiting.unwrap_or_else(PoisonError::into_inner).jobs.next()
    }

    fn next(&self) -> u64 {
        self.lock().next
    }

    fn advance(&self) {
        self.lock().next += 1;
        self.advanced.notify_all();
    }

    /// There is nothing more to be drawn.
    fn end(&self) {
        self.lock().jobs = 0..0;
        self.advanced.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_the_order_of_their_jobs() {
        let mut taken = Vec::new();
        let mut take = |job, ended: Result<u64, Failed>| {
            taken.push((job, ended.unwrap()));
            Ok(())
        };
        run_all(7..2_000, NonZeroUsize::new(3), |job| Ok(2 * job), &mut take).unwrap();
        assert!(taken.into_iter().eq((7..2_000).map(|job| (job, 2 * job))));
    }

    #[test]
    fn a_slow_job_holds_up_those_that_are_far_ahead_of_it() {
        let turns = Turns::new(3..2_000);
        for job in 0..AHEAD_MAX {
            assert!(!turns.lock().is_far_ahead());
            assert_eq!(turns.draw(), Some(3 + job));
        }
        assert!(turns.lock().is_far_ahead());
        turns.advance();
        assert_eq!(turns.draw(), Some(3 + AHEAD_MAX));
        assert!(turns.lock().is_far_ahead());
        turns.end();
        assert_eq!(turns.draw(), None);
    }
}
