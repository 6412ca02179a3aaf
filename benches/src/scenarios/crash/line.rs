//! One client's keyed requests: what was answered is remembered, to be asked again later.
//!
//! **Invariants:** an answer counts as given only when it was read to its end; a 5xx is no answer,
//! and a 500 is an error besides: a killed server has no reason for one.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use hyper::StatusCode;
use serde::Deserialize;

use super::Findings;
use crate::load::client::{Answer, Call, Caller};
use crate::scenarios::random::Random;

/// Latest answers that are asked for again after every restart.
const RECENT_MAX: usize = 48;
/// Older answers, picked at random.
const OLD_MAX: usize = 32;
/// A process that was killed answers nothing, and its socket may not say so.
const ANSWER_WITHIN: Duration = Duration::from_secs(15);

pub(super) struct Line {
    caller: Caller,
    recent: VecDeque<Kept>,
    old: Vec<Kept>,
    n_old_seen: u64,
    pub(super) acknowledged: u64,
    internal_errors: u64,
}

struct Kept {
    call: Call,
    status: StatusCode,
    body: bytes::Bytes,
}

pub(super) enum Asked {
    Answered(Answer),
    Unknown,
}

#[derive(Deserialize)]
struct Problem {
    code: String,
}

/// The stable code of an error.
pub(super) fn code_of(answer: &Answer) -> Option<String> {
    answer.json::<Problem>().ok().map(|problem| problem.code)
}

impl Line {
    pub(super) fn new(address: SocketAddr) -> Self {
        Self {
            caller: Caller::new(address),
            recent: VecDeque::new(),
            old: Vec::new(),
            n_old_seen: 0,
            acknowledged: 0,
            internal_errors: 0,
        }
    }

    pub(super) fn reconnect(&mut self, address: SocketAddr) {
        self.caller = Caller::new(address);
    }

    pub(super) fn caller(&mut self) -> &mut Caller {
        &mut self.caller
    }

    pub(super) async fn ask(&mut self, call: &Call, random: &mut Random) -> Asked {
        match tokio::time::timeout(ANSWER_WITHIN, self.caller.send(call)).await {
            Ok(Ok(answer)) if !answer.status.is_server_error() => {
                self.acknowledged += u64::from(answer.status.is_success());
                self.keep(call, &answer, random);
                Asked::Answered(answer)
            }
            Ok(Ok(answer)) => {
                let is_internal = answer.status == StatusCode::INTERNAL_SERVER_ERROR;
                self.internal_errors += u64::from(is_internal);
                Asked::Unknown
            }
            Ok(Err(_)) => Asked::Unknown,
            Err(_elapsed) => {
                // Half an exchange is under way on this connection.
                self.caller.hang_up();
                Asked::Unknown
            }
        }
    }

    fn keep(&mut self, call: &Call, answer: &Answer, random: &mut Random) {
        let kept = Kept { call: call.clone(), status: answer.status, body: answer.body.clone() };
        self.recent.push_back(kept);
        if self.recent.len() <= RECENT_MAX {
            return;
        }
        let Some(leaving) = self.recent.pop_front() else { return };
        self.n_old_seen += 1;
        if self.old.len() < OLD_MAX {
            self.old.push(leaving);
        } else {
            // Each one that ever left has the same chance to be among those that are kept.
            let place = usize::try_from(random.within(0..self.n_old_seen)).unwrap_or(usize::MAX);
            if let Some(slot) = self.old.get_mut(place) {
                *slot = leaving;
            }
        }
    }

    /// Asks again for everything kept: the same bytes are due, marked as a repeat.
    pub(super) async fn repeat(&mut self, findings: &mut Findings) -> anyhow::Result<()> {
        const REPLAYED_HEADER: &str = "idempotent-replayed";
        const REPLY_EXPIRED: &str = "idempotency_reply_expired";
        if self.internal_errors > 0 {
            findings.errors += std::mem::take(&mut self.internal_errors);
            findings.violated(|| "a request was answered with 500".to_owned());
        }
        for kept in self.old.iter().chain(&self.recent) {
            let again = self.caller.send(&kept.call).await?;
            findings.replies_compared += 1;
            let is_same = (again.status, &again.body) == (kept.status, &kept.body);
            // One that is not marked was carried out again.
            if is_same && again.headers.contains_key(REPLAYED_HEADER) {
                continue;
            }
            if code_of(&again).as_deref() == Some(REPLY_EXPIRED) {
                findings.expired_replies += 1;
                continue;
            }
            findings.changed_replies += 1;
            findings.violated(|| {
                let Call { method, path, .. } = &kept.call;
                let text = String::from_utf8_lossy;
                let (was, is) = (text(&kept.body), text(&again.body));
                format!("{method} {path}: first {} {was}, then {} {is}", kept.status, again.status)
            });
        }
        Ok(())
    }
}
