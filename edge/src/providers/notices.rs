//! Notices of simulators: signed, sent until taken.
//!
//! **Invariants:** at most [`UNDER_WAY_MAX`] are under way; one that is not taken in
//! [`ATTEMPTS_MAX`] attempts is given up, as any provider does.

use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use cluster::time::Timestamp;
use storage::clock;
use tokio::sync::Semaphore;

use super::client::Caller;
use super::signature::{NoticeRefused, NoticeSecret};

const SIGNATURE: HeaderName = HeaderName::from_static("omni-signature");
pub(super) const UNDER_WAY_MAX: usize = 256;
const ATTEMPTS_MAX: u32 = 12;
const ATTEMPT_MAX: Duration = Duration::from_secs(5);
const PAUSE_MIN: Duration = Duration::from_millis(200);
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// Where notices go, and what they are signed with.
pub struct NoticeTarget {
    pub caller: Caller,
    pub secret: NoticeSecret,
}

pub(super) struct Notices {
    target: Arc<NoticeTarget>,
    room: Arc<Semaphore>,
}

impl Notices {
    pub(super) fn new(target: NoticeTarget) -> Self {
        let room = Arc::new(Semaphore::new(UNDER_WAY_MAX));
        Self { target: Arc::new(target), room }
    }

    /// Sends one so many times, after a while.
    pub(super) fn send(&self, body: Vec<u8>, after: Duration, times: u32) {
        let Ok(permit) = Arc::clone(&self.room).try_acquire_owned() else {
            tracing::warn!("too many notices are under way: one is left out");
            return;
        };
        let target = Arc::clone(&self.target);
        tokio::spawn(async move {
            tokio::time::sleep(after).await;
            for _ in 0..times {
                target.deliver(&body).await;
            }
            drop(permit);
        });
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

/// Whether a notice is signed by whoever shares the secret; without one nobody is believed.
pub(super) fn check(
    secret: Option<&NoticeSecret>,
    headers: &HeaderMap,
    body: &[u8],
    now: Timestamp,
) -> Result<(), NoticeRefused> {
    let secret = secret.ok_or(NoticeRefused::BadSignature)?;
    let signature = headers.get(SIGNATURE).and_then(|value| value.to_str().ok());
    secret.check(signature.ok_or(NoticeRefused::BadSignature)?, body, now)
}
