//! What is wanted of an order that was bought, and what pieces were called off of it.

use std::collections::BTreeMap;

use actors::domain::order::{Cancellation, LineView, ParcelState, StockStatus, View};
use storage::sim_disk::SplitMix64;

use super::super::journal::adds_up;
use super::super::range;
use super::judge::{is_bought, is_still_bought, waiting};
use super::orders::{Deed, Orders, TOO_MANY};
use super::vouchers;

/// Shipments, returns and refunds of an order that anybody asks for, and pieces that are called off.
const PARTS_MAX: u16 = 5;
const WHOLE_ONE_IN: u64 = 6;

/// What is wanted next, as far as anybody knows the order.
pub(super) fn draw(view: &View, order: u64, random: &mut SplitMix64) -> Deed {
    let next = |known: usize| u16::try_from(known + 1).unwrap_or(u16::MAX).min(PARTS_MAX);
    let piece = |number: u16| {
        let nth = pieces(view).nth(usize::from(number) - 1);
        nth.or_else(|| pieces(view).last()).unwrap_or(0)
    };
    let number = next(view.shipments.len());
    let awaited = view.returns.iter().find(|known| known.received_at.is_none());
    let refused = view.parcels.iter().find(|it| matches!(it.state, ParcelState::Refused(_)));
    if let Some(parcel) = refused.filter(|_| random.one_in(3)) {
        return Deed::BookAgain { number: parcel.shipment.0 };
    }
    match (random.below(16), awaited) {
        (0..5, _) => Deed::Fulfil { number, product: piece(number) },
        (5, _) => Deed::Deliver { number: number - 1 },
        (6..8, Some(known)) => Deed::Receive { number: known.number },
        (6..8, None) => {
            let number = next(view.returns.len());
            Deed::AskReturn { number, product: piece(number) }
        }
        (8, _) => Deed::Receive { number: next(view.returns.len()) - 1 },
        (9..12, _) => {
            let number = next(view.refunds.len() - view.credits.len());
            // Of three, one is too many.
            let minor = view.totals.grand.minor / 2 + i64::from(number % 2);
            let minor = minor + i64::from(order.is_multiple_of(5));
            if vouchers::is_voucher(order, number) {
                Deed::RefundToCard { number, minor }
            } else {
                Deed::Refund { number, minor }
            }
        }
        (12, _) => Deed::Cancel,
        (13..15, _) => call_off(view, random),
        (_, _) => Deed::Look,
    }
}

/// One piece of a line, or all that is left of it; of what waits for more seldom only one, which is
/// refused. The last piece of all is called off more seldom than others: that is to cancel the order. Now
/// and then all of a line is, whatever became of it.
fn call_off(view: &View, random: &mut SplitMix64) -> Deed {
    let left = |known: &&LineView| {
        let items = view.cancellations.iter().flat_map(|it| &it.items);
        let cancelled = items.filter(|(sku, _)| *sku == known.line.sku);
        let gone: u32 = cancelled.map(|(_, pieces)| pieces.get()).sum();
        known.line.quantity.get().saturating_sub(gone + known.shipped)
    };
    let asks_for_whole = random.one_in(WHOLE_ONE_IN);
    let bought = view.lines.iter().filter(|line| line.stock != StockStatus::Refused);
    let open: Vec<_> = bought.filter(|line| asks_for_whole || left(line) > 0).collect();
    let nth = random.below(u64::try_from(open.len()).unwrap_or(1).max(1));
    let line = usize::try_from(nth).ok().and_then(|nth| open.get(nth));
    let Some(line) = line.filter(|_| view.cancellations.len() < usize::from(PARTS_MAX)) else {
        return Deed::Look;
    };
    let product = range::number(&line.line.sku).unwrap_or(0);
    if asks_for_whole {
        return Deed::CallOff { product, pieces: line.line.quantity.get() };
    }
    let is_last = open.len() == 1 && left(line) == 1 && view.shipments.is_empty();
    if is_last && !random.one_in(4) {
        return Deed::Look;
    }
    let takes_all = if waiting(line) > 0 { !random.one_in(4) } else { random.one_in(4) };
    let pieces = if takes_all { left(line) } else { 1 };
    Deed::CallOff { product, pieces }
}

/// Pieces of products, one after the other.
fn pieces(view: &View) -> impl Iterator<Item = u64> {
    let bought = view.lines.iter().filter(|line| line.stock != StockStatus::Refused);
    bought.flat_map(|line| {
        let count = usize::try_from(line.line.quantity.get()).unwrap_or(0);
        std::iter::repeat_n(range::number(&line.line.sku).unwrap_or(0), count)
    })
}

impl Orders {
    /// Pieces are called off as often as somebody wanted it. The last of an order that is cancelled by
    /// that are not told apart from it.
    pub(super) fn check_called_off(&self, orders: &BTreeMap<u64, Box<View>>) -> Result<(), String> {
        let fates = self.journal.fates();
        for (order, _) in self.all() {
            let view = orders.get(&order);
            let known = view.iter().flat_map(|view| &view.cancellations);
            let items: Vec<_> = known.filter(is_of_pieces).flat_map(|it| &it.items).collect();
            for product in range::ORDERED {
                let called_off = |deed: &Deed| deed.calls_off(product).map(i64::from);
                let (sure, maybe) = self.journal.added(order, &fates, called_off);
                let ours = items.iter().filter(|(sku, _)| range::number(sku) == Some(product));
                let called_off: i64 = ours.map(|(_, pieces)| i64::from(pieces.get())).sum();
                let is_off = view.is_some_and(|it| is_bought(it) && !is_still_bought(it));
                let most = sure + maybe.iter().sum::<i64>();
                if !(adds_up(called_off - sure, &maybe) || is_off && called_off <= most) {
                    let asked = format!("{sure} and some of {maybe:?} of product {product}");
                    return Err(format!("{asked} were called off of order {order}: {view:?}"));
                }
            }
        }
        Ok(())
    }
}

/// Whether pieces were named, and not all that was left.
pub(super) fn is_of_pieces(cancelled: &&Cancellation) -> bool {
    cancelled.reason.as_str() == TOO_MANY
}
