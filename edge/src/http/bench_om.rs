//! The HTTP contract of the Online Marketplace benchmark, on the entities that the storefront uses.
//!
//! A driver says who it is to nobody, so these routes are mounted only where an operator asks for
//! them, and stand neither in `/openapi.json` nor in the audit. Sellers, products and prices are
//! entries of the catalogue, stock is a SKU's, a cart a guest's cart, a checkout the order's own saga
//! with the payment simulator, a package a shipment, a dashboard the seller's board.
//!
//! **Invariants:** an order's id is derived from its run, customer and tid, so a checkout that comes
//! again meets the same order; what a card number, its holder or its code say is never read. What an
//! order depends on is in entities, so that another node knows it and a later start does.
//!
//! What a customer is called is kept as the contact of an order alone. Neither freight nor
//! vouchers change what is paid; `carts` says why.

mod amount;
mod body;
mod carts;
mod checkouts;
mod customers;
mod ids;
mod items;
mod orders;
mod products;
mod reset;
mod runs;
mod sellers;
mod sessions;
mod shipments;
mod stocks;

use std::sync::Arc;

use axum::routing::{MethodRouter, get, patch, post};
use axum::{Extension, Router};

use self::sessions::Sessions;
use super::app::App;
use super::middleware::rim::RimLayer;
use super::routes::system;
use crate::http::Endpoint;

/// Adds the benchmark's routes to a shop's own.
pub(super) fn mount(router: Router<App>, app: &App) -> Router<App> {
    let sessions = Arc::new(Sessions::default());
    routes().into_iter().fold(router, |router, (path, methods)| {
        let methods: MethodRouter<App> = methods.fallback(system::method_not_allowed);
        let rim = RimLayer::new(app.clone(), Endpoint::BenchOm);
        let methods = methods.layer(Extension(Arc::clone(&sessions))).layer(rim);
        router.route(&format!("{}{path}", Endpoint::BenchOm.path()), methods)
    })
}

fn routes() -> Vec<(&'static str, MethodRouter<App>)> {
    vec![
        ("/customer", post(customers::ingest)),
        ("/customer/{customer}", get(customers::show)),
        ("/seller", post(sellers::ingest)),
        ("/seller/{seller}", get(sellers::show)),
        ("/seller/dashboard/{seller}", get(sellers::show_dashboard)),
        ("/product", post(products::ingest).put(products::replace).patch(products::set_price)),
        ("/product/{seller}/{product}", get(products::show)),
        ("/stock", post(stocks::ingest)),
        ("/stock/{seller}/{product}", get(stocks::show)),
        ("/cart/{customer}", get(carts::show)),
        ("/cart/{customer}/add", patch(carts::add)),
        ("/cart/{customer}/seal", patch(carts::seal)),
        ("/cart/{customer}/checkout", post(checkouts::check_out)),
        ("/cart/{customer}/history/{tid}", get(checkouts::show_items)),
        ("/order/{customer}", get(orders::list)),
        ("/shipment/{tid}", patch(shipments::deliver)),
        ("/reset", patch(reset::reset)),
        ("/cleanup", patch(reset::clean_up)),
    ]
}
