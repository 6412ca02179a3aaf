//! From the records of the `catalogue` group to a price book.
//!
//! **Invariants:** a book depends on the records alone, not on how they were dealt out; kinds of
//! entities that prices do not come from are passed over.

use std::any::Any;
use std::collections::BTreeMap;
use std::sync::Arc;

use cluster::catalogue::{CatalogueReader, ChangedRecord};
use cluster::entity::{Catalogue, DecodeError, Entity};
use cluster::ids::EntityKey;

use super::{Listing, PriceBook};
use crate::domain::product::Product;
use crate::domain::shop::Shop;

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
        let mut default_currency = before.default_currency;
        let mut listings = BTreeMap::new();
        for ChangedRecord { entity, state } in changed {
            match (entity.kind, &entity.key) {
                (Product::KIND, EntityKey::Name(sku)) => {
                    let Product { listing } = Product::from_record(state)?;
                    listings.insert(&**sku, listing.map(Arc::new));
                }
                (Shop::KIND, _) => {
                    let chosen = Shop::from_record(state)?.default_currency;
                    default_currency = chosen.unwrap_or(default_currency);
                }
                // The fabric keeps the kinds of this program only, and these have no prices.
                (_, _) => {}
            }
        }
        let listings = merged(before, listings);
        Ok(Arc::new(PriceBook { default_currency, listings, ..before.clone() }))
    }
}

/// The listings of a book after some were replaced, added or, where there is none, removed.
fn merged(
    before: &PriceBook,
    changed: BTreeMap<&str, Option<Arc<Listing>>>,
) -> Box<[Arc<Listing>]> {
    let mut changed = changed.into_iter().peekable();
    let mut merged = Vec::with_capacity(before.listings.len() + changed.len());
    for listing in &before.listings {
        let sku = listing.sku().as_str();
        while let Some((_, new)) = changed.next_if(|(changed, _)| *changed < sku) {
            merged.extend(new);
        }
        match changed.next_if(|(changed, _)| *changed == sku) {
            Some((_, new)) => merged.extend(new),
            None => merged.push(Arc::clone(listing)),
        }
    }
    merged.extend(changed.filter_map(|(_, new)| new));
    merged.into_boxed_slice()
}

#[cfg(test)]
mod tests {
    use cluster::ids::EntityRef;
    use proptest::prelude::*;

    use super::*;
    use crate::domain::catalogue::ProductName;
    use crate::domain::money::{Currency, Money};

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

    proptest! {
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
