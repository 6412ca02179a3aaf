//! Shoppers who buy, and the shop that calls some orders off and gives some money back; in the end the
//! provider's own ledger is compared with all orders.
//!
//! **Invariants:** a buyer asks until there is an answer, so every order is known; of each payment the
//! ledger and its order say the same was taken and given back, and neither has one that the other lacks.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hyper::{Method, StatusCode};
use serde::Deserialize;
use storage::clock;
use tokio::task::JoinSet;

use super::asker::Asker;
use super::crowd::Manner;
use crate::load::client::{Answer, Call};
use crate::peers::omnicart::{self, CartHandle};
use crate::peers::payment_simulator::{Moved, PaymentSimulator};
use crate::scenarios::random::Random;
use crate::shop::{CURRENCY, PRODUCTS};

/// More than anybody buys.
const PIECES: u32 = 1_000_000;
/// One order in so many is called off, and one gets some of its money back.
const CALLED_OFF_ONE_IN: u64 = 4;
const REFUNDED_ONE_IN: u64 = 3;
/// Less than the cheapest product costs.
const REFUND_MINOR: i64 = 90;
const PAUSE: Duration = Duration::from_millis(100);

pub(super) struct Buyers {
    buying: JoinSet<anyhow::Result<Vec<String>>>,
    stop: Arc<AtomicBool>,
}

/// How the ledger and the orders differ.
pub(super) struct Reconciled {
    pub(super) orders: u64,
    pub(super) charges: u64,
    pub(super) unmatched: u64,
    pub(super) first_unmatched: Option<String>,
}

#[derive(Deserialize)]
struct OrderJson {
    id: String,
    status: String,
    payments: Vec<PaymentJson>,
    refunds: Vec<RefundJson>,
}

#[derive(Deserialize)]
struct PaymentJson {
    id: String,
    status: String,
    captured: Amount,
    refunded: Amount,
}

#[derive(Deserialize)]
struct RefundJson {
    status: String,
}

#[derive(Deserialize)]
struct Amount {
    amount: i64,
}

impl Buyers {
    /// There is enough for everybody first.
    pub(super) async fn start(
        n_buyers: u16,
        manner: &Manner,
        random: &mut Random,
    ) -> anyhow::Result<Self> {
        let mut shop = manner.asker(random.branch());
        for (sku, ..) in PRODUCTS {
            shop.insist(&omnicart::set_on_hand(sku, PIECES)?).await;
        }
        let (stop, mut buying) = (Arc::new(AtomicBool::new(false)), JoinSet::new());
        for _ in 0..n_buyers {
            let (asker, stop) = (manner.asker(random.branch()), Arc::clone(&stop));
            buying.spawn(buy(asker, manner.pause, stop));
        }
        Ok(Self { buying, stop })
    }

    /// Lets everyone end what is under way; the ids of all orders.
    pub(super) async fn stop(mut self) -> anyhow::Result<Vec<String>> {
        self.stop.store(true, Ordering::Relaxed);
        let mut orders = Vec::new();
        while let Some(bought) = self.buying.join_next().await {
            orders.extend(bought??);
        }
        Ok(orders)
    }
}

async fn buy(
    mut asker: Asker,
    pause: Duration,
    stop: Arc<AtomicBool>,
) -> anyhow::Result<Vec<String>> {
    let name = format!("{:016x}{:016x}", asker.random.number(), asker.random.number());
    let mut orders = Vec::new();
    for nth in 0_u64.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let key = |what: &str| format!("{name}-{nth}-{what}");
        let create = omnicart::keyed(omnicart::create_cart(), &key("cart"))?;
        let Some(created) = asker.insist(&create).await else { break };
        let cart = CartHandle::from_answer(created)?;
        let product = usize::try_from(asker.random.within(0..PRODUCTS.len() as u64))?;
        let Some((sku, ..)) = PRODUCTS.get(product) else { break };
        let add = omnicart::keyed(cart.add(sku, 1)?, &key("add"))?;
        let Some(_) = asker.insist(&add).await else { break };
        let check_out = omnicart::keyed(cart.check_out()?, &key("checkout"))?;
        let Some(answer) = asker.insist(&check_out).await else { break };
        let Some(order) = order_of(&answer) else { continue };
        if answer.status == StatusCode::CREATED
            && let Some(call) = after_sale(&mut asker, &order)?
        {
            asker.insist(&omnicart::keyed(call, &key("after"))?).await;
        }
        orders.push(order);
        tokio::time::sleep(pause).await;
    }
    Ok(orders)
}

