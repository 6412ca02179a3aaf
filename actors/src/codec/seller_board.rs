//! The bytes of sellers' boards.

use cluster::entity::{DecodeError, Wire};
use serde::{Deserialize, Serialize};

use super::{damaged, encode, latest};
use crate::domain::ids::OrderId;
use crate::domain::money::Currency;
use crate::domain::seller_board::{self, Consignment, SellerBoard, Sums};

const RECORD: &str = "a record of a seller's board";

wire! {
    seller_board::Command: "a command to a seller's board",
    seller_board::Event: "an event of a seller's board",
    seller_board::Rejection: "a rejection of a seller's board",
    seller_board::Query: "a query of a seller's board",
    seller_board::Dashboard: "a seller's dashboard",
}

/// All in order, each key once.
#[derive(Serialize, Deserialize)]
struct RecordV1 {
    open: Vec<(OrderId, Consignment)>,
    waiting: Vec<OrderId>,
    sums: Vec<(Currency, Sums)>,
}

pub(crate) fn to_record(board: &SellerBoard) -> Vec<u8> {
    encode(&RecordV1 {
        open: board.open.iter().map(|(order, it)| (*order, it.clone())).collect(),
        waiting: board.waiting.iter().copied().collect(),
        sums: board.sums.iter().map(|(currency, sums)| (*currency, *sums)).collect(),
    })
}

pub(crate) fn from_record(bytes: &[u8]) -> Result<SellerBoard, DecodeError> {
    let RecordV1 { open, waiting, sums } = latest(RECORD, bytes)?;
    let is_in_order = open.is_sorted_by(|left, right| left.0 < right.0)
        && waiting.is_sorted_by(|left, right| left < right)
        && sums.is_sorted_by(|left, right| left.0 < right.0);
    if !is_in_order {
        return Err(damaged(RECORD, "it is not in order"));
    }
    let board = SellerBoard {
        open: open.into_iter().collect(),
        waiting: waiting.into_iter().collect(),
        sums: sums.into_iter().collect(),
    };
    board.check().map_err(|why| damaged(RECORD, why))?;
    Ok(board)
}
