//! What an operation asks of PayPal, step by step.
//!
//! **Invariants:** every step may be repeated; before anything that PayPal may have done for us before
//! is called refused, it is looked for.

use actors::Money;
use actors::domain::payment::{
    Action, OperationReference, Outcome, ProviderReference, ProviderRequest, ProviderToken, Refusal,
};
use axum::http::Method;
use cluster::runtime::ports::InDoubt;
use serde_json::{Value, json};

use super::access::{Account, Answer};
use super::answers::{
    CUSTOM, INVOICE, authorised, captured, done, is_named, issue, list, refunded, refusal, text,
    unclear, undecided,
};
use super::{amounts, escaped};

impl Account {
    pub(super) async fn carry_out(
        &self,
        key: &str,
        request: &ProviderRequest,
    ) -> Result<Outcome, InDoubt> {
        let reference = request.reference;
        match &request.action {
            Action::Authorise { amount, token, order: _ } => {
                self.authorise(key, reference, *amount, token).await
            }
            Action::Capture { amount, authorisation } => {
                self.capture(key, reference, *amount, authorisation).await
            }
            Action::Void { authorisation, captured: _ } => self.void(key, authorisation).await,
            Action::Refund { amount, authorisation, captures } => {
                self.refund(key, reference, *amount, authorisation, captures).await
            }
            Action::CheckRefund { refund, .. } => self.check_refund(refund).await,
        }
    }

    /// What became of an operation; nothing where it never arrived.
    pub(super) async fn look_up(
        &self,
        request: &ProviderRequest,
    ) -> Result<Option<Outcome>, InDoubt> {
        let reference = request.reference;
        match &request.action {
            Action::Authorise { token, .. } => {
                let Some(path) = path_of(token) else { return Ok(None) };
                let answer = self.show(&path).await?;
                match answer.status.as_u16() {
                    200 => authorisation_of(&answer.body, reference),
                    404 => Ok(None),
                    _ => Err(unclear(&answer)),
                }
            }
            Action::Capture { authorisation, .. } => {
                self.find_capture(authorisation, reference).await
            }
            Action::Void { authorisation, .. } => self.state_of_void(authorisation).await,
            Action::Refund { amount, authorisation, .. } => {
                self.find_refund(authorisation, reference, *amount).await
            }
            Action::CheckRefund { refund, .. } => self.check_refund(refund).await.map(Some),
        }
    }

    async fn authorise(
        &self,
        key: &str,
        reference: OperationReference,
        amount: Money,
        token: &ProviderToken,
    ) -> Result<Outcome, InDoubt> {
        let no = |refusal| Ok(Outcome::Refused(refusal));
        let Some(path) = path_of(token) else { return no(Refusal::MethodInvalid) };
        let shown = self.show(&path).await?;
        match shown.status.as_u16() {
            200 => {}
            400 | 403 | 404 | 422 => return no(Refusal::MethodInvalid),
            _ => return Err(unclear(&shown)),
        }
        if let Some(outcome) = authorisation_of(&shown.body, reference)? {
            return Ok(outcome);
        }
        if let Some(refusal) = unfit(&shown.body, reference, amount) {
            return no(refusal);
        }
        let unit = list(&shown.body, "purchase_units").first();
        let is_marked = unit.is_some_and(|unit| is_named(unit, CUSTOM, reference));
        if !is_marked && !self.mark(&path, &shown.body, reference).await? {
            return no(Refusal::MethodInvalid);
        }
        let answer = self.ask(&format!("{path}/authorize"), key, &json!({})).await?;
        match (answer.status.as_u16(), issue(&answer)) {
            (200 | 201, _) => {
                let found = authorisation_of(&answer.body, reference)?;
                found.ok_or_else(|| undecided(&answer.body))
            }
            // Another attempt of this operation was first: it is there when it is looked for.
            (_, Some("ORDER_ALREADY_AUTHORIZED" | "DUPLICATE_INVOICE_ID")) => Err(unclear(&answer)),
            (_, Some(issue)) => refused(issue, &answer),
            (_, None) => Err(unclear(&answer)),
        }
    }

    /// Has the approved order, and all that is made of it, carry our reference; whether it may.
    async fn mark(
        &self,
        path: &str,
        order: &Value,
        reference: OperationReference,
    ) -> Result<bool, InDoubt> {
        let unit = list(order, "purchase_units").first();
        let unit = unit.map_or("default", |unit| text(unit, "reference_id"));
        let path_in_order = format!("/purchase_units/@reference_id=='{unit}'/custom_id");
        let change = json!([{"op": "add", "path": path_in_order, "value": reference.to_string()}]);
        let body = change.to_string().into_bytes();
        let answer = self.send(Method::PATCH, path, None, body).await?;
        match answer.status.as_u16() {
            200..=299 => Ok(true),
            400 | 403 | 404 | 422 => Ok(false),
            _ => Err(unclear(&answer)),
        }
    }

    async fn capture(
        &self,
        key: &str,
        reference: OperationReference,
        amount: Money,
        authorisation: &ProviderReference,
    ) -> Result<Outcome, InDoubt> {
        let Some(amount) = amounts::written(amount) else {
            return Ok(Outcome::Refused(Refusal::NotPossible));
        };
        let body = json!({
            "amount": amount, "invoice_id": reference.to_string(), "final_capture": false,
        });
        let path = format!("{}/capture", authorisation_path(authorisation));
        let answer = self.ask(&path, key, &body).await?;
        match (answer.status.as_u16(), issue(&answer)) {
            (200 | 201, _) => captured(&answer.body),
            (_, Some(issue)) => match self.find_capture(authorisation, reference).await? {
                Some(outcome) => Ok(outcome),
                None => refused(issue, &answer),
            },
            (_, None) => Err(unclear(&answer)),
        }
    }

