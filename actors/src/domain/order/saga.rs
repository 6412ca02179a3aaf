//! The checkout: stocks, then the payment, then stocks again, and how each step is undone.
//!
//! **Invariants:** a step begins after the one before it is done for every line; every way out of the
//! checkout passes through [`Course::fail`] or [`Course::end_after_payment`], which let go of all that
//! is held; news that come late are answered with the undo of what they tell.

use cluster::entity::{Effect, Wire};
use cluster::time::Span;

use super::existing::{Asked, Ending};
use super::{
    CaptureTime, Course, Event, ExchangeStep, Extra, Failure, LineState, Moment, Order, Placed,
    Rejection, ReviewStep, Shortage, Shortfall, Side, Stage, StockNews,
};
use crate::domain::cart;
use crate::domain::ids::{CaptureId, CartAccess, CartId, PaymentId, SkuCode};
use crate::domain::money::Money;
use crate::domain::names::Label;
use crate::domain::order_numbers::{self, OrderNumber, OrderNumbers};
use crate::domain::payment::{self, News, Payment};
use crate::domain::quantity::Quantity;
use crate::domain::sku::OrderStep;
use crate::mutants::Mutant;

impl Course {
    pub(super) fn place(
        &mut self,
        cart: CartId,
        access: CartAccess,
        payment: PaymentId,
        placed: Box<Placed>,
        extras: Vec<Extra>,
    ) -> Result<(), Rejection> {
        if let Some(order) = self.order() {
            if (order.cart, order.payment) != (cart, payment) {
                return Err(Rejection::AlreadyExists);
            }
            self.tell_again_how_it_ended();
            return Ok(());
        }
        // Before the stocks: where all of them are of one shard, a free order is confirmed by what
        // they say, and has its number by then.
        let to = OrderNumbers::address(self.me.key().slot());
        let command = order_numbers::Command::Give { to: self.me }.to_bytes();
        self.does(Effect::Tell { to, command });
        for line in placed.lines() {
            self.tell_stock(&line.sku, OrderStep::Reserve { quantity: line.quantity });
        }
        self.happen(Event::Placed { cart, access, payment, placed });
        let (mut discounts, mut redemptions, mut sellers) = (Vec::new(), Vec::new(), Vec::new());
        let (mut cards, mut in_place_of) = (Vec::new(), None);
        for extra in extras {
            match extra {
                Extra::Discount(discount) => discounts.push(discount),
                Extra::Redemption(redemption) => redemptions.push(redemption),
                Extra::Screening { held_for } => self.review(ReviewStep::Wanted { held_for }),
                Extra::Seller(lines) => sellers.push(lines),
                Extra::GiftCard(card) => cards.push(card),
                Extra::InPlaceOf(order) => in_place_of = Some(order),
            }
        }
        if let Some(order) = in_place_of {
            self.exchange_step(ExchangeStep::InPlaceOf { order });
        }
        if !discounts.is_empty() {
            self.happen(Event::Discounted { discounts, at: self.now });
        }
        if !sellers.is_empty() {
            self.happen(Event::SellersNamed { sellers, at: self.now });
        }
        if !redemptions.is_empty() {
            self.happen(Event::UsesAsked { redemptions, at: self.now });
            self.ask_uses();
        }
        if !cards.is_empty() {
            self.ask_cards(cards);
        }
        self.set_timer(Order::STOCK_SILENT, Order::STOCK_ANSWERS_WITHIN);
        Ok(())
    }

    /// For a cart that was opened again and is checked out as this order once more: its shopper's
    /// key was forgotten since. It waits for an end that was told before.
    fn tell_again_how_it_ended(&mut self) {
        if Mutant::EndToldOnce.is_planted() {
            return;
        }
        match self.order().map(|order| order.stage.clone()) {
            None
            | Some(Stage::Reserving | Stage::Reviewing | Stage::Authorising | Stage::Capturing) => {
            }
            Some(Stage::Ending(Ending::Fails(_))) => {}
            Some(Stage::Failed(_)) => {
                self.tell_cart(&cart::Command::ReopenAfter { order: self.me });
            }
            Some(Stage::Confirmed | Stage::Ending(Ending::IsCancelled) | Stage::Cancelled) => {
                self.tell_cart(&cart::Command::FinishCheckout { order: self.me });
            }
        }
    }

