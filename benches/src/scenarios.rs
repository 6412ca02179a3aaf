//! What is measured, one scenario a file.

mod buyer;
pub(crate) mod cart_write;
pub(crate) mod chaos;
pub(crate) mod checkout;
pub(crate) mod crash;
pub(crate) mod failover;
pub(crate) mod flash_sale;
pub(crate) mod hot_sku;
pub(crate) mod idle;
pub(crate) mod import;
pub(crate) mod memory;
pub(crate) mod random;
pub(crate) mod rebalance;
pub(crate) mod recovery;
pub(crate) mod scale;
pub(crate) mod traffic;
