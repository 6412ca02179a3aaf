//! Notices of simulators: signed, sent until taken.
//!
//! **Invariants:** at most [`UNDER_WAY_MAX`] are under way, and the others wait for them in the order in
//! which they came, [`WAITING_MAX`] of them; one that is not taken in [`ATTEMPTS_MAX`] attempts is
//! given up, as any provider does.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use cluster::time::Timestamp;
use serde::de::DeserializeOwned;
use storage::clock;
use tokio::time::Instant;

use super::client::Caller;
use super::signature::{NoticeRefused, NoticeSecret};

const SIGNATURE: HeaderName = HeaderName::from_static("omni-signature");
pub(super) const UNDER_WAY_MAX: usize = 256;
const WAITING_MAX: usize = 4_096;
const ATTEMPTS_MAX: u32 = 12;
const ATTEMPT_MAX: Duration = Duration::from_secs(5);
const PAUSE_MIN: Duration = Duration::from_millis(200);
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// Where notices go, and what they are signed with.
pub struct NoticeTarget {
    pub caller: Caller,
    pub secret: NoticeSecret,
}

pub(super) struct Notices(Arc<Office>);

struct Office {
    target: NoticeTarget,
    queue: Mutex<Queue>,
}

/// Those that wait for a courier, and how many couriers there are.
#[derive(Default)]
struct Queue {
    waiting: VecDeque<Waiting>,
    n_couriers: usize,
}

struct Waiting {
    body: Vec<u8>,
    due: Instant,
    times: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Placed {
    ForACourier,
    /// For one that is to start now.
    ForANewCourier,
    Nowhere,
}

impl Queue {
    fn add(&mut self, waiting: Waiting) -> Placed {
        if self.waiting.len() >= WAITING_MAX {
            return Placed::Nowhere;
        }
        self.waiting.push_back(waiting);
        if self.n_couriers >= UNDER_WAY_MAX {
            return Placed::ForACourier;
        }
        self.n_couriers += 1;
        Placed::ForANewCourier
    }

    /// For a courier, who goes where there is none.
    fn next(&mut self) -> Option<Waiting> {
        let next = self.waiting.pop_front();
        if next.is_none() {
            self.n_couriers -= 1;
        }
        next
    }
}

impl Notices {
    pub(super) fn new(target: NoticeTarget) -> Self {
        Self(Arc::new(Office { target, queue: Mutex::default() }))
    }

    /// Sends one so many times, after a while.
    pub(super) fn send(&self, body: Vec<u8>, after: Duration, times: u32) {
        let waiting = Waiting { body, due: Instant::now() + after, times };
        let placed = self.0.queue().add(waiting);
        match placed {
            Placed::ForACourier => {}
            Placed::ForANewCourier => drop(tokio::spawn(Arc::clone(&self.0).deliver())),
            Placed::Nowhere => tracing::warn!("too many notices wait: one is left out"),
        }
    }
}

impl Office {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next(&self) -> Option<Waiting> {
        self.queue().next()
    }

    async fn deliver(self: Arc<Self>) {
        while let Some(Waiting { body, due, times }) = self.next() {
            tokio::time::sleep_until(due).await;
            for _ in 0..times {
                self.target.deliver(&body).await;
            }
        }
    }
}

impl NoticeTarget {
    async fn deliver(&self, body: &[u8]) {
        let mut pause = PAUSE_MIN;
        for _ in 0..ATTEMPTS_MAX {
            if self.attempt(body).await {
                return;
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
        tracing::warn!(notice.target = %self.caller.origin(), "a notice was never taken");
    }

    async fn attempt(&self, body: &[u8]) -> bool {
        let now = Timestamp::from_micros(clock::wall_micros());
        let Ok(headers) = signed(&self.secret, now, body) else { return false };
        let sent = self.caller.send(Method::POST, "", headers, body.to_vec());
        match tokio::time::timeout(ATTEMPT_MAX, sent).await {
            Ok(Ok(answered)) => answered.status.is_success(),
            Ok(Err(_)) | Err(_) => false,
        }
    }
}

/// The headers of a notice.
pub(super) fn signed(
    secret: &NoticeSecret,
    now: Timestamp,
    body: &[u8],
) -> Result<HeaderMap, header::InvalidHeaderValue> {
    let mut headers = HeaderMap::new();
    headers.insert(SIGNATURE, HeaderValue::try_from(secret.sign(now, body))?);
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(headers)
}

/// What a notice says, if it is signed by whoever shares the secret; without one nobody is believed.
pub(super) fn read<T: DeserializeOwned>(
    secret: Option<&NoticeSecret>,
    headers: &HeaderMap,
    body: &[u8],
    now: Timestamp,
) -> Result<T, NoticeRefused> {
    let secret = secret.ok_or(NoticeRefused::BadSignature)?;
    let signature = headers.get(SIGNATURE).and_then(|value| value.to_str().ok());
    secret.check(signature.ok_or(NoticeRefused::BadSignature)?, body, now)?;
    serde_json::from_slice(body).map_err(|_| NoticeRefused::Unreadable)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waiting(nth: usize) -> Waiting {
        Waiting { body: nth.to_string().into_bytes(), due: Instant::now(), times: 1 }
    }

    #[test]
    fn notices_wait_in_order_for_those_under_way() {
        let mut queue = Queue::default();
        for nth in 0..WAITING_MAX {
            let is_new = nth < UNDER_WAY_MAX;
            let placed = if is_new { Placed::ForANewCourier } else { Placed::ForACourier };
            assert_eq!(queue.add(waiting(nth)), placed, "{nth}");
        }
        assert_eq!(queue.add(waiting(WAITING_MAX)), Placed::Nowhere);
        for nth in 0..WAITING_MAX {
            assert_eq!(queue.next().map(|it| it.body), Some(waiting(nth).body));
        }
        assert!((0..UNDER_WAY_MAX).all(|_| queue.next().is_none()));
        // All have gone.
        assert_eq!(queue.add(waiting(0)), Placed::ForANewCourier);
    }
}
