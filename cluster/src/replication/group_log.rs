//! The log of one group as Raft sees it: what is not applied yet and a little of what is, in memory;
//! the rest in the node's log or covered by a snapshot.
//!
//! **Invariants:** entries in memory are contiguous and reach to the log's end; everything here was
//! handed to the node's log in the same order, before anything that depends on it leaves this node;
//! what is not applied is always in memory. What is kept for followers that lag is bounded in
//! bytes: older entries are asked for (`take_wanted`), and what no log holds is in a snapshot.
//!
//! It is not the durable log (that is `storage::log`) and it never waits for it.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};

use raft::eraftpb::{ConfState, Entry, HardState, Snapshot};
use raft::{Error, GetEntriesContext, RaftState, Result, Storage, StorageError};

use crate::ids::NodeId;
use crate::replication::offer::SnapshotOffer;
use crate::replication::term_runs::TermRuns;

/// What an entry takes besides its data.
const ENTRY_OVERHEAD: usize = 64;
/// Reads of the node's log under way for one group.
const READS_MAX: usize = 8;

pub(crate) struct GroupLog {
    hard_state: HardState,
    conf_state: ConfState,
    /// Index and term of the entry before the first one in memory.
    before: (u64, u64),
    entries: VecDeque<Entry>,
    applied: u64,
    /// Bytes of entries in memory that are applied.
    cached_bytes: usize,
    cache_bytes_max: usize,
    has_followers: bool,
    /// Index and term of the entry before the first one that the node's log holds for sure.
    log_start: (u64, u64),
    /// Of everything after the earlier of `before` and `log_start`.
    terms: TermRuns,
    offer: Option<SnapshotOffer>,
    fetching: RefCell<Fetching>,
    /// Somebody needs a snapshot and the one at hand does not serve.
    snapshot_wanted: Cell<bool>,
}

/// Entries on their way from the node's log.
#[derive(Default)]
struct Fetching {
    /// By the first index.
    wanted: BTreeMap<u64, (u64, GetEntriesContext)>,
    asked: BTreeMap<u64, GetEntriesContext>,
    /// What came, while Raft takes it.
    answer: Option<Vec<Entry>>,
}

/// Where a group's log stands when it is restarted.
pub(crate) struct LogState {
    pub(crate) hard_state: HardState,
    pub(crate) conf_state: ConfState,
    pub(crate) applied: (u64, u64),
    pub(crate) entries: VecDeque<Entry>,
    pub(crate) log_start: (u64, u64),
    pub(crate) terms: TermRuns,
    pub(crate) offer: Option<SnapshotOffer>,
    /// Of applied entries, for followers that lag a little.
    pub(crate) cache_bytes_max: usize,
}

impl GroupLog {
    pub(crate) fn new(state: LogState) -> Self {
        Self {
            hard_state: state.hard_state,
            conf_state: state.conf_state,
            before: state.applied,
            entries: state.entries,
            applied: state.applied.0,
            cached_bytes: 0,
            cache_bytes_max: state.cache_bytes_max,
            has_followers: false,
            log_start: state.log_start,
            terms: state.terms,
            offer: state.offer,
            fetching: RefCell::default(),
            snapshot_wanted: Cell::new(false),
        }
    }

    /// Appends, replacing a conflicting suffix. Gives the index from which entries were void.
    pub(crate) fn append(&mut self, entries: &[Entry]) -> Option<u64> {
        let first = entries.first()?;
        let conflict = (first.index <= self.last()).then_some(first.index);
        if let Some(from) = conflict {
            let keep = usize::try_from(from.saturating_sub(self.before.0 + 1)).unwrap_or(0);
            self.entries.truncate(keep);
            self.terms.truncate(from);
        }
        for entry in entries {
            self.terms.push(entry.index, entry.term);
        }
        self.entries.extend(entries.iter().cloned());
        conflict
    }

    pub(crate) fn log_start(&self) -> u64 {
        self.log_start.0
    }

    pub(crate) fn set_hard_state(&mut self, hard_state: HardState) {
        self.hard_state = hard_state;
    }

    pub(crate) fn set_conf_state(&mut self, conf_state: ConfState) {
        self.conf_state = conf_state;
    }

    /// Entries that are applied are kept only where others may need them.
    pub(crate) fn keep_for_followers(&mut self, has_followers: bool) {
        self.has_followers = has_followers;
        self.shrink();
    }

    /// Everything up to `index` is applied.
    pub(crate) fn release(&mut self, index: u64) {
        let skip = usize::try_from(self.applied.saturating_sub(self.before.0)).unwrap_or(0);
        let newly = self.entries.iter().skip(skip).take_while(|entry| entry.index <= index);
        self.cached_bytes += newly.map(entry_bytes).sum::<usize>();
        self.applied = index.max(self.applied);
        self.shrink();
    }

    fn shrink(&mut self) {
        let bytes_max = if self.has_followers { self.cache_bytes_max } else { 0 };
        while self.cached_bytes > bytes_max
            && let Some(entry) = self.entries.pop_front_if(|entry| entry.index <= self.applied)
        {
            self.cached_bytes = self.cached_bytes.saturating_sub(entry_bytes(&entry));
            self.before = (entry.index, entry.term);
        }
        self.terms.forget(self.log_start.0.min(self.before.0));
    }

    /// A snapshot of this replica covers the log up to its start: that part may go any time.
    pub(crate) fn cover(&mut self, offer: SnapshotOffer) {
        let start = (offer.meta.start, offer.meta.start_term);
        if start.0 >= self.log_start.0 {
            self.log_start = start;
            self.offer = Some(offer);
            self.shrink();
        }
    }

