//! Durable cart writes over HTTP, against a route that parses the same and stores nothing.
//!
//! **Invariants:** both sides are processes of their own, get the same requests from the same
//! clients, and take turns, so that what disturbs the machine disturbs both.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::num::NonZero;

use hyper::StatusCode;
use serde::Serialize;

use crate::arguments::{self, Common};
use crate::figures;
use crate::load::client::{Call, Caller};
use crate::load::histogram::Percentiles;
use crate::load::{Measured, User, Window, closed, open};
use crate::machine::Machine;
use crate::metrics::LogCounters;
use crate::peers::bare::Bare;
use crate::peers::folder::Folder;
use crate::peers::omnicart::{self, CartHandle, Omnicart};
use crate::report::{Report, progress};
use crate::shop::{LINES, PRODUCTS};

/// A line holds at most 9,999 pieces: a client takes a new cart before the first is that full.
const ADDS_PER_CART: u64 = 9_000 * LINES as u64;

#[derive(Debug, Serialize)]
struct Level {
    per_second: f64,
    bare_per_second: f64,
    ratio: f64,
    /// The ratio of each turn.
    turns: Vec<f64>,
    latency: Percentiles,
    bare_latency: Percentiles,
    errors: u64,
}

#[derive(Debug, Serialize)]
struct OpenLoop {
    asked_per_second: u64,
    per_second: f64,
    latency: Percentiles,
    errors: u64,
}

pub(crate) async fn run(
    common: &Common,
    asked: &arguments::CartWrite,
    folder: &Folder,
    machine: &Machine,
    report: &mut Report,
) -> anyhow::Result<()> {
    let server = Omnicart::in_folder(common.omnicart.as_deref(), folder)?.start().await?;
    let answer_bytes = answer_bytes(server.address()).await?;
    let bare = Bare::start(answer_bytes, folder).await?;
    let contest = Contest {
        ours: server.address(),
        bare: bare.address(),
        turns: asked.turns,
        window: Window::of(common.measured()),
    };
    let mut errors = Errors::default();
    let mut levels = BTreeMap::new();
    let mut largest: Option<Outcome> = None;
    for clients in &asked.clients {
        progress(&format!("cart-write: {clients} clients"));
        let outcome = contest.level(clients.get()).await?;
        errors.note(&outcome.ours);
        errors.note(&outcome.bare);
        levels.insert(clients.get(), outcome.level());
        let is_larger = largest.as_ref().is_none_or(|known| known.clients < clients.get());
        if is_larger {
            largest = Some(outcome);
        }
    }
    for (clients, level) in &levels {
        report.add(&format!("ratio_{clients}"), level.ratio)?;
    }
    if let Some(one) = levels.get(&1) {
        let times = figures::ratio_of(one.latency.p50_us, machine.fdatasync_p50_us);
        report.add("p50_at_1_over_fdatasync", times)?;
    }
    if let Some(largest) = largest {
        let LogCounters { records, syncs } = largest.log;
        report.add("records_per_fsync", figures::ratio_of(records, syncs))?;
        progress("cart-write: open loop");
        let open_loop = contest.open_loop(&largest, &mut errors).await?;
        report.add("open_loop", &open_loop)?;
    }
    report.add("levels", &levels)?;
    report.add("answer_bytes", answer_bytes)?;
    // A client that failed asks no more, so the ratio would be that of another load.
    report.broken_if(errors.count > 0);
    report.add("errors", errors.count)?;
    report.add("first_error", errors.first)
}

#[derive(Default)]
struct Errors {
    count: u64,
    first: Option<String>,
}

impl Errors {
    fn note(&mut self, measured: &Measured) {
        self.count += measured.failed;
        if self.first.is_none() {
            self.first.clone_from(&measured.first_failure);
        }
    }
}

/// Both sides and the rules.
struct Contest {
    ours: SocketAddr,
    bare: SocketAddr,
    turns: NonZero<u16>,
    window: Window,
}

/// What one number of clients came to.
struct Outcome {
    clients: u16,
    ours: Measured,
    bare: Measured,
    turns: Vec<f64>,
    /// What the log did during the windows of ours.
    log: LogCounters,
}

