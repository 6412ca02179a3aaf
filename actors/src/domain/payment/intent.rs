//! The state of a payment that was opened.
//!
//! **Invariants:** `refunded <= captured <= amount`, and each is the sum of what is done; of all
//! captures and refunds at most one is under way, and then it is what the provider was asked for.

use cluster::time::Timestamp;

use super::method::{PaymentMethod, ProviderReference};
use super::port::{Action, CapturedPart, OperationNumber, Refusal};
use super::{Doing, Event, Operation, Payment, Progress};
use crate::domain::heap;
use crate::domain::ids::{CaptureId, OrderId, RefundId};
use crate::domain::money::Money;
use crate::domain::twins::first_twin;
use crate::mutants::Mutant;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Intent {
    pub(crate) order: OrderId,
    pub(crate) amount: Money,
    pub(crate) method: PaymentMethod,
    pub(crate) authorisation: Authorisation,
    pub(crate) cancellation: Cancellation,
    pub(crate) captured: Money,
    pub(crate) refunded: Money,
    pub(crate) captures: Vec<Transfer<CaptureId>>,
    pub(crate) refunds: Vec<Transfer<RefundId>>,
    pub(crate) under_way: Option<Operation>,
    /// What the provider was asked last; no number is used twice.
    pub(crate) last_operation: Option<OperationNumber>,
    pub(crate) updated_at: Timestamp,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Authorisation {
    NotAsked,
    UnderWay,
    Declined(Refusal),
    Held(ProviderReference),
    /// What was not captured is held no longer.
    Released(ProviderReference),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cancellation {
    NotAsked,
    /// Goes on step by step until nothing is held or kept.
    Asked,
    /// A step was refused; it goes on when it is asked for again.
    Failed,
    Ended,
}

/// One capture or one refund.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Transfer<I> {
    pub(crate) id: I,
    pub(crate) amount: Money,
    pub(crate) progress: Progress,
}

impl Intent {
    pub(crate) fn new(order: OrderId, amount: Money, method: PaymentMethod, at: Timestamp) -> Self {
        Self {
            order,
            amount,
            method,
            authorisation: Authorisation::NotAsked,
            cancellation: Cancellation::NotAsked,
            captured: Money::zero(amount.currency),
            refunded: Money::zero(amount.currency),
            captures: Vec::new(),
            refunds: Vec::new(),
            under_way: None,
            last_operation: None,
            updated_at: at,
        }
    }

    pub(super) fn apply(&mut self, event: &Event) {
        match event {
            Event::Opened { .. } => debug_assert!(false, "a payment is opened once"),
            Event::Asked { operation } => self.begin(*operation),
            Event::Authorised { reference, .. } => {
                self.under_way = None;
                self.authorisation = Authorisation::Held(reference.clone());
            }
            Event::Declined { reason, .. } => {
                self.under_way = None;
                self.authorisation = Authorisation::Declined(*reason);
            }
            Event::CaptureAccepted { capture, amount, .. } => {
                self.captures.push(Transfer::waiting(*capture, *amount));
            }
            Event::Captured { capture, reference, total, .. } => {
                self.under_way = None;
                self.captured = *total;
                let done = Progress::Done(reference.clone());
                let is_again = Mutant::CapturedTwice.is_planted();
                let progress = if is_again { Progress::Waiting } else { done };
                move_to(&mut self.captures, *capture, progress);
            }
            Event::CaptureFailed { capture, .. } => {
                self.end(Doing::Capture(*capture));
                move_to(&mut self.captures, *capture, Progress::Failed);
            }
            Event::RefundAccepted { refund, amount, .. } => {
                self.refunds.push(Transfer::waiting(*refund, *amount));
            }
            Event::Refunded { refund, reference, total, .. } => {
                self.end_refund(*refund);
                self.refunded = *total;
                move_to(&mut self.refunds, *refund, Progress::Done(reference.clone()));
            }
            Event::RefundFailed { refund, .. } => {
                self.end_refund(*refund);
                move_to(&mut self.refunds, *refund, Progress::Failed);
            }
            Event::CancelAsked { .. } => self.cancellation = Cancellation::Asked,
            Event::Voided { .. } => {
                self.under_way = None;
                if let Authorisation::Held(reference) = &self.authorisation {
                    self.authorisation = Authorisation::Released(reference.clone());
                }
            }
            Event::CancelFailed { .. } => {
                self.end(Doing::Void);
                self.cancellation = Cancellation::Failed;
            }
            Event::Cancelled { .. } => self.cancellation = Cancellation::Ended,
            Event::RefundPending { refund, operation, reference, .. } => {
                self.end_refund(*refund);
                let (operation, reference) = (*operation, reference.clone());
                move_to(&mut self.refunds, *refund, Progress::Pending { operation, reference });
            }
            Event::RefundChecked { refund, .. } => self.end_refund(*refund),
        }
        self.updated_at = event.at();
    }

    fn begin(&mut self, operation: Operation) {
        match operation.doing {
            Doing::Authorise => self.authorisation = Authorisation::UnderWay,
            Doing::Capture(capture) => move_to(&mut self.captures, capture, Progress::UnderWay),
            Doing::Refund(refund) => move_to(&mut self.refunds, refund, Progress::UnderWay),
            Doing::Void | Doing::CheckRefund(_) => {}
        }
        self.last_operation = Some(operation.number);
        self.under_way = Some(operation);
    }

    /// What never reached the provider ends as well, while something else is under way.
    fn end(&mut self, doing: Doing) {
        self.under_way.take_if(|operation| operation.doing == doing);
    }

    /// A refund may be known to be done while the provider is asked what became of it.
    fn end_refund(&mut self, refund: RefundId) {
        self.end(Doing::Refund(refund));
        self.end(Doing::CheckRefund(refund));
    }

    pub(super) fn next_number(&self) -> OperationNumber {
        self.last_operation.map_or(OperationNumber::FIRST, OperationNumber::next)
    }

    pub(super) fn capture(&self, id: CaptureId) -> Option<&Transfer<CaptureId>> {
        self.captures.iter().find(|capture| capture.id == id)
    }

    pub(super) fn refund(&self, id: RefundId) -> Option<&Transfer<RefundId>> {
        self.refunds.iter().find(|refund| refund.id == id)
    }

    /// What may still be captured, in minor units, were all that is asked for done.
    pub(super) fn capturable(&self) -> i64 {
        self.amount.minor.saturating_sub(spoken_for(&self.captures))
    }

    /// What may still be refunded, in minor units, were all that is asked for done.
    pub(super) fn refundable(&self) -> i64 {
        self.captured.minor.saturating_sub(spoken_for(&self.refunds))
    }

    pub(super) fn waiting_capture(&self) -> Option<CaptureId> {
        self.captures.iter().find(|capture| capture.is_waiting()).map(|capture| capture.id)
    }

    pub(super) fn waiting_refund(&self) -> Option<RefundId> {
        self.refunds.iter().find(|refund| refund.is_waiting()).map(|refund| refund.id)
    }

    /// The pending refund that an operation asked for.
    pub(super) fn pending_as(&self, number: OperationNumber) -> Option<RefundId> {
        let mut pending = self.pending();
        pending.find(|(_, operation, _)| *operation == number).map(|(refund, ..)| refund)
    }

    /// The first pending refund, or the first one after another.
    pub(super) fn pending_after(&self, other: Option<RefundId>) -> Option<RefundId> {
        let place = |id| self.refunds.iter().position(|refund| refund.id == id);
        let from = other.and_then(place).map_or(0, |at| at + 1);
        let mut rest = self.refunds.iter().skip(from);
        let next = rest.find(|refund| matches!(refund.progress, Progress::Pending { .. }));
        next.map(|refund| refund.id)
    }

    fn pending(&self) -> impl Iterator<Item = (RefundId, OperationNumber, &ProviderReference)> {
        self.refunds.iter().filter_map(|refund| match &refund.progress {
            Progress::Pending { operation, reference } => Some((refund.id, *operation, reference)),
            Progress::Waiting | Progress::UnderWay | Progress::Done(_) | Progress::Failed => None,
        })
    }

    /// How much an operation is about; nothing for a void, which is about whatever is left.
    pub(super) fn amount_of(&self, doing: Doing) -> Option<Money> {
        match doing {
            Doing::Authorise => Some(self.amount),
            Doing::Capture(id) => self.capture(id).map(|capture| capture.amount),
            Doing::Refund(id) | Doing::CheckRefund(id) => {
                self.refund(id).map(|refund| refund.amount)
            }
            Doing::Void => None,
        }
    }

    /// The provider's words for an operation; `None` for one that this state cannot be asked for.
    pub(super) fn action(&self, doing: Doing) -> Option<Action> {
        if doing == Doing::Authorise {
            let (amount, token) = (self.amount, self.method.token.clone());
            return Some(Action::Authorise { amount, token, order: self.order });
        }
        if let Doing::CheckRefund(id) = doing {
            let (_, asked_as, refund) = self.pending().find(|(refund, ..)| *refund == id)?;
            return Some(Action::CheckRefund { refund: refund.clone(), asked_as });
        }
        let (Authorisation::Held(authorisation) | Authorisation::Released(authorisation)) =
            &self.authorisation
        else {
            return None;
        };
        let authorisation = authorisation.clone();
        match (doing, self.amount_of(doing)) {
            (Doing::Capture(_), Some(amount)) => Some(Action::Capture { amount, authorisation }),
            (Doing::Refund(_), Some(amount)) => {
                let captures = self.captures.iter().filter_map(Transfer::done_part).collect();
                Some(Action::Refund { amount, authorisation, captures })
            }
            (Doing::Void, _) => Some(Action::Void { authorisation, captured: self.captured }),
            (
                Doing::Authorise | Doing::Capture(_) | Doing::Refund(_) | Doing::CheckRefund(_),
                _,
            ) => None,
        }
    }

    /// Whether this could have come about; the error says why not.
    pub(crate) fn check(&self) -> Result<(), &'static str> {
        let currency = self.amount.currency;
        let is_payable = |amount: Money| {
            amount.currency == currency && (1..=Payment::AMOUNT_MAX).contains(&amount.minor)
        };
        let amounts = self.captures.iter().map(|capture| capture.amount);
        let amounts = amounts.chain(self.refunds.iter().map(|refund| refund.amount));
        if !is_payable(self.amount) || !amounts.into_iter().all(is_payable) {
            return Err("an amount of a payment is out of bounds");
        }
        let is_full = self.captures.len() > Payment::CAPTURES_MAX;
        if is_full || self.refunds.len() > Payment::REFUNDS_MAX {
            return Err("a payment has too many captures or refunds");
        }
        let is_twice = first_twin(&self.captures, |capture| &capture.id).is_some()
            || first_twin(&self.refunds, |refund| &refund.id).is_some();
        if is_twice {
            return Err("a payment has a capture or a refund twice");
        }
        let is_sum = |sum: Money, done: i64| sum == Money { minor: done, currency };
        if !is_sum(self.captured, done(&self.captures))
            || !is_sum(self.refunded, done(&self.refunds))
        {
            return Err("a total of a payment is not the sum of its parts");
        }
        if self.capturable() < 0 || self.refundable() < 0 {
            return Err("a payment has more captured or refunded than there is");
        }
        self.check_progress()
    }

    fn check_progress(&self) -> Result<(), &'static str> {
        let capture = self.captures.iter().filter(|capture| capture.is_under_way());
        let refund = self.refunds.iter().filter(|refund| refund.is_under_way());
        let mut at_provider: Vec<_> = capture.map(|capture| Doing::Capture(capture.id)).collect();
        at_provider.extend(refund.map(|refund| Doing::Refund(refund.id)));
        if self.authorisation == Authorisation::UnderWay {
            at_provider.push(Doing::Authorise);
        }
        let doing = self.under_way.map(|operation| operation.doing);
        let is_void = doing == Some(Doing::Void);
        let checked = doing.and_then(|doing| match doing {
            Doing::CheckRefund(refund) => Some(refund),
            Doing::Authorise | Doing::Capture(_) | Doing::Void | Doing::Refund(_) => None,
        });
        let moves = doing.filter(|_| !is_void && checked.is_none());
        if at_provider != moves.into_iter().collect::<Vec<_>>() {
            return Err("what is under way for a payment is not what was asked");
        }
        if checked.is_some_and(|checked| self.pending().all(|(refund, ..)| refund != checked)) {
            return Err("a payment asks for a refund that is not pending");
        }
        if is_void && !matches!(self.authorisation, Authorisation::Held(_)) {
            return Err("a payment gives up what it does not hold");
        }
        if self.under_way.is_some_and(|operation| Some(operation.number) != self.last_operation) {
            return Err("what is under way for a payment was not asked last");
        }
        let is_held =
            matches!(self.authorisation, Authorisation::Held(_) | Authorisation::Released(_));
        let has_moved = !self.captures.is_empty() || !self.refunds.is_empty();
        if has_moved && !is_held {
            return Err("a payment without an authorisation was captured or refunded");
        }
        if self.cancellation == Cancellation::Ended && (doing.is_some() || self.keeps_something()) {
            return Err("a cancelled payment holds or keeps something");
        }
        Ok(())
    }

    /// Whether the shopper's money is held or kept.
    pub(super) fn keeps_something(&self) -> bool {
        self.holds_the_rest() || self.captured != self.refunded
    }

    /// Whether something that was not captured is held.
    pub(super) fn holds_the_rest(&self) -> bool {
        let is_held = matches!(self.authorisation, Authorisation::Held(_));
        is_held && self.captured.minor < self.amount.minor
    }

    pub(super) fn heap_bytes(&self) -> usize {
        let reference = |progress: &Progress| match progress {
            Progress::Done(reference) | Progress::Pending { reference, .. } => {
                heap::allocation(reference.as_str().len())
            }
            Progress::Waiting | Progress::UnderWay | Progress::Failed => 0,
        };
        let captures = self.captures.iter().map(|capture| reference(&capture.progress));
        let refunds = self.refunds.iter().map(|refund| reference(&refund.progress));
        let authorisation = match &self.authorisation {
            Authorisation::Held(reference) | Authorisation::Released(reference) => {
                heap::allocation(reference.as_str().len())
            }
            Authorisation::NotAsked | Authorisation::UnderWay | Authorisation::Declined(_) => 0,
        };
        heap::allocation(self.method.provider.as_str().len())
            + heap::allocation(self.method.token.as_str().len())
            + heap::allocation(self.captures.capacity() * size_of::<Transfer<CaptureId>>())
            + heap::allocation(self.refunds.capacity() * size_of::<Transfer<RefundId>>())
            + captures.chain(refunds).sum::<usize>()
            + authorisation
    }
}

