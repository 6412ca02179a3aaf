//! Deciding one command: what is known of it, what its entity says, what is recorded.
//!
//! **Invariants:** a command known by its id or its key is answered, not decided; a refusal is
//! recorded where someone may ask again (a key) or must move on (a channel, a timer, a port); a
//! final answer that is one only because time passed is told once that time is in the log, or a
//! later leader with a slower clock could accept what was refused for good; a panic is contained to
//! its command. What is only looked at is told without that.

use std::panic::{AssertUnwindSafe, catch_unwind};

use sha2::{Digest, Sha256};

use crate::entity::{Context, Effect};
use crate::fabric::Precondition;
use crate::ids::EntityRef;
use crate::mutants::Mutant;
use crate::shard::clock::APART_MAX;
use crate::shard::core::ShardCore;
use crate::shard::dedupe::{KeyedAnswer, Recall};
use crate::shard::entry::{Bytes, Cause, Outcome, Routed, Verdict};
use crate::shard::io::{Command, Output, Reply, Token};
use crate::shard::kind::{Refused, Resolved};
use crate::shard::lead::Work;
use crate::shard::outbox::Tell;
use crate::shard::speculate::Untakable;
use crate::shard::turn::Turn;
use crate::time::{Span, Timestamp};

/// What an entity made of a command.
#[derive(PartialEq)]
pub(crate) enum Decided {
    Accepted(Resolved),
    Rejected(Vec<u8>),
    NotNow(Vec<u8>),
    Malformed(String),
    Panicked,
}

impl Decided {
    /// Whether it is final and yet nothing that an entry would hold.
    fn leaves_no_trace(&self) -> bool {
        match self {
            Self::Accepted(Resolved { events, effects, .. }) => {
                events.is_empty() && effects.is_empty()
            }
            Self::Rejected(_) => true,
            Self::NotNow(_) | Self::Malformed(_) | Self::Panicked => false,
        }
    }
}

impl ShardCore {
    pub(crate) fn decide_work(&mut self, turn: &mut Turn, work: Work, out: &mut Vec<Output>) {
        match work {
            Work::Command { token, command } => self.decide_command(turn, token, command, out),
            Work::TimerDue(due) => {
                if self.residents.is_cold(&due.entity) {
                    self.park_work(due.entity.clone(), Work::TimerDue(due), out);
                    return;
                }
                self.residents.no_longer_want(&due.entity);
                let latest = self.residents.hot(&due.entity).map(|resident| resident.latest());
                let timer = latest.and_then(|record| record.timer(due.name));
                if timer.is_none_or(|timer| timer.set_at != due.set_at) {
                    // Replaced or cancelled since it came due.
                    if let Some(lead) = &mut self.lead {
                        lead.firing.remove(&due);
                    }
                    return;
                }
                let kind = self.kinds.find(due.entity.kind);
                let command = contained(|| kind.and_then(|kind| kind.timer_command(due.name)));
                let cause = Cause::TimerFired { name: due.name, set_at: due.set_at };
                self.decide_internal(turn, due.entity, cause, command, out);
            }
            Work::Answered { entity, invocation, answer } => {
                if self.residents.is_cold(&entity) {
                    let work = Work::Answered { entity: entity.clone(), invocation, answer };
                    self.park_work(entity, work, out);
                    return;
                }
                self.residents.no_longer_want(&entity);
                let latest = self.residents.hot(&entity).map(|resident| resident.latest());
                let open = latest.and_then(|record| record.invocation(invocation));
                let Some(port) = open.map(|open| open.port) else { return };
                let kind = self.kinds.find(entity.kind);
                let command =
                    contained(|| kind.and_then(|kind| kind.answer_command(port, &answer)));
                self.decide_internal(turn, entity, Cause::Answered { invocation }, command, out);
            }
        }
    }

    /// Decides the tells at hand, source by source, stopping a source at a cold receiver.
    pub(crate) fn decide_told(&mut self, turn: &mut Turn, out: &mut Vec<Output>) {
        let sources: Vec<_> = self.lead.iter().flat_map(|lead| lead.told.keys().copied()).collect();
        for source in sources {
            while !turn.is_full() {
                let queue = self.lead.as_mut().and_then(|lead| lead.told.get_mut(&source));
                let Some(next) = queue.and_then(|queue| queue.pop_front()) else { break };
                if self.residents.is_cold(&next.to) {
                    self.load(&next.to, out);
                    if let Some(lead) = &mut self.lead {
                        lead.told.entry(source).or_default().push_front(next);
                    }
                    break;
                }
                self.decide_tell(turn, next, out);
            }
        }
        if let Some(lead) = &mut self.lead {
            lead.told.retain(|_, queue| !queue.is_empty());
        }
    }

