//! Comparing this node's clock with those of its peers.
//!
//! **Invariants:** a node doubts its own clock only when a majority of all, itself included, agrees on
//! another time: of two clocks that differ nobody knows which one is right.

use std::sync::Arc;
use std::time::Duration;

use storage::clock;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::runtime::services::Services;
use crate::shard::clock::OFF_MAX;
use crate::shard::question::{Answer, Question};

/// An answer that took longer says too little.
const ANSWER_MAX: Duration = Duration::from_millis(500);

/// How far the others' clock is ahead of this node's, in microseconds; `None` while nobody answers.
pub(crate) async fn compare(services: &Arc<Services>) -> Option<i64> {
    let network = services.network.get()?;
    let peers: Vec<_> = network.mesh.links().borrow().keys().copied().collect();
    let mut asked = JoinSet::new();
    for peer in peers {
        let services = Arc::clone(services);
        asked.spawn(async move {
            let network = services.network.get()?;
            let began = clock::monotonic();
            let deadline = Instant::from_std(began) + ANSWER_MAX;
            let answer = network.ask(peer, &Question::Clock, deadline).await;
            let Ok(Answer::Clock { micros }) = answer else { return None };
            // The peer read its clock about half-way.
            let on_the_way = i64::try_from(began.elapsed().as_micros() / 2).ok()?;
            let theirs = i64::try_from(micros).ok()?.checked_add(on_the_way)?;
            theirs.checked_sub(i64::try_from(clock::wall_micros()).ok()?)
        });
    }
    let answers: Vec<_> = asked.join_all().await.into_iter().flatten().collect();
    (!answers.is_empty()).then(|| consensus(answers))
}

pub(crate) fn is_off(ahead: i64) -> bool {
    ahead.unsigned_abs() > OFF_MAX.as_micros()
}

/// The median of the offsets and this node's own, which is none; of two in the middle, the one that
/// speaks for this node.
fn consensus(mut offsets: Vec<i64>) -> i64 {
    offsets.push(0);
    offsets.sort_unstable();
    let middle = offsets.len() / 2;
    let upper = offsets.get(middle).copied().unwrap_or(0);
    let lower =
        if offsets.len().is_multiple_of(2) { offsets.get(middle - 1).copied() } else { None };
    lower.into_iter().chain([upper]).min_by_key(|offset| offset.unsigned_abs()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(seconds_ahead: &[i64], then: bool) {
        let offsets = seconds_ahead.iter().map(|seconds| seconds * 1_000_000).collect();
        assert_eq!(is_off(consensus(offsets)), then, "{seconds_ahead:?}");
    }

    #[test]
    fn a_majority_with_another_time_makes_a_clock_doubtful() {
        check(&[60, 60], true);
        check(&[-60, -59], true);
        check(&[60, 60, 60, 0], true);
        check(&[4, 5], false);
    }

    #[test]
    fn one_wrong_peer_or_one_half_of_all_proves_nothing() {
        check(&[60], false);
        check(&[60, 0], false);
        check(&[60, 60, 0], false);
        check(&[60, -60], false);
    }
}
