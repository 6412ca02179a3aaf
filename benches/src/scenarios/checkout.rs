//! Whole checkouts over HTTP: carts of one to five lines, stock, payment, order.
//!
//! **Invariants:** an exchange is the request to check out alone, from its first byte to the 201; carts
//! are filled before it, untimed. How many commits lie behind each other is counted with one client,
//! from the places in the order's shard that the answer names. Nothing else is written there, but what
//! stocks say meanwhile of letting go, which nobody waits for: so it is the least that is seen.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Context as _;
use hyper::StatusCode;
use serde::Serialize;

use crate::arguments::{self, Common};
use crate::figures;
use crate::load::client::{Answer, Caller};
use crate::load::{Measured, User as _, Window, closed};
use crate::machine::Machine;
use crate::peers::folder::Folder;
use crate::peers::omnicart::{self, Omnicart};
use crate::peers::payment_simulator::PaymentSimulator;
use crate::report::{Report, progress};
use crate::scenarios::buyer::{Basket, Buyer};
use crate::shop::PRODUCTS;

/// Pieces in stock: they do not run out.
const PLENTY: u32 = 1_000_000_000;
/// Checkouts whose commits are counted.
const COUNTED: usize = 50;

#[derive(Debug, Serialize)]
struct Figures {
    checkouts_per_second: f64,
    p50_ms: f64,
    p99_ms: f64,
    p50_over_fdatasync_p50: f64,
    fsyncs_per_checkout: f64,
    serial_commits_per_checkout: u64,
    clients: u16,
    errors: u64,
    first_error: Option<String>,
}

pub(crate) async fn run(
    common: &Common,
    asked: &arguments::Checkout,
    folder: &Folder,
    machine: &Machine,
    report: &mut Report,
) -> anyhow::Result<()> {
    let mut errors = 0;
    for provider in ["in_process", "http"] {
        let one = Folder::create(Some(folder.path()))?;
        let simulator = match provider {
            "http" => Some(PaymentSimulator::start(common.omnicart.as_deref(), &one).await?),
            _ => None,
        };
        let built_in = || "--payment-provider=simulator=built-in".to_owned();
        let flag = simulator.as_ref().map_or_else(built_in, PaymentSimulator::flag);
        let server = Omnicart::in_folder(common.omnicart.as_deref(), &one)?;
        let server = server.with_flags(vec![flag]).start().await?;
        stock_up(server.address()).await?;
        let serial_commits = serial_commits(server.address()).await?;
        for clients in &asked.clients {
            progress(&format!("checkout: provider {provider}, {clients} clients"));
            let (address, clients) = (server.address(), clients.get());
            let figures = measure(address, clients, serial_commits, common, machine).await?;
            errors += figures.errors;
            report.add(&format!("{provider}_{clients}"), &figures)?;
        }
    }
    report.add("errors", errors)?;
    report.broken_if(errors > 0);
    Ok(())
}

async fn stock_up(address: SocketAddr) -> anyhow::Result<()> {
    let mut operator = Caller::new(address);
    for (sku, ..) in PRODUCTS {
        operator.send(&omnicart::set_on_hand(sku, PLENTY)?).await?.expect(StatusCode::OK)?;
    }
    Ok(())
}

async fn measure(
    address: SocketAddr,
    clients: u16,
    serial_commits_per_checkout: u64,
    common: &Common,
    machine: &Machine,
) -> anyhow::Result<Figures> {
    let next = Arc::new(AtomicU64::new(u64::from(clients) << 32));
    let buyer = |_| Buyer::new(address, &next, Basket::OneToFive);
    let buyers: Vec<_> = (0..clients).map(buyer).collect();
    let before = omnicart::log_counters(address).await?;
    let first = next.load(Ordering::Relaxed);
    let (_, measured) = closed::run(buyers, Window::of(common.measured())).await;
    let after = omnicart::log_counters(address).await?;
    let done = next.load(Ordering::Relaxed) - first;
    let Measured { latencies, failed, first_failure, .. } = &measured;
    let percentiles = latencies.percentiles();
    Ok(Figures {
        checkouts_per_second: measured.per_second(),
        p50_ms: figures::millis(percentiles.p50_us),
        p99_ms: figures::millis(percentiles.p99_us),
        p50_over_fdatasync_p50: figures::ratio_of(percentiles.p50_us, machine.fdatasync_p50_us),
        fsyncs_per_checkout: figures::ratio_of(after.since(before).syncs, done.max(1)),
        serial_commits_per_checkout,
        clients,
        errors: *failed,
        first_error: first_failure.clone(),
    })
}

/// Entries of the order's own shard from the first one to the one that the answer waits for, and one
/// for the stocks, which are asked between them.
async fn serial_commits(address: SocketAddr) -> anyhow::Result<u64> {
    let mut buyer = Buyer::new(address, &Arc::default(), Basket::OneToFive);
    let mut least = u64::MAX;
    for _ in 0..COUNTED {
        buyer.prepare().await?;
        least = least.min(places(&buyer.check_out().await?)? + 1);
    }
    Ok(least)
}

/// How far the places of an answer are apart, both included.
fn places(answer: &Answer) -> anyhow::Result<u64> {
    let header = answer.headers.get("omni-seq").context("an answer without its place")?;
    let indexes = header.to_str()?.split(',').map(|place| {
        let (_, index) = place.split_once(':').context("a place without an index")?;
        Ok(index.parse()?)
    });
    let indexes = indexes.collect::<anyhow::Result<Vec<u64>>>()?;
    let ends = indexes.iter().min().zip(indexes.iter().max());
    ends.map(|(first, last)| last - first + 1).context("an answer without its places")
}
