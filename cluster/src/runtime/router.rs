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
use crate::ids::{EntityRef, NodeId, ShardId};
use crate::placement::shard_map::ShardMap;
use crate::runtime::admission::{Admission, Permit};
use crate::runtime::draining::Visits;
use crate::runtime::leaders::Known;
use crate::runtime::network::Unanswered;
use crate::runtime::services::{Services, Shards};
use crate::runtime::shard_actor::{ShardMessage, Waiter};
use crate::shard::entry::CommandId;
use crate::shard::io::{Command, Freshness, Query, Reply};
use crate::shard::pursuit::{Pursuit, Refusal, Refusals, Taken};
use crate::shard::question::{Answer, Question};
use crate::time::{Span, Timestamp};

/// Between attempts while a shard has no leader, doubled up to the maximum: thousands may wait for one
/// and are not to take what others' requests need. A new leader is asked as soon as it is known.
const RETRY_PAUSE: Duration = Duration::from_millis(20);
const RETRY_PAUSE_MAX: Duration = Duration::from_millis(100);
/// Between attempts at least: replicas whose word contradicts each other's are not asked without rest.
const RETRY_PAUSE_MIN: Duration = Duration::from_millis(1);
/// How long a request waits for a node to hear others again.
const CUT_OFF_PATIENCE: Duration = Duration::from_secs(1);
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
    /// Requests from their arrival to their answer, pauses between attempts included.
    visits: Visits,
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
        let doors = map.groups().map(door).collect();
        let shards = Arc::clone(&services.shards);
        Self { map, shards, services, id, doors, visits: Visits::default() }
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
        self.visits.is_idle() && self.doors.iter().all(|door| door.admission.is_idle())
    }

    pub(crate) async fn command(
        &self,
        group: ShardId,
        entity: &EntityRef,
        envelope: &Envelope,
        body: Vec<u8>,
    ) -> Result<Reply, Unavailable> {
        self.services.metrics.commands.inc();
        let _visit = self.visits.enter();
        let door = self.open_door(group, envelope.deadline).await?;
        if self.services.log.is_full() && self.leads(group) {
            return Err(Unavailable::StorageFull);
        }
        if self.services.log.queued_bytes() > LOG_QUEUE_BYTES_MAX {
            return Err(self.busy());
        }
        let open = OpenNumber::draw(&door.numbers);
        let _under_way = self.services.log.under_way();
        let id = CommandId { router: self.id, number: open.number };
        let deadline = envelope.deadline;
        let request = |not_after| {
            Request::Command(Command {
                entity: entity.clone(),
                id,
                settled_below: open.settled_below(),
                not_after,
                key: envelope.key,
                precondition: envelope.precondition,
                body: body.clone(),
                origin: envelope.origin.clone(),
            })
        };
        let refusals = match envelope.key {
            Some(_) => Refusals::Recorded,
            None => Refusals::Forgotten,
        };
        let pursuit = Pursuit::until(deadline, refusals);
        self.ask_until_answered(group, door, deadline, pursuit, request).await
    }

    pub(crate) async fn query(
        &self,
        group: ShardId,
        entity: &EntityRef,
        at_least: u64,
        deadline: Timestamp,
        body: Vec<u8>,
    ) -> Result<Reply, Unavailable> {
        self.services.metrics.queries.inc();
        let _visit = self.visits.enter();
        let door = self.open_door(group, deadline).await?;
        let request = |not_after| {
            Request::Query(Query {
                entity: entity.clone(),
                at_least,
                freshness: Freshness::Latest,
                not_after,
                body: body.clone(),
            })
        };
        let pursuit = Pursuit::until(deadline, Refusals::Recorded);
        self.ask_until_answered(group, door, deadline, pursuit, request).await
    }

    async fn ask_until_answered(
        &self,
        group: ShardId,
        door: &Door,
        deadline: Timestamp,
        mut pursuit: Pursuit,
        request: impl Fn(Timestamp) -> Request,
    ) -> Result<Reply, Unavailable> {
        let until = instant_of(deadline);
        let mut asked = None;
        let mut pause = RETRY_PAUSE;
        for attempt in 0_u32.. {
            // What was asked already may have had its effect: its true outcome is waited for.
            if attempt > 0 && !self.services.may_serve(group) {
                if Instant::from_std(clock::monotonic()) >= until {
                    break;
                }
                tokio::time::sleep(RETRY_PAUSE).await;
                continue;
            }
            let request = request(pursuit.not_after());
            let Some(permit) = door.admission.admit(request.body_bytes()) else {
                if !pursuit.may_have_started() || Instant::from_std(clock::monotonic()) >= until {
                    return Err(self.busy());
                }
                tokio::time::sleep(RETRY_PAUSE).await;
                continue;
            };
            let known = self.services.leaders.of(group);
            asked = self.node_to_ask(group, attempt, asked);
            let reply = match asked {
                Some(node) => self.ask_there(node, group, request, until).await,
                None => match self.ask_here(group, request, permit, until).await {
                    // That this attempt was not taken says nothing of the one before.
                    Err(Unavailable::ShuttingDown) if pursuit.may_have_started() => break,
                    asked => asked?,
                },
            };
            match pursuit.take(reply, left_until(until)) {
                Taken::Outcome(reply) => return Ok(reply),
                Taken::Refused(refusal) => return Err(unavailable(group, refusal)),
                Taken::Again => {}
            }
            if Instant::from_std(clock::monotonic()) >= until {
                break;
            }
            self.rest(group, known, pause).await;
            pause = (pause * 2).min(RETRY_PAUSE_MAX);
        }
        Err(Unavailable::DeadlineExceeded)
    }

    /// Waits between attempts, for less when another leader becomes known.
    async fn rest(&self, group: ShardId, known: Known, pause: Duration) {
        tokio::time::sleep(RETRY_PAUSE_MIN).await;
        let differ = self.services.leaders.differ(group, known);
        // Without news the next attempt asks somebody else.
        tokio::time::timeout(pause, differ).await.ok();
    }

    /// The node whose replica to ask; `None` for the one here. A leader that was not asked just before
    /// comes first.
    fn node_to_ask(&self, group: ShardId, attempt: u32, asked: Option<NodeId>) -> Option<NodeId> {
        if self.leads(group) || self.services.network.get().is_none() {
            return None;
        }
        let known = self.services.leaders.of(group).elsewhere();
        let is_new = |node: &NodeId| Some(*node) != asked && *node != self.services.node;
        known.filter(is_new).or_else(|| self.services.whom_to_ask(group, attempt))
    }

    fn leads(&self, group: ShardId) -> bool {
        self.services.leaders.of(group) == Known::Here
    }

    fn door(&self, group: ShardId) -> Result<&Door, Unavailable> {
        if self.shards.is_stopping() {
            return Err(Unavailable::ShuttingDown);
        }
        let door = self.map.nth(group).and_then(|nth| self.doors.get(nth));
        door.ok_or(Unavailable::ShuttingDown)
    }

    /// The door to a shard that requests may be brought to. A node that cannot tell what others decide
    /// may be about to hear of them: it was paused, or has just started.
    async fn open_door(&self, group: ShardId, deadline: Timestamp) -> Result<&Door, Unavailable> {
        let patience = Instant::from_std(clock::monotonic()) + CUT_OFF_PATIENCE;
        let until = instant_of(deadline).min(patience);
        while !self.services.may_serve(group) && !self.shards.is_stopping() {
            if Instant::from_std(clock::monotonic()) >= until {
                return Err(Unavailable::CutOff);
            }
            tokio::time::sleep(RETRY_PAUSE).await;
        }
        self.door(group)
    }

    fn busy(&self) -> Unavailable {
        self.services.metrics.refused_busy.inc();
        Unavailable::Busy { retry_after: RETRY_AFTER_BUSY }
    }

    async fn ask_here(
        &self,
        group: ShardId,
        request: Request,
        permit: Permit,
        until: Instant,
    ) -> Result<Reply, Unavailable> {
        let (reply, answer) = oneshot::channel();
        let waiter = Waiter { reply, permit };
        let message = match request {
            Request::Command(command) => ShardMessage::Command(command, waiter),
            Request::Query(query) => ShardMessage::Query(query, waiter),
        };
        let actor = self.shards.get(group).ok_or(Unavailable::ShuttingDown)?;
        actor.cast(message).map_err(|_| Unavailable::ShuttingDown)?;
        match tokio::time::timeout_at(until, answer).await {
            Ok(Ok(reply)) => Ok(reply),
            // The shard ended with the request in hand: it may have taken effect.
            Ok(Err(_closed)) => Err(Unavailable::DeadlineExceeded),
            Err(_elapsed) => Err(Unavailable::DeadlineExceeded),
        }
    }

    async fn ask_there(
        &self,
        node: NodeId,
        group: ShardId,
        request: Request,
        until: Instant,
    ) -> Reply {
        let Some(network) = self.services.network.get() else { return Reply::Unknown };
        let question = match request {
            Request::Command(command) => Question::command(group, command),
            Request::Query(query) => Question::Query { group, query },
        };
        match network.ask(node, &question, until).await {
            Ok(Answer::Reply(Reply::NotLeader { hint })) => {
                self.services.leaders.hear(group, hint);
                Reply::NotLeader { hint }
            }
            // That replica serves nothing any more; another one may.
            Ok(Answer::Reply(Reply::Fenced)) => {
                self.services.leaders.hear(group, None);
                Reply::NotLeader { hint: None }
            }
            Ok(Answer::Reply(reply)) => {
                // A replica that lost its lead says so with this too.
                if reply != Reply::Unknown {
                    self.services.leaders.hear(group, Some(node));
                }
                reply
            }
            Ok(
                Answer::Taken
                | Answer::Piece(_)
                | Answer::Gone
                | Answer::Clock { .. }
                | Answer::Part { .. }
                | Answer::History(_)
                | Answer::Report(_),
            )
            | Err(Unanswered::Unknown) => Reply::Unknown,
            Err(Unanswered::NotAsked) => Reply::NotLeader { hint: None },
            Err(Unanswered::TooLarge) => Reply::RecordFull,
        }
    }
}

