//! Ports: how an invocation reaches the outside world and its answer comes back as a command.
//!
//! **Invariants:** an invocation keeps its id through every attempt, restart and leader; it is sent
//! again only within the horizon its port declares idempotent, otherwise the other side is asked
//! first; whatever is in doubt stays open. The state that drives this is the entity's record: this
//! file only carries out.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use storage::clock;
use tokio::sync::Semaphore;

use crate::entity::{Answer, Port};
use crate::ids::{EntityRef, Incarnation, ShardId};
use crate::runtime::services::Shards;
use crate::shard::entry::Cursor;
use crate::shard::io::{Input, Invocation};
use crate::time::Timestamp;

pub use crate::shard::retry::RetryRule;

/// Attempts of one port at the same time; the others wait their turn. A port whose other side is
/// dead holds up no other.
const ATTEMPTS_MAX: usize = 64;
/// An attempt without an end is in doubt after this: it must not keep its place for ever.
const ATTEMPT_MAX: Duration = Duration::from_secs(60);
const PAUSE_MIN: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// The stable name of one invocation: sent to the other side as its idempotency key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct InvocationId {
    pub incarnation: Incarnation,
    pub shard: ShardId,
    pub at: Cursor,
}

impl fmt::Display for InvocationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { incarnation, shard, at } = self;
        write!(f, "{}-{shard}-{}-{}", incarnation.0, at.index, at.ordinal)
    }
}

/// Neither a yes nor a no: a timeout, a broken connection, a 5xx.
#[derive(Debug, thiserror::Error)]
#[error("in doubt: {0}")]
pub struct InDoubt(pub String);

pub type PortFuture<T> = Pin<Box<dyn Future<Output = Result<T, InDoubt>> + Send>>;

/// One door to the outside world.
pub trait PortAdapter: Send + Sync + 'static {
    fn port(&self) -> Port;
    fn retry_rule(&self) -> RetryRule;
    fn invoke(&self, id: InvocationId, request: Vec<u8>) -> PortFuture<Answer>;
    /// What became of an invocation: its answer, or `None` when it never arrived.
    fn ask(&self, id: InvocationId, request: Vec<u8>) -> PortFuture<Option<Answer>>;
}

#[derive(Clone)]
pub(crate) struct Ports {
    shared: Arc<Shared>,
}

struct Shared {
    doors: BTreeMap<Port, Door>,
    at_work: Mutex<BTreeSet<InvocationId>>,
    shards: Arc<Shards>,
    incarnation: Incarnation,
}

/// One adapter, and how many attempts it may be at.
struct Door {
    adapter: Arc<dyn PortAdapter>,
    attempts: Semaphore,
}

/// An invocation that is being carried out, until dropped.
struct AtWork {
    shared: Arc<Shared>,
    id: InvocationId,
}

impl Drop for AtWork {
    fn drop(&mut self) {
        self.shared.at_work.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.id);
    }
}

impl Ports {
    pub(crate) fn new(
        adapters: Vec<Arc<dyn PortAdapter>>,
        shards: Arc<Shards>,
        incarnation: Incarnation,
    ) -> Self {
        let door = |adapter: Arc<dyn PortAdapter>| {
            (adapter.port(), Door { adapter, attempts: Semaphore::new(ATTEMPTS_MAX) })
        };
        let doors = adapters.into_iter().map(door).collect();
        let at_work = Mutex::default();
        Self { shared: Arc::new(Shared { doors, at_work, shards, incarnation }) }
    }

    /// Carries an invocation out until it has an answer, unless that is under way already: an open
    /// one is offered again and again.
    pub(crate) fn invoke(&self, shard: ShardId, entity: EntityRef, invocation: Invocation) {
        if !self.shared.doors.contains_key(&invocation.port) {
            tracing::error!(port = invocation.port.0, "nothing answers for a port");
            return;
        }
        let incarnation = self.shared.incarnation;
        let id = InvocationId { incarnation, shard, at: invocation.at };
        let mut at_work = self.shared.at_work.lock().unwrap_or_else(PoisonError::into_inner);
        if at_work.insert(id) {
            let working = AtWork { shared: Arc::clone(&self.shared), id };
            tokio::spawn(async move {
                working.shared.carry_out(id, entity, invocation).await;
            });
        }
    }
}

impl Shared {
    async fn carry_out(&self, id: InvocationId, entity: EntityRef, invocation: Invocation) {
        let Some(door) = self.doors.get(&invocation.port) else { return };
        let mut pause = PAUSE_MIN;
        let mut sent_before = invocation.offered_again;
        loop {
            let Ok(turn) = door.attempts.acquire().await else { return };
            let attempt = attempt(door.adapter.as_ref(), id, &invocation, sent_before);
            let attempt = tokio::time::timeout(ATTEMPT_MAX, attempt).await.unwrap_or_else(|_| {
                Err(InDoubt(format!("no answer within {} s", ATTEMPT_MAX.as_secs())))
            });
            drop(turn);
            sent_before = true;
            match attempt {
                Ok(answer) => {
                    let (shard, invocation) = (id.shard, id.at);
                    let answered = Input::Answered { entity, invocation, answer };
                    return self.shards.send(shard, answered);
                }
                Err(doubt) => tracing::warn!(invocation.id = %id, "{doubt}"),
            }
            tokio::time::sleep(jittered(pause)).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }
}

/// One attempt: sends, or asks and sends only what never arrived.
async fn attempt(
    adapter: &dyn PortAdapter,
    id: InvocationId,
    invocation: &Invocation,
    sent_before: bool,
) -> Result<Answer, InDoubt> {
    let now = Timestamp::from_micros(clock::wall_micros());
    let may_send = adapter.retry_rule().may_send(now, invocation.asked_at, sent_before);
    if !may_send && let Some(answer) = adapter.ask(id, invocation.request.clone()).await? {
        return Ok(answer);
    }
    adapter.invoke(id, invocation.request.clone()).await
}

/// Between half of a pause and all of it, so that retries of many do not meet.
fn jittered(pause: Duration) -> Duration {
    let half = pause / 2;
    let spread = u64::try_from(half.as_micros()).unwrap_or(u64::MAX).max(1);
    half + Duration::from_micros(clock::wall_micros().wrapping_mul(0x9e37_79b9) % spread)
}
