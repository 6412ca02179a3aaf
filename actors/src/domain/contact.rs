//! Whom an order is for and where it goes.
//!
//! **Invariants:** texts are short and printable; an address has whatever a carrier needs.

use serde::{Deserialize, Serialize};

use super::names::Label;
use super::tax::{CountryCode, Destination, Region};

/// Where mail goes: something, an `@`, a domain. Whether it arrives only a mail can tell.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct Email(Box<str>);

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be an e-mail address of at most {} bytes", Email::BYTES_MAX)]
pub struct InvalidEmail;

impl Email {
    /// RFC 5321 allows no longer path.
    pub const BYTES_MAX: usize = 254;

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Email {
    type Error = InvalidEmail;

    fn try_from(text: String) -> Result<Self, InvalidEmail> {
        const LOCAL_BYTES_MAX: usize = 64;
        let is_plain = !text.chars().any(|c| c.is_control() || c.is_whitespace());
        let parts = text.rsplit_once('@');
        let is_address = parts.is_some_and(|(local, domain)| {
            (1..=LOCAL_BYTES_MAX).contains(&local.len())
                && !local.contains('@')
                && domain.split('.').all(|label| !label.is_empty())
                && domain.contains('.')
        });
        if text.len() <= Self::BYTES_MAX && is_plain && is_address {
            Ok(Self(text.into_boxed_str()))
        } else {
            Err(InvalidEmail)
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Address {
    pub name: Label,
    pub line1: Label,
    pub line2: Option<Label>,
    pub city: Label,
    pub region: Option<Region>,
    pub postal_code: Option<Label>,
    pub country: CountryCode,
}

impl Address {
    /// What taxes depend on, and who goes there.
    pub fn destination(&self) -> Destination {
        Destination { country: self.country, region: self.region.clone() }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contact {
    /// Nobody is told of the order without it.
    pub email: Option<Email>,
    pub shipping: Address,
    /// The shipping address, unless it is another.
    pub billing: Option<Address>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_email_has_a_name_and_a_domain() {
        for good in ["a@b.c", "first.last+tag@shop.example", "é@exämple.org"] {
            assert!(Email::try_from(good.to_owned()).is_ok(), "{good}");
        }
        let long = format!("{}@b.c", "x".repeat(65));
        for bad in ["", "a", "a@", "@b.c", "a@b", "a@b..c", "a b@c.d", "a@b@c.d", "a\n@b.c", &long]
        {
            assert_eq!(Email::try_from(bad.to_owned()), Err(InvalidEmail), "{bad}");
        }
    }
}
