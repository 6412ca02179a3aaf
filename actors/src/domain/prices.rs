//! One price per currency.
//!
//! **Invariants:** in order of currency, each currency once; a price is between zero and
//! [`Prices::PRICE_MAX`].

use serde::{Deserialize, Serialize};

use super::money::{Currency, Money};

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<Money>")]
pub struct Prices(Box<[Money]>);

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PricesError {
    #[error("the price in {} is below zero or past the largest", .price.currency)]
    OutOfBounds { price: Money },
    #[error("there is more than one price in {currency}")]
    PricedTwice { currency: Currency },
    #[error("there are {n_prices} prices, and {max} are possible", max = Prices::LEN_MAX)]
    TooMany { n_prices: usize },
    /// Of bytes that this program did not write.
    #[error("the prices are not in order")]
    OutOfOrder,
}

impl Prices {
    /// In minor units. With it no line total and no cart total can leave an `i64`.
    pub const PRICE_MAX: i64 = 1_000_000_000_000;

    /// More than there are currencies in use.
    pub const LEN_MAX: usize = 256;

    pub fn new(mut prices: Vec<Money>) -> Result<Self, PricesError> {
        if prices.len() > Self::LEN_MAX {
            return Err(PricesError::TooMany { n_prices: prices.len() });
        }
        prices.sort_by_key(|price| price.currency);
        for (at, price) in prices.iter().enumerate() {
            if !(0..=Self::PRICE_MAX).contains(&price.minor) {
                return Err(PricesError::OutOfBounds { price: *price });
            }
            let next = prices.get(at + 1);
            if next.is_some_and(|next| next.currency == price.currency) {
                return Err(PricesError::PricedTwice { currency: price.currency });
            }
        }
        Ok(Self(prices.into_boxed_slice()))
    }

    pub fn price_in(&self, currency: Currency) -> Option<Money> {
        let found = self.0.binary_search_by_key(&currency, |price| price.currency).ok()?;
        self.0.get(found).copied()
    }

    /// In order of currency.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Money> {
        self.0.iter().copied()
    }

    pub(crate) fn heap_bytes(&self) -> usize {
        size_of_val(&*self.0)
    }
}

impl TryFrom<Vec<Money>> for Prices {
    type Error = PricesError;

    fn try_from(given: Vec<Money>) -> Result<Self, PricesError> {
        let is_in_order = given.is_sorted_by_key(|price| price.currency);
        let prices = Self::new(given)?;
        if is_in_order { Ok(prices) } else { Err(PricesError::OutOfOrder) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prices(prices: &[(i64, &str)]) -> Vec<Money> {
        let money =
            |(minor, code): &(i64, &str)| Money { minor: *minor, currency: code.parse().unwrap() };
        prices.iter().map(money).collect()
    }

    #[test]
    fn there_is_one_price_per_currency() {
        let found = Prices::new(prices(&[(700, "JPY"), (450, "EUR")])).unwrap();
        assert_eq!(found.price_in(Currency::EURO), Some(Money { minor: 450, ..found.0[0] }));
        assert_eq!(found.price_in("JPY".parse().unwrap()).unwrap().minor, 700);
        assert_eq!(found.price_in("USD".parse().unwrap()), None);
        let twice = Prices::new(prices(&[(1, "EUR"), (1, "JPY"), (2, "EUR")]));
        assert_eq!(twice, Err(PricesError::PricedTwice { currency: Currency::EURO }));
    }

    #[test]
    fn a_price_is_between_zero_and_the_largest() {
        for minor in [-1, Prices::PRICE_MAX + 1] {
            let refused = Prices::new(prices(&[(1, "JPY"), (minor, "EUR")]));
            assert!(matches!(refused, Err(PricesError::OutOfBounds { .. })));
        }
        assert!(Prices::new(prices(&[(0, "EUR"), (Prices::PRICE_MAX, "JPY")])).is_ok());
    }

    #[test]
    fn what_is_out_of_order_was_not_written_here() {
        let given = prices(&[(700, "JPY"), (450, "EUR")]);
        assert_eq!(Prices::try_from(given), Err(PricesError::OutOfOrder));
    }
}
