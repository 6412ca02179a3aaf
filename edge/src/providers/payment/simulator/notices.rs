//! The simulator's notices: signed, sent until taken, some twice and some out of order.
//!
//! **Invariants:** at most [`UNDER_WAY_MAX`] are under way; one that is not taken in
//! [`ATTEMPTS_MAX`] attempts is given up, as any provider does. Those under way when the process is
//! killed are lost: the shop asks, it does not depend on being told.

use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderMap, HeaderValue, Method, header};
use cluster::time::Timestamp;
use storage::clock;
use tokio::sync::Semaphore;

use super::SIGNATURE;
use super::wire::{Entry, NoticeBody};
use crate::providers::client::Caller;
use crate::providers::payment::signature::NoticeSecret;

const UNDER_WAY_MAX: usize = 256;
const ATTEMPTS_MAX: u32 = 12;
const ATTEMPT_MAX: Duration = Duration::from_secs(5);
const PAUSE_MIN: Duration = Duration::from_millis(200);
const PAUSE_MAX: Duration = Duration::from_secs(30);
/// Long enough for a later notice to overtake.
const ODD_DELAY: Duration = Duration::from_millis(400);

/// Where notices go, and what they are signed with.
pub struct NoticeTarget {
    pub caller: Caller,
    pub secret: NoticeSecret,
}

pub(super) struct Notices {
    target: Arc<NoticeTarget>,
    room: Arc<Semaphore>,
}

/// How often and how soon a notice is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sending {
    Once,
    /// Twice, and late.
    Odd,
}

impl Notices {
    pub(super) fn new(target: NoticeTarget) -> Self {
        let room = Arc::new(Semaphore::new(UNDER_WAY_MAX));
        Self { target: Arc::new(target), room }
    }

    pub(super) fn send(&self, entry: Entry, sending: Sending) {
        let Ok(permit) = Arc::clone(&self.room).try_acquire_owned() else {
            tracing::warn!("too many notices are under way: one is left out");
            return;
        };
        let target = Arc::clone(&self.target);
        tokio::spawn(async move {
            let event = format!("evt_{}", entry.number);
            let Ok(body) = serde_json::to_vec(&NoticeBody { event, entry }) else { return };
            if sending == Sending::Odd {
                tokio::time::sleep(ODD_DELAY).await;
                target.deliver(&body).await;
            }
            target.deliver(&body).await;
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
        let Ok(signature) = HeaderValue::try_from(self.secret.sign(now, body)) else {
            return false;
        };
        let mut headers = HeaderMap::new();
        headers.insert(SIGNATURE, signature);
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let sent = self.caller.send(Method::POST, "", headers, body.to_vec());
        match tokio::time::timeout(ATTEMPT_MAX, sent).await {
            Ok(Ok(answered)) => answered.status.is_success(),
            Ok(Err(_)) | Err(_) => false,
        }
    }
}
