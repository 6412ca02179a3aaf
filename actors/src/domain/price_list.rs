//! Prices of some SKUs for some customers during some time.
//!
//! **Invariants:** a list has one currency and one price per SKU, at most [`PriceList::LEN_MAX`], in
//! order of SKU; it ends after it begins.
//!
//! A shop with more prices has more lists: one record stays small, and any number of lists may be
//! in force at once.

use cluster::ids::{EntityKey, EntityKind};
use cluster::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::entry::Content;
use super::ids::SkuCode;
use super::money::{Currency, Money};
use super::names::{CustomerGroup, Label, PriceListId};
use super::prices::Prices;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "RawPriceList")]
pub struct PriceList {
    id: PriceListId,
    name: Label,
    currency: Currency,
    audience: Audience,
    validity: Validity,
    /// In minor units, in order of SKU.
    prices: Box<[(SkuCode, i64)]>,
}

/// For whom a list is. One for a group goes before one for everyone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Audience {
    Everyone,
    Group(CustomerGroup),
}

/// When a list is in force: from its beginning up to, but not at, its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "(Option<Timestamp>, Option<Timestamp>)")]
#[serde(into = "(Option<Timestamp>, Option<Timestamp>)")]
pub struct Validity {
    from: Option<Timestamp>,
    until: Option<Timestamp>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a price list ends after it begins")]
pub struct InvalidValidity;

impl Validity {
    pub fn new(from: Option<Timestamp>, until: Option<Timestamp>) -> Result<Self, InvalidValidity> {
        let is_possible = from.is_none_or(|from| until.is_none_or(|until| from < until));
        if is_possible { Ok(Self { from, until }) } else { Err(InvalidValidity) }
    }

    pub fn from(&self) -> Option<Timestamp> {
        self.from
    }

    pub fn until(&self) -> Option<Timestamp> {
        self.until
    }

    pub fn holds_at(&self, at: Timestamp) -> bool {
        self.from.is_none_or(|from| from <= at) && self.until.is_none_or(|until| at < until)
    }
}

impl TryFrom<(Option<Timestamp>, Option<Timestamp>)> for Validity {
    type Error = InvalidValidity;

    fn try_from(
        (from, until): (Option<Timestamp>, Option<Timestamp>),
    ) -> Result<Self, InvalidValidity> {
        Self::new(from, until)
    }
}

impl From<Validity> for (Option<Timestamp>, Option<Timestamp>) {
    fn from(Validity { from, until }: Validity) -> Self {
        (from, until)
    }
}

#[derive(Deserialize)]
struct RawPriceList {
    id: PriceListId,
    name: Label,
    currency: Currency,
    audience: Audience,
    validity: Validity,
    prices: Vec<(SkuCode, i64)>,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PriceListError {
    #[error("the price of sku {sku} is below zero or past the largest")]
    PriceOutOfBounds { sku: SkuCode },
    #[error("sku {sku} has more than one price")]
    PricedTwice { sku: SkuCode },
    #[error("there are {n_prices} prices, and {max} are possible", max = PriceList::LEN_MAX)]
    TooManyPrices { n_prices: usize },
    /// Of bytes that this program did not write.
    #[error("the prices are not in order of sku")]
    OutOfOrder,
}

/// What a list says but for its prices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListTerms {
    pub id: PriceListId,
    pub name: Label,
    pub currency: Currency,
    pub audience: Audience,
    pub validity: Validity,
}

impl PriceList {
    /// With it a record with the longest SKUs is 64 KiB at most.
    pub const LEN_MAX: usize = 750;

    pub fn new(terms: ListTerms, mut prices: Vec<(SkuCode, i64)>) -> Result<Self, PriceListError> {
        if prices.len() > Self::LEN_MAX {
            return Err(PriceListError::TooManyPrices { n_prices: prices.len() });
        }
        prices.sort_by(|(left, _), (right, _)| left.cmp(right));
        for (at, (sku, minor)) in prices.iter().enumerate() {
            if !(0..=Prices::PRICE_MAX).contains(minor) {
                return Err(PriceListError::PriceOutOfBounds { sku: sku.clone() });
            }
            if prices.get(at + 1).is_some_and(|(next, _)| next == sku) {
                return Err(PriceListError::PricedTwice { sku: sku.clone() });
            }
        }
        let ListTerms { id, name, currency, audience, validity } = terms;
        Ok(Self { id, name, currency, audience, validity, prices: prices.into_boxed_slice() })
    }

    pub fn id(&self) -> &PriceListId {
        &self.id
    }

    pub fn name(&self) -> &Label {
        &self.name
    }

    pub fn currency(&self) -> Currency {
        self.currency
    }

    pub fn audience(&self) -> &Audience {
        &self.audience
    }

    pub fn validity(&self) -> Validity {
        self.validity
    }

    /// In order of SKU.
    pub fn prices(&self) -> impl ExactSizeIterator<Item = (&SkuCode, Money)> {
        let money = |minor| Money { minor, currency: self.currency };
        self.prices.iter().map(move |(sku, minor)| (sku, money(*minor)))
    }

    pub fn price_of(&self, sku: &SkuCode) -> Option<Money> {
        let found = self.prices.binary_search_by(|(listed, _)| listed.cmp(sku)).ok()?;
        let (_, minor) = self.prices.get(found)?;
        Some(Money { minor: *minor, currency: self.currency })
    }
}

impl Content for PriceList {
    const KIND: EntityKind = EntityKind(13);
    const NAME: &'static str = "price list";

    fn key(&self) -> EntityKey {
        self.id.key()
    }

