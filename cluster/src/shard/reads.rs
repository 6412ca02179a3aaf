//! Linearizable reads: asked in batches, served from committed state.
//!
//! **Invariants:** a read of the latest state is served only after the group confirmed leadership
//! *after* the read arrived, and from a state that holds everything committed, and everything already
//! decided for its entity, at that moment; one at a position asks nobody, wherever it is served.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::entity::Context;
use crate::mutants::Mutant;
use crate::shard::core::ShardCore;
use crate::shard::io::{Freshness, Output, Query, Reply, Token};
use crate::shard::lead::Held;
use crate::shard::unanswered;
use crate::time::Timestamp;

#[derive(Default)]
pub(crate) struct Reads {
    /// Unlike that of any other replica, and of this one's earlier starts: questions of all of them
    /// meet at the leader.
    asker: [u8; 8],
    /// Arrived since the last question.
    fresh: Question,
    /// Waiting for the group's answer, by the question's number.
    asked: BTreeMap<u64, Question>,
    /// Confirmed or in no need of it, waiting until this index is applied.
    confirmed: BTreeMap<u64, Vec<Read>>,
    last_number: u64,
    ticks: u64,
}

/// What one question to the group is asked for.
#[derive(Default)]
struct Question {
    reads: Vec<Read>,
    /// Decided on the latest state this replica knows: right if it still led afterwards.
    replies: Vec<Held>,
}

/// Two heartbeats: after that a question counts as lost.
const TICKS_PER_QUESTION: u64 = 4;

pub(crate) struct Read {
    pub(crate) token: Token,
    pub(crate) query: Query,
    /// Not before this index.
    required: u64,
}

impl Reads {
    pub(crate) fn new(asker: [u8; 8]) -> Self {
        let asker = if Mutant::ReadContextsShared.is_planted() { [0; 8] } else { asker };
        Self { asker, ..Self::default() }
    }

    fn context(&self, number: u64) -> Vec<u8> {
        [self.asker, number.to_be_bytes()].concat()
    }

    /// The number of a question of this very start of this replica.
    fn number(&self, context: &[u8]) -> Option<u64> {
        let number = context.strip_prefix(&self.asker)?;
        Some(u64::from_be_bytes(number.try_into().ok()?))
    }

    /// Whether nobody waits for anything.
    pub(crate) fn are_done(&self) -> bool {
        self.is_idle() && self.asked.is_empty() && self.confirmed.is_empty()
    }

    /// Questions asked so far.
    pub(crate) fn n_asked(&self) -> u64 {
        self.last_number
    }

    fn is_idle(&self) -> bool {
        self.fresh.reads.is_empty() && self.fresh.replies.is_empty()
    }
}

impl ShardCore {
    pub(crate) fn take_query(
        &mut self,
        token: Token,
        query: Query,
        now: Timestamp,
        out: &mut Vec<Output>,
    ) {
        self.queue_read(token, query, out);
        // One that asks nobody, of what is here already, is no reason to wake.
        self.serve_reads(now, out);
    }

    fn queue_read(&mut self, token: Token, query: Query, out: &mut Vec<Output>) {
        // Where the group's entries do not come, what a read waits for does not.
        if self.is_installing() || !self.is_held() {
            return out.push(Output::Reply { token, reply: self.not_leader() });
        }
        let required = query.at_least;
        if self.leads_started() {
            // Positions come from answers of this shard, so an honest one is never ahead of its
            // leader.
            if required > self.group.last_index() {
                // Unless it is a leader no more, and does not know yet.
                let reply = Reply::UnknownPosition;
                return self.confirm_replies(vec![Held { token, reply }], out);
            }
            let undecided = self.residents.hot(&query.entity).map_or(0, |r| r.last_index());
            let required = required.max(undecided);
            if Mutant::StaleRead.is_planted() {
                let waiting = self.reads.confirmed.entry(required.min(self.applied.0)).or_default();
                return waiting.push(Read { token, query, required });
            }
            let read = Read { token, query, required };
            return match read.query.freshness {
                Freshness::Latest => self.reads.fresh.reads.push(read),
                // As anywhere else.
                Freshness::Position => {
                    self.reads.confirmed.entry(required).or_default().push(read);
                }
            };
        }
        match query.freshness {
            Freshness::Position => {
                // Between a snapshot's start and its end, records are of different moments.
                let required = match Mutant::FuzzyRead.is_planted() {
                    true => required,
                    false => required.max(self.whole_at),
                };
                let waiting = self.reads.confirmed.entry(required).or_default();
                waiting.push(Read { token, query, required });
            }
            Freshness::Latest if self.group.other_leader().is_some() => {
                self.reads.fresh.reads.push(Read { token, query, required });
            }
            Freshness::Latest => out.push(Output::Reply { token, reply: self.not_leader() }),
        }
    }

    /// Sends replies that no entry of the log carries once the group confirmed that this replica
    /// still led when they were decided.
    pub(crate) fn confirm_replies(&mut self, replies: Vec<Held>, out: &mut Vec<Output>) {
        if self.group.is_only_voter() {
            return out.extend(replies.into_iter().map(Output::from));
        }
        self.reads.fresh.replies.extend(replies);
    }

