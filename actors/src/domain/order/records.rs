//! What an order keeps of shipments, returns, refunds and notes.

use std::collections::BTreeMap;

use cluster::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::{ReturnNumber, ShipmentNumber};
use crate::domain::ids::{RefundId, SkuCode};
use crate::domain::money::Money;
use crate::domain::names::Label;
use crate::domain::quantity::Quantity;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Shipment {
    pub(crate) number: ShipmentNumber,
    pub(crate) items: Vec<(SkuCode, Quantity)>,
    pub(crate) carrier: Label,
    pub(crate) tracking: Label,
    pub(crate) shipped_at: Timestamp,
    pub(crate) delivered_at: Option<Timestamp>,
}

/// Pieces that come back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Return {
    pub(crate) number: ReturnNumber,
    pub(crate) items: Vec<(SkuCode, Quantity)>,
    pub(crate) reason: Label,
    pub(crate) asked_at: Timestamp,
    pub(crate) received_at: Option<Timestamp>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RefundRecord {
    pub(crate) id: RefundId,
    pub(crate) amount: Money,
    pub(crate) reason: Label,
    pub(crate) state: RefundState,
    pub(crate) at: Timestamp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RefundState {
    Asked,
    Done,
    Failed,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Note {
    pub(crate) text: Label,
    pub(crate) at: Timestamp,
}

/// How many of each SKU.
#[derive(Default)]
pub(super) struct Pieces<'a>(BTreeMap<&'a SkuCode, u32>);

impl<'a> Pieces<'a> {
    pub(super) fn of(items: impl Iterator<Item = &'a (SkuCode, Quantity)>) -> Self {
        Self::counted(items.map(|(sku, quantity)| (sku, quantity.get())))
    }

    pub(super) fn counted(items: impl Iterator<Item = (&'a SkuCode, u32)>) -> Self {
        let mut pieces = BTreeMap::new();
        for (sku, count) in items {
            let sum: &mut u32 = pieces.entry(sku).or_default();
            *sum = sum.saturating_add(count);
        }
        Self(pieces)
    }

    pub(super) fn of_sku(&self, sku: &SkuCode) -> u32 {
        self.0.get(sku).copied().unwrap_or(0)
    }

    pub(super) fn are_within(&self, whole: &Self) -> bool {
        self.0.iter().all(|(sku, count)| *count <= whole.of_sku(sku))
    }
}
