//! Payments as operators and providers see them, with the simulator inside.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use actors::domain::payment::{
    Action, Command, Fact, Outcome, PaymentMethod, ProviderAnswer, ProviderRequest,
};
use actors::{Currency, Money, OrderId, Payment, PaymentId, RefundId};
use axum::body::Body;
use axum::http::HeaderMap;
use cluster::fabric::{Envelope, Precondition};
use cluster::ids::Slot;
use cluster::runtime::ports::InDoubt;
use cluster::time::{Span, Timestamp};
use edge::metrics::PaymentMetrics;
use edge::providers::payment::simulator::{Behaviour, InProcess};
use edge::providers::payment::{Notice, NoticeRefused, PaymentProvider, ProviderFuture, Providers};
use serde_json::{Value, json};
use storage::clock;
use tempfile::TempDir;
use tokio::sync::watch;

use crate::shop::{Ask, Shop};

/// The simulator, with notices that are signed by one word.
struct Noticing(InProcess);

impl PaymentProvider for Noticing {
    fn carry_out(&self, key: String, request: ProviderRequest) -> ProviderFuture<ProviderAnswer> {
        self.0.carry_out(key, request)
    }

    fn look_up(&self, request: ProviderRequest) -> ProviderFuture<Option<ProviderAnswer>> {
        self.0.look_up(request)
    }

    fn read_notice(
        &self,
        headers: &HeaderMap,
        body: &[u8],
        _: Timestamp,
    ) -> Result<Option<Notice>, NoticeRefused> {
        if headers.get("x-signed").is_none() {
            return Err(NoticeRefused::BadSignature);
        }
        let text = std::str::from_utf8(body).map_err(|_| NoticeRefused::Unreadable)?;
        let payment = text.parse().map_err(|_| NoticeRefused::Unreadable)?;
        let fact = Fact::Refused { operation: 1.try_into().unwrap() };
        Ok(Some(Notice { event: "evt_1".parse().unwrap(), payment, fact }))
    }
}

/// Says nothing while it is silent; refunds take their time.
#[derive(Clone, Default)]
struct Moody {
    silence: watch::Sender<bool>,
}

impl PaymentProvider for Moody {
    fn carry_out(&self, _: String, request: ProviderRequest) -> ProviderFuture<ProviderAnswer> {
        let mut silence = self.silence.subscribe();
        Box::pin(async move {
            silence.wait_for(|silent| !silent).await.unwrap();
            let reference = format!("op_{}", request.reference).parse().unwrap();
            let is_refund = matches!(request.action, Action::Refund { .. });
            let outcome = if is_refund {
                Outcome::Pending { reference }
            } else {
                Outcome::Done { reference }
            };
            Ok(ProviderAnswer { operation: request.reference.number, outcome })
        })
    }

    fn look_up(&self, _: ProviderRequest) -> ProviderFuture<Option<ProviderAnswer>> {
        Box::pin(async { Err(InDoubt("it hears nothing".to_owned())) })
    }

    /// `<payment> <operation>`: that it is done.
    fn read_notice(
        &self,
        _: &HeaderMap,
        body: &[u8],
        _: Timestamp,
    ) -> Result<Option<Notice>, NoticeRefused> {
        let text = std::str::from_utf8(body).map_err(|_| NoticeRefused::Unreadable)?;
        let (payment, number) = text.split_once(' ').ok_or(NoticeRefused::Unreadable)?;
        let operation = number.parse::<u32>().unwrap().try_into().unwrap();
        let fact = Fact::Done { operation, reference: "late".parse().unwrap(), amount: None };
        let (event, payment) = ("evt_1".parse().unwrap(), payment.parse().unwrap());
        Ok(Some(Notice { event, payment, fact }))
    }
}

async fn open_with(provider: impl PaymentProvider) -> Shop {
    let provider: Arc<dyn PaymentProvider> = Arc::new(provider);
    let all = BTreeMap::from([("simulator".parse().unwrap(), provider)]);
    Shop::open_with_payments(Providers::new(all, PaymentMetrics::default())).await
}

async fn open_moody() -> (Shop, Moody) {
    let moody = Moody::default();
    (open_with(moody.clone()).await, moody)
}

