//! A closed loop: every user waits for its answer before it asks again, so load follows capacity.
//!
//! Its latencies are those that this many users see; what a fixed arrival rate would see is
//! measured by `open`.

use storage::clock;
use tokio::task::JoinSet;

use crate::load::{Measured, Span, User, Window};

/// Lets all users ask without pause for a window, and gives them back.
pub(crate) async fn run<U: User>(users: Vec<U>, window: Window) -> (Vec<U>, Measured) {
    let span = window.from(clock::monotonic());
    let mut tasks = JoinSet::new();
    let n_users = users.len();
    for user in users {
        tasks.spawn(one_user(user, span));
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
    (back, all)
}

async fn one_user<U: User>(mut user: U, span: Span) -> (U, Measured) {
    let mut seen = Measured::nothing();
    loop {
        if let Err(error) = user.prepare().await {
            seen.failed(&error);
            break;
        }
        let started = clock::monotonic();
        if started >= span.ends_at {
            break;
        }
        let outcome = user.exchange().await;
        let done = clock::monotonic();
        match outcome {
            // Failures count whenever they happen: none is expected.
            Err(error) => {
                seen.failed(&error);
                break;
            }
            Ok(()) if span.counts(done) => seen.answered(done - started),
            Ok(()) => {}
        }
    }
    (user, seen)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    struct Counter {
        asked: u64,
        fails_at: Option<u64>,
    }

    impl User for Counter {
        async fn exchange(&mut self) -> anyhow::Result<()> {
            self.asked += 1;
            tokio::time::sleep(Duration::from_millis(2)).await;
            anyhow::ensure!(self.fails_at != Some(self.asked), "asked once too often");
            Ok(())
        }
    }

    fn counter(fails_at: Option<u64>) -> Counter {
        Counter { asked: 0, fails_at }
    }

    const WINDOW: Window =
        Window { warm_up: Duration::from_millis(100), measured: Duration::from_millis(100) };

    #[tokio::test]
    async fn the_warm_up_is_cut_off() {
        let (users, measured) = run(vec![counter(None), counter(None)], WINDOW).await;
        let asked: u64 = users.iter().map(|user| user.asked).sum();
        let counted = measured.latencies.count();
        assert!(counted > 0 && counted < asked * 3 / 4, "{counted} of {asked} were counted");
        assert!(measured.latencies.percentiles().p50_us >= 2_000);
        assert_eq!((measured.failed, measured.measured), (0, WINDOW.measured));
    }

    #[tokio::test]
    async fn a_failure_is_no_answer_even_in_the_warm_up() {
        let (users, measured) = run(vec![counter(Some(1)), counter(None)], WINDOW).await;
        assert_eq!(users.len(), 2);
        assert_eq!(measured.failed, 1);
        assert_eq!(measured.first_failure.as_deref(), Some("asked once too often"));
    }
}
