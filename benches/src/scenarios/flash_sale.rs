//! Many buyers at once for few pieces, on a cluster of three nodes, once more with a node killed.
//!
//! **Invariants:** every buyer asks until there is an answer; in the end as many orders were made, and as
//! many charges stand in the provider's own ledger, as there were pieces, and nothing is reserved.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use hyper::StatusCode;
use serde::Serialize;
use storage::clock;
use tokio::task::JoinSet;

use crate::arguments::{self, Common};
use crate::figures;
use crate::load::client::{Answer, Call, Caller};
use crate::peers::cluster::{Addresses, Cluster, Setup};
use crate::peers::folder::Folder;
use crate::peers::omnicart::{self, CartHandle};
use crate::peers::payment_simulator::PaymentSimulator;
use crate::report::{Report, progress};
use crate::shop::PRODUCTS;

const NODES: usize = 3;
const FORMS_WITHIN: Duration = Duration::from_secs(120);
/// After this no answer is waited for.
const ANSWERED_WITHIN: Duration = Duration::from_secs(120);
const PAUSE: Duration = Duration::from_millis(50);
const ATTEMPT_MAX: Duration = Duration::from_secs(15);
/// Between the first request and the kill.
const KILL_AFTER: Duration = Duration::from_millis(150);

#[derive(Debug, Default, Serialize)]
struct Sale {
    buyers: u64,
    pieces: u64,
    orders: u64,
    refusals: u64,
    /// Answers that are neither.
    others: u64,
    first_other: Option<String>,
    unanswered: u64,
    charges: u64,
    charged_minor: i64,
    /// Payments that the ledger and the orders do not both have with the same sum.
    unmatched: u64,
    reserved_in_the_end: u64,
    on_hand_in_the_end: u64,
    seconds: f64,
}

pub(crate) async fn run(
    common: &Common,
    asked: &arguments::FlashSale,
    folder: &Folder,
    report: &mut Report,
) -> anyhow::Result<()> {
    let program = common.omnicart.as_deref();
    let simulator = PaymentSimulator::start(program, folder).await?;
    let setup = Setup::new(program, folder, &[&simulator.flag()])?;
    let mut cluster = Cluster::new(setup, folder, None).with_logs_asked(asked.logs.as_deref())?;
    cluster.form(NODES, FORMS_WITHIN).await?;
    let mut is_right = true;
    let [(calm, ..), (killed, ..), ..] = PRODUCTS;
    for (name, sku, kills) in [("calm", calm, false), ("with_a_kill", killed, true)] {
        progress(&format!("flash-sale: {name}"));
        let sale = one(&mut cluster, &simulator, asked, sku, kills).await?;
        is_right &= sale.is_right();
        report.add(name, &sale)?;
    }
    report.broken_if(!is_right);
    Ok(())
}

async fn one(
    cluster: &mut Cluster,
    simulator: &PaymentSimulator,
    asked: &arguments::FlashSale,
    sku: &'static str,
    kills: bool,
) -> anyhow::Result<Sale> {
    let (buyers, pieces) = (asked.buyers.get(), asked.pieces.get());
    let addresses = cluster.addresses();
    let until = clock::monotonic() + ANSWERED_WITHIN;
    let set = omnicart::set_on_hand(sku, pieces)?;
    insist(&addresses, 0, &set, until).await.context("no stock is stated")?;
    let mut carts = Vec::new();
    for nth in 0..buyers {
        carts.push(cart_with(&addresses, nth, sku, until).await?);
    }
    let charges_before = charges(simulator).await?;
    let started = clock::monotonic();
    let mut buying = JoinSet::new();
    for (nth, cart) in (0..buyers).zip(carts) {
        let addresses = addresses.clone();
        buying.spawn(async move { buy(&addresses, nth, &cart, until).await });
    }
    if kills {
        tokio::time::sleep(KILL_AFTER).await;
        cluster.kill(0)?;
    }
    let mut sale = Sale { buyers: buyers.into(), pieces: pieces.into(), ..Sale::default() };
    let mut paid = BTreeMap::new();
    while let Some(answer) = buying.join_next().await {
        sale.count(answer??, &mut paid)?;
    }
    sale.seconds = figures::seconds(started.elapsed());
    if kills {
        cluster.start(0)?;
        cluster.ready(0).await?;
    }
    let mut charged = charges(simulator).await?;
    charged.retain(|payment, sum| *sum > 0 && !charges_before.contains_key(payment));
    sale.charges = u64::try_from(charged.len())?;
    sale.charged_minor = charged.values().sum();
    let differ = |(payment, sum): (&String, &i64)| paid.get(payment) != Some(sum);
    let here = charged.iter().filter(|one| differ(*one)).count();
    let there = paid.keys().filter(|payment| !charged.contains_key(*payment)).count();
    sale.unmatched = u64::try_from(here + there)?;
    let look = omnicart::inventory(hyper::Method::GET, sku, "")?;
    // Releases follow the answers.
    while clock::monotonic() < until {
        let answer = insist(&addresses, 0, &look, until).await.context("the stock is silent")?;
        let level: omnicart::StockLevel = answer.expect(StatusCode::OK)?.json()?;
        (sale.reserved_in_the_end, sale.on_hand_in_the_end) = (level.reserved, level.on_hand);
        if level.reserved == 0 {
            break;
        }
        tokio::time::sleep(PAUSE).await;
    }
    Ok(sale)
}

