//! Orders that rules hold, and whoever decides about them.

use std::sync::Arc;

use edge::metrics::VerdictMetrics;
use edge::providers::fraud::Fraud;
use edge::providers::fraud::rules::FraudRules;
use serde_json::{Value, json};

use crate::checkout::{KEY, basket, check_out, expect_stock, simulators, terms};
use crate::shop::{Answer, Ask, Basket, Shop};

const RULES: &str = "pieces=4.. -> deny\npieces=2.. -> review";

async fn open() -> (Shop, tempfile::TempDir) {
    let rules: FraudRules = RULES.parse().unwrap();
    let fraud = Fraud::new(Arc::new(rules), VerdictMetrics::default());
    let (payments, folder) = simulators(&["simulator"]);
    let shop = Shop::open_with_fraud(payments, fraud).await;
    shop.stock("tea", 9).await;
    (shop, folder)
}

/// A checkout of so many pieces, its cart, and its order.
async fn bought(shop: &Shop, pieces: u32, key: &str) -> (Answer, Basket, String) {
    let basket = basket(shop, &[("tea", pieces)]).await;
    let told = shop.send(check_out(&basket, key, &terms("tok_visa"))).await;
    let order = told.header("location").unwrap().rsplit_once('/').unwrap().1.to_owned();
    (told, basket, order)
}

async fn reviews(shop: &Shop) -> Vec<String> {
    let listed = shop.send(Ask::get("/admin/v1/fraud/reviews").operator()).await;
    assert_eq!(listed.status, 200, "{listed:?}");
    let json = listed.json();
    let ids = json["data"].as_array().unwrap().iter();
    ids.map(|order| order["id"].as_str().unwrap().to_owned()).collect()
}

async fn listed(shop: &Shop, expected: &[&str]) {
    while reviews(shop).await != expected {
        tokio::task::yield_now().await;
    }
}

async fn decide(shop: &Shop, order: &str, what: &str, key: &str) -> Answer {
    let ask = Ask::post(format!("/admin/v1/fraud/reviews/{order}/{what}")).operator();
    shop.send(ask.key(key)).await
}

async fn shown(shop: &Shop, order: &str) -> Value {
    shop.send(Ask::get(format!("/admin/v1/orders/{order}")).operator()).await.json()
}

async fn becomes(shop: &Shop, order: &str, status: &str) {
    while shown(shop, order).await["status"] != status {
        tokio::task::yield_now().await;
    }
}

/// What operators did about an order.
async fn decided(shop: &Shop, order: &str, operations: &[&str]) {
    let acts = shop.acts(&format!("&entity=order/{order}")).await;
    let done: Vec<_> = acts.iter().map(|act| act["operation"].as_str().unwrap()).collect();
    assert_eq!(done, operations);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_rule_fits_is_bought_and_what_is_denied_is_not() {
    let (shop, _folder) = open().await;
    let (told, ..) = bought(&shop, 1, KEY).await;
    assert_eq!(told.status, 201, "{told:?}");
    let (told, _, order) = bought(&shop, 4, &format!("{KEY}-4")).await;
    told.problem(409, "order_refused");
    assert_eq!(shown(&shop, &order).await["status"], "failed");
    expect_stock(&shop, "tea", (8, 0)).await;
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_approved_is_bought_and_its_checkout_is_told_as_before() {
    let (shop, _folder) = open().await;
    let (told, basket, order) = bought(&shop, 2, KEY).await;
    told.problem(409, "fraud_review");
    listed(&shop, &[&order]).await;
    expect_stock(&shop, "tea", (9, 2)).await;
    let held = shown(&shop, &order).await;
    assert_eq!((&held["status"], &held["review"]["status"]), (&json!("on_hold"), &json!("held")));
    assert_eq!(held["review"]["reason"], "pieces=2.. -> review");
    // What made the rule fit is for the shop alone.
    let own = Ask::get(format!("/store/v1/orders/{order}")).token(&basket.token);
    let own = shop.send(own).await.json();
    assert_eq!((&own["status"], own.get("review")), (&json!("on_hold"), None));
    let approved = decide(&shop, &order, "approve", "one").await;
    assert_eq!(approved.status, 200, "{approved:?}");
    assert_eq!(decide(&shop, &order, "approve", "one").await.body, approved.body);
    becomes(&shop, &order, "confirmed").await;
    assert_eq!(decide(&shop, &order, "approve", "two").await.status, 200);
    decide(&shop, &order, "reject", "three").await.problem(409, "order_not_on_hold");
    // One for each key that was taken.
    decided(&shop, &order, &["approveOrder", "approveOrder"]).await;
    expect_stock(&shop, "tea", (7, 0)).await;
    listed(&shop, &[]).await;
    let again = shop.send(check_out(&basket, KEY, &terms("tok_visa"))).await;
    assert_eq!((again.status, &again.json()["code"]), (409, &json!("fraud_review")));
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_rejected_gives_its_pieces_back() {
    let (shop, _folder) = open().await;
    let (told, basket, order) = bought(&shop, 3, KEY).await;
    told.problem(409, "fraud_review");
    let rejected = decide(&shop, &order, "reject", "one").await;
    assert_eq!(rejected.json()["status"], "failed", "{rejected:?}");
    assert_eq!(rejected.json()["review"]["status"], "ended");
    assert_eq!(decide(&shop, &order, "reject", "two").await.status, 200);
    decide(&shop, &order, "approve", "three").await.problem(409, "order_not_on_hold");
    decided(&shop, &order, &["rejectOrder", "rejectOrder"]).await;
    expect_stock(&shop, "tea", (9, 0)).await;
    // The cart is the shopper's again.
    while shop.send(basket.get()).await.json()["status"] != "open" {
        tokio::task::yield_now().await;
    }
    let nobody = "ord_00000000000000000000000001";
    decide(&shop, nobody, "approve", "four").await.problem(404, "order_not_found");
    let ask = Ask::post(format!("/admin/v1/fraud/reviews/{order}/approve"));
    assert_eq!(shop.send(ask).await.status, 401);
    let bad = shop.send(Ask::get("/admin/v1/fraud/reviews?status=failed").operator()).await;
    bad.problem(422, "validation_failed");
    shop.close().await;
}
