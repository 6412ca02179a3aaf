//! The speculative state: what the records will be once everything proposed is applied.
//!
//! **Invariants:** an outcome enters the turn only after it was applied to the speculative record,
//! by the same code that applies it everywhere later; when that fails, the record is as if the
//! outcome had never been tried.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::entity::Effect;
use crate::ids::{EntityRef, ShardId};
use crate::mutants::Mutant;
use crate::shard::core::ShardCore;
use crate::shard::decide::Decided;
use crate::shard::entry::{Bytes, Cause, Outcome, Verdict};
use crate::shard::io::Output;
use crate::shard::kind::Resolved;
use crate::shard::outbox::tell_bytes;
use crate::shard::record::{Place, RECORD_BYTES_MAX, Record};
use crate::shard::residents::Speculative;
use crate::shard::turn::{Turn, TurnMark, outcomes};

/// A tell within the shard is decided in the same entry up to this many links of a chain.
const NESTED_DEPTH_MAX: u32 = 8;
/// Tells of one decision that are decided in the same entry.
const NESTED_FAN_OUT_MAX: usize = 32;

/// Why an accepted outcome could not be taken into the speculative record.
pub(crate) enum Untakable {
    Panicked,
    RecordFull,
}

/// An outcome that could not be taken, and why.
pub(crate) struct Untaken {
    pub(crate) outcome: Outcome,
    pub(crate) why: Untakable,
}

/// A tell that is decided in the entry that tells it.
struct Direct {
    to: EntityRef,
    command: Vec<u8>,
    depth: u32,
}

impl ShardCore {
    /// Takes an outcome into the speculative record and the turn, then decides what it tells
    /// entities of this shard. Gives the entity's sequence after it. Where those decisions do not
    /// fit the entry, they are undone and the tells take the channel.
    pub(crate) fn take(
        &mut self,
        turn: &mut Turn,
        outcome: Outcome,
        out: &mut Vec<Output>,
    ) -> Result<u64, Box<Untaken>> {
        if self.own_tells(&outcome) == 0 {
            return self.take_one(turn, outcome, 1, &mut VecDeque::new());
        }
        let (mark, said) = (turn.mark(), out.len());
        let mut chain = VecDeque::new();
        let seq = self.take_one(turn, outcome.clone(), 1, &mut chain)?;
        while let Some(direct) = chain.pop_front() {
            let fits = self.take_direct(turn, direct, &mut chain, out) && !turn.overflows();
            if !fits {
                self.undo(turn, mark);
                out.truncate(said);
                return self.take_one(turn, outcome, NESTED_DEPTH_MAX, &mut chain);
            }
        }
        Ok(seq)
    }

    /// Decides a tell of this very entry; `false` when its outcome cannot be taken.
    fn take_direct(
        &mut self,
        turn: &mut Turn,
        Direct { to, command, depth }: Direct,
        chain: &mut VecDeque<Direct>,
        out: &mut Vec<Output>,
    ) -> bool {
        let verdict = match self.decide(turn, &to, &command) {
            Decided::Accepted(Resolved { events, effects, .. }) => {
                let events = events.into_iter().map(Bytes).collect();
                Verdict::Accepted { events, effects, reply: None }
            }
            Decided::Rejected(rejection) | Decided::NotNow(rejection) => {
                Verdict::Rejected(Bytes(rejection))
            }
            Decided::Malformed(_) | Decided::Panicked => {
                out.push(Output::Quarantined { what: "a tell within the shard" });
                Verdict::Quarantined
            }
        };
        let nested = Outcome { entity: to, cause: Cause::Nested, verdict };
        self.take_one(turn, nested, depth + 1, chain).is_ok()
    }

    /// Takes back everything since a mark, as if it had never been decided.
    fn undo(&mut self, turn: &mut Turn, mark: TurnMark) {
        let undone = turn.undo(mark);
        for (outcome, _) in outcomes(&undone) {
            self.forget_tells(outcome);
            self.respeculate(turn, &outcome.entity);
        }
    }

    fn take_one(
        &mut self,
        turn: &mut Turn,
        mut outcome: Outcome,
        depth: u32,
        chain: &mut VecDeque<Direct>,
    ) -> Result<u64, Box<Untaken>> {
        // A tell takes the channel where the entry has no room for its outcome.
        let depth = if turn.is_full() { NESTED_DEPTH_MAX } else { depth };
        let direct = self.extract_direct_tells(&mut outcome, depth);
        match self.speculate(turn, &outcome) {
            Ok(seq) => {
                self.note_tells(&outcome);
                turn.push(outcome);
                chain.extend(direct);
                Ok(seq)
            }
            Err(why) => Err(Box::new(Untaken { outcome, why })),
        }
    }

