//! Taxes on what is sold: which rate applies where, and what it comes to.
//!
//! **Invariants:** there is one rate at most per class and place; the rate of a region goes before
//! its country's; a tax is between zero and what it is a tax on times the rate, to the half of a
//! minor unit.
//!
//! Taxes are rounded line by line with [`round_half_up`]: tax offices that name a rule name this
//! one, and a line whose tax is a whole amount can be refunded alone without a remainder. Rounding
//! halves to even would suit statistics; on an invoice it looks like a mistake.
//!
//! Deliberately absent: taxes on taxes and sums of several rates. Where a country and a region both
//! levy, the merchant writes the sum as the region's rate. A class is never taken for another: goods
//! of a class without a rate at their destination are not taxed there.

use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;

use cluster::ids::{EntityKey, EntityKind};
use serde::{Deserialize, Serialize};

use super::entry::Content;
use super::money::Money;
use super::names::TaxClass;
use super::quantity::OutOfBounds;

/// An ISO 3166-1 code: two capital letters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "[u8; 2]")]
pub struct CountryCode([u8; 2]);

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a country is two capital letters")]
pub struct InvalidCountryCode;

impl CountryCode {
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or("??")
    }
}

impl TryFrom<[u8; 2]> for CountryCode {
    type Error = InvalidCountryCode;

    fn try_from(code: [u8; 2]) -> Result<Self, InvalidCountryCode> {
        if code.iter().all(u8::is_ascii_uppercase) {
            Ok(Self(code))
        } else {
            Err(InvalidCountryCode)
        }
    }
}

impl FromStr for CountryCode {
    type Err = InvalidCountryCode;

    fn from_str(text: &str) -> Result<Self, InvalidCountryCode> {
        <[u8; 2]>::try_from(text.as_bytes()).map_err(|_| InvalidCountryCode)?.try_into()
    }
}

impl fmt::Display for CountryCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for CountryCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A part of a country, by the second half of its ISO 3166-2 code: `NY` of `US-NY`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct Region(Box<str>);

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a region is 1 to 3 capital letters and digits")]
pub struct InvalidRegion;

impl Region {
    pub const BYTES_MAX: usize = 3;

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Region {
    type Error = InvalidRegion;

    fn try_from(text: String) -> Result<Self, InvalidRegion> {
        text.parse()
    }
}

impl FromStr for Region {
    type Err = InvalidRegion;

    fn from_str(text: &str) -> Result<Self, InvalidRegion> {
        let fits = (1..=Self::BYTES_MAX).contains(&text.len());
        let plain = text.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
        if fits && plain { Ok(Self(text.into())) } else { Err(InvalidRegion) }
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where goods go, as far as taxes and carriers care; also where a rate applies.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Destination {
    pub country: CountryCode,
    pub region: Option<Region>,
}

/// A share of an amount in millionths: 190,000 is 19 %. At most ten times the amount.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u32")]
pub struct Percent(u32);

impl Percent {
    pub const MILLIONTHS_MAX: u32 = 10 * Self::WHOLE;
    const WHOLE: u32 = 1_000_000;

    pub const fn millionths(self) -> u32 {
        self.0
    }
}

impl TryFrom<u32> for Percent {
    type Error = OutOfBounds;

    fn try_from(millionths: u32) -> Result<Self, OutOfBounds> {
        match millionths {
            0..=Self::MILLIONTHS_MAX => Ok(Self(millionths)),
            _ => {
                let max = i64::from(Self::MILLIONTHS_MAX);
                Err(OutOfBounds { what: "a rate in millionths", min: 0, max })
            }
        }
    }
}

/// Whether prices have the tax in them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Inclusion {
    /// The tax is a part of the price: 119 with 19 % in it has 19 of tax.
    Inclusive,
    /// The tax comes on top of the price: 100 with 19 % on it costs 119.
    Exclusive,
}

/// A rate as it was applied to an amount.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct AppliedRate {
    pub percent: Percent,
    pub inclusion: Inclusion,
}

impl AppliedRate {
    /// The tax in or on an amount of zero or more; `None` when it is out of bounds.
    pub fn tax_on(self, amount: Money) -> Option<Money> {
        let part = self.percent.0;
        let whole = match self.inclusion {
            Inclusion::Exclusive => Percent::WHOLE,
            Inclusion::Inclusive => Percent::WHOLE.checked_add(part)?,
        };
        let minor = round_half_up(amount.minor, part, NonZeroU32::new(whole)?)?;
        Some(Money { minor, ..amount })
    }
}

/// `amount * part / whole` to the nearest minor unit; what lies exactly between two goes to the
/// larger. `None` below zero and past an `i64`.
pub fn round_half_up(amount: i64, part: u32, whole: NonZeroU32) -> Option<i64> {
    let amount = u128::try_from(amount).ok()?;
    let whole = u128::from(whole.get());
    // Less than 2^63 * 2^32 * 2 + 2^32, so nothing overflows.
    let doubled = amount * u128::from(part) * 2 + whole;
    i64::try_from(doubled / (whole * 2)).ok()
}

/// What names a rate: there is one per class and place.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TaxRateId {
    pub place: Destination,
    pub class: TaxClass,
}

