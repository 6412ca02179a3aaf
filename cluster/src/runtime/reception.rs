//! What other nodes send: messages for replicas, questions, and newcomers at the door.
//!
//! **Invariants:** a question is answered or refused, never forgotten; what peers may have waiting
//! here is bounded by the mesh's windows and by an admission of its own, so that clients of this
//! node and peers do not crowd each other out.

use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use storage::clock;
use storage::disk::Disk;
use storage::snapshot;
use tokio::sync::{Semaphore, mpsc, oneshot};

use crate::ids::{EntityRef, ShardId};
use crate::replication::transfer::{ChunkWanted, read_chunk};
use crate::runtime::admission::Admission;
use crate::runtime::asking::blocking;
use crate::runtime::leaders::Known;
use crate::runtime::mesh::calls::{Asked, Calls, Received};
use crate::runtime::mesh::{Frame, Knock, LostLane, MeshHandler};
use crate::runtime::postponed::explained;
use crate::runtime::services::Services;
use crate::runtime::shard_actor::{ShardMessage, Waiter};
use crate::runtime::snapshotting::SNAPSHOT_DIR;
use crate::shard::io::{Input, Reply};
use crate::shard::question::{Answer, Question};
use crate::time::Span;
use crate::wire::Lane;
use crate::wire::call::Refused;

/// Memory for requests of peers that wait, over all groups.
const PEERS_BYTES_MAX: usize = 64 << 20;
const RETRY_AFTER_BUSY: Duration = Duration::from_millis(100);
/// Pieces of snapshots and history that are read for peers at the same time.
const READINGS_MAX: usize = 2;
/// Newcomers that wait for an answer; more are not heard.
pub(crate) const KNOCKS_MAX: usize = 16;

pub(crate) struct Reception {
    /// The services know the way back to the mesh, so this one does not keep them alive.
    services: Weak<Services>,
    disk: Arc<dyn Disk>,
    calls: Calls,
    bulk: Calls,
    admission: Admission,
    readings: Arc<Semaphore>,
    knocks: mpsc::Sender<Knock>,
}

impl Reception {
    pub(crate) fn new(
        services: &Arc<Services>,
        disk: Arc<dyn Disk>,
        (calls, bulk): (Calls, Calls),
        knocks: mpsc::Sender<Knock>,
    ) -> Self {
        let admission = Admission::new(PEERS_BYTES_MAX);
        let readings = Arc::new(Semaphore::new(READINGS_MAX));
        Self { services: Arc::downgrade(services), disk, calls, bulk, admission, readings, knocks }
    }

    fn received(&self, services: &Arc<Services>, lane: Lane, received: Received) {
        match received {
            Received::Asked(asked) => self.question(services, lane, asked),
            Received::Settled | Received::Unreadable => {}
        }
    }

    fn question(&self, services: &Arc<Services>, lane: Lane, asked: Asked) {
        let question = match Question::decode(&asked.body) {
            Ok(question) => question,
            Err(error) => {
                tracing::error!(peer.id = asked.from.0, %error, "a peer's question cannot be read");
                return asked.refuse(Refused::Gone);
            }
        };
        if question.lane() != lane {
            // There it would wait for a transfer, or a transfer hold up requests.
            tracing::error!(
                peer.id = asked.from.0,
                lane = lane.name(),
                "a question on a wrong lane"
            );
            return asked.refuse(Refused::Gone);
        }
        match question {
            Question::Command { group, command } => {
                self.wait_for_reply(services, group, asked, |waiter| {
                    ShardMessage::Command(command, waiter)
                });
            }
            Question::Query { group, query } => {
                self.wait_for_reply(services, group, asked, |waiter| {
                    ShardMessage::Query(query, waiter)
                });
            }
            Question::Tell { group, tell } => pass_on(services, group, Input::Told(tell), asked),
            Question::TellsAcked { group, target, up_to } => {
                pass_on(services, group, Input::TellsAcked { target, up_to }, asked);
            }
            Question::Fitness(fitness) => {
                services.hears_fitness(asked.from, fitness);
                respond(asked, &Answer::Taken);
            }
            Question::Part { group } => part(services, group, asked),
            Question::Clock => {
                respond(asked, &Answer::Clock { micros: clock::wall_micros() });
            }
            Question::Declines { group } => {
                services.declines(asked.from, group);
                respond(asked, &Answer::Taken);
            }
            Question::Piece { group, start, id, offset, .. } => {
                self.piece(group, start, id, offset, asked);
            }
            Question::History { group, after, to } => {
                self.history(services, group, (after, to), None, asked);
            }
            Question::HistoryOf { group, after, to, entity } => {
                self.history(services, group, (after, to), Some(entity), asked);
            }
            Question::Report { from } => {
                let services = Arc::clone(services);
                tokio::spawn(async move {
                    let report = services.report(from, asked.deadline.into()).await;
                    respond(asked, &Answer::Report(report.encode()));
                });
            }
        }
    }

