//! One decision about a payment: what is recorded, who is told, what the provider is asked next.
//!
//! **Invariants:** the provider is asked one thing at a time; what it is asked next follows from the
//! state alone, so that whoever settles one operation starts the following one; a payment ends only
//! when nothing is under way.

use cluster::entity::{Context, Decision, Effect, Wire};
use cluster::time::Timestamp;

use super::facts::fact_of;
use super::intent::{Authorisation, Cancellation, Intent};
use super::method::ProviderReference;
use super::news::{News, Reason};
use super::port::{OperationNumber, OperationReference, Outcome, PORT, ProviderRequest, Refusal};
use super::{Doing, Event, Lookup, Operation, Payment, Progress, Rejection};
use crate::codec;
use crate::domain::ids::{CaptureId, PaymentId, RefundId};
use crate::domain::money::Money;
use crate::domain::order::Order;
use crate::mutants::Mutant;

pub(super) struct Deciding {
    me: PaymentId,
    now: Timestamp,
    /// As it is after the events.
    pub(super) intent: Intent,
    events: Vec<Event>,
    effects: Vec<Effect>,
    /// What the world is told, after everybody who has a part in it.
    published: Vec<Effect>,
    /// Whether a cancellation goes on that failed before.
    is_retry: bool,
    entropy: [u8; 32],
}

/// What follows when nothing is under way.
enum Next {
    Ask(Doing),
    /// A refund of all that is kept, which a cancellation needs.
    RefundRest(Money),
    End,
}

impl Deciding {
    pub(super) fn new(me: PaymentId, intent: Intent, ctx: &Context<'_>) -> Self {
        let (now, entropy, is_retry) = (ctx.now, ctx.entropy, false);
        let (events, effects, published) = (Vec::new(), Vec::new(), Vec::new());
        Self { me, now, intent, events, effects, published, is_retry, entropy }
    }

    pub(super) fn decision(self) -> Decision<Payment> {
        let effects = self.effects.into_iter().chain(self.published).collect();
        Decision { events: self.events, effects, reply: Lookup(Some(self.intent.view(self.me))) }
    }

    fn record(&mut self, event: Event) {
        let news = self.news_of(&event);
        let fact = fact_of(&event, self.intent.order, self.intent.amount);
        self.published.extend(fact.map(Effect::from));
        self.intent.apply(&event);
        self.events.push(event);
        if let Some(news) = news {
            self.tell(&news);
        }
    }

    fn news_of(&self, event: &Event) -> Option<News> {
        let is_cancelling = self.intent.cancellation != Cancellation::NotAsked;
        match event {
            Event::Opened { .. }
            | Event::Asked { .. }
            | Event::CaptureAccepted { .. }
            | Event::RefundAccepted { .. }
            | Event::CancelAsked { .. }
            | Event::Voided { .. }
            // To its order it goes on.
            | Event::RefundPending { .. }
            | Event::RefundChecked { .. } => None,
            // Who cancelled waits for the end of that alone.
            Event::Authorised { .. } | Event::Declined { .. } if is_cancelling => None,
            Event::Authorised { .. } => Some(News::Authorised { amount: self.intent.amount }),
            Event::Declined { reason, .. } => Some(News::Declined { reason: *reason }),
            Event::Captured { capture, total, .. } => {
                let amount = self.intent.amount_of(Doing::Capture(*capture))?;
                Some(News::Captured { capture: *capture, amount, total: *total })
            }
            Event::CaptureFailed { capture, reason, .. } => {
                let amount = self.intent.amount_of(Doing::Capture(*capture))?;
                Some(News::CaptureFailed { capture: *capture, amount, reason: reason.clone() })
            }
            Event::Refunded { refund, total, .. } => {
                let amount = self.intent.amount_of(Doing::Refund(*refund))?;
                Some(News::Refunded { refund: *refund, amount, total: *total })
            }
            Event::RefundFailed { refund, reason, .. } => {
                let (amount, reason) =
                    (self.intent.amount_of(Doing::Refund(*refund))?, reason.clone());
                Some(News::RefundFailed { refund: *refund, amount, reason })
            }
            Event::Cancelled { .. } => Some(News::Cancelled),
            Event::CancelFailed { reason, .. } => {
                Some(News::CancelFailed { reason: reason.clone() })
            }
        }
    }

    pub(super) fn tell(&mut self, news: &News) {
        let to = Order::address(self.intent.order);
        let command = codec::payment::news_for_order(self.me, news);
        self.effects.push(Effect::Tell { to, command });
    }

