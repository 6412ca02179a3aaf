//! The bytes of orders and of their numbers.

use cluster::entity::{DecodeError, Wire};
use cluster::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::{damaged, encode, encode_with_parts, latest, latest_with_parts};
use crate::domain::ids::{CartAccess, CartId, PaymentId};
use crate::domain::order::{
    self, Existing, Extra, Funds, LineState, Note, Order, Placed, RefundRecord, Return, Settlement,
    Shipment, Stage, Timeline,
};
use crate::domain::order_numbers::{self, OrderNumber, OrderNumbers};
use crate::domain::pricing::{Discount, Totals};

const RECORD: &str = "an order's record";

wire! {
    order::Command: "an order's command",
    order::Event: "an order's event",
    order::Rejection: "an order's rejection",
    order::Query: "an order's query",
    order_numbers::Command: "a command to order numbers",
    order_numbers::Event: "an event of order numbers",
    order_numbers::Rejection: "a rejection of order numbers",
    order_numbers::Query: "a query of order numbers",
    order_numbers::View: "a view of order numbers",
}

impl Wire for order::Lookup {
    fn to_bytes(&self) -> Vec<u8> {
        let discounts = self.0.iter().flat_map(|view| view.discounts.iter().cloned());
        encode_with_parts(self, &discounts.map(Extra::Discount).collect::<Vec<_>>())
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        const WHAT: &str = "an order's view";
        let (mut lookup, parts): (Self, _) = latest_with_parts(WHAT, bytes)?;
        match &mut lookup.0 {
            Some(view) => view.discounts = discounts_of(parts),
            None if parts.is_empty() => {}
            None => return Err(damaged(WHAT, "no order has parts")),
        }
        Ok(lookup)
    }
}

fn discounts_of(parts: Vec<Extra>) -> Vec<Discount> {
    parts.into_iter().map(|Extra::Discount(discount)| discount).collect()
}

#[derive(Serialize, Deserialize)]
struct OrderRecordV1 {
    existing: Option<ExistingV1>,
}

#[derive(Serialize, Deserialize)]
struct ExistingV1 {
    cart: CartId,
    access: CartAccess,
    payment: PaymentId,
    number: Option<OrderNumber>,
    placed: Placed,
    stage: Stage,
    lines: Vec<LineState>,
    totals: Totals,
    money: Funds,
    shipments: Vec<Shipment>,
    returns: Vec<Return>,
    refunds: Vec<RefundRecord>,
    notes: Vec<Note>,
    settlement: Option<Settlement>,
    timeline: Timeline,
    updated_at: Timestamp,
}

pub(crate) fn to_record(order: &Order) -> Vec<u8> {
    let existing = order.existing.as_deref().cloned().map(|order| ExistingV1 {
        cart: order.cart,
        access: order.access,
        payment: order.payment,
        number: order.number,
        placed: order.placed,
        stage: order.stage,
        lines: order.lines,
        totals: order.totals,
        money: order.money,
        shipments: order.shipments,
        returns: order.returns,
        refunds: order.refunds,
        notes: order.notes,
        settlement: order.settlement,
        timeline: order.timeline,
        updated_at: order.updated_at,
    });
    let discounts = order.existing.iter().flat_map(|order| order.discounts.iter().cloned());
    let parts: Vec<_> = discounts.map(Extra::Discount).collect();
    encode_with_parts(&OrderRecordV1 { existing }, &parts)
}

pub(crate) fn from_record(bytes: &[u8]) -> Result<Order, DecodeError> {
    let (OrderRecordV1 { existing }, parts) = latest_with_parts(RECORD, bytes)?;
    if existing.is_none() && !parts.is_empty() {
        return Err(damaged(RECORD, "no order has parts"));
    }
    let existing = existing.map(|record| existing_from(record, parts)).transpose()?;
    Ok(Order { existing: existing.map(Box::new) })
}

fn existing_from(record: ExistingV1, parts: Vec<Extra>) -> Result<Existing, DecodeError> {
    let existing = Existing {
        cart: record.cart,
        access: record.access,
        payment: record.payment,
        number: record.number,
        placed: record.placed,
        stage: record.stage,
        lines: record.lines,
        totals: record.totals,
        money: record.money,
        shipments: record.shipments,
        returns: record.returns,
        refunds: record.refunds,
        notes: record.notes,
        settlement: record.settlement,
        timeline: record.timeline,
        updated_at: record.updated_at,
        discounts: discounts_of(parts),
    };
    existing.check().map_err(|why| damaged(RECORD, why))?;
    Ok(existing)
}

#[derive(Serialize, Deserialize)]
struct NumbersRecordV1 {
    given: u64,
}

pub(crate) fn numbers_to_record(numbers: &OrderNumbers) -> Vec<u8> {
    encode(&NumbersRecordV1 { given: numbers.given })
}

pub(crate) fn numbers_from_record(bytes: &[u8]) -> Result<OrderNumbers, DecodeError> {
    let NumbersRecordV1 { given } = latest("a record of order numbers", bytes)?;
    Ok(OrderNumbers { given })
}
