//! The races that shops on other engines complain about, each by the number of its complaint.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actors::PaymentId;
use actors::domain::payment::{Action, Fact, ProviderAnswer, ProviderRequest};
use axum::http::HeaderMap;
use cluster::time::Timestamp;
use edge::metrics::ProviderMetrics;
use edge::providers::payment::simulator::{Behaviour, InProcess};
use edge::providers::payment::{Notice, PaymentProvider, Providers};
use edge::providers::{NoticeRefused, ProviderFuture};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::watch;

use crate::checkout::{KEY, all_at_once, basket, check_out, expect_stock, terms};
use crate::shop::{Ask, Basket, Shop};

/// A provider that does what it is asked and says so only when it may.
struct Silent {
    inside: InProcess,
    may_answer: watch::Receiver<bool>,
    asked: Arc<Mutex<Vec<ProviderRequest>>>,
}

impl PaymentProvider for Silent {
    fn carry_out(&self, key: String, request: ProviderRequest) -> ProviderFuture<ProviderAnswer> {
        self.asked.lock().unwrap().push(request.clone());
        let done = self.inside.carry_out(key, request);
        let mut may_answer = self.may_answer.clone();
        Box::pin(async move {
            let answer = done.await;
            may_answer.wait_for(|may| *may).await.unwrap();
            answer
        })
    }

    fn look_up(&self, request: ProviderRequest) -> ProviderFuture<Option<ProviderAnswer>> {
        self.inside.look_up(request)
    }

    fn read_notice(
        &self,
        _: &HeaderMap,
        body: &[u8],
        _: Timestamp,
    ) -> Result<Option<Notice>, NoticeRefused> {
        let json: Value = serde_json::from_slice(body).map_err(|_| NoticeRefused::Unreadable)?;
        let payment = json["payment"].as_str().unwrap().parse().unwrap();
        let operation = u32::try_from(json["operation"].as_u64().unwrap()).unwrap();
        let fact = Fact::Done {
            operation: operation.try_into().unwrap(),
            reference: "as_noticed".parse().unwrap(),
            amount: None,
        };
        Ok(Some(Notice { event: "evt_1".parse().unwrap(), payment, fact }))
    }
}

struct Stage {
    shop: Shop,
    may_answer: watch::Sender<bool>,
    asked: Arc<Mutex<Vec<ProviderRequest>>>,
    _folder: TempDir,
}