/// The ids of one page of payments in doubt, and where the next one begins.
async fn doubts(shop: &Shop, query: &str) -> (Vec<String>, Option<String>) {
    let path = format!("/admin/v1/payments?status=in_doubt{query}");
    let shown = shop.send(Ask::get(path).operator()).await;
    assert_eq!(shown.status, 200, "{shown:?}");
    let json = shown.json();
    let ids = json["data"].as_array().unwrap().iter().map(|payment| {
        assert_eq!(payment["under_way"]["operation"], "authorise");
        payment["id"].as_str().unwrap().to_owned()
    });
    (ids.collect(), json["next_cursor"].as_str().map(str::to_owned))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_silent_provider_leaves_in_doubt_is_listed_on_every_shard() {
    let (shop, moody) = open_moody().await;
    assert_eq!(doubts(&shop, "").await, (vec![], None));
    moody.silence.send_replace(true);
    let mut asked = BTreeSet::new();
    for number in 0..5 {
        // Shards own neighbouring slots.
        let slot = Slot::from_bits(u16::from(number) * 13_000);
        asked.insert(payment_in(&shop, slot, number, "tok_visa").await.to_string());
    }
    let (all, next) = doubts(&shop, "").await;
    assert_eq!((BTreeSet::from_iter(all.clone()), next), (asked, None));
    let mut pages = Vec::new();
    let mut after = String::new();
    loop {
        let (page, next) = doubts(&shop, &format!("&limit=2{after}")).await;
        assert!(page.len() <= 2);
        pages.extend(page);
        let Some(next) = next else { break };
        after = format!("&after={next}");
    }
    assert_eq!(pages, all);
    for bad in ["", "?status=open", "?status=in_doubt&after=x"] {
        let path = format!("/admin/v1/payments{bad}");
        assert_eq!(shop.send(Ask::get(path).operator()).await.status, 422, "{bad}");
    }
    let path = "/admin/v1/payments?status=in_doubt";
    assert_eq!(shop.send(Ask::get(path)).await.status, 401);
    moody.silence.send_replace(false);
    for id in &all {
        settled(&shop, id.parse().unwrap(), "authorised").await;
    }
    assert_eq!(doubts(&shop, "").await, (vec![], None));
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refund_is_pending_until_a_notice_says_that_it_is_done() {
    let (shop, _moody) = open_moody().await;
    let id = payment(&shop, 7, "tok_visa").await;
    settled(&shop, id, "authorised").await;
    let body = json!({"amount": {"amount": 100, "currency": "EUR"}});
    let capture = Ask::post(format!("{}/capture", path(id))).operator().key("one").json(&body);
    assert_eq!(shop.send(capture).await.status, 200);
    settled(&shop, id, "captured").await;
    execute(&shop, id, Command::Refund { refund: RefundId::from_bytes([1; 16]), amount: euro(40) })
        .await;
    let json = settled(&shop, id, "captured").await;
    let refund = &json["refunds"][0];
    assert_eq!((&refund["status"], &json["refunded"]["amount"]), (&json!("pending"), &json!(0)));
    let notice = || Ask::post("/hooks/payments/simulator").body(Body::from(format!("{id} 3")));
    for _ in 0..2 {
        assert_eq!(shop.send(notice()).await.status, 204);
    }
    let json = settled(&shop, id, "partially_refunded").await;
    assert_eq!(json["refunds"][0]["status"], "done");
    assert_eq!(json["refunded"]["amount"], 40);
    shop.close().await;
}

async fn open() -> (Shop, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let simulator = InProcess::new(folder.path().join("simulator"), Behaviour::default());
    (open_with(Noticing(simulator)).await, folder)
}

fn euro(minor: i64) -> Money {
    Money { minor, currency: Currency::EURO }
}

/// A payment of 100 that was asked to be authorised with a token.
async fn payment(shop: &Shop, number: u8, token: &str) -> PaymentId {
    payment_in(shop, Slot::from_bits(7), number, token).await
}

async fn payment_in(shop: &Shop, slot: Slot, number: u8, token: &str) -> PaymentId {
    let id = PaymentId::in_slot(slot, [number; 14]);
    let order = OrderId::in_slot(slot, [number; 14]);
    let method =
        PaymentMethod { provider: "simulator".parse().unwrap(), token: token.parse().unwrap() };
    let open = Command::Open { order, amount: euro(100), method };
    for command in [open, Command::Authorise] {
        execute(shop, id, command).await;
    }
    id
}

async fn execute(shop: &Shop, id: PaymentId, command: Command) {
    let now = Timestamp::from_micros(clock::wall_micros());
    let envelope = Envelope {
        deadline: now.plus(Span::from_secs(10)),
        key: None,
        precondition: Precondition::None,
    };
    shop.fabric().execute::<Payment>(id.key(), envelope, command).await.unwrap();
}

fn path(id: PaymentId) -> String {
    format!("/admin/v1/payments/{id}")
}

/// What a payment looks like once it has this status.
async fn settled(shop: &Shop, id: PaymentId, status: &str) -> Value {
    for _ in 0..1_000 {
        let shown = shop.send(Ask::get(path(id)).operator()).await;
        assert_eq!(shown.status, 200, "{shown:?}");
        let json = shown.json();
        if json["status"] == status && json["under_way"].is_null() {
            return json;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("payment {id} is never {status}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_captures_in_parts_and_once_per_key() {
    let (shop, _folder) = open().await;
    let id = payment(&shop, 1, "tok_visa").await;
    settled(&shop, id, "authorised").await;
    let capture = |key: &str, minor: i64| {
        let body = json!({"amount": {"amount": minor, "currency": "EUR"}});
        Ask::post(format!("{}/capture", path(id))).operator().key(key).json(&body)
    };
    let unkeyed = json!({"amount": {"amount": 1, "currency": "EUR"}});
    let unkeyed = Ask::post(format!("{}/capture", path(id))).operator().json(&unkeyed);
    assert_eq!(shop.send(unkeyed).await.json()["code"], "idempotency_key_required");
    let first = shop.send(capture("one", 60)).await;
    assert_eq!(first.status, 200, "{first:?}");
    let again = shop.send(capture("one", 60)).await;
    assert_eq!(again.body, first.body);
    let json = settled(&shop, id, "partially_captured").await;
    assert_eq!(json["captured"], json!({"amount": 60, "currency": "EUR"}));
    let too_much = shop.send(capture("two", 41)).await;
    assert_eq!((too_much.status, &too_much.json()["code"]), (409, &json!("capture_too_large")));
    assert_eq!(shop.send(capture("three", 40)).await.status, 200);
    let json = settled(&shop, id, "captured").await;
    assert_eq!(json["captures"].as_array().unwrap().len(), 2);
    let void = Ask::post(format!("{}/void", path(id))).operator().key("four");
    assert_eq!(shop.send(void).await.json()["code"], "payment_captured");
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_in_doubt_is_asked_again_and_a_void_waits_for_it() {
    let (shop, _folder) = open().await;
    let late = payment(&shop, 2, "tok_late_success").await;
    let void = Ask::post(format!("{}/void", path(late))).operator().key("one");
    let asked = shop.send(void).await;
    assert_eq!(asked.status, 200, "{asked:?}");
    settled(&shop, late, "cancelled").await;
    let lost = payment(&shop, 3, "tok_timeout").await;
    settled(&shop, lost, "authorised").await;
    let declined = payment(&shop, 4, "tok_insufficient_funds").await;
    let json = settled(&shop, declined, "declined").await;
    assert_eq!(json["declined"], "there is not enough money");
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn notices_are_taken_from_known_providers_alone() {
    let (shop, _folder) = open().await;
    let id = payment(&shop, 5, "tok_visa").await;
    let hook = |provider: &str, body: &str| {
        Ask::post(format!("/hooks/payments/{provider}")).body(Body::from(body.to_owned()))
    };
    let signed = |ask: Ask| ask.header("x-signed", "yes");
    let sent = shop.send(hook("simulator", &id.to_string())).await;
    assert_eq!((sent.status, &sent.json()["code"]), (401, &json!("notice_not_signed")));
    assert_eq!(shop.send(signed(hook("simulator", &id.to_string()))).await.status, 204);
    assert_eq!(shop.send(signed(hook("simulator", &id.to_string()))).await.status, 204);
    assert_eq!(shop.send(signed(hook("simulator", "nonsense"))).await.status, 400);
    assert_eq!(shop.send(signed(hook("nobody", &id.to_string()))).await.status, 404);
    let elsewhere = PaymentId::in_slot(Slot::from_bits(9), [9; 14]).to_string();
    assert_eq!(shop.send(signed(hook("simulator", &elsewhere))).await.status, 202);
    let large = "x".repeat(70_000);
    assert_eq!(shop.send(signed(hook("simulator", &large))).await.status, 413);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn payments_are_shown_to_operators_alone() {
    let (shop, _folder) = open().await;
    let id = payment(&shop, 6, "tok_visa").await;
    assert_eq!(shop.send(Ask::get(path(id))).await.status, 401);
    let unknown = PaymentId::in_slot(Slot::from_bits(9), [9; 14]);
    let shown = shop.send(Ask::get(path(unknown)).operator()).await;
    assert_eq!((shown.status, &shown.json()["code"]), (404, &json!("payment_not_found")));
    shop.close().await;
}
