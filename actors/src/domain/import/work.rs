//! The state of an import.
//!
//! **Invariants:** see [`super`]; [`Work::check`] tells whether bytes hold them.

use cluster::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::port::Counts;
use super::{Event, Import};
use crate::domain::money::Currency;
use crate::domain::names::Label;

/// How the rows are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Format {
    /// The columns of the first line say which of several tables it is.
    Csv,
    JsonLines,
}

/// What an import is opened with, for good.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terms {
    pub format: Format,
    /// Of prices that name none.
    pub currency: Currency,
    pub bytes_max: u64,
    pub rows_max: u64,
}

/// A place between two rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    pub part: u32,
    /// Within the part.
    pub offset: u32,
    /// Before it, in all.
    pub bytes: u64,
    /// Before it, counting every line that is a row of its own.
    pub rows: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum State {
    Receiving,
    Applying,
    Ended { end: End, at: Timestamp },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum End {
    /// Every row is applied or refused.
    Done,
    Cancelled,
    /// The data was never completed.
    Abandoned,
    Failed(Failure),
}

/// Why the rest of the rows is not looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Failure {
    #[error("{why}")]
    Unreadable { why: Label },
    #[error("there are more rows than an import may have")]
    TooManyRows,
    #[error("the rows were not applied in order")]
    OutOfStep,
}

/// How many parts of each series are gone, oldest first. Those at the head of the data go last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Discarded {
    pub(crate) n_parts: u32,
    pub(crate) n_reports: u32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Work {
    pub(crate) terms: Terms,
    pub(crate) state: State,
    /// In bytes.
    pub(crate) received: u64,
    pub(crate) n_parts: u32,
    /// Those of the first parts that [`Import::HEAD_BYTES`] lie in; once it has ended, how many of
    /// them are left.
    pub(crate) n_head: u32,
    pub(crate) done: Cursor,
    pub(crate) counts: Counts,
    pub(crate) n_reports: u32,
    pub(crate) discarded: Discarded,
    pub(crate) opened_at: Timestamp,
    pub(crate) updated_at: Timestamp,
}

/// What an import shows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct View {
    pub terms: Terms,
    pub state: State,
    pub received: u64,
    pub n_parts: u32,
    pub done: Cursor,
    pub counts: Counts,
    pub n_reports: u32,
    pub opened_at: Timestamp,
    pub updated_at: Timestamp,
}

impl Work {
    pub(super) fn new(terms: Terms, at: Timestamp) -> Self {
        Self {
            terms,
            state: State::Receiving,
            received: 0,
            n_parts: 0,
            n_head: 0,
            done: Cursor::default(),
            counts: Counts::default(),
            n_reports: 0,
            discarded: Discarded::default(),
            opened_at: at,
            updated_at: at,
        }
    }

    pub(super) fn apply(&mut self, event: &Event) {
        match event {
            Event::Received { bytes, n_parts, at } => {
                if self.received < Import::HEAD_BYTES {
                    self.n_head = *n_parts;
                }
                (self.received, self.n_parts, self.updated_at) = (*bytes, *n_parts, *at);
            }
            Event::Completed { at } => (self.state, self.updated_at) = (State::Applying, *at),
            Event::Advanced { to, counts, n_reports, at } => {
                (self.done, self.counts) = (*to, *counts);
                (self.n_reports, self.updated_at) = (*n_reports, *at);
            }
            Event::Ended { end, at } => {
                self.state = State::Ended { end: end.clone(), at: *at };
                self.updated_at = *at;
            }
            Event::Discarded { n_parts, n_reports } => {
                self.discarded = Discarded { n_parts: *n_parts, n_reports: *n_reports };
            }
            Event::HeadDiscarded { left } => self.n_head = *left,
            // These make and unmake the whole.
            Event::Opened { .. } | Event::Removed => {}
        }
    }

    pub(super) fn view(&self) -> View {
        View {
            terms: self.terms.clone(),
            state: self.state.clone(),
            received: self.received,
            n_parts: self.n_parts,
            done: self.done,
            counts: self.counts,
            n_reports: self.n_reports,
            opened_at: self.opened_at,
            updated_at: self.updated_at,
        }
    }

    /// Whether a step may have gone so far.
    pub(super) fn may_reach(&self, to: Cursor) -> bool {
        to.part >= self.done.part
            && to.part <= self.n_parts
            && (self.done.bytes..=self.received).contains(&to.bytes)
            && to.rows >= self.done.rows
    }

    pub(super) fn heap_bytes(&self) -> usize {
        match &self.state {
            State::Ended { end: End::Failed(Failure::Unreadable { why }), .. } => {
                why.as_str().len()
            }
            State::Receiving | State::Applying | State::Ended { .. } => 0,
        }
    }

    /// Of bytes from outside: why this is no state that an import can be in.
    pub(crate) fn check(&self) -> Result<(), &'static str> {
        let Discarded { n_parts, n_reports } = self.discarded;
        let has_data = self.received > 0;
        if self.received > self.terms.bytes_max || self.n_parts > Import::PARTS_MAX {
            return Err("more was received than may be");
        }
        if has_data != (self.n_parts > 0) || u64::from(self.n_parts) > self.received {
            return Err("the parts are not the data");
        }
        if self.done.part > self.n_parts || self.done.bytes > self.received {
            return Err("more is applied than was received");
        }
        if n_parts > self.n_parts || self.n_head > self.n_parts || n_reports > self.n_reports {
            return Err("more is discarded than there was");
        }
        match self.state {
            State::Receiving if self.done != Cursor::default() || n_parts > 0 => {
                Err("something is applied before the data is complete")
            }
            State::Applying if !has_data || n_parts > self.done.part => {
                Err("what is not applied is discarded")
            }
            State::Receiving | State::Applying | State::Ended { .. } => Ok(()),
        }
    }
}
