//! What came to a gift card and what went, and what it left.
//!
//! **Invariants:** each entry's balance is the one before it and what was booked; the newest
//! [`Book::ENTRIES_MAX`] are kept, of a book that has all of them in its history.

use std::collections::VecDeque;

use cluster::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::domain::heap;
use crate::domain::ids::OrderId;
use crate::domain::names::Label;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Book {
    entries: VecDeque<Entry>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    pub booking: Booking,
    /// In minor units, below zero where it went.
    pub minor: i64,
    /// After it.
    pub balance: i64,
    pub at: Timestamp,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Booking {
    Issued,
    Adjusted { reason: Label },
    Spent { order: OrderId },
    GivenBack { order: OrderId },
}

impl Book {
    /// Part of `apply`, so a change needs a new event.
    pub(crate) const ENTRIES_MAX: usize = 100;

    pub(super) fn opened(minor: i64, at: Timestamp) -> Self {
        let first = Entry { booking: Booking::Issued, minor, balance: minor, at };
        Self { entries: VecDeque::from([first]) }
    }

    /// Of entries that follow each other; `None` where they do not, or there are none or too many.
    pub(crate) fn of(entries: Vec<Entry>) -> Option<Self> {
        let follows = |(earlier, later): (&Entry, &Entry)| {
            earlier.balance.checked_add(later.minor) == Some(later.balance)
        };
        let mut pairs = entries.iter().zip(entries.iter().skip(1));
        let is_sound = (1..=Self::ENTRIES_MAX).contains(&entries.len())
            && pairs.all(follows)
            && entries.iter().all(|entry| entry.balance >= 0);
        is_sound.then(|| Self { entries: VecDeque::from(entries) })
    }

    pub(crate) fn balance(&self) -> i64 {
        self.entries.back().map_or(0, |entry| entry.balance)
    }

    pub(super) fn add(&mut self, booking: Booking, minor: i64, at: Timestamp) {
        let balance = self.balance().saturating_add(minor);
        if self.entries.len() >= Self::ENTRIES_MAX {
            self.entries.pop_front();
        }
        self.entries.push_back(Entry { booking, minor, balance, at });
    }

    pub(crate) fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter()
    }

    pub(super) fn heap_bytes(&self) -> usize {
        heap::allocation(self.entries.capacity() * size_of::<Entry>())
    }
}
