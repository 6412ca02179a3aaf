//! The nouns of a shop, one a file.

pub mod cart;
pub mod catalogue;
pub mod category;
pub mod contact;
mod crockford;
pub mod entry;
mod heap;
pub mod ids;
pub mod import;
pub mod money;
pub mod names;
pub mod order;
pub mod order_numbers;
pub mod page;
pub mod payment;
pub mod price_list;
pub mod prices;
pub mod pricing;
pub mod product;
pub mod quantity;
pub mod seller;
pub mod shipping;
pub mod shop;
pub mod sku;
pub mod tax;
pub mod translations;
mod twins;
