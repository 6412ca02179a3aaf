//! Everything an order has as bytes; and that a state which decodes can be seen.

use actors::domain::ids::OrderId;
use actors::domain::order::{Command, Event, Lookup, Order, Query, Rejection};
use cluster::entity::{Context, Entity, NoCatalogue, Wire};
use cluster::ids::Slot;
use cluster::time::Timestamp;

use crate::allocation::bounded;
use crate::world::{choosing, choosing_each, chosen};
use crate::{golden, wire};

const NOON: Timestamp = Timestamp::from_micros(0x0506_0708);
const KINDS: u8 = 6;

/// # Panics
/// If a decoder breaks a promise.
pub fn check(bytes: &[u8]) {
    let (choice, bytes) = chosen(bytes);
    match choice {
        0 => wire::value::<Command>(bytes),
        1 => wire::value::<Event>(bytes),
        2 => wire::value::<Rejection>(bytes),
        3 => wire::value::<Query>(bytes),
        // Of these there are older forms, which are written anew.
        4 => {
            if let Ok(view) = bounded(bytes.len(), wire::FIXED_BYTES, || Lookup::from_bytes(bytes))
            {
                assert_eq!(Lookup::from_bytes(&view.to_bytes()), Ok(view));
            }
        }
        _ => {
            if let Ok(order) = bounded(bytes.len(), wire::FIXED_BYTES, || Order::from_record(bytes))
            {
                assert_eq!(Order::from_record(&order.to_record()).as_ref(), Ok(&order));
                see(&order);
            }
        }
    }
}

/// What is seen of an order, as bytes which decode.
fn see(order: &Order) -> Vec<u8> {
    let me = Order::address(OrderId::in_slot(Slot::from_bits(1), [7; 14]));
    let catalogue = Err(NoCatalogue::Absent);
    let ctx = Context { now: NOON, me: &me, entropy: [7; 32], catalogue };
    let view = order.view(Query::Order, &ctx);
    let bytes = view.to_bytes();
    assert_eq!(Lookup::from_bytes(&bytes), Ok(view));
    bytes
}

pub fn seeds() -> Vec<Vec<u8>> {
    let values = golden::bytes_in(include_str!("../../../actors/src/codec/golden/order.rs"));
    let records =
        golden::records_in(include_str!("../../../actors/src/codec/golden/order_records.rs"));
    let paid = golden::records_in(include_str!("../../../actors/src/codec/golden/gift_cards.rs"));
    let mut seeds = choosing_each(KINDS, &values);
    for record in records.into_iter().chain(paid) {
        if let Ok(order) = Order::from_record(&record) {
            seeds.push(choosing(4, &see(&order)));
        }
        seeds.push(choosing(KINDS - 1, &record));
    }
    seeds
}
