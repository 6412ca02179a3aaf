//! Requests to other nodes, and their answers, on one lane.
//!
//! **Invariants:**
//! - every call ends: with an answer, a refusal, its deadline, or at once when its connection ends;
//! - a caller is told [`CallError::NotSent`] only when the request certainly never left;
//! - a request that was taken is answered, if only because its [`Asked`] was dropped;
//! - calls under way are bounded in number, and one that is cancelled leaves nothing behind.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use storage::clock;
use tokio::sync::oneshot;
use tokio::time::timeout_at;

use crate::ids::NodeId;
use crate::runtime::mesh::handler::{Class, ConnectionId, Frame, LostLane, Permit};
use crate::runtime::mesh::lane_queue::Refused as SendRefused;
use crate::runtime::mesh::{Mesh, Shared};
use crate::wire::Lane;
use crate::wire::call::{ANSWER_BYTES_MAX, Answer, CallId, Refused, Request};

/// Calls of this node that wait for their answers.
const WAITING_MAX: usize = 65_536;

/// Why a call has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// It had no effect, and may be made again elsewhere.
    #[error("the request was not sent")]
    NotSent(#[source] NotSent),
    /// It may have had its effect; only a retry with the same command id tells.
    #[error("the request was sent and its fate is unknown")]
    Unknown(#[source] Unknown),
    /// It had no effect; the node said why.
    #[error("the peer refused the request: {0}")]
    Refused(Refused),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotSent {
    #[error(transparent)]
    Lane(#[from] SendRefused),
    #[error("{WAITING_MAX} calls wait for their answers")]
    TooMany,
    #[error("its deadline has passed")]
    TooLate,
    #[error("the connection ended before it was written")]
    LaneLost,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unknown {
    #[error("no answer came before the deadline")]
    Deadline,
    #[error("the connection ended before the answer came")]
    LaneLost,
    #[error("the peer gave it up halfway")]
    Abandoned,
}

/// The calls of one node on one lane. Cheap to clone.
#[derive(Clone)]
pub struct Calls(Arc<Inner>);

struct Inner {
    mesh: Mesh,
    lane: Lane,
    waiting: Mutex<Waiting>,
}

#[derive(Default)]
struct Waiting {
    next: u64,
    calls: BTreeMap<CallId, Call>,
}

struct Call {
    connection: ConnectionId,
    outcome: oneshot::Sender<Result<Bytes, CallError>>,
}

/// A request of a peer, to be answered.
#[derive(Debug)]
pub struct Asked {
    pub from: NodeId,
    /// Of the caller's shard map when it asked.
    pub map_version: u64,
    /// After this the caller has gone.
    pub deadline: Instant,
    pub body: Bytes,
    answer: AnswerTo,
    /// Held until answered: what is under way is what the caller was granted.
    _permit: Permit,
}

/// What a frame of a lane with calls was.
#[derive(Debug)]
pub enum Received {
    /// A peer asks.
    Asked(Asked),
    /// An answer, and whoever waited for it has it.
    Settled,
    /// Nothing that can be read; the reason was logged.
    Unreadable,
}

impl Calls {
    /// On a lane that carries calls.
    pub fn new(mesh: Mesh, lane: Lane) -> Self {
        debug_assert!(lane.carries_calls(), "answers are refused on other lanes");
        Self(Arc::new(Inner { mesh, lane, waiting: Mutex::new(Waiting::default()) }))
    }

    /// Asks a peer and waits for its answer. May be dropped at any time.
    pub async fn call(
        &self,
        to: NodeId,
        body: Bytes,
        deadline: Instant,
    ) -> Result<Bytes, CallError> {
        let (outcome, answer) = oneshot::channel();
        let id = self.0.begin(to, body, deadline, outcome).map_err(CallError::NotSent)?;
        let _leaves_nothing_behind = Forget { calls: &self.0, id };
        match timeout_at(deadline.into(), answer).await {
            Ok(Ok(outcome)) => outcome,
            // The table is never emptied without a word to those who wait.
            Ok(Err(_)) => Err(CallError::Unknown(Unknown::LaneLost)),
            Err(_) => Err(CallError::Unknown(Unknown::Deadline)),
        }
    }

    /// Takes a frame of its lane from the mesh.
    pub fn received(&self, frame: Frame) -> Received {
        debug_assert_eq!(frame.lane, self.0.lane, "each lane has its own calls");
        match frame.class {
            Class::Data => self.asked(frame),
            Class::Answer => match Answer::decode(&frame.payload) {
                Ok(answer) => {
                    self.0.settle(frame.connection, answer);
                    Received::Settled
                }
                Err(error) => unreadable(frame.from, &error),
            },
        }
    }

    /// Ends the calls of a lane that was lost.
    pub fn lost(&self, lost: &LostLane) {
        if lost.lane != self.0.lane {
            return;
        }
        let mut waiting = self.0.lock();
        for payload in &lost.unsent {
            if let Ok(request) = Request::decode(payload) {
                let not_sent = Err(CallError::NotSent(NotSent::LaneLost));
                waiting.end(lost.connection, request.id, not_sent);
            }
        }
        let of_it = waiting.calls.extract_if(.., |_, call| call.connection == lost.connection);
        for (_, call) in of_it {
            tell(call, Err(CallError::Unknown(Unknown::LaneLost)));
        }
        self.0.count(&waiting);
    }

    fn asked(&self, frame: Frame) -> Received {
        let Frame { from, lane, connection, map_version, payload, permit, .. } = frame;
        let request = match Request::decode(&payload) {
            Ok(request) => request,
            Err(error) => return unreadable(from, &error),
        };
        let shared = Arc::clone(&self.0.mesh.0);
        let answer = AnswerTo { shared, to: from, on: (lane, connection), id: Some(request.id) };
        let now = clock::monotonic();
        // A time that no clock reaches is a caller that waits for long.
        let longest = request.left.min(Duration::from_secs(24 * 60 * 60));
        let deadline = now.checked_add(longest).unwrap_or(now);
        let body = request.body;
        Received::Asked(Asked { from, map_version, deadline, body, answer, _permit: permit })
    }
}

fn unreadable(from: NodeId, error: &crate::wire::WireError) -> Received {
    let error = error as &dyn std::error::Error;
    tracing::error!(peer.id = from.0, error, "a frame with a call cannot be read");
    Received::Unreadable
}

impl Asked {
    pub fn reply(self, body: Bytes) {
        // Without a way to say it, the caller learns that it happened by asking again.
        let fits = body.len() <= ANSWER_BYTES_MAX;
        self.end(if fits { Ok(body) } else { Err(Refused::Abandoned) });
    }

    pub fn refuse(self, why: Refused) {
        self.end(Err(why));
    }

    fn end(mut self, outcome: Result<Bytes, Refused>) {
        self.answer.send(outcome);
    }
}

/// Where an answer goes; says so itself when nobody else does.
struct AnswerTo {
    shared: Arc<Shared>,
    to: NodeId,
    on: (Lane, ConnectionId),
    id: Option<CallId>,
}

impl std::fmt::Debug for AnswerTo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AnswerTo").field("to", &self.to).field("id", &self.id).finish()
    }
}

impl AnswerTo {
    fn send(&mut self, outcome: Result<Bytes, Refused>) {
        let Some(id) = self.id.take() else { return };
        let answer = Answer { id, outcome }.encode();
        if let Err(error) = self.shared.answer(self.to, self.on, answer) {
            // The caller was told by the loss of its connection, or will be by its deadline.
            let error = &error as &dyn std::error::Error;
            tracing::debug!(peer.id = self.to.0, error, "an answer could not be sent");
        }
    }
}

impl Drop for AnswerTo {
    fn drop(&mut self) {
        self.send(Err(Refused::Abandoned));
    }
}

impl Inner {
    fn begin(
        &self,
        to: NodeId,
        body: Bytes,
        deadline: Instant,
        outcome: oneshot::Sender<Result<Bytes, CallError>>,
    ) -> Result<CallId, NotSent> {
        let left = deadline.saturating_duration_since(clock::monotonic());
        if left.is_zero() {
            return Err(NotSent::TooLate);
        }
        let mut waiting = self.lock();
        if waiting.calls.len() >= WAITING_MAX {
            return Err(NotSent::TooMany);
        }
        let id = CallId(waiting.next);
        // Sent with the table locked: the loss of the connection is told after, and finds the call.
        let connection = self.mesh.send(to, self.lane, Request { id, left, body }.encode())?;
        waiting.next = waiting.next.wrapping_add(1);
        waiting.calls.insert(id, Call { connection, outcome });
        self.count(&waiting);
        Ok(id)
    }

    fn settle(&self, connection: ConnectionId, answer: Answer) {
        let outcome = match answer.outcome {
            Ok(body) => Ok(body),
            Err(Refused::Abandoned) => Err(CallError::Unknown(Unknown::Abandoned)),
            Err(why @ (Refused::NotLeader { .. } | Refused::Busy { .. })) => {
                Err(CallError::Refused(why))
            }
            Err(why @ (Refused::WrongShard { .. } | Refused::Gone)) => Err(CallError::Refused(why)),
        };
        let mut waiting = self.lock();
        if !waiting.end(connection, answer.id, outcome) {
            self.mesh.0.metrics.answers_late.inc();
        }
        self.count(&waiting);
    }

    fn forget(&self, id: CallId) {
        let mut waiting = self.lock();
        waiting.calls.remove(&id);
        self.count(&waiting);
    }

    fn count(&self, waiting: &Waiting) {
        let n = i64::try_from(waiting.calls.len()).unwrap_or(i64::MAX);
        self.mesh.0.metrics.calls_waiting(self.lane, n);
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    /// Ends a call with its outcome; false when no such call waits on that connection.
    fn end(
        &mut self,
        connection: ConnectionId,
        id: CallId,
        outcome: Result<Bytes, CallError>,
    ) -> bool {
        let own = self.calls.get(&id).is_some_and(|call| call.connection == connection);
        let call = if own { self.calls.remove(&id) } else { None };
        call.map(|call| tell(call, outcome)).is_some()
    }
}

fn tell(call: Call, outcome: Result<Bytes, CallError>) {
    // A caller that has gone does not want to know.
    drop(call.outcome.send(outcome));
}

/// Takes a call out of the table when its caller stops waiting, for whatever reason.
struct Forget<'a> {
    calls: &'a Inner,
    id: CallId,
}

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        self.calls.forget(self.id);
    }
}
