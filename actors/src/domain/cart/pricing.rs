//! What the lines of a cart become: quantities summed, prices taken from the catalogue.
//!
//! **Invariants:** no price comes from a client; a cart past its bounds is refused, not trimmed.

use std::collections::BTreeMap;

use cluster::entity::Context;
use cluster::time::Timestamp;

use super::{Cart, Event, Existing, Line, Rejection};
use crate::domain::catalogue::PriceBook;
use crate::domain::ids::SkuCode;
use crate::domain::pricing::PricingTerms;
use crate::domain::quantity::Quantity;

impl Cart {
    pub(super) fn add_items(
        &self,
        items: Vec<(SkuCode, Quantity)>,
        ctx: &Context<'_>,
    ) -> Result<Vec<Event>, Rejection> {
        let cart = self.open()?;
        if items.len() > Self::LINES_MAX {
            return Err(Rejection::TooManyLines);
        }
        let mut wanted = BTreeMap::new();
        for (sku, more) in items {
            let before = wanted.get(&sku).copied().or_else(|| cart.lines.quantity(&sku));
            let after = before.map_or(Some(more), |before| before.plus(more));
            let Some(after) = after else { return Err(Rejection::QuantityTooLarge { sku }) };
            wanted.insert(sku, after);
        }
        cart.set_quantities(wanted, ctx)
    }
}

impl Existing {
    /// Prices the wanted lines from the catalogue; lines that stay as they are give no event.
    pub(super) fn set_quantities(
        &self,
        wanted: BTreeMap<SkuCode, Quantity>,
        ctx: &Context<'_>,
    ) -> Result<Vec<Event>, Rejection> {
        let (book, index) = PriceBook::of(ctx)?;
        let mut after = self.lines.clone();
        let mut events = vec![];
        for (sku, quantity) in wanted {
            let line = self.priced(book, sku, quantity, ctx.now)?;
            if !after.has(&line) {
                events.push(line.clone().into_event(index, ctx.now));
                after.set(line);
            }
        }
        if after.len() > Cart::LINES_MAX {
            return Err(Rejection::TooManyLines);
        }
        if after.total(self.currency).map_or(true, |total| total.minor > Cart::TOTAL_MAX) {
            return Err(Rejection::TotalTooLarge);
        }
        Ok(events)
    }

    fn priced(
        &self,
        book: &PriceBook,
        sku: SkuCode,
        quantity: Quantity,
        at: Timestamp,
    ) -> Result<Line, Rejection> {
        let Some(listing) = book.listing(&sku) else { return Err(Rejection::UnknownSku { sku }) };
        let Ok(unit_price) = book.price_of(&self.terms(at), listing) else {
            return Err(Rejection::NotPriced { sku, currency: self.currency });
        };
        Ok(Line { sku, name: listing.name().clone(), unit_price, quantity })
    }

    /// Of its lines alone: nobody has said where they go, or how.
    pub(super) fn terms(&self, at: Timestamp) -> PricingTerms<'_> {
        PricingTerms {
            currency: self.currency,
            group: None,
            at,
            destination: None,
            shipping: None,
            codes: &self.codes,
            may_be_first: true,
        }
    }
}
