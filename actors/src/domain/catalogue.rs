//! What is for sale and at what price: the content of the fabric's catalogue as carts see it.
//!
//! **Invariants:** a book lists a SKU once; a listing has one price per currency at most; a price
//! is between zero and [`Listing::PRICE_MAX`]. A book never changes: a new index is a new book.

use serde::{Deserialize, Serialize};

use super::ids::SkuCode;
use super::money::{Currency, Money};

/// A product's name as shown to shoppers: 1 to 255 bytes, no control characters. Carts hold copies
/// of it, so its size in bytes is what is bounded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct ProductName(Box<str>);

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a product name is 1 to 255 bytes without control characters")]
pub struct InvalidProductName;

impl ProductName {
    pub const BYTES_MAX: usize = 255;

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for ProductName {
    type Error = InvalidProductName;

    fn try_from(text: String) -> Result<Self, InvalidProductName> {
        let fits = (1..=Self::BYTES_MAX).contains(&text.len());
        if fits && !text.chars().any(char::is_control) {
            Ok(Self(text.into_boxed_str()))
        } else {
            Err(InvalidProductName)
        }
    }
}

/// One SKU for sale.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    sku: SkuCode,
    name: ProductName,
    prices: Box<[Money]>,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ListingError {
    #[error("sku {sku} has a price in {} below zero or past the largest", .price.currency)]
    PriceOutOfBounds { sku: SkuCode, price: Money },
    #[error("sku {sku} has more than one price in {currency}")]
    PricedTwice { sku: SkuCode, currency: Currency },
}

impl Listing {
    /// In minor units. With it no line total and no cart total can leave an `i64`.
    pub const PRICE_MAX: i64 = 1_000_000_000_000;

    pub fn new(sku: SkuCode, name: ProductName, prices: Vec<Money>) -> Result<Self, ListingError> {
        for (price, rest) in prices.iter().zip((1..).map(|from| prices.iter().skip(from))) {
            if !(0..=Self::PRICE_MAX).contains(&price.minor) {
                return Err(ListingError::PriceOutOfBounds { sku, price: *price });
            }
            if rest.into_iter().any(|other| other.currency == price.currency) {
                return Err(ListingError::PricedTwice { sku, currency: price.currency });
            }
        }
        Ok(Self { sku, name, prices: prices.into_boxed_slice() })
    }

    pub fn sku(&self) -> &SkuCode {
        &self.sku
    }

    pub fn name(&self) -> &ProductName {
        &self.name
    }

    pub fn price_in(&self, currency: Currency) -> Option<Money> {
        self.prices.iter().copied().find(|price| price.currency == currency)
    }
}

/// Every listing of a shop at one catalogue index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PriceBook {
    default_currency: Currency,
    /// In order of SKU.
    listings: Box<[Listing]>,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("sku {sku} is listed twice")]
pub struct ListedTwice {
    pub sku: SkuCode,
}

impl PriceBook {
    pub fn new(
        default_currency: Currency,
        mut listings: Vec<Listing>,
    ) -> Result<Self, ListedTwice> {
        listings.sort_unstable_by(|left, right| left.sku.cmp(&right.sku));
        for (left, right) in listings.iter().zip(listings.iter().skip(1)) {
            if left.sku == right.sku {
                return Err(ListedTwice { sku: left.sku.clone() });
            }
        }
        Ok(Self { default_currency, listings: listings.into_boxed_slice() })
    }

    /// The currency of a cart whose shopper did not choose one.
    pub fn default_currency(&self) -> Currency {
        self.default_currency
    }

    pub fn listing(&self, sku: &SkuCode) -> Option<&Listing> {
        let found = self.listings.binary_search_by(|listing| listing.sku.cmp(sku)).ok()?;
        self.listings.get(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn currency(code: &str) -> Currency {
        code.parse().unwrap()
    }

    fn listing(sku: &str, prices: &[(i64, &str)]) -> Result<Listing, ListingError> {
        let prices =
            prices.iter().map(|(minor, code)| Money { minor: *minor, currency: currency(code) });
        let name = ProductName::try_from(format!("The {sku}")).unwrap();
        Listing::new(sku.parse().unwrap(), name, prices.collect())
    }

    #[test]
    fn a_listing_is_found_with_its_price_in_each_currency() {
        let listings = ["tea", "cup", "pot"].map(|sku| listing(sku, &[(450, "EUR"), (70, "JPY")]));
        let book =
            PriceBook::new(currency("EUR"), listings.into_iter().map(Result::unwrap).collect());
        let book = book.unwrap();
        for sku in ["tea", "cup", "pot"] {
            let found = book.listing(&sku.parse().unwrap()).unwrap();
            assert_eq!(found.sku().as_str(), sku);
            assert_eq!(found.name().as_str(), format!("The {sku}"));
            assert_eq!(found.price_in(currency("JPY")).unwrap().minor, 70);
            assert_eq!(found.price_in(currency("USD")), None);
        }
        assert_eq!(book.listing(&"mug".parse().unwrap()), None);
        assert_eq!(book.default_currency(), currency("EUR"));
    }

    #[test]
    fn what_could_not_be_charged_is_refused() {
        for minor in [-1, Listing::PRICE_MAX + 1] {
            let refused = listing("tea", &[(1, "JPY"), (minor, "EUR")]);
            assert!(matches!(refused, Err(ListingError::PriceOutOfBounds { .. })));
        }
        let refused = listing("tea", &[(1, "EUR"), (1, "JPY"), (2, "EUR")]);
        assert!(matches!(refused, Err(ListingError::PricedTwice { .. })));
        let twice = vec![listing("tea", &[]).unwrap(), listing("tea", &[]).unwrap()];
        let sku = "tea".parse().unwrap();
        assert_eq!(PriceBook::new(currency("EUR"), twice), Err(ListedTwice { sku }));
    }

    #[test]
    fn a_name_is_short_and_printable() {
        for bad in [String::new(), "a\nb".into(), "x".repeat(256)] {
            assert_eq!(ProductName::try_from(bad), Err(InvalidProductName));
        }
        assert!(ProductName::try_from("é".repeat(127)).is_ok());
    }
}
