//! What a catalogue lacks of a book, as steps that make it so.
//!
//! **Invariants:** the steps are the difference and nothing more, so none are left once they were
//! taken, whoever took them. What is on a page is that page's affair: it is neither replaced nor
//! withdrawn.

use std::cmp::Ordering;
use std::sync::Arc;

use super::{Listing, PriceBook};
use crate::domain::ids::SkuCode;
use crate::domain::money::Currency;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    List(Arc<Listing>),
    Withdraw(SkuCode),
    SetDefaultCurrency(Currency),
}

/// The steps from one book to another, in order of SKU.
pub fn steps(from: &PriceBook, to: &PriceBook) -> Vec<Step> {
    let mut steps = Vec::new();
    if from.default_currency != to.default_currency {
        steps.push(Step::SetDefaultCurrency(to.default_currency));
    }
    let is_on_page = |sku: &SkuCode| from.any_listing(sku).is_some_and(|it| it.page().is_some());
    let mut old = from.listings().filter(|listing| listing.page().is_none()).peekable();
    let mut new = to.listings().filter(|listing| !is_on_page(listing.sku())).peekable();
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::catalogue::ProductName;
    use crate::domain::money::Money;

    fn listing(sku: &str, minor: i64) -> Listing {
        let name = ProductName::try_from("Tea".to_owned()).unwrap();
        let price = Money { minor, currency: Currency::EURO };
        Listing::new(sku.parse().unwrap(), name, vec![price]).unwrap()
    }

    fn book(currency: &str, listings: &[(&str, i64)]) -> PriceBook {
        let listings = listings.iter().map(|(sku, minor)| listing(sku, *minor)).collect();
        PriceBook::new(currency.parse().unwrap(), listings).unwrap()
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
}
