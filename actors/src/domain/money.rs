//! Amounts of money in whole minor units.
//!
//! **Invariants:** amounts of two currencies never meet in one sum; arithmetic is checked and
//! nothing is ever rounded, because nothing is ever divided.
//!
//! How money looks in JSON or to a reader is the rim's business.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::quantity::Quantity;

/// An ISO 4217 code: three capital letters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "[u8; 3]")]
pub struct Currency([u8; 3]);

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a currency is three capital letters")]
pub struct InvalidCurrency;

impl Currency {
    pub const EURO: Self = Self(*b"EUR");

    /// How many decimal digits the minor unit is below the major one; two unless known otherwise.
    pub const fn minor_digits(self) -> u8 {
        match &self.0 {
            b"BIF" | b"CLP" | b"DJF" | b"GNF" | b"ISK" | b"JPY" | b"KMF" | b"KRW" | b"PYG"
            | b"RWF" | b"UGX" | b"VND" | b"VUV" | b"XAF" | b"XOF" | b"XPF" => 0,
            b"BHD" | b"IQD" | b"JOD" | b"KWD" | b"LYD" | b"OMR" | b"TND" => 3,
            _ => 2,
        }
    }

    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or("???")
    }
}

impl TryFrom<[u8; 3]> for Currency {
    type Error = InvalidCurrency;

    fn try_from(code: [u8; 3]) -> Result<Self, InvalidCurrency> {
        if code.iter().all(u8::is_ascii_uppercase) { Ok(Self(code)) } else { Err(InvalidCurrency) }
    }
}

impl FromStr for Currency {
    type Err = InvalidCurrency;

    fn from_str(text: &str) -> Result<Self, InvalidCurrency> {
        <[u8; 3]>::try_from(text.as_bytes()).map_err(|_| InvalidCurrency)?.try_into()
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An amount; any value is valid, below zero too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Money {
    pub minor: i64,
    pub currency: Currency,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MoneyError {
    #[error("{left} and {right} do not add up")]
    CurrencyMismatch { left: Currency, right: Currency },
    #[error("the amount is too large")]
    Overflow,
}

impl Money {
    pub const fn zero(currency: Currency) -> Self {
        Self { minor: 0, currency }
    }

    pub fn plus(self, other: Self) -> Result<Self, MoneyError> {
        self.combine(other, i64::checked_add)
    }

    pub fn minus(self, other: Self) -> Result<Self, MoneyError> {
        self.combine(other, i64::checked_sub)
    }

    pub fn times(self, quantity: Quantity) -> Result<Self, MoneyError> {
        let minor =
            self.minor.checked_mul(i64::from(quantity.get())).ok_or(MoneyError::Overflow)?;
        Ok(Self { minor, ..self })
    }

    fn combine(self, other: Self, with: fn(i64, i64) -> Option<i64>) -> Result<Self, MoneyError> {
        if self.currency != other.currency {
            let (left, right) = (self.currency, other.currency);
            return Err(MoneyError::CurrencyMismatch { left, right });
        }
        let minor = with(self.minor, other.minor).ok_or(MoneyError::Overflow)?;
        Ok(Self { minor, ..self })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn money(minor: i64, currency: &str) -> Money {
        Money { minor, currency: currency.parse().unwrap() }
    }

    #[test]
    fn currencies_do_not_mix_and_sums_do_not_wrap() {
        let (euro, yen) = (money(5, "EUR"), money(5, "JPY"));
        let mismatch = MoneyError::CurrencyMismatch { left: euro.currency, right: yen.currency };
        assert_eq!(euro.plus(yen), Err(mismatch));
        assert_eq!(euro.minus(yen), Err(mismatch));
        assert_eq!(euro.plus(euro), Ok(money(10, "EUR")));
        assert_eq!(euro.minus(money(7, "EUR")), Ok(money(-2, "EUR")));
        assert_eq!(money(i64::MAX, "EUR").plus(money(1, "EUR")), Err(MoneyError::Overflow));
        assert_eq!(money(i64::MIN, "EUR").minus(money(1, "EUR")), Err(MoneyError::Overflow));
        let two = Quantity::try_from(2).unwrap();
        assert_eq!(euro.times(two), Ok(money(10, "EUR")));
        assert_eq!(money(i64::MAX / 2 + 1, "EUR").times(two), Err(MoneyError::Overflow));
    }

    #[test]
    fn a_currency_is_three_capitals() {
        for bad in ["", "EU", "EURO", "eur", "EU1", "€"] {
            assert_eq!(bad.parse::<Currency>(), Err(InvalidCurrency), "{bad}");
        }
        for (code, digits) in [("EUR", 2), ("JPY", 0), ("KWD", 3)] {
            let currency: Currency = code.parse().unwrap();
            assert_eq!((currency.as_str(), currency.minor_digits()), (code, digits));
        }
    }
}
