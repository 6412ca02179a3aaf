//! From the records of the `catalogue` group to a price book.
//!
//! **Invariants:** a book depends on the records alone, not on how they were dealt out; kinds of
//! entities that prices do not come from are passed over.
//!
//! What a change costs: of listings, pages and discount codes, what [`super::shelf`] says; a change of a category, a
//! rate, a price list, a promotion, a shipping option or a seller copies the pointers of all of its kind.

use std::any::Any;
use std::collections::BTreeMap;
use std::str::FromStr;
use std::sync::Arc;

use cluster::catalogue::{CatalogueReader, ChangedRecord};
use cluster::entity::{Catalogue, DecodeError, Entity};
use cluster::ids::{EntityKey, EntityKind};

use super::{Listing, PriceBook};
use crate::domain::category::Category;
use crate::domain::discount_code::DiscountCode;
use crate::domain::entry::{Content, Entry};
use crate::domain::location::StockLocation;
use crate::domain::money::Currency;
use crate::domain::page::{Page, ProductPage};
use crate::domain::price_list::PriceList;
use crate::domain::product::Product;
use crate::domain::promotion::Promotion;
use crate::domain::seller::Seller;
use crate::domain::shipping::ShippingOption;
use crate::domain::shop::Shop;
use crate::domain::tax::TaxRate;

/// Reads price books.
#[derive(Clone, Copy, Debug, Default)]
pub struct BookReader;

impl CatalogueReader for BookReader {
    fn read(
        &self,
        before: Option<&Catalogue>,
        changed: &[ChangedRecord],
    ) -> Result<Arc<dyn Any + Send + Sync>, DecodeError> {
        let empty = PriceBook::empty();
        let before = before.and_then(|catalogue| catalogue.content()).unwrap_or(&empty);
        let mut changes = Changes::default();
        for ChangedRecord { entity, state } in changed {
            if let EntityKey::Name(name) = &entity.key {
                changes.add(entity.kind, name, state)?;
            }
        }
        Ok(Arc::new(changes.applied_to(before)))
    }
}

/// What changed, by name; where there is none, it is removed.
#[derive(Default)]
struct Changes<'a> {
    default_currency: Option<Currency>,
    listings: BTreeMap<&'a str, Option<Arc<Listing>>>,
    pages: BTreeMap<&'a str, Option<Arc<Page>>>,
    categories: BTreeMap<&'a str, Option<Arc<Category>>>,
    sellers: BTreeMap<&'a str, Option<Arc<Seller>>>,
    tax_rates: BTreeMap<&'a str, Option<Arc<TaxRate>>>,
    price_lists: BTreeMap<&'a str, Option<Arc<PriceList>>>,
    shipping_options: BTreeMap<&'a str, Option<Arc<ShippingOption>>>,
    promotions: BTreeMap<&'a str, Option<Arc<Promotion>>>,
    discount_codes: BTreeMap<&'a str, Option<Arc<DiscountCode>>>,
    stock_locations: BTreeMap<&'a str, Option<Arc<StockLocation>>>,
}

impl<'a> Changes<'a> {
    fn add(&mut self, kind: EntityKind, name: &'a str, state: &[u8]) -> Result<(), DecodeError> {
        match kind {
            Product::KIND => {
                let Product { listing } = Product::from_record(state)?;
                self.listings.insert(name, listing.map(Arc::new));
            }
            ProductPage::KIND => {
                let ProductPage { page } = ProductPage::from_record(state)?;
                self.pages.insert(name, page.map(Arc::new));
            }
            Shop::KIND => {
                let chosen = Shop::from_record(state)?.default_currency;
                self.default_currency = chosen.or(self.default_currency);
            }
            Category::KIND => drop(self.categories.insert(name, content(state)?)),
            Seller::KIND => drop(self.sellers.insert(name, content(state)?)),
            TaxRate::KIND => drop(self.tax_rates.insert(name, content(state)?)),
            PriceList::KIND => drop(self.price_lists.insert(name, content(state)?)),
            ShippingOption::KIND => drop(self.shipping_options.insert(name, content(state)?)),
            Promotion::KIND => drop(self.promotions.insert(name, content(state)?)),
            DiscountCode::KIND => drop(self.discount_codes.insert(name, content(state)?)),
            StockLocation::KIND => drop(self.stock_locations.insert(name, content(state)?)),
            // The fabric keeps the kinds of this program only, and these have no prices.
            _ => {}
        }
        Ok(())
    }