    fn decide_tell(&mut self, turn: &mut Turn, tell: Tell, out: &mut Vec<Output>) {
        let Tell { from, incarnation, seq, to, command } = tell;
        self.residents.no_longer_want(&to);
        if let Some(lead) = &mut self.lead {
            lead.speculation.received.insert((incarnation, from), seq);
        }
        let cause = Cause::Told { from, incarnation, seq };
        self.decide_internal(turn, to, cause, Some(command), out);
    }

    /// Decides a command nobody waits for. Whatever becomes of it is recorded: its channel, timer
    /// or port must move on.
    fn decide_internal(
        &mut self,
        turn: &mut Turn,
        entity: EntityRef,
        cause: Cause,
        command: Option<Vec<u8>>,
        out: &mut Vec<Output>,
    ) {
        let decided = command.map_or(Decided::Malformed(String::new()), |command| {
            self.decide(turn, &entity, &command)
        });
        let verdict = match decided {
            Decided::Accepted(Resolved { events, effects, .. }) => {
                let events = events.into_iter().map(Bytes).collect();
                Verdict::Accepted { events, effects, reply: None }
            }
            Decided::Rejected(rejection) | Decided::NotNow(rejection) => {
                Verdict::Rejected(Bytes(rejection))
            }
            Decided::Malformed(_) | Decided::Panicked => Verdict::Quarantined,
        };
        if verdict == Verdict::Quarantined {
            out.push(Output::Quarantined { what: "an internal command" });
        }
        let outcome = Outcome { entity, cause, verdict };
        let Err(untaken) = self.take(turn, outcome, out) else { return };
        let mut outcome = untaken.outcome;
        outcome.verdict = Verdict::Quarantined;
        out.push(Output::Quarantined { what: "an internal command" });
        // A quarantined outcome changes nothing but the fabric's own bookkeeping.
        if self.take(turn, outcome, out).is_err() {
            self.fence("a quarantined command cannot be recorded".to_owned(), out);
        }
    }

    fn decide_command(
        &mut self,
        turn: &mut Turn,
        token: Token,
        command: Command,
        out: &mut Vec<Output>,
    ) {
        if command.not_after < turn.time {
            return turn.hold(token, Reply::Expired { at: turn.time });
        }
        if self.residents.is_cold(&command.entity) {
            let entity = command.entity.clone();
            return self.park_work(entity, Work::Command { token, command }, out);
        }
        self.residents.no_longer_want(&command.entity);
        if let Some(reply) = self.known_id(&command) {
            return turn.hold(token, reply);
        }
        if let Some(reply) = self.kept_under_key(turn.time, &command) {
            return turn.hold(token, reply);
        }
        let routed = Routed {
            id: command.id,
            settled_below: command.settled_below,
            not_after: command.not_after,
        };
        let (verdict, reply) = match self.judge(turn, &command, out) {
            Ok(judged) => judged,
            Err(reply @ Reply::Rejected { .. }) if Mutant::RefusalSentEarly.is_planted() => {
                return out.push(Output::Reply { token, reply });
            }
            Err(reply) => return turn.hold(token, reply),
        };
        let cause = match command.key {
            Some(key) => Cause::Keyed { routed, key },
            None => Cause::Routed(routed),
        };
        let outcome = Outcome { entity: command.entity, cause, verdict };
        match self.take(turn, outcome, out) {
            Ok(seq) => {
                if let Some(lead) = &mut self.lead {
                    lead.speculation.ids.insert(routed.id);
                }
                turn.hold(token, with_seq(reply, seq));
            }
            Err(untaken) => match untaken.why {
                Untakable::Panicked => {
                    let entity = untaken.outcome.entity;
                    out.push(Output::Panicked { entity, id: routed.id });
                    turn.hold(token, Reply::Panicked);
                }
                Untakable::RecordFull => turn.hold(token, Reply::RecordFull),
            },
        }
    }

