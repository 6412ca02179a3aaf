//! Everything a stock has as bytes; and that a state which decodes can go on living.

use actors::domain::ids::{OrderId, ReservationId};
use actors::domain::sku::{
    Command, Event, IfUnknown, OrderStep, Policy, Query, Rejection, Reply, Sku, View,
};
use cluster::entity::{Context, Entity, NoCatalogue, Wire};
use cluster::time::Timestamp;

use crate::world::{choosing, choosing_each, chosen};
use crate::{golden, wire};

/// Shard time is past everything in a state, so the last moment fits whatever was decoded.
const LATEST: Timestamp = Timestamp::from_micros(u64::MAX);
const KINDS: u8 = 7;

/// # Panics
/// If a decoder breaks a promise.
pub fn check(bytes: &[u8]) {
    let (choice, bytes) = chosen(bytes);
    match choice {
        0 => wire::value::<Command>(bytes),
        1 => wire::value::<Event>(bytes),
        2 => wire::value::<Rejection>(bytes),
        3 => wire::value::<Query>(bytes),
        4 => wire::value::<View>(bytes),
        5 => wire::value::<Reply>(bytes),
        _ => {
            if let Some(sku) = wire::record::<Sku>(bytes) {
                live_on(&sku);
            }
        }
    }
}

/// Whatever is asked of a decoded stock, its state is one that decodes.
fn live_on(sku: &Sku) {
    let me = Sku::address(&"tea".parse().expect("a sku"));
    let ctx =
        Context { now: LATEST, me: &me, entropy: [7; 32], catalogue: Err(NoCatalogue::Absent) };
    for query in queries() {
        let view = sku.view(query, &ctx);
        assert_eq!(View::from_bytes(&view.to_bytes()), Ok(view));
    }
    wire::goes_on(sku, commands(), &ctx);
}

fn queries() -> [Query; 5] {
    let limit = 100_u32.try_into().expect("a limit");
    let id = ReservationId::from_bytes([0xEE; 16]);
    [
        Query::Level,
        Query::Reservation { id },
        Query::Reservations { after: Some(id), limit },
        Query::Ledger { limit },
        Query::Places,
    ]
}

fn commands() -> Vec<Command> {
    let id = ReservationId::from_bytes([0xEE; 16]);
    let new = ReservationId::from_bytes([0x11; 16]);
    let reason = || "count".to_owned().try_into().expect("a reason");
    let quantity = 3_u32.try_into().expect("a quantity");
    let pieces = 3_u32.try_into().expect("units");
    let order = OrderId::from_bytes([0xCC; 16]);
    vec![
        Command::Adjust { delta: (-2_i64).try_into().expect("a delta"), reason: reason() },
        Command::SetOnHand { on_hand: 9_u32.try_into().expect("units"), reason: reason() },
        Command::Reserve { id: new, quantity, holder: None, expires_at: Some(LATEST) },
        Command::Confirm { id, holder: None },
        Command::Release { id, holder: None, if_unknown: IfUnknown::RefuseItsReserve },
        Command::ExpireDue,
        Command::TellLowStock,
        Command::SetPolicy { policy: Policy::Backorder { limit: None } },
        Command::SetLowStock { threshold: 9_u32.try_into().ok() },
        Command::ForOrder { order, step: OrderStep::Reserve { quantity } },
        Command::ForOrder { order, step: OrderStep::TakeBack { quantity } },
        Command::Transfer { from: "north".parse().ok(), to: None, pieces, reason: reason() },
    ]
}

pub fn seeds() -> Vec<Vec<u8>> {
    let golden = golden::bytes_in(include_str!("../../../actors/src/codec/golden/sku.rs"));
    let mut seeds = choosing_each(KINDS, &golden);
    let me = Sku::address(&"tea".parse().expect("a sku"));
    let ctx =
        Context { now: LATEST, me: &me, entropy: [7; 32], catalogue: Err(NoCatalogue::Absent) };
    for sku in golden.iter().filter_map(|bytes| Sku::from_record(bytes).ok()) {
        seeds.extend(queries().map(|query| choosing(4, &sku.view(query, &ctx).to_bytes())));
        seeds.extend(queries().map(|query| choosing(3, &query.to_bytes())));
    }
    seeds
}