    /// The log goes on from a snapshot of another replica, whatever was here. Gives from where on the
    /// node's log holds what is void: entries beyond the snapshot that never came to be committed.
    pub(crate) fn install(&mut self, offer: SnapshotOffer) -> Option<u64> {
        let start = (offer.meta.start, offer.meta.start_term);
        let last = self.entries.back().map_or(self.before.0, |entry| entry.index);
        let void = (last > start.0).then_some(start.0 + 1);
        self.entries.clear();
        self.terms.clear();
        self.cached_bytes = 0;
        self.before = start;
        self.log_start = start;
        self.applied = start.0;
        self.conf_state = offer.members.to_conf_state();
        self.offer = Some(offer);
        *self.fetching.borrow_mut() = Fetching::default();
        void
    }

    /// The entries (first, last) to be read from the node's log.
    pub(crate) fn take_wanted(&mut self) -> Vec<(u64, u64)> {
        let mut fetching = self.fetching.borrow_mut();
        let wanted = std::mem::take(&mut fetching.wanted);
        let mut reads = Vec::with_capacity(wanted.len());
        for (low, (high, context)) in wanted {
            reads.push((low, high - 1));
            fetching.asked.insert(low, context);
        }
        reads
    }

    /// Takes what was read from `low` on; nothing means that the log holds it no more. Gives what
    /// Raft is to be told.
    pub(crate) fn take_read(&mut self, low: u64, read: Vec<Entry>) -> Option<GetEntriesContext> {
        let mut fetching = self.fetching.borrow_mut();
        let context = fetching.asked.remove(&low)?;
        let right = read.iter().zip(low..).all(|(entry, index)| {
            entry.index == index && self.terms.term(index) == Some(entry.term)
        });
        if read.is_empty() {
            // From here on only what is in memory, and snapshots that reach to it.
            self.log_start = self.log_start.max(self.before);
        } else if right {
            fetching.answer = Some(read);
        }
        Some(context)
    }

    /// What was read was offered to Raft.
    pub(crate) fn forget_read(&mut self) {
        self.fetching.borrow_mut().answer = None;
    }

    /// Whether nothing is awaited of the node's log or of a snapshot.
    pub(crate) fn is_still(&self) -> bool {
        let fetching = self.fetching.borrow();
        fetching.wanted.is_empty() && fetching.asked.is_empty() && !self.snapshot_wanted.get()
    }

    /// Whether somebody waits for a snapshot newer than the one at hand. Asking takes it back.
    pub(crate) fn take_snapshot_wanted(&mut self) -> bool {
        self.snapshot_wanted.take()
    }

    pub(crate) fn last(&self) -> u64 {
        self.entries.back().map_or(self.before.0, |entry| entry.index)
    }

    fn first(&self) -> u64 {
        self.log_start.0.min(self.before.0) + 1
    }

    /// Entries that are only in the node's log: those at hand, or a note to read them.
    fn entries_on_disk(
        &self,
        low: u64,
        high: u64,
        context: GetEntriesContext,
    ) -> Result<Vec<Entry>> {
        let mut fetching = self.fetching.borrow_mut();
        let answers = |read: &Vec<Entry>| read.first().is_some_and(|entry| entry.index == low);
        if let Some(read) = fetching.answer.take_if(|read| answers(read)) {
            return Ok(read.into_iter().take_while(|entry| entry.index < high).collect());
        }
        if !context.can_async() {
            return Err(Error::Store(StorageError::Unavailable));
        }
        let under_way = fetching.wanted.len() + fetching.asked.len();
        if !fetching.asked.contains_key(&low) && under_way < READS_MAX {
            let high = high.min(self.before.0 + 1);
            fetching.wanted.entry(low).or_insert((high, context));
        }
        Err(Error::Store(StorageError::LogTemporarilyUnavailable))
    }
}

fn entry_bytes(entry: &Entry) -> usize {
    ENTRY_OVERHEAD + entry.data.len() + entry.context.len()
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
        context: GetEntriesContext,
    ) -> Result<Vec<Entry>> {
        if low < self.first() {
            return Err(Error::Store(StorageError::Compacted));
        }
        if high > self.last() + 1 {
            return Err(Error::Store(StorageError::Unavailable));
        }
        let mut entries = match low.checked_sub(self.before.0 + 1) {
            None => self.entries_on_disk(low, high, context)?,
            Some(skip) => {
                let (skip, take) = match (usize::try_from(skip), usize::try_from(high - low)) {
                    (Ok(skip), Ok(take)) => (skip, take),
                    (Err(_), _) | (_, Err(_)) => {
                        return Err(Error::Store(StorageError::Unavailable));
                    }
                };
                self.entries.iter().skip(skip).take(take).cloned().collect()
            }
        };
        raft::util::limit_size(&mut entries, max_size.into());
        Ok(entries)
    }

    fn term(&self, index: u64) -> Result<u64> {
        if index == self.before.0 {
            return Ok(self.before.1);
        }
        if index == self.log_start.0 {
            return Ok(self.log_start.1);
        }
        if index < self.first() {
            return Err(Error::Store(StorageError::Compacted));
        }
        let held = self.terms.term(index).filter(|_| index <= self.last());
        held.ok_or(Error::Store(StorageError::Unavailable))
    }

    fn first_index(&self) -> Result<u64> {
        Ok(self.first())
    }

    fn last_index(&self) -> Result<u64> {
        Ok(self.last())
    }

    fn snapshot(&self, request_index: u64, to: u64) -> Result<Snapshot> {
        let at_least = request_index.max(self.log_start.0.min(self.before.0));
        match &self.offer {
            Some(offer) if offer.serves(NodeId(to), at_least) => Ok(offer.to_raft()),
            Some(_) | None => {
                self.snapshot_wanted.set(true);
                Err(Error::Store(StorageError::SnapshotTemporarilyUnavailable))
            }
        }
    }
}
