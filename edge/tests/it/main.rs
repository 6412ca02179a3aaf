//! The API in process, on a real node in a folder of its own: every route, every convention.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests are tests: what is missing should fail them on the spot"
)]

mod audit;
mod backorders;
mod bench_om;
mod cart_stream;
mod carts;
mod catalogue;
mod checkout;
mod codes;
mod concurrency;
mod contract;
mod conventions;
mod corrections;
mod events;
mod exchanges;
mod first_orders;
mod fraud;
mod fuzz;
mod gift_cards;
mod history;
mod idempotency;
mod imports;
mod inventory;
mod malformed;
mod merchants;
mod openapi;
mod order_lists;
mod overload;
mod parcels;
mod payments;
mod promotions;
mod races;
mod sellers;
mod server;
mod shop;
mod topology;
