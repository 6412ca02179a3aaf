//! What the simulator was asked and said, in memory.
//!
//! **Invariants:** a parcel is booked once, whatever key it comes under; a refusal is for its key
//! alone; an entry never changes.

use std::collections::BTreeMap;

use super::behaviour::Behaviour;
use super::wire::{Entry, Outcome, Parcel, Reference};

#[derive(Debug, Default)]
pub(super) struct Ledger {
    entries: Vec<Entry>,
    booked: BTreeMap<Reference, usize>,
    by_key: BTreeMap<String, usize>,
}

/// What is to be done about a request.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Decided {
    /// Done before: this is what it came to.
    Known(Entry),
    /// To be written down, and then to be added.
    New(Entry),
}

/// The key or the reference stands for another parcel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Conflict;

impl Ledger {
    /// All there are, in order.
    pub(super) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    pub(super) fn find(&self, parcel: Reference) -> Option<&Entry> {
        self.booked.get(&parcel).and_then(|at| self.entries.get(*at))
    }

    /// The newest that are on their way, so many at most.
    pub(super) fn newest(&self, limit: usize) -> impl Iterator<Item = &Entry> {
        let skipped = self.booked.len().saturating_sub(limit);
        let booked = |entry: &&Entry| matches!(entry.outcome, Outcome::Booked { .. });
        self.entries.iter().filter(booked).skip(skipped)
    }

    pub(super) fn decide(
        &self,
        behaviour: &Behaviour,
        labels: &str,
        key: &str,
        parcel: &Parcel,
    ) -> Result<Decided, Conflict> {
        let under_key = self.by_key.get(key).and_then(|at| self.entries.get(*at));
        if let Some(known) = under_key.or_else(|| self.find(parcel.parcel)) {
            let is_same = known.parcel == *parcel;
            return if is_same { Ok(Decided::Known(known.clone())) } else { Err(Conflict) };
        }
        let number = u64::try_from(self.entries.len()).map_or(u64::MAX, |len| len + 1);
        let outcome = match behaviour.refusal(key, parcel) {
            Some(reason) => Outcome::Refused { reason },
            None => {
                let tracking = format!("SIM{number:09}");
                let label_url = format!("{labels}/{tracking}");
                Outcome::Booked { tracking, label_url }
            }
        };
        let (key, parcel) = (key.to_owned(), parcel.clone());
        Ok(Decided::New(Entry { number, key, parcel, outcome }))
    }

    /// Adds what was decided, or what was read from a file.
    pub(super) fn add(&mut self, entry: Entry) {
        let at = self.entries.len();
        if matches!(entry.outcome, Outcome::Booked { .. }) {
            self.booked.insert(entry.parcel.parcel, at);
        }
        self.by_key.insert(entry.key.clone(), at);
        self.entries.push(entry);
    }
}