    pub(super) fn take_number(&mut self, number: OrderNumber) {
        if self.order().is_some_and(|order| order.number.is_none()) {
            self.happen(Event::Numbered { number, at: self.now });
        }
    }

    pub(super) fn take_stock_news(&mut self, sku: &SkuCode, news: StockNews) {
        let Some(state) = self.order().and_then(|order| order.state_of(sku)) else { return };
        let (at, sku) = (self.now, sku.clone());
        match (news, state) {
            (StockNews::Reserved, LineState::Releasing) if Mutant::LateNewsTaken.is_planted() => {
                self.happen(Event::StockReserved { sku, at });
            }
            (StockNews::Reserved, LineState::Asked) => {
                self.happen(Event::StockReserved { sku, at });
                self.when_stocks_answered();
            }
            (StockNews::Promised { waiting }, LineState::Asked) => {
                self.happen(Event::StockPromised { sku, waiting, at });
                self.when_stocks_answered();
            }
            (StockNews::Arrived { waiting }, LineState::Promised { .. }) => {
                self.happen(Event::StockArrived { sku, waiting, at });
            }
            // It is sold already, but for what was not there to be sold.
            (StockNews::Arrived { waiting }, LineState::PartlySold { .. }) => {
                self.happen(Event::StockArrived { sku: sku.clone(), waiting, at });
                self.tell_stock(&sku, OrderStep::Confirm);
            }
            (StockNews::Refused(shortage), LineState::Asked) => {
                self.happen(Event::StockRefused { sku, shortage, at });
                self.when_stocks_answered();
            }
            (StockNews::Sold, LineState::Selling) => self.happen(Event::StockSold { sku, at }),
            (StockNews::Released, LineState::Releasing) => {
                self.happen(Event::StockReleased { sku, at });
            }
            (StockNews::Restocked, LineState::Returning) => {
                self.happen(Event::StockReturned { sku, at });
            }
            // Said before the order thought better of it: the release or the return is on its way
            // behind what this answers.
            (
                StockNews::Reserved
                | StockNews::Refused(_)
                | StockNews::Sold
                | StockNews::Released
                | StockNews::Restocked
                | StockNews::Promised { .. }
                | StockNews::Arrived { .. },
                _,
            ) => {}
        }
    }

    pub(super) fn when_stocks_answered(&mut self) {
        let Some(order) = self.order().filter(|order| order.stage == Stage::Reserving) else {
            return;
        };
        if order.lines.contains(&LineState::Asked)
            || order.waits_for_uses()
            || order.waits_for_cards()
        {
            return;
        }
        self.cancel_timer(Order::STOCK_SILENT);
        let Some(order) = self.order() else { return };
        let short: Vec<_> = order.short_lines().map(|(sku, _)| sku.clone()).collect();
        let is_all = short.len() == order.lines.len();
        let drops = order.placed.terms.shortfall == Shortfall::DropLines && !is_all;
        let is_crowded = order.short_lines().any(|(_, why)| why == Shortage::Crowded);
        if is_crowded {
            return self.fail(Failure::Crowded);
        }
        if let Some(why) = order.refused_use().or_else(|| order.refused_card()) {
            return self.fail(why);
        }
        match (short.is_empty(), drops) {
            (true, _) => self.stocks_are_there(),
            (false, true) => match order.placed.totals_without(&short) {
                Some(totals) => {
                    self.happen(Event::LinesDropped { skus: short, totals, at: self.now });
                    self.stocks_are_there();
                }
                // Less than a total that was no overflow is none.
                None => self.fail(Failure::OutOfStock),
            },
            (false, false) => self.fail(Failure::OutOfStock),
        }
    }

    /// What it comes to is known; what nobody pays is not looked at either.
    fn stocks_are_there(&mut self) {
        let Some(order) = self.order() else { return };
        let due = order.due();
        if due.minor > 0 && order.placed.terms.method.is_none() {
            return self.fail(Failure::PaymentRequired { due });
        }
        self.free_idle_cards();
        self.screen();
    }