    /// The verdict on a command and the reply to it, or the reply alone when there is nothing to
    /// record: only a client's key makes a refusal worth remembering.
    fn judge(
        &self,
        turn: &mut Turn,
        command: &Command,
        out: &mut Vec<Output>,
    ) -> Result<(Verdict, Reply), Reply> {
        let keyed = |verdict, reply| match command.key {
            Some(_) => Ok((verdict, reply)),
            None => Err(reply),
        };
        let before = self.latest_seq(&command.entity);
        if !self.precondition_holds(command) {
            let seq = before.unwrap_or(0);
            let reply = Reply::PreconditionFailed { seq, index: turn.index, replayed: false };
            return keyed(Verdict::PreconditionFailed, reply);
        }
        let decided = self.decide(turn, &command.entity, &command.body);
        if command.key.is_none()
            && decided.leaves_no_trace()
            && self.came_with_time(turn, command, &decided)
        {
            turn.record_time();
        }
        match decided {
            Decided::Accepted(resolved) => self.accepted(resolved, command, turn, before),
            Decided::NotNow(rejection) => Err(rejected(rejection, before, turn.index)),
            Decided::Rejected(rejection) => {
                let reply = rejected(rejection.clone(), before, turn.index);
                keyed(Verdict::Rejected(Bytes(rejection)), reply)
            }
            Decided::Malformed(why) => Err(Reply::Malformed { why }),
            Decided::Panicked => {
                let (entity, id) = (command.entity.clone(), command.id);
                out.push(Output::Panicked { entity, id });
                Err(Reply::Panicked)
            }
        }
    }

    /// Whether the answer would have been another at the time that the log already holds.
    fn came_with_time(&self, turn: &Turn, command: &Command, decided: &Decided) -> bool {
        let Some(recorded) = self.lead.as_ref().map(|lead| lead.speculation.time) else {
            return false;
        };
        // A later leader begins somewhere from the recorded time on: where that is long ago, clocks
        // are still no further apart than this.
        let soonest = recorded.max(turn.time.minus(APART_MAX));
        let differs = |at| self.decide_at(at, turn, &command.entity, &command.body) != *decided;
        // An entry that is made anyway carries the time.
        turn.makes_no_entry() && (differs(recorded) || soonest > recorded && differs(soonest))
    }

    /// The verdict and the reply of an accepted command, or the reply alone when there is nothing
    /// to record or it may not be.
    fn accepted(
        &self,
        mut resolved: Resolved,
        command: &Command,
        turn: &Turn,
        before: Option<u64>,
    ) -> Result<(Verdict, Reply), Reply> {
        let keyed = command.key.is_some();
        self.testify(&mut resolved, command, turn, before.unwrap_or(0))?;
        let Resolved { events, effects, reply } = resolved;
        if effects.iter().any(|effect| self.is_congested_for(effect)) {
            return Err(Reply::Busy { retry_after: Span::from_secs(1) });
        }
        let answer = Reply::Accepted {
            reply: Some(reply.clone()),
            seq: before.unwrap_or(0),
            index: turn.index,
            replayed: false,
        };
        if events.is_empty() && effects.is_empty() && !keyed {
            return Err(answer);
        }
        let events = events.into_iter().map(Bytes).collect();
        let reply = keyed.then_some(Bytes(reply));
        Ok((Verdict::Accepted { events, effects, reply }, answer))
    }

    /// Whether an effect is a tell whose channel may take no more.
    fn is_congested_for(&self, effect: &Effect) -> bool {
        let (Effect::Tell { to, .. }, Some(lead)) = (effect, &self.lead) else { return false };
        let target = self.home_of(to);
        self.header.channels.is_congested(target, &lead.speculation.tell_bytes)
    }

    /// What is known of a router's command id: done, or on its way.
    fn known_id(&self, command: &Command) -> Option<Reply> {
        let lead = self.lead.as_ref()?;
        if lead.speculation.ids.contains(&command.id) {
            return Some(Reply::Unknown);
        }
        if !self.header.sessions.is_done(command.id) || command.key.is_some() {
            return None;
        }
        let seq = self.latest_seq(&command.entity).unwrap_or(0);
        Some(Reply::Accepted { reply: None, seq, index: self.header.position, replayed: true })
    }

