//! The routes as values: for metrics, logs, and what is shed first under load.

use axum::http::Method;

/// One path of the API, whatever its parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Endpoint {
    Carts,
    Cart,
    CartItems,
    CartItem,
    CartStream,
    CartMerge,
    CartCodes,
    CartCode,
    CartGiftCards,
    CartGiftCard,
    CartCheckout,
    Order,
    OrderTimeline,
    OrderCancel,
    OrderReturns,
    AdminOrders,
    AdminOrder,
    AdminOrderCancel,
    AdminOrderFulfilments,
    AdminOrderDeliver,
    AdminOrderReceiveReturn,
    AdminOrderRefunds,
    AdminOrderNotes,
    AdminOrderVouchers,
    AdminOrderExchanges,
    AdminOrderBookParcel,
    FraudReviews,
    FraudReviewApprove,
    FraudReviewReject,
    Inventory,
    InventoryAdjust,
    InventorySet,
    InventoryTransfer,
    InventoryLocations,
    InventoryPolicy,
    InventoryLowStock,
    InventoryReservations,
    InventoryReservationConfirm,
    InventoryReservationRelease,
    InventoryLedger,
    Payments,
    Payment,
    PaymentCapture,
    PaymentVoid,
    PaymentHook,
    ShippingHook,
    AdminProducts,
    AdminProduct,
    AdminProductsBulk,
    Imports,
    Import,
    ImportData,
    ImportErrors,
    ImportCancel,
    Exports,
    Audit,
    AuditHeads,
    Events,
    History,
    StateAt,
    AdminCategories,
    AdminCategory,
    PriceLists,
    PriceList,
    TaxRates,
    TaxRate,
    Promotions,
    Promotion,
    DiscountCodes,
    DiscountCode,
    DiscountCodeUses,
    GiftCards,
    GiftCard,
    GiftCardAdjust,
    GiftCardTerms,
    GiftCardBalance,
    Sellers,
    Seller,
    SellerDashboard,
    ShippingOptions,
    ShippingOption,
    StockLocations,
    StockLocation,
    StoreProducts,
    StoreProduct,
    StoreCategories,
    Cluster,
    NodeDrain,
    NodeResume,
    NodeRemove,
    Shards,
    ShardTransfer,
    ShardPin,
    ShardUnpin,
    Health,
    Readiness,
    Metrics,
    OpenApi,
    Docs,
    /// Every path of the Online Marketplace contract, where that is mounted.
    BenchOm,
    /// Any path without a route.
    Unmatched,
}

