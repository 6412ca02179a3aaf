//! What happened to an order, in words for its shopper and its shop.
//!
//! **Invariants:** oldest first; only the newest [`Timeline::ENTRIES_MAX`] are kept here: history has
//! the rest.

use cluster::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Event, ExchangeStep, TenderStep, VoucherStep};
use crate::domain::heap;
use crate::domain::quantity::Units;

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
    PaymentInDoubt,
    PaymentVoidAsked,
    PaymentUndoFailed,
    PiecesCancelled,
    ParcelAsked,
    ParcelBooked,
    ParcelRefused,
    ParcelInTransit,
    ParcelOutForDelivery,
    ParcelNotHandedOver,
    OnHold,
    Approved,
    /// The last pieces of a line that were on backorder are there.
    StockArrived,
    Corrected,
    ExchangeAsked,
    /// What was wanted instead is an order.
    Exchanged,
}

impl Moment {
    /// Whether nothing is decided by it, however often it comes.
    const fn is_by_the_way(self) -> bool {
        matches!(
            self,
            Self::ParcelAsked
                | Self::ParcelBooked
                | Self::ParcelRefused
                | Self::ParcelInTransit
                | Self::ParcelOutForDelivery
                | Self::ParcelNotHandedOver
                | Self::StockArrived
                | Self::Corrected
        )
    }
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
        let moment = match event {
            Event::LinesDropped { .. } => Moment::LinesDropped,
            Event::Authorised { .. } => Moment::Authorised,
            Event::Captured { .. } => Moment::Captured,
            Event::CaptureFailed { .. } => Moment::CaptureFailed,
            Event::Confirmed { .. } => Moment::Confirmed,
            Event::Failed { .. } => Moment::Failed,
            Event::CancelAsked { .. } => Moment::CancelAsked,
            Event::Cancelled { .. } => Moment::Cancelled,
            Event::Shipped { .. } => Moment::Shipped,
            Event::Delivered { .. } => Moment::Delivered,
            Event::ReturnAsked { .. } => Moment::ReturnAsked,
            Event::ReturnReceived { .. } => Moment::ReturnReceived,
            Event::RefundAsked { .. }
            | Event::CreditAsked { .. }
            | Event::Voucher { step: VoucherStep::Asked { .. }, .. } => Moment::RefundAsked,
            Event::Refunded { .. } | Event::Voucher { step: VoucherStep::Issued { .. }, .. } => {
                Moment::Refunded
            }
            Event::RefundFailed { .. }
            | Event::Voucher { step: VoucherStep::Refused { .. }, .. } => Moment::RefundFailed,
            Event::NoteAdded { .. } => Moment::NoteAdded,
            Event::PaymentInDoubt { .. } => Moment::PaymentInDoubt,
            Event::PaymentVoidAsked { .. } => Moment::PaymentVoidAsked,
            Event::PaymentUndoFailed { .. } => Moment::PaymentUndoFailed,
            Event::PiecesCancelled { .. } => Moment::PiecesCancelled,
            Event::Parcel { step, .. } => match step.moment() {
                Some(moment) => moment,
                None => return,
            },
            Event::Tender { step: TenderStep::GaveBack { .. }, .. } => Moment::Refunded,
            Event::Review { step, .. } => match step.moment() {
                Some(moment) => moment,
                None => return,
            },
            Event::StockArrived { waiting: Units::ZERO, .. } => Moment::StockArrived,
            Event::Corrected { .. } => Moment::Corrected,
            Event::Exchange { step: ExchangeStep::Asked(_), .. } => Moment::ExchangeAsked,
            Event::Exchange { step: ExchangeStep::Placed { .. }, .. } => Moment::Exchanged,
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
            | Event::StockPromised { .. }
            | Event::StockArrived { .. }
            | Event::PaymentUndone { .. }
            | Event::Discounted { .. }
            | Event::UsesAsked { .. }
            | Event::UseBecame { .. }
            | Event::PlacesAsked { .. }
            | Event::PlaceTaken { .. }
            | Event::Tender { .. }
            | Event::SellersNamed { .. }
            | Event::Exchange { .. } => return,
        };
        self.push(moment, event.at());
    }

    fn push(&mut self, moment: Moment, at: Timestamp) {
        if self.0.len() >= Self::ENTRIES_MAX {
            // Carriers say much, and any line may arrive; what else there is, is looked up here.
            let by_the_way = self.0.iter().position(|entry| entry.moment.is_by_the_way());
            self.0.remove(by_the_way.unwrap_or(0));
        }
        self.0.push(TimelineEntry { moment, at });
    }

    /// Whether the last that is known of taking the money is that it failed.
    pub(super) fn capture_failed(&self) -> bool {
        let known = [Moment::Captured, Moment::CaptureFailed];
        let last = self.0.iter().rev().find(|entry| known.contains(&entry.moment));
        last.is_some_and(|entry| entry.moment == Moment::CaptureFailed)
    }

    pub(super) fn has(&self, moment: Moment) -> bool {
        self.0.iter().any(|entry| entry.moment == moment)
    }

    /// How often the payment could not be undone.
    pub(super) fn undo_failures(&self) -> u32 {
        let failures = self.0.iter().filter(|entry| entry.moment == Moment::PaymentUndoFailed);
        u32::try_from(failures.count()).unwrap_or(u32::MAX)
    }

    pub(crate) fn entries(&self) -> &[TimelineEntry] {
        &self.0
    }

    pub(super) fn heap_bytes(&self) -> usize {
        heap::allocation(self.0.capacity() * size_of::<TimelineEntry>())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrivals_push_nothing_out_but_arrivals() {
        let at = Timestamp::from_micros(1);
        let arrived = |waiting: u32| {
            let (sku, waiting) = ("tea".parse().unwrap(), waiting.try_into().unwrap());
            Event::StockArrived { sku, waiting, at }
        };
        let mut timeline = Timeline::default();
        timeline.take(&Event::CaptureFailed { at });
        for _ in 0..Timeline::ENTRIES_MAX {
            timeline.take(&arrived(1));
        }
        assert_eq!(timeline.entries().len(), 1, "there is one for the last pieces of a line");
        for _ in 0..=Timeline::ENTRIES_MAX {
            timeline.take(&arrived(0));
        }
        assert_eq!(timeline.entries().len(), Timeline::ENTRIES_MAX);
        assert!(timeline.capture_failed());
    }
}
