//! What shoppers browse: products and categories, from this node's own book.
//!
//! **Invariants:** nothing here asks another node; drafts, archived products and those of suspended
//! sellers are never shown, hidden ones only under their own address; a price is the one that a cart
//! of a shopper without a group would be charged.
//!
//! What a list costs: in order of slug it walks through the book until a page is full; in order of
//! price it looks at every product that is shown. The search of words has an index of its own.

mod query;
mod schema;

use actors::domain::category::Category;
use actors::domain::names::{CategoryId, Slug};
use actors::domain::page::Page;
use actors::domain::pricing::PricingTerms;
use actors::{Currency, Listing, Money, PriceBook};
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use cluster::time::Timestamp;
use query::{Cursor, Sort, Wanted};

use super::books;
use super::entries::documents::{TranslationJson, translations_json};
use super::products::document::{
    AttributeJson, ChoiceJson, MediaJson, attributes_json, choices_json, media_json,
};
use super::products::not_found;
use crate::http::app::{App, now};
use crate::http::error::ApiError;
use crate::http::extract::{PathId, ReadTerms};
use crate::http::render::MoneyJson;
use crate::http::render::inventory::ListJson;
use crate::http::reply::Reply;

/// `GET /store/v1/products`
pub(in crate::http) async fn list(
    State(app): State<App>,
    uri: Uri,
    terms: ReadTerms,
) -> Result<Reply, ApiError> {
    let wanted = Wanted::of(&uri)?;
    let book = books::at(&app, &terms).await?;
    let look = Look::new(book.content()?, wanted.currency);
    let (shown, next) = match wanted.sort {
        Sort::Slug => by_slug(&look, &wanted),
        Sort::PriceUp | Sort::PriceDown => by_price(&look, &wanted),
    };
    let data: Vec<_> = shown.iter().map(|page| look.json(page)).collect();
    Reply::unplaced(StatusCode::OK, &ListJson::new(data, next))
}

fn by_slug<'a>(look: &Look<'a>, wanted: &Wanted) -> (Vec<&'a Page>, Option<Cursor>) {
    let after = wanted.after.as_ref().map(|cursor| &cursor.slug);
    let mut rest = look.book.listed_pages(after).filter(|page| look.matches(page, wanted));
    let shown: Vec<_> = rest.by_ref().take(wanted.limit.get()).collect();
    let last = rest.next().and_then(|_| shown.last());
    let next = last.map(|page| Cursor { price: 0, slug: page.slug.clone() });
    (shown, next)
}

/// Products without a price in the currency are not shown.
fn by_price<'a>(look: &Look<'a>, wanted: &Wanted) -> (Vec<&'a Page>, Option<Cursor>) {
    let matching = look.book.listed_pages(None).filter(|page| look.matches(page, wanted));
    let priced = matching.filter_map(|page| Some((look.lowest(page)?.minor, page)));
    let sign = if wanted.sort == Sort::PriceDown { -1 } else { 1 };
    let mut all: Vec<_> = priced.map(|(minor, page)| (sign * minor, page)).collect();
    all.sort_unstable_by(|left, right| (left.0, &left.1.slug).cmp(&(right.0, &right.1.slug)));
    let is_before = |(price, page): &(i64, &Page)| {
        let after = wanted.after.as_ref();
        after.is_some_and(|after| (*price, &page.slug) <= (sign * after.price, &after.slug))
    };
    let n_before = all.partition_point(is_before);
    let mut rest = all.into_iter().skip(n_before);
    let shown: Vec<_> = rest.by_ref().take(wanted.limit.get()).collect();
    let last = rest.next().and_then(|_| shown.last());
    let next = last.map(|(price, page)| Cursor { price: sign * price, slug: page.slug.clone() });
    (shown.into_iter().map(|(_, page)| page).collect(), next)
}

/// `GET /store/v1/products/{slug}`
pub(in crate::http) async fn show(
    State(app): State<App>,
    PathId(slug): PathId<Slug>,
    uri: Uri,
    terms: ReadTerms,
) -> Result<Reply, ApiError> {
    let currency = Wanted::currency_of(&uri)?;
    let book = books::at(&app, &terms).await?;
    let look = Look::new(book.content()?, currency);
    let page = look.book.page(&slug).ok_or_else(not_found)?;
    Reply::unplaced(StatusCode::OK, &look.json(page))
}

/// `GET /store/v1/categories`
pub(in crate::http) async fn categories(
    State(app): State<App>,
    terms: ReadTerms,
) -> Result<Reply, ApiError> {
    let book = books::at(&app, &terms).await?;
    let book = book.content()?;
    let data = in_order(book).into_iter().map(|category| CategoryJson {
        id: category.id.as_str(),
        name: category.name.as_str(),
        parent: book.categories().parent(&category.id).map(|parent| parent.id.as_str()),
        translations: translations_json(&category.translations),
    });
    let data: Vec<_> = data.collect();
    Reply::unplaced(StatusCode::OK, &ListJson::new(data, None::<String>))
}

