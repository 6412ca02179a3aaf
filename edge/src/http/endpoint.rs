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
            (Self::Unmatched, _) | (_, Verb::Get | Verb::Other) => Class::Browse,
            (
                Self::Carts | Self::Cart | Self::CartItems | Self::CartItem | Self::CartMerge,
                Verb::Post | Verb::Put | Verb::Delete,
            ) => Class::Cart,
            (
                Self::Inventory
                | Self::InventoryAdjust
                | Self::InventorySet
                | Self::InventoryReservations
                | Self::InventoryReservationConfirm
                | Self::InventoryReservationRelease
                | Self::InventoryLedger,
                Verb::Post | Verb::Put | Verb::Delete,
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

    pub(crate) const fn index(self) -> usize {
        self as usize
    }
}

/// What a request is worth when not all can be served; the first is shed first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    Browse,
    Cart,
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

    /// From this pressure on, in percent, such requests are refused.
    pub(crate) const fn shed_at_percent(self) -> Option<usize> {
        match self {
            Self::Browse => Some(75),
            Self::Cart => Some(90),
            Self::Stock => Some(100),
            Self::Vital => None,
        }
    }
}
