//! Waiting for cold entities: their work parks, everything else goes on.
//!
//! **Invariants:** one load at a time per entity; what parks is taken up again in the order it
//! came; a record that comes back at another position than it left with is damage.

use std::collections::BTreeMap;

use crate::ids::EntityRef;
use crate::shard::core::ShardCore;
use crate::shard::entry::Outcome;
use crate::shard::io::{Output, Reply};
use crate::shard::lead::Work;
use crate::shard::reads::Read;
use crate::shard::record::{Place, Record};
use crate::shard::residents::Residency;
use crate::time::Timestamp;

#[derive(Default)]
pub(crate) struct Loads {
    parked: BTreeMap<EntityRef, Parked>,
}

#[derive(Default)]
struct Parked {
    outcomes: Vec<(Place, Outcome)>,
    work: Vec<Work>,
    reads: Vec<Read>,
}

impl Loads {
    pub(crate) fn is_empty(&self) -> bool {
        self.parked.is_empty()
    }

    /// The position before which every record has everything.
    pub(crate) fn oldest_outcome(&self) -> Option<u64> {
        let first = |parked: &Parked| parked.outcomes.first().map(|(place, _)| place.index);
        self.parked.values().filter_map(first).min()
    }
}

impl ShardCore {
    /// Asks for a cold entity, unless that is under way.
    pub(crate) fn load(&mut self, entity: &EntityRef, out: &mut Vec<Output>) {
        if !self.loads.parked.contains_key(entity) {
            self.loads.parked.insert(entity.clone(), Parked::default());
            out.push(Output::Load { entity: entity.clone() });
        }
    }

    pub(crate) fn park_work(&mut self, entity: EntityRef, work: Work, out: &mut Vec<Output>) {
        self.load(&entity, out);
        self.loads.parked.entry(entity).or_default().work.push(work);
    }

    pub(crate) fn park_read(&mut self, read: Read, out: &mut Vec<Output>) {
        self.load(&read.query.entity, out);
        self.loads.parked.entry(read.query.entity.clone()).or_default().reads.push(read);
    }

    pub(crate) fn park_outcome(&mut self, outcome: Outcome, place: Place, out: &mut Vec<Output>) {
        self.load(&outcome.entity, out);
        let parked = self.loads.parked.entry(outcome.entity.clone()).or_default();
        parked.outcomes.push((place, outcome));
    }

    pub(crate) fn take_loaded(
        &mut self,
        entity: EntityRef,
        stored: Option<(u64, Vec<u8>)>,
        now: Timestamp,
        out: &mut Vec<Output>,
    ) {
        let Some(parked) = self.loads.parked.remove(&entity) else { return };
        if let Err(why) = self.install(&entity, stored) {
            return out.push(Output::IndexDamaged { why: format!("entity {entity}: {why}") });
        }
        for (place, outcome) in parked.outcomes {
            if let Err(why) = self.apply_to_record(&outcome, place, out) {
                return self.fence(format!("entry {}: {why}", place.index), out);
            }
        }
        let told = self.lead.iter().flat_map(|lead| lead.told.values());
        let next = told.filter_map(|queue| queue.front()).any(|tell| tell.to == entity);
        if self.lead.is_some() && (next || !parked.work.is_empty()) {
            self.residents.want(&entity);
        }
        let not_leader = self.not_leader();
        match &mut self.lead {
            Some(lead) => {
                for work in parked.work.into_iter().rev() {
                    lead.inbox.push_front(work);
                }
                self.refuse_without_space(out);
            }
            None => out.extend(parked.work.into_iter().filter_map(|work| match work {
                Work::Command { token, .. } => {
                    Some(Output::Reply { token, reply: not_leader.clone() })
                }
                Work::TimerDue(_) | Work::Answered { .. } => None,
            })),
        }
        for read in parked.reads {
            self.serve(read, now, out);
        }
        if self.leads_started() {
            self.offer_invocations_of(&entity, out);
        }
    }

    /// Answers everyone who waits for a load: what they wait for does not come any more.
    pub(crate) fn abandon_parked(&mut self, reply: &Reply, out: &mut Vec<Output>) {
        for parked in std::mem::take(&mut self.loads.parked).into_values() {
            let work = parked.work.into_iter().filter_map(|work| match work {
                Work::Command { token, .. } => Some(token),
                Work::TimerDue(_) | Work::Answered { .. } => None,
            });
            let reads = parked.reads.into_iter().map(|read| read.token);
            let answered = |token| Output::Reply { token, reply: reply.clone() };
            out.extend(work.chain(reads).map(answered));
        }
    }

    /// Commands that wait for their entities are not decided under another lead: who asked may have
    /// asked elsewhere meanwhile, and gone on.
    pub(crate) fn abandon_parked_commands(&mut self, out: &mut Vec<Output>) {
        let reply = self.not_leader();
        for parked in self.loads.parked.values_mut() {
            parked.work.retain(|work| match work {
                Work::Command { token, .. } => {
                    out.push(Output::Reply { token: *token, reply: reply.clone() });
                    false
                }
                Work::TimerDue(_) | Work::Answered { .. } => true,
            });
        }
    }

    /// Puts a loaded record into memory, if it is the one that left.
    fn install(
        &mut self,
        entity: &EntityRef,
        stored: Option<(u64, Vec<u8>)>,
    ) -> Result<(), String> {
        let Some(Residency::Cold { position: expected }) = self.residents.get(entity) else {
            return Ok(());
        };
        let Some((position, bytes)) = stored else {
            return Err("the state index lost its record".to_owned());
        };
        if position != expected {
            return Err(format!("the state index has position {position} instead of {expected}"));
        }
        let kind = self.kinds.find(entity.kind).ok_or("its kind is unknown")?;
        let record = Record::decode(&bytes, kind).map_err(|error| error.to_string())?;
        if record.position != position {
            return Err(format!("the record says position {} for {position}", record.position));
        }
        self.residents.insert_hot(entity.clone(), record, position);
        Ok(())
    }
}
