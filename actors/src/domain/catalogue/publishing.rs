//! What a catalogue lacks of a book, as steps that make it so.
//!
//! **Invariants:** the steps are the difference and nothing more, so none are left once they were
//! taken, whoever took them. A SKU that is on a page that the book does not have is that page's
//! affair: it is neither replaced nor withdrawn. Pages, categories, sellers, rates, price lists and
//! shipping options that the book does not have stay: merchants make those one by one.

use std::cmp::Ordering;
use std::sync::Arc;

use super::{Listing, PriceBook};
use crate::domain::category::Category;
use crate::domain::ids::SkuCode;
use crate::domain::money::Currency;
use crate::domain::page::Page;
use crate::domain::price_list::PriceList;
use crate::domain::seller::Seller;
use crate::domain::shipping::ShippingOption;
use crate::domain::tax::TaxRate;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    List(Arc<Listing>),
    Withdraw(SkuCode),
    SetDefaultCurrency(Currency),
    PutCategory(Arc<Category>),
    PutSeller(Arc<Seller>),
    PutTaxRate(TaxRate),
    PutPriceList(Arc<PriceList>),
    PutShippingOption(Arc<ShippingOption>),
    PutPage { page: Arc<Page>, variants: Vec<Listing> },
}

/// The steps from one book to another, in rounds: the steps of a round may be taken at once, and
/// rest on those of the rounds before.
pub fn rounds(from: &PriceBook, to: &PriceBook) -> Vec<Vec<Step>> {
    let mut first = listing_steps(from, to);
    first.extend(entry_steps(from, to));
    first.extend(page_steps(from, to));
    let mut rounds = vec![first];
    for category in to.categories().iter() {
        if from.categories().category(&category.id) == Some(category) {
            continue;
        }
        let n_above = to.categories().path(&category.id).skip(1).count();
        rounds.resize(rounds.len().max(n_above + 1), Vec::new());
        if let Some(round) = rounds.get_mut(n_above) {
            round.push(Step::PutCategory(Arc::clone(category)));
        }
    }
    // Nothing is sold for somebody who is suspended, not even for a moment.
    rounds.insert(0, seller_steps(from, to));
    rounds.retain(|round| !round.is_empty());
    rounds
}

fn seller_steps(from: &PriceBook, to: &PriceBook) -> Vec<Step> {
    let sellers = to.sellers().filter(|seller| from.sellers.get(&seller.id) != Some(seller));
    sellers.cloned().map(Step::PutSeller).collect()
}

/// The currency, and in order of SKU what is on no page.
fn listing_steps(from: &PriceBook, to: &PriceBook) -> Vec<Step> {
    let mut steps = Vec::new();
    if from.default_currency != to.default_currency {
        steps.push(Step::SetDefaultCurrency(to.default_currency));
    }
    let is_on_page = |book: &PriceBook, listing: &Listing| {
        book.any_listing(listing.sku()).is_some_and(|it| it.page().is_some())
    };
    let on_none = |listing: &&Arc<Listing>| !is_on_page(from, listing) && !is_on_page(to, listing);
    let mut old = from.listings().filter(on_none).peekable();
    let mut new = to.listings().filter(on_none).peekable();
    loop {
        let order = match (old.peek(), new.peek()) {
            (Some(old), Some(new)) => old.sku().cmp(new.sku()),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => return steps,
        };
        match order {
            Ordering::Less => steps.extend(old.next().map(|l| Step::Withdraw(l.sku().clone()))),
            Ordering::Greater => steps.extend(new.next().cloned().map(Step::List)),
            Ordering::Equal => {
                let replaced = old.next() != new.peek().copied();
                steps.extend(new.next().filter(|_| replaced).cloned().map(Step::List));
            }
        }
    }
}

fn entry_steps(from: &PriceBook, to: &PriceBook) -> Vec<Step> {
    let rates = to.tax_rates().iter().filter(|rate| !from.tax_rates().iter().any(|it| it == *rate));
    let rates = rates.map(|(id, applied)| Step::PutTaxRate(TaxRate { id: id.clone(), applied }));
    let lists = to.price_lists().filter(|list| from.price_lists.get(list.id()) != Some(list));
    let lists = lists.cloned().map(Step::PutPriceList);
    let options = to.shipping_options();
    let options = options.filter(|it| from.shipping_options.get(&it.id) != Some(it));
    rates.chain(lists).chain(options.cloned().map(Step::PutShippingOption)).collect()
}

