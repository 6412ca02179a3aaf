//! The simulator's ledger, with what is on disk of it.

use storage::disk::Disk;

use super::behaviour::Behaviour;
use super::ledger::{Conflict, Decided, Ledger};
use super::wire::{Entry, Operation};
use crate::providers::journal::{Journal, JournalError, Line};

pub(crate) struct Book {
    pub(crate) ledger: Ledger,
    journal: Journal,
}

/// Why a request was not carried out.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refused {
    #[error("the key or the reference stands for another operation")]
    Conflict,
    #[error(transparent)]
    Journal(#[from] JournalError),
}

impl Line for Entry {
    fn number(&self) -> u64 {
        self.number
    }
}

impl Book {
    pub(crate) fn open(disk: &dyn Disk) -> Result<Self, JournalError> {
        let (journal, entries) = Journal::open(disk)?;
        let mut ledger = Ledger::default();
        entries.into_iter().for_each(|entry| ledger.add(entry));
        Ok(Self { ledger, journal })
    }

    /// What an operation comes to: as it did the first time, or written down now.
    pub(crate) fn carry_out(
        &mut self,
        behaviour: &Behaviour,
        key: &str,
        operation: &Operation,
    ) -> Result<Decided, Refused> {
        let decided = self.ledger.decide(behaviour, key, operation);
        let decided = decided.map_err(|Conflict| Refused::Conflict)?;
        if let Decided::New(entry) = &decided {
            self.journal.write(entry)?;
            self.ledger.add(entry.clone());
        }
        Ok(decided)
    }
}