impl Stage {
    async fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let inside = InProcess::new(folder.path().join("simulator"), Behaviour::default());
        let (may_answer, answers) = watch::channel(true);
        let asked = Arc::default();
        let silent = Silent { inside, may_answer: answers, asked: Arc::clone(&asked) };
        let silent: Arc<dyn PaymentProvider> = Arc::new(silent);
        let all = BTreeMap::from([("simulator".parse().unwrap(), silent)]);
        let providers = Providers::new(all, ProviderMetrics::default());
        let shop = Shop::open_with_payments(providers).await;
        Self { shop, may_answer, asked, _folder: folder }
    }

    /// Waits until so many things were asked of the provider; gives the payment of the last.
    async fn asked(&self, count: usize) -> PaymentId {
        for _ in 0..2_000 {
            let asked = self.asked.lock().unwrap().clone();
            if asked.len() >= count {
                return asked[count - 1].reference.payment;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("the provider is not asked {count} times");
    }

    fn captures(&self) -> usize {
        let asked = self.asked.lock().unwrap();
        let numbers = asked.iter().filter(|one| matches!(one.action, Action::Capture { .. }));
        numbers.map(|one| one.reference).collect::<std::collections::BTreeSet<_>>().len()
    }

    async fn notice(&self, payment: PaymentId, operation: u32) {
        let body = json!({"payment": payment.to_string(), "operation": operation});
        let ask = Ask::post("/hooks/payments/simulator").json(&body);
        let answer = self.shop.send(ask).await;
        assert_eq!(answer.status, 204, "{answer:?}");
    }

    fn check_out(&self, basket: &Basket) -> tokio::task::JoinHandle<crate::shop::Answer> {
        let ask = check_out(basket, KEY, &terms("tok_visa"));
        tokio::spawn(crate::shop::send(self.shop.router.clone(), ask))
    }
}

/// The answer of the checkout and the provider's notices race: captured twice, an order missing or
/// settled three times (medusa#13301, medusa#4798, medusa#14108, mercurjs#1418, saleor#12652,
/// saleor#14648, saleor#17776, saleor#19220, pinelab#620).
#[tokio::test(flavor = "multi_thread")]
async fn notices_that_overtake_the_answer_settle_one_order_once() {
    let stage = Stage::open().await;
    stage.shop.stock("tea", 5).await;
    let basket = basket(&stage.shop, &[("tea", 2)]).await;
    stage.may_answer.send_replace(false);
    let waiting = stage.check_out(&basket);
    let payment = stage.asked(1).await;
    for _ in 0..3 {
        stage.notice(payment, 1).await;
    }
    stage.asked(2).await;
    for _ in 0..3 {
        stage.notice(payment, 2).await;
    }
    // By the notices alone the order is confirmed; the answers come when all is over.
    let answer = waiting.await.unwrap();
    assert_eq!(answer.status, 201, "{answer:?}");
    stage.may_answer.send_replace(true);
    let order = answer.header("location").unwrap().to_owned();
    for _ in 0..20 {
        let json = stage.shop.send(Ask::get(&order).token(&basket.token)).await.json();
        assert_eq!(json["payments"][0]["captured"], json!({"amount": 900, "currency": "EUR"}));
        assert_eq!(json["status"], "confirmed");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(stage.captures(), 1);
    expect_stock(&stage.shop, "tea", (3, 0)).await;
    stage.shop.close().await;
}

/// A run that failed refunds what a run that succeeded has captured (medusa#15527), or a retry meets a
/// payment that is authorised already and cannot go on (medusa#6745).
#[tokio::test(flavor = "multi_thread")]
async fn retries_while_the_provider_is_silent_join_the_one_checkout() {
    let stage = Stage::open().await;
    stage.shop.stock("tea", 5).await;
    let basket = basket(&stage.shop, &[("tea", 2)]).await;
    stage.may_answer.send_replace(false);
    let impatient = check_out(&basket, KEY, &terms("tok_visa")).header("prefer", "wait=0");
    stage.shop.send(impatient).await.problem(409, "idempotency_in_flight");
    let soon = check_out(&basket, KEY, &terms("tok_visa")).header("prefer", "wait=1");
    let pending = stage.shop.send(soon).await;
    assert_eq!((pending.status, &pending.json()["status"]), (202, &json!("pending")));
    let retries: Vec<_> = (0..4).map(|_| stage.check_out(&basket)).collect();
    stage.asked(1).await;
    stage.may_answer.send_replace(true);
    let mut bodies = std::collections::BTreeSet::new();
    for retry in retries {
        let answer = retry.await.unwrap();
        assert_eq!(answer.status, 201, "{answer:?}");
        bodies.insert(answer.body);
    }
    assert_eq!((bodies.len(), stage.captures()), (1, 1));
    expect_stock(&stage.shop, "tea", (3, 0)).await;
    stage.shop.close().await;
}

/// The cart changes while it is checked out, and the order is of other things than were paid for
/// (vendure#2187, medusa#2948).
#[tokio::test(flavor = "multi_thread")]
async fn a_cart_stands_still_while_it_is_checked_out() {
    let stage = Stage::open().await;
    stage.shop.stock("tea", 5).await;
    let one = basket(&stage.shop, &[("tea", 2)]).await;
    stage.may_answer.send_replace(false);
    let waiting = stage.check_out(&one);
    stage.asked(1).await;
    let change = one.item(axum::http::Method::PUT, "tea").json(&json!({"quantity": 5}));
    stage.shop.send(change).await.problem(409, "cart_checking_out");
    let other = check_out(&one, "another-key", &terms("tok_visa"));
    stage.shop.send(other).await.problem(409, "cart_checking_out");
    stage.may_answer.send_replace(true);
    let answer = waiting.await.unwrap();
    assert_eq!(answer.json()["items"][0]["quantity"], 2);
    let again = all_at_once(&stage.shop, vec![check_out(&one, "third", &terms("tok_visa"))]).await;
    again[0].problem(409, "cart_ordered");
    expect_stock(&stage.shop, "tea", (3, 0)).await;
    stage.shop.close().await;
}

/// Every line, promotion or listener makes a change of a cart slower (medusa#2465, medusa#5913,
/// medusa#7244, medusa#10751, nextjs-starter#410, saleor#16750, vendure#226, vendure#3075): here a line is
/// one event, however many others there are, and nobody outside is asked.
#[tokio::test(flavor = "multi_thread")]
async fn a_line_in_a_full_cart_is_one_event_and_asks_nobody() {
    let stage = Stage::open().await;
    let full: Vec<_> = crate::shop::WORDY.iter().map(|sku| (*sku, 1)).collect();
    let basket = basket(&stage.shop, &full).await;
    let before = stage.shop.send(basket.get()).await.json()["seq"].as_u64().unwrap();
    let added = stage.shop.send(basket.add("tea", 1)).await;
    assert_eq!(added.json()["seq"], before + 1);
    assert!(stage.asked.lock().unwrap().is_empty());
    stage.shop.close().await;
}