    pub(super) fn ask_payment(&mut self) {
        let Some(order) = self.order() else { return };
        let (amount, method) = (order.due(), order.placed.terms.method.clone());
        // Nothing is due: nobody is asked for it.
        if amount.minor == 0 {
            return self.confirm();
        }
        self.happen(Event::PaymentAsked { amount, at: self.now });
        let open = payment::Command::Open { order: self.me, amount, method };
        self.tell_payment(&open);
        self.tell_payment(&payment::Command::Authorise);
        if !Mutant::PaymentTimerLost.is_planted() {
            self.set_timer(Order::PAYMENT_SILENT, Order::PAYMENT_ANSWERS_WITHIN);
        }
    }

    pub(super) fn take_payment_news(&mut self, payment: PaymentId, news: News) {
        let Some(order) = self.order().filter(|order| order.payment == payment) else {
            return self.take_foreign_news(payment, &news);
        };
        let (at, is_open) = (self.now, order.money.is_open());
        match news {
            News::Authorised { amount } => {
                let is_awaited = order.stage == Stage::Authorising;
                // Also of an order that is called off: more is never captured than was authorised.
                self.happen(Event::Authorised { amount, at });
                if is_awaited {
                    self.take_the_money(amount);
                }
            }
            News::Declined { reason } => {
                if is_open && order.money.captured.minor == 0 {
                    self.undone(Failure::Declined { reason });
                }
            }
            News::Captured { total, .. } => {
                // An operator may have captured a part, which the order's own capture then fails over.
                let is_all = total == order.due();
                let is_awaited = order.stage == Stage::Capturing;
                self.happen(Event::Captured { total, at });
                if is_awaited && is_all {
                    self.cancel_timer(Order::PAYMENT_SILENT);
                    self.confirm();
                }
                self.give_credit();
            }
            News::CaptureFailed { .. } => {
                let is_checkout = order.stage == Stage::Capturing;
                self.happen(Event::CaptureFailed { at });
                if is_checkout {
                    self.end_after_payment(Failure::CaptureFailed);
                }
            }
            News::Cancelled => {
                if is_open {
                    self.undone(Failure::PaymentSilent);
                }
            }
            News::CancelFailed { .. } => self.undo_failed(),
            News::VoidAsked => self.void_payment(),
            News::Refunded { refund, amount, .. } => self.refund_done(refund, amount),
            News::RefundFailed { refund, .. } => self.refund_failed(refund),
        }
    }

    fn take_the_money(&mut self, amount: Money) {
        let Some(order) = self.order() else { return };
        match order.placed.terms.capture {
            CaptureTime::AtOnce => {
                self.happen(Event::CaptureAsked { amount, at: self.now });
                self.set_timer(Order::PAYMENT_SILENT, Order::CAPTURE_ANSWERS_WITHIN);
                self.capture(amount);
                self.sell();
                if Mutant::ConfirmedUnpaid.is_planted() {
                    self.confirm();
                }
            }
            CaptureTime::OnFulfilment => {
                self.cancel_timer(Order::PAYMENT_SILENT);
                self.confirm();
            }
        }
    }

    /// The order's own id names its capture; one that failed is tried again with a later shipment.
    pub(super) fn capture(&mut self, amount: Money) {
        let shipped = self.order().map_or(0, |order| order.shipments.len());
        let capture = CaptureId::from_bytes(self.name_of(shipped.saturating_sub(1)));
        self.tell_payment(&payment::Command::Capture { capture, amount });
    }

    /// Tells stocks to let go of what this order bought, once.
    fn sell(&mut self) {
        for sku in self.sold_lines() {
            self.tell_stock(&sku, OrderStep::Confirm);
        }
        self.count_uses();
        self.spend_cards();
    }

    fn confirm(&mut self) {
        let was_selling = self.order().is_some_and(|order| order.stage == Stage::Capturing);
        self.happen(Event::Confirmed { at: self.now });
        if !was_selling {
            self.sell();
        }
        let order = self.me;
        self.tell_cart(&if Mutant::BoughtCartReopened.is_planted() {
            cart::Command::ReopenAfter { order }
        } else {
            cart::Command::FinishCheckout { order }
        });
    }

