//! A discount code as the merchant defines it: which promotion it stands for, and how often.
//!
//! **Invariants:** a code is in capital letters, whatever was typed, so that the one name in small ones is
//! no merchant's; a limit is at least one.
//!
//! How often it was used is not written here: [`super::code_uses`] counts, one entity a code.

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;

use cluster::entity::Context;
use cluster::ids::{EntityKey, EntityKind};
use serde::{Deserialize, Serialize};

use super::entry::{Content, Rejection, book};
use super::names::{HANDLE_BYTES_MAX, PromotionId, is_handle};

/// What a shopper types, with letters of either case.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct CodeName(Box<str>);

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a discount code is 1 to 64 of the characters A-Z a-z 0-9 . _ -")]
pub struct InvalidCodeName;

impl CodeName {
    pub const BYTES_MAX: usize = HANDLE_BYTES_MAX;
    const FIRST_ORDER: &'static str = "first-order";

    /// What first orders are counted under. Nobody can type it.
    pub(super) fn first_order() -> Self {
        Self(Self::FIRST_ORDER.into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn key(&self) -> EntityKey {
        EntityKey::Name(self.0.clone())
    }
}

impl FromStr for CodeName {
    type Err = InvalidCodeName;

    fn from_str(text: &str) -> Result<Self, InvalidCodeName> {
        if is_handle(text) {
            Ok(Self(text.to_ascii_uppercase().into_boxed_str()))
        } else {
            Err(InvalidCodeName)
        }
    }
}

/// Of bytes: one that is in capitals already, or what first orders are counted under.
impl TryFrom<String> for CodeName {
    type Error = InvalidCodeName;

    fn try_from(text: String) -> Result<Self, InvalidCodeName> {
        let is_capital = !text.bytes().any(|byte| byte.is_ascii_lowercase());
        if text == Self::FIRST_ORDER || (is_capital && is_handle(&text)) {
            Ok(Self(text.into_boxed_str()))
        } else {
            Err(InvalidCodeName)
        }
    }
}

impl fmt::Display for CodeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiscountCode {
    pub code: CodeName,
    pub promotion: PromotionId,
    /// How many orders it is used for; without one, any number.
    pub limit: Option<NonZeroU32>,
    /// How many of them may be one customer's.
    pub limit_per_customer: Option<NonZeroU32>,
}

impl Content for DiscountCode {
    const KIND: EntityKind = EntityKind(41);
    const NAME: &'static str = "discount code";

    fn key(&self) -> EntityKey {
        self.code.key()
    }

    fn heap_bytes(&self) -> usize {
        self.code.as_str().len() + self.promotion.as_str().len()
    }

    fn check(&self, ctx: &Context<'_>) -> Result<(), Rejection> {
        match book(ctx)?.promotions().promotion(&self.promotion) {
            Some(promotion) if promotion.requires_code() => Ok(()),
            Some(_) | None => {
                Err(Rejection::NoPromotionWithCode { promotion: self.promotion.clone() })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_the_same_in_either_case() {
        let code: CodeName = "spring-10".parse().unwrap();
        assert_eq!(code.as_str(), "SPRING-10");
        assert_eq!(CodeName::try_from("SPRING-10".to_owned()), Ok(code));
        assert_eq!(CodeName::try_from("spring-10".to_owned()), Err(InvalidCodeName));
        for bad in ["", "a b", "a:b", "é", &"x".repeat(65)] {
            assert_eq!(bad.parse::<CodeName>(), Err(InvalidCodeName), "{bad}");
        }
    }

    #[test]
    fn nobody_can_type_what_first_orders_are_counted_under() {
        let reserved = CodeName::first_order();
        assert_eq!(CodeName::try_from(reserved.to_string()).as_ref(), Ok(&reserved));
        assert_ne!(reserved.as_str().parse::<CodeName>(), Ok(reserved));
    }
}
