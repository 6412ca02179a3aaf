//! What Stripe is asked, in its own words.
//!
//! **Invariants:** every object that is made carries our reference, so that it can be found again
//! when its key is forgotten; amounts are in the units that Stripe counts in.

use actors::Money;
use actors::domain::payment::{Action, OperationReference, ProviderReference, ProviderRequest};
use axum::http::Method;

use crate::providers::payment::escaped;

/// The member of an object's metadata that names the operation which made it.
pub(super) const OPERATION: &str = "omnicart_operation";
/// Of a payment intent: the operation that captured it.
pub(super) const CAPTURE: &str = "omnicart_capture";

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Call {
    pub(super) method: Method,
    pub(super) path: String,
    /// Nothing for a `GET`.
    pub(super) form: String,
}

impl Call {
    pub(super) fn carry_out(request: &ProviderRequest) -> Self {
        let reference = request.reference;
        let (path, form) = match &request.action {
            Action::Authorise { amount, token, order } => {
                let mut form = Form::default();
                form.amount("amount", *amount);
                form.add("currency", &amount.currency.as_str().to_ascii_lowercase());
                form.add("payment_method", token.as_str());
                form.add("payment_method_types[]", "card");
                form.add("capture_method", "manual");
                form.add("confirm", "true");
                // Nobody is there to authenticate; without it the intent would wait, undecided.
                form.add("error_on_requires_action", "true");
                form.metadata(OPERATION, reference);
                form.add("metadata[omnicart_order]", &order.to_string());
                ("/v1/payment_intents".to_owned(), form)
            }
            Action::Capture { amount, authorisation } => {
                let mut form = Form::default();
                form.amount("amount_to_capture", *amount);
                form.metadata(CAPTURE, reference);
                (format!("{}/capture", intent(authorisation)), form)
            }
            Action::Void { authorisation, captured: _ } => {
                (format!("{}/cancel", intent(authorisation)), Form::default())
            }
            Action::Refund { amount, authorisation, captures: _ } => {
                let mut form = Form::default();
                form.add("payment_intent", authorisation.as_str());
                form.amount("amount", *amount);
                form.metadata(OPERATION, reference);
                ("/v1/refunds".to_owned(), form)
            }
            Action::CheckRefund { .. } => return Self::look_up(request),
        };
        Self { method: Method::POST, path, form: form.0 }
    }

    pub(super) fn look_up(request: &ProviderRequest) -> Self {
        let path = match &request.action {
            Action::Authorise { .. } => {
                let query = format!("metadata['{OPERATION}']:'{}'", request.reference);
                format!("/v1/payment_intents/search?limit=2&query={}", escaped(&query))
            }
            Action::Capture { authorisation, .. } | Action::Void { authorisation, .. } => {
                intent(authorisation)
            }
            Action::Refund { authorisation, .. } => {
                let intent = escaped(authorisation.as_str());
                format!("/v1/refunds?limit=100&payment_intent={intent}")
            }
            Action::CheckRefund { refund, .. } => {
                format!("/v1/refunds/{}", escaped(refund.as_str()))
            }
        };
        Self { method: Method::GET, path, form: String::new() }
    }
}

fn intent(authorisation: &ProviderReference) -> String {
    format!("/v1/payment_intents/{}", escaped(authorisation.as_str()))
}

#[derive(Default)]
struct Form(String);

impl Form {
    fn add(&mut self, name: &str, value: &str) {
        if !self.0.is_empty() {
            self.0.push('&');
        }
        self.0.push_str(&escaped(name));
        self.0.push('=');
        self.0.push_str(&escaped(value));
    }

    fn amount(&mut self, name: &str, amount: Money) {
        self.add(name, &(i128::from(amount.minor) * factor(amount)).to_string());
    }

    fn metadata(&mut self, name: &str, reference: OperationReference) {
        self.add(&format!("metadata[{name}]"), &reference.to_string());
    }
}

/// Two currencies without minor units are counted in hundredths there all the same.
fn factor(amount: Money) -> i128 {
    if matches!(amount.currency.as_str(), "ISK" | "UGX") { 100 } else { 1 }
}

/// The amount of money that a number of Stripe's stands for, where it is one.
pub(super) fn money(number: i64, currency: &str) -> Option<Money> {
    let currency = currency.to_ascii_uppercase().parse().ok()?;
    let one = i64::try_from(factor(Money { minor: 1, currency })).ok()?;
    let is_whole = number % one == 0;
    is_whole.then_some(Money { minor: number / one, currency })
}
