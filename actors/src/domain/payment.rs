//! One payment for one order.
//!
//! **Invariants**, true in every reachable state:
//! - `0 <= refunded <= captured <= authorised`, in one currency;
//! - a capture or a refund is asked of the provider once, whatever is repeated;
//! - the provider is asked one thing at a time; what has no answer is in doubt and holds up the end;
//! - a cancelled payment holds and keeps nothing: a late success was voided or refunded.
//!
//! What the provider did is known from the answer of the port or from a notice, whichever is first;
//! the other one changes nothing. A refusal is believed of the port's answer alone: only there is
//! the same question asked again under the same key.
//!
//! A refund that a provider has taken on and not done is pending: it counts as spoken for and not as
//! refunded until a notice says what became of it, or the provider does when it is asked.
//!
//! Captures and refunds that wait are bounded by how many a payment may have at all.

mod deciding;
mod facts;
mod intent;
mod method;
mod news;
mod port;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
mod view;

use cluster::entity::{Answer, Context, Decision, DecodeError, Entity, Port, TimerName, Wire};
use cluster::ids::{EntityKind, EntityRef};
use cluster::time::{Span, Timestamp};
use serde::{Deserialize, Serialize};

use super::ids::{CaptureId, OrderId, PaymentId, RefundId};
use super::money::Money;
use crate::codec;
use deciding::Deciding;
pub(crate) use intent::{Authorisation, Cancellation, Intent, Transfer};
pub use method::{
    InvalidProviderEventId, InvalidProviderName, InvalidProviderReference, InvalidProviderToken,
    PaymentMethod, ProviderEventId, ProviderName, ProviderReference, ProviderToken,
};
pub use news::{News, Reason};
pub use port::{
    Action, CapturedPart, InvalidOperationReference, OperationNumber, OperationReference, Outcome,
    PORT, ProviderAnswer, ProviderRequest, Refusal,
};
pub use view::{Doing, Lookup, Operation, Progress, Query, Status, TransferView, View};

/// Nothing until it is opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Payment {
    pub(crate) intent: Option<Intent>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Command {
    Open {
        order: OrderId,
        amount: Money,
        method: PaymentMethod,
    },
    /// Told by the order; answered by [`News::Authorised`] or [`News::Declined`].
    Authorise,
    /// Told by the order; answered by [`News::Captured`] or [`News::CaptureFailed`].
    Capture {
        capture: CaptureId,
        amount: Money,
    },
    /// Told by the order; answered by [`News::Refunded`] or [`News::RefundFailed`].
    Refund {
        refund: RefundId,
        amount: Money,
    },
    /// Told by the order, at any time; answered by [`News::Cancelled`] or [`News::CancelFailed`].
    Cancel,
    /// Like `Capture`, of an operator, who is refused and not told.
    CaptureByHand {
        capture: CaptureId,
        amount: Money,
    },
    /// An operator wants it given up, while nothing is captured. The order decides, because it may be
    /// shipping just now; then it tells `Cancel`.
    VoidByHand,
    /// The port's.
    Answered(ProviderAnswer),
    /// A notice of the provider: any number of times, in any order.
    Notified {
        event: ProviderEventId,
        fact: Fact,
    },
    /// The timer's: a refund was pending for a while.
    CheckRefunds,
}

/// What a provider says of one operation without being asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Fact {
    Done {
        operation: OperationNumber,
        reference: ProviderReference,
        /// Where the notice says it. Another amount than was asked for is another operation's.
        amount: Option<Money>,
    },
    /// Ends what is pending. Otherwise it changes nothing: a later attempt of the same operation may
    /// still succeed.
    Refused { operation: OperationNumber },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    Opened {
        order: OrderId,
        amount: Money,
        method: PaymentMethod,
        at: Timestamp,
    },
    /// The provider is asked; until it answers, this is in doubt.
    Asked {
        operation: Operation,
    },
    Authorised {
        reference: ProviderReference,
        at: Timestamp,
    },
    Declined {
        reason: Refusal,
        at: Timestamp,
    },
    CaptureAccepted {
        capture: CaptureId,
        amount: Money,
        at: Timestamp,
    },
    Captured {
        capture: CaptureId,
        reference: ProviderReference,
        total: Money,
        at: Timestamp,
    },
    CaptureFailed {
        capture: CaptureId,
        reason: Reason,
        at: Timestamp,
    },
    RefundAccepted {
        refund: RefundId,
        amount: Money,
        at: Timestamp,
    },
    Refunded {
        refund: RefundId,
        reference: ProviderReference,
        total: Money,
        at: Timestamp,
    },
    RefundFailed {
        refund: RefundId,
        reason: Reason,
        at: Timestamp,
    },
    CancelAsked {
        at: Timestamp,
    },
    /// What was not captured is held no longer.
    Voided {
        at: Timestamp,
    },
    CancelFailed {
        reason: Reason,
        at: Timestamp,
    },
    Cancelled {
        at: Timestamp,
    },
    /// The provider has taken it on; when it is done is said later.
    RefundPending {
        refund: RefundId,
        /// The operation that asked for it, which notices name.
        operation: OperationNumber,
        reference: ProviderReference,
        at: Timestamp,
    },
    /// The provider was asked what became of it, and does not know yet.
    RefundChecked {
        refund: RefundId,
        at: Timestamp,
    },
}

