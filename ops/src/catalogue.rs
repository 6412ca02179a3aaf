//! Products for sale and what goes with them, from a JSON file to a price book.
//!
//! ```json
//! {"default_currency": "EUR", "products": [
//!   {"sku": "tea-oolong-100", "name": "Oolong, 100 g", "prices": {"EUR": 890}}]}
//! ```
//! Prices are whole minor units. A member that is not known is refused: it may be a typo of one
//! that is. `pages`, `categories`, `sellers`, `tax_rates`, `shipping_options` and `price_lists` may stand
//! beside the products.

mod entries;

use std::collections::BTreeMap;

use actors::domain::names::{Slug, TaxClass};
use actors::domain::page;
use actors::domain::prices::Prices;
use actors::{Currency, Listing, Money, PriceBook, ProductName, SkuCode};
use anyhow::{Context, bail};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    default_currency: String,
    products: Vec<Product>,
    #[serde(default)]
    pages: Vec<entries::Page>,
    #[serde(default)]
    categories: Vec<entries::Category>,
    #[serde(default)]
    sellers: Vec<entries::Seller>,
    #[serde(default)]
    tax_rates: Vec<entries::TaxRate>,
    #[serde(default)]
    shipping_options: Vec<entries::ShippingOption>,
    #[serde(default)]
    price_lists: Vec<entries::PriceList>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Product {
    sku: SkuCode,
    name: ProductName,
    prices: BTreeMap<String, i64>,
    tax_class: Option<TaxClass>,
}

/// Reads the text of a catalogue file.
pub fn parse(text: &str) -> anyhow::Result<PriceBook> {
    let file: File = serde_json::from_str(text)?;
    let default_currency = currency(&file.default_currency)?;
    let pages = entries::pages(file.pages, &file.categories, &file.sellers)?;
    let listings = file.products.into_iter().map(listing).collect::<anyhow::Result<_>>()?;
    let listings = on_pages(listings, &pages)?;
    Ok(PriceBook::new(default_currency, listings)?
        .with_pages(pages)
        .with_categories(entries::categories(file.categories)?)
        .with_sellers(entries::sellers(file.sellers)?)
        .with_tax_rates(entries::tax_rates(file.tax_rates)?)
        .with_shipping_options(entries::shipping_options(file.shipping_options)?)
        .with_price_lists(entries::price_lists(file.price_lists)?))
}

/// The listings, each with the page that shows it.
fn on_pages(listings: Vec<Listing>, pages: &[page::Page]) -> anyhow::Result<Vec<Listing>> {
    let mut page_of: BTreeMap<&SkuCode, &Slug> = BTreeMap::new();
    for page in pages {
        for sku in &page.variants {
            if let Some(other) = page_of.insert(sku, &page.slug) {
                bail!("sku {sku} is on the pages {other} and {}", page.slug);
            }
        }
    }
    let placed = |listing: Listing| {
        let page = page_of.remove(listing.sku()).cloned();
        listing.on_page(page)
    };
    let listings = listings.into_iter().map(placed).collect();
    match page_of.into_iter().next() {
        Some((sku, page)) => bail!("page {page} shows sku {sku}, which is no product"),
        None => Ok(listings),
    }
}

fn listing(product: Product) -> anyhow::Result<Listing> {
    let Product { sku, name, prices, tax_class } = product;
    let prices = money(&prices).with_context(|| format!("the prices of sku {sku}"))?;
    let listing = Listing::new(sku, name, prices)?;
    Ok(match tax_class {
        Some(class) => listing.in_tax_class(class),
        None => listing,
    })
}

/// `{"EUR": 890, "JPY": 1400}`
fn money(prices: &BTreeMap<String, i64>) -> anyhow::Result<Vec<Money>> {
    prices
        .iter()
        .map(|(code, minor)| Ok(Money { minor: *minor, currency: currency(code)? }))
        .collect()
}

fn prices(prices: &BTreeMap<String, i64>) -> anyhow::Result<Prices> {
    Ok(Prices::new(money(prices)?)?)
}

fn currency(code: &str) -> anyhow::Result<Currency> {
    code.parse().with_context(|| format!("{code:?} is no currency"))
}

#[cfg(test)]
mod tests;