impl Endpoint {
    /// As axum's router reads it, and as the label of metrics.
    #[expect(clippy::too_many_lines, reason = "a table of all routes, one a line")]
    pub(crate) const fn path(self) -> &'static str {
        match self {
            Self::Carts => "/store/v1/carts",
            Self::Cart => "/store/v1/carts/{id}",
            Self::CartItems => "/store/v1/carts/{id}/items",
            Self::CartItem => "/store/v1/carts/{id}/items/{sku}",
            Self::CartStream => "/store/v1/carts/{id}/stream",
            Self::CartMerge => "/store/v1/carts/{id}/merge",
            Self::CartCodes => "/store/v1/carts/{id}/discount_codes",
            Self::CartCode => "/store/v1/carts/{id}/discount_codes/{code}",
            Self::CartGiftCards => "/store/v1/carts/{id}/gift_cards",
            Self::CartGiftCard => "/store/v1/carts/{id}/gift_cards/{card_id}",
            Self::CartCheckout => "/store/v1/carts/{id}/checkout",
            Self::Order => "/store/v1/orders/{id}",
            Self::OrderTimeline => "/store/v1/orders/{id}/timeline",
            Self::OrderCancel => "/store/v1/orders/{id}/cancel",
            Self::OrderReturns => "/store/v1/orders/{id}/returns",
            Self::AdminOrders => "/admin/v1/orders",
            Self::AdminOrder => "/admin/v1/orders/{id}",
            Self::AdminOrderCancel => "/admin/v1/orders/{id}/cancel",
            Self::AdminOrderFulfilments => "/admin/v1/orders/{id}/fulfilments",
            Self::AdminOrderBookParcel => "/admin/v1/orders/{id}/book_parcel",
            Self::FraudReviews => "/admin/v1/fraud/reviews",
            Self::FraudReviewApprove => "/admin/v1/fraud/reviews/{id}/approve",
            Self::FraudReviewReject => "/admin/v1/fraud/reviews/{id}/reject",
            Self::AdminOrderDeliver => "/admin/v1/orders/{id}/deliver",
            Self::AdminOrderReceiveReturn => "/admin/v1/orders/{id}/receive_return",
            Self::AdminOrderRefunds => "/admin/v1/orders/{id}/refunds",
            Self::AdminOrderNotes => "/admin/v1/orders/{id}/notes",
            Self::AdminOrderVouchers => "/admin/v1/orders/{id}/vouchers",
            Self::AdminOrderExchanges => "/admin/v1/orders/{id}/exchanges",
            Self::Inventory => "/admin/v1/inventory/{sku}",
            Self::InventoryAdjust => "/admin/v1/inventory/{sku}/adjust",
            Self::InventorySet => "/admin/v1/inventory/{sku}/set",
            Self::InventoryTransfer => "/admin/v1/inventory/{sku}/transfer",
            Self::InventoryLocations => "/admin/v1/inventory/{sku}/locations",
            Self::InventoryPolicy => "/admin/v1/inventory/{sku}/policy",
            Self::InventoryLowStock => "/admin/v1/inventory/{sku}/low_stock",
            Self::InventoryReservations => "/admin/v1/inventory/{sku}/reservations",
            Self::InventoryReservationConfirm => {
                "/admin/v1/inventory/{sku}/reservations/{reservation}/confirm"
            }
            Self::InventoryReservationRelease => {
                "/admin/v1/inventory/{sku}/reservations/{reservation}/release"
            }
            Self::InventoryLedger => "/admin/v1/inventory/{sku}/ledger",
            Self::Payments => "/admin/v1/payments",
            Self::Payment => "/admin/v1/payments/{id}",
            Self::PaymentCapture => "/admin/v1/payments/{id}/capture",
            Self::PaymentVoid => "/admin/v1/payments/{id}/void",
            Self::PaymentHook => "/hooks/payments/{provider}",
            Self::ShippingHook => "/hooks/shipping/{provider}",
            Self::AdminProducts => "/admin/v1/products",
            Self::AdminProduct => "/admin/v1/products/{id}",
            Self::AdminProductsBulk => "/admin/v1/products/bulk",
            Self::Imports => "/admin/v1/imports",
            Self::Import => "/admin/v1/imports/{id}",
            Self::ImportData => "/admin/v1/imports/{id}/data",
            Self::ImportErrors => "/admin/v1/imports/{id}/errors",
            Self::ImportCancel => "/admin/v1/imports/{id}/cancel",
            Self::Exports => "/admin/v1/exports",
            Self::Audit => "/admin/v1/audit",
            Self::AuditHeads => "/admin/v1/audit/heads",
            Self::Events => "/admin/v1/events",
            Self::History => "/admin/v1/{entity}/{id}/history",
            Self::StateAt => "/admin/v1/{entity}/{id}/at",
            Self::AdminCategories => "/admin/v1/categories",
            Self::AdminCategory => "/admin/v1/categories/{id}",
            Self::PriceLists => "/admin/v1/price_lists",
            Self::PriceList => "/admin/v1/price_lists/{id}",
            Self::TaxRates => "/admin/v1/tax_rates",
            Self::TaxRate => "/admin/v1/tax_rates/{id}",
            Self::DiscountCodes => "/admin/v1/discount_codes",
            Self::DiscountCode => "/admin/v1/discount_codes/{code}",
            Self::DiscountCodeUses => "/admin/v1/discount_codes/{code}/uses",
            Self::GiftCards => "/admin/v1/gift_cards",
            Self::GiftCard => "/admin/v1/gift_cards/{id}",
            Self::GiftCardAdjust => "/admin/v1/gift_cards/{id}/adjust",
            Self::GiftCardTerms => "/admin/v1/gift_cards/{id}/terms",
            Self::GiftCardBalance => "/store/v1/gift_cards/balance",
            Self::Promotions => "/admin/v1/promotions",
            Self::Promotion => "/admin/v1/promotions/{id}",
            Self::Sellers => "/admin/v1/sellers",
            Self::Seller => "/admin/v1/sellers/{id}",
            Self::SellerDashboard => "/admin/v1/sellers/{id}/dashboard",
            Self::ShippingOptions => "/admin/v1/shipping_options",
            Self::StockLocations => "/admin/v1/stock_locations",
            Self::StockLocation => "/admin/v1/stock_locations/{id}",
            Self::ShippingOption => "/admin/v1/shipping_options/{id}",
            Self::StoreProducts => "/store/v1/products",
            Self::StoreProduct => "/store/v1/products/{id}",
            Self::StoreCategories => "/store/v1/categories",
            Self::Cluster => "/system/v1/cluster",
            Self::NodeDrain => "/system/v1/nodes/{id}/drain",
            Self::NodeResume => "/system/v1/nodes/{id}/resume",
            Self::NodeRemove => "/system/v1/nodes/{id}/remove",
            Self::Shards => "/system/v1/shards",
            Self::ShardTransfer => "/system/v1/shards/{id}/transfer",
            Self::ShardPin => "/system/v1/shards/{id}/pin",
            Self::ShardUnpin => "/system/v1/shards/{id}/unpin",
            Self::Health => "/healthz",
            Self::Readiness => "/readyz",
            Self::Metrics => "/metrics",
            Self::OpenApi => "/openapi.json",
            Self::Docs => "/docs",
            Self::BenchOm => "/bench/om",
            Self::Unmatched => "unmatched",
        }
    }

    /// What a request to this path is worth.
    pub(crate) const fn class(self, verb: Verb) -> Class {
        match (self.worth(), verb) {
            (Class::Vital, _) => Class::Vital,
            (_, Verb::Other) => Class::Browse,
            (class, Verb::Get | Verb::Post | Verb::Put | Verb::Patch | Verb::Delete) => class,
        }
    }

    #[expect(clippy::too_many_lines, reason = "a table of all routes, one a line")]
    const fn worth(self) -> Class {
        match self {
            Self::Health | Self::Readiness | Self::Metrics => Class::Vital,
            Self::Unmatched
            | Self::StoreProducts
            | Self::StoreProduct
            | Self::StoreCategories
            | Self::OpenApi
            | Self::Docs => Class::Browse,
            // To see one's cart is part of filling it, and operators look before they act.
            Self::Carts | Self::Cart | Self::CartItems | Self::CartItem => Class::Cart,
            Self::GiftCardBalance | Self::CartGiftCards | Self::CartGiftCard => Class::Cart,
            Self::CartMerge | Self::CartStream | Self::CartCodes | Self::CartCode => Class::Cart,
            // A provider tries again, yet an order may wait for what it says.
            Self::CartCheckout
            | Self::BenchOm
            | Self::Order
            | Self::OrderTimeline
            | Self::OrderCancel
            | Self::OrderReturns
            | Self::PaymentHook
            | Self::ShippingHook => Class::Checkout,
            // Proved to be an operator's before anything is done for them.
            Self::Cluster
            | Self::NodeDrain
            | Self::NodeResume
            | Self::NodeRemove
            | Self::Shards
            | Self::ShardTransfer
            | Self::ShardPin
            | Self::ShardUnpin
            | Self::Inventory
            | Self::InventoryAdjust
            | Self::InventorySet
            | Self::InventoryTransfer
            | Self::InventoryLocations
            | Self::InventoryPolicy
            | Self::InventoryLowStock
            | Self::InventoryReservations
            | Self::InventoryReservationConfirm
            | Self::InventoryReservationRelease
            | Self::InventoryLedger
            | Self::Payments
            | Self::Payment
            | Self::PaymentCapture
            | Self::PaymentVoid
            | Self::AdminOrders
            | Self::AdminOrder
            | Self::AdminOrderCancel
            | Self::AdminOrderFulfilments
            | Self::AdminOrderDeliver
            | Self::AdminOrderReceiveReturn
            | Self::AdminOrderRefunds
            | Self::AdminOrderNotes
            | Self::AdminOrderVouchers
            | Self::AdminOrderExchanges
            | Self::FraudReviews
            | Self::FraudReviewApprove
            | Self::FraudReviewReject
            | Self::AdminOrderBookParcel
            | Self::AdminProducts
            | Self::AdminProduct
            | Self::AdminProductsBulk
            | Self::Imports
            | Self::Import
            | Self::ImportData
            | Self::ImportErrors
            | Self::ImportCancel
            | Self::Exports
            | Self::Audit
            | Self::AuditHeads
            | Self::Events
            | Self::History
            | Self::StateAt
            | Self::AdminCategories
            | Self::AdminCategory
            | Self::PriceLists
            | Self::PriceList
            | Self::TaxRates
            | Self::TaxRate
            | Self::Promotions
            | Self::Promotion
            | Self::DiscountCodes
            | Self::DiscountCode
            | Self::DiscountCodeUses
            | Self::GiftCards
            | Self::GiftCard
            | Self::GiftCardAdjust
            | Self::GiftCardTerms
            | Self::Sellers
            | Self::Seller
            | Self::SellerDashboard
            | Self::ShippingOptions
            | Self::ShippingOption
            | Self::StockLocations
            | Self::StockLocation => Class::Stock,
        }
    }
}

