//! Applying committed entries: the only way a record or the header changes.
//!
//! **Invariants:** an entry applies where it was decided or not at all; every record and the header
//! take an entry once, whatever order their bytes were loaded in; effects leave only on a leader
//! and only after the whole entry is applied.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use storage::log::{EntryKind, LogEntry};

use crate::entity::{Effect, TimerName};
use crate::ids::EntityRef;
use crate::mutants::Mutant;
use crate::shard::core::ShardCore;
use crate::shard::entry::{Cause, Entry, Item, Outcome, Verdict};
use crate::shard::io::{Fault, Invocation, Output, Reply};
use crate::shard::lead::Held;
use crate::shard::record::{Place, Record, Timer};
use crate::shard::residents::Residency;
use crate::shard::turn::outcomes;

impl ShardCore {
    /// Applies one committed entry. An error fences this replica of this shard.
    pub(crate) fn apply_committed(
        &mut self,
        entry: &LogEntry,
        out: &mut Vec<Output>,
    ) -> Result<(), Fault> {
        match entry.kind {
            // The empty entry is the barrier that opens a term.
            EntryKind::Normal if entry.payload.is_empty() => {}
            EntryKind::Normal => self.apply_normal(entry, out)?,
            EntryKind::ConfChange => {
                return Err(Fault::of_entry(entry, &"a change of members in a form nobody writes"));
            }
            EntryKind::ConfChangeV2 => {
                let changed = self.group.apply_change(entry);
                if let Some(record) = changed.map_err(|why| Fault::of_entry(entry, &why))? {
                    out.push(Output::AppendLazily(record));
                    out.push(Output::Members(self.group.members().clone()));
                    if !self.is_held() {
                        self.abandon_reads(out);
                    }
                }
            }
        }
        self.applied = (entry.index, entry.term);
        Ok(())
    }

    fn apply_normal(&mut self, raw: &LogEntry, out: &mut Vec<Output>) -> Result<(), Fault> {
        let own = self.lead.as_mut().and_then(|lead| {
            lead.proposed.pop_front_if(|p| p.index == raw.index && p.entry.term == raw.term)
        });
        let (entry, replies) = match own {
            Some(proposed) => (proposed.entry, proposed.replies),
            None => {
                let entry =
                    Entry::decode(&raw.payload).map_err(|error| Fault::of_entry(raw, &error))?;
                (entry, Vec::new())
            }
        };
        if entry.term == raw.term
            && entry.after_index + 1 == raw.index
            && let Err(why) = self.apply_items(raw.index, &entry, out)
        {
            let fenced = |held: Held| Output::Reply { token: held.token, reply: Reply::Fenced };
            out.extend(replies.into_iter().map(fenced));
            return Err(Fault::of_entry(raw, &why));
        }
        out.extend(replies.into_iter().map(|h| Output::Reply { token: h.token, reply: h.reply }));
        Ok(())
    }

    fn apply_items(
        &mut self,
        index: u64,
        entry: &Entry,
        out: &mut Vec<Output>,
    ) -> Result<(), String> {
        let mut acks = BTreeMap::new();
        let is_new = index > self.header.position || Mutant::HeaderAppliedTwice.is_planted();
        if is_new {
            for item in &entry.items {
                self.apply_to_header(item, &mut acks);
            }
        }
        self.promote(index, entry);
        let mut published = false;
        for (outcome, first_effect) in outcomes(&entry.items) {
            let place = Place { index, first_effect, time: entry.time };
            if is_new {
                published |= self.send_effects(outcome, place, out);
            }
            self.apply_to_record(outcome, place, out)?;
        }
        if is_new {
            self.header.position = index;
            self.header.time = entry.time;
            self.header.sessions.forget_before(entry.time);
        }
        if self.leads_started() {
            let acks = acks.into_iter();
            out.extend(acks.map(|(source, up_to)| Output::AckTells { source, up_to }));
            out.extend(published.then_some(Output::Published { index }));
        }
        Ok(())
    }

