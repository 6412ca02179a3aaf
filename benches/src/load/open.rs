//! An open loop: requests are due at a fixed rate, whether or not earlier ones were answered.
//!
//! **Invariants:** a latency counts from when the request was due, not from when a user was free
//! to send it, so a stall shows in every request that it delayed (no coordinated omission).
//!
//! Requests in flight are bounded by the number of users; what is due meanwhile waits, and the wait
//! counts.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use storage::clock;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::load::{Measured, Span, User, Window};

/// When each request is due.
#[derive(Clone, Copy, Debug)]
struct Schedule {
    start: Instant,
    per_second: u64,
}

impl Schedule {
    fn due(self, nth: u64) -> Instant {
        let nanos = u128::from(nth) * 1_000_000_000 / u128::from(self.per_second.max(1));
        self.start + Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// How many requests were due by `now`.
    fn due_by(self, now: Instant) -> u64 {
        let since = now.saturating_duration_since(self.start).as_nanos();
        let whole = since * u128::from(self.per_second.max(1)) / 1_000_000_000;
        u64::try_from(whole).unwrap_or(u64::MAX).saturating_add(1)
    }

    fn total(self, until: Instant) -> u64 {
        let mut total = self.due_by(until);
        while total > 0 && self.due(total - 1) >= until {
            total -= 1;
        }
        total
    }
}

/// Sends `per_second` requests a second for a window, and gives the users back.
pub(crate) async fn run<U: User>(
    users: Vec<U>,
    per_second: u64,
    window: Window,
) -> anyhow::Result<(Vec<U>, Measured)> {
    let schedule = Schedule { start: clock::monotonic(), per_second };
    let span = window.from(schedule.start);
    let gate = Arc::new(Gate::new(schedule, schedule.total(span.ends_at)));
    let pacer = {
        let gate = Arc::clone(&gate);
        std::thread::Builder::new().name("pacer".to_owned()).spawn(move || gate.pace())?
    };
    let mut tasks = JoinSet::new();
    let n_users = users.len();
    for user in users {
        tasks.spawn(one_user(user, Arc::clone(&gate), span));
    }
    let mut all = Measured { measured: window.measured, ..Measured::nothing() };
    let mut back = Vec::with_capacity(n_users);
    while let Some(ended) = tasks.join_next().await {
        match ended {
            Ok((user, measured)) => {
                all.join(&measured);
                back.push(user);
            }
            Err(error) => all.failed(&error.into()),
        }
    }
    tokio::task::spawn_blocking(move || pacer.join())
        .await?
        .map_err(|_| anyhow::anyhow!("the thread that paces requests panicked"))?;
    Ok((back, all))
}

/// Lets each request through when it is due.
struct Gate {
    schedule: Schedule,
    total: u64,
    taken: AtomicU64,
    due: Semaphore,
}

impl Gate {
    fn new(schedule: Schedule, total: u64) -> Self {
        Self { schedule, total, taken: AtomicU64::new(0), due: Semaphore::new(0) }
    }

    /// Runs on a thread of its own: the runtime's timers are a millisecond coarse.
    fn pace(&self) {
        let mut released = 0;
        while released < self.total {
            let now = clock::monotonic();
            let due = self.schedule.due_by(now).min(self.total);
            self.due.add_permits(usize::try_from(due.saturating_sub(released)).unwrap_or(0));
            released = released.max(due);
            std::thread::sleep(self.schedule.due(released).saturating_duration_since(now));
        }
        self.due.close();
    }

    /// When the next request was due, once it is; `None` when there is none left.
    async fn next(&self) -> Option<Instant> {
        // A closed semaphore still owes the permits that were not taken: count, do not ask it.
        if let Ok(permit) = self.due.acquire().await {
            permit.forget();
        }
        let nth = self.taken.fetch_add(1, Ordering::Relaxed);
        (nth < self.total).then(|| self.schedule.due(nth))
    }
}

async fn one_user<U: User>(mut user: U, gate: Arc<Gate>, span: Span) -> (U, Measured) {
    let mut seen = Measured::nothing();
    loop {
        if let Err(error) = user.prepare().await {
            seen.failed(&error);
            break;
        }
        let Some(due) = gate.next().await else { break };
        match user.exchange().await {
            Err(error) => {
                seen.failed(&error);
                break;
            }
            // By due time, or a request that a stall pushed past the end would vanish.
            Ok(()) if span.counts(due) => seen.answered(clock::monotonic() - due),
            Ok(()) => {}
        }
    }
    (user, seen)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule(per_second: u64) -> Schedule {
        Schedule { start: clock::monotonic(), per_second }
    }

    #[test]
    fn requests_are_due_evenly() {
        let plan = schedule(3);
        let at = |nth| plan.due(nth) - plan.start;
        assert_eq!(at(0), Duration::ZERO);
        assert_eq!(at(1), Duration::from_nanos(333_333_333));
        assert_eq!(at(3), Duration::from_secs(1));
        assert_eq!(at(3_000_000), Duration::from_secs(1_000_000));
    }

    #[test]
    fn a_request_is_released_when_due_and_not_before() {
        for per_second in [1, 3, 7, 1_000, 33_333] {
            let plan = schedule(per_second);
            assert_eq!(plan.due_by(plan.start), 1);
            for nth in [1, 2, 1_000] {
                let shortly_before = plan.due(nth) - Duration::from_nanos(2);
                assert_eq!(plan.due_by(shortly_before), nth, "{per_second} a second");
                let shortly_after = plan.due(nth) + Duration::from_nanos(2);
                assert_eq!(plan.due_by(shortly_after), nth + 1, "{per_second} a second");
            }
            assert_eq!(plan.total(plan.start + Duration::from_secs(2)), per_second * 2);
        }
    }

    /// Stalls once, for long, and is instant otherwise.
    struct Stalls(u32);

    impl User for Stalls {
        async fn exchange(&mut self) -> anyhow::Result<()> {
            self.0 += 1;
            if self.0 == 20 {
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
            Ok(())
        }
    }

    #[tokio::test]
    async fn a_stall_counts_against_every_request_it_delayed() {
        let window = Window { warm_up: Duration::ZERO, measured: Duration::from_millis(500) };
        let (users, measured) = run(vec![Stalls(0)], 200, window).await.unwrap();
        assert_eq!(users.len(), 1);
        assert_eq!(measured.latencies.count(), 100);
        // Forty were due during the stall; a closed loop would have seen a single slow one.
        let found = measured.latencies.percentiles();
        assert!(found.max_us >= 190_000, "{found:?}");
        assert!(found.p90_us >= 100_000, "{found:?}");
    }
}
