//! Requests under an access token, which is asked for once and used until shortly before it ends.
//!
//! **Invariants:** however many requests begin at once, one of them asks for a token; a token that is
//! refused is used no more.

use std::fmt;
use std::time::{Duration, Instant};

use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use cluster::runtime::ports::InDoubt;
use serde_json::Value;
use storage::clock;
use tokio::sync::Mutex;

use super::{in_doubt, json};
use crate::providers::client::Caller;

const KEY: HeaderName = HeaderName::from_static("paypal-request-id");
const PREFER: HeaderName = HeaderName::from_static("prefer");
/// A token is not used when it may end on the way.
const MARGIN: Duration = Duration::from_secs(60);
/// Whatever PayPal says, it is asked again after this.
const LIFE_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// The client id and the secret of an application.
#[derive(Clone)]
pub struct Credentials(HeaderValue);

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("credentials are a client id, a colon and a secret, each 8 to 255 printable characters")]
pub struct InvalidCredentials;

impl TryFrom<&str> for Credentials {
    type Error = InvalidCredentials;

    fn try_from(text: &str) -> Result<Self, InvalidCredentials> {
        let (client, secret) = text.split_once(':').ok_or(InvalidCredentials)?;
        let fits = |part: &str| {
            (8..=255).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_graphic())
        };
        if !fits(client) || !fits(secret) {
            return Err(InvalidCredentials);
        }
        let value = HeaderValue::try_from(format!("Basic {}", base64(text.as_bytes())));
        let mut value = value.map_err(|_| InvalidCredentials)?;
        value.set_sensitive(true);
        Ok(Self(value))
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(..)")
    }
}

/// As in RFC 4648, padded.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let bits = (0..3)
            .fold(0_u32, |bits, nth| bits << 8 | u32::from(group.get(nth).copied().unwrap_or(0)));
        for nth in 0..4 {
            let digit = ALPHABET.get((bits >> (18 - 6 * nth) & 63) as usize).copied();
            text.push(if nth <= group.len() { char::from(digit.unwrap_or(b'A')) } else { '=' });
        }
    }
    text
}

pub(super) struct Account {
    caller: Caller,
    credentials: Credentials,
    token: Mutex<Option<Token>>,
}

#[derive(Clone)]
struct Token {
    value: HeaderValue,
    ends_at: Instant,
}

/// What came back; a body that is not JSON says nothing.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) body: Value,
}

impl Account {
    pub(super) fn new(caller: Caller, credentials: Credentials) -> Self {
        Self { caller, credentials, token: Mutex::default() }
    }

    pub(super) async fn show(&self, path: &str) -> Result<Answer, InDoubt> {
        self.send(Method::GET, path, None, Vec::new()).await
    }

    pub(super) async fn ask(&self, path: &str, key: &str, body: &Value) -> Result<Answer, InDoubt> {
        let body = serde_json::to_vec(body).map_err(in_doubt)?;
        self.send(Method::POST, path, Some(key), body).await
    }

    pub(super) async fn send(
        &self,
        method: Method,
        path: &str,
        key: Option<&str>,
        body: Vec<u8>,
    ) -> Result<Answer, InDoubt> {
        let token = self.token().await?;
        let mut headers = HeaderMap::new();
        headers.insert(header::AUTHORIZATION, token.clone());
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(PREFER, HeaderValue::from_static("return=representation"));
        if let Some(key) = key {
            headers.insert(KEY, HeaderValue::try_from(key).map_err(in_doubt)?);
        }
        let answered = self.caller.send(method, path, headers, body).await.map_err(in_doubt)?;
        if answered.status == StatusCode::UNAUTHORIZED {
            self.token.lock().await.take_if(|known| known.value == token);
            return Err(InDoubt("paypal does not know its access token".to_owned()));
        }
        Ok(Answer { status: answered.status, body: json(&answered.body) })
    }

    async fn token(&self) -> Result<HeaderValue, InDoubt> {
        let mut known = self.token.lock().await;
        if let Some(token) = known.as_ref().filter(|token| clock::monotonic() < token.ends_at) {
            return Ok(token.value.clone());
        }
        let asked_at = clock::monotonic();
        let mut headers = HeaderMap::new();
        headers.insert(header::AUTHORIZATION, self.credentials.0.clone());
        let form = HeaderValue::from_static("application/x-www-form-urlencoded");
        headers.insert(header::CONTENT_TYPE, form);
        let body = b"grant_type=client_credentials".to_vec();
        let answered = self.caller.send(Method::POST, "/v1/oauth2/token", headers, body).await;
        let answered = answered.map_err(in_doubt)?;
        let body = json(&answered.body);
        let text = body.get("access_token").and_then(Value::as_str);
        let (StatusCode::OK, Some(text)) = (answered.status, text) else {
            return Err(InDoubt(format!("paypal answered {} for a token", answered.status)));
        };
        let mut value = HeaderValue::try_from(format!("Bearer {text}")).map_err(in_doubt)?;
        value.set_sensitive(true);
        let life = body.get("expires_in").and_then(Value::as_u64).unwrap_or(0);
        let life = Duration::from_secs(life).min(LIFE_MAX).saturating_sub(MARGIN);
        *known = Some(Token { value: value.clone(), ends_at: asked_at + life });
        Ok(value)
    }
}

#[cfg(test)]
mod unit_tests {
    use super::*;

    #[test]
    fn credentials_are_told_as_basic_authentication() {
        // The examples of RFC 4648.
        for (bytes, text) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v")] {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
        let credentials = Credentials::try_from("client-1:secret-1").unwrap();
        assert_eq!(credentials.0, "Basic Y2xpZW50LTE6c2VjcmV0LTE=");
        assert_eq!(format!("{credentials:?}"), "Credentials(..)");
        for bad in ["", "client-1", "client-1:", "client 1:secret-1", ":secret-1"] {
            assert_eq!(Credentials::try_from(bad).err(), Some(InvalidCredentials), "{bad}");
        }
    }
}
