//! The bytes of orders and of their numbers.

use cluster::entity::{DecodeError, Wire};
use cluster::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    damaged, encode, encode_second, encode_third, latest, latest_of_three, latest_with_more,
};
use crate::domain::ids::{CartAccess, CartId, PaymentId, RefundId};
use crate::domain::order::{
    self, Cancellation, CancellationView, Existing, Funds, LineState, Listing, Lookup, Note, Order,
    Placed, RefundRecord, Return, Settlement, Shipment, Stage, Timeline,
};
use crate::domain::order_numbers::{self, OrderNumber, OrderNumbers};
use crate::domain::pricing::Totals;

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

/// What the second version of a view has after the first.
#[derive(Serialize)]
struct MoreOfViewV2 {
    cancellations: Vec<CancellationView>,
    credits: Vec<RefundId>,
}

impl Wire for Lookup {
    fn to_bytes(&self) -> Vec<u8> {
        encode_second(self)
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        let nothing = MoreOfViewV2 { cancellations: Vec::new(), credits: Vec::new() };
        latest_with_more("an order's view", bytes, &nothing)
    }
}

#[derive(Deserialize)]
struct OrderRecordV1 {
    existing: Option<ExistingV1>,
}

#[derive(Deserialize)]
struct OrderRecordV2 {
    existing: Option<ExistingV2>,
}

#[derive(Serialize, Deserialize)]
struct OrderRecordV3 {
    existing: Option<ExistingV3>,
}

#[derive(Serialize, Deserialize)]
struct ExistingV2 {
    first: ExistingV1,
    cancellations: Vec<Cancellation>,
    credits: Vec<RefundId>,
}

#[derive(Serialize, Deserialize)]
struct ExistingV3 {
    second: ExistingV2,
    listing: Option<Listing>,
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

impl From<OrderRecordV1> for OrderRecordV2 {
    fn from(OrderRecordV1 { existing }: OrderRecordV1) -> Self {
        let second = |first| ExistingV2 { first, cancellations: Vec::new(), credits: Vec::new() };
        Self { existing: existing.map(second) }
    }
}

impl From<OrderRecordV2> for OrderRecordV3 {
    fn from(OrderRecordV2 { existing }: OrderRecordV2) -> Self {
        Self { existing: existing.map(|second| ExistingV3 { second, listing: None }) }
    }
}

pub(crate) fn to_record(order: &Order) -> Vec<u8> {
    let existing = order.existing.as_deref().cloned().map(existing_to);
    encode_third(&OrderRecordV3 { existing })
}

fn existing_to(order: Existing) -> ExistingV3 {
    let first = ExistingV1 {
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
    };
    let (cancellations, credits) = (order.cancellations, order.credits);
    ExistingV3 { second: ExistingV2 { first, cancellations, credits }, listing: order.listing }
}

pub(crate) fn from_record(bytes: &[u8]) -> Result<Order, DecodeError> {
    let OrderRecordV3 { existing } =
        latest_of_three::<OrderRecordV1, OrderRecordV2, _>(RECORD, bytes)?;
    Ok(Order { existing: existing.map(existing_from).transpose()?.map(Box::new) })
}

fn existing_from(record: ExistingV3) -> Result<Existing, DecodeError> {
    let ExistingV3 { second, listing } = record;
    let ExistingV2 { first: record, cancellations, credits } = second;
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
        cancellations,
        credits,
        listing,
        settlement: record.settlement,
        timeline: record.timeline,
        updated_at: record.updated_at,
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