/// Which rule a command broke.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Rejection {
    #[error("the payment does not exist")]
    NotFound,
    #[error("the payment exists for another order, amount or method")]
    AlreadyOpened,
    #[error("the amount is not above zero, too large, or in another currency")]
    InvalidAmount,
    #[error("nothing is authorised")]
    NotAuthorised,
    #[error("the payment is cancelled or being cancelled")]
    Cancelled,
    #[error("at most {} {} are left", .most.minor, .most.currency)]
    TooMuch { most: Money },
    #[error("it was asked for before with another amount")]
    DifferentAmount,
    #[error("the payment has too many captures or refunds already")]
    TooMany,
    #[error("something is captured already, or about to be")]
    AlreadyCaptured,
}

impl Event {
    fn at(&self) -> Timestamp {
        match self {
            Self::Asked { operation } => operation.asked_at,
            Self::Opened { at, .. }
            | Self::Authorised { at, .. }
            | Self::Declined { at, .. }
            | Self::CaptureAccepted { at, .. }
            | Self::Captured { at, .. }
            | Self::CaptureFailed { at, .. }
            | Self::RefundAccepted { at, .. }
            | Self::Refunded { at, .. }
            | Self::RefundFailed { at, .. }
            | Self::CancelAsked { at }
            | Self::Voided { at }
            | Self::CancelFailed { at, .. }
            | Self::Cancelled { at }
            | Self::RefundPending { at, .. }
            | Self::RefundChecked { at, .. } => *at,
        }
    }
}

impl Entity for Payment {
    const KIND: EntityKind = EntityKind(6);
    const NAME: &'static str = "payment";
    type Command = Command;
    type Event = Event;
    type Reply = Lookup;
    type Rejection = Rejection;
    type Query = Query;
    type View = Lookup;

    fn decide(&self, command: Command, ctx: &Context<'_>) -> Result<Decision<Self>, Rejection> {
        let me = PaymentId::try_from(&ctx.me.key).map_err(|_| Rejection::NotFound)?;
        let Some(intent) = &self.intent else { return Self::open(me, command, ctx) };
        let mut deciding = Deciding::new(me, intent.clone(), ctx);
        match command {
            Command::Open { order, amount, method } => {
                if (order, amount, &method) != (intent.order, intent.amount, &intent.method) {
                    return Err(Rejection::AlreadyOpened);
                }
            }
            Command::Authorise => deciding.authorise()?,
            Command::Capture { capture, amount } => {
                if let Err(rule) = deciding.capture(capture, amount) {
                    let reason = Reason::Rule(rule);
                    deciding.tell(&News::CaptureFailed { capture, amount, reason });
                }
            }
            Command::Refund { refund, amount } => {
                if let Err(rule) = deciding.refund(refund, amount) {
                    let reason = Reason::Rule(rule);
                    deciding.tell(&News::RefundFailed { refund, amount, reason });
                }
            }
            Command::Cancel => deciding.cancel(),
            Command::CaptureByHand { capture, amount } => deciding.capture(capture, amount)?,
            Command::VoidByHand => {
                if intent.capturable() < intent.amount.minor {
                    return Err(Rejection::AlreadyCaptured);
                }
                deciding.void_by_hand();
            }
            Command::Answered(ProviderAnswer { operation, outcome }) => {
                deciding.settle(operation, outcome);
            }
            Command::Notified { event: _, fact } => deciding.notice(fact),
            Command::CheckRefunds => deciding.check_refunds(),
        }
        deciding.advance();
        Ok(deciding.decision())
    }