/// What the shop does with an order that was bought.
fn after_sale(asker: &mut Asker, order: &str) -> anyhow::Result<Option<Call>> {
    let path = format!("/admin/v1/orders/{order}");
    let (path, body) = if asker.random.one_in(CALLED_OFF_ONE_IN) {
        (format!("{path}/cancel"), serde_json::json!({"reason": "called off"}))
    } else if asker.random.one_in(REFUNDED_ONE_IN) {
        let amount = serde_json::json!({"amount": REFUND_MINOR, "currency": CURRENCY});
        (format!("{path}/refunds"), serde_json::json!({"amount": amount, "reason": "broken"}))
    } else {
        return Ok(None);
    };
    omnicart::as_operator(Call::new(Method::POST, path).json(&body)).map(Some)
}

/// Also of a checkout that came to nothing: its order is there all the same.
fn order_of(answer: &Answer) -> Option<String> {
    let path = answer.headers.get("location")?.to_str().ok()?;
    path.rsplit('/').next().map(str::to_owned).filter(|id| id.starts_with("ord_"))
}

/// Waits until every order is at rest, and compares.
pub(super) async fn reconcile(
    orders: Vec<String>,
    simulator: &PaymentSimulator,
    manner: &Manner,
    random: &mut Random,
) -> anyhow::Result<Reconciled> {
    let mut asker = manner.asker(random.branch());
    let mut told = BTreeMap::new();
    let mut unmatched = Vec::new();
    let n_orders = u64::try_from(orders.len())?;
    for order in orders {
        match at_rest(&mut asker, manner, &order).await? {
            Some(OrderJson { payments, .. }) => {
                told.extend(payments.into_iter().map(|payment| {
                    let (captured, refunded) = (payment.captured.amount, payment.refunded.amount);
                    (payment.id, Moved { captured, refunded })
                }));
            }
            None => unmatched.push(format!("{order} does not come to rest")),
        }
    }
    let mut booked = simulator.moved().await?;
    // A payment that nothing was taken of may be in one of them alone.
    told.retain(|_, moved| *moved != Moved::default());
    booked.retain(|_, moved| *moved != Moved::default());
    let charges = u64::try_from(booked.len())?;
    for (payment, moved) in &booked {
        let there = told.remove(payment);
        if there != Some(*moved) {
            unmatched.push(format!("{payment}: the ledger has {moved:?}, its order {there:?}"));
        }
    }
    unmatched.extend(told.iter().map(|(id, moved)| format!("{id}: only its order has {moved:?}")));
    let first_unmatched = unmatched.first().cloned();
    Ok(Reconciled {
        orders: n_orders,
        charges,
        unmatched: u64::try_from(unmatched.len())?,
        first_unmatched,
    })
}

/// An order that nothing is under way for; none when the run is over first.
async fn at_rest(
    asker: &mut Asker,
    manner: &Manner,
    order: &str,
) -> anyhow::Result<Option<OrderJson>> {
    let look = Call::new(Method::GET, format!("/admin/v1/orders/{order}"));
    let look = omnicart::as_operator(look)?;
    while clock::monotonic() < manner.give_up_at {
        let Some(answer) = asker.insist(&look).await else { break };
        // It was told to be, and is not yet.
        if answer.status == StatusCode::OK {
            let json: OrderJson = answer.json()?;
            if json.is_at_rest() {
                anyhow::ensure!(json.id == order, "{} instead of {order}", json.id);
                return Ok(Some(json));
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
    Ok(None)
}

impl OrderJson {
    fn is_at_rest(&self) -> bool {
        let is_called_off = self.status == "cancelled";
        let is_undone = self.payments.iter().all(|payment| {
            let is_given_back = payment.captured.amount == payment.refunded.amount;
            is_given_back && ["cancelled", "refunded"].contains(&payment.status.as_str())
        });
        let is_refunding = self.refunds.iter().any(|refund| refund.status == "pending");
        self.status != "pending" && !is_refunding && (!is_called_off || is_undone)
    }
}
