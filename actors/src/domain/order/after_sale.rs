//! What becomes of an order that was confirmed: shipments, returns, refunds.
//!
//! **Invariants:** no more is shipped than was bought, no more comes back than was shipped, no more is
//! refunded than was captured, refunds under way counted. A repeat of what was done changes nothing.

use super::existing::Asked;
use super::records::{Pieces, RefundRecord};
use super::{
    CaptureTime, Course, Event, Existing, LineState, Order, RefundState, Rejection, ReturnNumber,
    ShipmentNumber, Stage,
};
use crate::domain::ids::{RefundId, SkuCode};
use crate::domain::money::Money;
use crate::domain::names::Label;
use crate::domain::payment;
use crate::domain::pricing::PricedLine;
use crate::domain::quantity::Quantity;
use crate::domain::sku::OrderStep;
use crate::mutants::Mutant;

pub(super) type Items = Vec<(SkuCode, Quantity)>;

impl Course {
    pub(super) fn confirmed(&self) -> Result<&Existing, Rejection> {
        let order = self.found()?;
        match order.stage {
            Stage::Confirmed => Ok(order),
            Stage::Reserving | Stage::Reviewing | Stage::Authorising | Stage::Capturing => {
                Err(Rejection::NotConfirmed)
            }
            Stage::Ending(_) | Stage::Failed(_) | Stage::Cancelled => Err(Rejection::Over),
        }
    }

    pub(super) fn fulfil(
        &mut self,
        shipment: ShipmentNumber,
        items: Items,
        carrier: Label,
        tracking: Label,
    ) -> Result<(), Rejection> {
        let order = self.confirmed()?;
        let items = in_order(items)?;
        if let Some(known) = order.shipment(shipment) {
            let is_same =
                (&known.items, &known.carrier, &known.tracking) == (&items, &carrier, &tracking);
            return is_same.then_some(()).ok_or(Rejection::NumberDiffers { number: shipment.0 });
        }
        check_next(shipment.0, order.shipments.len())?;
        order.check_left(&items, |line| line.quantity.get(), &order.gone())?;
        order.check_there(&items)?;
        order.check_room(&items)?;
        let due = order.due_when_sent()?;
        self.happen(Event::Shipped { shipment, items, carrier, tracking, at: self.now });
        self.take_what_is_due(due);
        Ok(())
    }

    pub(super) fn take_what_is_due(&mut self, due: Option<Money>) {
        let Some(amount) = due else { return };
        self.happen(Event::CaptureAsked { amount, at: self.now });
        self.set_timer(Order::PAYMENT_SILENT, Order::CAPTURE_ANSWERS_WITHIN);
        self.capture(amount);
    }

    pub(super) fn deliver(&mut self, shipment: ShipmentNumber) -> Result<(), Rejection> {
        let order = self.confirmed()?;
        let known = order.shipment(shipment).ok_or(Rejection::ShipmentNotFound { shipment })?;
        if known.delivered_at.is_none() {
            self.happen(Event::Delivered { shipment, at: self.now });
        }
        Ok(())
    }

    pub(super) fn ask_return(
        &mut self,
        number: ReturnNumber,
        items: Items,
        reason: Label,
    ) -> Result<(), Rejection> {
        let order = self.confirmed()?;
        let items = in_order(items)?;
        if let Some(known) = order.returns.iter().find(|known| known.number == number) {
            let is_same = known.items == items;
            return is_same.then_some(()).ok_or(Rejection::NumberDiffers { number: number.0 });
        }
        check_next(number.0, order.returns.len())?;
        order.check_room(&items)?;
        let shipped = order.shipped();
        order.check_left(&items, |line| shipped.of_sku(&line.sku), &order.returned())?;
        self.happen(Event::ReturnAsked { number, items, reason, at: self.now });
        Ok(())
    }

    pub(super) fn receive_return(&mut self, number: ReturnNumber) -> Result<(), Rejection> {
        let order = self.confirmed()?;
        let known = order.returns.iter().find(|known| known.number == number);
        let known = known.ok_or(Rejection::ReturnNotFound { number })?;
        if known.received_at.is_some() && !Mutant::ReturnReceivedTwice.is_planted() {
            return Ok(());
        }
        let items = known.items.clone();
        self.happen(Event::ReturnReceived { number, at: self.now });
        for (sku, quantity) in items {
            self.tell_stock(&sku, OrderStep::Restock { quantity });
        }
        self.credit_returned(number);
        Ok(())
    }

