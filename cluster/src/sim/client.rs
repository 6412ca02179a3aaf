//! A client with the router in front of it: one operation at a time, tried at any node, following
//! hints, with the same command id, until it has its outcome or its deadline passes.
//!
//! **Invariants:** an operation without an outcome is unknown, never "did not happen": a copy of an
//! attempt may still be on its way. A number is settled only when nothing of it is tried again.

use std::collections::BTreeMap;

use crate::fabric::{OutcomeKey, Precondition};
use crate::ids::{EntityRef, NodeId, ShardId};
use crate::shard::entry::CommandId;
use crate::shard::io::{Command, Freshness, Query, Reply, Token};
use crate::shard::pursuit::{Pursuit, Refusal, Refusals, Taken};
use crate::sim::net::Packet;
use crate::time::{Span, Timestamp};

/// Before an attempt without an answer is given up.
const ATTEMPT: Span = Span::from_millis(1_500);
const PAUSE: Span = Span::from_millis(30);
/// Attempts of one client that tokens tell apart.
const ATTEMPTS: u64 = 1 << 40;

/// What a client wants done.
#[derive(Clone, Debug)]
pub enum Wish {
    Command { key: Option<OutcomeKey>, body: Vec<u8> },
    Query { freshness: Freshness, at_least: u64, body: Vec<u8> },
}

/// An operation and what became of it.
#[derive(Clone, Debug)]
pub struct Finished {
    /// As the workload numbered it.
    pub op: u64,
    pub invoked_at: Timestamp,
    pub done_at: Timestamp,
    /// Nothing: unknown.
    pub reply: Option<Reply>,
    /// Whether more than one attempt was made.
    pub retried: bool,
}

pub(crate) struct Client {
    id: u64,
    attempts: u64,
    numbers: BTreeMap<ShardId, u64>,
    /// Where each shard was led from last.
    leaders: BTreeMap<ShardId, NodeId>,
    open: Option<Open>,
}

struct Open {
    op: u64,
    entity: EntityRef,
    shard: ShardId,
    wish: Wish,
    number: u64,
    invoked_at: Timestamp,
    deadline: Timestamp,
    pursuit: Pursuit,
    first_attempt: u64,
    try_at: Timestamp,
    /// The last attempt has no answer yet.
    unanswered: bool,
}

impl Client {
    pub(crate) fn new(nth: u64) -> Self {
        let (numbers, leaders) = (BTreeMap::new(), BTreeMap::new());
        Self { id: nth, attempts: 0, numbers, leaders, open: None }
    }

    /// Which client waits for a token.
    pub(crate) fn of(token: Token) -> u64 {
        token / ATTEMPTS
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.open.is_none()
    }

    pub(crate) fn begin(
        &mut self,
        op: u64,
        entity: EntityRef,
        shard: ShardId,
        wish: Wish,
        now: Timestamp,
        patience: Span,
    ) {
        let refusals = match &wish {
            Wish::Command { key: None, .. } => Refusals::Forgotten,
            Wish::Command { key: Some(_), .. } | Wish::Query { .. } => Refusals::Recorded,
        };
        let number = self.numbers.entry(shard).or_default();
        *number += 1;
        self.open = Some(Open {
            op,
            entity,
            shard,
            wish,
            number: *number,
            invoked_at: now,
            deadline: now.plus(patience),
            pursuit: Pursuit::until(now.plus(patience), refusals),
            first_attempt: self.attempts + 1,
            try_at: now,
            unanswered: false,
        });
    }

    /// Does what is due. `elsewhere` is a node to try when nobody is known to lead.
    pub(crate) fn act(&mut self, now: Timestamp, elsewhere: NodeId) -> Act {
        let Some(open) = &mut self.open else { return Act::Nothing };
        if now >= open.deadline {
            return self.finish(None, now).map_or(Act::Nothing, Act::Finished);
        }
        if now < open.try_at {
            return Act::Nothing;
        }
        // An earlier attempt went unanswered: its node may be gone.
        if open.unanswered {
            self.leaders.remove(&open.shard);
            open.pursuit.lost_sight();
        }
        open.unanswered = true;
        open.try_at = now.plus(ATTEMPT);
        self.attempts += 1;
        let token = self.id * ATTEMPTS + self.attempts;
        let anywhere = match &open.wish {
            Wish::Query { freshness: Freshness::Position, .. } => true,
            // Followers ask their leader for those.
            Wish::Query { freshness: Freshness::Latest, .. } => open.op.is_multiple_of(2),
            Wish::Command { .. } => false,
        };
        let leader = self.leaders.get(&open.shard).copied().filter(|_| !anywhere);
        let to = leader.unwrap_or(elsewhere);
        Act::Send { to, packet: open.packet(self.id, token) }
    }

    pub(crate) fn take(&mut self, token: Token, reply: Reply, now: Timestamp) -> Option<Finished> {
        let open = self.open.as_mut()?;
        if token % ATTEMPTS < open.first_attempt {
            return None;
        }
        let is_last = token % ATTEMPTS == self.attempts;
        if let Reply::NotLeader { hint: Some(leader) } = reply {
            self.leaders.insert(open.shard, leader);
        } else if matches!(reply, Reply::NotLeader { hint: None } | Reply::Unknown) {
            self.leaders.remove(&open.shard);
        }
        match open.pursuit.take(reply, open.deadline.since(now)) {
            Taken::Outcome(reply) => self.finish(Some(reply), now),
            Taken::Again => self.try_again(is_last, now),
            Taken::Refused(Refusal::UnknownPosition) => {
                self.finish(Some(Reply::UnknownPosition), now)
            }
            // Another attempt may have been in time.
            Taken::Refused(Refusal::TooLate | Refusal::Unsettled) => self.finish(None, now),
            // Whoever is refused asks again, and perhaps another one.
            Taken::Refused(Refusal::Busy { .. } | Refusal::StorageFull | Refusal::Fenced) => {
                self.leaders.remove(&open.shard);
                self.try_again(is_last, now)
            }
        }
    }

    fn try_again(&mut self, is_last: bool, now: Timestamp) -> Option<Finished> {
        let open = self.open.as_mut().filter(|_| is_last)?;
        open.try_at = now.plus(PAUSE);
        open.unanswered = false;
        None
    }

    fn finish(&mut self, reply: Option<Reply>, now: Timestamp) -> Option<Finished> {
        let open = self.open.take()?;
        let retried = self.attempts > open.first_attempt;
        let Open { op, invoked_at, .. } = open;
        Some(Finished { op, invoked_at, done_at: now, reply, retried })
    }
}

pub(crate) enum Act {
    Nothing,
    Send { to: NodeId, packet: Packet },
    Finished(Finished),
}

impl Open {
    fn packet(&self, router: u64, token: Token) -> Packet {
        let (shard, entity, not_after) =
            (self.shard, self.entity.clone(), self.pursuit.not_after());
        match self.wish.clone() {
            Wish::Command { key, body } => {
                let command = Command {
                    entity,
                    id: CommandId { router: router + 1, number: self.number },
                    settled_below: self.number,
                    not_after,
                    key,
                    precondition: Precondition::None,
                    body,
                    origin: None,
                };
                Packet::Command { shard, token, command }
            }
            Wish::Query { freshness, at_least, body } => {
                let query = Query { entity, at_least, freshness, not_after, body };
                Packet::Query { shard, token, query }
            }
        }
    }
}
