//! The routes as values: for metrics, logs, and what is shed first under load.

use axum::http::Method;

/// One path of the API, whatever its parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Endpoint {
    Carts,
    Cart,
    CartItems,
    CartItem,
    CartMerge,
    Inventory,
    InventoryAdjust,
    InventorySet,
    InventoryReservations,
    InventoryReservationConfirm,
    InventoryReservationRelease,
    InventoryLedger,
    Payment,
    PaymentCapture,
    PaymentVoid,
    PaymentHook,
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
    /// Any path without a route.
    Unmatched,
}

impl Endpoint {
    /// As axum's router reads it, and as the label of metrics.
    pub(crate) const fn path(self) -> &'static str {
        match self {
            Self::Carts => "/store/v1/carts",
            Self::Cart => "/store/v1/carts/{id}",
            Self::CartItems => "/store/v1/carts/{id}/items",
            Self::CartItem => "/store/v1/carts/{id}/items/{sku}",
            Self::CartMerge => "/store/v1/carts/{id}/merge",
            Self::Inventory => "/admin/v1/inventory/{sku}",
            Self::InventoryAdjust => "/admin/v1/inventory/{sku}/adjust",
            Self::InventorySet => "/admin/v1/inventory/{sku}/set",
            Self::InventoryReservations => "/admin/v1/inventory/{sku}/reservations",
            Self::InventoryReservationConfirm => {
                "/admin/v1/inventory/{sku}/reservations/{reservation}/confirm"
            }
            Self::InventoryReservationRelease => {
                "/admin/v1/inventory/{sku}/reservations/{reservation}/release"
            }
            Self::InventoryLedger => "/admin/v1/inventory/{sku}/ledger",
            Self::Payment => "/admin/v1/payments/{id}",
            Self::PaymentCapture => "/admin/v1/payments/{id}/capture",
            Self::PaymentVoid => "/admin/v1/payments/{id}/void",
            Self::PaymentHook => "/hooks/payments/{provider}",
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
            Self::Unmatched => "unmatched",
        }
    }

    /// What a request to this path is worth.
    pub(crate) const fn class(self, verb: Verb) -> Class {
        match (self, verb) {
            (Self::Health | Self::Readiness | Self::Metrics, _) => Class::Vital,
            (Self::Unmatched, _) | (_, Verb::Other) => Class::Browse,
            // Proved to be an operator's before anything is done for them, like stock's.
            (
                Self::Cluster
                | Self::NodeDrain
                | Self::NodeResume
                | Self::NodeRemove
                | Self::Shards
                | Self::ShardTransfer
                | Self::ShardPin
                | Self::ShardUnpin,
                Verb::Get | Verb::Post | Verb::Put | Verb::Delete,
            ) => Class::Stock,
            // To see one's cart is part of filling it, and operators look before they act. A
            // provider tries again, yet an order may wait for what it says.
            (
                Self::Carts
                | Self::Cart
                | Self::CartItems
                | Self::CartItem
                | Self::CartMerge
                | Self::PaymentHook,
                Verb::Get | Verb::Post | Verb::Put | Verb::Delete,
            ) => Class::Cart,
            (
                Self::Inventory
                | Self::InventoryAdjust
                | Self::InventorySet
                | Self::InventoryReservations
                | Self::InventoryReservationConfirm
                | Self::InventoryReservationRelease
                | Self::InventoryLedger
                | Self::Payment
                | Self::PaymentCapture
                | Self::PaymentVoid,
                Verb::Get | Verb::Post | Verb::Put | Verb::Delete,
            ) => Class::Stock,
        }
    }
}

/// The method of a request, as far as metrics tell methods apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    /// `HEAD` too.
    Get,
    Post,
    Put,
    Delete,
    Other,
}

impl Verb {
    pub(crate) const COUNT: usize = 5;

    pub(crate) fn of(method: &Method) -> Self {
        match method.as_str() {
            "GET" | "HEAD" => Self::Get,
            "POST" => Self::Post,
            "PUT" => Self::Put,
            "DELETE" => Self::Delete,
            _ => Self::Other,
        }
    }

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Delete => "DELETE",
            Self::Other => "other",
        }
    }

    /// Whether such requests come with a body that is read.
    pub(crate) const fn has_body(self) -> bool {
        match self {
            Self::Post | Self::Put => true,
            Self::Get | Self::Delete | Self::Other => false,
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
            Self::Stock => "stock",
            Self::Vital => "vital",
        }
    }

    /// Whether such requests are refused where so much of the room is taken.
    pub(crate) const fn is_shed_at(self, full_percent: usize) -> bool {
        match self {
            Self::Browse => full_percent >= 75,
            Self::Cart => full_percent >= 90,
            Self::Stock => full_percent >= 100,
            Self::Vital => false,
        }
    }
}