    pub(super) fn refund(
        &mut self,
        refund: RefundId,
        amount: Money,
        reason: Label,
    ) -> Result<(), Rejection> {
        let order = self.confirmed()?;
        if order.refunds.iter().any(|known| known.id == refund && known.amount == amount)
            && order.voucher(refund).is_none()
        {
            return Ok(());
        }
        order.check_refund(refund, amount)?;
        let (left, on_cards) = (order.refundable(), order.left_on_cards());
        // Where the payment has nothing left, gift cards have.
        if left <= 0 && amount.minor <= on_cards {
            self.give_back(refund, amount, reason, false);
            return Ok(());
        }
        if amount.minor > left {
            let left = if left > 0 { left } else { on_cards };
            return Err(Rejection::RefundTooLarge { left });
        }
        self.happen(Event::RefundAsked { refund, amount, reason, at: self.now });
        self.tell_payment(&payment::Command::Refund { refund, amount });
        Ok(())
    }

    pub(super) fn refund_done(&mut self, refund: RefundId, amount: Money) {
        let Some(order) = self.order().filter(|order| order.is_refunding(refund)) else { return };
        // Both were bounded by what was captured.
        let Ok(refunded) = order.money.refunded.plus(amount) else { return };
        self.happen(Event::Refunded { refund, amount, refunded, at: self.now });
    }

    pub(super) fn refund_failed(&mut self, refund: RefundId) {
        if self.order().is_some_and(|order| order.is_refunding(refund)) {
            self.happen(Event::RefundFailed { refund, at: self.now });
        }
    }

    pub(super) fn add_note(&mut self, text: Label) -> Result<(), Rejection> {
        if self.found()?.notes.len() >= Order::ENTRIES_MAX {
            return Err(Rejection::TooManyEntries);
        }
        self.happen(Event::NoteAdded { text, at: self.now });
        Ok(())
    }
}

impl Existing {
    fn is_refunding(&self, refund: RefundId) -> bool {
        self.refunds.iter().any(|known| known.id == refund && known.state == RefundState::Asked)
    }

    /// Whether a refund of this name and amount can be begun.
    pub(super) fn check_refund(&self, refund: RefundId, amount: Money) -> Result<(), Rejection> {
        let currency = self.placed.currency();
        if self.refunds.iter().any(|known| known.id == refund) {
            return Err(Rejection::RefundDiffers);
        }
        if amount.currency != currency {
            return Err(Rejection::OtherCurrency { currency });
        }
        if amount.minor <= 0 {
            return Err(Rejection::NotPositive);
        }
        if self.n_asked_refunds() >= Order::ENTRIES_MAX {
            return Err(Rejection::TooManyEntries);
        }
        Ok(())
    }

    /// Refunds that somebody asked for: credits and exchanges have bounds of their own.
    pub(super) fn n_asked_refunds(&self) -> usize {
        let is_exchange = |id| self.exchanges.iter().any(|it| it.names.refund == id);
        let is_asked = |it: &&RefundRecord| !self.credits.contains(&it.id) && !is_exchange(it.id);
        self.refunds.iter().filter(is_asked).count()
    }

    /// What is to be captured when pieces are sent now; they are not where that can never be.
    pub(super) fn due_when_sent(&self) -> Result<Option<Money>, Rejection> {
        let is_due = self.due_in_the_end() > 0;
        if is_due && self.money.asked != Asked::Open {
            return Err(Rejection::NotPaid);
        }
        let left = self.left_to_capture();
        let is_time = self.shipments.is_empty() || self.timeline.capture_failed();
        let takes_money = self.placed.terms.capture == CaptureTime::OnFulfilment && is_time;
        let due = Some(left).filter(|left| takes_money && left.minor > 0);
        Ok(due.filter(|_| !Mutant::ShippedUnpaid.is_planted()))
    }

