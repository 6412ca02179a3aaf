//! What has a history that is shown: by its word in paths, and how it is shown itself.

use std::str::FromStr;

use actors::domain::entry::{self, Entry};
use actors::domain::names::Slug;
use actors::domain::{cart, gift_card, order, page, payment, sku};
use actors::{
    Cart, CartId, GiftCard, GiftCardId, Order, OrderId, Payment, PaymentId, ProductPage, Sku,
    SkuCode,
};
use cluster::entity::{Context, Entity};
use cluster::ids::EntityKey;
use serde::Serialize;
use serde_json::Value;

use crate::http::code::Code;
use crate::http::error::ApiError;
use crate::http::extract::in_path;
use crate::http::render::cart::CartJson;
use crate::http::render::gift_card::GiftCardJson;
use crate::http::render::inventory::InventoryJson;
use crate::http::render::order::OrderJson;
use crate::http::render::payment::PaymentJson;
use crate::http::routes::entries::{self, Resource, Shown};
use crate::http::routes::gift_cards;
use crate::http::routes::products;
use crate::http::routes::products::document::ProductJson;
use crate::http::schema::{word, words};

/// Entities of one kind, as paths call them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::http) enum Family {
    Carts,
    Orders,
    Payments,
    Inventory,
    Products,
    Categories,
    PriceLists,
    TaxRates,
    Sellers,
    ShippingOptions,
    Promotions,
    DiscountCodes,
    StockLocations,
    GiftCards,
}

impl Family {
    const WORDS: [&str; 14] = [
        "carts",
        "orders",
        "payments",
        "inventory",
        "products",
        "categories",
        "price_lists",
        "tax_rates",
        "sellers",
        "shipping_options",
        "promotions",
        "discount_codes",
        "stock_locations",
        "gift_cards",
    ];
}

pub(in crate::http) struct NoSuchFamily;

impl FromStr for Family {
    type Err = NoSuchFamily;

    fn from_str(text: &str) -> Result<Self, NoSuchFamily> {
        Ok(match text {
            "carts" => Self::Carts,
            "orders" => Self::Orders,
            "payments" => Self::Payments,
            "inventory" => Self::Inventory,
            "products" => Self::Products,
            "categories" => Self::Categories,
            "price_lists" => Self::PriceLists,
            "tax_rates" => Self::TaxRates,
            "sellers" => Self::Sellers,
            "shipping_options" => Self::ShippingOptions,
            "promotions" => Self::Promotions,
            "discount_codes" => Self::DiscountCodes,
            "stock_locations" => Self::StockLocations,
            "gift_cards" => Self::GiftCards,
            _ => return Err(NoSuchFamily),
        })
    }
}

/// The id of whatever the path is about.
pub(in crate::http) struct AnyId(pub(super) String);

impl FromStr for AnyId {
    type Err = NoSuchFamily;

    fn from_str(text: &str) -> Result<Self, NoSuchFamily> {
        Ok(Self(text.to_owned()))
    }
}

in_path! {
    Family: "entity", NOT_FOUND, "nothing of this kind has a history", word(&Family::WORDS);
    AnyId: "id", NOT_FOUND, "this cannot be an id", words::handle("ord_01jzy5v3n8q2w4x6t7r9k0m1ab");
}

/// An entity whose past is shown.
pub(super) trait Remembered: Entity {
    /// `None` for what cannot be an id.
    fn key_of(id: &str) -> Option<EntityKey>;
    fn not_found() -> ApiError;
    /// As the thing itself is shown; null where there was nothing to see.
    fn shown(&self, seq: u64, ctx: &Context<'_>) -> Result<Value, ApiError>;
}

fn json(value: &impl Serialize) -> Result<Value, ApiError> {
    serde_json::to_value(value).map_err(|error| {
        tracing::error!(%error, "a past state is not shown");
        ApiError::internal()
    })
}

fn maybe<T>(
    found: Option<T>,
    shown: impl FnOnce(T) -> Result<Value, ApiError>,
) -> Result<Value, ApiError> {
    found.map_or(Ok(Value::Null), shown)
}

impl Remembered for Cart {
    fn key_of(id: &str) -> Option<EntityKey> {
        id.parse::<CartId>().ok().map(|id| id.key())
    }

