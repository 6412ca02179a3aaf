//! Finding the shard of an entity and getting an answer out of it, whatever it takes until the
//! deadline.
//!
//! **Invariants:** every attempt of a command carries the same id; a number is reported as settled
//! only when this router will never send it again.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use storage::clock;
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::fabric::{Envelope, Unavailable};
use crate::ids::{EntityRef, ShardId};
use crate::placement::shard_map::ShardMap;
use crate::runtime::admission::Admission;
use crate::runtime::services::{Services, Shards};
use crate::runtime::shard_actor::{ShardMessage, Waiter};
use crate::shard::entry::CommandId;
use crate::shard::io::{Command, Freshness, Query, Reply};
use crate::time::{Span, Timestamp};

/// Between attempts while a shard has no leader.
const RETRY_PAUSE: Duration = Duration::from_millis(20);
const RETRY_AFTER_BUSY: Span = Span::from_secs(1);
/// Bytes in the log's queue past which the disk is plainly not keeping up.
const LOG_QUEUE_BYTES_MAX: usize = 256 << 20;

pub(crate) struct Router {
    pub(crate) map: ShardMap,
    services: Arc<Services>,
    shards: Arc<Shards>,
    /// Tells this start of this router from every other.
    id: u64,
    doors: Vec<Door>,
}

/// The way to one shard.
struct Door {
    admission: Admission,
    numbers: Mutex<Numbers>,
}

/// The command numbers of this router towards one shard.
#[derive(Default)]
struct Numbers {
    last: u64,
    open: BTreeSet<u64>,
}

/// A number that is in use until dropped.
struct OpenNumber<'a> {
    numbers: &'a Mutex<Numbers>,
    number: u64,
}

impl Router {
    pub(crate) fn new(
        map: ShardMap,
        services: Arc<Services>,
        id: u64,
        shard_queue_bytes_max: usize,
    ) -> Self {
        let door = |_| Door {
            admission: Admission::new(shard_queue_bytes_max),
            numbers: Mutex::default(),
        };
        let doors = map.shards().map(door).collect();
        Self { map, shards: Arc::clone(&services.shards), services, id, doors }
    }

    /// How full the node's queues are, in percent. One busy shard does not make a busy node: it
    /// refuses at its own door.
    pub(crate) fn pressure_percent(&self) -> usize {
        let doors = self.doors.iter().map(|door| door.admission.percent_used());
        let shards = doors.sum::<usize>() / self.doors.len().max(1);
        let log = self.services.log.queued_bytes().saturating_mul(100) / LOG_QUEUE_BYTES_MAX;
        shards.max(log)
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.doors.iter().all(|door| door.admission.is_idle())
    }

    pub(crate) async fn command(
        &self,
        entity: &EntityRef,
        envelope: &Envelope,
        body: Vec<u8>,
    ) -> Result<(ShardId, Reply), Unavailable> {
        self.services.metrics.commands.inc();
        let shard = self.map.shard_of(entity.key.slot());
        let door = self.door(shard)?;
        if self.services.log.is_full() {
            return Err(Unavailable::StorageFull);
        }
        if self.services.log.queued_bytes() > LOG_QUEUE_BYTES_MAX {
            return Err(self.busy());
        }
        let open = OpenNumber::draw(&door.numbers);
        let _under_way = self.services.log.under_way();
        let id = CommandId { router: self.id, number: open.number };
        let deadline = envelope.deadline;
        loop {
            let command = Command {
                entity: entity.clone(),
                id,
                settled_below: open.settled_below(),
                not_after: deadline,
                key: envelope.key,
                precondition: envelope.precondition,
                body: body.clone(),
            };
            let message = |waiter| ShardMessage::Command(command, waiter);
            let reply = self.ask(shard, door, body.len(), deadline, message).await?;
            match self.settle(shard, reply).await? {
                Some(reply) => return Ok((shard, reply)),
                None => continue,
            }
        }
    }