    fn apply_to_header(&mut self, item: &Item, acks: &mut BTreeMap<crate::ids::ShardId, u64>) {
        match item {
            Item::TellsAcked { target, up_to } => self.header.channels.acked(*target, *up_to),
            Item::CursorMoved { consumer, cursor } => {
                let kept = self.header.cursors.entry(*consumer).or_default();
                *kept = (*cursor).max(*kept);
            }
            Item::Outcome(outcome) => match &outcome.cause {
                Cause::Routed(routed) | Cause::Keyed { routed, .. } => {
                    if !Mutant::OutcomeSkipped.is_planted() {
                        self.header.sessions.record(*routed);
                    }
                    if let Some(lead) = &mut self.lead {
                        lead.speculation.ids.remove(&routed.id);
                    }
                }
                Cause::Told { from, incarnation, seq } => {
                    self.header.channels.record_received(*from, *incarnation, *seq);
                    if *from == self.id {
                        self.header.channels.acked(self.id, *seq);
                    } else {
                        acks.insert(*from, *seq);
                    }
                }
                Cause::TimerFired { name, set_at } => {
                    if let Some(lead) = &mut self.lead {
                        lead.firing.retain(|due| {
                            due.entity != outcome.entity
                                || due.name != *name
                                || due.set_at != *set_at
                        });
                    }
                }
                Cause::Nested | Cause::Answered { .. } => {}
            },
        }
    }

    /// Puts tells into their channels, and hands out what the world is to do when this replica
    /// leads. Says whether the outcome publishes anything.
    fn send_effects(&mut self, outcome: &Outcome, place: Place, out: &mut Vec<Output>) -> bool {
        self.forget_tells(outcome);
        let Verdict::Accepted { effects, .. } = &outcome.verdict else { return false };
        let leads = self.leads_started() || Mutant::EffectsByFollowers.is_planted();
        let mut published = false;
        if leads {
            out.extend(invocations(outcome, place));
        }
        for effect in effects {
            match effect {
                Effect::Tell { to, command } => {
                    let target = self.home_of(to);
                    let (id, incarnation) = (self.id, self.incarnation);
                    let channels = &mut self.header.channels;
                    let tell = channels.send(id, incarnation, target, to.clone(), command.clone());
                    if leads {
                        out.push(Output::Tell { target, tell: tell.clone() });
                    }
                }
                Effect::Publish { .. } => published = true,
                Effect::Invoke { .. } | Effect::SetTimer { .. } | Effect::CancelTimer { .. } => {}
            }
        }
        published
    }

    /// Applies an outcome to its entity's record, or parks it until the record is loaded.
    pub(crate) fn apply_to_record(
        &mut self,
        outcome: &Outcome,
        place: Place,
        out: &mut Vec<Output>,
    ) -> Result<(), String> {
        let entity = &outcome.entity;
        match self.residents.get(entity) {
            Some(Residency::Cold { position }) if place.index <= position => return Ok(()),
            Some(Residency::Cold { .. }) => {
                self.park_outcome(outcome.clone(), place, out);
                return Ok(());
            }
            Some(Residency::Hot(resident))
                if place.index <= resident.loaded_at && !Mutant::AppliedTwice.is_planted() =>
            {
                self.track_invocations(outcome, place);
                return Ok(());
            }
            Some(Residency::Hot(_)) => {}
            None => {
                let Some(kind) = self.kinds.find(entity.kind) else {
                    return match outcome.verdict {
                        Verdict::Quarantined => Ok(()),
                        Verdict::Accepted { .. }
                        | Verdict::Rejected(_)
                        | Verdict::PreconditionFailed => {
                            Err(format!("unknown entity kind {}", entity.kind.0))
                        }
                    };
                };
                self.residents.insert_hot(entity.clone(), Record::blank(kind), 0);
            }
        }
        let named = timers_named(outcome);
        let before = self.timers_of(entity, &named);
        let Some(resident) = self.residents.hot_mut(entity) else {
            unreachable!("hot, or inserted on the lines before")
        };
        let applied = catch_unwind(AssertUnwindSafe(|| resident.committed.apply(outcome, place)));
        match applied {
            Ok(applied) => applied.map_err(|error| error.to_string())?,
            Err(_panic) => return Err(format!("entity {entity} panicked while applying")),
        }
        let after = self.timers_of(entity, &named);
        for (name, timer) in before {
            self.timers.remove(entity, name, timer);
        }
        if self.lead.is_some() || !Mutant::TimerLostOnFailover.is_planted() {
            for (name, timer) in after {
                self.timers.insert(entity, name, timer);
            }
        }
        self.track_invocations(outcome, place);
        self.residents.measure(entity);
        Ok(())
    }

