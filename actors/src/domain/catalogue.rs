//! What is for sale and at what price: the content of the fabric's catalogue as carts see it.
//!
//! **Invariants:** a book lists a SKU once; a listing has one price per currency at most; a price
//! is between zero and [`Listing::PRICE_MAX`]. A book never changes: a new index is a new book.
//!
//! The entities that hold it are `product` and `shop`; `reader` makes a book of them, `publishing`
//! finds what they lack of one.

pub mod publishing;
mod reader;

use std::sync::Arc;

pub use reader::BookReader;
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "RawListing")]
pub struct Listing {
    sku: SkuCode,
    name: ProductName,
    /// In order of currency.
    prices: Box<[Money]>,
}

#[derive(Deserialize)]
struct RawListing {
    sku: SkuCode,
    name: ProductName,
    prices: Vec<Money>,
}

impl TryFrom<RawListing> for Listing {
    type Error = ListingError;

    fn try_from(raw: RawListing) -> Result<Self, ListingError> {
        let given = raw.prices.clone();
        let listing = Self::new(raw.sku, raw.name, raw.prices)?;
        if *listing.prices == *given {
            Ok(listing)
        } else {
            Err(ListingError::OutOfOrder { sku: listing.sku })
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ListingError {
    #[error("sku {sku} has a price in {} below zero or past the largest", .price.currency)]
    PriceOutOfBounds { sku: SkuCode, price: Money },
    #[error("sku {sku} has more than one price in {currency}")]
    PricedTwice { sku: SkuCode, currency: Currency },
    #[error("sku {sku} has {n_prices} prices, and {max} are possible", max = Listing::PRICES_MAX)]
    TooManyPrices { sku: SkuCode, n_prices: usize },
    /// Of bytes that this program did not write.
    #[error("the prices of sku {sku} are not in order")]
    OutOfOrder { sku: SkuCode },
}

impl Listing {
    /// In minor units. With it no line total and no cart total can leave an `i64`.
    pub const PRICE_MAX: i64 = 1_000_000_000_000;

    /// More than there are currencies in use.
    pub const PRICES_MAX: usize = 256;

    pub fn new(
        sku: SkuCode,
        name: ProductName,
        mut prices: Vec<Money>,
    ) -> Result<Self, ListingError> {
        if prices.len() > Self::PRICES_MAX {
            return Err(ListingError::TooManyPrices { sku, n_prices: prices.len() });
        }
        prices.sort_unstable_by_key(|price| price.currency);
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

    /// Bytes on the heap.
    pub(crate) fn heap_bytes(&self) -> usize {
        self.sku.as_str().len() + self.name.as_str().len() + size_of_val(&*self.prices)
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
    listings: Box<[Arc<Listing>]>,
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
        Ok(Self { default_currency, listings: listings.into_iter().map(Arc::new).collect() })
    }

    /// Of a shop that lists nothing yet.
    pub fn empty() -> Self {
        Self { default_currency: Currency::EURO, listings: Box::default() }
    }

    /// The currency of a cart whose shopper did not choose one.
    pub fn default_currency(&self) -> Currency {
        self.default_currency
    }

    pub fn listing(&self, sku: &SkuCode) -> Option<&Listing> {
        let found = self.listings.binary_search_by(|listing| listing.sku.cmp(sku)).ok()?;
        self.listings.get(found).map(AsRef::as_ref)
    }

    /// In order of SKU.
    pub fn listings(&self) -> impl ExactSizeIterator<Item = &Arc<Listing>> {
        self.listings.iter()
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
        let codes: Vec<_> =
            ('A'..='Z').flat_map(|c| ('A'..='Z').map(move |d| format!("{c}{d}A"))).collect();
        let prices: Vec<_> = codes.iter().take(257).map(|code| (1, code.as_str())).collect();
        let refused = listing("tea", &prices);
        assert!(matches!(refused, Err(ListingError::TooManyPrices { n_prices: 257, .. })));
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
