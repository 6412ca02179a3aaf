//! What the benchmark's numbers are called here.
//!
//! **Invariants:** the same numbers name the same entities on every node and after every restart; a
//! customer's carts and orders lie in one slot.

use std::str::FromStr;

use actors::domain::names::{SellerId, Slug};
use actors::{CartId, OrderId, PaymentId, SkuCode};
use axum::extract::RawPathParams;
use cluster::ids::Slot;

use super::body::{Row, check_name, wrong};
use super::runs::Shopper;
use crate::http::app::App;
use crate::http::error::ApiError;
use crate::http::keys;

pub(super) const PREFIX: &str = "om-";

/// A product of a seller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ProductKey {
    pub(super) seller: u32,
    pub(super) product: u32,
}

impl ProductKey {
    pub(super) fn named_in(row: &Row) -> Result<Self, ApiError> {
        Ok(Self { seller: row.number("seller_id")?, product: row.number("product_id")? })
    }

    pub(super) fn sku(self) -> Result<SkuCode, ApiError> {
        named(&self.to_string())
    }

    pub(super) fn slug(self) -> Result<Slug, ApiError> {
        named(&self.to_string())
    }

    /// `None` of what is no product of the benchmark.
    pub(super) fn of(name: &str) -> Option<Self> {
        let (seller, product) = name.strip_prefix(PREFIX)?.split_once('-')?;
        Some(Self { seller: seller.parse().ok()?, product: product.parse().ok()? })
    }
}

impl std::fmt::Display for ProductKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{PREFIX}{}-{}", self.seller, self.product)
    }
}

pub(super) fn seller(number: u32) -> Result<SellerId, ApiError> {
    named(&format!("{PREFIX}{number}"))
}

fn named<T: FromStr>(name: &str) -> Result<T, ApiError> {
    name.parse().map_err(|_| ApiError::internal())
}

/// The cart of a customer; each order takes one, and the next has the next generation.
pub(super) fn cart(app: &App, Shopper { customer, run }: Shopper, generation: u64) -> CartId {
    let parts: [&[u8]; 3] =
        [&run.to_be_bytes(), &customer.to_be_bytes(), &generation.to_be_bytes()];
    CartId::in_slot(slot(app, customer), unique(app, "bench-om cart", &parts))
}

pub(super) fn order(
    app: &App,
    Shopper { customer, run }: Shopper,
    tid: &str,
) -> (OrderId, PaymentId) {
    let slot = slot(app, customer);
    let parts: [&[u8]; 3] = [&run.to_be_bytes(), &customer.to_be_bytes(), tid.as_bytes()];
    let unique = |purpose| unique(app, purpose, &parts);
    let payment = PaymentId::in_slot(slot, unique("bench-om payment"));
    (OrderId::in_slot(slot, unique("bench-om order")), payment)
}

fn slot(app: &App, customer: u32) -> Slot {
    let digest = app.secrets.derive("bench-om customer", &[&customer.to_be_bytes()]);
    keys::slot_and_unique(keys::half(digest)).0
}

fn unique(app: &App, purpose: &str, parts: &[&[u8]]) -> [u8; 14] {
    keys::slot_and_unique(keys::half(app.secrets.derive(purpose, parts))).1
}

/// A number in the path.
pub(super) fn number_in(params: &RawPathParams, name: &str) -> Result<u32, ApiError> {
    let value = params.iter().find(|(known, _)| *known == name).map(|(_, value)| value);
    let number = value.and_then(|value| value.parse().ok());
    number.ok_or_else(|| wrong(name, "wrong_type", "must be a whole number from 0 to 4294967295"))
}

pub(super) fn product_in(params: &RawPathParams) -> Result<ProductKey, ApiError> {
    let number = |name| number_in(params, name);
    Ok(ProductKey { seller: number("seller")?, product: number("product")? })
}

pub(super) fn tid_in(params: &RawPathParams) -> Result<String, ApiError> {
    let value = params.iter().find(|(known, _)| *known == "tid").map(|(_, value)| value);
    let tid = value.unwrap_or_default();
    check_name("tid", tid).map(|()| tid.to_owned())
}
