//! [`Queue`]: the jobs that wait, and which of them may run now.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::job::{Callback, IndexJob, Left};
use super::shortage::{Shortage, Tried, longer};
use crate::clock;
use crate::state::{IndexFault, IndexRecord};

/// The job that runs, as far as others must know it.
pub(super) struct Running {
    pub(super) since: Instant,
    pub(super) abandon: Box<dyn FnOnce(IndexFault) + Send>,
}

#[derive(Default)]
pub(super) struct Queue {
    jobs: VecDeque<IndexJob>,
    pub(super) bytes: usize,
    pub(super) running: Option<Running>,
    pub(super) shortage: Option<Shortage>,
    /// Before the first try of a shortage that follows another at once.
    relapse_pause: Duration,
    pub(super) progress: Progress,
}

/// What the worker's thread does next.
pub(super) enum Next {
    Run(IndexJob),
    /// To answer a read with what waits to be written.
    Tell(Callback<Option<IndexRecord>>, IndexRecord),
    /// To see whether there is space again.
    Mend,
    /// Nothing, unless something changes or this much time has passed.
    Wait(Option<Duration>),
    /// To end, and to answer these as they cannot be done.
    End(Option<(VecDeque<IndexJob>, IndexFault)>),
}

/// How far the worker is on its way to its end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Progress {
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
    /// Since when the job that runs has been running.
    pub(super) fn running_since(&self) -> Option<Instant> {
        self.running.as_ref().map(|running| running.since)
    }

    pub(super) fn advance(&mut self, to: Progress) {
        self.progress = self.progress.max(to);
    }

    pub(super) fn push(&mut self, job: IndexJob) {
        self.bytes += job.bytes();
        self.jobs.push_back(job);
    }

    pub(super) fn take_all(&mut self) -> VecDeque<IndexJob> {
        self.bytes = 0;
        std::mem::take(&mut self.jobs)
    }

    fn take(&mut self, nth: usize) -> Option<IndexJob> {
        let job = self.jobs.remove(nth)?;
        self.bytes = self.bytes.saturating_sub(job.bytes());
        Some(job)
    }

    pub(super) fn next(&mut self, now: Instant) -> Next {
        let Some(shortage) = &self.shortage else {
            return match self.take(0) {
                Some(job) => Next::Run(job),
                None if self.progress == Progress::Open => Next::Wait(None),
                None => Next::End(None),
            };
        };
        if self.progress != Progress::Open {
            // Whoever closes does not wait for space.
            let fault = shortage.fault.clone();
            return Next::End(Some((self.take_all(), fault)));
        }
        let pause = shortage.next_try.saturating_duration_since(now);
        if pause.is_zero() {
            return Next::Mend;
        }
        let read = if shortage.is_readable { self.overtaking_read() } else { None };
        read.unwrap_or(Next::Wait(Some(pause)))
    }

    /// A job met a disk without space: it waits in front of those that came after it. It comes back
    /// when all have been given up meanwhile.
    pub(super) fn puts_off(&mut self, job: IndexJob, fault: IndexFault) -> Result<(), IndexJob> {
        if self.progress == Progress::Abandoned {
            return Err(job);
        }
        let now = clock::monotonic();
        match &mut self.shortage {
            Some(shortage) => shortage.goes_on(now),
            none => {
                tracing::error!(%fault, "the state index finds no space: what it is to keep waits");
                *none = Some(Shortage::new(fault, self.relapse_pause, now));
                self.relapse_pause = longer(self.relapse_pause);
            }
        }
        self.bytes += job.bytes();
        self.jobs.push_front(job);
        Ok(())
    }

    /// A job was done: the next shortage will be another one.
    pub(super) fn goes_well(&mut self) {
        if self.shortage.is_none() {
            self.relapse_pause = Duration::ZERO;
        }
    }

    /// The index was tried: what it refuses all calls for, and whether there is space.
    pub(super) fn mended(&mut self, refuses: Option<&IndexFault>, space: Result<(), IndexFault>) {
        let Some(shortage) = &mut self.shortage else { return };
        if shortage.tried(refuses, space, clock::monotonic()) == Tried::Ends {
            self.shortage = None;
        }
    }

    /// The first read that can be answered before what waits in front of it is done.
    fn overtaking_read(&mut self) -> Option<Next> {
        let overtakes = |nth: usize| match self.jobs.get(nth)? {
            IndexJob::Read { shard, key, .. } => {
                let earlier = self.jobs.iter().take(nth).rev();
                match earlier.clone().find_map(|job| job.leaves(*shard, key)) {
                    Some(Left::Record(record)) => Some((nth, Some(record))),
                    Some(Left::Nothing) => None,
                    None => Some((nth, None)),
                }
            }
            IndexJob::Write { .. }
            | IndexJob::Scan { .. }
            | IndexJob::RemoveShard { .. }
            | IndexJob::SetFloor { .. }
            | IndexJob::Floor { .. }
            | IndexJob::SyncFiles { .. }
            | IndexJob::SizeOnDisk { .. } => None,
        };
        let (nth, record) = (0..self.jobs.len()).find_map(overtakes)?;
        match (self.take(nth)?, record) {
            (IndexJob::Read { done, .. }, Some(record)) => Some(Next::Tell(done, record)),
            (job, _) => Some(Next::Run(job)),
        }
    }
}