    pub(crate) async fn query(
        &self,
        entity: &EntityRef,
        at_least: u64,
        deadline: Timestamp,
        body: Vec<u8>,
    ) -> Result<(ShardId, Reply), Unavailable> {
        self.services.metrics.queries.inc();
        let shard = self.map.shard_of(entity.key.slot());
        let door = self.door(shard)?;
        loop {
            let query = Query {
                entity: entity.clone(),
                at_least,
                freshness: Freshness::Latest,
                not_after: deadline,
                body: body.clone(),
            };
            let message = |waiter| ShardMessage::Query(query, waiter);
            let reply = self.ask(shard, door, body.len(), deadline, message).await?;
            match self.settle(shard, reply).await? {
                Some(reply) => return Ok((shard, reply)),
                None => continue,
            }
        }
    }

    fn door(&self, shard: ShardId) -> Result<&Door, Unavailable> {
        if self.shards.is_stopping() {
            return Err(Unavailable::ShuttingDown);
        }
        let nth = usize::try_from(shard.0).unwrap_or(usize::MAX);
        self.doors.get(nth).ok_or(Unavailable::ShuttingDown)
    }

    fn busy(&self) -> Unavailable {
        self.services.metrics.refused_busy.inc();
        Unavailable::Busy { retry_after: RETRY_AFTER_BUSY }
    }

    async fn ask(
        &self,
        shard: ShardId,
        door: &Door,
        body_bytes: usize,
        deadline: Timestamp,
        message: impl FnOnce(Waiter) -> ShardMessage,
    ) -> Result<Reply, Unavailable> {
        let permit = door.admission.admit(body_bytes).ok_or_else(|| self.busy())?;
        let (reply, answer) = oneshot::channel();
        let actor = self.shards.get(shard).ok_or(Unavailable::ShuttingDown)?;
        actor.cast(message(Waiter { reply, permit })).map_err(|_| Unavailable::ShuttingDown)?;
        match tokio::time::timeout_at(instant_of(deadline), answer).await {
            Ok(Ok(reply)) => Ok(reply),
            // The shard ended with the request in hand: it may have taken effect.
            Ok(Err(_closed)) => Err(Unavailable::DeadlineExceeded),
            Err(_elapsed) => Err(Unavailable::DeadlineExceeded),
        }
    }

    /// The final reply, or `None` when the attempt is to be repeated.
    async fn settle(&self, shard: ShardId, reply: Reply) -> Result<Option<Reply>, Unavailable> {
        match reply {
            Reply::NotLeader { .. } | Reply::Unknown => {
                tokio::time::sleep(RETRY_PAUSE).await;
                Ok(None)
            }
            Reply::UnknownPosition => Err(Unavailable::UnknownPosition),
            Reply::Expired => Err(Unavailable::DeadlineExceeded),
            Reply::Busy { retry_after } => Err(Unavailable::Busy { retry_after }),
            Reply::StorageFull => Err(Unavailable::StorageFull),
            Reply::Fenced => Err(Unavailable::Fenced { shard: shard.0 }),
            Reply::Accepted { .. }
            | Reply::Rejected { .. }
            | Reply::Viewed { .. }
            | Reply::PreconditionFailed { .. }
            | Reply::KeyConflict
            | Reply::ReplyExpired
            | Reply::TooManyKeys
            | Reply::Panicked
            | Reply::Malformed { .. }
            | Reply::RecordFull
            | Reply::Changing { .. }
            | Reply::ChangeRefused { .. } => Ok(Some(reply)),
        }
    }
}

impl<'a> OpenNumber<'a> {
    fn draw(numbers: &'a Mutex<Numbers>) -> Self {
        let mut all = numbers.lock().unwrap_or_else(PoisonError::into_inner);
        all.last += 1;
        let number = all.last;
        all.open.insert(number);
        drop(all);
        Self { numbers, number }
    }

    fn settled_below(&self) -> u64 {
        let all = self.numbers.lock().unwrap_or_else(PoisonError::into_inner);
        all.open.first().copied().unwrap_or(self.number)
    }
}

impl Drop for OpenNumber<'_> {
    fn drop(&mut self) {
        self.numbers.lock().unwrap_or_else(PoisonError::into_inner).open.remove(&self.number);
    }
}

/// The runtime's instant for a wall-clock deadline.
fn instant_of(deadline: Timestamp) -> Instant {
    let now = Timestamp::from_micros(clock::wall_micros());
    Instant::from_std(clock::monotonic())
        + Duration::from_micros(deadline.since(now).as_micros().min(86_400_000_000))
}
