//! A turn: everything that gathered is decided, in order, and becomes one log entry.
//!
//! **Invariants:** decisions are made on the speculative state, so a later command of the turn sees
//! an earlier one; no reply leaves before the entry that holds its outcome, or everything decided
//! before it, is applied; an entry is proposed only where it was decided for.
//!
//! How one command is decided is in `decide`, how its outcome enters the speculative state in
//! `speculate`.

use crate::mutants::Mutant;
use crate::shard::apply::invocations;
use crate::shard::core::ShardCore;
use crate::shard::entry::{Entry, Item, Outcome, Verdict};
use crate::shard::io::{Output, Reply, Space, Token};
use crate::shard::lead::{Held, Proposed};
use crate::shard::record::Place;
use crate::time::{Span, Timestamp};

/// Entries on their way through the log before deciding waits.
const PROPOSED_MAX: usize = 64;

/// The entry in the making.
pub(crate) struct Turn {
    pub(crate) index: u64,
    pub(crate) time: Timestamp,
    pub(crate) items: Vec<Item>,
    bytes: usize,
    /// What the entry may take.
    entry_bytes_max: usize,
    n_effects: u32,
    /// Whether the entry is made for its time, if for nothing else.
    records_time: bool,
    held: Vec<Held>,
}

impl Turn {
    pub(crate) fn place(&self) -> Place {
        Place { index: self.index, first_effect: self.n_effects, time: self.time }
    }

    pub(crate) fn push(&mut self, outcome: Outcome) {
        self.bytes += outcome.encoded_bytes_max();
        self.n_effects = self.n_effects.saturating_add(n_effects(&outcome));
        self.items.push(Item::Outcome(outcome));
    }

    pub(crate) fn hold(&mut self, token: Token, reply: Reply) {
        self.held.push(Held { token, reply });
    }

    /// Has an entry made of this turn even if nothing else is recorded.
    pub(crate) fn record_time(&mut self) {
        self.records_time = true;
    }

    /// Whether nothing calls for an entry so far.
    pub(crate) fn makes_no_entry(&self) -> bool {
        self.items.is_empty() && !self.records_time
    }

    /// Whether to stop taking work: from here on, the largest outcome allowed still fits.
    pub(crate) fn is_full(&self) -> bool {
        self.bytes >= self.entry_bytes_max / 4
    }

    /// Whether an outcome is small enough for an entry, whatever else is in it.
    pub(crate) fn can_hold(&self, outcome: &Outcome) -> bool {
        outcome.encoded_bytes_max() <= self.entry_bytes_max / 2
    }

    /// Whether tells within the shard made more of this entry than it may be.
    pub(crate) fn overflows(&self) -> bool {
        self.bytes > self.entry_bytes_max / 4 * 3
    }

    /// Where the turn stands, to come back to.
    pub(crate) fn mark(&self) -> TurnMark {
        TurnMark { n_items: self.items.len(), bytes: self.bytes, n_effects: self.n_effects }
    }

    /// Goes back to a mark; gives what was taken since.
    pub(crate) fn undo(&mut self, mark: TurnMark) -> Vec<Item> {
        self.bytes = mark.bytes;
        self.n_effects = mark.n_effects;
        self.items.split_off(mark.n_items)
    }

    /// Ends the turn without an entry.
    pub(crate) fn into_held(self) -> Vec<Held> {
        self.held
    }
}

/// How far a turn had come.
#[derive(Clone, Copy)]
pub(crate) struct TurnMark {
    n_items: usize,
    bytes: usize,
    n_effects: u32,
}

impl ShardCore {
    /// Decides what has gathered, if the last batch is out of the way.
    pub(crate) fn run_turn(&mut self, now: Timestamp, out: &mut Vec<Output>) {
        if self.space == Space::Full || self.group.is_appending() || self.group.is_transferring() {
            return;
        }
        let Some(lead) = &mut self.lead else { return };
        if !lead.started || !lead.has_work() || lead.proposed.len() >= PROPOSED_MAX {
            return;
        }
        let mut turn = Turn {
            index: self.group.last_index() + 1,
            time: now.max(lead.speculation.time.plus(Span::from_micros(1))),
            items: lead.take_marks(),
            bytes: 0,
            entry_bytes_max: self.entry_bytes_max,
            n_effects: 0,
            records_time: false,
            held: Vec::new(),
        };
        self.decide_told(&mut turn, out);
        while !turn.is_full() {
            let Some(work) = self.lead.as_mut().and_then(|lead| lead.inbox.pop_front()) else {
                break;
            };
            self.decide_work(&mut turn, work, out);
        }
        self.propose(turn, out);
    }

    fn propose(&mut self, turn: Turn, out: &mut Vec<Output>) {
        let applied = self.applied.0;
        let Some(lead) = &mut self.lead else {
            // Fenced on the way.
            let held = turn.into_held().into_iter();
            return out
                .extend(held.map(|h| Output::Reply { token: h.token, reply: Reply::Fenced }));
        };
        if turn.makes_no_entry() {
            // There will be no entry at this index: what was seen is what is applied, and what is
            // proposed. An entry of the group's own that comes after that may never be committed.
            let last = lead.proposed.back().map_or(applied, |proposed| proposed.index);
            let open = turn.held.into_iter().filter_map(|held| lead.hold(held.seen_at(last)));
            let open: Vec<_> = open.collect();
            return self.confirm_replies(open, out);
        }
        lead.speculation.time = turn.time;
        let entry = Entry {
            term: lead.term,
            after_index: turn.index - 1,
            time: turn.time,
            items: turn.items,
        };
        if Mutant::InvokedBeforeCommit.is_planted() {
            for (outcome, first_effect) in outcomes(&entry.items) {
                let place = Place { index: turn.index, first_effect, time: entry.time };
                out.extend(invocations(outcome, place));
            }
        }
        let encoded = entry.encode().filter(|encoded| encoded.len() <= self.entry_bytes_max);
        let mut replies = turn.held;
        if Mutant::ReplyBeforeCommit.is_planted() {
            out.extend(replies.drain(..).map(Output::from));
        }
        lead.proposed.push_back(Proposed { index: turn.index, entry, replies });
        // Refused, or appended elsewhere than decided for (then apply treats it as a no-op): what
        // was decided is void either way.
        let proposed_at = encoded.and_then(|encoded| self.group.propose(encoded).ok());
        if proposed_at != Some(turn.index) {
            self.lose_lead(out);
        }
    }
}

/// The outcomes of an entry, each with the ordinal of its first effect.
pub(crate) fn outcomes(items: &[Item]) -> impl Iterator<Item = (&Outcome, u32)> {
    let mut next = 0_u32;
    items.iter().filter_map(move |item| {
        let Item::Outcome(outcome) = item else { return None };
        let first = next;
        next = next.saturating_add(n_effects(outcome));
        Some((outcome, first))
    })
}

fn n_effects(outcome: &Outcome) -> u32 {
    match &outcome.verdict {
        Verdict::Accepted { effects, .. } => u32::try_from(effects.len()).unwrap_or(u32::MAX),
        Verdict::Rejected(_) | Verdict::Quarantined | Verdict::PreconditionFailed => 0,
    }
}