    pub(super) fn authorise(&mut self) -> Result<(), Rejection> {
        match (&self.intent.authorisation, self.intent.cancellation) {
            (Authorisation::NotAsked, Cancellation::NotAsked) => self.ask(Doing::Authorise),
            (Authorisation::NotAsked, _) => return Err(Rejection::Cancelled),
            // It was asked before, and its outcome was told or will be.
            (
                Authorisation::UnderWay
                | Authorisation::Declined(_)
                | Authorisation::Held(_)
                | Authorisation::Released(_),
                _,
            ) => {}
        }
        Ok(())
    }

    pub(super) fn capture(&mut self, capture: CaptureId, amount: Money) -> Result<(), Rejection> {
        if let Some(known) = self.intent.capture(capture) {
            let is_repeat = known.amount == amount;
            return if is_repeat { Ok(()) } else { Err(Rejection::DifferentAmount) };
        }
        if self.intent.cancellation != Cancellation::NotAsked {
            return Err(Rejection::Cancelled);
        }
        if !matches!(self.intent.authorisation, Authorisation::Held(_)) {
            return Err(Rejection::NotAuthorised);
        }
        self.check_amount(amount, self.intent.capturable())?;
        if self.intent.captures.len() >= Payment::CAPTURES_MAX {
            return Err(Rejection::TooMany);
        }
        self.record(Event::CaptureAccepted { capture, amount, at: self.now });
        Ok(())
    }

    pub(super) fn refund(&mut self, refund: RefundId, amount: Money) -> Result<(), Rejection> {
        if let Some(known) = self.intent.refund(refund) {
            let is_repeat = known.amount == amount;
            return if is_repeat { Ok(()) } else { Err(Rejection::DifferentAmount) };
        }
        match self.intent.cancellation {
            // It gives everything back already.
            Cancellation::Asked | Cancellation::Ended => return Err(Rejection::Cancelled),
            Cancellation::NotAsked | Cancellation::Failed => {}
        }
        if !Mutant::RefundedTooMuch.is_planted() {
            self.check_amount(amount, self.intent.refundable())?;
        }
        if self.intent.refunds.len() >= Payment::REFUNDS_MAX - Payment::REFUNDS_OF_CANCELS {
            return Err(Rejection::TooMany);
        }
        self.record(Event::RefundAccepted { refund, amount, at: self.now });
        Ok(())
    }

    fn check_amount(&self, amount: Money, most: i64) -> Result<(), Rejection> {
        if amount.currency != self.intent.amount.currency || amount.minor <= 0 {
            return Err(Rejection::InvalidAmount);
        }
        let most = Money { minor: most, ..amount };
        if amount.minor <= most.minor { Ok(()) } else { Err(Rejection::TooMuch { most }) }
    }

    pub(super) fn cancel(&mut self) {
        match self.intent.cancellation {
            Cancellation::Asked | Cancellation::Ended => return,
            Cancellation::NotAsked | Cancellation::Failed => {}
        }
        self.is_retry = self.intent.cancellation == Cancellation::Failed;
        self.record(Event::CancelAsked { at: self.now });
        if Mutant::DoubtIsDecline.is_planted()
            && self.intent.authorisation == Authorisation::UnderWay
        {
            self.record(Event::Declined { reason: Refusal::Declined, at: self.now });
        }
        while let Some(capture) = self.intent.waiting_capture() {
            let reason = Reason::Rule(Rejection::Cancelled);
            self.record(Event::CaptureFailed { capture, reason, at: self.now });
        }
    }

    pub(super) fn void_by_hand(&mut self) {
        match self.intent.cancellation {
            Cancellation::Asked | Cancellation::Ended => {}
            Cancellation::NotAsked | Cancellation::Failed => self.tell(&News::VoidAsked),
        }
    }

    /// Asks what became of the first refund that is pending; the others follow.
    pub(super) fn check_refunds(&mut self) {
        let Some(refund) = self.intent.pending_after(None) else { return };
        self.check_later();
        if self.intent.under_way.is_none() {
            self.ask(Doing::CheckRefund(refund));
        }
    }

    fn check_later(&mut self) {
        let at = self.now.plus(Payment::PENDING_ASKED_EVERY);
        self.effects.push(Effect::SetTimer { name: Payment::REFUND_PENDING, at });
    }

    /// Goes on with the refund after one that was asked about.
    fn check_next(&mut self, checked: RefundId) {
        if let Some(next) = self.intent.pending_after(Some(checked)) {
            self.ask(Doing::CheckRefund(next));
        }
    }

    /// Takes what an operation came to, unless that is known already.
    pub(super) fn settle(&mut self, number: OperationNumber, outcome: Outcome) {
        let Some(operation) = self.intent.under_way else { return };
        if operation.number != number && !Mutant::AnswerOfAnother.is_planted() {
            return;
        }
        match outcome {
            Outcome::Done { reference } => self.done(operation.doing, reference),
            Outcome::Refused(refusal) => self.refused(operation.doing, refusal),
            Outcome::Pending { reference } => self.pending(operation, reference),
        }
        if let Doing::CheckRefund(refund) = operation.doing {
            self.check_next(refund);
        }
    }