    fn timers_of(&self, entity: &EntityRef, named: &[TimerName]) -> Vec<(TimerName, Timer)> {
        if named.is_empty() {
            return Vec::new();
        }
        let record = self.residents.hot(entity).map(|resident| &resident.committed);
        let timer = |name: &TimerName| record?.timer(*name).map(|timer| (*name, *timer));
        named.iter().filter_map(timer).collect()
    }

    fn track_invocations(&mut self, outcome: &Outcome, place: Place) {
        if let Cause::Answered { invocation } = &outcome.cause {
            self.invocations.remove(invocation);
        }
        let Verdict::Accepted { effects, .. } = &outcome.verdict else { return };
        let record = self.residents.hot(&outcome.entity).map(|resident| &resident.committed);
        for (nth, effect) in effects.iter().enumerate() {
            if !matches!(effect, Effect::Invoke { .. }) {
                continue;
            }
            let at = place.effect(nth);
            // A record that was read again may be ahead of this outcome and have its answer already:
            // should it leave memory before that is come to, nobody would take this away again.
            if record.is_some_and(|record| record.invocation(at).is_some()) {
                self.invocations.insert(at, outcome.entity.clone());
            }
        }
    }

    /// Makes the speculative records that this entry catches up with the committed ones: they hold
    /// exactly its outcomes, applied by the same code, so applying them again would only cost.
    fn promote(&mut self, index: u64, entry: &Entry) {
        if self.lead.is_none() {
            return;
        }
        for (outcome, _) in outcomes(&entry.items) {
            let entity = &outcome.entity;
            let Some(resident) = self.residents.hot_mut(entity) else { continue };
            let Some(ahead) = resident.speculative.take_if(|ahead| ahead.last_index <= index)
            else {
                continue;
            };
            resident.loaded_at = index;
            let before = std::mem::replace(&mut resident.committed, ahead.record);
            let after = resident.committed.timers();
            for (name, timer) in before.timers() {
                self.timers.remove(entity, name, timer);
            }
            for (name, timer) in after {
                self.timers.insert(entity, name, timer);
            }
            self.residents.measure(entity);
        }
    }
}

/// What an outcome asks of the outside world.
pub(crate) fn invocations(outcome: &Outcome, place: Place) -> impl Iterator<Item = Output> {
    let effects = match &outcome.verdict {
        Verdict::Accepted { effects, .. } => effects.as_slice(),
        Verdict::Rejected(_) | Verdict::PreconditionFailed | Verdict::Quarantined => &[],
    };
    effects.iter().enumerate().filter_map(move |(nth, effect)| {
        let Effect::Invoke { port, request } = effect else { return None };
        let invocation = Invocation {
            at: place.effect(nth),
            port: *port,
            request: request.clone(),
            asked_at: place.time,
            offered_again: false,
        };
        Some(Output::Invoke { entity: outcome.entity.clone(), invocation })
    })
}

/// The timers an outcome may set, replace, cancel or use up.
fn timers_named(outcome: &Outcome) -> Vec<TimerName> {
    let mut named = Vec::new();
    if let Cause::TimerFired { name, .. } = &outcome.cause {
        named.push(*name);
    }
    if let Verdict::Accepted { effects, .. } = &outcome.verdict {
        for effect in effects {
            match effect {
                Effect::SetTimer { name, .. } | Effect::CancelTimer { name } => named.push(*name),
                Effect::Tell { .. } | Effect::Invoke { .. } | Effect::Publish { .. } => {}
            }
        }
    }
    named.sort_unstable();
    named.dedup();
    named
}
