//! The log of one group as Raft sees it: what is appended and not yet applied, in memory.
//!
//! **Invariants:** entries are contiguous from `first_index`; everything here has been handed to
//! the node's log in the same order, before anything that depends on it leaves this node.
//!
//! It is not the durable log (that is `storage::log`) and it never waits for it.

use std::collections::VecDeque;

use raft::eraftpb::{ConfState, Entry, HardState, Snapshot};
use raft::{Error, GetEntriesContext, RaftState, Result, Storage, StorageError};

pub(crate) struct GroupLog {
    hard_state: HardState,
    conf_state: ConfState,
    /// Index and term of the entry before the first one held.
    before: (u64, u64),
    entries: VecDeque<Entry>,
}

impl GroupLog {
    pub(crate) fn new(
        hard_state: HardState,
        conf_state: ConfState,
        before: (u64, u64),
        entries: VecDeque<Entry>,
    ) -> Self {
        Self { hard_state, conf_state, before, entries }
    }

    /// Appends, replacing a conflicting suffix. Gives the index from which entries were void.
    pub(crate) fn append(&mut self, entries: &[Entry]) -> Option<u64> {
        let first = entries.first()?;
        let conflict = (first.index <= self.last()).then_some(first.index);
        if let Some(from) = conflict {
            let keep = usize::try_from(from.saturating_sub(self.first())).unwrap_or(0);
            self.entries.truncate(keep);
        }
        self.entries.extend(entries.iter().cloned());
        conflict
    }

    pub(crate) fn set_hard_state(&mut self, hard_state: HardState) {
        self.hard_state = hard_state;
    }

    pub(crate) fn conf_state(&self) -> &ConfState {
        &self.conf_state
    }

    /// Lets go of entries up to `index`, which are applied.
    pub(crate) fn release(&mut self, index: u64) {
        while let Some(entry) = self.entries.pop_front_if(|entry| entry.index <= index) {
            self.before = (entry.index, entry.term);
        }
    }

    fn first(&self) -> u64 {
        self.before.0 + 1
    }

    pub(crate) fn last(&self) -> u64 {
        self.entries.back().map_or(self.before.0, |entry| entry.index)
    }
}

impl Storage for GroupLog {
    fn initial_state(&self) -> Result<RaftState> {
        Ok(RaftState::new(self.hard_state.clone(), self.conf_state.clone()))
    }

    fn entries(
        &self,
        low: u64,
        high: u64,
        max_size: impl Into<Option<u64>>,
        _context: GetEntriesContext,
    ) -> Result<Vec<Entry>> {
        let Some(skip) = low.checked_sub(self.first()) else {
            return Err(Error::Store(StorageError::Compacted));
        };
        if high > self.last() + 1 {
            return Err(Error::Store(StorageError::Unavailable));
        }
        let (skip, take) = match (usize::try_from(skip), usize::try_from(high - low)) {
            (Ok(skip), Ok(take)) => (skip, take),
            (Err(_), _) | (_, Err(_)) => return Err(Error::Store(StorageError::Unavailable)),
        };
        let mut entries: Vec<_> = self.entries.iter().skip(skip).take(take).cloned().collect();
        raft::util::limit_size(&mut entries, max_size.into());
        Ok(entries)
    }

    fn term(&self, index: u64) -> Result<u64> {
        if index == self.before.0 {
            return Ok(self.before.1);
        }
        let Some(nth) = index.checked_sub(self.first()) else {
            return Err(Error::Store(StorageError::Compacted));
        };
        usize::try_from(nth)
            .ok()
            .and_then(|nth| self.entries.get(nth))
            .map(|entry| entry.term)
            .ok_or(Error::Store(StorageError::Unavailable))
    }

    fn first_index(&self) -> Result<u64> {
        Ok(self.first())
    }

    fn last_index(&self) -> Result<u64> {
        Ok(self.last())
    }

    fn snapshot(&self, _request_index: u64, _to: u64) -> Result<Snapshot> {
        Err(Error::Store(StorageError::SnapshotTemporarilyUnavailable))
    }
}