/// As in `DE.standard` and `US-NY.food`: no country and no region has a full stop in it.
impl fmt::Display for TaxRateId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Destination { country, region } = &self.place;
        match region {
            Some(region) => write!(f, "{country}-{region}.{}", self.class),
            None => write!(f, "{country}.{}", self.class),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a tax rate id is a country, `-` and a region if there is one, a full stop and a tax class"
)]
pub struct InvalidTaxRateId;

impl FromStr for TaxRateId {
    type Err = InvalidTaxRateId;

    fn from_str(text: &str) -> Result<Self, InvalidTaxRateId> {
        let (place, class) = text.split_once('.').ok_or(InvalidTaxRateId)?;
        let (country, region) = match place.split_once('-') {
            Some((country, region)) => (country, Some(region)),
            None => (place, None),
        };
        let country = country.parse().map_err(|_| InvalidTaxRateId)?;
        let region = region.map(str::parse).transpose().map_err(|_| InvalidTaxRateId)?;
        let class = class.parse().map_err(|_| InvalidTaxRateId)?;
        Ok(Self { place: Destination { country, region }, class })
    }
}

impl TaxRateId {
    pub fn key(&self) -> EntityKey {
        EntityKey::Name(self.to_string().into_boxed_str())
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaxRate {
    pub id: TaxRateId,
    pub applied: AppliedRate,
}

impl Content for TaxRate {
    const KIND: EntityKind = EntityKind(12);
    const NAME: &'static str = "tax rate";

    fn key(&self) -> EntityKey {
        self.id.key()
    }

    fn heap_bytes(&self) -> usize {
        let region = self.id.place.region.as_ref().map_or(0, |region| region.as_str().len());
        region + self.id.class.as_str().len()
    }
}

/// Every rate of a shop.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TaxRates(BTreeMap<TaxRateId, AppliedRate>);

impl TaxRates {
    /// Puts a rate in the place of the one of the same id, if there is one.
    pub fn set(&mut self, TaxRate { id, applied }: TaxRate) {
        self.0.insert(id, applied);
    }

    pub fn remove(&mut self, id: &TaxRateId) {
        self.0.remove(id);
    }

    /// In order of id.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&TaxRateId, AppliedRate)> {
        self.0.iter().map(|(id, applied)| (id, *applied))
    }

    /// The rate of the destination's region, or else of its country.
    pub fn applied(&self, class: &TaxClass, destination: &Destination) -> Option<AppliedRate> {
        let of = |region| {
            let place = Destination { country: destination.country, region };
            self.0.get(&TaxRateId { place, class: class.clone() }).copied()
        };
        match &destination.region {
            Some(region) => of(Some(region.clone())).or_else(|| of(None)),
            None => of(None),
        }
    }
}

impl FromIterator<TaxRate> for TaxRates {
    fn from_iter<I: IntoIterator<Item = TaxRate>>(rates: I) -> Self {
        Self(rates.into_iter().map(|TaxRate { id, applied }| (id, applied)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::money::Currency;

    fn place(country: &str, region: Option<&str>) -> Destination {
        let region = region.map(|region| region.parse().unwrap());
        Destination { country: country.parse().unwrap(), region }
    }

    fn rate(country: &str, region: Option<&str>, class: &str, millionths: u32) -> TaxRate {
        let id = TaxRateId { place: place(country, region), class: class.parse().unwrap() };
        TaxRate { id, applied: applied(millionths, Inclusion::Exclusive) }
    }

    fn applied(millionths: u32, inclusion: Inclusion) -> AppliedRate {
        AppliedRate { percent: millionths.try_into().unwrap(), inclusion }
    }

    #[track_caller]
    fn check(rates: &TaxRates, class: &str, to: &Destination, then: Option<u32>) {
        let found = rates.applied(&class.parse().unwrap(), to);
        assert_eq!(found.map(|applied| applied.percent.millionths()), then);
    }

    #[test]
    fn the_rate_of_a_region_goes_before_its_countrys() {
        let rates = [
            rate("US", None, "standard", 10_000),
            rate("US", Some("NY"), "standard", 88_750),
            rate("US", Some("NY"), "food", 0),
            rate("DE", None, "standard", 190_000),
        ];
        let rates: TaxRates = rates.into_iter().collect();
        check(&rates, "standard", &place("US", Some("NY")), Some(88_750));
        check(&rates, "standard", &place("US", Some("TX")), Some(10_000));
        check(&rates, "standard", &place("US", None), Some(10_000));
        check(&rates, "food", &place("US", Some("NY")), Some(0));
        check(&rates, "food", &place("US", Some("TX")), None);
        check(&rates, "standard", &place("DE", Some("NY")), Some(190_000));
        check(&rates, "standard", &place("FR", None), None);
    }

    #[test]
    fn a_rate_takes_the_place_of_the_one_before() {
        let mut rates: TaxRates = [rate("DE", None, "standard", 190_000)].into_iter().collect();
        rates.set(rate("DE", None, "standard", 160_000));
        check(&rates, "standard", &place("DE", None), Some(160_000));
        assert_eq!(rates.iter().len(), 1);
        rates.remove(&rate("DE", None, "standard", 0).id);
        check(&rates, "standard", &place("DE", None), None);
    }

    #[track_caller]
    fn check_tax(millionths: u32, inclusion: Inclusion, amount: i64, tax: Option<i64>) {
        let amount = Money { minor: amount, currency: Currency::EURO };
        let found = applied(millionths, inclusion).tax_on(amount);
        assert_eq!(found, tax.map(|minor| Money { minor, ..amount }));
    }

    #[test]
    fn halves_of_a_minor_unit_are_rounded_up() {
        use Inclusion::{Exclusive, Inclusive};
        check_tax(190_000, Exclusive, 10_000, Some(1_900));
        check_tax(190_000, Inclusive, 11_900, Some(1_900));
        // 2.5, 3.5 and 4.5: to even it would be 2, 4 and 4.
        check_tax(50_000, Exclusive, 50, Some(3));
        check_tax(50_000, Exclusive, 70, Some(4));
        check_tax(50_000, Exclusive, 90, Some(5));
        check_tax(50_000, Exclusive, 49, Some(2));
        // 3 * 0.2 / 1.2 = 0.5
        check_tax(200_000, Inclusive, 3, Some(1));
        check_tax(88_750, Exclusive, 1_000, Some(89));
        check_tax(0, Inclusive, 1_000, Some(0));
        check_tax(Percent::MILLIONTHS_MAX, Exclusive, i64::MAX, None);
        check_tax(Percent::MILLIONTHS_MAX, Inclusive, i64::MAX, Some(8_384_883_669_867_978_006));
        check_tax(190_000, Exclusive, -1, None);
    }

    #[test]
    fn an_id_has_one_text() {
        for text in ["DE.standard", "US-NY.food", "US-1.a.b-c"] {
            assert_eq!(text.parse::<TaxRateId>().unwrap().to_string(), text);
        }
        for bad in ["", "DE", "DE.", ".standard", "DE-.x", "DE-B-Y.x", "de.x", "DE .x"] {
            assert_eq!(bad.parse::<TaxRateId>(), Err(InvalidTaxRateId), "{bad}");
        }
    }

    #[test]
    fn places_are_codes() {
        for bad in ["", "D", "DEU", "de", "D1", "é"] {
            assert_eq!(bad.parse::<CountryCode>(), Err(InvalidCountryCode), "{bad}");
        }
        for bad in ["", "ABCD", "ny", "N-Y"] {
            assert_eq!(bad.parse::<Region>(), Err(InvalidRegion), "{bad}");
        }
        assert_eq!("BY".parse::<Region>().unwrap().as_str(), "BY");
        assert!(Percent::try_from(Percent::MILLIONTHS_MAX + 1).is_err());
    }
}
