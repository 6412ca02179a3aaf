//! `Idempotency-Key`: what a key is, what scopes it, and the ids that are derived from it.
//!
//! **Invariants:** a key of one client, method and path never meets another's; of a key only hashes
//! leave this module. Paths need no normal form: ids and SKUs have one text, and a path with an
//! escape in it has no route.

use axum::http::{HeaderMap, HeaderName, Method};
use cluster::fabric::{OutcomeKey, Precondition};
use cluster::ids::Slot;
use cluster::time::{Span, Timestamp};
use sha2::{Digest, Sha256};

use super::code::Code;
use super::error::ApiError;

pub(super) const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const BYTES_MAX: usize = 255;
/// On creations that need no credential the key is one itself.
const SECRET_BYTES_MIN: usize = 32;
const KEPT: Span = Span::from_secs(24 * 60 * 60);

/// A client's own name for a request.
#[derive(Debug)]
pub(super) struct IdempotencyKey(Box<[u8]>);

impl IdempotencyKey {
    pub(super) fn of(headers: &HeaderMap) -> Result<Option<Self>, ApiError> {
        let mut values = headers.get_all(IDEMPOTENCY_KEY).iter();
        let Some(value) = values.next() else { return Ok(None) };
        let key = value.as_bytes();
        let fits = (1..=BYTES_MAX).contains(&key.len());
        if values.next().is_some() || !fits || !key.iter().all(u8::is_ascii_graphic) {
            return Err(ApiError::new(
                Code::IDEMPOTENCY_KEY_INVALID,
                "Idempotency-Key is one value of 1 to 255 visible ASCII characters",
            ));
        }
        Ok(Some(Self(key.into())))
    }

    /// Refuses a key that could be guessed.
    pub(super) fn check_secret(&self) -> Result<(), ApiError> {
        if self.0.len() >= SECRET_BYTES_MIN {
            return Ok(());
        }
        Err(ApiError::new(
            Code::IDEMPOTENCY_KEY_TOO_SHORT,
            "without a credential, Idempotency-Key is a secret of 32 characters or more",
        ))
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Whose key it is.
#[derive(Clone, Copy)]
pub(super) enum Credential<'a> {
    Nobody,
    Cart(&'a [u8]),
    Operator,
}

impl Credential<'_> {
    fn parts(&self) -> [&[u8]; 2] {
        match self {
            Self::Nobody => [b"nobody", b""],
            Self::Cart(token) => [b"cart", token],
            Self::Operator => [b"operator", b""],
        }
    }
}

/// What a key means on one method and path, to one client.
pub(super) fn scope(
    key: &IdempotencyKey,
    credential: Credential<'_>,
    method: &Method,
    path: &str,
) -> [u8; 16] {
    let [who, secret] = credential.parts();
    hash(&[b"scope", who, secret, method.as_str().as_bytes(), path.as_bytes(), &key.0])
}

/// Names an outcome: the same scope with another request is a conflict.
pub(super) fn outcome_key(
    scope: [u8; 16],
    body: &[u8],
    precondition: Precondition,
    now: Timestamp,
) -> OutcomeKey {
    let seq;
    // Words of another length than a sequence has.
    let precondition: &[u8] = match precondition {
        Precondition::None => b"none",
        Precondition::Exists => b"exists",
        Precondition::Absent => b"absent",
        Precondition::Seq(expected) => {
            seq = expected.to_be_bytes();
            &seq
        }
    };
    let request = hash(&[b"request", precondition, body]);
    OutcomeKey { scope, request, not_after: now.plus(KEPT) }
}

/// Names the answer to a change, beside the change itself.
pub(super) fn answer_key(change: OutcomeKey) -> OutcomeKey {
    OutcomeKey { scope: hash(&[b"answer", &change.scope]), ..change }
}

fn hash(parts: &[&[u8]]) -> [u8; 16] {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part);
    }
    let digest: [u8; 32] = hasher.finalize().into();
    half(digest)
}

/// The first half of a digest.
pub(super) fn half(
    [first @ .., _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _]: [u8; 32],
) -> [u8; 16] {
    first
}

/// A routing slot and what makes an id unique within it.
pub(super) fn slot_and_unique(bytes: [u8; 16]) -> (Slot, [u8; 14]) {
    let [high, low, unique @ ..] = bytes;
    (Slot::from_bits(u16::from_be_bytes([high, low])), unique)
}

/// Fresh random bytes for an id.
pub(super) fn random() -> Result<[u8; 16], ApiError> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| {
        tracing::error!(%error, "the operating system gives no random bytes");
        ApiError::internal()
    })?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> Result<Option<IdempotencyKey>, Code> {
        let headers = HeaderMap::from_iter([(IDEMPOTENCY_KEY, text.parse().unwrap())]);
        IdempotencyKey::of(&headers).map_err(|error| error.code())
    }

    #[test]
    fn a_key_is_visible_ascii_of_bounded_length() {
        for good in ["a", "8e03978e-40d5-43e8-bc93-6894a57f9324", &"x".repeat(255)] {
            assert!(key(good).unwrap().is_some(), "{good}");
        }
        for bad in ["", "a b", "tab\tbed", &"x".repeat(256)] {
            assert_eq!(key(bad).unwrap_err(), Code::IDEMPOTENCY_KEY_INVALID, "{bad}");
        }
        assert!(IdempotencyKey::of(&HeaderMap::new()).unwrap().is_none());
        assert!(key(&"x".repeat(32)).unwrap().unwrap().check_secret().is_ok());
        assert!(key(&"x".repeat(31)).unwrap().unwrap().check_secret().is_err());
    }

    #[test]
    fn everything_about_a_request_scopes_its_key() {
        let key = |text| key(text).unwrap().unwrap();
        let (a, b) = (key("a"), key("b"));
        let scopes = [
            scope(&a, Credential::Nobody, &Method::POST, "/x"),
            scope(&b, Credential::Nobody, &Method::POST, "/x"),
            scope(&a, Credential::Operator, &Method::POST, "/x"),
            scope(&a, Credential::Cart(b"1"), &Method::POST, "/x"),
            scope(&a, Credential::Cart(b"2"), &Method::POST, "/x"),
            scope(&a, Credential::Nobody, &Method::PUT, "/x"),
            scope(&a, Credential::Nobody, &Method::POST, "/xa"),
        ];
        for (nth, left) in scopes.iter().enumerate() {
            assert!(!scopes[nth + 1..].contains(left));
        }
        let request = |body: &[u8], precondition| {
            outcome_key([0; 16], body, precondition, Timestamp::ZERO).request
        };
        use Precondition::{Absent, Exists, None, Seq};
        assert_ne!(request(b"{}", None), request(b"{ }", None));
        let preconditions = [None, Exists, Absent, Seq(0), Seq(1)];
        for (nth, left) in preconditions.into_iter().enumerate() {
            assert_eq!(request(b"{}", left), request(b"{}", left));
            for right in preconditions.into_iter().skip(nth + 1) {
                assert_ne!(request(b"{}", left), request(b"{}", right), "{left:?} {right:?}");
            }
        }
    }
}
