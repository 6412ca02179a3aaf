//! The domain: carts, stock and what is for sale as pure state machines, and their bytes.
//!
//! Everything under `domain` is pure: commands in, events and effects out. `codec` alone knows
//! bytes. Nothing here does I/O; the fabric in `cluster` runs these entities.

mod codec;
pub mod domain;
pub mod mutants;

pub use domain::cart::Cart;
pub use domain::catalogue::{BookReader, Listing, PriceBook, ProductName};
pub use domain::ids::{
    CaptureId, CartAccess, CartId, OrderId, PaymentId, RefundId, ReservationId, SkuCode,
};
pub use domain::money::{Currency, Money};
pub use domain::payment::Payment;
pub use domain::product::Product;
pub use domain::quantity::{Delta, PageLimit, Quantity, Units};
pub use domain::shop::Shop;
pub use domain::sku::{Holder, Reason, Sku};