    fn wait_for_reply(
        &self,
        services: &Services,
        group: ShardId,
        asked: Asked,
        message: impl FnOnce(Waiter) -> ShardMessage,
    ) {
        let Some(permit) = self.admission.admit(asked.body.len()) else {
            return asked.refuse(Refused::Busy { retry_after: RETRY_AFTER_BUSY });
        };
        let Some(actor) = services.shards.get(group) else { return asked.refuse(Refused::Gone) };
        let (reply, answer) = oneshot::channel();
        if actor.cast(message(Waiter { reply, permit })).is_err() {
            return asked.refuse(Refused::Gone);
        }
        tokio::spawn(async move {
            // Past the deadline nobody waits; dropping the question says so.
            if let Ok(Ok(reply)) = tokio::time::timeout_at(asked.deadline.into(), answer).await {
                respond(asked, &Answer::Reply(reply));
            }
        });
    }

    fn piece(&self, group: ShardId, start: u64, id: u64, offset: u64, asked: Asked) {
        let disk = Arc::clone(&self.disk);
        let readings = Arc::clone(&self.readings);
        let read = move || {
            let names = snapshot::list(disk.as_ref(), SNAPSHOT_DIR).ok()?;
            let name = names.into_iter().find(|n| n.shard == group.0 && n.start == start)?;
            let wanted = ChunkWanted { offset, bytes_max: snapshot::CHUNK_BYTES_MAX };
            read_chunk(disk.as_ref(), &name.path, id, wanted).ok().flatten()
        };
        tokio::spawn(async move {
            let turn = tokio::time::timeout_at(asked.deadline.into(), readings.acquire());
            // Past the deadline nobody waits; dropping the question says so.
            let Ok(Ok(_turn)) = turn.await else { return };
            let Ok(read) = blocking(read).await else { return };
            respond(asked, &read.map_or(Answer::Gone, Answer::Piece));
        });
    }

    fn history(
        &self,
        services: &Arc<Services>,
        group: ShardId,
        (after, to): (u64, u64),
        of: Option<EntityRef>,
        asked: Asked,
    ) {
        let services = Arc::clone(services);
        let readings = Arc::clone(&self.readings);
        tokio::spawn(async move {
            let turn = tokio::time::timeout_at(asked.deadline.into(), readings.acquire());
            // As above.
            let Ok(Ok(_turn)) = turn.await else { return };
            match services.past_for_peer(group, after, to, of.as_ref()).await {
                Ok(piece) => respond(asked, &piece.map_or(Answer::Gone, Answer::History)),
                Err(error) => {
                    let error = explained(&error);
                    tracing::warn!(shard.id = %group, %error, "history cannot be given to a peer");
                    respond(asked, &Answer::Gone);
                }
            }
        });
    }
}

impl MeshHandler for Reception {
    fn frame(&self, frame: Frame) {
        let Some(services) = self.services.upgrade() else { return };
        match frame.lane {
            Lane::Raft if !services.is_admitted() => {}
            Lane::Raft => services.pulse.receive(&frame, &services.shards),
            Lane::Calls => self.received(&services, Lane::Calls, self.calls.received(frame)),
            Lane::Bulk => self.received(&services, Lane::Bulk, self.bulk.received(frame)),
            // Nothing is sent on it yet.
            Lane::Control => {}
        }
    }

    fn lane_lost(&self, lost: LostLane) {
        self.calls.lost(&lost);
        self.bulk.lost(&lost);
    }

    fn knock(&self, knock: Knock) {
        // With too many at the door, the newcomer hears nothing and knocks again.
        self.knocks.try_send(knock).ok();
    }
}

/// Passes something on that only a leader can take.
fn pass_on(services: &Services, group: ShardId, input: Input, asked: Asked) {
    match services.leaders.of(group) {
        Known::Here => {
            services.shards.send(group, input);
            respond(asked, &Answer::Taken);
        }
        Known::There(node) | Known::NotHeld(Some(node)) => {
            respond(asked, &Answer::Reply(Reply::NotLeader { hint: Some(node) }));
        }
        Known::Nobody | Known::Fenced | Known::NotHeld(None) => {
            respond(asked, &Answer::Reply(Reply::NotLeader { hint: None }));
        }
    }
}

/// Says whether the asking node has a part in a group that is held here.
fn part(services: &Services, group: ShardId, asked: Asked) {
    let Some(actor) = services.shards.get(group) else { return asked.refuse(Refused::Gone) };
    let (reply, part) = oneshot::channel();
    if actor.cast(ShardMessage::PartOf { node: asked.from, reply }).is_err() {
        return asked.refuse(Refused::Gone);
    }
    tokio::spawn(async move {
        match part.await.ok().flatten() {
            Some((as_of, has_part)) => respond(asked, &Answer::Part { as_of, has_part }),
            None => asked.refuse(Refused::Gone),
        }
    });
}

fn respond(asked: Asked, answer: &Answer) {
    match answer.encode() {
        Some(bytes) => asked.reply(Bytes::from(bytes)),
        None => asked.refuse(Refused::Busy { retry_after: as_duration(Span::from_secs(1)) }),
    }
}

fn as_duration(span: Span) -> Duration {
    Duration::from_micros(span.as_micros())
}