    /// Takes out of the outcome the tells that can be decided in this very entry. Once one tell to
    /// this shard must take the channel, later ones do too, or they would overtake it.
    fn extract_direct_tells(&self, outcome: &mut Outcome, depth: u32) -> Vec<Direct> {
        let Verdict::Accepted { effects, .. } = &mut outcome.verdict else { return Vec::new() };
        if !effects.iter().any(|effect| matches!(effect, Effect::Tell { .. })) {
            return Vec::new();
        }
        let mut channel_is_idle = depth < NESTED_DEPTH_MAX
            && (Mutant::TellOvertakes.is_planted()
                || !self.header.channels.waits_for(self.id)
                    && self.lead.as_ref().is_some_and(|lead| lead.speculation.own_tells == 0));
        let mut direct = Vec::new();
        let mut kept = Vec::new();
        for effect in std::mem::take(effects) {
            match effect {
                Effect::Tell { to, command } if self.owns(&to) && channel_is_idle => {
                    if self.residents.is_cold(&to) || direct.len() >= NESTED_FAN_OUT_MAX {
                        channel_is_idle = false;
                        kept.push(Effect::Tell { to, command });
                    } else {
                        direct.push(Direct { to, command, depth });
                    }
                }
                Effect::Tell { .. }
                | Effect::SetTimer { .. }
                | Effect::CancelTimer { .. }
                | Effect::Invoke { .. }
                | Effect::Publish { .. } => kept.push(effect),
            }
        }
        *effects = kept;
        direct
    }

    /// How many tells of an outcome take this shard's channel to itself.
    fn own_tells(&self, outcome: &Outcome) -> usize {
        self.tells(outcome).iter().filter(|(target, _)| *target == self.id).count()
    }

    /// The targets of an outcome's tells, and what each will add to its channel.
    fn tells(&self, outcome: &Outcome) -> Vec<(ShardId, u64)> {
        let effects = match &outcome.verdict {
            Verdict::Accepted { effects, .. } => effects.as_slice(),
            Verdict::Rejected(_) | Verdict::Quarantined | Verdict::PreconditionFailed => &[],
        };
        let tell = |effect: &Effect| match effect {
            Effect::Tell { to, command } => Some((self.home_of(to), tell_bytes(to, command))),
            Effect::SetTimer { .. }
            | Effect::CancelTimer { .. }
            | Effect::Invoke { .. }
            | Effect::Publish { .. } => None,
        };
        effects.iter().filter_map(tell).collect()
    }

    /// Counts an outcome's tells as decided and not yet in their channels.
    fn note_tells(&mut self, outcome: &Outcome) {
        let tells = self.tells(outcome);
        let Some(lead) = &mut self.lead else { return };
        for (target, bytes) in tells {
            lead.speculation.own_tells += usize::from(target == self.id);
            *lead.speculation.tell_bytes.entry(target).or_default() += bytes;
        }
    }

    /// Counts them no more: they are in their channels, or void.
    pub(crate) fn forget_tells(&mut self, outcome: &Outcome) {
        let tells = self.tells(outcome);
        let Some(lead) = &mut self.lead else { return };
        let ahead = &mut lead.speculation;
        for (target, bytes) in tells {
            ahead.own_tells = ahead.own_tells.saturating_sub(usize::from(target == self.id));
            if let Some(noted) = ahead.tell_bytes.get_mut(&target) {
                *noted = noted.saturating_sub(bytes);
            }
        }
    }

    /// Applies an outcome to the speculative record. On failure the record is as before.
    fn speculate(&mut self, turn: &Turn, outcome: &Outcome) -> Result<u64, Untakable> {
        let place = turn.place();
        if !turn.can_hold(outcome) {
            return Err(Untakable::RecordFull);
        }
        let Some(kind) = self.kinds.find(outcome.entity.kind) else {
            // Only a quarantined outcome can name an unknown kind; there is no record to change.
            return Ok(0);
        };
        if self.residents.hot(&outcome.entity).is_none() {
            self.residents.insert_hot(outcome.entity.clone(), Record::blank(kind), 0);
        }
        let Some(resident) = self.residents.hot_mut(&outcome.entity) else {
            unreachable!("inserted on the lines before, and cold entities are parked")
        };
        let committed = &resident.committed;
        let speculative = resident.speculative.get_or_insert_with(|| {
            Box::new(Speculative { record: committed.duplicate(), last_index: place.index })
        });
        let grown = catch_unwind(AssertUnwindSafe(|| {
            speculative.record.apply(outcome, place).map(|()| speculative.record.footprint())
        }));
        match grown {
            Ok(Ok(footprint)) if footprint <= RECORD_BYTES_MAX => {
                speculative.last_index = place.index;
                Ok(speculative.record.seq)
            }
            Ok(Ok(_)) => {
                self.respeculate(turn, &outcome.entity);
                Err(Untakable::RecordFull)
            }
            Ok(Err(_)) | Err(_) => {
                self.respeculate(turn, &outcome.entity);
                Err(Untakable::Panicked)
            }
        }
    }

    /// Builds an entity's speculative record anew from what is committed and what is on its way.
    fn respeculate(&mut self, turn: &Turn, entity: &EntityRef) {
        let Some(lead) = &self.lead else { return };
        let Some(resident) = self.residents.hot_mut(entity) else { return };
        let mut record = resident.committed.duplicate();
        let mut last_index = None;
        let open = lead.proposed.iter().map(|p| (p.index, p.entry.time, p.entry.items.as_slice()));
        for (index, time, items) in open.chain([(turn.index, turn.time, turn.items.as_slice())]) {
            for (outcome, first_effect) in outcomes(items) {
                if outcome.entity != *entity {
                    continue;
                }
                // It was applied to an equal record before, so it cannot fail now.
                if record.apply(outcome, Place { index, first_effect, time }).is_ok() {
                    last_index = Some(index);
                }
            }
        }
        resident.speculative =
            last_index.map(|last_index| Box::new(Speculative { record, last_index }));
        self.residents.remove_untouched(entity);
    }
}