impl Sale {
    fn is_right(&self) -> bool {
        let all = self.orders + self.refusals == self.buyers;
        let sold = self.orders == self.pieces && self.charges == self.pieces;
        let nothing_left = self.reserved_in_the_end + self.on_hand_in_the_end == 0;
        all && sold && nothing_left && self.unmatched == 0
    }

    /// `paid`: what orders say that their payments took.
    fn count(
        &mut self,
        answer: Option<Answer>,
        paid: &mut BTreeMap<String, i64>,
    ) -> anyhow::Result<()> {
        let Some(answer) = answer else {
            self.unanswered += 1;
            return Ok(());
        };
        let json: serde_json::Value = answer.json()?;
        match (answer.status, json.get("code").and_then(|code| code.as_str())) {
            (StatusCode::CREATED, _) => {
                self.orders += 1;
                let payment = json.pointer("/payments/0/id").and_then(|id| id.as_str());
                let sum = json.pointer("/payments/0/captured/amount").and_then(|sum| sum.as_i64());
                let (payment, sum) = payment.zip(sum).context("an order without its payment")?;
                paid.insert(payment.to_owned(), sum);
            }
            (StatusCode::CONFLICT, Some("out_of_stock")) => self.refusals += 1,
            (status, _) => {
                self.others += 1;
                self.first_other.get_or_insert_with(|| format!("{status}: {json}"));
            }
        }
        Ok(())
    }
}

/// What was taken in the end, by payment.
async fn charges(simulator: &PaymentSimulator) -> anyhow::Result<BTreeMap<String, i64>> {
    let moved = simulator.moved().await?.into_iter();
    Ok(moved.map(|(payment, moved)| (payment, moved.captured - moved.refunded)).collect())
}

async fn cart_with(
    addresses: &Addresses,
    nth: u32,
    sku: &str,
    until: Instant,
) -> anyhow::Result<CartHandle> {
    let created = insist(addresses, nth, &omnicart::create_cart(), until).await;
    let cart = CartHandle::from_answer(created.context("no cart is created")?)?;
    let added = insist(addresses, nth, &cart.add(sku, 1)?, until).await;
    added.context("no line is added")?.expect(StatusCode::OK)?;
    Ok(cart)
}

async fn buy(
    addresses: &Addresses,
    nth: u32,
    cart: &CartHandle,
    until: Instant,
) -> anyhow::Result<Option<Answer>> {
    let call = omnicart::keyed(cart.check_out()?, &format!("sale-{}", cart.id))?;
    Ok(insist(addresses, nth, &call, until).await)
}

/// Asks one node after the other until there is an answer that is one.
async fn insist(addresses: &Addresses, nth: u32, call: &Call, until: Instant) -> Option<Answer> {
    let mut turn = usize::try_from(nth).unwrap_or(0);
    while clock::monotonic() < until {
        let all = addresses.all();
        let address = all.get(turn % all.len().max(1)).copied()?;
        turn = turn.wrapping_add(1);
        let mut caller = Caller::new(address);
        let answer = tokio::time::timeout(ATTEMPT_MAX, caller.send(call)).await;
        if let Ok(Ok(answer)) = answer
            && !answer.status.is_server_error()
            && answer.status != StatusCode::ACCEPTED
        {
            return Some(answer);
        }
        tokio::time::sleep(PAUSE).await;
    }
    None
}
