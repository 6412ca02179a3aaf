//! Calling off pieces that are not on their way, while the order goes on with the others.
//!
//! **Invariants:** what is shipped and what is called off are no more than what was bought; the pieces
//! are in stock again, once, and those that were to come are waited for no more; what they cost is
//! refunded once it was captured, or is not captured.

use super::after_sale::{Items, in_order};
use super::existing::Asked;
use super::records::Pieces;
use super::{
    Cancellation, Course, Event, Existing, LineState, Order, RefundState, Rejection, Side,
};
use crate::domain::ids::{RefundId, SkuCode};
use crate::domain::money::Money;
use crate::domain::names::Label;
use crate::domain::payment;
use crate::domain::quantity::Quantity;
use crate::domain::sku::OrderStep;
use crate::mutants::Mutant;

impl Course {
    /// Nothing of what was not shipped is wanted any more.
    pub(super) fn cancel_rest(&mut self, by: Side, reason: Label) -> Result<(), Rejection> {
        let order = self.confirmed()?;
        let items = order.unshipped();
        if items.is_empty() {
            let was_done = !order.cancellations.is_empty();
            return if was_done { Ok(()) } else { Err(Rejection::AlreadyShipped) };
        }
        self.call_off(by, items, reason)
    }

    /// Some of what was not shipped is not wanted any more.
    pub(super) fn cancel_pieces(
        &mut self,
        by: Side,
        items: Items,
        reason: Label,
    ) -> Result<(), Rejection> {
        let order = self.confirmed()?;
        let items = in_order(items)?;
        order.check_calling_off(&items)?;
        // Nothing of the order is left: its shipping is not paid either.
        if items == order.unshipped() {
            return self.cancel(by, reason);
        }
        self.call_off(by, items, reason)
    }

    fn call_off(&mut self, by: Side, items: Items, reason: Label) -> Result<(), Rejection> {
        self.take_off(by, items, reason)?;
        self.give_credit();
        Ok(())
    }

    /// The pieces are in stock again; what they had cost is to be given back.
    pub(super) fn take_off(
        &mut self,
        by: Side,
        items: Items,
        reason: Label,
    ) -> Result<(), Rejection> {
        let order = self.confirmed()?;
        if order.cancellations.len() >= Order::ENTRIES_MAX {
            return Err(Rejection::TooManyEntries);
        }
        let amount = order.worth_of_cancelled(&items);
        let undone: Vec<_> = items.iter().map(|item| order.undo_of_sale(item)).collect();
        self.happen(Event::PiecesCancelled { by, items, amount, reason, at: self.now });
        for (sku, undo) in undone {
            if !Mutant::CancelledPiecesLost.is_planted() {
                self.tell_stock(&sku, undo);
            }
        }
        Ok(())
    }

    /// Gives back what was paid for pieces that were called off, as far as it was not yet.
    pub(super) fn give_credit(&mut self) {
        let owed = self.order().map(|order| order.owed_credit()).unwrap_or_default();
        if owed.to_cards > 0 {
            self.give_credit_to_cards(owed.to_cards);
        }
        if owed.to_payment > 0 && !Mutant::CreditForgotten.is_planted() {
            let Some((refund, amount, reason)) = self.next_credit(owed.to_payment) else { return };
            self.happen(Event::CreditAsked { refund, amount, reason, at: self.now });
            self.tell_payment(&payment::Command::Refund { refund, amount });
        }
        self.give_up_idle_payment();
    }

    fn give_credit_to_cards(&mut self, minor: i64) {
        let Some((refund, amount, reason)) = self.next_credit(minor) else { return };
        self.give_back(refund, amount, reason, true);
    }

    fn next_credit(&self, minor: i64) -> Option<(RefundId, Money, Label)> {
        let order = self.order()?;
        let refund = RefundId::from_bytes(self.name_of(order.credits.len()));
        let reason = order.cancellations.last()?.reason.clone();
        Some((refund, Money { minor, ..order.totals.grand }, reason))
    }

    /// Where cards pay all that is left, nothing is held that nobody will take.
    fn give_up_idle_payment(&mut self) {
        let is_idle = |order: &Existing| {
            let is_held = order.money.asked == Asked::Open && order.money.captured.minor == 0;
            is_held && order.shipments.is_empty() && order.due_in_the_end() == 0
        };
        if self.order().is_some_and(is_idle) {
            self.happen(Event::PaymentVoidAsked { at: self.now });
            self.tell_payment(&payment::Command::Cancel);
        }
    }
}