    /// Parts without a change are shared with the book before. The small ones are made anew when
    /// something in them changed.
    fn applied_to(self, before: &PriceBook) -> PriceBook {
        let mut book = before.clone();
        book.default_currency = self.default_currency.unwrap_or(book.default_currency);
        book.listings = book.listings.with(self.listings);
        book.pages = book.pages.with(self.pages);
        book.discount_codes = book.discount_codes.with(self.discount_codes);
        if !self.categories.is_empty() {
            let ids = book.categories.iter().map(|it| (it.id.clone(), Arc::clone(it)));
            let mut by_id: BTreeMap<_, _> = ids.collect();
            replace(&mut by_id, self.categories, |category| category.id.clone());
            book.categories = Arc::new(by_id.into_values().collect());
        }
        if !self.promotions.is_empty() {
            let ids = book.promotions.iter().map(|it| (it.id.clone(), Arc::clone(it)));
            let mut by_id: BTreeMap<_, _> = ids.collect();
            replace(&mut by_id, self.promotions, |promotion| promotion.id.clone());
            book.promotions = Arc::new(by_id.into_values().collect());
        }
        if !self.tax_rates.is_empty() {
            let rates = Arc::make_mut(&mut book.tax_rates);
            for (id, rate) in self.tax_rates {
                match (rate, id.parse()) {
                    (Some(rate), _) => rates.set(Arc::unwrap_or_clone(rate)),
                    (None, Ok(id)) => rates.remove(&id),
                    // A rate whose key is no id was never written.
                    (None, Err(_)) => {}
                }
            }
        }
        change(&mut book.sellers, self.sellers, |seller| seller.id.clone());
        change(&mut book.price_lists, self.price_lists, |list| list.id().clone());
        change(&mut book.shipping_options, self.shipping_options, |option| option.id.clone());
        change(&mut book.stock_locations, self.stock_locations, |location| location.id.clone());
        book
    }
}

fn content<T: Content>(state: &[u8]) -> Result<Option<Arc<T>>, DecodeError> {
    Ok(Entry::<T>::from_record(state)?.content.map(Arc::new))
}

/// [`replace`] in a part of a book, if there is anything to replace.
fn change<I: Ord + Clone + FromStr, T>(
    part: &mut Arc<BTreeMap<I, Arc<T>>>,
    changed: BTreeMap<&str, Option<Arc<T>>>,
    id_of: impl Fn(&T) -> I,
) {
    if !changed.is_empty() {
        replace(Arc::make_mut(part), changed, id_of);
    }
}

