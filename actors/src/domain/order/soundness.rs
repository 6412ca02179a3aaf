//! Whether an order could have come about: what is read from disk is as sound as what was decided.

use super::records::{Pieces, RefundState};
use super::{Existing, Order};
use crate::domain::quantity::Quantity;

impl Existing {
    /// The error says why it could not.
    pub(crate) fn check(&self) -> Result<(), &'static str> {
        if self.lines.len() != self.placed.lines().len() {
            return Err("an order does not know the stock of each line");
        }
        let (shipments, returns) = (self.shipments.len(), self.returns.len());
        let entries = [shipments, returns, self.refunds.len(), self.notes.len()];
        if entries.iter().any(|n| *n > Order::ENTRIES_MAX) {
            return Err("an order has too many shipments, returns, refunds or notes");
        }
        let currency = self.placed.currency();
        if !self.money.is_sound(currency) {
            return Err("more of an order is refunded than was captured");
        }
        let (shipped, returned) = (self.shipped(), self.returned());
        let bought = self.bought().map(|line| (&line.sku, line.quantity.get()));
        if !shipped.are_within(&Pieces::counted(bought)) {
            return Err("more of an order is shipped than was bought");
        }
        let there = self.bought().map(|line| {
            let waiting = self.waiting_for(&line.sku).map_or(0, Quantity::get);
            (&line.sku, line.quantity.get().saturating_sub(waiting))
        });
        if !shipped.are_within(&Pieces::counted(there)) {
            return Err("pieces of an order are shipped that are on backorder");
        }
        if !returned.are_within(&shipped) {
            return Err("more of an order comes back than was shipped");
        }
        let mut left = self.money.captured.minor - self.money.refunded.minor;
        for refund in self.refunds.iter().filter(|refund| refund.state == RefundState::Asked) {
            left = left.saturating_sub(refund.amount.minor);
        }
        let is_ours = self
            .refunds
            .iter()
            .all(|refund| refund.amount.currency == currency && refund.amount.minor > 0);
        if left < 0 || !is_ours {
            return Err("more of an order is to be refunded than was captured");
        }
        Ok(())
    }
}
