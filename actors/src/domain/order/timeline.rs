//! What happened to an order, in words for its shopper and its shop.
//!
//! **Invariants:** oldest first; only the newest [`Timeline::ENTRIES_MAX`] are kept here: history has
//! the rest.

use cluster::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::Event;
use crate::domain::heap;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Moment {
    Placed,
    LinesDropped,
    Authorised,
    Captured,
    CaptureFailed,
    Confirmed,
    Failed,
    CancelAsked,
    Cancelled,
    Shipped,
    Delivered,
    ReturnAsked,
    ReturnReceived,
    RefundAsked,
    Refunded,
    RefundFailed,
    NoteAdded,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimelineEntry {
    pub moment: Moment,
    pub at: Timestamp,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<TimelineEntry>")]
pub(crate) struct Timeline(Vec<TimelineEntry>);

#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("a timeline has at most {} entries", Timeline::ENTRIES_MAX)]
pub(crate) struct TooLong;

impl TryFrom<Vec<TimelineEntry>> for Timeline {
    type Error = TooLong;

    fn try_from(entries: Vec<TimelineEntry>) -> Result<Self, TooLong> {
        if entries.len() <= Self::ENTRIES_MAX { Ok(Self(entries)) } else { Err(TooLong) }
    }
}

impl Timeline {
    pub(crate) const ENTRIES_MAX: usize = 128;

    pub(super) fn placed(&mut self, at: Timestamp) {
        self.push(Moment::Placed, at);
    }

    pub(super) fn take(&mut self, event: &Event) {
        let (moment, at) = match event {
            Event::LinesDropped { at, .. } => (Moment::LinesDropped, at),
            Event::Authorised { at, .. } => (Moment::Authorised, at),
            Event::Captured { at, .. } => (Moment::Captured, at),
            Event::CaptureFailed { at } => (Moment::CaptureFailed, at),
            Event::Confirmed { at } => (Moment::Confirmed, at),
            Event::Failed { at, .. } => (Moment::Failed, at),
            Event::CancelAsked { at, .. } => (Moment::CancelAsked, at),
            Event::Cancelled { at } => (Moment::Cancelled, at),
            Event::Shipped { at, .. } => (Moment::Shipped, at),
            Event::Delivered { at, .. } => (Moment::Delivered, at),
            Event::ReturnAsked { at, .. } => (Moment::ReturnAsked, at),
            Event::ReturnReceived { at, .. } => (Moment::ReturnReceived, at),
            Event::RefundAsked { at, .. } => (Moment::RefundAsked, at),
            Event::Refunded { at, .. } => (Moment::Refunded, at),
            Event::RefundFailed { at, .. } => (Moment::RefundFailed, at),
            Event::NoteAdded { at, .. } => (Moment::NoteAdded, at),
            // The fabric's own steps, and the one that makes the timeline.
            Event::Placed { .. }
            | Event::Numbered { .. }
            | Event::StockReserved { .. }
            | Event::StockRefused { .. }
            | Event::PaymentAsked { .. }
            | Event::CaptureAsked { .. }
            | Event::EndingAsked { .. }
            | Event::StockSold { .. }
            | Event::StockReleased { .. }
            | Event::StockReturned { .. }
            | Event::PaymentUndone { .. } => return,
        };
        self.push(moment, *at);
    }

    fn push(&mut self, moment: Moment, at: Timestamp) {
        if self.0.len() >= Self::ENTRIES_MAX {
            self.0.remove(0);
        }
        self.0.push(TimelineEntry { moment, at });
    }

    /// Whether the last that is known of taking the money is that it failed.
    pub(super) fn capture_failed(&self) -> bool {
        let known = [Moment::Captured, Moment::CaptureFailed];
        let last = self.0.iter().rev().find(|entry| known.contains(&entry.moment));
        last.is_some_and(|entry| entry.moment == Moment::CaptureFailed)
    }

    pub(crate) fn entries(&self) -> &[TimelineEntry] {
        &self.0
    }

    pub(super) fn heap_bytes(&self) -> usize {
        heap::allocation(self.0.capacity() * size_of::<TimelineEntry>())
    }
}
