//! The world outside: it does what it is asked for and says so, unless its answer gets lost or it is
//! silent for a while.
//!
//! **Invariants:** it knows a request again by its id for as long as it says, and a little longer,
//! as clocks differ; asked what became of an id, it knows for ever. What it does twice is a fault of
//! whoever asked: a request is different from every other one.

use std::collections::BTreeMap;

use storage::sim_disk::SplitMix64;

use crate::entity::Port;
use crate::ids::ShardId;
use crate::shard::clock::APART_MAX;
use crate::shard::entry::Cursor;
use crate::shard::io::Invocation;
use crate::shard::retry::RetryRule;
use crate::time::{Span, Timestamp};

/// How long an id is known, as those who ask are told.
const HORIZON: Span = Span::from_secs(2);

/// Somebody behind a port who does more than echo; brought by the workload whose entities ask.
pub trait Provider: Send {
    fn port(&self) -> Port;

    /// An attempt arrives, of a request that may have been there before. What is said to it, each
    /// of which is heard; nothing where the answer gets lost, or there is none yet. An error says
    /// why nobody may ask for this.
    fn attempt(
        &mut self,
        request: &[u8],
        line: Line,
        now: Timestamp,
        random: &mut SplitMix64,
    ) -> Result<Vec<Vec<u8>>, String>;

    /// Whatever ails it ends.
    fn heal(&mut self);
}

/// Whether what is said on the other side of a port is heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line {
    Heard,
    Silent,
}

#[derive(Default)]
pub(crate) struct SimPort {
    providers: Vec<Box<dyn Provider>>,
    done: BTreeMap<(ShardId, Cursor), Timestamp>,
    requests: BTreeMap<(ShardId, Vec<u8>), Cursor>,
    silent_until: Timestamp,
}

impl SimPort {
    pub(crate) fn add(&mut self, provider: Box<dyn Provider>) {
        self.providers.push(provider);
    }

    /// Who answers at a port; nobody but an echo if none was brought.
    pub(crate) fn provider(&mut self, port: Port) -> Option<&mut Box<dyn Provider>> {
        self.providers.iter_mut().find(|provider| provider.port() == port)
    }

    /// Whatever ails the world outside ends.
    pub(crate) fn heal(&mut self, now: Timestamp) {
        self.be_silent(now);
        self.providers.iter_mut().for_each(|provider| provider.heal());
    }

    pub(crate) fn be_silent(&mut self, until: Timestamp) {
        self.silent_until = until;
    }

    /// What a node does with an invocation; its clock may be wrong. Whether an answer is
    /// heard.
    pub(crate) fn attempt(
        &mut self,
        shard: ShardId,
        invocation: &Invocation,
        clock: Timestamp,
        now: Timestamp,
    ) -> Result<Line, String> {
        let id = (shard, invocation.at);
        let rule = RetryRule::Idempotent { horizon: HORIZON };
        let known = self.done.get(&id).copied();
        let may_send = rule.may_send(clock, invocation.asked_at, invocation.offered_again);
        if may_send || known.is_none() {
            self.carry_out(shard, invocation, known, now)?;
        }
        Ok(if now >= self.silent_until { Line::Heard } else { Line::Silent })
    }

    fn carry_out(
        &mut self,
        shard: ShardId,
        invocation: &Invocation,
        known: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<(), String> {
        let at = invocation.at;
        if known.is_some_and(|first| now > first.plus(HORIZON).plus(APART_MAX)) {
            return Err(format!("a port did {at:?} of shard {shard} twice: it was sent too late"));
        }
        let request = (shard, invocation.request.clone());
        let first = *self.requests.entry(request).or_insert(at);
        if first != at {
            return Err(format!("a port did one request of shard {shard} as {first:?} and {at:?}"));
        }
        self.done.entry((shard, at)).or_insert(now);
        Ok(())
    }
}