fn replace<I: Ord + FromStr, T>(
    by_id: &mut BTreeMap<I, Arc<T>>,
    changed: BTreeMap<&str, Option<Arc<T>>>,
    id_of: impl Fn(&T) -> I,
) {
    for (name, thing) in changed {
        match (thing, name.parse()) {
            (Some(thing), _) => drop(by_id.insert(id_of(&thing), thing)),
            (None, Ok(id)) => drop(by_id.remove(&id)),
            // What has a key that is no id was never written.
            (None, Err(_)) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use cluster::ids::EntityRef;
    use proptest::prelude::*;

    use super::*;
    use crate::domain::catalogue::ProductName;
    use crate::domain::money::Money;
    use crate::domain::names::{Label, TaxClass};
    use crate::domain::page::{self, Status, Visibility};
    use crate::domain::seller::Standing;
    use crate::domain::tax::{AppliedRate, Destination, Inclusion, TaxRateId};
    use crate::domain::translations::Translations;

    fn listing(sku: &str, minor: i64) -> Listing {
        let name = ProductName::try_from(format!("The {sku}")).unwrap();
        let price = Money { minor, currency: Currency::EURO };
        Listing::new(sku.parse().unwrap(), name, vec![price]).unwrap()
    }

    fn product(sku: &str, minor: Option<i64>) -> ChangedRecord {
        let entity = EntityRef { kind: Product::KIND, key: EntityKey::Name(sku.into()) };
        let listing = minor.map(|minor| listing(sku, minor));
        ChangedRecord { entity, state: Product { listing }.to_record() }
    }

    fn shop(code: &str) -> ChangedRecord {
        let entity = EntityRef { kind: Shop::KIND, key: Shop::key() };
        let default_currency = Some(code.parse().unwrap());
        ChangedRecord { entity, state: Shop { default_currency }.to_record() }
    }

    fn read(before: Option<&Catalogue>, changed: &[ChangedRecord]) -> Catalogue {
        Catalogue { index: 1, content: BookReader.read(before, changed).unwrap() }
    }

    fn book(catalogue: &Catalogue) -> &PriceBook {
        catalogue.content().unwrap()
    }

    #[test]
    fn a_book_has_what_is_listed_and_not_what_was_withdrawn() {
        let first =
            read(None, &[product("tea", Some(450)), product("cup", Some(700)), shop("JPY")]);
        assert_eq!(book(&first).default_currency().as_str(), "JPY");
        let changed = [product("cup", None), product("tea", Some(500)), product("pot", Some(9))];
        let second = read(Some(&first), &changed);
        let yen = "JPY".parse().unwrap();
        let expected = PriceBook::new(yen, vec![listing("tea", 500), listing("pot", 9)]).unwrap();
        assert_eq!(book(&second), &expected);
        assert_eq!(book(&first).listings().len(), 2, "a book never changes");
    }

    #[test]
    fn without_records_nothing_is_for_sale() {
        assert_eq!(book(&read(None, &[])), &PriceBook::empty());
    }

    #[test]
    fn a_record_that_cannot_be_read_is_an_error() {
        let mut damaged = product("tea", Some(450));
        damaged.state.pop();
        assert!(BookReader.read(None, &[damaged]).is_err());
    }

    fn entry<T: Content>(name: &str, content: Option<T>) -> ChangedRecord {
        let entity = EntityRef { kind: T::KIND, key: EntityKey::Name(name.into()) };
        ChangedRecord { entity, state: Entry { content }.to_record() }
    }

    fn label(text: &str) -> Label {
        Label::try_from(text.to_owned()).unwrap()
    }

    fn category(id: &str, parent: Option<&str>) -> Category {
        let parent = parent.map(|parent| parent.parse().unwrap());
        let (id, name, translations) = (id.parse().unwrap(), label(id), Translations::default());
        Category { id, name, parent, position: 0, translations }
    }

    fn seller(standing: Standing) -> Seller {
        Seller { id: "ann".parse().unwrap(), name: label("Ann"), standing }
    }

    fn page(status: Status) -> ChangedRecord {
        let page = Page::new(page::Content {
            slug: "teas".parse().unwrap(),
            title: label("Teas"),
            description: None,
            attributes: vec![],
            media: vec![],
            categories: vec![],
            seller: Some("ann".parse().unwrap()),
            status,
            visibility: Visibility::Listed,
            translations: Translations::default(),
            variants: vec!["tea".parse().unwrap(), "cup".parse().unwrap()],
        });
        let entity = EntityRef { kind: ProductPage::KIND, key: EntityKey::Name("teas".into()) };
        ChangedRecord { entity, state: ProductPage { page: page.ok() }.to_record() }
    }

    #[test]
    fn what_is_on_a_page_is_for_sale_while_the_page_is_open() {
        let slug = "teas".parse().unwrap();
        let tea = listing("tea", 450).on_page(Some("teas".parse().unwrap()));
        let entity = EntityRef { kind: Product::KIND, key: EntityKey::Name("tea".into()) };
        let tea = ChangedRecord { entity, state: Product { listing: Some(tea) }.to_record() };
        let ann = |standing| entry("ann", Some(seller(standing)));
        let first = read(None, &[page(Status::Active), tea, product("cup", Some(700))]);
        let is_sold = |catalogue: &Catalogue| {
            let tea = book(catalogue).listing(&"tea".parse().unwrap()).is_some();
            assert_eq!(book(catalogue).page(&slug).is_some(), tea);
            assert_eq!(book(catalogue).listed_pages(None).next().is_some(), tea);
            tea
        };
        assert!(is_sold(&first));
        let teas = book(&first).any_page(&slug).unwrap();
        let variants: Vec<_> = book(&first).variants(teas).map(Listing::sku).collect();
        assert_eq!(variants, [&"tea".parse().unwrap()], "the cup is on no page");
        for status in [Status::Draft, Status::Archived] {
            assert!(!is_sold(&read(Some(&first), &[page(status)])));
        }
        assert!(is_sold(&read(Some(&first), &[ann(Standing::Active)])));
        let suspended = read(Some(&first), &[ann(Standing::Suspended)]);
        assert!(!is_sold(&suspended));
        assert!(is_sold(&read(Some(&suspended), &[entry::<Seller>("ann", None)])));
        let cup = "cup".parse().unwrap();
        assert!(book(&suspended).listing(&cup).is_some(), "it is on no page");
    }

    #[test]
    fn what_is_removed_is_in_no_book() {
        let place = Destination { country: "DE".parse().unwrap(), region: None };
        let id = TaxRateId { place: place.clone(), class: TaxClass::standard() };
        let percent = 190_000.try_into().unwrap();
        let applied = AppliedRate { percent, inclusion: Inclusion::Inclusive };
        let rate = TaxRate { id: id.clone(), applied };
        let parts = [
            entry(&id.to_string(), Some(rate)),
            entry("tea", Some(category("tea", None))),
            entry("ann", Some(seller(Standing::Active))),
        ];
        let first = read(None, &parts);
        assert_eq!(book(&first).tax_rates().applied(&id.class, &place), Some(applied));
        assert_eq!(book(&first).categories().iter().len(), 1);
        assert_eq!(book(&first).sellers().len(), 1);
        let gone = [
            entry::<TaxRate>(&id.to_string(), None),
            entry::<Category>("tea", None),
            entry::<Seller>("ann", None),
        ];
        assert_eq!(book(&read(Some(&first), &gone)), &PriceBook::empty());
    }

    proptest! {
        #[test]
        fn a_tree_does_not_depend_on_how_records_are_dealt_out(
            changes in prop::collection::vec((0..8_u8, prop::option::of(0..8_u8)), 0..30),
            cut in any::<prop::sample::Index>(),
        ) {
            let record = |(id, parent): &(u8, Option<u8>)| {
                let parent = parent.map(|parent| format!("c{parent}"));
                let id = format!("c{id}");
                entry(&id, Some(category(&id, parent.as_deref())))
            };
            let records: Vec<_> = changes.iter().map(record).collect();
            let (first, second) = records.split_at(cut.index(records.len() + 1));
            let at_once = read(None, &records);
            let in_two = read(Some(&read(None, first)), second);
            prop_assert_eq!(book(&at_once), book(&in_two));
        }

        #[test]
        fn a_book_does_not_depend_on_how_records_are_dealt_out(
            changes in prop::collection::vec((0..8_u8, prop::option::of(1..99_i64)), 0..40),
            cut in any::<prop::sample::Index>(),
        ) {
            let record = |(sku, minor): &(u8, Option<i64>)| product(&format!("s{sku}"), *minor);
            let records: Vec<_> = changes.iter().map(record).collect();
            let (first, second) = records.split_at(cut.index(records.len() + 1));
            let at_once = read(None, &records);
            let in_two = read(Some(&read(None, first)), second);
            prop_assert_eq!(book(&at_once), book(&in_two));
            let skus: Vec<_> = book(&at_once).listings().map(|listing| listing.sku()).collect();
            prop_assert!(skus.is_sorted());
        }
    }
}