    /// The payment ended with nothing.
    fn undone(&mut self, otherwise: Failure) {
        self.cancel_timer(Order::PAYMENT_SILENT);
        self.happen(Event::PaymentUndone { at: self.now });
        let Some(order) = self.order() else { return };
        match order.stage.clone() {
            Stage::Ending(Ending::Fails(why)) => self.fail(why),
            Stage::Ending(Ending::IsCancelled) => self.happen(Event::Cancelled { at: self.now }),
            Stage::Reserving | Stage::Reviewing | Stage::Authorising | Stage::Capturing => {
                self.fail(otherwise);
            }
            Stage::Confirmed | Stage::Failed(_) | Stage::Cancelled => {}
        }
    }

    /// Nothing is paid and nothing can be: the order ends here.
    pub(super) fn fail(&mut self, why: Failure) {
        self.let_go_with(Event::Failed { why, at: self.now });
        if !Mutant::CartNotReopened.is_planted() {
            self.tell_cart(&cart::Command::ReopenAfter { order: self.me });
        }
    }

    /// The payment has the money, or may have: it is undone first.
    fn end_after_payment(&mut self, why: Failure) {
        self.let_go_with(Event::EndingAsked { why, at: self.now });
        self.tell_payment(&payment::Command::Cancel);
    }

    /// What was held before this happens is let go of after it.
    fn let_go_with(&mut self, event: Event) {
        let (held, uses, cards) = (self.held(), self.open_uses(), self.open_cards());
        let is_declined = matches!(&event, Event::Failed { why: Failure::Declined { .. }, .. });
        self.happen(event);
        if !(is_declined && Mutant::StockNotReleased.is_planted()) {
            self.let_go(held);
        }
        self.free_uses(uses);
        self.free_cards(cards);
    }

    /// Lines whose stock holds pieces for this order, or gave them away to it.
    fn held(&self) -> Vec<(SkuCode, Quantity, LineState)> {
        let Some(order) = self.order() else { return Vec::new() };
        let lines = order.kept().zip(&order.lines);
        lines.filter_map(|((sku, kept), state)| Some((sku.clone(), kept?, *state))).collect()
    }

    fn let_go(&mut self, held: Vec<(SkuCode, Quantity, LineState)>) {
        for (sku, quantity, state) in held {
            match state {
                LineState::Asked | LineState::Reserved | LineState::Promised { .. } => {
                    self.tell_stock(&sku, OrderStep::Release);
                }
                // The stock knows how much of it came meanwhile.
                LineState::PartlySold { .. } => {
                    self.tell_stock(&sku, OrderStep::TakeBack { quantity });
                }
                LineState::Selling | LineState::Sold if Mutant::ReleasedAfterSale.is_planted() => {
                    self.tell_stock(&sku, OrderStep::Release);
                }
                LineState::Selling | LineState::Sold => {
                    self.tell_stock(&sku, OrderStep::Restock { quantity });
                }
                LineState::Refused(_)
                | LineState::Releasing
                | LineState::Released
                | LineState::Returning => {}
            }
        }
    }

    pub(super) fn give_up_stock(&mut self) {
        if self.order().is_some_and(|order| order.stage == Stage::Reserving) {
            self.fail(Failure::StockSilent);
        }
    }

    pub(super) fn give_up_payment(&mut self) {
        let Some(order) = self.order() else { return };
        match order.stage {
            Stage::Capturing if !order.timeline.has(Moment::PaymentInDoubt) => {
                self.happen(Event::PaymentInDoubt { at: self.now });
                self.set_timer(Order::PAYMENT_SILENT, Order::CAPTURE_IN_DOUBT_MAX);
            }
            Stage::Authorising | Stage::Capturing => {
                self.end_after_payment(Failure::PaymentSilent);
            }
            Stage::Ending(_) => self.tell_payment(&payment::Command::Cancel),
            Stage::Confirmed if order.money.asked == Asked::Closing => {
                self.tell_payment(&payment::Command::Cancel);
            }
            // The pieces are gone: it is only shown.
            Stage::Confirmed
                if order.awaits_money() && !order.timeline.has(Moment::PaymentInDoubt) =>
            {
                self.happen(Event::PaymentInDoubt { at: self.now });
            }
            Stage::Reserving
            | Stage::Reviewing
            | Stage::Confirmed
            | Stage::Failed(_)
            | Stage::Cancelled => {}
        }
    }