    /// Whether something was shipped whose price is taken, or about to be.
    pub(super) fn is_taking_money(&self) -> bool {
        let is_asked = !self.shipments.is_empty() && !self.timeline.capture_failed();
        (is_asked && self.left_to_capture().minor > 0) || self.money.captured.minor > 0
    }

    /// Whether the money of what was shipped was asked for, and is neither taken nor refused.
    pub(super) fn awaits_money(&self) -> bool {
        let is_asked = self.placed.terms.capture == CaptureTime::OnFulfilment
            && !self.shipments.is_empty()
            && !self.timeline.capture_failed();
        let is_held = self.money.captured.minor == 0 && self.money.asked == Asked::Open;
        is_asked && is_held && self.left_to_capture().minor > 0
    }

    /// What may still be refunded, in minor units.
    pub(super) fn refundable(&self) -> i64 {
        if Mutant::RefundedTooMuch.is_planted() {
            return self.money.captured.minor;
        }
        let under_way = self.refunds.iter().filter(|known| known.state == RefundState::Asked);
        let under_way = under_way.filter(|known| self.voucher(known.id).is_none());
        let under_way: i64 = under_way.map(|known| known.amount.minor).sum();
        self.money.captured.minor - self.money.refunded.minor - under_way - self.on_vouchers()
    }

    /// A record stays far below what a record may be.
    fn check_room(&self, more: &Items) -> Result<(), Rejection> {
        let there = self.n_items() + more.len();
        if there > Order::ITEMS_MAX { Err(Rejection::TooManyEntries) } else { Ok(()) }
    }

    /// Whether so many pieces of each line are left of those there are.
    pub(super) fn check_left(
        &self,
        items: &Items,
        there: impl Fn(&PricedLine) -> u32,
        taken: &Pieces<'_>,
    ) -> Result<(), Rejection> {
        for (sku, quantity) in items {
            let line = self.placed.line(sku).filter(|_| self.is_bought(sku));
            let line = line.ok_or_else(|| Rejection::LineNotFound { sku: sku.clone() })?;
            let left = there(line).saturating_sub(taken.of_sku(sku));
            if quantity.get() > left && !Mutant::ShippedTooMuch.is_planted() {
                return Err(Rejection::TooMany { sku: sku.clone(), left });
            }
        }
        Ok(())
    }

    /// Whether so many pieces of each line are there to be shipped.
    fn check_there(&self, items: &Items) -> Result<(), Rejection> {
        let gone = self.gone();
        for (sku, quantity) in items {
            let Some(waiting) = self.waiting_for(sku) else { continue };
            let bought = self.placed.line(sku).map_or(0, |line| line.quantity.get());
            let there = bought.saturating_sub(waiting.get() + gone.of_sku(sku));
            if quantity.get() > there && !Mutant::BackorderShipped.is_planted() {
                return Err(Rejection::OnBackorder { sku: sku.clone(), waiting });
            }
        }
        Ok(())
    }

    pub(super) fn is_bought(&self, sku: &SkuCode) -> bool {
        let state = self.state_of(sku);
        matches!(state, Some(LineState::Selling | LineState::Sold | LineState::PartlySold { .. }))
    }
}

/// Each SKU once, in order.
pub(super) fn in_order(mut items: Items) -> Result<Items, Rejection> {
    items.sort_unstable_by(|left, right| left.0.cmp(&right.0));
    let repeated = items.iter().zip(items.iter().skip(1)).find(|(left, right)| left.0 == right.0);
    match (items.is_empty(), repeated) {
        (true, _) => Err(Rejection::NothingNamed),
        (false, Some(((sku, _), _))) => Err(Rejection::TooMany { sku: sku.clone(), left: 0 }),
        (false, None) => Ok(items),
    }
}

/// Numbers count from one, without a gap.
fn check_next(number: u16, n_known: usize) -> Result<(), Rejection> {
    if n_known >= Order::ENTRIES_MAX {
        return Err(Rejection::TooManyEntries);
    }
    let next = u16::try_from(n_known + 1).unwrap_or(u16::MAX);
    if number == next { Ok(()) } else { Err(Rejection::NumberOutOfOrder { next }) }
}
