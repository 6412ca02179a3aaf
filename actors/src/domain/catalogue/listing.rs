//! One SKU for sale: its prices, and what taxes, carriers and pages need to know of it.
//!
//! **Invariants:** one price per currency at most; a price is between zero and
//! [`Listing::PRICE_MAX`]; a listing makes each choice once, in the order of the merchant.

use serde::{Deserialize, Serialize};

use super::ProductName;
use crate::domain::ids::SkuCode;
use crate::domain::money::{Currency, Money};
use crate::domain::names::{Label, Slug, TaxClass};
use crate::domain::prices::{Prices, PricesError};
use crate::domain::quantity::OutOfBounds;
use crate::domain::twins::first_twin;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "RawListing")]
pub struct Listing {
    sku: SkuCode,
    name: ProductName,
    prices: Prices,
    tax_class: TaxClass,
    /// The one page that the SKU is on, if it is on any.
    page: Option<Slug>,
    choices: Box<[Choice]>,
    weight: Option<Grams>,
}

/// What one variant of a product is: its size, its colour.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Choice {
    pub option: Label,
    pub value: Label,
}

/// A weight, up to ten tonnes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "u32")]
pub struct Grams(u32);

impl Grams {
    pub const MAX: u32 = 10_000_000;

    pub const fn get(self) -> u32 {
        self.0
    }
}

impl TryFrom<u32> for Grams {
    type Error = OutOfBounds;

    fn try_from(grams: u32) -> Result<Self, OutOfBounds> {
        match grams {
            0..=Self::MAX => Ok(Self(grams)),
            _ => Err(OutOfBounds { what: "a weight in grams", min: 0, max: i64::from(Self::MAX) }),
        }
    }
}

#[derive(Deserialize)]
struct RawListing {
    sku: SkuCode,
    name: ProductName,
    prices: Prices,
    tax_class: TaxClass,
    page: Option<Slug>,
    choices: Vec<Choice>,
    weight: Option<Grams>,
}

impl TryFrom<RawListing> for Listing {
    type Error = ListingError;

    fn try_from(raw: RawListing) -> Result<Self, ListingError> {
        let RawListing { sku, name, prices, tax_class, page, choices, weight } = raw;
        Self::priced(sku, name, prices)
            .in_tax_class(tax_class)
            .on_page(page)
            .weighing(weight)
            .choosing(choices)
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
    #[error("sku {sku} has more than one value of option {option}")]
    ChosenTwice { sku: SkuCode, option: Label },
    #[error("sku {sku} has {n_choices} options, and {max} are possible", max = Listing::CHOICES_MAX)]
    TooManyChoices { sku: SkuCode, n_choices: usize },
}

impl Listing {
    /// In minor units.
    pub const PRICE_MAX: i64 = Prices::PRICE_MAX;
    pub const PRICES_MAX: usize = Prices::LEN_MAX;
    pub const CHOICES_MAX: usize = 10;

    /// Of the standard tax class and on no page.
    pub fn new(sku: SkuCode, name: ProductName, prices: Vec<Money>) -> Result<Self, ListingError> {
        match Prices::new(prices) {
            Ok(prices) => Ok(Self::priced(sku, name, prices)),
            Err(PricesError::OutOfBounds { price }) => {
                Err(ListingError::PriceOutOfBounds { sku, price })
            }
            Err(PricesError::PricedTwice { currency }) => {
                Err(ListingError::PricedTwice { sku, currency })
            }
            Err(PricesError::TooMany { n_prices }) => {
                Err(ListingError::TooManyPrices { sku, n_prices })
            }
            Err(PricesError::OutOfOrder) => Err(ListingError::OutOfOrder { sku }),
        }
    }

    /// [`Listing::new`] of prices that are in order already.
    pub fn priced(sku: SkuCode, name: ProductName, prices: Prices) -> Self {
        let (tax_class, choices) = (TaxClass::standard(), Box::default());
        Self { sku, name, prices, tax_class, page: None, choices, weight: None }
    }