    fn is_momentary(_: &Rejection) -> bool {
        false
    }

    fn apply(&mut self, event: &Event) {
        if let Event::Opened { order, amount, method, at } = event {
            self.intent = Some(Intent::new(*order, *amount, method.clone(), *at));
        } else if let Some(intent) = &mut self.intent {
            intent.apply(event);
        } else {
            debug_assert!(false, "a payment that was never opened has no {event:?}");
        }
    }

    fn view(&self, Query::Payment: Query, ctx: &Context<'_>) -> Lookup {
        let id = PaymentId::try_from(&ctx.me.key).ok();
        Lookup(id.zip(self.intent.as_ref()).map(|(id, intent)| intent.view(id)))
    }

    fn exists(&self) -> bool {
        self.intent.is_some()
    }

    fn to_record(&self) -> Vec<u8> {
        codec::payment::to_record(self)
    }

    fn from_record(bytes: &[u8]) -> Result<Self, DecodeError> {
        codec::payment::from_record(bytes)
    }

    fn heap_bytes(&self) -> usize {
        self.intent.as_ref().map_or(0, Intent::heap_bytes)
    }

    fn on_timer(name: TimerName) -> Option<Command> {
        (name == Self::REFUND_PENDING).then_some(Command::CheckRefunds)
    }

    fn on_answer(port: Port, answer: &Answer) -> Option<Command> {
        let (Answer::Done(bytes) | Answer::Refused(bytes)) = answer;
        let answer = (port == PORT).then(|| ProviderAnswer::from_bytes(bytes))?;
        answer.ok().map(Command::Answered)
    }
}

impl Payment {
    /// In minor units: the largest integer that every JSON reader keeps exactly.
    pub const AMOUNT_MAX: i64 = (1 << 53) - 1;
    pub const CAPTURES_MAX: usize = 32;
    pub const REFUNDS_MAX: usize = 100;
    /// Of them, kept free for cancellations.
    const REFUNDS_OF_CANCELS: usize = 10;
    const REFUND_PENDING: TimerName = TimerName(1);
    /// Banks take days; a notice, where there are any, is there at once.
    const PENDING_ASKED_EVERY: Span = Span::from_secs(6 * 60 * 60);

    pub fn address(id: PaymentId) -> EntityRef {
        EntityRef { kind: Self::KIND, key: id.key() }
    }

    fn open(
        me: PaymentId,
        command: Command,
        ctx: &Context<'_>,
    ) -> Result<Decision<Self>, Rejection> {
        let Command::Open { order, amount, method } = command else {
            return Err(Rejection::NotFound);
        };
        if !(1..=Self::AMOUNT_MAX).contains(&amount.minor) {
            return Err(Rejection::InvalidAmount);
        }
        let reply = Lookup(Some(Intent::new(order, amount, method.clone(), ctx.now).view(me)));
        let events = vec![Event::Opened { order, amount, method, at: ctx.now }];
        Ok(Decision { events, effects: Vec::new(), reply })
    }
}

impl Deciding {
    fn notice(&mut self, fact: Fact) {
        let (Fact::Done { operation, .. } | Fact::Refused { operation }) = &fact;
        if let Some(refund) = self.intent.pending_as(*operation) {
            return self.notice_of_pending(refund, fact);
        }
        let Fact::Done { operation, reference, amount } = fact else { return };
        let doing = self.intent.under_way.filter(|asked| asked.number == operation);
        let asked = doing.and_then(|asked| self.intent.amount_of(asked.doing));
        let is_ours = amount.is_none_or(|amount| asked.is_none_or(|asked| asked == amount));
        if is_ours {
            self.settle(operation, Outcome::Done { reference });
        }
    }
    /// Nobody asks for it again, so that a no is final as well.
    fn notice_of_pending(&mut self, refund: RefundId, fact: Fact) {
        let doing = Doing::Refund(refund);
        match fact {
            Fact::Done { amount, .. }
                if amount.is_some() && amount != self.intent.amount_of(doing) => {}
            Fact::Done { reference, .. } => self.done(doing, reference),
            Fact::Refused { .. } => self.refused(doing, Refusal::NotPossible),
        }
    }
}
