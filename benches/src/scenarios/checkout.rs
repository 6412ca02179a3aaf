//! Whole checkouts over HTTP: carts of one to five lines, stock, payment, order.
//!
//! **Invariants:** an exchange is the request to check out alone, from its first byte to the 201; carts
//! are filled before it, untimed. How many commits lie behind each other is counted with one client:
//! entries in which the cart began or the payment went on, and with them the order, and one for all
//! stocks. What stocks and lists say meanwhile has entries of its own, which nobody waits for.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Context as _;
use hyper::{Method, StatusCode};
use serde::Serialize;
use serde_json::Value;

use crate::arguments::{self, Common};
use crate::figures;
use crate::load::client::{Answer, Call, Caller};
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
/// The most that is seen.
async fn serial_commits(address: SocketAddr) -> anyhow::Result<u64> {
    let mut buyer = Buyer::new(address, &Arc::default(), Basket::OneToFive);
    let (mut operator, mut most) = (Caller::new(address), 0);
    for _ in 0..COUNTED {
        buyer.prepare().await?;
        let steps = steps(&buyer.check_out().await?, &mut operator).await?;
        // Stocks reserve beside each other, in shards of their own.
        most = most.max(steps + 1);
    }
    Ok(most)
}

/// Entries in which the cart began its checkout, and in which the payment went on, up to its end.
async fn steps(answer: &Answer, operator: &mut Caller) -> anyhow::Result<u64> {
    let header = answer.headers.get("omni-seq").context("an answer without its places")?;
    // The first place is that of what was read in the end; more may have been said by then.
    let begun = header.to_str()?.rsplit(',').next().map(str::to_owned);
    let mut places: BTreeSet<_> = begun.into_iter().collect();
    let order: Value = serde_json::from_slice(&answer.body)?;
    let payment = order.pointer("/payments/0/id").and_then(Value::as_str);
    let payment = payment.context("an order that nobody pays")?;
    let call = Call::new(Method::GET, format!("/admin/v1/payments/{payment}/history"));
    let shown = operator.send(&omnicart::as_operator(call)?).await?.expect(StatusCode::OK)?;
    let history: Value = serde_json::from_slice(&shown.body)?;
    let events = history.get("data").and_then(Value::as_array);
    let events = events.context("a payment without a history")?;
    let place = |event: &Value| Some(event.get("position")?.as_str()?.to_owned());
    places.extend(events.iter().filter_map(place));
    Ok(u64::try_from(places.len())?)
}
