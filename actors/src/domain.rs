//! The nouns of a shop, one a file.

pub mod cart;
pub mod catalogue;
mod crockford;
mod heap;
pub mod ids;
pub mod money;
pub mod payment;
pub mod product;
pub mod quantity;
pub mod shop;
pub mod sku;