impl Existing {
    /// Pieces of each line that were called off while others were wanted still.
    pub(super) fn cancelled(&self) -> Pieces<'_> {
        Pieces::of(self.cancellations.iter().flat_map(|known| &known.items))
    }

    /// Pieces of each line that are not to be sent any more: on their way, or called off.
    pub(super) fn gone(&self) -> Pieces<'_> {
        self.shipped().plus(self.cancelled())
    }

    pub(super) fn has_unshipped(&self) -> bool {
        !self.unshipped().is_empty()
    }

    /// Each line, and how many of its pieces were not called off; none where all were.
    pub(super) fn kept(&self) -> impl Iterator<Item = (&SkuCode, Option<Quantity>)> {
        let cancelled = self.cancelled();
        self.placed.lines().iter().map(move |line| {
            let kept = line.quantity.get().saturating_sub(cancelled.of_sku(&line.sku));
            (&line.sku, Quantity::try_from(kept).ok())
        })
    }

    /// Whether just these pieces can be called off.
    pub(super) fn check_calling_off(&self, items: &Items) -> Result<(), Rejection> {
        let taken = if Mutant::CalledOffTwice.is_planted() { self.shipped() } else { self.gone() };
        self.check_left(items, |line| line.quantity.get(), &taken)?;
        // There is always room to call off the rest.
        let n_items: usize = self.cancellations.iter().map(|known| known.items.len()).sum();
        let is_full = self.cancellations.len() + 1 >= Order::ENTRIES_MAX;
        if is_full || n_items + items.len() > Order::ITEMS_MAX {
            return Err(Rejection::TooManyEntries);
        }
        // Which of a line's pieces came, its stock knows; all of them or none are called off.
        let rest = self.unshipped();
        for item in items {
            if let Some(waiting) = self.waiting_for(&item.0).filter(|_| !rest.contains(item)) {
                return Err(Rejection::OnBackorder { sku: item.0.clone(), waiting });
            }
        }
        Ok(())
    }

    /// What is to be sent still.
    fn unshipped(&self) -> Vec<(SkuCode, Quantity)> {
        let gone = self.gone();
        let left = self.bought().filter_map(|line| {
            let left = line.quantity.get().saturating_sub(gone.of_sku(&line.sku));
            Some((line.sku.clone(), Quantity::try_from(left).ok()?))
        });
        left.collect()
    }

    /// Where pieces are on backorder, the stock knows how many of them came meanwhile.
    fn undo_of_sale(&self, (sku, quantity): &(SkuCode, Quantity)) -> (SkuCode, OrderStep) {
        let (waits, quantity) = (self.waiting_for(sku).is_some(), *quantity);
        let waits = waits && !Mutant::BackorderRestocked.is_planted();
        let undo =
            if waits { OrderStep::TakeBack { quantity } } else { OrderStep::Restock { quantity } };
        (sku.clone(), undo)
    }

    /// What is not to be sent is not waited for.
    pub(super) fn take_cancellation(&mut self, cancelled: Cancellation) {
        for (sku, _) in &cancelled.items {
            if self.waiting_for(sku).is_some() {
                self.set(sku, LineState::Sold);
            }
        }
        self.cancellations.push(cancelled);
    }

    /// What is paid for pieces that are called off now. Where nothing is sent at all, shipping is not paid.
    pub(super) fn worth_of_cancelled(&self, items: &Items) -> Money {
        let is_all = self.shipments.is_empty() && *items == self.unshipped();
        let worth = self.worth(items, &self.cancelled());
        let whole = self.totals.grand.minor - self.credit();
        if is_all { Money { minor: whole, ..worth } } else { worth }
    }

    /// What is paid for these pieces, after those that are not kept.
    pub(super) fn worth(&self, items: &[(SkuCode, Quantity)], gone: &Pieces<'_>) -> Money {
        let worth = items.iter().filter_map(|(sku, quantity)| {
            let line = self.placed.line(sku)?;
            let kept = line.quantity.get().saturating_sub(gone.of_sku(sku));
            let left = kept.saturating_sub(quantity.get());
            Some(line.paid_for(kept).minor - line.paid_for(left).minor)
        });
        Money { minor: worth.sum(), ..self.totals.grand }
    }

    /// What all pieces that were called off had cost, in minor units.
    pub(super) fn credit(&self) -> i64 {
        self.cancellations.iter().map(|known| known.amount.minor).fold(0, i64::saturating_add)
    }

    /// What is to be captured still, without what was called off.
    pub(super) fn left_to_capture(&self) -> Money {
        let most = self.due_in_the_end().min(self.money.authorised.minor);
        Money { minor: most - self.money.captured.minor, ..self.totals.grand }
    }

    /// What was paid for pieces that were called off and was not given back for it: by the payment as
    /// far as it has it, by cards for what the payment never had to pay or has given back for other
    /// reasons.
    pub(super) fn owed_credit(&self) -> Owed {
        // Those of exchanges have room besides.
        let most = Order::CREDITS_MAX - Order::EXCHANGES_MAX;
        if self.cancellations.is_empty() || self.credits.len() + 1 >= most {
            return Owed::default();
        }
        let credit = self.credit();
        let by_payment = (self.money.captured.minor - self.due_in_the_end()).min(credit).max(0);
        let by_cards = (credit - self.due().minor).max(0);
        let (given_by_payment, given_by_cards) = self.given_credit();
        let left = (by_payment + by_cards - given_by_payment - given_by_cards).max(0);
        let to_payment = (by_payment - given_by_payment).min(left).min(self.refundable()).max(0);
        Owed { to_payment, to_cards: (left - to_payment).min(self.left_on_cards()) }
    }

    /// What credits gave back that did not fail: of the payment, and of cards.
    fn given_credit(&self) -> (i64, i64) {
        let given = self.refunds.iter().filter(|refund| self.credits.contains(&refund.id));
        let given = given.filter(|refund| refund.state != RefundState::Failed);
        let parts = given.map(|refund| match self.voucher(refund.id) {
            Some(voucher) => (voucher.from_payment, voucher.of_cards()),
            None if self.to_cards.contains(&refund.id) => (0, refund.amount.minor),
            None => (refund.amount.minor, 0),
        });
        parts.fold((0, 0), |(payment, cards), (more, besides)| (payment + more, cards + besides))
    }
}

/// In minor units.
#[derive(Default)]
pub(super) struct Owed {
    to_payment: i64,
    to_cards: i64,
}

impl Owed {
    pub(super) const fn all(&self) -> i64 {
        self.to_payment + self.to_cards
    }
}