    fn heap_bytes(&self) -> usize {
        let skus: usize = self.prices.iter().map(|(sku, _)| sku.as_str().len()).sum();
        let group = match &self.audience {
            Audience::Everyone => 0,
            Audience::Group(group) => group.as_str().len(),
        };
        self.id.as_str().len()
            + self.name.as_str().len()
            + group
            + skus
            + size_of_val(&*self.prices)
    }
}

impl TryFrom<RawPriceList> for PriceList {
    type Error = PriceListError;

    fn try_from(raw: RawPriceList) -> Result<Self, PriceListError> {
        let RawPriceList { id, name, currency, audience, validity, prices } = raw;
        let in_order = prices.is_sorted_by(|(left, _), (right, _)| left <= right);
        let list = Self::new(ListTerms { id, name, currency, audience, validity }, prices)?;
        if in_order { Ok(list) } else { Err(PriceListError::OutOfOrder) }
    }
}

/// The price that lists give a SKU: of a list for the customer's group before one for everyone, and
/// the lowest of several, so that the order of lists never matters.
pub(crate) fn listed_price<'a>(
    lists: impl Iterator<Item = &'a PriceList>,
    sku: &SkuCode,
    for_whom: (Currency, Option<&CustomerGroup>, Timestamp),
) -> Option<Money> {
    let (currency, group, at) = for_whom;
    let (mut for_everyone, mut for_group): (Option<Money>, Option<Money>) = (None, None);
    for list in lists {
        if list.currency != currency || !list.validity.holds_at(at) {
            continue;
        }
        let best = match &list.audience {
            Audience::Everyone => &mut for_everyone,
            Audience::Group(theirs) if group == Some(theirs) => &mut for_group,
            Audience::Group(_) => continue,
        };
        if let Some(price) = list.price_of(sku)
            && best.is_none_or(|best| price.minor < best.minor)
        {
            *best = Some(price);
        }
    }
    for_group.or(for_everyone)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(micros: u64) -> Timestamp {
        Timestamp::from_micros(micros)
    }

    fn list(
        audience: Audience,
        when: (Option<u64>, Option<u64>),
        prices: &[(&str, i64)],
    ) -> Result<PriceList, PriceListError> {
        let validity = Validity::new(when.0.map(at), when.1.map(at)).unwrap();
        let terms = ListTerms {
            id: "list".parse().unwrap(),
            name: Label::try_from("A list".to_owned()).unwrap(),
            currency: Currency::EURO,
            audience,
            validity,
        };
        let price = |(sku, minor): &(&str, i64)| (sku.parse().unwrap(), *minor);
        PriceList::new(terms, prices.iter().map(price).collect())
    }

    fn group(name: &str) -> CustomerGroup {
        name.parse().unwrap()
    }

    #[track_caller]
    fn check(lists: &[PriceList], who: Option<&str>, when: u64, then: Option<i64>) {
        let who = who.map(group);
        let tea = "tea".parse().unwrap();
        for code in ["EUR", "USD"] {
            let for_whom = (code.parse().unwrap(), who.as_ref(), at(when));
            let found = listed_price(lists.iter(), &tea, for_whom).map(|price| price.minor);
            assert_eq!(found, then.filter(|_| code == "EUR"));
            let found = listed_price(lists.iter().rev(), &tea, for_whom).map(|price| price.minor);
            assert_eq!(found, then.filter(|_| code == "EUR"));
        }
    }

    #[test]
    fn the_lists_of_a_group_go_before_those_for_everyone_and_the_lowest_price_counts() {
        let wholesale = || Audience::Group(group("wholesale"));
        let lists = [
            list(Audience::Everyone, (None, None), &[("tea", 400), ("cup", 1)]).unwrap(),
            list(Audience::Everyone, (Some(10), Some(20)), &[("tea", 300)]).unwrap(),
            list(wholesale(), (None, None), &[("tea", 350)]).unwrap(),
            list(wholesale(), (Some(20), None), &[("tea", 360)]).unwrap(),
            list(wholesale(), (None, Some(10)), &[("tea", 340)]).unwrap(),
            list(Audience::Group(group("staff")), (None, None), &[("cup", 9)]).unwrap(),
        ];
        check(&lists, None, 9, Some(400));
        check(&lists, None, 10, Some(300));
        check(&lists, None, 19, Some(300));
        check(&lists, None, 20, Some(400));
        check(&lists, Some("wholesale"), 9, Some(340));
        check(&lists, Some("wholesale"), 10, Some(350));
        check(&lists, Some("staff"), 10, Some(300));
        check(&lists[5..], None, 10, None);
    }

    #[test]
    fn a_list_that_could_not_be_charged_is_refused() {
        let everyone = |prices: &[(&str, i64)]| list(Audience::Everyone, (None, None), prices);
        let sku = || "tea".parse().unwrap();
        for minor in [-1, Prices::PRICE_MAX + 1] {
            let refused = everyone(&[("cup", 1), ("tea", minor)]);
            assert_eq!(refused, Err(PriceListError::PriceOutOfBounds { sku: sku() }));
        }
        let twice = everyone(&[("tea", 1), ("cup", 1), ("tea", 2)]);
        assert_eq!(twice, Err(PriceListError::PricedTwice { sku: sku() }));
        let skus: Vec<_> = (0..=PriceList::LEN_MAX).map(|number| format!("s{number}")).collect();
        let many: Vec<_> = skus.iter().map(|sku| (sku.as_str(), 1)).collect();
        let n_prices = many.len();
        assert_eq!(everyone(&many), Err(PriceListError::TooManyPrices { n_prices }));
        assert_eq!(Validity::new(Some(at(5)), Some(at(5))), Err(InvalidValidity));
    }
}
