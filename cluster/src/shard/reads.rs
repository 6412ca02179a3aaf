//! Linearizable reads: asked in batches, served from committed state.
//!
//! **Invariants:** a read is served only after the group confirmed leadership *after* the read
//! arrived, and from a state that holds everything committed, and everything already decided for
//! its entity, at that moment.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::entity::Context;
use crate::shard::core::ShardCore;
use crate::shard::io::{Output, Query, Reply, Token};
use crate::time::Timestamp;

#[derive(Default)]
pub(crate) struct Reads {
    /// Arrived since the last question.
    fresh: Vec<Read>,
    /// Waiting for the group's answer, by the question's context.
    asked: BTreeMap<u64, Vec<Read>>,
    /// Confirmed, waiting until this index is applied.
    confirmed: BTreeMap<u64, Vec<Read>>,
    last_context: u64,
    ticks: u64,
}

/// Two heartbeats: after that a question counts as lost.
const TICKS_PER_QUESTION: u64 = 4;

pub(crate) struct Read {
    pub(crate) token: Token,
    pub(crate) query: Query,
    /// Not before this index.
    required: u64,
}

impl ShardCore {
    pub(crate) fn take_query(&mut self, token: Token, query: Query, out: &mut Vec<Output>) {
        if !self.leads_started() {
            return out.push(Output::Reply { token, reply: Reply::NotLeader });
        }
        // Positions come from answers of this shard, so an honest one is never ahead of its leader.
        if query.at_least > self.group.last_index() {
            return out.push(Output::Reply { token, reply: Reply::UnknownPosition });
        }
        let undecided = self.residents.hot(&query.entity).map_or(0, |r| r.last_index());
        let required = undecided.max(query.at_least);
        self.reads.fresh.push(Read { token, query, required });
    }

    /// Asks the group to confirm, once for everything that arrived.
    pub(crate) fn ask_reads(&mut self) {
        if self.reads.fresh.is_empty() {
            return;
        }
        self.reads.last_context += 1;
        let context = self.reads.last_context;
        let fresh = std::mem::take(&mut self.reads.fresh);
        self.reads.asked.insert(context, fresh);
        self.group.read_index(context);
    }

    pub(crate) fn confirm_reads(&mut self, context: u64, index: u64) {
        for read in self.reads.asked.remove(&context).unwrap_or_default() {
            let required = read.required.max(index);
            self.reads.confirmed.entry(required).or_default().push(read);
        }
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
            catalogue: self.catalogue.as_ref(),
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
        let unanswered = std::mem::take(&mut self.reads.asked).into_values().flatten();
        let waiting = std::mem::take(&mut self.reads.confirmed);
        let (late, open): (Vec<_>, Vec<_>) =
            unanswered.partition(|read| read.query.not_after < now);
        self.reads.fresh.extend(open);
        let mut expired = late;
        for (required, reads) in waiting {
            let (late, open): (Vec<_>, Vec<_>) =
                reads.into_iter().partition(|read| read.query.not_after < now);
            expired.extend(late);
            if !open.is_empty() {
                self.reads.confirmed.insert(required, open);
            }
        }
        out.extend(
            expired.into_iter().map(|r| Output::Reply { token: r.token, reply: Reply::Expired }),
        );
    }

    /// Sends every waiting read elsewhere: this replica no longer leads.
    pub(crate) fn abandon_reads(&mut self, out: &mut Vec<Output>) {
        let fresh = std::mem::take(&mut self.reads.fresh);
        let asked = std::mem::take(&mut self.reads.asked);
        // The contexts go on counting: an answer to an old question must not confirm a new read.
        let confirmed = std::mem::take(&mut self.reads.confirmed);
        let all = fresh.into_iter().chain(asked.into_values().flatten());
        for read in all.chain(confirmed.into_values().flatten()) {
            out.push(Output::Reply { token: read.token, reply: Reply::NotLeader });
        }
    }
}