    fn pending(&mut self, operation: Operation, reference: ProviderReference) {
        let at = self.now;
        match operation.doing {
            Doing::Refund(refund) => {
                let operation = operation.number;
                self.record(Event::RefundPending { refund, operation, reference, at });
                self.check_later();
            }
            Doing::CheckRefund(refund) => self.record(Event::RefundChecked { refund, at }),
            // No adapter says so; a notice may still say more.
            Doing::Authorise | Doing::Capture(_) | Doing::Void => {}
        }
    }

    pub(super) fn done(&mut self, doing: Doing, reference: ProviderReference) {
        let at = self.now;
        let plus = |sum: Money, part: Option<Money>| Money {
            minor: sum.minor.saturating_add(part.map_or(0, |part| part.minor)),
            ..sum
        };
        let amount = self.intent.amount_of(doing);
        let event = match doing {
            Doing::Authorise => Event::Authorised { reference, at },
            Doing::Capture(capture) => {
                let total = plus(self.intent.captured, amount);
                Event::Captured { capture, reference, total, at }
            }
            Doing::Refund(refund) | Doing::CheckRefund(refund) => {
                let total = plus(self.intent.refunded, amount);
                Event::Refunded { refund, reference, total, at }
            }
            Doing::Void => Event::Voided { at },
        };
        self.record(event);
    }

    pub(super) fn refused(&mut self, doing: Doing, refusal: Refusal) {
        let at = self.now;
        let reason = Reason::Provider(refusal);
        match doing {
            Doing::Authorise => self.record(Event::Declined { reason: refusal, at }),
            Doing::Capture(capture) => self.record(Event::CaptureFailed { capture, reason, at }),
            Doing::Refund(refund) | Doing::CheckRefund(refund) => {
                self.record(Event::RefundFailed { refund, reason: reason.clone(), at });
                // To go on at once would ask the same thing without end.
                if self.intent.cancellation == Cancellation::Asked {
                    self.record(Event::CancelFailed { reason, at });
                }
            }
            Doing::Void => self.record(Event::CancelFailed { reason, at }),
        }
    }

    /// Asks the provider for whatever is next, or ends what has nothing left to do.
    pub(super) fn advance(&mut self) {
        if self.intent.under_way.is_some() {
            return;
        }
        match self.next() {
            Some(Next::Ask(doing)) => self.ask(doing),
            Some(Next::RefundRest(amount)) => self.refund_rest(amount),
            Some(Next::End) => self.record(Event::Cancelled { at: self.now }),
            None => {}
        }
    }

    fn next(&self) -> Option<Next> {
        let intent = &self.intent;
        let capture = intent.waiting_capture().map(Doing::Capture);
        if let Some(doing) = capture.or_else(|| intent.waiting_refund().map(Doing::Refund)) {
            return Some(Next::Ask(doing));
        }
        // What is pending may come back, and would have to be given back again.
        if intent.cancellation != Cancellation::Asked || intent.pending_after(None).is_some() {
            return None;
        }
        if intent.holds_the_rest() {
            return Some(Next::Ask(Doing::Void));
        }
        match intent.refundable() {
            _ if Mutant::CancelKeepsMoney.is_planted() => Some(Next::End),
            0 => Some(Next::End),
            minor => Some(Next::RefundRest(Money { minor, ..intent.captured })),
        }
    }

    fn refund_rest(&mut self, amount: Money) {
        let at = self.now;
        let again = self.intent.refunds.last().filter(|last| {
            self.is_retry && last.progress == Progress::Failed && last.amount == amount
        });
        if let Some(refund) = again.map(|again| again.id) {
            return self.ask(Doing::Refund(refund));
        }
        if self.intent.refunds.len() >= Payment::REFUNDS_MAX {
            let reason = Reason::Rule(Rejection::TooMany);
            return self.record(Event::CancelFailed { reason, at });
        }
        let [id, ..] = self.entropy.as_chunks().0 else { return };
        let refund = RefundId::from_bytes(*id);
        self.record(Event::RefundAccepted { refund, amount, at });
        self.ask(Doing::Refund(refund));
    }

    fn ask(&mut self, doing: Doing) {
        let Some(action) = self.intent.action(doing) else {
            debug_assert!(false, "{doing:?} is not to be asked for");
            return;
        };
        let number = self.intent.next_number();
        let reference = OperationReference { payment: self.me, number };
        let provider = self.intent.method.provider.clone();
        let request = ProviderRequest { provider, reference, action };
        self.record(Event::Asked { operation: Operation { number, doing, asked_at: self.now } });
        let request = request.to_bytes();
        self.effects.push(Effect::Invoke { port: PORT, request });
    }
}
