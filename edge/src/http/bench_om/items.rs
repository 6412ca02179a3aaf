//! Lines of carts and orders, as the benchmark writes them. Their freight is the page's as it is now.

use actors::{Money, PriceBook, ProductName, Quantity, SkuCode};
use serde::Serialize;

use super::amount;
use super::ids::ProductKey;
use super::products::{attribute, in_parts};

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ItemJson {
    seller_id: u32,
    product_id: u32,
    product_name: String,
    unit_price: f64,
    freight_value: f64,
    quantity: u32,
    voucher: f64,
    version: String,
}

impl ItemJson {
    /// `None` of what the benchmark did not bring.
    pub(super) fn new(
        (sku, name): (&SkuCode, &ProductName),
        (price, quantity): (Money, Quantity),
        book: Option<&PriceBook>,
    ) -> Option<Self> {
        let ProductKey { seller, product } = ProductKey::of(sku.as_str())?;
        let page = sku.as_str().parse().ok().and_then(|slug| book?.any_page(&slug));
        let freight = page.and_then(|page| attribute(page, "freight_value"));
        let freight = freight.and_then(amount::minor).unwrap_or(0);
        let (name, version) = in_parts(name);
        Some(Self {
            seller_id: seller,
            product_id: product,
            product_name: name.to_owned(),
            unit_price: amount::shown(price.minor),
            freight_value: amount::shown(freight),
            quantity: quantity.get(),
            voucher: amount::shown(0),
            version: version.to_owned(),
        })
    }
}
