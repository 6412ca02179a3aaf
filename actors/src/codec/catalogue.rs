//! The bytes of what is for sale.

use cluster::entity::{DecodeError, Wire};
use serde::{Deserialize, Serialize};

use super::{encode, latest};
use crate::domain::catalogue::Listing;
use crate::domain::money::Currency;
use crate::domain::product::{self, Product};
use crate::domain::shop::{self, Shop};

/// Gives a type its byte form.
macro_rules! wire {
    ($($type:ty: $what:literal),* $(,)?) => {
        $(impl Wire for $type {
            fn to_bytes(&self) -> Vec<u8> {
                encode(self)
            }

            fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
                latest($what, bytes)
            }
        })*
    };
}

wire! {
    product::Command: "a product's command",
    product::Event: "a product's event",
    product::Rejection: "a product's rejection",
    product::Query: "a product's query",
    product::Lookup: "a product's view",
    shop::Command: "the shop's command",
    shop::Event: "the shop's event",
    shop::Rejection: "the shop's rejection",
    shop::Query: "the shop's query",
    shop::Terms: "the shop's terms",
}

#[derive(Serialize, Deserialize)]
struct ProductRecordV1 {
    listing: Option<Listing>,
}

pub(crate) fn product_to_record(product: &Product) -> Vec<u8> {
    encode(&ProductRecordV1 { listing: product.listing.clone() })
}

pub(crate) fn product_from_record(bytes: &[u8]) -> Result<Product, DecodeError> {
    let ProductRecordV1 { listing } = latest("a product's record", bytes)?;
    Ok(Product { listing })
}

#[derive(Serialize, Deserialize)]
struct ShopRecordV1 {
    default_currency: Option<Currency>,
}

pub(crate) fn shop_to_record(shop: &Shop) -> Vec<u8> {
    encode(&ShopRecordV1 { default_currency: shop.default_currency })
}

pub(crate) fn shop_from_record(bytes: &[u8]) -> Result<Shop, DecodeError> {
    let ShopRecordV1 { default_currency } = latest("the shop's record", bytes)?;
    Ok(Shop { default_currency })
}