/// A page whose SKUs are on other pages by now is left as it is, or publishing would never end.
fn page_steps(from: &PriceBook, to: &PriceBook) -> Vec<Step> {
    let mut steps = Vec::new();
    for page in to.pages.iter() {
        let is_elsewhere = |sku: &SkuCode| {
            let there = from.any_listing(sku).and_then(Listing::page);
            there.is_some_and(|there| *there != page.slug)
        };
        let is_same = |listing: &Listing| from.any_listing(listing.sku()) == Some(listing);
        let is_there = from.any_page(&page.slug) == Some(page);
        if page.variants.iter().any(is_elsewhere) || is_there && to.variants(page).all(is_same) {
            continue;
        }
        let variants = to.variants(page).cloned().collect();
        steps.push(Step::PutPage { page: Arc::clone(page), variants });
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::catalogue::ProductName;
    use crate::domain::money::Money;
    use crate::domain::names::Label;
    use crate::domain::page;
    use crate::domain::seller::Standing;
    use crate::domain::tax::{AppliedRate, Inclusion};
    use crate::domain::translations::Translations;

    fn listing(sku: &str, minor: i64) -> Listing {
        let name = ProductName::try_from("Tea".to_owned()).unwrap();
        let price = Money { minor, currency: Currency::EURO };
        Listing::new(sku.parse().unwrap(), name, vec![price]).unwrap()
    }

    fn book(currency: &str, listings: &[(&str, i64)]) -> PriceBook {
        let listings = listings.iter().map(|(sku, minor)| listing(sku, *minor)).collect();
        PriceBook::new(currency.parse().unwrap(), listings).unwrap()
    }

    fn steps(from: &PriceBook, to: &PriceBook) -> Vec<Step> {
        rounds(from, to).concat()
    }

    #[test]
    fn only_what_differs_is_a_step() {
        let from = book("EUR", &[("a", 1), ("c", 3), ("d", 4), ("f", 6)]);
        let to = book("JPY", &[("b", 2), ("c", 3), ("d", 5), ("e", 9)]);
        let list = |sku, minor| Step::List(Arc::new(listing(sku, minor)));
        let withdraw = |sku: &str| Step::Withdraw(sku.parse().unwrap());
        let expected = [
            Step::SetDefaultCurrency("JPY".parse().unwrap()),
            withdraw("a"),
            list("b", 2),
            list("d", 5),
            list("e", 9),
            withdraw("f"),
        ];
        assert_eq!(steps(&from, &to), expected);
    }

    #[test]
    fn what_is_on_a_page_stays_as_it_is() {
        let on_page = listing("b", 7).on_page(Some("teas".parse().unwrap()));
        let from = PriceBook::new(Currency::EURO, vec![listing("a", 1), on_page]).unwrap();
        assert_eq!(steps(&from, &book("EUR", &[("a", 1)])), []);
        assert_eq!(steps(&from, &book("EUR", &[("a", 1), ("b", 2)])), []);
    }

    #[test]
    fn equal_books_take_no_step() {
        let book = book("EUR", &[("a", 1), ("b", 2)]);
        assert_eq!(steps(&book, &book.clone()), []);
        assert_eq!(steps(&PriceBook::empty(), &PriceBook::empty()), []);
    }

    fn page(slug: &str, title: &str, variants: &[&str]) -> Page {
        Page::new(page::Content {
            slug: slug.parse().unwrap(),
            title: label(title),
            description: None,
            attributes: vec![],
            media: vec![],
            categories: vec![],
            seller: None,
            status: page::Status::Active,
            visibility: page::Visibility::Listed,
            translations: Translations::default(),
            variants: variants.iter().map(|sku| sku.parse().unwrap()).collect(),
        })
        .unwrap()
    }

    fn label(text: &str) -> Label {
        Label::try_from(text.to_owned()).unwrap()
    }

    fn shown(sku: &str, minor: i64, slug: &str) -> Listing {
        listing(sku, minor).on_page(Some(slug.parse().unwrap()))
    }

    fn paged(listings: Vec<Listing>, pages: Vec<Page>) -> PriceBook {
        PriceBook::new(Currency::EURO, listings).unwrap().with_pages(pages)
    }

    /// Which pages are put, with the SKUs that go there.
    fn put(from: &PriceBook, to: &PriceBook) -> Vec<(String, Vec<String>)> {
        let put = |step| {
            let Step::PutPage { page, variants } = step else { panic!("{step:?}") };
            let skus = variants.iter().map(|listing| listing.sku().to_string()).collect();
            (page.slug.to_string(), skus)
        };
        steps(from, to).into_iter().map(put).collect()
    }

    #[test]
    fn a_page_of_the_book_is_put_with_what_it_shows_where_either_differs() {
        let to = paged(vec![shown("a", 1, "teas")], vec![page("teas", "Teas", &["a"])]);
        let expected = [("teas".to_owned(), vec!["a".to_owned()])];
        assert_eq!(put(&PriceBook::empty(), &to), expected);
        assert_eq!(put(&book("EUR", &[("a", 1)]), &to), expected, "listed, but on no page yet");
        let dearer = paged(vec![shown("a", 2, "teas")], vec![page("teas", "Teas", &["a"])]);
        assert_eq!(put(&dearer, &to), expected);
        let renamed = paged(vec![shown("a", 1, "teas")], vec![page("teas", "Tea", &["a"])]);
        assert_eq!(put(&renamed, &to), expected);
        assert_eq!(put(&to, &to.clone()), []);
        assert_eq!(put(&to, &book("EUR", &[])), [], "what the book does not have stays");
    }

    #[test]
    fn a_page_whose_sku_went_to_another_is_left_as_it_is() {
        let to = paged(vec![shown("a", 1, "teas")], vec![page("teas", "Teas", &["a"])]);
        let moved = paged(vec![shown("a", 1, "sale")], vec![page("sale", "Sale", &["a"])]);
        assert_eq!(put(&moved, &to), []);
    }

    #[test]
    fn categories_come_round_by_round_below_their_parents() {
        let category = |id: &str, parent: Option<&str>| Category {
            id: id.parse().unwrap(),
            name: label(id),
            parent: parent.map(|parent| parent.parse().unwrap()),
            position: 0,
            translations: Translations::default(),
        };
        let all = [("a", Some("b")), ("b", Some("c")), ("c", None), ("d", Some("c"))];
        let of = |rounds: Vec<Vec<Step>>| {
            let id = |step: &Step| {
                let Step::PutCategory(category) = step else { panic!("{step:?}") };
                category.id.to_string()
            };
            rounds.iter().map(|round| round.iter().map(id).collect()).collect::<Vec<Vec<_>>>()
        };
        let to = PriceBook::empty().with_categories(all.map(|(id, parent)| category(id, parent)));
        assert_eq!(of(rounds(&PriceBook::empty(), &to)), [vec!["c"], vec!["b", "d"], vec!["a"]]);
        let from = PriceBook::empty().with_categories([
            category("c", None),
            category("d", None),
            category("z", None),
        ]);
        assert_eq!(of(rounds(&from, &to)), [vec!["b", "d"], vec!["a"]]);
        assert_eq!(of(rounds(&to, &to.clone())), Vec::<Vec<&str>>::new());
    }

    #[test]
    fn sellers_that_differ_are_put_before_anything_of_theirs_and_others_stay() {
        let seller =
            |id: &str, standing| Seller { id: id.parse().unwrap(), name: label(id), standing };
        let (active, suspended) = (Standing::Active, Standing::Suspended);
        let from = PriceBook::empty().with_sellers([
            seller("ann", active),
            seller("bob", active),
            seller("eve", active),
        ]);
        let to = paged(vec![shown("a", 1, "teas")], vec![page("teas", "Teas", &["a"])]);
        let to = to.with_sellers([
            seller("ann", active),
            seller("bob", suspended),
            seller("cid", active),
        ]);
        let put = |id, standing| Step::PutSeller(Arc::new(seller(id, standing)));
        let rounds = rounds(&from, &to);
        assert_eq!(rounds[0], [put("bob", suspended), put("cid", active)]);
        assert!(matches!(rounds[1].last(), Some(Step::PutPage { .. })), "{rounds:?}");
        assert_eq!(steps(&to, &to.clone()), []);
    }

    #[test]
    fn rates_lists_and_options_that_differ_are_put_and_others_stay() {
        let rate = |country: &str, millionths: u32| TaxRate {
            id: format!("{country}.standard").parse().unwrap(),
            applied: AppliedRate {
                percent: millionths.try_into().unwrap(),
                inclusion: Inclusion::Inclusive,
            },
        };
        let from = PriceBook::empty().with_tax_rates([rate("DE", 1), rate("FR", 2), rate("JP", 3)]);
        let to = PriceBook::empty().with_tax_rates([rate("DE", 1), rate("FR", 9), rate("US", 4)]);
        let expected = [rate("FR", 9), rate("US", 4)].map(Step::PutTaxRate);
        assert_eq!(steps(&from, &to), expected);
    }
}
