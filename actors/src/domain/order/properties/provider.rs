//! The provider of these payments, with an account of its own of each.

use super::*;

/// What the provider knows of one payment.
#[derive(Default)]
pub(super) struct Account {
    pub(super) held: i64,
    pub(super) captured: i64,
    pub(super) refunded: i64,
}

#[derive(Default)]
pub(super) struct Provider {
    pub(super) asked: Vec<(PaymentId, ProviderRequest)>,
    pub(super) outcomes: BTreeMap<usize, Outcome>,
    pub(super) accounts: BTreeMap<PaymentId, Account>,
}

impl Provider {
    pub(super) fn process(&mut self, nth: usize, is_refused: bool) {
        let Some((payment, request)) = self.asked.get(nth) else { return };
        if self.outcomes.contains_key(&nth) {
            return;
        }
        if is_refused {
            self.outcomes.insert(nth, Outcome::Refused(Refusal::Declined));
            return;
        }
        let account = self.accounts.entry(*payment).or_default();
        match &request.action {
            Action::Authorise { amount, .. } => account.held += amount.minor,
            Action::Capture { amount, .. } => {
                account.held -= amount.minor;
                account.captured += amount.minor;
            }
            Action::Void { .. } => account.held = 0,
            Action::Refund { amount, .. } => account.refunded += amount.minor,
            Action::CheckRefund { .. } => panic!("no refund is pending"),
        }
        assert!(account.held >= 0 && account.refunded <= account.captured);
        let reference = format!("op-{nth}").parse().unwrap();
        self.outcomes.insert(nth, Outcome::Done { reference });
    }
}
