//! What the path of a request names.
//!
//! **Invariants:** one thing has one path; what cannot name anything is as good as missing.

use std::str::FromStr;

use actors::domain::payment::ProviderName;
use actors::{CartId, GiftCardId, ImportId, PaymentId, SkuCode};
use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::request::Parts;
use cluster::ids::{NodeId, ShardId};

use crate::http::app::App;
use crate::http::code::Code;
use crate::http::error::ApiError;
use crate::http::schema::{self, Schema, word, words};
use crate::http::topology::META;

/// The parameter of a path that names a SKU or a reservation.
pub(in crate::http) struct PathId<T>(pub(in crate::http) T);

/// An id that may stand in a path.
pub(in crate::http) trait InPath: FromStr {
    const NAME: &'static str;
    const NOT_FOUND: (Code, &'static str);

    fn schema() -> Schema;
}

/// Gives an id its place in paths.
macro_rules! in_path {
    ($($id:ty: $name:literal, $code:ident, $detail:literal, $schema:expr;)*) => {$(
        impl $crate::http::extract::InPath for $id {
            const NAME: &'static str = $name;
            const NOT_FOUND: ($crate::http::code::Code, &'static str) =
                ($crate::http::code::Code::$code, $detail);

            fn schema() -> $crate::http::schema::Schema {
                $schema
            }
        }
    )*};
}
pub(in crate::http) use in_path;

in_path! {
    CartId: "id", CART_NOT_FOUND, "this cannot be a cart", words::cart_id();
    SkuCode: "sku", SKU_NOT_FOUND, "this cannot be a SKU", words::sku();
    actors::ReservationId: "reservation", RESERVATION_NOT_FOUND, "this cannot be a reservation", words::reservation_id();
    actors::OrderId: "id", ORDER_NOT_FOUND, "this cannot be an order", words::order_id();
    ImportId: "id", IMPORT_NOT_FOUND, "this cannot be an import", words::import_id();
    GiftCardId: "id", GIFT_CARD_NOT_FOUND, "this cannot be a gift card", words::gift_card_id();
    CardOfCart: "card_id", GIFT_CARD_NOT_FOUND, "this cannot be a gift card", words::gift_card_id();
    PaymentId: "id", PAYMENT_NOT_FOUND, "this cannot be a payment", words::payment_id();
    ProviderName: "provider", NOT_FOUND, "there is no such provider", words::provider();
    NodePath: "id", NODE_NOT_FOUND, "this cannot be a node", schema::integer(1, i64::MAX, 65_537);
    ShardPath: "id", SHARD_NOT_FOUND, "this cannot be a shard", Schema::Either(vec![schema::integer(0, i64::from(u32::MAX), 7), word(&[META])]);
}

/// A gift card in the path of a cart, which is the one whose `id` is there.
pub(in crate::http) struct CardOfCart(pub(in crate::http) GiftCardId);

impl FromStr for CardOfCart {
    type Err = <GiftCardId as FromStr>::Err;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

/// A node in a path, by its whole id.
pub(in crate::http) struct NodePath(pub(in crate::http) NodeId);

/// A shard in a path: its number, or `meta`.
pub(in crate::http) struct ShardPath(pub(in crate::http) ShardId);

pub(in crate::http) struct NoSuchId;

impl FromStr for NodePath {
    type Err = NoSuchId;

    fn from_str(text: &str) -> Result<Self, NoSuchId> {
        plain_number(text).map(|id| Self(NodeId(id))).ok_or(NoSuchId)
    }
}

impl FromStr for ShardPath {
    type Err = NoSuchId;

    fn from_str(text: &str) -> Result<Self, NoSuchId> {
        if text == META {
            return Ok(Self(ShardId::META));
        }
        let number = plain_number(text).and_then(|number| u32::try_from(number).ok());
        number.map(|number| Self(ShardId(number))).ok_or(NoSuchId)
    }
}

/// A number as it is written by this service, so that one thing has one path.
fn plain_number(text: &str) -> Option<u64> {
    text.parse().ok().filter(|number: &u64| number.to_string() == text)
}

impl<T: InPath> FromRequestParts<App> for PathId<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, ApiError> {
        let (code, detail) = T::NOT_FOUND;
        let id = path_param(parts, T::NAME).await?;
        id.map(Self).ok_or_else(|| ApiError::new(code, detail))
    }
}

pub(super) async fn path_param<T: FromStr>(
    parts: &mut Parts,
    name: &str,
) -> Result<Option<T>, ApiError> {
    // Ids need no escapes; with them one resource would have many paths, and keys many scopes.
    if parts.uri.path().contains('%') {
        return Ok(None);
    }
    let params = RawPathParams::from_request_parts(parts, &()).await;
    let params = params.map_err(|_| ApiError::not_found())?;
    let value = params.iter().find(|(known, _)| *known == name).map(|(_, value)| value);
    Ok(value.and_then(|value| value.parse().ok()))
}