impl Contest {
    async fn level(&self, clients: u16) -> anyhow::Result<Outcome> {
        let mut our_users = users(self.ours, self.ours, clients).await?;
        let mut bare_users = users(self.bare, self.ours, clients).await?;
        let (mut ours, mut bare) = (Measured::nothing(), Measured::nothing());
        let mut log = LogCounters { records: 0, syncs: 0 };
        let mut turns = Vec::new();
        for _ in 0..self.turns.get() {
            let before = omnicart::log_counters(self.ours).await?;
            let (users, ours_now) = closed::run(our_users, self.window).await;
            log = log.plus(omnicart::log_counters(self.ours).await?.since(before));
            our_users = users;
            let (users, bare_now) = closed::run(bare_users, self.window).await;
            bare_users = users;
            turns.push(figures::ratio(ours_now.per_second(), bare_now.per_second()));
            ours.extend(&ours_now);
            bare.extend(&bare_now);
        }
        Ok(Outcome { clients, ours, bare, turns, log })
    }

    async fn open_loop(&self, of: &Outcome, errors: &mut Errors) -> anyhow::Result<OpenLoop> {
        let asked_per_second = of.ours.half_rate();
        let users = users(self.ours, self.ours, of.clients).await?;
        let (_, measured) = open::run(users, asked_per_second, self.window).await?;
        errors.note(&measured);
        Ok(OpenLoop {
            asked_per_second,
            per_second: measured.per_second(),
            latency: measured.latencies.percentiles(),
            errors: measured.failed,
        })
    }
}

impl Outcome {
    fn level(&self) -> Level {
        Level {
            per_second: self.ours.per_second(),
            bare_per_second: self.bare.per_second(),
            ratio: figures::median(&self.turns),
            turns: self.turns.clone(),
            latency: self.ours.latencies.percentiles(),
            bare_latency: self.bare.latencies.percentiles(),
            errors: self.ours.failed + self.bare.failed,
        }
    }
}

/// A client with a cart of its own, adding one piece at a time to one line after another.
struct Shopper {
    caller: Caller,
    /// Who makes carts: the bare side cannot, and is asked about carts that exist elsewhere.
    carts_from: SocketAddr,
    calls: Vec<Call>,
    adds: u64,
}

async fn users(to: SocketAddr, carts: SocketAddr, n: u16) -> anyhow::Result<Vec<Shopper>> {
    let mut users = Vec::with_capacity(usize::from(n));
    for _ in 0..n {
        let calls = new_cart(carts).await?;
        let mut caller = Caller::new(to);
        // One by one: a listener's queue that overflows costs a second, and nobody asked about it.
        caller.connect().await?;
        users.push(Shopper { caller, carts_from: carts, calls, adds: 0 });
    }
    Ok(users)
}

/// Makes a cart with its lines, and the requests that add to each.
async fn new_cart(address: SocketAddr) -> anyhow::Result<Vec<Call>> {
    let mut caller = Caller::new(address);
    let cart = CartHandle::from_answer(caller.send(&omnicart::create_cart()).await?)?;
    let skus = || PRODUCTS.iter().take(LINES).map(|(sku, ..)| *sku);
    caller.send(&cart.add_all(skus())?).await?.expect(StatusCode::OK)?;
    skus().map(|sku| cart.add(sku, 1)).collect()
}

/// How long a typical answer is.
async fn answer_bytes(address: SocketAddr) -> anyhow::Result<usize> {
    let calls = new_cart(address).await?;
    let mut bytes = 0;
    let mut caller = Caller::new(address);
    for call in &calls {
        bytes = caller.send(call).await?.expect(StatusCode::OK)?.body.len();
    }
    Ok(bytes)
}

impl User for Shopper {
    async fn prepare(&mut self) -> anyhow::Result<()> {
        if self.adds >= ADDS_PER_CART {
            self.calls = new_cart(self.carts_from).await?;
            self.adds = 0;
        }
        Ok(())
    }

    async fn exchange(&mut self) -> anyhow::Result<()> {
        let nth = usize::try_from(self.adds)? % LINES;
        let Some(call) = self.calls.get(nth) else {
            unreachable!("there is a request for each line")
        };
        self.adds += 1;
        self.caller.send(call).await?.expect(StatusCode::OK).map(drop)
    }
}