    /// Asks the group to confirm, once for everything that arrived.
    pub(crate) fn ask_reads(&mut self) {
        if self.reads.is_idle() {
            return;
        }
        self.reads.last_number += 1;
        let number = self.reads.last_number;
        let fresh = std::mem::take(&mut self.reads.fresh);
        self.reads.asked.insert(number, fresh);
        self.group.read_index(self.reads.context(number));
    }

    pub(crate) fn confirm_reads(&mut self, context: &[u8], index: u64, out: &mut Vec<Output>) {
        let number = self.reads.number(context);
        let Some(question) = number.and_then(|number| self.reads.asked.remove(&number)) else {
            return;
        };
        for read in question.reads {
            let required = match Mutant::FollowerReadsBehind.is_planted() {
                true => read.required,
                false => read.required.max(index),
            };
            self.reads.confirmed.entry(required).or_default().push(read);
        }
        out.extend(question.replies.into_iter().map(Output::from));
    }

    pub(crate) fn serve_reads(&mut self, now: Timestamp, out: &mut Vec<Output>) {
        while let Some(due) = self.reads.confirmed.first_entry()
            && *due.key() <= self.applied.0
        {
            for read in due.remove() {
                self.serve(read, now, out);
            }
        }
    }

    pub(crate) fn serve(&mut self, read: Read, now: Timestamp, out: &mut Vec<Output>) {
        if read.query.entity.kind == unanswered::KIND {
            let reply = self.list_unanswered(&read.query.body);
            return out.push(Output::Reply { token: read.token, reply });
        }
        if self.residents.is_cold(&read.query.entity) {
            return self.park_read(read, out);
        }
        let entity = &read.query.entity;
        let Some(kind) = self.kinds.find(entity.kind) else {
            let why = format!("unknown entity kind {}", entity.kind.0);
            return out.push(Output::Reply { token: read.token, reply: Reply::Malformed { why } });
        };
        let ctx = Context {
            now: now.max(self.header.time),
            me: entity,
            entropy: [0; 32],
            catalogue: self.catalogue.as_ref().map_err(|none| *none),
        };
        let record = self.residents.hot_mut(entity).map(|resident| &resident.committed);
        let seq = record.map_or(0, |record| record.seq);
        let view = catch_unwind(AssertUnwindSafe(|| match record {
            Some(record) => record.state.view(&read.query.body, &ctx),
            None => kind.blank().view(&read.query.body, &ctx),
        }));
        let reply = match view {
            Ok(Ok(view)) => Reply::Viewed { view, seq, index: self.applied.0 },
            Ok(Err(error)) => Reply::Malformed { why: error.to_string() },
            Err(_panic) => Reply::Panicked,
        };
        out.push(Output::Reply { token: read.token, reply });
    }

    /// Asks again for what got no answer, and gives up on what is too late.
    pub(crate) fn tick_reads(&mut self, now: Timestamp, out: &mut Vec<Output>) {
        self.reads.ticks += 1;
        if !self.reads.ticks.is_multiple_of(TICKS_PER_QUESTION) {
            return;
        }
        if self.lead.is_none() && self.group.other_leader().is_none() {
            self.abandon_questions(out);
        }
        let is_late = |read: &Read| read.query.not_after < now;
        let mut expired = Vec::new();
        for question in std::mem::take(&mut self.reads.asked).into_values() {
            let (late, open): (Vec<_>, Vec<_>) = question.reads.into_iter().partition(is_late);
            expired.extend(late);
            self.reads.fresh.reads.extend(open);
            self.reads.fresh.replies.extend(question.replies);
        }
        // What they wait for may never come: without a leader nothing is applied.
        for (required, reads) in std::mem::take(&mut self.reads.confirmed) {
            let (late, open): (Vec<_>, Vec<_>) = reads.into_iter().partition(is_late);
            expired.extend(late);
            if !open.is_empty() {
                self.reads.confirmed.insert(required, open);
            }
        }
        let reply = Reply::Expired { at: now };
        out.extend(
            expired.into_iter().map(|r| Output::Reply { token: r.token, reply: reply.clone() }),
        );
    }

    /// Sends every waiting read elsewhere: this replica no longer leads, has no part in its group any
    /// more, or what it had is void.
    pub(crate) fn abandon_reads(&mut self, out: &mut Vec<Output>) {
        self.abandon_questions(out);
        let reply = self.not_leader();
        for read in std::mem::take(&mut self.reads.confirmed).into_values().flatten() {
            out.push(Output::Reply { token: read.token, reply: reply.clone() });
        }
    }

    /// Sends those elsewhere that wait for the group's answer. The numbers go on counting: an answer
    /// to an old question must not confirm a new read.
    fn abandon_questions(&mut self, out: &mut Vec<Output>) {
        let reply = self.not_leader();
        let fresh = std::mem::take(&mut self.reads.fresh);
        let asked = std::mem::take(&mut self.reads.asked).into_values();
        for question in asked.chain([fresh]) {
            let reads = question.reads.into_iter().map(|read| read.token);
            let replies = question.replies.into_iter().map(|held| held.token);
            let tokens = reads.chain(replies);
            out.extend(tokens.map(|token| Output::Reply { token, reply: reply.clone() }));
        }
    }
}

#[cfg(test)]
mod tests;