    #[must_use]
    pub fn in_tax_class(self, tax_class: TaxClass) -> Self {
        Self { tax_class, ..self }
    }

    #[must_use]
    pub fn on_page(self, page: Option<Slug>) -> Self {
        Self { page, ..self }
    }

    #[must_use]
    pub fn weighing(self, weight: Option<Grams>) -> Self {
        Self { weight, ..self }
    }

    pub fn choosing(self, choices: Vec<Choice>) -> Result<Self, ListingError> {
        if choices.len() > Self::CHOICES_MAX {
            let n_choices = choices.len();
            return Err(ListingError::TooManyChoices { sku: self.sku, n_choices });
        }
        if let Some(twin) = first_twin(&choices, |choice| &choice.option) {
            let option = twin.option.clone();
            return Err(ListingError::ChosenTwice { sku: self.sku, option });
        }
        Ok(Self { choices: choices.into_boxed_slice(), ..self })
    }

    pub fn sku(&self) -> &SkuCode {
        &self.sku
    }

    pub fn name(&self) -> &ProductName {
        &self.name
    }

    pub fn prices(&self) -> &Prices {
        &self.prices
    }

    pub fn tax_class(&self) -> &TaxClass {
        &self.tax_class
    }

    pub fn page(&self) -> Option<&Slug> {
        self.page.as_ref()
    }

    pub fn choices(&self) -> &[Choice] {
        &self.choices
    }

    pub fn weight(&self) -> Option<Grams> {
        self.weight
    }

    /// Bytes on the heap.
    pub(crate) fn heap_bytes(&self) -> usize {
        let of_choice =
            |choice: &Choice| choice.option.as_str().len() + choice.value.as_str().len();
        self.sku.as_str().len()
            + self.name.as_str().len()
            + self.prices.heap_bytes()
            + self.tax_class.as_str().len()
            + self.page.as_ref().map_or(0, |page| page.as_str().len())
            + size_of_val(&*self.choices)
            + self.choices.iter().map(of_choice).sum::<usize>()
    }

    pub fn price_in(&self, currency: Currency) -> Option<Money> {
        self.prices.price_in(currency)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choice(option: &str, value: &str) -> Choice {
        let label = |text: &str| Label::try_from(text.to_owned()).unwrap();
        Choice { option: label(option), value: label(value) }
    }

    fn tea() -> Listing {
        let name = ProductName::try_from("Tea".to_owned()).unwrap();
        Listing::new("tea".parse().unwrap(), name, vec![]).unwrap()
    }

    #[test]
    fn a_variant_makes_each_choice_once() {
        let choices = vec![choice("Size", "100 g"), choice("Harvest", "Spring")];
        let listing = tea().choosing(choices.clone()).unwrap();
        assert_eq!(listing.choices(), choices, "in the merchant's order");
        let twice = tea().choosing(vec![choice("Size", "100 g"), choice("Size", "50 g")]);
        assert!(matches!(twice, Err(ListingError::ChosenTwice { .. })));
        let many: Vec<_> =
            (0..=Listing::CHOICES_MAX).map(|n| choice(&n.to_string(), "x")).collect();
        let refused = tea().choosing(many);
        assert!(matches!(refused, Err(ListingError::TooManyChoices { n_choices: 11, .. })));
    }

    #[test]
    fn a_listing_is_of_the_standard_class_and_on_no_page_until_it_is_said() {
        let listing = tea();
        assert_eq!((listing.tax_class(), listing.page()), (&TaxClass::standard(), None));
        let listing = listing
            .in_tax_class("food".parse().unwrap())
            .on_page(Some("green-tea".parse().unwrap()))
            .weighing(Some(100.try_into().unwrap()));
        assert_eq!(listing.tax_class().as_str(), "food");
        assert_eq!(listing.page().map(Slug::as_str), Some("green-tea"));
        assert_eq!(listing.weight().map(Grams::get), Some(100));
        assert!(Grams::try_from(Grams::MAX + 1).is_err());
    }
}