/// Every category after its parent, siblings in their order.
fn in_order(book: &PriceBook) -> Vec<&Category> {
    let tree = book.categories();
    let mut open: Vec<&Category> = tree.children(None).collect();
    open.reverse();
    let mut ordered = Vec::new();
    while let Some(category) = open.pop() {
        ordered.push(category);
        let mut below: Vec<_> = tree.children(Some(&category.id)).collect();
        below.reverse();
        open.extend(below);
    }
    ordered
}

/// A book as a shopper sees it.
struct Look<'a> {
    book: &'a PriceBook,
    currency: Currency,
    at: Timestamp,
}

impl<'a> Look<'a> {
    fn new(book: &'a PriceBook, currency: Option<Currency>) -> Self {
        let currency = currency.unwrap_or_else(|| book.default_currency());
        Self { book, currency, at: now() }
    }

    fn matches(&self, page: &Page, wanted: &Wanted) -> bool {
        self.is_in(page, wanted.category.as_ref())
            && wanted.words.iter().all(|word| has_word(page, word))
            && self.is_priced_within(page, wanted)
    }

    /// Whether it is in a category or in one below it.
    fn is_in(&self, page: &Page, category: Option<&CategoryId>) -> bool {
        let Some(wanted) = category else { return true };
        let tree = self.book.categories();
        page.categories.iter().any(|own| tree.path(own).any(|above| above.id == *wanted))
    }

    fn is_priced_within(&self, page: &Page, wanted: &Wanted) -> bool {
        let (min, max) = (wanted.price_min, wanted.price_max);
        if min.is_none() && max.is_none() {
            return true;
        }
        let mut prices = self.book.variants(page).filter_map(|listing| self.price(listing));
        prices.any(|price| {
            min.is_none_or(|min| price.minor >= min) && max.is_none_or(|max| price.minor <= max)
        })
    }

    fn lowest(&self, page: &Page) -> Option<Money> {
        let prices = self.book.variants(page).filter_map(|listing| self.price(listing));
        prices.min_by_key(|price| price.minor)
    }

    fn price(&self, listing: &Listing) -> Option<Money> {
        let terms = PricingTerms {
            currency: self.currency,
            group: None,
            at: self.at,
            destination: None,
            shipping: None,
            codes: &[],
            may_be_first: true,
        };
        self.book.unit_price(&terms, listing.sku()).ok()
    }

    fn json<'p>(&self, page: &'p Page) -> StoreProductJson<'p>
    where
        'a: 'p,
    {
        let variant = |listing: &'p Listing| StoreVariantJson {
            sku: listing.sku().as_str(),
            name: listing.name().as_str(),
            price: self.price(listing).map(MoneyJson),
            options: choices_json(listing),
        };
        let variants: Vec<_> = self.book.variants(page).map(variant).collect();
        let prices = variants.iter().filter_map(|variant| variant.price.as_ref());
        let price_from = prices.map(|price| price.0).min_by_key(|price| price.minor);
        StoreProductJson {
            slug: page.slug.as_str(),
            title: page.title.as_str(),
            description: page.description.as_ref().map(|text| text.as_str()),
            attributes: attributes_json(page),
            media: media_json(page),
            categories: page.categories.iter().map(CategoryId::as_str).collect(),
            seller: page.seller.as_ref().map(|seller| seller.as_str()),
            translations: translations_json(&page.translations),
            price_from: price_from.map(MoneyJson),
            variants,
        }
    }
}

fn has_word(page: &Page, word: &str) -> bool {
    let translated = page.translations.iter().map(|one| one.name.as_str());
    std::iter::once(page.title.as_str())
        .chain(translated)
        .any(|title| title.to_lowercase().contains(word))
}

#[derive(serde::Serialize)]
pub(in crate::http) struct StoreProductJson<'a> {
    slug: &'a str,
    title: &'a str,
    description: Option<&'a str>,
    attributes: Vec<AttributeJson<'a>>,
    media: Vec<MediaJson<'a>>,
    categories: Vec<&'a str>,
    seller: Option<&'a str>,
    translations: Vec<TranslationJson<'a>>,
    /// The lowest of the variants' prices.
    price_from: Option<MoneyJson>,
    variants: Vec<StoreVariantJson<'a>>,
}

#[derive(serde::Serialize)]
struct StoreVariantJson<'a> {
    sku: &'a str,
    name: &'a str,
    /// Without one it is not sold in the currency.
    price: Option<MoneyJson>,
    options: Vec<ChoiceJson<'a>>,
}

#[derive(serde::Serialize)]
pub(in crate::http) struct CategoryJson<'a> {
    id: &'a str,
    name: &'a str,
    parent: Option<&'a str>,
    translations: Vec<TranslationJson<'a>>,
}