/// Which operation a request asks for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked {
    pub(crate) endpoint: Endpoint,
    pub(crate) verb: Verb,
}

/// The method of a request, as far as metrics tell methods apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    /// `HEAD` too.
    Get,
    Post,
    Put,
    Patch,
    Delete,
    Other,
}

impl Verb {
    pub(crate) const COUNT: usize = 6;

    pub(crate) fn of(method: &Method) -> Self {
        match method.as_str() {
            "GET" | "HEAD" => Self::Get,
            "POST" => Self::Post,
            "PUT" => Self::Put,
            "PATCH" => Self::Patch,
            "DELETE" => Self::Delete,
            _ => Self::Other,
        }
    }

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
            Self::Other => "other",
        }
    }

    pub(crate) const fn index(self) -> usize {
        self as usize
    }
}

/// What a request is worth when not all can be served; the first is shed first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    Browse,
    Cart,
    /// Whoever pays, and whoever looks after what was paid.
    Checkout,
    /// What operators ask for; only theirs once room is short.
    Stock,
    /// What operators see the overload with.
    Vital,
}

impl Class {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Browse => "browse",
            Self::Cart => "cart",
            Self::Checkout => "checkout",
            Self::Stock => "stock",
            Self::Vital => "vital",
        }
    }

    /// Whether such requests are refused where so much of the room is taken.
    pub(crate) const fn is_shed_at(self, full_percent: usize) -> bool {
        match self {
            Self::Browse => full_percent >= 75,
            Self::Cart => full_percent >= 90,
            Self::Checkout => full_percent >= 97,
            Self::Stock => full_percent >= 100,
            Self::Vital => false,
        }
    }
}
