//! The bytes of what is for sale.

mod v1;

use cluster::entity::{DecodeError, Wire};
use serde::{Deserialize, Serialize};

use super::{encode, encode_second, latest, latest_of_two};
use crate::domain::catalogue::Listing;
use crate::domain::money::Currency;
use crate::domain::pricing::{NotPriced, Priced};
use crate::domain::product::{self, Product};
use crate::domain::shop::{self, Shop};

/// Gives a type that had another shape in version 1 its byte form.
macro_rules! second_wire {
    ($($type:ty, once $first:ty: $what:literal),* $(,)?) => {
        $(impl Wire for $type {
            fn to_bytes(&self) -> Vec<u8> {
                encode_second(self)
            }

            fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
                latest_of_two::<$first, Self>($what, bytes)
            }
        })*
    };
}

second_wire! {
    product::Command, once v1::CommandV1: "a product's command",
    product::Event, once v1::EventV1: "a product's event",
    product::Lookup, once v1::LookupV1: "a product's view",
}

wire! {
    product::Rejection: "a product's rejection",
    product::Query: "a product's query",
    Priced: "what was priced",
    NotPriced: "why something has no price",
    shop::Command: "the shop's command",
    shop::Event: "the shop's event",
    shop::Rejection: "the shop's rejection",
    shop::Query: "the shop's query",
    shop::Terms: "the shop's terms",
}

#[derive(Serialize, Deserialize)]
struct ProductRecordV2 {
    listing: Option<Listing>,
}

impl From<v1::ProductRecordV1> for ProductRecordV2 {
    fn from(first: v1::ProductRecordV1) -> Self {
        Self { listing: first.listing() }
    }
}

pub(crate) fn product_to_record(product: &Product) -> Vec<u8> {
    encode_second(&ProductRecordV2 { listing: product.listing.clone() })
}

pub(crate) fn product_from_record(bytes: &[u8]) -> Result<Product, DecodeError> {
    let ProductRecordV2 { listing } =
        latest_of_two::<v1::ProductRecordV1, _>("a product's record", bytes)?;
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
