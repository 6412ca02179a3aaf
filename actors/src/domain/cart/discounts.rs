//! What promotions take off a cart.
//!
//! **Invariants:** discounts follow the lines: whatever changes a line is followed by what is taken
//! off by then. A node without a catalogue takes nothing off; the checkout has one and finds out.

use cluster::entity::Context;
use cluster::time::Timestamp;

use super::{Cart, Event, Existing, Status};
use crate::domain::catalogue::PriceBook;
use crate::domain::pricing::{Bought, Discount};

impl Event {
    fn changes_discounts(&self) -> bool {
        match self {
            Self::QuantitySet { .. }
            | Self::LineRemoved { .. }
            | Self::Cleared { .. }
            | Self::CodeAdded { .. }
            | Self::CodeRemoved { .. } => true,
            Self::Created { .. }
            | Self::Deleted { .. }
            | Self::LinesOffered { .. }
            | Self::MergedAway { .. }
            | Self::LinesReturned { .. }
            | Self::LinesTaken { .. }
            | Self::OfferRepeated { .. }
            | Self::CheckoutBegun { .. }
            | Self::Ordered { .. }
            | Self::Reopened { .. }
            | Self::DiscountsSet { .. }
            | Self::GiftCardAdded { .. }
            | Self::GiftCardRemoved { .. } => false,
        }
    }
}

impl Cart {
    /// The discounts that these events lead to, of the cart as they leave it.
    pub(super) fn rediscounted(&self, events: &[Event], ctx: &Context<'_>) -> Option<Event> {
        if !events.iter().any(Event::changes_discounts) {
            return None;
        }
        let cart = self.existing.as_ref().filter(|cart| cart.status == Status::Open)?;
        let (discounts, catalogue_index) = match PriceBook::of(ctx) {
            Ok((book, index)) => (cart.discounts_by(book, ctx.now), index),
            Err(_) => (vec![], 0),
        };
        cart.discounts_become(discounts, catalogue_index, ctx.now)
    }
}

impl Existing {
    fn discounts_by(&self, book: &PriceBook, at: Timestamp) -> Vec<Discount> {
        let bought = self.lines.iter().map(|line| Bought {
            sku: &line.sku,
            quantity: line.quantity,
            unit_price: line.unit_price,
        });
        book.discounts(&self.terms(at), &bought.collect::<Vec<_>>())
    }

    /// Nothing where they are these already.
    pub(super) fn discounts_become(
        &self,
        discounts: Vec<Discount>,
        catalogue_index: u64,
        at: Timestamp,
    ) -> Option<Event> {
        let is_other = *self.discounts != *discounts;
        is_other.then_some(Event::DiscountsSet { discounts, catalogue_index, at })
    }
}
