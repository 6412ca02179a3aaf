//! Reservations on one SKU, each followed by its confirmation, and whole checkouts of it.
//!
//! **Invariants:** what was acknowledged and what the SKU says at the end are compared piece by
//! piece, after every part.

mod checkout;
mod fabric;
mod http;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use actors::ReservationId;
use serde::Serialize;

use crate::arguments::{self, Common};
use crate::load::{Measured, Window};
use crate::peers::folder::Folder;
use crate::report::Report;

/// Pieces in stock where the stock is not to run out.
const PLENTY: u32 = 1_000_000_000;
/// Pieces in stock where it is to be sold to the last.
const FEW: u32 = 5_000;

/// What buyers were told, all together.
#[derive(Debug, Default)]
struct Tally {
    reserved: AtomicU64,
    confirmed: AtomicU64,
    refused: AtomicU64,
}

/// What one part came to.
struct Part {
    measured: Measured,
    oversold: u64,
}

#[derive(Debug, Serialize)]
struct SellOut {
    stock: u32,
    sold: u64,
    refused: u64,
    oversold: u64,
}

impl Tally {
    fn confirmed(&self) -> u64 {
        self.confirmed.load(Ordering::Relaxed)
    }

    /// By how many pieces the stock differs from what was acknowledged; zero is right.
    fn difference(&self, stock: u32, on_hand: u64, reserved: u64) -> u64 {
        let open = self.reserved.load(Ordering::Relaxed).abs_diff(self.confirmed());
        let left = i128::from(stock) - i128::from(self.confirmed());
        let missing = (left - i128::from(on_hand)).unsigned_abs();
        u64::try_from(missing).unwrap_or(u64::MAX).saturating_add(open.abs_diff(reserved))
    }
}

/// Draws reservation ids that no other buyer draws.
struct Ids {
    buyer: u64,
    nth: u64,
}

impl Ids {
    fn next(&mut self) -> ReservationId {
        self.nth += 1;
        ReservationId::from_bytes(
            (u128::from(self.buyer) << 64 | u128::from(self.nth)).to_be_bytes(),
        )
    }
}

pub(crate) async fn run(
    common: &Common,
    asked: &arguments::HotSku,
    folder: &Folder,
    report: &mut Report,
) -> anyhow::Result<()> {
    let window = Window::of(common.measured());
    let clients = asked.clients.get();
    let (within, sell_out) = fabric::run(&folder.join("in-process"), clients, window).await?;
    let over_http = http::run(common, folder, clients, window).await?;
    let bought =
        checkout::run(common, &Folder::create(Some(folder.path()))?, clients, window).await?;
    report.add("per_second", within.measured.per_second())?;
    report.add("per_second_http", over_http.measured.per_second())?;
    report.add("checkouts_per_second", bought.measured.per_second())?;
    let parts = within.oversold + over_http.oversold + bought.oversold;
    let oversold = parts + sell_out.oversold;
    report.add("oversold", oversold)?;
    report.broken_if(oversold > 0);
    let errors = within.measured.failed + over_http.measured.failed + bought.measured.failed;
    report.add("errors", errors)?;
    // A client that failed asks no more, so the rates would be those of another load.
    report.broken_if(errors > 0);
    let first = within.measured.first_failure.or(over_http.measured.first_failure);
    report.add("first_error", first.or(bought.measured.first_failure))?;
    report.add("latency", within.measured.latencies.percentiles())?;
    report.add("latency_http", over_http.measured.latencies.percentiles())?;
    report.add("latency_checkout", bought.measured.latencies.percentiles())?;
    report.add("sell_out", &sell_out)?;
    report.add("clients", clients)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_piece_is_accounted_for() {
        let tally = Tally::default();
        tally.reserved.store(7, Ordering::Relaxed);
        tally.confirmed.store(5, Ordering::Relaxed);
        assert_eq!(tally.difference(100, 95, 2), 0);
        // A piece that was acknowledged and not taken, taken and not acknowledged, sold twice.
        assert_eq!(tally.difference(100, 96, 2), 1);
        assert_eq!(tally.difference(100, 94, 2), 1);
        assert_eq!(tally.difference(100, 95, 3), 1);
        assert_eq!(tally.difference(4, 0, 0), 3);
    }

    #[test]
    fn ids_of_buyers_differ() {
        let (mut one, mut other) = (Ids { buyer: 1, nth: 0 }, Ids { buyer: 2, nth: 0 });
        let ids = [one.next(), one.next(), other.next(), other.next()];
        let distinct: std::collections::BTreeSet<_> = ids.into_iter().collect();
        assert_eq!(distinct.len(), 4);
    }
}
