//! Stripe: payment intents that are captured by hand, refunds, and signed events.
//!
//! **Invariants:** the invocation's id is the `Idempotency-Key`, so what is sent again is done once;
//! after Stripe has forgotten a key, it is asked for the object that carries our reference.
//!
//! A partial capture ends an authorisation there: what is left goes back to the shopper, and a
//! second capture is refused.

mod answers;
mod notices;
mod requests;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use actors::domain::payment::{ProviderAnswer, ProviderRequest};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use cluster::runtime::ports::InDoubt;
use cluster::time::Timestamp;

use super::signature::NoticeSecret;
use super::{Notice, NoticeRefused, PaymentProvider, ProviderFuture, in_doubt, json};
use crate::providers::client::{Answered, Caller};
use requests::Call;

const SIGNATURE: HeaderName = HeaderName::from_static("stripe-signature");
const KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// The API as it is understood here, whatever an account's default is.
const VERSION: (HeaderName, HeaderValue) =
    (HeaderName::from_static("stripe-version"), HeaderValue::from_static("2024-06-20"));

/// The secret key of an account.
#[derive(Clone)]
pub struct ApiKey(HeaderValue);

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a key is 8 to 255 printable characters without spaces")]
pub struct InvalidApiKey;

impl TryFrom<&str> for ApiKey {
    type Error = InvalidApiKey;

    fn try_from(text: &str) -> Result<Self, InvalidApiKey> {
        let fits = (8..=255).contains(&text.len());
        if !fits || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(InvalidApiKey);
        }
        let value = HeaderValue::try_from(format!("Bearer {text}"));
        let mut value = value.map_err(|_| InvalidApiKey)?;
        value.set_sensitive(true);
        Ok(Self(value))
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKey(..)")
    }
}

pub struct Stripe {
    account: Arc<Account>,
    /// Without it no notice is believed.
    secret: Option<NoticeSecret>,
}

struct Account {
    caller: Caller,
    key: ApiKey,
}

impl Stripe {
    pub fn new(caller: Caller, key: ApiKey, secret: Option<NoticeSecret>) -> Self {
        Self { account: Arc::new(Account { caller, key }), secret }
    }
}

impl Account {
    /// The status is checked by whoever knows what it means; a body that is not JSON says nothing.
    async fn call(&self, call: Call, key: Option<HeaderValue>) -> Result<Answered, InDoubt> {
        let mut headers = HeaderMap::new();
        headers.insert(header::AUTHORIZATION, self.key.0.clone());
        let (name, version) = VERSION;
        headers.insert(name, version);
        if let Some(key) = key.filter(|_| call.method == Method::POST) {
            headers.insert(KEY, key);
            let form = HeaderValue::from_static("application/x-www-form-urlencoded");
            headers.insert(header::CONTENT_TYPE, form);
        }
        let Call { method, path, form } = call;
        self.caller.send(method, &path, headers, form.into_bytes()).await.map_err(in_doubt)
    }
}

impl PaymentProvider for Stripe {
    fn carry_out(&self, key: String, request: ProviderRequest) -> ProviderFuture<ProviderAnswer> {
        let account = Arc::clone(&self.account);
        Box::pin(async move {
            let key = HeaderValue::try_from(key).map_err(in_doubt)?;
            let Answered { status, body } =
                account.call(Call::carry_out(&request), Some(key)).await?;
            let outcome = answers::outcome(&request, status, &json(&body))?;
            Ok(ProviderAnswer { operation: request.reference.number, outcome })
        })
    }

    fn look_up(&self, request: ProviderRequest) -> ProviderFuture<Option<ProviderAnswer>> {
        let account = Arc::clone(&self.account);
        Box::pin(async move {
            let Answered { status, body } = account.call(Call::look_up(&request), None).await?;
            let found = answers::found(&request, status, &json(&body))?;
            let operation = request.reference.number;
            Ok(found.map(|outcome| ProviderAnswer { operation, outcome }))
        })
    }

    fn read_notice(
        &self,
        headers: &HeaderMap,
        body: &[u8],
        now: Timestamp,
    ) -> Result<Option<Notice>, NoticeRefused> {
        let secret = self.secret.as_ref().ok_or(NoticeRefused::BadSignature)?;
        let signature = headers.get(SIGNATURE).and_then(|value| value.to_str().ok());
        secret.check(signature.ok_or(NoticeRefused::BadSignature)?, body, now)?;
        notices::read(body)
    }
}
