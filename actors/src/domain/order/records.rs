//! What an order keeps of shipments, returns, refunds and notes.

use std::collections::BTreeMap;

use cluster::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::{ReturnNumber, ShipmentNumber, Side};
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

impl Shipment {
    pub(super) fn sent(
        number: ShipmentNumber,
        items: Vec<(SkuCode, Quantity)>,
        (carrier, tracking): (Label, Label),
        shipped_at: Timestamp,
    ) -> Self {
        Self { number, items, carrier, tracking, shipped_at, delivered_at: None }
    }
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

impl Return {
    pub(super) fn asked(
        number: ReturnNumber,
        items: Vec<(SkuCode, Quantity)>,
        reason: Label,
        asked_at: Timestamp,
    ) -> Self {
        Self { number, items, reason, asked_at, received_at: None }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RefundRecord {
    pub(crate) id: RefundId,
    pub(crate) amount: Money,
    pub(crate) reason: Label,
    pub(crate) state: RefundState,
    pub(crate) at: Timestamp,
}

impl RefundRecord {
    pub(super) fn asked(id: RefundId, amount: Money, reason: &Label, at: Timestamp) -> Self {
        Self { id, amount, reason: reason.clone(), state: RefundState::Asked, at }
    }
}

/// Pieces that were called off before they were sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cancellation {
    pub by: Side,
    pub items: Vec<(SkuCode, Quantity)>,
    /// What was to be paid for them.
    pub amount: Money,
    pub reason: Label,
    pub at: Timestamp,
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

    pub(super) fn plus(mut self, others: Self) -> Self {
        for (sku, count) in others.0 {
            let sum = self.0.entry(sku).or_default();
            *sum = sum.saturating_add(count);
        }
        self
    }

    pub(super) fn are_within(&self, whole: &Self) -> bool {
        self.0.iter().all(|(sku, count)| *count <= whole.of_sku(sku))
    }
}
