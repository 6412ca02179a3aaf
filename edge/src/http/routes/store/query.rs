//! The query string of the list of products.
//!
//! **Invariants:** a parameter that is not known, or comes twice, is refused.

use std::fmt;
use std::str::FromStr;

use actors::domain::names::{CategoryId, Slug};
use actors::domain::prices::Prices;
use actors::{Currency, PageLimit};
use axum::http::Uri;

use crate::http::error::ApiError;
use crate::http::fields::Faults;
use crate::http::query::Values;

const WORDS_BYTES_MAX: usize = 200;

/// Which products a shopper wants to see, and how.
pub(super) struct Wanted {
    /// In small letters; a title has to have all of them.
    pub(super) words: Vec<String>,
    pub(super) category: Option<CategoryId>,
    pub(super) currency: Option<Currency>,
    pub(super) price_min: Option<i64>,
    pub(super) price_max: Option<i64>,
    pub(super) sort: Sort,
    pub(super) limit: PageLimit,
    pub(super) after: Option<Cursor>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sort {
    Slug,
    PriceUp,
    PriceDown,
}

/// The last product of a page: its price, where that is the order, and its slug.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cursor {
    pub(super) price: i64,
    pub(super) slug: Slug,
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}_{}", self.price, self.slug)
    }
}

pub(super) struct InvalidCursor;

impl FromStr for Cursor {
    type Err = InvalidCursor;

    fn from_str(text: &str) -> Result<Self, InvalidCursor> {
        let (price, slug) = text.split_once('_').ok_or(InvalidCursor)?;
        let price = price.parse().ok().filter(|price| (0..=Prices::PRICE_MAX).contains(price));
        let slug = slug.parse().map_err(|_| InvalidCursor)?;
        Ok(Self { price: price.ok_or(InvalidCursor)?, slug })
    }
}

impl Wanted {
    pub(super) fn of(uri: &Uri) -> Result<Self, ApiError> {
        let known =
            ["q", "category", "currency", "price_min", "price_max", "sort", "limit", "after"];
        let mut faults = Faults::default();
        let values = Values::of(uri, &known, &mut faults);
        let takes = "must be 200 bytes of text at most, escaped as in a URL";
        let words = values.read("q", takes, words, &mut faults).unwrap_or_default();
        let category = values.parsed("category", "must be a category", &mut faults);
        let currency = values.parsed("currency", "must be three capital letters", &mut faults);
        let mut price = |name| {
            let price = values.parsed(name, "must be an amount in minor units", &mut faults);
            price.map(|amount: u32| i64::from(amount))
        };
        let (price_min, price_max) = (price("price_min"), price("price_max"));
        let sort = values.parsed("sort", "must be slug, price or -price", &mut faults);
        let limit = values.limit(&mut faults);
        let after = values.parsed("after", "must be a next_cursor of this list", &mut faults);
        let sort = sort.unwrap_or(Sort::Slug);
        let wanted = limit.map(|limit| Self {
            words,
            category,
            currency,
            price_min,
            price_max,
            sort,
            limit,
            after,
        });
        faults.into_result(wanted)
    }

    /// Of one product only the currency can be chosen.
    pub(super) fn currency_of(uri: &Uri) -> Result<Option<Currency>, ApiError> {
        let mut faults = Faults::default();
        let values = Values::of(uri, &["currency"], &mut faults);
        let currency = values.parsed("currency", "must be three capital letters", &mut faults);
        faults.into_result(Some(currency))
    }
}

impl FromStr for Sort {
    type Err = InvalidCursor;

    fn from_str(text: &str) -> Result<Self, InvalidCursor> {
        match text {
            "slug" => Ok(Self::Slug),
            "price" => Ok(Self::PriceUp),
            "-price" => Ok(Self::PriceDown),
            _ => Err(InvalidCursor),
        }
    }
}

fn words(text: &str) -> Option<Vec<String>> {
    let fits = text.len() <= WORDS_BYTES_MAX;
    fits.then(|| text.to_lowercase().split_whitespace().map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(query: &str) -> Result<Wanted, ApiError> {
        Wanted::of(&format!("/store/v1/products{query}").parse().unwrap())
    }

    #[test]
    fn words_and_bounds_are_read() {
        let found = wanted("?q=Gr%C3%BCner+TEE&category=tea&price_min=5&sort=-price&after=7_x_y");
        let found = found.unwrap();
        assert_eq!(found.words, ["grüner", "tee"]);
        assert_eq!((found.price_min, found.price_max), (Some(5), None));
        assert_eq!((found.sort, found.limit.get()), (Sort::PriceDown, 20));
        let cursor = found.after.unwrap();
        assert_eq!((cursor.price, cursor.slug.as_str()), (7, "x_y"));
        assert_eq!(cursor.to_string(), "7_x_y");
    }

    #[test]
    fn anything_else_is_refused() {
        for bad in [
            "?x=1",
            "?q=a&q=b",
            "?q=%zz",
            "?q=%ff",
            "?limit=0",
            "?limit=101",
            "?price_min=-1",
            "?price_max=1.5",
            "?currency=euro",
            "?sort=title",
            "?after=7",
            "?after=-1_x",
            "?category=a%20b",
        ] {
            assert!(wanted(bad).is_err(), "{bad}");
        }
    }
}
