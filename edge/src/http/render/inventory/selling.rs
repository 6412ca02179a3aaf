//! How a stock is sold, in JSON.

use actors::domain::sku::{Level, Policy};

use crate::http::render::Text;
use crate::http::rfc3339::Rfc3339;
use crate::http::schema::{Schema, maybe, nullable, object, required, word, words};

#[derive(serde::Serialize)]
pub(super) struct PolicyJson {
    kind: &'static str,
    limit: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    available_from: Option<Text<Rfc3339>>,
}

impl PolicyJson {
    /// Nothing where only what is there is sold.
    pub(super) fn new(policy: Policy) -> Option<Self> {
        let (kind, limit, from) = match policy {
            Policy::Deny => return None,
            Policy::Backorder { limit } => ("backorder", limit, None),
            Policy::Preorder { available_from, limit } => ("preorder", limit, available_from),
        };
        let available_from = from.map(|at| Text(Rfc3339(at)));
        Some(Self { kind, limit: limit.map(|limit| limit.get()), available_from })
    }

    pub(super) fn schema() -> Schema {
        object([
            required("kind", word(&["backorder", "preorder"])),
            required("limit", nullable(words::units(20))),
            maybe("available_from", words::instant()).about("From then on it is like any stock."),
        ])
    }
}

#[derive(serde::Serialize)]
pub(super) struct LowStockJson {
    threshold: u32,
    is_low: bool,
}

impl LowStockJson {
    pub(super) fn new(level: &Level) -> Option<Self> {
        let threshold = level.low_stock_at?.get();
        Some(Self { threshold, is_low: level.is_low() })
    }

    pub(super) fn schema() -> Schema {
        object([required("threshold", words::units(5)), required("is_low", Schema::Boolean)])
    }
}
