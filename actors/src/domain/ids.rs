//! The names of things: carts, orders, payments, SKUs, and the proof that a cart is one's own.
//!
//! **Invariants:** an id has exactly one text form and parsing accepts nothing else; a [`SkuCode`]
//! is 1 to 64 characters that need no escaping in a URL, a file name or a topic.
//!
//! Which entity stands behind an id is not checked here; an id may name nothing.

use std::fmt;
use std::str::FromStr;

use cluster::ids::{EntityKey, Slot};
use serde::{Deserialize, Serialize};

use super::crockford;

/// Ids of sixteen bytes behind a prefix: which two of them are the routing slot is `cluster`'s to say.
macro_rules! ids {
    ($($(#[$doc:meta])* $id:ident, $invalid:ident, $prefix:literal, $message:literal;)*) => {$(
        $(#[$doc])*
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
        )]
        pub struct $id([u8; 16]);

        #[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
        #[error($message)]
        pub struct $invalid;

        impl $id {
            const PREFIX: &str = $prefix;

            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(bytes)
            }

            pub const fn as_bytes(&self) -> &[u8; 16] {
                &self.0
            }
        }

        impl fmt::Display for $id {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(Self::PREFIX)?;
                crockford::write(self.0, f)
            }
        }

        impl FromStr for $id {
            type Err = $invalid;

            fn from_str(text: &str) -> Result<Self, $invalid> {
                let digits = text.strip_prefix(Self::PREFIX).ok_or($invalid)?;
                crockford::parse(digits).map(Self).ok_or($invalid)
            }
        }
    )*};
}

ids! {
    /// A cart; its routing slot is inside.
    CartId, InvalidCartId, "cart_", "a cart id is `cart_` and 26 base 32 digits";
    /// An order; it lives in the slot of the cart that it was made of.
    OrderId, InvalidOrderId, "ord_", "an order id is `ord_` and 26 base 32 digits";
    /// A payment; it lives in the slot of its order.
    PaymentId, InvalidPaymentId, "pay_", "a payment id is `pay_` and 26 base 32 digits";
    /// A gift card. Derived from its code, which is a secret.
    GiftCardId, InvalidGiftCardId, "gift_", "a gift card id is `gift_` and 26 base 32 digits";
    /// An import of products; its parts lie in its slot.
    ImportId, InvalidImportId, "imp_", "an import id is `imp_` and 26 base 32 digits";
    /// One claim on the stock of a SKU. Drawn once per attempt, so that a retry meets its own claim.
    ReservationId, InvalidReservationId, "res_", "a reservation id is `res_` and 26 base 32 digits";
    /// One capture of a payment, drawn once per attempt, so that a retry meets its own capture.
    CaptureId, InvalidCaptureId, "cap_", "a capture id is `cap_` and 26 base 32 digits";
    /// One refund of a payment, drawn once per attempt.
    RefundId, InvalidRefundId, "ref_", "a refund id is `ref_` and 26 base 32 digits";
}

/// An id, a hyphen and a number from one, in their one text form: neither a sign nor zeros in front.
pub(super) fn id_and_number<I: FromStr>(text: &str) -> Option<(I, u32)> {
    let (id, digits) = text.split_once('-')?;
    let is_exact = digits.starts_with(|first| matches!(first, '1'..='9'));
    Some((id.parse().ok()?, digits.parse().ok().filter(|_| is_exact)?))
}

/// Ids of entities: the key, and with it the routing slot, is the id.
macro_rules! entity_ids {
    ($($id:ident, $invalid:ident;)*) => {$(
        impl $id {
            pub fn in_slot(slot: Slot, unique: [u8; 14]) -> Self {
                match EntityKey::in_slot(slot, unique) {
                    EntityKey::Number(bytes) => Self(bytes),
                    EntityKey::Name(_) => unreachable!("a generated key is a number"),
                }
            }

            pub fn key(self) -> EntityKey {
                EntityKey::Number(self.0)
            }
        }

        impl TryFrom<&EntityKey> for $id {
            type Error = $invalid;

            fn try_from(key: &EntityKey) -> Result<Self, $invalid> {
                match key {
                    EntityKey::Number(bytes) => Ok(Self(*bytes)),
                    EntityKey::Name(_) => Err($invalid),
                }
            }
        }
    )*};
}

entity_ids! {
    CartId, InvalidCartId;
    GiftCardId, InvalidGiftCardId;
    ImportId, InvalidImportId;
    OrderId, InvalidOrderId;
    PaymentId, InvalidPaymentId;
}

/// The hash of a cart's token: who can show the token may read and change the cart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CartAccess([u8; 32]);

impl CartAccess {
    pub const fn from_hash(hash: [u8; 32]) -> Self {
        Self(hash)
    }

    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// The merchant's own name of one sellable thing.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct SkuCode(Box<str>);

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a sku is 1 to 64 of the characters A-Z a-z 0-9 . _ -")]
pub struct InvalidSkuCode;

impl SkuCode {
    pub const BYTES_MAX: usize = 64;

    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn key(&self) -> EntityKey {
        EntityKey::Name(self.0.clone())
    }
}

impl TryFrom<String> for SkuCode {
    type Error = InvalidSkuCode;

    fn try_from(text: String) -> Result<Self, InvalidSkuCode> {
        let fits = (1..=Self::BYTES_MAX).contains(&text.len());
        let plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
        if fits && plain { Ok(Self(text.into_boxed_str())) } else { Err(InvalidSkuCode) }
    }
}

impl FromStr for SkuCode {
    type Err = InvalidSkuCode;

    fn from_str(text: &str) -> Result<Self, InvalidSkuCode> {
        // Checked before it is copied: a text from outside may be of any length.
        if text.len() > Self::BYTES_MAX { Err(InvalidSkuCode) } else { text.to_owned().try_into() }
    }
}

impl fmt::Display for SkuCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cart_id_keeps_its_slot_through_its_text() {
        let id = CartId::in_slot(Slot::from_bits(0xABCD), [7; 14]);
        let text = id.to_string();
        assert_eq!(text.len(), 31);
        assert_eq!(text.parse(), Ok(id));
        assert_eq!(CartId::try_from(&id.key()), Ok(id));
        assert_eq!(id.key().slot(), Slot::from_bits(0xABCD));
    }

    #[test]
    fn an_id_of_one_kind_is_not_one_of_another() {
        let cart = CartId::in_slot(Slot::from_bits(1), [2; 14]);
        let reservation = ReservationId::from_bytes(*cart.as_bytes());
        assert_eq!(cart.to_string().parse::<ReservationId>(), Err(InvalidReservationId));
        assert_eq!(reservation.to_string().parse::<CartId>(), Err(InvalidCartId));
        assert_eq!(reservation.to_string().parse(), Ok(reservation));
        assert_eq!(CartId::try_from(&EntityKey::Name("tea".into())), Err(InvalidCartId));
        assert_eq!(cart.to_string().to_uppercase().parse::<CartId>(), Err(InvalidCartId));
    }

    #[test]
    fn a_sku_is_short_and_plain() {
        for good in ["a", "TEA-0.5_kg", &"x".repeat(64)] {
            assert_eq!(good.parse::<SkuCode>().map(|sku| sku.to_string()), Ok(good.to_owned()));
        }
        for bad in ["", " ", "a b", "a/b", "tée", "a\0", &"x".repeat(65)] {
            assert_eq!(bad.parse::<SkuCode>(), Err(InvalidSkuCode), "{bad:?}");
            assert_eq!(SkuCode::try_from(bad.to_owned()), Err(InvalidSkuCode), "{bad:?}");
        }
    }
}