/// What is asked of a group.
enum Request {
    Command(Command),
    Query(Query),
}

impl Request {
    fn body_bytes(&self) -> usize {
        match self {
            Self::Command(command) => command.body.len(),
            Self::Query(query) => query.body.len(),
        }
    }
}

/// What a caller is told of a refusal.
fn unavailable(group: ShardId, refusal: Refusal) -> Unavailable {
    match refusal {
        Refusal::TooLate | Refusal::Unsettled => Unavailable::DeadlineExceeded,
        Refusal::UnknownPosition => Unavailable::UnknownPosition,
        Refusal::Busy { retry_after } => Unavailable::Busy { retry_after },
        Refusal::StorageFull => Unavailable::StorageFull,
        Refusal::Fenced => Unavailable::Fenced { shard: group.0 },
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

fn left_until(until: Instant) -> Span {
    let left = until.saturating_duration_since(Instant::from_std(clock::monotonic()));
    Span::from_micros(u64::try_from(left.as_micros()).unwrap_or(0))
}

/// The runtime's instant for a wall-clock deadline.
pub(crate) fn instant_of(deadline: Timestamp) -> Instant {
    let now = Timestamp::from_micros(clock::wall_micros());
    Instant::from_std(clock::monotonic())
        + Duration::from_micros(deadline.since(now).as_micros().min(86_400_000_000))
}
