//! The bytes of what is counted of discount codes.

use std::collections::{BTreeSet, VecDeque};

use cluster::entity::{DecodeError, Wire};
use cluster::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::{damaged, encode, latest};
use crate::domain::code_uses::{CodeUses, Command, Event, Query, Rejection, View};
use crate::domain::endings::Endings;
use crate::domain::ids::OrderId;

const RECORD: &str = "a record of a code's uses";

wire! {
    Command: "a command to a code's uses",
    Event: "an event of a code's uses",
    Rejection: "a rejection of a code's uses",
    Query: "a query of a code's uses",
    View: "a view of a code's uses",
}

#[derive(Serialize, Deserialize)]
struct UsesRecordV1 {
    used: u32,
    held: Vec<OrderId>,
    ended: Vec<(OrderId, Timestamp)>,
}

pub(crate) fn to_record(uses: &CodeUses) -> Vec<u8> {
    encode(&UsesRecordV1 {
        used: uses.used,
        held: uses.held.iter().copied().collect(),
        ended: uses.ended.iter().collect(),
    })
}

pub(crate) fn from_record(bytes: &[u8]) -> Result<CodeUses, DecodeError> {
    let UsesRecordV1 { used, held, ended } = latest(RECORD, bytes)?;
    if held.len() > CodeUses::HELD_MAX || ended.len() > Endings::MAX {
        return Err(damaged(RECORD, "a code is held by too many"));
    }
    if !held.is_sorted_by(|left, right| left < right) || !ended.is_sorted_by_key(|(_, at)| *at) {
        return Err(damaged(RECORD, "the holders of a code are not in order"));
    }
    let held = BTreeSet::from_iter(held);
    let names: BTreeSet<_> = ended.iter().map(|(order, _)| order).collect();
    if names.len() < ended.len() || names.iter().any(|order| held.contains(order)) {
        return Err(damaged(RECORD, "an order has a use of a code twice"));
    }
    Ok(CodeUses { used, held, ended: Endings(VecDeque::from(ended)) })
}
