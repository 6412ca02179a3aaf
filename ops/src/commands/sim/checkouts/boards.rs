//! Sellers' boards, at rest: they count each order that was ever confirmed as what it is.

use std::collections::BTreeMap;

use actors::domain::names::SellerId;
use actors::domain::order::{Status, StockStatus, View};
use actors::domain::seller_board::{Dashboard, Query, Sum};
use actors::{OrderId, Quantity, SellerBoard, SkuCode};
use cluster::entity::Wire;
use cluster::shard::io::{Freshness, Reply};
use cluster::sim::client::{Finished, Wish};
use cluster::sim::workload::Operation;

use super::super::journal::Read;
use super::super::range;
use super::judge::is_bought;

#[derive(Default)]
pub(super) struct Boards {
    audits: BTreeMap<u64, SellerId>,
    seen: BTreeMap<SellerId, Dashboard>,
}

/// What one order is to a seller.
struct Share {
    is_open: bool,
    sum: Sum,
}

impl Boards {
    pub(super) fn audit(&mut self, op: u64, seller: SellerId) -> Operation {
        let entity = SellerBoard::address(&seller);
        self.audits.insert(op, seller);
        let (freshness, body) = (Freshness::Latest, Query::Dashboard.to_bytes());
        Operation { entity, wish: Wish::Query { freshness, at_least: 0, body } }
    }

    pub(super) fn has(&self, op: u64) -> bool {
        self.audits.contains_key(&op)
    }

    pub(super) fn finish(&mut self, finished: &Finished) -> Result<(), String> {
        let Some(seller) = self.audits.get(&finished.op) else { return Ok(()) };
        match &finished.reply {
            Some(Reply::Viewed { view, .. }) => {
                self.seen.insert(seller.clone(), Dashboard::read(view)?);
                Ok(())
            }
            other => Err(format!("the board of {seller} does not say what it shows: {other:?}")),
        }
    }

    pub(super) fn check(&self, orders: &BTreeMap<OrderId, &View>) -> Result<(), String> {
        for seller in range::sellers() {
            let board = self.seen.get(&seller);
            let board = board.ok_or_else(|| format!("nobody looked at the board of {seller}"))?;
            let (mut open, mut ended) = (Sum::default(), Sum::default());
            let mut listed = Vec::new();
            for (id, view) in orders {
                let Some(share) = share(view, &seller) else { continue };
                let sum = if share.is_open { &mut open } else { &mut ended };
                sum.orders += share.sum.orders;
                sum.pieces += share.sum.pieces;
                sum.amount += share.sum.amount;
                listed.extend(share.is_open.then_some(*id));
            }
            let told = board.sums.first().map(|(_, sums)| *sums).unwrap_or_default();
            let mut shown: Vec<_> = board.open.iter().map(|(id, _)| *id).collect();
            shown.sort_unstable();
            if (told.open, told.ended) != (open, ended) || shown != listed {
                let so = format!("{open:?}, {ended:?} with {listed:?}");
                return Err(format!("the board of {seller} shows {told:?} with {shown:?}: {so}"));
            }
        }
        Ok(())
    }
}

/// Nothing before an order is confirmed, or of one that has none of the seller's lines.
fn share(view: &View, seller: &SellerId) -> Option<Share> {
    if !is_bought(view) {
        return None;
    }
    let is_off = matches!(view.status, Status::Cancelling | Status::Cancelled);
    let is_ours = |sku: &SkuCode| range::seller_of(sku).as_ref() == Some(seller);
    let lines = || view.lines.iter().filter(|line| is_ours(&line.line.sku));
    let bought = || lines().filter(|line| line.stock != StockStatus::Refused);
    bought().next()?;
    let cancelled = |sku: &SkuCode| -> u32 {
        let items = view.cancellations.iter().flat_map(|known| &known.items);
        items.filter(|(known, _)| known == sku).map(|(_, n)| n.get()).sum()
    };
    let ours = |items: &[(SkuCode, Quantity)]| -> u32 {
        items.iter().filter(|(sku, _)| is_ours(sku)).map(|(_, n)| n.get()).sum()
    };
    let there = view.shipments.iter().filter(|known| known.delivered_at.is_some());
    let there: u32 = there.map(|known| ours(&known.items)).sum();
    let back = view.returns.iter().filter(|known| known.received_at.is_some());
    let back: u32 = back.map(|known| ours(&known.items)).sum();
    let (mut pieces, mut amount) = (0, 0);
    for line in bought() {
        let (whole, gone) = (line.line.quantity.get(), cancelled(&line.line.sku));
        let paid = line.line.line_total.minor - line.line.discount.minor;
        let kept = whole.saturating_sub(gone);
        pieces += kept;
        // Halves of a minor unit count as a whole.
        amount += (2 * paid * i64::from(kept) + i64::from(whole)) / (2 * i64::from(whole));
    }
    if is_off {
        (pieces, amount) = (0, 0);
    }
    let is_open = view.status == Status::Cancelling || !is_off && there.max(back) < pieces;
    let sum = Sum { orders: 1, pieces: pieces.into(), amount };
    Some(Share { is_open, sum })
}