    /// What was answered under the command's key, or why the key cannot be used.
    fn kept_under_key(&self, now: Timestamp, command: &Command) -> Option<Reply> {
        let key = command.key.as_ref()?;
        let extra = self.residents.hot(&command.entity)?.latest().extra.as_deref()?;
        let outcome = match extra.keyed.recall(key, now) {
            Recall::Unknown => return None,
            Recall::Conflict => return Some(Reply::KeyConflict),
            Recall::Full => return Some(Reply::TooManyKeys),
            Recall::Same(outcome) => outcome,
        };
        let (seq, index, replayed) = (outcome.seq, outcome.index, true);
        Some(match outcome.answer.clone() {
            KeyedAnswer::Accepted(Bytes(reply)) => {
                Reply::Accepted { reply: Some(reply), seq, index, replayed }
            }
            KeyedAnswer::Rejected(Bytes(rejection)) => {
                Reply::Rejected { rejection, seq, index, replayed }
            }
            KeyedAnswer::PreconditionFailed => Reply::PreconditionFailed { seq, index, replayed },
            KeyedAnswer::Dropped => Reply::ReplyExpired,
        })
    }

    fn precondition_holds(&self, command: &Command) -> bool {
        let latest = self.residents.hot(&command.entity).map(|resident| resident.latest());
        let exists = || latest.is_some_and(|record| record.state.exists());
        match command.precondition {
            Precondition::None => true,
            Precondition::Exists => exists(),
            Precondition::Absent => !exists(),
            Precondition::Seq(expected) => expected == latest.map_or(0, |record| record.seq),
        }
    }

    fn latest_seq(&self, entity: &EntityRef) -> Option<u64> {
        self.residents.hot(entity).map(|resident| resident.latest().seq)
    }

    pub(crate) fn decide(&self, turn: &Turn, entity: &EntityRef, command: &[u8]) -> Decided {
        self.decide_at(turn.time, turn, entity, command)
    }

    fn decide_at(
        &self,
        now: Timestamp,
        turn: &Turn,
        entity: &EntityRef,
        command: &[u8],
    ) -> Decided {
        let Some(kind) = self.kinds.find(entity.kind) else {
            return Decided::Malformed(format!("unknown entity kind {}", entity.kind.0));
        };
        let ctx = Context {
            now,
            me: entity,
            entropy: self.entropy(turn),
            catalogue: self.catalogue.as_ref().map_err(|none| *none),
        };
        let decided = catch_unwind(AssertUnwindSafe(|| match self.residents.hot(entity) {
            Some(resident) => resident.latest().state.decide(command, &ctx),
            None => kind.blank().decide(command, &ctx),
        }));
        match decided {
            Ok(Ok(resolved)) => Decided::Accepted(resolved),
            Ok(Err(Refused::Rejected(rejection))) => Decided::Rejected(rejection),
            Ok(Err(Refused::NotNow(rejection))) => Decided::NotNow(rejection),
            Ok(Err(Refused::Malformed(error))) => Decided::Malformed(error.to_string()),
            Err(_panic) => Decided::Panicked,
        }
    }

    /// Random bytes for one decision: drawn from the term's seed, so that the same inputs give the
    /// same run.
    fn entropy(&self, turn: &Turn) -> [u8; 32] {
        let mut hasher = Sha256::new();
        hasher.update(self.seed);
        hasher.update(turn.index.to_be_bytes());
        hasher.update(turn.items.len().to_be_bytes());
        hasher.finalize().into()
    }
}

/// Runs an entity's code; a panic counts as nothing to say.
fn contained<T>(code: impl FnOnce() -> Option<T>) -> Option<T> {
    catch_unwind(AssertUnwindSafe(code)).unwrap_or(None)
}

fn rejected(rejection: Vec<u8>, seq: Option<u64>, index: u64) -> Reply {
    Reply::Rejected { rejection, seq: seq.unwrap_or(0), index, replayed: false }
}

fn with_seq(reply: Reply, seq_after: u64) -> Reply {
    match reply {
        Reply::Accepted { reply, index, replayed, .. } => {
            Reply::Accepted { reply, seq: seq_after, index, replayed }
        }
        Reply::Rejected { .. }
        | Reply::Viewed { .. }
        | Reply::PreconditionFailed { .. }
        | Reply::KeyConflict
        | Reply::ReplyExpired
        | Reply::TooManyKeys
        | Reply::Panicked
        | Reply::Malformed { .. }
        | Reply::RecordFull
        | Reply::Busy { .. }
        | Reply::StorageFull
        | Reply::UnknownPosition
        | Reply::Expired { .. }
        | Reply::Unknown
        | Reply::NotLeader { .. }
        | Reply::Changing { .. }
        | Reply::ChangeRefused { .. }
        | Reply::Fenced => reply,
    }
}
