//! The last changes of a SKU's stock on hand; the whole story is in its history.
//!
//! **Invariants:** at most [`Ledger::ENTRIES_MAX`] entries, oldest first.

use std::collections::VecDeque;

use cluster::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::domain::heap;
use crate::domain::ids::ReservationId;
use crate::domain::names::LocationId;
use crate::domain::quantity::{Delta, PageLimit, Units};

/// Why a person or a system changed a stock: 1 to 200 characters, none of them control characters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct Reason(Box<str>);

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a reason is 1 to 200 characters without control characters")]
pub struct InvalidReason;

impl Reason {
    pub const CHARS_MAX: usize = 200;

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Reason {
    type Error = InvalidReason;

    fn try_from(text: String) -> Result<Self, InvalidReason> {
        let fits = !text.is_empty() && text.chars().nth(Self::CHARS_MAX).is_none();
        if fits && !text.chars().any(char::is_control) {
            Ok(Self(text.into_boxed_str()))
        } else {
            Err(InvalidReason)
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Cause {
    /// Someone said how many there are.
    Stated(Reason),
    /// A reservation was confirmed.
    Sold(ReservationId),
    /// Someone said how many there are at one location.
    StatedAt(LocationId, Reason),
    /// A reservation was confirmed, and these of its pieces left one location; none is the default.
    SoldFrom(ReservationId, Option<LocationId>),
    /// Pieces went from one location to another.
    Transferred { from: Option<LocationId>, to: Option<LocationId>, pieces: Units, reason: Reason },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerEntry {
    pub at: Timestamp,
    pub delta: Delta,
    /// After the change.
    pub on_hand: Units,
    pub cause: Cause,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ledger(VecDeque<LedgerEntry>);

impl Ledger {
    /// Part of `apply`, so a change needs a new event.
    pub(crate) const ENTRIES_MAX: usize = 50;

    pub(crate) fn restore(entries: Vec<LedgerEntry>) -> Option<Self> {
        (entries.len() <= Self::ENTRIES_MAX).then(|| Self(entries.into()))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &LedgerEntry> {
        self.0.iter()
    }

    pub(super) fn push(&mut self, entry: LedgerEntry) {
        if self.0.len() >= Self::ENTRIES_MAX {
            self.0.pop_front();
        }
        self.0.push_back(entry);
    }

    pub(super) fn newest(&self, limit: PageLimit) -> Vec<LedgerEntry> {
        self.0.iter().rev().take(limit.get()).cloned().collect()
    }

    pub(super) fn heap_bytes(&self) -> usize {
        let text = |entry: &LedgerEntry| match &entry.cause {
            Cause::Stated(reason) | Cause::Transferred { reason, .. } => {
                heap::allocation(reason.as_str().len())
            }
            Cause::StatedAt(location, reason) => {
                heap::allocation(reason.as_str().len() + location.as_str().len())
            }
            Cause::Sold(_) | Cause::SoldFrom(..) => 0,
        };
        heap::allocation(self.0.capacity() * size_of::<LedgerEntry>())
            + self.0.iter().map(text).sum::<usize>()
    }
}
