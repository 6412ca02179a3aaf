//! Ways to have an order brought, and what they cost.
//!
//! **Invariants:** an option that names countries names each once, in order; without any it goes
//! everywhere.

use cluster::ids::{EntityKey, EntityKind};
use serde::{Deserialize, Serialize};

use super::entry::Content;
use super::money::Money;
use super::names::{Label, ShippingOptionId, TaxClass};
use super::prices::Prices;
use super::tax::CountryCode;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShippingOption {
    pub id: ShippingOptionId,
    pub name: Label,
    /// Who carries it.
    pub carrier: Label,
    /// Not for sale in a currency without a price.
    pub prices: Prices,
    /// It costs nothing for items worth as much or more, after discounts.
    pub free_from: Prices,
    pub countries: Countries,
    pub tax_class: TaxClass,
}

impl ShippingOption {
    /// What it costs for items of this worth; `None` in a currency without a price.
    pub fn price_for(&self, items: Money) -> Option<Money> {
        let price = self.prices.price_in(items.currency)?;
        let free_from = self.free_from.price_in(items.currency);
        let is_free = free_from.is_some_and(|threshold| items.minor >= threshold.minor);
        Some(if is_free { Money::zero(items.currency) } else { price })
    }
}

impl Content for ShippingOption {
    const KIND: EntityKind = EntityKind(14);
    const NAME: &'static str = "shipping option";

    fn key(&self) -> EntityKey {
        self.id.key()
    }

    fn heap_bytes(&self) -> usize {
        let names = [self.id.as_str(), self.name.as_str(), self.carrier.as_str()];
        names.iter().map(|name| name.len()).sum::<usize>()
            + self.tax_class.as_str().len()
            + self.prices.heap_bytes()
            + self.free_from.heap_bytes()
            + size_of_val(&*self.countries.0)
    }
}

/// Where an option goes: the countries named, or everywhere when none is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<CountryCode>")]
pub struct Countries(Box<[CountryCode]>);

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("countries are named once each, in order, and {max} at most", max = Countries::LEN_MAX)]
pub struct InvalidCountries;

impl Countries {
    /// As many as there can be codes.
    pub const LEN_MAX: usize = 26 * 26;

    /// In any order, repeats and all.
    pub fn of(countries: impl IntoIterator<Item = CountryCode>) -> Self {
        let mut countries: Vec<_> = countries.into_iter().collect();
        countries.sort_unstable();
        countries.dedup();
        Self(countries.into_boxed_slice())
    }

    pub fn include(&self, country: CountryCode) -> bool {
        self.0.is_empty() || self.0.binary_search(&country).is_ok()
    }

    /// The countries named, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = CountryCode> {
        self.0.iter().copied()
    }
}

impl TryFrom<Vec<CountryCode>> for Countries {
    type Error = InvalidCountries;

    fn try_from(countries: Vec<CountryCode>) -> Result<Self, InvalidCountries> {
        if countries.is_sorted_by(|left, right| left < right) {
            Ok(Self(countries.into_boxed_slice()))
        } else {
            Err(InvalidCountries)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::money::Currency;

    fn euros(minor: i64) -> Money {
        Money { minor, currency: Currency::EURO }
    }

    fn label(text: &str) -> Label {
        Label::try_from(text.to_owned()).unwrap()
    }

    fn option() -> ShippingOption {
        ShippingOption {
            id: "parcel".parse().unwrap(),
            name: label("Parcel"),
            carrier: label("Post"),
            prices: Prices::new(vec![euros(490)]).unwrap(),
            free_from: Prices::new(vec![euros(5_000)]).unwrap(),
            countries: Countries::default(),
            tax_class: TaxClass::standard(),
        }
    }

    #[test]
    fn enough_items_travel_for_nothing() {
        assert_eq!(option().price_for(euros(4_999)), Some(euros(490)));
        assert_eq!(option().price_for(euros(5_000)), Some(euros(0)));
        assert_eq!(option().price_for(Money::zero("USD".parse().unwrap())), None);
    }

    #[test]
    fn an_option_goes_where_it_says_or_everywhere() {
        let country = |code: &str| code.parse::<CountryCode>().unwrap();
        let some = Countries::of(["FR", "DE", "FR"].map(country));
        assert_eq!(some.iter().collect::<Vec<_>>(), ["DE", "FR"].map(country));
        assert!(some.include(country("DE")) && !some.include(country("AT")));
        assert!(Countries::default().include(country("AT")));
        for bad in [["FR", "DE"], ["DE", "DE"]] {
            assert_eq!(Countries::try_from(bad.map(country).to_vec()), Err(InvalidCountries));
        }
    }
}
