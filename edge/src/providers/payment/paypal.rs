//! PayPal: orders that the shopper has approved (Orders v2), their authorisations, captures and
//! refunds (Payments v2), and events that PayPal itself vouches for.
//!
//! A token is `order_` and the id of an order with intent `AUTHORIZE` that the shopper approved.
//!
//! **Invariants:** the invocation's id is the `PayPal-Request-Id`; what an operation made carries our
//! reference, as `custom_id` or `invoice_id`, and is looked for before anything is made a second time
//! under another key; an approved order is authorised for the one payment that it was marked with, and
//! for the very amount that was approved.

mod access;
mod amounts;
mod answers;
mod notices;
mod operations;
mod refunds;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use actors::domain::payment::{ProviderAnswer, ProviderRequest};
use axum::http::{HeaderMap, Method};
use cluster::runtime::ports::InDoubt;
use cluster::time::Timestamp;
use tokio::sync::Semaphore;

use super::{Notice, NoticeRefused, PaymentProvider, ProviderFuture, escaped, in_doubt, json};
use crate::providers::client::Caller;
use access::Account;
pub use access::{Credentials, InvalidCredentials};
use notices::Transmission;
pub use notices::{InvalidWebhookId, WebhookId};

/// Events that PayPal is asked about at once: anybody may send what looks like one.
const VOUCHED_AT_ONCE_MAX: usize = 8;

pub struct PayPal {
    account: Arc<Account>,
    vouching: Arc<Semaphore>,
    /// Without it no notice is believed.
    webhook: Option<WebhookId>,
}

impl PayPal {
    pub fn new(caller: Caller, credentials: Credentials, webhook: Option<WebhookId>) -> Self {
        let vouching = Arc::new(Semaphore::new(VOUCHED_AT_ONCE_MAX));
        Self { account: Arc::new(Account::new(caller, credentials)), vouching, webhook }
    }
}

impl PaymentProvider for PayPal {
    fn carry_out(&self, key: String, request: ProviderRequest) -> ProviderFuture<ProviderAnswer> {
        let account = Arc::clone(&self.account);
        Box::pin(async move {
            let outcome = account.carry_out(&key, &request).await?;
            Ok(ProviderAnswer { operation: request.reference.number, outcome })
        })
    }

    fn look_up(&self, request: ProviderRequest) -> ProviderFuture<Option<ProviderAnswer>> {
        let account = Arc::clone(&self.account);
        Box::pin(async move {
            let found = account.look_up(&request).await?;
            let operation = request.reference.number;
            Ok(found.map(|outcome| ProviderAnswer { operation, outcome }))
        })
    }

    fn read_notice(
        &self,
        headers: &HeaderMap,
        body: &[u8],
        _: Timestamp,
    ) -> Result<Option<Notice>, NoticeRefused> {
        let is_signed = self.webhook.is_some() && Transmission::of(headers).is_some();
        if is_signed { notices::read(body) } else { Err(NoticeRefused::BadSignature) }
    }

    /// Only PayPal has the certificates at hand that its events are signed with.
    fn vouch(&self, headers: &HeaderMap, body: &[u8]) -> ProviderFuture<bool> {
        let question = Transmission::of(headers)
            .zip(self.webhook.as_ref())
            .map(|(transmission, webhook)| transmission.question(webhook, body));
        let account = Arc::clone(&self.account);
        let place = Arc::clone(&self.vouching).try_acquire_owned();
        Box::pin(async move {
            let Some(question) = question else { return Ok(false) };
            let _place =
                place.map_err(|_| InDoubt("too many events are asked about".to_owned()))?;
            let path = "/v1/notifications/verify-webhook-signature";
            let answer = account.send(Method::POST, path, None, question.into_bytes()).await?;
            match (answer.status.as_u16(), answers::text(&answer.body, "verification_status")) {
                (200, "SUCCESS") => Ok(true),
                (200, "FAILURE") => Ok(false),
                (status, _) => Err(InDoubt(format!("paypal answered {status} to a verification"))),
            }
        })
    }
}
