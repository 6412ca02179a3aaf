//! Whether an order could have come about: what is read from disk is as sound as what was decided.

use super::records::{Pieces, RefundState};
use super::{Existing, LineState, Order};
use crate::domain::ids::RefundId;
use crate::domain::pricing::discount::by_line;
use crate::domain::quantity::Quantity;

impl Existing {
    /// The error says why it could not.
    pub(crate) fn check(&self) -> Result<(), &'static str> {
        if self.lines.len() != self.placed.lines().len() {
            return Err("an order does not know the stock of each line");
        }
        let (shipments, returns) = (self.shipments.len(), self.returns.len());
        let entries = [shipments, returns, self.n_asked_refunds(), self.notes.len()];
        if entries.iter().any(|n| *n > Order::ENTRIES_MAX) {
            return Err("an order has too many shipments, returns, refunds or notes");
        }
        if self.listing.as_ref().is_some_and(|listing| !listing.is_sound()) {
            return Err("an order has too many places in lists");
        }
        let currency = self.placed.currency();
        if !self.money.is_sound(currency) {
            return Err("more of an order is refunded than was captured");
        }
        let (shipped, returned) = (self.shipped(), self.returned());
        let bought = self.bought().map(|line| (&line.sku, line.quantity.get()));
        let bought = Pieces::counted(bought);
        if !shipped.are_within(&bought) {
            return Err("more of an order is shipped than was bought");
        }
        self.check_cancellations(&bought)?;
        let there = self.bought().map(|line| {
            let waiting = self.waiting_for(&line.sku).map_or(0, Quantity::get);
            (&line.sku, line.quantity.get().saturating_sub(waiting))
        });
        if !self.gone().are_within(&Pieces::counted(there)) {
            return Err("pieces of an order are shipped or cancelled that are on backorder");
        }
        if !returned.are_within(&shipped) {
            return Err("more of an order comes back than was shipped");
        }
        self.check_discounts()?;
        self.check_parcels()?;
        self.check_review()?;
        self.check_tenders()?;
        self.check_vouchers()?;
        self.check_exchanges()?;
        if !self.was_priced_for(&self.contact().shipping) {
            return Err("an order goes to another country than it was priced for");
        }
        let mut left = self.money.captured.minor - self.money.refunded.minor;
        left = left.saturating_sub(self.on_vouchers());
        for refund in self.refunds.iter().filter(|refund| refund.state == RefundState::Asked) {
            if self.voucher(refund.id).is_none() {
                left = left.saturating_sub(refund.amount.minor);
            }
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

    fn check_cancellations(&self, bought: &Pieces<'_>) -> Result<(), &'static str> {
        if self.cancellations.len() > Order::ENTRIES_MAX || self.credits.len() > Order::CREDITS_MAX
        {
            return Err("an order has too many cancellations or credits");
        }
        if !self.gone().are_within(bought) {
            return Err("more of an order is shipped or cancelled than was bought");
        }
        let is_ours = self.cancellations.iter().all(|known| {
            known.amount.currency == self.totals.grand.currency && known.amount.minor >= 0
        });
        let is_refund = |credit: &RefundId| self.refunds.iter().any(|refund| refund.id == *credit);
        if !is_ours || self.credit() > self.totals.grand.minor {
            return Err("more of an order is cancelled than was to be paid");
        }
        if !self.credits.iter().all(is_refund) {
            return Err("an order gave credit that is no refund");
        }
        Ok(())
    }

    /// What is itemised is what is taken off each line that is paid.
    fn check_discounts(&self) -> Result<(), &'static str> {
        let shares = by_line(&self.discounts, self.lines.len());
        let shares = shares.ok_or("an order has discounts of no line of it")?;
        let is_dropped = self.totals != self.placed.totals();
        let mut lines = self.placed.lines().iter().zip(&self.lines).zip(shares);
        let is_itemised = lines.all(|((line, state), share)| {
            let was_dropped = is_dropped && matches!(state, LineState::Refused(_));
            share == if was_dropped { 0 } else { line.discount.minor }
        });
        if is_itemised {
            Ok(())
        } else {
            Err("the discounts of an order are not those of its lines")
        }
    }
}