    /// The provider refused: another try, later each time, and at last only when an operator asks.
    fn undo_failed(&mut self) {
        self.happen(Event::PaymentUndoFailed { at: self.now });
        let n_failures = self.order().map_or(0, |order| order.timeline.undo_failures());
        if n_failures < Order::UNDONE_TRIES && !Mutant::UndoneOnce.is_planted() {
            let first = Order::PAYMENT_ANSWERS_WITHIN.as_micros();
            let pause = first.saturating_mul(1 << n_failures.saturating_sub(1));
            self.set_timer(Order::PAYMENT_SILENT, Span::from_micros(pause));
        }
    }

    /// An operator wants the payment given up. What was shipped is paid first: the capture that it
    /// asked for is on its way to the payment, before whatever is told from here.
    fn void_payment(&mut self) {
        let Some(order) = self.order() else { return };
        match order.stage {
            Stage::Authorising => self.end_after_payment(Failure::CancelledInTime),
            Stage::Confirmed if order.is_taking_money() => {}
            Stage::Confirmed => {
                if order.money.asked == Asked::Open {
                    self.happen(Event::PaymentVoidAsked { at: self.now });
                }
                self.tell_payment(&payment::Command::Cancel);
            }
            Stage::Ending(_) | Stage::Failed(_) | Stage::Cancelled => {
                self.tell_payment(&payment::Command::Cancel);
            }
            Stage::Reserving | Stage::Reviewing | Stage::Capturing => {}
        }
    }

    /// Nobody needs a payment that is not this order's.
    fn take_foreign_news(&mut self, payment: PaymentId, news: &News) {
        if *news == News::VoidAsked {
            let (to, command) = (Payment::address(payment), payment::Command::Cancel.to_bytes());
            self.does(Effect::Tell { to, command });
        }
    }

    pub(super) fn cancel(&mut self, by: Side, reason: Label) -> Result<(), Rejection> {
        let order = self.found()?;
        match order.stage {
            Stage::Reserving => {
                self.cancel_timer(Order::STOCK_SILENT);
                self.fail(Failure::CancelledInTime);
            }
            Stage::Reviewing => self.end_review(Failure::CancelledInTime),
            Stage::Authorising | Stage::Capturing => {
                self.end_after_payment(Failure::CancelledInTime);
            }
            // What became a gift card stays one.
            Stage::Confirmed
                if !order.shipments.is_empty() || order.good_vouchers().next().is_some() =>
            {
                return self.cancel_rest(by, reason);
            }
            Stage::Confirmed => {
                let is_paid = order.money.is_open();
                self.let_go_with(Event::CancelAsked { by, reason, at: self.now });
                if is_paid {
                    self.tell_payment(&payment::Command::Cancel);
                } else {
                    self.happen(Event::Cancelled { at: self.now });
                }
            }
            Stage::Ending(_) if by == Side::Shop && order.money.asked == Asked::Closing => {
                self.tell_payment(&payment::Command::Cancel);
            }
            // It is being done, or was.
            Stage::Ending(_) | Stage::Cancelled => {}
            Stage::Failed(_) => return Err(Rejection::Over),
        }
        Ok(())
    }

    fn sold_lines(&self) -> Vec<SkuCode> {
        let Some(order) = self.order() else { return Vec::new() };
        let is_sold =
            |state: &LineState| matches!(state, LineState::Selling | LineState::PartlySold { .. });
        let lines = order.placed.lines().iter().zip(&order.lines);
        let sold = lines.filter(|(_, state)| is_sold(state));
        sold.map(|(line, _)| line.sku.clone()).collect()
    }
}
