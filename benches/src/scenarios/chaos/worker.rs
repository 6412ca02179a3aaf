//! One client: writes under keys until they are answered, writes without keys once, reads, and asks
//! again what was answered before.
//!
//! **Invariants:** everything that may have had an effect is in the notes, with the times between
//! which it took place.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use cluster::sim::linearizability::Observed;
use cluster::time::Timestamp;
use hyper::StatusCode;

use super::asker::{Asker, Attempt, code_of};
use super::tale::Kept;
use crate::load::client::{Answer, Call};
use crate::peers::omnicart::keyed;

const SEQ_HEADER: &str = "omni-seq";
const MIN_SEQ_HEADER: &str = "omni-min-seq";
const REPLAYED_HEADER: &str = "idempotent-replayed";
const REPLY_EXPIRED: &str = "idempotency_reply_expired";
/// Writes of one worker whose end is unknown: each doubles what the judges have to consider.
const UNKNOWN_MAX: usize = 3;
/// Answers kept of one worker on one entity.
const KEPT_MAX: usize = 6;
const WRONG_MAX: usize = 16;

/// What came of the requests about one entity.
#[derive(Default)]
pub(super) struct Notes {
    pub(super) observed: Vec<Observed>,
    pub(super) kept: Vec<Kept>,
    pub(super) counts: Counts,
    /// Answers that no request should get.
    pub(super) wrong: Vec<String>,
}

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    pub(super) acknowledged: u64,
    pub(super) reads: u64,
    pub(super) unknown: u64,
    pub(super) repeated: u64,
    pub(super) changed_replies: u64,
    pub(super) expired_replies: u64,
    pub(super) unanswered: u64,
}

impl Notes {
    pub(super) fn join(&mut self, other: Self) {
        self.observed.extend(other.observed);
        self.kept.extend(other.kept);
        self.wrong.extend(other.wrong);
        self.counts.add(other.counts);
    }
}

impl Counts {
    pub(super) fn add(&mut self, other: Self) {
        self.acknowledged += other.acknowledged;
        self.reads += other.reads;
        self.unknown += other.unknown;
        self.repeated += other.repeated;
        self.changed_replies += other.changed_replies;
        self.expired_replies += other.expired_replies;
        self.unanswered += other.unanswered;
    }
}

/// What an answer says of its entity, as a number.
pub(super) type SumOf = fn(&Answer) -> anyhow::Result<i64>;

/// A write and what is to come of it.
pub(super) struct Write {
    pub(super) call: Call,
    pub(super) adds: i64,
    pub(super) status: StatusCode,
    /// A refusal that may come instead, by its code.
    pub(super) refusal: Option<&'static str>,
    pub(super) sum_of: SumOf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Written {
    Done,
    Refused,
    Unknown,
}

pub(super) struct Worker {
    pub(super) asker: Asker,
    pub(super) notes: Notes,
    name: String,
    n_keys: u64,
    /// Where the last answered write took place, and when that was known.
    last_write: Option<(String, Timestamp)>,
    n_unknown: usize,
    pub(super) pause: Duration,
    stop: Arc<AtomicBool>,
}

impl Worker {
    pub(super) fn new(mut asker: Asker, pause: Duration, stop: Arc<AtomicBool>) -> Self {
        // Unlike keys of other runs, and long enough to be the secret that a creation asks for.
        let name = format!("{:016x}{:016x}", asker.random.number(), asker.random.number());
        let notes = Notes::default();
        Self { asker, notes, name, n_keys: 0, last_write: None, n_unknown: 0, pause, stop }
    }

    /// Begins with another entity; returns what there is of the one before.
    pub(super) fn turn_page(&mut self) -> Notes {
        (self.last_write, self.n_unknown) = (None, 0);
        std::mem::take(&mut self.notes)
    }

    pub(super) fn is_over(&self) -> bool {
        self.stop.load(Ordering::Relaxed) || self.notes.wrong.len() >= WRONG_MAX
    }

    /// Whether one more write may be left without an answer.
    pub(super) fn may_leave_open(&self) -> bool {
        self.n_unknown < UNKNOWN_MAX
    }

    pub(super) fn new_key(&mut self) -> String {
        self.n_keys += 1;
        format!("{}-{}", self.name, self.n_keys)
    }

    pub(super) async fn write_keyed(&mut self, mut write: Write) -> anyhow::Result<Written> {
        let key = self.new_key();
        write.call = keyed(write.call, &key)?;
        let invoked_at = self.asker.now();
        let answer = self.asker.insist(&write.call).await;
        let Some(answer) = answer else {
            self.notes.counts.unanswered += 1;
            self.left_open(invoked_at, write.adds);
            return Ok(Written::Unknown);
        };
        let written = self.answered(invoked_at, &write, &answer)?;
        if written == Written::Refused && self.asker.may_be_under_way {
            // A momentary refusal is not remembered, so an earlier attempt may still succeed.
            self.left_open(invoked_at, write.adds);
        }
        self.keep(&write.call, &answer);
        Ok(written)
    }

    pub(super) async fn write_once(&mut self, write: Write) -> anyhow::Result<Written> {
        let invoked_at = self.asker.now();
        let answer = match self.asker.attempt(&write.call).await {
            Attempt::Answered(answer) => answer,
            Attempt::NotSent => return Ok(Written::Refused),
            Attempt::Unknown => {
                self.left_open(invoked_at, write.adds);
                return Ok(Written::Unknown);
            }
        };
        if answer.status != write.status {
            return self.answered(invoked_at, &write, &answer);
        }
        // Where its own answer was lost on the way, the entity was read a moment later instead.
        let sum = (write.sum_of)(&answer)?;
        self.acknowledge(&answer);
        self.note(invoked_at, write.adds, None);
        self.note(invoked_at, 0, Some(sum));
        Ok(Written::Done)
    }