    async fn find_capture(
        &self,
        authorisation: &ProviderReference,
        reference: OperationReference,
    ) -> Result<Option<Outcome>, InDoubt> {
        let payments = self.payments_of(authorisation).await?;
        let mut captures = list(&payments, "captures").iter();
        let ours = captures.find(|capture| is_named(capture, INVOICE, reference));
        ours.map(captured).transpose()
    }

    async fn void(&self, key: &str, authorisation: &ProviderReference) -> Result<Outcome, InDoubt> {
        let path = format!("{}/void", authorisation_path(authorisation));
        let answer = self.ask(&path, key, &json!({})).await?;
        match (answer.status.as_u16(), issue(&answer)) {
            (200 | 204, _) => Ok(Outcome::Done { reference: authorisation.clone() }),
            (_, Some(issue)) => match self.state_of_void(authorisation).await? {
                Some(outcome) => Ok(outcome),
                None => refused(issue, &answer),
            },
            (_, None) => Err(unclear(&answer)),
        }
    }

    /// Whether nothing is held any more. That all of it is captured is another hand's doing: to say
    /// that nothing is kept would be wrong.
    async fn state_of_void(
        &self,
        authorisation: &ProviderReference,
    ) -> Result<Option<Outcome>, InDoubt> {
        let answer = self.show(&authorisation_path(authorisation)).await?;
        match (answer.status.as_u16(), text(&answer.body, "status")) {
            (200, "VOIDED" | "EXPIRED" | "DENIED") => done(&answer.body).map(Some),
            (200, "CREATED" | "PARTIALLY_CAPTURED") => Ok(None),
            (200, _) => Err(undecided(&answer.body)),
            (_, _) => Err(unclear(&answer)),
        }
    }

    async fn check_refund(&self, refund: &ProviderReference) -> Result<Outcome, InDoubt> {
        let path = format!("/v2/payments/refunds/{}", escaped(refund.as_str()));
        let answer = self.show(&path).await?;
        // A question that stays open would hold up whatever else the payment is to do.
        let pending = || Outcome::Pending { reference: refund.clone() };
        match answer.status.as_u16() {
            200 => Ok(refunded(&answer.body).unwrap_or_else(|_| pending())),
            400 | 404 => Ok(pending()),
            _ => Err(unclear(&answer)),
        }
    }

    /// All that was done with the order of an authorisation.
    pub(super) async fn payments_of(
        &self,
        authorisation: &ProviderReference,
    ) -> Result<Value, InDoubt> {
        let answer = self.show(&authorisation_path(authorisation)).await?;
        let related = answer.body.get("supplementary_data").and_then(|it| it.get("related_ids"));
        let order = related.map(|ids| text(ids, "order_id")).unwrap_or_default();
        if answer.status.as_u16() != 200 || order.is_empty() {
            return Err(unclear(&answer));
        }
        let answer = self.show(&order_path(order)).await?;
        let unit = list(&answer.body, "purchase_units").first();
        let payments = unit.and_then(|unit| unit.get("payments")).cloned();
        payments.filter(|_| answer.status.as_u16() == 200).ok_or_else(|| unclear(&answer))
    }
}

pub(super) fn refused(issue: &str, answer: &Answer) -> Result<Outcome, InDoubt> {
    refusal(issue).map(Outcome::Refused).ok_or_else(|| unclear(answer))
}

/// The path of the order that a token names. Whatever else a shopper sends is asked of nobody.
fn path_of(token: &ProviderToken) -> Option<String> {
    const ID_BYTES_MAX: usize = 36;
    let id = token.as_str().strip_prefix("order_")?;
    let is_one = (1..=ID_BYTES_MAX).contains(&id.len())
        && id.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
    is_one.then(|| order_path(id))
}

fn order_path(id: &str) -> String {
    format!("/v2/checkout/orders/{}", escaped(id))
}

fn authorisation_path(authorisation: &ProviderReference) -> String {
    format!("/v2/payments/authorizations/{}", escaped(authorisation.as_str()))
}

/// What came of authorising an order; nothing where nobody did.
fn authorisation_of(
    order: &Value,
    reference: OperationReference,
) -> Result<Option<Outcome>, InDoubt> {
    let Some(unit) = list(order, "purchase_units").first() else { return Err(undecided(order)) };
    let payments = unit.get("payments").unwrap_or(&Value::Null);
    let Some(made) = list(payments, "authorizations").first() else { return Ok(None) };
    let is_ours = is_named(made, CUSTOM, reference) || is_named(unit, CUSTOM, reference);
    // Another payment's, of a shopper who shows one approval twice.
    let outcome =
        if is_ours { authorised(made) } else { Ok(Outcome::Refused(Refusal::MethodInvalid)) };
    outcome.map(Some)
}

/// Why an order is not to be authorised for a payment.
fn unfit(order: &Value, reference: OperationReference, amount: Money) -> Option<Refusal> {
    let [unit] = list(order, "purchase_units") else { return Some(Refusal::MethodInvalid) };
    let approved = unit.get("amount").and_then(amounts::read);
    let mark = text(unit, CUSTOM);
    let is_free = mark.is_empty() || mark == reference.to_string();
    match (text(order, "intent"), text(order, "status")) {
        ("AUTHORIZE", "APPROVED") if approved == Some(amount) && is_free => None,
        ("AUTHORIZE", "CREATED" | "SAVED" | "PAYER_ACTION_REQUIRED") => {
            Some(Refusal::AuthenticationRequired)
        }
        ("AUTHORIZE", "VOIDED") => Some(Refusal::NotPossible),
        (_, _) => Some(Refusal::MethodInvalid),
    }
}
