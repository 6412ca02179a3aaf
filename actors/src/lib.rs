//! The domain: carts, stock and what is for sale as pure state machines, and their bytes.
//!
//! Everything under `domain` is pure: commands in, events and effects out. `codec` alone knows
//! bytes. Nothing here does I/O; the fabric in `cluster` runs these entities.

mod codec;
pub mod domain;
pub mod mutants;

use cluster::shard::kind::Kinds;

pub use domain::audit::{AuditChain, AuditPage, InCatalogue, InCluster, InShard};
pub use domain::cart::Cart;
pub use domain::catalogue::{BookReader, Listing, PriceBook, ProductName};
pub use domain::category::Category;
pub use domain::code_uses::CodeUses;
pub use domain::discount_code::DiscountCode;
pub use domain::entry::Entry;
pub use domain::gift_card::GiftCard;
pub use domain::gift_card_list::{GiftCardList, GiftCardPage};
pub use domain::ids::{
    CaptureId, CartAccess, CartId, GiftCardId, ImportId, OrderId, PaymentId, RefundId,
    ReservationId, SkuCode,
};
pub use domain::import::{Import, ImportBook, ImportPart};
pub use domain::location::StockLocation;
pub use domain::money::{Currency, Money};
pub use domain::order::Order;
pub use domain::order_list::{OrderList, OrderPage};
pub use domain::order_numbers::OrderNumbers;
pub use domain::page::ProductPage;
pub use domain::payment::Payment;
pub use domain::price_list::PriceList;
pub use domain::product::Product;
pub use domain::promotion::Promotion;
pub use domain::quantity::{Delta, PageLimit, Quantity, Units};
pub use domain::seller::Seller;
pub use domain::seller_board::SellerBoard;
pub use domain::shipping::ShippingOption;
pub use domain::shop::Shop;
pub use domain::sku::{Holder, Reason, Sku};
pub use domain::tax::TaxRate;

/// Every kind of entity there is; what operators do to them is kept account of.
pub fn all_kinds() -> Kinds {
    let kinds = Kinds::default().with::<Cart>().with::<Sku>().with::<Order>();
    let kinds =
        kinds.with::<OrderNumbers>().with::<Payment>().with::<CodeUses>().with::<GiftCard>();
    let kinds = kinds.with::<GiftCardList>().with::<GiftCardPage>();
    let kinds = kinds.with::<OrderList>().with::<OrderPage>().with::<SellerBoard>();
    let kinds = kinds.with::<AuditChain<InShard>>().with::<AuditPage<InShard>>();
    let kinds = kinds.with::<AuditChain<InCluster>>().with::<AuditPage<InCluster>>();
    let kinds = kinds.with::<Import>().with::<ImportPart>().with::<ImportBook>();
    let kinds = with_catalogue(kinds);
    let kinds = kinds.with::<AuditChain<InCatalogue>>().with::<AuditPage<InCatalogue>>();
    kinds.witnessed_by(domain::audit::account)
}

/// Adds every kind of entity that lives in the `catalogue` group.
#[must_use]
pub fn with_catalogue(kinds: Kinds) -> Kinds {
    kinds
        .with::<Product>()
        .with::<Shop>()
        .with::<ProductPage>()
        .with::<Entry<Category>>()
        .with::<Entry<TaxRate>>()
        .with::<Entry<PriceList>>()
        .with::<Entry<ShippingOption>>()
        .with::<Entry<Seller>>()
        .with::<Entry<Promotion>>()
        .with::<Entry<DiscountCode>>()
        .with::<Entry<StockLocation>>()
}
