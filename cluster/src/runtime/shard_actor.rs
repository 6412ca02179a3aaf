//! The ractor actor around one shard's replica: a mailbox, a clock and hands for its outputs.
//!
//! A message is stepped at once; deciding waits for a flush that the actor sends itself behind
//! whatever is already in its mailbox. So a turn takes everything that gathered, without a timer.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use ractor::{Actor, ActorProcessingErr, ActorRef};
use storage::clock;
use storage::log::Record;
use storage::state::{IndexFault, IndexJob, IndexRecord, IndexWrite};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::catalogue::Changes;
use crate::ids::{EntityRef, NodeId, ShardId};
use crate::replication::group::group_of;
use crate::replication::members::MemberChange;
use crate::replication::offer::SnapshotOffer;
use crate::runtime::admission::Permit;
use crate::runtime::leaders::Known;
use crate::runtime::postponed::explained;
use crate::runtime::services::Services;
use crate::runtime::shelf::Look;
use crate::shard::core::{ShardCore, ShardStatus};
use crate::shard::entry::Cursor;
use crate::shard::io::{Command, Input, Output, Query, Reply, Token};
use crate::shard::lead_view::LeadView;
use crate::shard::question::Question;
use crate::shard::record::{HEADER_KEY, encode_ref};
use crate::shard::report::ReplicaReport;
use crate::shard::walk::{Stored, Walk, WalkStart, WalkStep, Walked};
use crate::time::Timestamp;

/// Whoever waits for a reply, and the room its request takes.
pub(crate) struct Waiter {
    pub(crate) reply: oneshot::Sender<Reply>,
    pub(crate) permit: Permit,
}

pub(crate) enum ShardMessage {
    Command(Command, Waiter),
    Query(Query, Waiter),
    Input(Input),
    /// Every shard has an address: begin.
    Start,
    /// The node may take part: what it alone votes in, it leads.
    Admitted,
    Flush,
    Status(oneshot::Sender<ShardStatus>),
    /// What an operator wants to know; none where this node holds no replica.
    Report(oneshot::Sender<Option<ReplicaReport>>),
    /// Whether everything decided or noted so far is recorded.
    IsSettled(oneshot::Sender<bool>),
    /// How far a consumer of the feed has come.
    Cursor {
        consumer: u8,
        reply: oneshot::Sender<Cursor>,
    },
    WalkStart(oneshot::Sender<Option<WalkStart>>),
    WalkStep {
        walk: Walk,
        after: Option<EntityRef>,
        reply: oneshot::Sender<WalkStep>,
    },
    /// What changed after an index; none while that cannot be told.
    ChangesAfter {
        index: u64,
        reply: oneshot::Sender<Option<Changes>>,
    },
    /// Members join or leave; answered like a command.
    ChangeMembers(MemberChange, Waiter),
    /// The group as its leader sees it, if it is this replica.
    LeadView(oneshot::Sender<Option<LeadView>>),
    /// Whether a node has a part in the group as of an index, if this replica can tell.
    PartOf {
        node: NodeId,
        reply: oneshot::Sender<Option<(u64, bool)>>,
    },
    /// Lets go of everything, if this replica holds nothing past the index. Dropped when it stays;
    /// else resolves when the log says so durably.
    Forget {
        as_of: u64,
        reply: oneshot::Sender<oneshot::Receiver<()>>,
    },
    /// Points the log to a snapshot of this replica, unless the replica goes on from a newer one.
    Point {
        start: u64,
        pointer: Record,
        /// Dropped when it does; else resolves when the pointer is durable.
        reply: oneshot::Sender<oneshot::Receiver<()>>,
    },
    /// Notes in the state index how far it is complete; answers whether it still is: the replica may
    /// go on from another one's snapshot since, with the index filled anew.
    SetFloor {
        position: u64,
        reply: oneshot::Sender<Result<bool, IndexFault>>,
    },
    /// Hand the next unindexed records to the state index; answers where to go on once they are in.
    IndexStep {
        after: Option<EntityRef>,
        reply: IndexStepDone,
    },
}

pub(crate) type IndexStepDone = oneshot::Sender<Result<Option<EntityRef>, IndexFault>>;

pub(crate) struct ShardActor;

pub(crate) struct ShardState {
    id: ShardId,
    core: ShardCore,
    services: Arc<Services>,
    waiters: HashMap<Token, Waiter>,
    last_token: Token,
    flush_is_due: bool,
    out: Vec<Output>,
    /// A snapshot on its way from another node.
    fetching: Option<JoinHandle<()>>,
    /// What the last look at the catalogue found.
    looked: Look,
}

