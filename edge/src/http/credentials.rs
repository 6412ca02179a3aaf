//! Who may do what: the guest's cart token and the operator's token.
//!
//! **Invariants:** secrets are compared in constant time; a cart's token is derived from its id, so
//! any node can tell a right one from a wrong one without asking the cart.

use actors::{CartAccess, CartId};
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, HeaderName};
use hmac::{Hmac, KeyInit, Mac};
use sha2::digest::CtOutput;
use sha2::{Digest, Sha256};

use super::base64url;
use super::code::Code;
use super::error::ApiError;

pub(super) const OMNI_CART_TOKEN: HeaderName = HeaderName::from_static("omni-cart-token");

/// Derives what every node of the cluster must derive alike.
#[derive(Clone)]
pub(super) struct Secrets {
    keyed: Hmac<Sha256>,
}

impl Secrets {
    pub(super) fn new(cluster_secret: &[u8; 32]) -> Self {
        let keyed = Hmac::new_from_slice(cluster_secret);
        Self { keyed: keyed.unwrap_or_else(|_| unreachable!("any length is a key")) }
    }

    /// Bytes that only a holder of the secret can derive. Parts are told apart by their lengths.
    pub(super) fn derive(&self, purpose: &str, parts: &[&[u8]]) -> [u8; 32] {
        self.mac(purpose, parts).finalize().into_bytes().into()
    }

    fn mac(&self, purpose: &str, parts: &[&[u8]]) -> Hmac<Sha256> {
        let mut mac = self.keyed.clone();
        for part in [purpose.as_bytes()].iter().chain(parts) {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part);
        }
        mac
    }

    pub(super) fn cart_token(&self, cart: CartId) -> CartToken {
        CartToken(self.derive("cart-token", &[cart.as_bytes()]))
    }

    /// The cart's token, if this text is it.
    pub(super) fn check_cart_token(&self, cart: CartId, text: &[u8]) -> Option<CartToken> {
        let shown = base64url::decode(text)?;
        let expected = self.mac("cart-token", &[cart.as_bytes()]).finalize();
        (CtOutput::new(shown.into()) == expected).then_some(CartToken(shown))
    }

    /// Compares through a derivation, so that neither length nor content shows in the time taken.
    fn is_same(&self, left: &[u8], right: &[u8]) -> bool {
        self.mac("compare", &[left]).finalize() == self.mac("compare", &[right]).finalize()
    }
}

/// Proof that a cart is one's own.
pub(super) struct CartToken([u8; 32]);

impl CartToken {
    pub(super) fn text(&self) -> String {
        base64url::encode(&self.0)
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// What the cart keeps of it.
    pub(super) fn access(&self) -> CartAccess {
        CartAccess::from_hash(Sha256::digest(self.0).into())
    }
}

/// The token in the request, checked for this cart. Absent and wrong look like a missing cart.
pub(super) fn cart_token(
    headers: &HeaderMap,
    secrets: &Secrets,
    cart: CartId,
) -> Result<CartToken, ApiError> {
    let text = single(headers, &OMNI_CART_TOKEN).ok_or_else(ApiError::cart_not_found)?;
    secrets.check_cart_token(cart, text).ok_or_else(ApiError::cart_not_found)
}

/// Whatever is shown as a cart's token.
pub(super) fn shown_cart_token(headers: &HeaderMap) -> Option<&[u8]> {
    single(headers, &OMNI_CART_TOKEN)
}

/// The secret that operators show; at least [`OperatorToken::BYTES_MIN`] bytes.
#[derive(Clone)]
pub struct OperatorToken(Box<str>);

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an operator token is 32 to 512 visible ASCII characters")]
pub struct InvalidOperatorToken;

impl OperatorToken {
    pub const BYTES_MIN: usize = 32;
    pub const BYTES_MAX: usize = 512;
}

impl TryFrom<String> for OperatorToken {
    type Error = InvalidOperatorToken;

    fn try_from(text: String) -> Result<Self, InvalidOperatorToken> {
        let fits = (Self::BYTES_MIN..=Self::BYTES_MAX).contains(&text.len());
        let plain = text.bytes().all(|byte| byte.is_ascii_graphic());
        if fits && plain { Ok(Self(text.into_boxed_str())) } else { Err(InvalidOperatorToken) }
    }
}

impl std::fmt::Debug for OperatorToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("OperatorToken(…)")
    }
}

/// Checks that an operator asks. Without a configured token nobody is one.
pub(super) fn check_operator(
    headers: &HeaderMap,
    secrets: &Secrets,
    operator: Option<&OperatorToken>,
) -> Result<(), ApiError> {
    let shown = single(headers, &AUTHORIZATION).and_then(bearer).unwrap_or_default();
    let known = operator.is_some_and(|token| secrets.is_same(shown, token.0.as_bytes()));
    let refused = || ApiError::new(Code::UNAUTHORIZED, "this path takes the operator's token");
    known.then_some(()).ok_or_else(refused)
}

fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = value.split_at_checked("Bearer ".len())?;
    scheme.eq_ignore_ascii_case(b"Bearer ").then_some(token)
}

/// A header that comes once: of two, nobody can say which was meant.
fn single<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a [u8]> {
    let mut values = headers.get_all(name).iter();
    let first = values.next()?;
    values.next().is_none().then(|| first.as_bytes())
}

#[cfg(test)]
mod tests {
    use cluster::ids::Slot;

    use super::*;

    fn cart(byte: u8) -> CartId {
        CartId::in_slot(Slot::from_bits(9), [byte; 14])
    }

    #[test]
    fn a_token_opens_its_own_cart_on_every_node_of_the_cluster_alone() {
        let (secrets, same, other) =
            (Secrets::new(&[1; 32]), Secrets::new(&[1; 32]), Secrets::new(&[2; 32]));
        let token = secrets.cart_token(cart(1)).text();
        assert!(same.check_cart_token(cart(1), token.as_bytes()).is_some());
        assert!(same.check_cart_token(cart(2), token.as_bytes()).is_none());
        assert!(other.check_cart_token(cart(1), token.as_bytes()).is_none());
        assert!(same.check_cart_token(cart(1), b"").is_none());
        assert_ne!(secrets.cart_token(cart(1)).access(), secrets.cart_token(cart(2)).access());
    }

    #[test]
    fn parts_are_told_apart() {
        let secrets = Secrets::new(&[1; 32]);
        assert_ne!(secrets.derive("a", &[b"bc", b"d"]), secrets.derive("a", &[b"b", b"cd"]));
        assert_ne!(secrets.derive("ab", &[b"c"]), secrets.derive("a", &[b"bc"]));
    }

    #[test]
    fn only_the_configured_token_is_an_operator() {
        let secrets = Secrets::new(&[1; 32]);
        let token = OperatorToken::try_from("t".repeat(32)).unwrap();
        let asks = |value: &str, token: Option<&OperatorToken>| {
            let headers = HeaderMap::from_iter([(AUTHORIZATION, value.parse().unwrap())]);
            check_operator(&headers, &secrets, token).is_ok()
        };
        let right = format!("bearer {}", "t".repeat(32));
        assert!(asks(&right, Some(&token)));
        assert!(!asks(&right, None));
        for wrong in ["", "Bearer ", "Bearer t", "Basic dDp0", &"t".repeat(32)] {
            assert!(!asks(wrong, Some(&token)), "{wrong}");
        }
        assert!(check_operator(&HeaderMap::new(), &secrets, None).is_err());
        assert!(OperatorToken::try_from("short".to_owned()).is_err());
    }
}
