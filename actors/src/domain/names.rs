//! The merchant's own names of what a shop is arranged by, and the texts shown for them.
//!
//! **Invariants:** a handle is 1 to 64 characters that need no escaping in a URL, a file name or a
//! topic; a [`Label`] is one printable line.
//!
//! SKUs and product names have files of their own: carts and stocks know those alone.

use std::fmt;
use std::str::FromStr;

use cluster::ids::EntityKey;
use serde::{Deserialize, Serialize};

/// Names of one alphabet and one length, each a type of its own.
macro_rules! handles {
    ($($(#[$doc:meta])* $handle:ident, $invalid:ident, $message:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String")]
        pub struct $handle(Box<str>);

        #[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
        #[error($message)]
        pub struct $invalid;

        impl $handle {
            pub const BYTES_MAX: usize = HANDLE_BYTES_MAX;

            pub fn as_str(&self) -> &str {
                &self.0
            }

            pub fn key(&self) -> EntityKey {
                EntityKey::Name(self.0.clone())
            }
        }

        impl TryFrom<String> for $handle {
            type Error = $invalid;

            fn try_from(text: String) -> Result<Self, $invalid> {
                if is_handle(&text) { Ok(Self(text.into_boxed_str())) } else { Err($invalid) }
            }
        }

        impl FromStr for $handle {
            type Err = $invalid;

            fn from_str(text: &str) -> Result<Self, $invalid> {
                // Checked before it is copied: a text from outside may be of any length.
                if is_handle(text) { Ok(Self(text.into())) } else { Err($invalid) }
            }
        }

        impl fmt::Display for $handle {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    )*};
}

handles! {
    /// A place where stock lies.
    LocationId, InvalidLocationId,
        "a stock location id is 1 to 64 of the characters A-Z a-z 0-9 . _ -";
    /// A group of customers that has prices of its own, such as wholesale.
    CustomerGroup, InvalidCustomerGroup,
        "a customer group is 1 to 64 of the characters A-Z a-z 0-9 . _ -";
    /// A list of prices.
    PriceListId, InvalidPriceListId,
        "a price list id is 1 to 64 of the characters A-Z a-z 0-9 . _ -";
    /// A way to have an order brought.
    ShippingOptionId, InvalidShippingOptionId,
        "a shipping option id is 1 to 64 of the characters A-Z a-z 0-9 . _ -";
    /// What the tax office takes a thing for.
    TaxClass, InvalidTaxClass, "a tax class is 1 to 64 of the characters A-Z a-z 0-9 . _ -";
    /// A place in the tree that products are arranged in.
    CategoryId, InvalidCategoryId,
        "a category id is 1 to 64 of the characters A-Z a-z 0-9 . _ -";
    /// Who offers something on a marketplace.
    SellerId, InvalidSellerId, "a seller id is 1 to 64 of the characters A-Z a-z 0-9 . _ -";
    /// Something that takes a part off what shoppers pay.
    PromotionId, InvalidPromotionId,
        "a promotion id is 1 to 64 of the characters A-Z a-z 0-9 . _ -";
    /// Who acts for the shop, as the audit calls them.
    Actor, InvalidActor, "an actor is 1 to 64 of the characters A-Z a-z 0-9 . _ -";
    /// An operation of the API, by the id that its description has.
    OperationId, InvalidOperationId,
        "an operation id is 1 to 64 of the characters A-Z a-z 0-9 . _ -";
    /// A product's page, in its address.
    Slug, InvalidSlug, "a slug is 1 to 64 of the characters A-Z a-z 0-9 . _ -";
}

pub(super) const HANDLE_BYTES_MAX: usize = 64;

pub(super) fn is_handle(text: &str) -> bool {
    (1..=HANDLE_BYTES_MAX).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}

impl TaxClass {
    /// Of goods for which the merchant names no class.
    pub fn standard() -> Self {
        Self("standard".into())
    }
}

/// A line shown to people: 1 to 255 bytes, no control characters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct Label(Box<str>);

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a name is 1 to 255 bytes without control characters")]
pub struct InvalidLabel;

impl Label {
    pub const BYTES_MAX: usize = 255;

    /// What can be shown of any text, as much of it as fits; `?` if that is nothing.
    pub fn of_what_fits(text: &str) -> Self {
        let mut shown: String = text.chars().filter(|one| !one.is_control()).collect();
        shown.truncate(shown.floor_char_boundary(Self::BYTES_MAX));
        if shown.is_empty() {
            shown.push('?');
        }
        Self(shown.into_boxed_str())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Label {
    type Error = InvalidLabel;

    fn try_from(text: String) -> Result<Self, InvalidLabel> {
        let fits = (1..=Self::BYTES_MAX).contains(&text.len());
        if fits && !text.chars().any(char::is_control) {
            Ok(Self(text.into_boxed_str()))
        } else {
            Err(InvalidLabel)
        }
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handle_is_short_and_plain() {
        for good in ["a", "Wholesale-2.0_eu", &"x".repeat(64)] {
            assert_eq!(good.parse::<Slug>().map(|slug| slug.to_string()), Ok(good.to_owned()));
            assert!(TaxClass::try_from(good.to_owned()).is_ok());
        }
        for bad in ["", " ", "a b", "a/b", "tée", "a\0", &"x".repeat(65)] {
            assert_eq!(bad.parse::<Slug>(), Err(InvalidSlug), "{bad:?}");
            assert_eq!(Slug::try_from(bad.to_owned()), Err(InvalidSlug), "{bad:?}");
        }
        assert_eq!("standard".parse(), Ok(TaxClass::standard()));
    }

    #[test]
    fn a_label_is_one_printable_line() {
        for bad in [String::new(), "a\nb".into(), "x".repeat(256)] {
            assert_eq!(Label::try_from(bad), Err(InvalidLabel));
        }
        assert_eq!(Label::try_from("Grüner Tee".to_owned()).unwrap().to_string(), "Grüner Tee");
    }
}