impl Actor for ShardActor {
    type Msg = ShardMessage;
    type State = ShardState;
    type Arguments = (ShardId, ShardCore, Arc<Services>);

    async fn pre_start(
        &self,
        _myself: ActorRef<ShardMessage>,
        (id, core, services): Self::Arguments,
    ) -> Result<ShardState, ActorProcessingErr> {
        Ok(ShardState {
            id,
            core,
            services,
            waiters: HashMap::new(),
            last_token: 0,
            flush_is_due: false,
            out: Vec::new(),
            fetching: None,
            looked: Look::default(),
        })
    }

    async fn handle(
        &self,
        myself: ActorRef<ShardMessage>,
        message: ShardMessage,
        state: &mut ShardState,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            ShardMessage::Command(command, waiter) => {
                let token = state.wait(waiter);
                state.step(Input::Command { token, command });
            }
            ShardMessage::Query(query, waiter) => {
                let token = state.wait(waiter);
                state.step(Input::Query { token, query });
            }
            // Time stands still for a node that may take no part.
            ShardMessage::Input(Input::Tick) if !state.services.is_admitted() => return Ok(()),
            ShardMessage::Input(input) => state.step(input),
            ShardMessage::ChangeMembers(change, waiter) => {
                let token = state.wait(waiter);
                state.step(Input::ChangeMembers { token, change });
            }
            ShardMessage::Start if !state.services.is_admitted() => {}
            ShardMessage::Start | ShardMessage::Admitted => {
                state.core.start(now(), &mut state.out);
            }
            ShardMessage::ChangesAfter { index, reply } => {
                // Whoever asked may have gone.
                reply.send(state.core.changes_after(index, &mut state.out)).ok();
            }
            ShardMessage::Flush => {
                state.flush_is_due = false;
                state.look_at_catalogue();
                state.core.flush(now(), &mut state.out);
                state.carry_out(&myself);
                return Ok(());
            }
            ShardMessage::Status(reply) => return answered(reply, state.core.status()),
            ShardMessage::Report(reply) => return answered(reply, state.core.report()),
            ShardMessage::IsSettled(reply) => return answered(reply, state.core.is_settled()),
            ShardMessage::Cursor { consumer, reply } => {
                return answered(reply, state.core.cursor(consumer));
            }
            ShardMessage::LeadView(reply) => return answered(reply, state.core.lead_view()),
            ShardMessage::PartOf { node, reply } => {
                return answered(reply, state.core.part_of(node));
            }
            ShardMessage::Forget { as_of, reply } => {
                if let Some(records) = state.core.forget(as_of, &mut state.out) {
                    reply.send(state.services.log.append_durably(records)).ok();
                }
            }
            ShardMessage::Point { start, pointer, reply } => {
                state.point(start, pointer, reply);
                return Ok(());
            }
            ShardMessage::WalkStart(reply) => return answered(reply, state.core.walk_start()),
            ShardMessage::WalkStep { walk, after, reply } => {
                return answered(reply, state.core.walk_step(walk, after.as_ref()));
            }
            ShardMessage::SetFloor { position, reply } => {
                state.set_floor(position, reply);
                return Ok(());
            }
            ShardMessage::IndexStep { after, reply } => {
                state.index_step(after.as_ref(), reply, &myself);
                return Ok(());
            }
        }
        state.carry_out(&myself);
        if !state.flush_is_due {
            state.flush_is_due = true;
            myself.cast(ShardMessage::Flush)?;
        }
        Ok(())
    }
}

impl ShardState {
    fn wait(&mut self, waiter: Waiter) -> Token {
        self.last_token += 1;
        self.waiters.insert(self.last_token, waiter);
        self.last_token
    }

    fn step(&mut self, input: Input) {
        self.core.step(now(), input, &mut self.out);
    }

    /// Right before a turn: a process may have been stopped for long before it got here.
    fn look_at_catalogue(&mut self) {
        if let Some((look, catalogue)) = self.services.shelf.look(self.looked) {
            self.looked = look;
            self.step(Input::Catalogue(catalogue));
        }
    }

    fn carry_out(&mut self, myself: &ActorRef<ShardMessage>) {
        let mut out = std::mem::take(&mut self.out);
        for output in out.drain(..) {
            self.carry_out_one(output, myself);
        }
        self.out = out;
        if let Some(progress) = self.services.progress_of(self.id) {
            progress.learn(self.id, &self.core);
        }
        self.services.learn_leader(self.id, self.known_leader());
        if self.id == ShardId::CATALOGUE {
            self.services.shelf.replica_applied(self.core.applied.0);
        }
    }

