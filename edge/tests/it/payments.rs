//! Payments as operators and providers see them, with the simulator inside.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use actors::domain::payment::{Command, Fact, PaymentMethod, ProviderAnswer, ProviderRequest};
use actors::{Currency, Money, OrderId, Payment, PaymentId};
use axum::body::Body;
use axum::http::HeaderMap;
use cluster::fabric::{Envelope, Precondition};
use cluster::ids::Slot;
use cluster::time::{Span, Timestamp};
use edge::metrics::PaymentMetrics;
use edge::providers::payment::simulator::{Behaviour, InProcess};
use edge::providers::payment::{Notice, NoticeRefused, PaymentProvider, ProviderFuture, Providers};
use serde_json::{Value, json};
use storage::clock;
use tempfile::TempDir;

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

async fn open() -> (Shop, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let simulator = InProcess::new(folder.path().join("simulator"), Behaviour::default());
    let simulator: Arc<dyn PaymentProvider> = Arc::new(Noticing(simulator));
    let providers = Providers::new(
        BTreeMap::from([("simulator".parse().unwrap(), simulator)]),
        PaymentMetrics::default(),
    );
    (Shop::open_with_payments(providers).await, folder)
}

fn euro(minor: i64) -> Money {
    Money { minor, currency: Currency::EURO }
}

/// A payment of 100 that was asked to be authorised with a token.
async fn payment(shop: &Shop, number: u8, token: &str) -> PaymentId {
    let id = PaymentId::in_slot(Slot::from_bits(7), [number; 14]);
    let order = OrderId::in_slot(Slot::from_bits(7), [number; 14]);
    let method =
        PaymentMethod { provider: "simulator".parse().unwrap(), token: token.parse().unwrap() };
    let open = Command::Open { order, amount: euro(100), method };
    for command in [open, Command::Authorise] {
        let now = Timestamp::from_micros(clock::wall_micros());
        let envelope = Envelope {
            deadline: now.plus(Span::from_secs(10)),
            key: None,
            precondition: Precondition::None,
        };
        shop.fabric().execute::<Payment>(id.key(), envelope, command).await.unwrap();
    }
    id
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