    fn not_found() -> ApiError {
        ApiError::new(Code::CART_NOT_FOUND, "there is no cart under this id")
    }

    fn shown(&self, seq: u64, ctx: &Context<'_>) -> Result<Value, ApiError> {
        let cart::Lookup(view) = self.view(cart::Query::Cart, ctx);
        maybe(view, |view| json(&CartJson::new(&view, seq, &None)))
    }
}

impl Remembered for Order {
    fn key_of(id: &str) -> Option<EntityKey> {
        id.parse::<OrderId>().ok().map(|id| id.key())
    }

    fn not_found() -> ApiError {
        ApiError::order_not_found()
    }

    fn shown(&self, seq: u64, ctx: &Context<'_>) -> Result<Value, ApiError> {
        let order::Lookup(view) = self.view(order::Query::Order, ctx);
        maybe(view, |view| json(&OrderJson::for_shop(&view, seq)))
    }
}

impl Remembered for Payment {
    fn key_of(id: &str) -> Option<EntityKey> {
        id.parse::<PaymentId>().ok().map(|id| id.key())
    }

    fn not_found() -> ApiError {
        ApiError::new(Code::PAYMENT_NOT_FOUND, "there is no payment under this id")
    }

    fn shown(&self, seq: u64, ctx: &Context<'_>) -> Result<Value, ApiError> {
        let payment::Lookup(view) = self.view(payment::Query::Payment, ctx);
        maybe(view, |view| json(&PaymentJson::new(&view, seq)))
    }
}

impl Remembered for Sku {
    fn key_of(id: &str) -> Option<EntityKey> {
        id.parse::<SkuCode>().ok().map(|sku| sku.key())
    }

    fn not_found() -> ApiError {
        ApiError::new(Code::SKU_NOT_FOUND, "no stock of this SKU was ever stated")
    }

    fn shown(&self, seq: u64, ctx: &Context<'_>) -> Result<Value, ApiError> {
        let EntityKey::Name(name) = &ctx.me.key else { return Ok(Value::Null) };
        let sku::View::Level(level) = self.view(sku::Query::Level, ctx) else {
            return Ok(Value::Null);
        };
        maybe(name.parse::<SkuCode>().ok(), |sku| json(&InventoryJson::new(&sku, level, seq)))
    }
}

impl Remembered for GiftCard {
    fn key_of(id: &str) -> Option<EntityKey> {
        id.parse::<GiftCardId>().ok().map(|id| id.key())
    }

    fn not_found() -> ApiError {
        gift_cards::not_found()
    }

    fn shown(&self, seq: u64, ctx: &Context<'_>) -> Result<Value, ApiError> {
        let gift_card::Lookup(view) = self.view(gift_card::Query::Card, ctx);
        let id = GiftCardId::try_from(&ctx.me.key).ok();
        maybe(view.zip(id), |(view, id)| json(&GiftCardJson::new(id, &view, seq)))
    }
}

/// Without its variants, which have their own.
impl Remembered for ProductPage {
    fn key_of(id: &str) -> Option<EntityKey> {
        id.parse::<Slug>().ok().map(|slug| slug.key())
    }

    fn not_found() -> ApiError {
        products::not_found()
    }

    fn shown(&self, seq: u64, ctx: &Context<'_>) -> Result<Value, ApiError> {
        let page::Lookup(page) = self.view(page::Query::Page, ctx);
        maybe(page, |page| json(&ProductJson::new(&page, None, Some(seq))))
    }
}

impl<R: Resource> Remembered for Entry<R> {
    fn key_of(id: &str) -> Option<EntityKey> {
        id.parse::<R::Id>().ok().map(|id| R::key_of(&id))
    }

    fn not_found() -> ApiError {
        entries::not_found::<R>()
    }

    fn shown(&self, seq: u64, ctx: &Context<'_>) -> Result<Value, ApiError> {
        let entry::Lookup(content) = self.view(entry::Query::Content, ctx);
        maybe(content, |content| json(&Shown { content: content.json(), seq }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_is_a_family() {
        assert!(Family::WORDS.iter().all(|word| word.parse::<Family>().is_ok()));
        assert!("cart".parse::<Family>().is_err());
    }
}
