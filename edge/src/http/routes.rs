//! The handlers, one resource a file.

pub(super) mod books;
pub(super) mod cart;
pub(super) mod cart_stream;
pub(super) mod checkout;
pub(super) mod codes;
pub(super) mod documents;
mod done;
pub(super) mod entries;
pub(super) mod events;
pub(super) mod exports;
pub(super) mod history;
pub(super) mod imports;
pub(super) mod inventory;
pub(super) mod merge;
pub(super) mod nodes;
pub(super) mod order_lists;
pub(super) mod orders;
pub(super) mod payment;
pub(in crate::http) mod products;
pub(super) mod seller_board;
pub(super) mod shards;
pub(super) mod store;
pub(super) mod system;