    fn known_leader(&self) -> Known {
        match self.core.other_leader() {
            _ if self.core.is_fenced() => Known::Fenced,
            _ if self.core.leads() => Known::Here,
            _ if !self.core.is_held() => Known::NotHeld(None),
            Some(node) => Known::There(node),
            None => Known::Nobody,
        }
    }

    fn carry_out_one(&mut self, output: Output, myself: &ActorRef<ShardMessage>) {
        let services = &self.services;
        match output {
            Output::Append { number, records } => {
                services.metrics.turns.inc();
                let bytes = services.log.append(self.id, number, records);
                services.appended(self.id, bytes);
            }
            Output::AppendLazily(record) => services.log.append_lazily(record),
            Output::Send { to, message } => {
                if services.network.get().is_some() && services.is_admitted() {
                    services.pulse.send(self.id, to, &message);
                }
            }
            Output::Rests(rest) => services.pulse.rests(self.id, rest),
            Output::Wakes => services.pulse.wakes(self.id),
            Output::CannotRest { leader } => services.pulse.cannot_rest(self.id, leader),
            Output::SnapshotWanted => services.snapshot_wanted(self.id),
            // Who has a part is read where it matters, from the group itself.
            Output::Members(_) => {}
            Output::ReadLog { from, to } => self.read_log(from, to, myself),
            Output::Fetch { from, offer } => self.fetch(from, offer, myself),
            Output::Install { offer, file } => self.install(offer, file, myself),
            Output::Reply { token, reply } => {
                if let Some(waiter) = self.waiters.remove(&token) {
                    // A caller past its deadline is gone; the outcome stands.
                    waiter.reply.send(reply).ok();
                    drop(waiter.permit);
                }
            }
            Output::Load { entity } => self.load(entity, myself),
            Output::Store { entity, position, record } => {
                self.store(entity, position, record, myself);
            }
            Output::Tell { target, tell } => {
                services.bring(target, Question::Tell { group: target, tell });
            }
            Output::AckTells { source, up_to } => {
                let target = self.id;
                services.bring(source, Question::TellsAcked { group: source, target, up_to });
            }
            Output::Invoke { entity, invocation } => {
                services.ports.invoke(self.id, entity, invocation);
            }
            Output::Published { index } => services.feed.published(self.id, index),
            Output::Leads(leads) => services.leads(self.id, leads),
            Output::Panicked { entity, id } => {
                services.metrics.panics.inc();
                tracing::error!(
                    shard.id = %self.id,
                    entity.kind = entity.kind.0,
                    command.router = id.router,
                    command.number = id.number,
                    "an entity panicked; the command was refused"
                );
            }
            Output::Quarantined { what } => {
                services.metrics.quarantined.inc();
                tracing::error!(shard.id = %self.id, "{what} could not be processed");
            }
            Output::ClockStepped { step } => {
                let step_ms = step.as_micros() / 1_000;
                tracing::warn!(shard.id = %self.id, step_ms, "the clock jumped forward");
            }
            Output::IndexDamaged { why } => services.index_failed(&why),
            Output::Fenced { why } => services.fenced(self.id, &why),
        }
    }

    fn point(&self, start: u64, pointer: Record, reply: oneshot::Sender<oneshot::Receiver<()>>) {
        if self.core.log_start() < start {
            // Whoever asked may have gone.
            reply.send(self.services.log.append_durably(vec![pointer])).ok();
        }
    }

    fn set_floor(&self, position: u64, reply: oneshot::Sender<Result<bool, IndexFault>>) {
        if self.core.is_installing() || self.core.log_start() > position {
            // Whoever asked may have gone.
            reply.send(Ok(false)).ok();
            return;
        }
        let done = Box::new(move |set: Result<(), IndexFault>| {
            reply.send(set.map(|()| true)).ok();
        });
        self.services.submit(IndexJob::SetFloor { shard: self.id.0, position, done });
    }

    /// Writes go through this actor, and so keep their order with those of leaving entities: an
    /// older record can never replace a newer one.
    fn index_step(
        &self,
        after: Option<&EntityRef>,
        reply: IndexStepDone,
        myself: &ActorRef<ShardMessage>,
    ) {
        let step = self.core.walk_step(Walk::Unindexed, after);
        let write = |key: Vec<u8>, stored: Stored| IndexWrite {
            shard: self.id.0,
            key: Bytes::from(key),
            position: stored.position,
            body: Some(Bytes::from(stored.bytes)),
        };
        let mut writes = Vec::with_capacity(step.walked.len() + 1);
        let mut indexed = Vec::with_capacity(step.walked.len());
        for walked in step.walked {
            if let Walked::Record { entity, stored } = walked {
                indexed.push((entity.clone(), stored.position));
                writes.push(write(encode_ref(&entity), stored));
            }
        }
        if step.next_after.is_none() {
            // Without its header a floor means nothing: dropping `reply` puts it off.
            let Some(header) = self.core.stored_header() else { return };
            writes.push(write(HEADER_KEY.to_vec(), header));
        }
        let myself = myself.clone();
        let done = Box::new(move |written: Result<(), IndexFault>| {
            if written.is_ok() {
                for (entity, position) in indexed {
                    let input = Input::Indexed { entity, position, bytes: 0 };
                    // As in `load`.
                    myself.cast(ShardMessage::Input(input)).ok();
                }
            }
            reply.send(written.map(|()| step.next_after)).ok();
        });
        self.services.submit(IndexJob::Write { writes, done });
    }

