//! What the world is told of a payment.

use super::Event;
use crate::domain::ids::OrderId;
use crate::domain::money::Money;
use crate::domain::published::PaymentFact;

/// The fact that an event makes true, of a payment of this amount.
pub(super) fn fact_of(event: &Event, order: OrderId, amount: Money) -> Option<PaymentFact> {
    Some(match event {
        Event::Authorised { .. } => PaymentFact::Authorised { order, amount },
        Event::Declined { reason, .. } => PaymentFact::Declined { order, reason: *reason },
        Event::Captured { capture, total, .. } => {
            PaymentFact::Captured { order, capture: *capture, captured: *total }
        }
        Event::CaptureFailed { capture, .. } => {
            PaymentFact::CaptureFailed { order, capture: *capture }
        }
        Event::Refunded { refund, total, .. } => {
            PaymentFact::Refunded { order, refund: *refund, refunded: *total }
        }
        Event::RefundFailed { refund, .. } => PaymentFact::RefundFailed { order, refund: *refund },
        Event::Cancelled { .. } => PaymentFact::Cancelled { order },
        // Wishes, and steps on the way.
        Event::Opened { .. }
        | Event::Asked { .. }
        | Event::CaptureAccepted { .. }
        | Event::RefundAccepted { .. }
        | Event::CancelAsked { .. }
        | Event::Voided { .. }
        | Event::CancelFailed { .. }
        | Event::RefundPending { .. }
        | Event::RefundChecked { .. } => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::super::tests::{NOON, cap, euro, me, order, reference};
    use super::super::{Command, Payment};
    use super::*;
    use crate::domain::payment::tests::{decide, held, yes};
    use crate::domain::published::{Fact, told_apart};

    #[track_caller]
    fn check(given: &[Event], when: Command, then: &[PaymentFact]) {
        let (facts, _) = told_apart(decide(given, when).unwrap().effects);
        assert_eq!(facts, then.iter().cloned().map(Fact::Payment).collect::<Vec<_>>());
    }

    #[test]
    fn the_world_is_told_what_became_of_money() {
        assert_eq!(Payment::address(me()).key, me().key());
        let (capture, order) = (cap(1), order());
        check(&held(), Command::Capture { capture, amount: euro(60) }, &[]);
        let accepted = Event::CaptureAccepted { capture, amount: euro(60), at: NOON };
        let captured = PaymentFact::Captured { order, capture, captured: euro(60) };
        let given = [held(), vec![accepted]].concat();
        let asked = decide(&given, Command::Authorise).unwrap().events;
        check(&[given, asked].concat(), yes(2, "cap"), &[captured]);
        let authorised = Event::Authorised { reference: reference("a"), at: NOON };
        let fact = PaymentFact::Authorised { order, amount: euro(100) };
        assert_eq!(fact_of(&authorised, order, euro(100)), Some(fact));
    }
}