    fn answered(
        &mut self,
        invoked_at: Timestamp,
        write: &Write,
        answer: &Answer,
    ) -> anyhow::Result<Written> {
        if answer.status == write.status {
            let sum = (write.sum_of)(answer)?;
            self.acknowledge(answer);
            self.note(invoked_at, write.adds, Some(sum));
            return Ok(Written::Done);
        }
        let code = code_of(answer);
        if code == REPLY_EXPIRED {
            // It took effect, and nobody knows with which answer.
            self.notes.counts.acknowledged += 1;
            self.notes.counts.expired_replies += 1;
            self.note(invoked_at, write.adds, None);
            return Ok(Written::Done);
        }
        if write.refusal != Some(code.as_str()) {
            self.wrong(&write.call, answer);
        }
        Ok(Written::Refused)
    }

    fn acknowledge(&mut self, answer: &Answer) {
        self.notes.counts.acknowledged += 1;
        let seq = answer.headers.get(SEQ_HEADER).and_then(|value| value.to_str().ok());
        if let Some(seq) = seq {
            self.last_write = Some((seq.to_owned(), self.asker.now()));
        }
    }

    /// Reads what is there at the moment.
    pub(super) async fn read(&mut self, call: Call, sum_of: SumOf) -> anyhow::Result<()> {
        let invoked_at = self.asker.now();
        self.read_since(invoked_at, call, sum_of).await
    }

    /// Reads at or past this client's own last write, at any node.
    pub(super) async fn read_own(&mut self, call: Call, sum_of: SumOf) -> anyhow::Result<()> {
        let Some((seq, at)) = self.last_write.clone() else { return Ok(()) };
        let call = call.header(MIN_SEQ_HEADER, &seq)?;
        // Such a read may show an older state than there is, but none before that write.
        self.read_since(at, call, sum_of).await
    }

    async fn read_since(
        &mut self,
        since: Timestamp,
        call: Call,
        sum_of: SumOf,
    ) -> anyhow::Result<()> {
        let Attempt::Answered(answer) = self.asker.attempt(&call).await else { return Ok(()) };
        if answer.status != StatusCode::OK {
            self.wrong(&call, &answer);
            return Ok(());
        }
        let sum = sum_of(&answer)?;
        self.notes.counts.reads += 1;
        self.note(since, 0, Some(sum));
        Ok(())
    }

    /// Asks again for something that was answered: the same bytes are due, marked as a repeat.
    pub(super) async fn repeat(&mut self) -> anyhow::Result<()> {
        let nth = self.asker.random.within(0..self.notes.kept.len() as u64);
        let kept = usize::try_from(nth).ok().and_then(|nth| self.notes.kept.get(nth)).cloned();
        if let Some(kept) = kept {
            self.repeat_of(&kept).await;
        }
        Ok(())
    }

    pub(super) async fn repeat_of(&mut self, kept: &Kept) {
        let Some(again) = self.asker.insist(&kept.call).await else {
            self.notes.counts.unanswered += 1;
            return;
        };
        self.notes.counts.repeated += 1;
        let is_same = (again.status, &again.body) == (kept.status, &kept.body);
        // One that is not marked was carried out again.
        if is_same && again.headers.contains_key(REPLAYED_HEADER) {
            return;
        }
        if code_of(&again) == REPLY_EXPIRED {
            self.notes.counts.expired_replies += 1;
            return;
        }
        self.notes.counts.changed_replies += 1;
        let text = String::from_utf8_lossy;
        let Call { method, path, .. } = &kept.call;
        let (was, is) = (text(&kept.body), text(&again.body));
        let what =
            format!("{method} {path}: first {} {was}, then {} {is}", kept.status, again.status);
        self.notes.wrong.push(what);
    }

    /// A refusal is momentary, so only what took effect is kept to be asked again.
    fn keep(&mut self, call: &Call, answer: &Answer) {
        if !answer.status.is_success() {
            return;
        }
        let kept = Kept::new(call, answer);
        if self.notes.kept.len() < KEPT_MAX {
            self.notes.kept.push(kept);
            return;
        }
        let nth = usize::try_from(self.asker.random.within(0..KEPT_MAX as u64)).unwrap_or(0);
        if let Some(place) = self.notes.kept.get_mut(nth) {
            *place = kept;
        }
    }

    fn left_open(&mut self, invoked_at: Timestamp, adds: i64) {
        self.n_unknown += 1;
        self.notes.counts.unknown += 1;
        self.notes.observed.push(Observed { invoked_at, done_at: None, adds, sum: None });
    }

    fn note(&mut self, invoked_at: Timestamp, adds: i64, sum: Option<i64>) {
        let done_at = Some(self.asker.now());
        self.notes.observed.push(Observed { invoked_at, done_at, adds, sum });
    }

    fn wrong(&mut self, call: &Call, answer: &Answer) {
        let Call { method, path, .. } = call;
        let body = String::from_utf8_lossy(&answer.body);
        self.notes.wrong.push(format!("{method} {path}: answered {} {body}", answer.status));
    }
}
