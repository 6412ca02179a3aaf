//! Where parcels are booked: the ledger with what is on disk of it, and the notices that follow.

use std::collections::BTreeMap;

use storage::disk::Disk;

use super::behaviour::{Behaviour, Sending};
use super::ledger::{Conflict, Decided, Ledger};
use super::wire::{Entry, NoticeBody, Outcome, Parcel, Reference};
use crate::providers::chance::Manner;
use crate::providers::journal::{Journal, JournalError};
use crate::providers::notices::{Notices, UNDER_WAY_MAX};

pub(super) struct Desk {
    pub(super) ledger: Ledger,
    journal: Journal,
    behaviour: Behaviour,
    /// The address that a label lies below.
    labels: String,
    /// How often each parcel was asked for since the start.
    attempts: BTreeMap<Reference, u32>,
}

/// Why a parcel was not booked, and not refused.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoAnswer {
    #[error("the simulator is told not to answer")]
    Silence,
    #[error("the key or the reference stands for another parcel")]
    Conflict,
    #[error(transparent)]
    Journal(#[from] JournalError),
}

/// What one attempt came to: the entry, where it is to be told, and what it is news of.
pub(super) struct Attempted {
    pub(super) answer: Result<Entry, NoAnswer>,
    pub(super) news: Option<Entry>,
}

impl Desk {
    pub(super) fn open(
        disk: &dyn Disk,
        behaviour: Behaviour,
        labels: String,
    ) -> Result<Self, JournalError> {
        let (journal, entries) = Journal::open(disk)?;
        let mut ledger = Ledger::default();
        entries.into_iter().for_each(|entry| ledger.add(entry));
        Ok(Self { ledger, journal, behaviour, labels, attempts: BTreeMap::new() })
    }

    pub(super) fn book(&mut self, key: &str, parcel: &Parcel) -> Attempted {
        let attempts = self.attempts.entry(parcel.parcel).or_default();
        let manner = self.behaviour.manner(parcel.parcel, *attempts);
        *attempts = attempts.saturating_add(1);
        if manner == Manner::Lost {
            return Attempted { answer: Err(NoAnswer::Silence), news: None };
        }
        let (entry, news) = match self.write(key, parcel) {
            Ok(Decided::New(entry)) => (entry.clone(), Some(entry)),
            Ok(Decided::Known(entry)) => (entry, None),
            Err(why) => return Attempted { answer: Err(why), news: None },
        };
        let answer = if manner == Manner::Late { Err(NoAnswer::Silence) } else { Ok(entry) };
        Attempted { answer, news }
    }

    fn write(&mut self, key: &str, parcel: &Parcel) -> Result<Decided, NoAnswer> {
        let decided = self.ledger.decide(&self.behaviour, &self.labels, key, parcel);
        let decided = decided.map_err(|Conflict| NoAnswer::Conflict)?;
        if let Decided::New(entry) = &decided {
            self.journal.write(entry)?;
            self.ledger.add(entry.clone());
        }
        Ok(decided)
    }
}

/// Says of those parcels that were on their way when the process ended where they are, once more.
pub(super) fn resume(desk: &Desk, notices: &Notices) {
    let most = UNDER_WAY_MAX / 4;
    desk.ledger.newest(most).for_each(|entry| tell(&desk.behaviour, notices, entry));
}

/// Says where a parcel is, from now on; of one that was refused there is nothing to say.
pub(super) fn tell(behaviour: &Behaviour, notices: &Notices, entry: &Entry) {
    if !matches!(entry.outcome, Outcome::Booked { .. }) {
        return;
    }
    let parcel = entry.parcel.parcel;
    for (Sending { place, after, times }, nth) in behaviour.notices(parcel).zip(1..) {
        let event = format!("evt_{}_{nth}", entry.number);
        if let Ok(body) = serde_json::to_vec(&NoticeBody { event, parcel, place }) {
            notices.send(body, after, times);
        }
    }
}