impl<I> Transfer<I> {
    fn waiting(id: I, amount: Money) -> Self {
        Self { id, amount, progress: Progress::Waiting }
    }

    fn is_waiting(&self) -> bool {
        self.progress == Progress::Waiting
    }

    fn is_under_way(&self) -> bool {
        self.progress == Progress::UnderWay
    }
}

impl Transfer<CaptureId> {
    fn done_part(&self) -> Option<CapturedPart> {
        match &self.progress {
            Progress::Done(capture) => {
                Some(CapturedPart { capture: capture.clone(), amount: self.amount })
            }
            Progress::Waiting
            | Progress::UnderWay
            | Progress::Failed
            | Progress::Pending { .. } => None,
        }
    }
}

fn move_to<I: PartialEq>(transfers: &mut [Transfer<I>], id: I, progress: Progress) {
    let found = transfers.iter_mut().find(|transfer| transfer.id == id);
    debug_assert!(found.is_some(), "what makes progress was accepted before");
    if let Some(transfer) = found {
        transfer.progress = progress;
    }
}

/// What is done or may yet be, in minor units.
fn spoken_for<I>(transfers: &[Transfer<I>]) -> i64 {
    let counts = transfers.iter().filter(|transfer| transfer.progress != Progress::Failed);
    counts.map(|transfer| transfer.amount.minor).fold(0, i64::saturating_add)
}

fn done<I>(transfers: &[Transfer<I>]) -> i64 {
    let counts = transfers.iter().filter(|transfer| matches!(transfer.progress, Progress::Done(_)));
    counts.map(|transfer| transfer.amount.minor).fold(0, i64::saturating_add)
}
