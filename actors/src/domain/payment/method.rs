//! How one pays, and the names that providers give to things.
//!
//! **Invariants:** each name is short printable ASCII; a token never looks like a bare card number.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What a payment is made with: who carries it out, and their name for the shopper's means.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentMethod {
    pub provider: ProviderName,
    pub token: ProviderToken,
}

impl PaymentMethod {
    /// Of an order that gift cards alone are to pay. An order's terms always had a method, and their
    /// bytes are for ever: a word in its place keeps them as they are, in every log and record, where an
    /// extra beside them would have to be kept and asked for besides. Nobody is asked with it, so it is
    /// no matter whether there is a provider of this name.
    pub fn none() -> Self {
        let word = || NONE.into();
        Self { provider: ProviderName(word()), token: ProviderToken(word()) }
    }

    pub fn is_none(&self) -> bool {
        (self.provider.as_str(), self.token.as_str()) == (NONE, NONE)
    }
}

/// Stands in records.
const NONE: &str = "none";

/// Short texts of one alphabet.
macro_rules! names {
    ($($(#[$doc:meta])* $name:ident, $invalid:ident, $max:literal, $message:literal, $fits:expr;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String")]
        pub struct $name(Box<str>);

        #[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
        #[error($message)]
        pub struct $invalid;

        impl $name {
            pub const BYTES_MAX: usize = $max;

            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = $invalid;

            fn from_str(text: &str) -> Result<Self, $invalid> {
                let fits: fn(&str) -> bool = $fits;
                let is_short = (1..=Self::BYTES_MAX).contains(&text.len());
                if is_short && fits(text) { Ok(Self(text.into())) } else { Err($invalid) }
            }
        }

        impl TryFrom<String> for $name {
            type Error = $invalid;

            fn try_from(text: String) -> Result<Self, $invalid> {
                text.parse()
            }
        }
    )*};
}

names! {
    /// The shop's name of a provider, as in its configuration.
    ProviderName, InvalidProviderName, 32,
    "a provider's name is 1 to 32 of the characters a-z 0-9 _ -, a letter first",
    |text| {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-".contains(&byte);
        text.starts_with(|first: char| first.is_ascii_lowercase()) && text.bytes().all(plain)
    };
    /// A provider's stand-in for a card or an account. Worth nothing anywhere else, yet not shown.
    ProviderToken, InvalidProviderToken, 255,
    "a token is 1 to 255 printable characters without spaces, a letter first",
    |text| text.starts_with(|first: char| first.is_ascii_alphabetic()) && is_graphic(text);
    /// A provider's name of what it did: an authorisation, a capture, a refund.
    ProviderReference, InvalidProviderReference, 255,
    "a provider's reference is 1 to 255 printable characters without spaces", is_graphic;
    /// A provider's name of one of its notices.
    ProviderEventId, InvalidProviderEventId, 255,
    "a provider's event id is 1 to 255 printable characters without spaces", is_graphic;
}

fn is_graphic(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_graphic())
}

impl fmt::Display for ProviderName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ProviderName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ProviderToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ProviderToken(..)")
    }
}

impl fmt::Debug for ProviderReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ProviderEventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_short_and_plain() {
        for bad in ["", "Stripe", "4111", "a b", "-a", &"a".repeat(33)] {
            assert_eq!(bad.parse::<ProviderName>(), Err(InvalidProviderName), "{bad:?}");
        }
        for good in ["stripe", "pay-pal_2", &"a".repeat(32)] {
            assert!(good.parse::<ProviderName>().is_ok(), "{good:?}");
        }
    }

    #[test]
    fn no_method_is_one_like_any_other_to_whoever_reads_it() {
        let none = PaymentMethod::none();
        let read: ProviderName = none.provider.as_str().parse().unwrap();
        let read = PaymentMethod { provider: read, token: none.token.as_str().parse().unwrap() };
        assert!(read.is_none() && read == none);
        assert_eq!((none.provider.as_str(), none.token.as_str()), ("none", "none"));
        let other = PaymentMethod { token: "tok_visa".parse().unwrap(), ..none };
        assert!(!other.is_none());
    }

    #[test]
    fn a_bare_card_number_is_no_token() {
        for bad in ["", "4111111111111111", "tok visa", "t\u{e9}", "t\n", &"t".repeat(256)] {
            assert_eq!(bad.parse::<ProviderToken>(), Err(InvalidProviderToken), "{bad:?}");
        }
        let token: ProviderToken = "tok_visa".parse().unwrap();
        assert_eq!(format!("{token:?}"), "ProviderToken(..)");
    }
}
