//! How many: of a line, of a stock, of a change to it, of a page.
//!
//! **Invariants:** a [`Quantity`] is at least one; no type here leaves its bounds by arithmetic.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A number outside the bounds of its type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} is between {min} and {max}")]
pub struct OutOfBounds {
    pub what: &'static str,
    pub min: i64,
    pub max: i64,
}

/// How many of one thing a shopper wants: 1 to 9,999.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u32")]
pub struct Quantity(u32);

impl Quantity {
    pub const MAX: u32 = 9_999;

    pub const fn get(self) -> u32 {
        self.0
    }

    /// `None` past the bound.
    pub fn plus(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0)?.try_into().ok()
    }
}

impl TryFrom<u32> for Quantity {
    type Error = OutOfBounds;

    fn try_from(count: u32) -> Result<Self, OutOfBounds> {
        match count {
            1..=Self::MAX => Ok(Self(count)),
            _ => Err(OutOfBounds { what: "a quantity", min: 1, max: i64::from(Self::MAX) }),
        }
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A count of pieces in stock: 0 to one thousand million.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "u32")]
pub struct Units(u32);

impl Units {
    pub const MAX: u32 = 1_000_000_000;
    pub const ZERO: Self = Self(0);

    pub const fn get(self) -> u32 {
        self.0
    }

    /// `None` past the bound.
    pub fn plus(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0)?.try_into().ok()
    }

    /// `None` below zero.
    pub fn minus(self, other: Self) -> Option<Self> {
        self.0.checked_sub(other.0).map(Self)
    }
}

impl TryFrom<u32> for Units {
    type Error = OutOfBounds;

    fn try_from(count: u32) -> Result<Self, OutOfBounds> {
        match count {
            0..=Self::MAX => Ok(Self(count)),
            _ => Err(OutOfBounds { what: "a stock", min: 0, max: i64::from(Self::MAX) }),
        }
    }
}

impl From<Quantity> for Units {
    fn from(quantity: Quantity) -> Self {
        Self(quantity.0)
    }
}

impl fmt::Display for Units {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// By how much a stock changes, up or down by at most [`Units::MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "i64")]
pub struct Delta(i64);

impl Delta {
    pub const MAX: i64 = Units::MAX as i64;

    pub const fn get(self) -> i64 {
        self.0
    }

    pub fn between(before: Units, after: Units) -> Self {
        Self(i64::from(after.0) - i64::from(before.0))
    }
}

impl TryFrom<i64> for Delta {
    type Error = OutOfBounds;

    fn try_from(change: i64) -> Result<Self, OutOfBounds> {
        if (-Self::MAX..=Self::MAX).contains(&change) {
            Ok(Self(change))
        } else {
            Err(OutOfBounds { what: "a change of stock", min: -Self::MAX, max: Self::MAX })
        }
    }
}

/// How many entries one answer may list: 1 to 100.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u32")]
pub struct PageLimit(u32);

impl PageLimit {
    pub const MAX: u32 = 100;

    pub const fn get(self) -> usize {
        self.0 as usize
    }
}

impl TryFrom<u32> for PageLimit {
    type Error = OutOfBounds;

    fn try_from(count: u32) -> Result<Self, OutOfBounds> {
        match count {
            1..=Self::MAX => Ok(Self(count)),
            _ => Err(OutOfBounds { what: "a page limit", min: 1, max: i64::from(Self::MAX) }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_hold_at_their_edges() {
        assert!(Quantity::try_from(0).is_err() && Quantity::try_from(10_000).is_err());
        assert!(Quantity::try_from(1).is_ok() && Quantity::try_from(9_999).is_ok());
        assert!(Units::try_from(Units::MAX).is_ok() && Units::try_from(Units::MAX + 1).is_err());
        assert!(Delta::try_from(-Delta::MAX).is_ok() && Delta::try_from(-Delta::MAX - 1).is_err());
        assert!(Delta::try_from(Delta::MAX).is_ok() && Delta::try_from(i64::MAX).is_err());
        assert!(PageLimit::try_from(0).is_err() && PageLimit::try_from(101).is_err());
    }

    #[test]
    fn arithmetic_stays_within_bounds() {
        let most = Quantity::try_from(Quantity::MAX).unwrap();
        let one = Quantity::try_from(1).unwrap();
        assert_eq!(most.plus(one), None);
        assert_eq!(one.plus(one), Quantity::try_from(2).ok());
        let full = Units::try_from(Units::MAX).unwrap();
        assert_eq!(full.plus(one.into()), None);
        assert_eq!(Units::ZERO.minus(one.into()), None);
        assert_eq!(Delta::between(full, Units::ZERO).get(), -Delta::MAX);
    }
}