    fn read_log(&self, from: u64, to: u64, myself: &ActorRef<ShardMessage>) {
        let read = self.services.log.read(group_of(self.id), from, to);
        let myself = myself.clone();
        tokio::spawn(async move {
            // What is trimmed by now, or cannot be read, a follower gets from a snapshot.
            let entries = read.await.ok().and_then(Result::ok).unwrap_or_default();
            // As in `load`.
            myself.cast(ShardMessage::Input(Input::LogRead { from, entries })).ok();
        });
    }

    fn fetch(&mut self, from: NodeId, offer: SnapshotOffer, myself: &ActorRef<ShardMessage>) {
        let (services, shard) = (Arc::clone(&self.services), self.id);
        let myself = myself.clone();
        let fetch = async move {
            let fetched = match services.fetch(from, &offer).await {
                Ok(file) => Input::Fetched { offer, file },
                Err(error) => {
                    let error = explained(&error);
                    tracing::info!(shard.id = %shard, peer.id = from.0, %error, "no snapshot yet");
                    Input::FetchFailed(offer)
                }
            };
            // As in `load`.
            myself.cast(ShardMessage::Input(fetched)).ok();
        };
        if let Some(replaced) = self.fetching.replace(tokio::spawn(fetch)) {
            replaced.abort();
        }
    }

    fn install(&self, offer: SnapshotOffer, file: String, myself: &ActorRef<ShardMessage>) {
        let (services, shard) = (Arc::clone(&self.services), self.id);
        let myself = myself.clone();
        tokio::spawn(async move {
            let installed = match services.install(offer, file).await {
                Ok(base) => Input::Installed(Box::new(base)),
                Err(error) => Input::InstallFailed { why: explained(&error) },
            };
            tracing::info!(shard.id = %shard, "the replica goes on from another one's snapshot");
            // As in `load`.
            myself.cast(ShardMessage::Input(installed)).ok();
        });
    }

    fn load(&self, entity: EntityRef, myself: &ActorRef<ShardMessage>) {
        self.services.metrics.loads.inc();
        let myself = myself.clone();
        let services = Arc::clone(&self.services);
        let key = Bytes::from(encode_ref(&entity));
        let done = Box::new(move |read: Result<Option<IndexRecord>, IndexFault>| match read {
            Ok(record) => {
                let stored = record.and_then(|r| r.body.map(|body| (r.position, body.to_vec())));
                let loaded = Input::Loaded { entity, stored };
                // The actor outlives everything but the end of the process.
                myself.cast(ShardMessage::Input(loaded)).ok();
            }
            Err(fault) => services.index_fault(&fault),
        });
        self.services.submit(IndexJob::Read { shard: self.id.0, key, done });
    }

    fn store(
        &self,
        entity: EntityRef,
        position: u64,
        record: Vec<u8>,
        myself: &ActorRef<ShardMessage>,
    ) {
        self.services.metrics.passivations.inc();
        let key = Bytes::from(encode_ref(&entity));
        let bytes = record.len();
        let write = IndexWrite { shard: self.id.0, key, position, body: Some(Bytes::from(record)) };
        let myself = myself.clone();
        let services = Arc::clone(&self.services);
        let done = Box::new(move |written: Result<(), IndexFault>| match written {
            Ok(()) => {
                let indexed = Input::Indexed { entity, position, bytes };
                // As above.
                myself.cast(ShardMessage::Input(indexed)).ok();
            }
            Err(fault) => services.index_fault(&fault),
        });
        self.services.submit(IndexJob::Write { writes: vec![write], done });
    }
}

/// Whoever asked may have gone.
fn answered<T>(reply: oneshot::Sender<T>, answer: T) -> Result<(), ActorProcessingErr> {
    reply.send(answer).ok();
    Ok(())
}

fn now() -> Timestamp {
    Timestamp::from_micros(clock::wall_micros())
}
