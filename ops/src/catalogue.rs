//! Products for sale, from a JSON file to a price book.
//!
//! ```json
//! {"default_currency": "EUR", "products": [
//!   {"sku": "tea-oolong-100", "name": "Oolong, 100 g", "prices": {"EUR": 890}}]}
//! ```
//! Prices are whole minor units. A member that is not known is refused: it may be a typo of one
//! that is.

use std::collections::BTreeMap;

use actors::{Currency, Listing, Money, PriceBook, ProductName, SkuCode};
use anyhow::Context;
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    default_currency: String,
    products: Vec<Product>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Product {
    sku: SkuCode,
    name: ProductName,
    prices: BTreeMap<String, i64>,
}

/// Reads the text of a catalogue file.
pub fn parse(text: &str) -> anyhow::Result<PriceBook> {
    let file: File = serde_json::from_str(text)?;
    let default_currency = currency(&file.default_currency)?;
    let listings = file.products.into_iter().map(listing).collect::<anyhow::Result<_>>()?;
    Ok(PriceBook::new(default_currency, listings)?)
}

fn listing(product: Product) -> anyhow::Result<Listing> {
    let Product { sku, name, prices } = product;
    let prices = prices
        .into_iter()
        .map(|(code, minor)| Ok(Money { minor, currency: currency(&code)? }))
        .collect::<anyhow::Result<_>>()
        .with_context(|| format!("the prices of sku {sku}"))?;
    Ok(Listing::new(sku, name, prices)?)
}

fn currency(code: &str) -> anyhow::Result<Currency> {
    code.parse().with_context(|| format!("{code:?} is no currency"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refused(text: &str, part: &str) {
        let error = format!("{:#}", parse(text).unwrap_err());
        assert!(error.contains(part), "{error}");
    }

    #[test]
    fn a_catalogue_lists_products_with_a_price_per_currency() {
        let book = parse(
            r#"{"default_currency": "EUR", "products": [
                {"sku": "tea", "name": "Tea", "prices": {"EUR": 450, "JPY": 700}}]}"#,
        )
        .unwrap();
        let tea = book.listing(&"tea".parse().unwrap()).unwrap();
        assert_eq!(tea.price_in("JPY".parse().unwrap()).unwrap().minor, 700);
        assert_eq!(book.default_currency().as_str(), "EUR");
    }

    #[test]
    fn what_is_wrong_is_named() {
        let product =
            |product: &str| format!(r#"{{"default_currency": "EUR", "products": [{product}]}}"#);
        refused("{}", "default_currency");
        refused(r#"{"default_currency": "euro", "products": []}"#, "\"euro\" is no currency");
        refused(&product(r#"{"sku": "a b", "name": "x", "prices": {}}"#), "a sku is");
        refused(&product(r#"{"sku": "a", "name": "x", "price": 1}"#), "unknown field `price`");
        refused(&product(r#"{"sku": "a", "name": "x", "prices": {"E": 1}}"#), "prices of sku a");
        refused(&product(r#"{"sku": "a", "name": "x", "prices": {"EUR": -1}}"#), "sku a has");
    }
}
