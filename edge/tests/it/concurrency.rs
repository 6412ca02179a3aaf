//! Many at once.

use std::collections::BTreeSet;

use serde_json::json;
use tokio::task::JoinSet;

use crate::shop::{Answer, Ask, Shop, send};

async fn all_at_once(shop: &Shop, n: usize, ask: impl Fn() -> Ask) -> Vec<Answer> {
    let mut tasks = JoinSet::new();
    for _ in 0..n {
        tasks.spawn(send(shop.router.clone(), ask()));
    }
    tasks.join_all().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_retries_have_one_effect_and_one_answer() {
    let shop = Shop::open().await;
    let basket = shop.basket().await;
    for round in 1..=5 {
        let key = format!("round-{round}");
        let answers = all_at_once(&shop, 32, || basket.add("tea", 1).key(&key)).await;
        let bodies: BTreeSet<_> = answers.iter().map(|answer| answer.body.clone()).collect();
        assert_eq!(bodies.len(), 1, "one answer");
        assert!(answers.iter().all(|answer| answer.status == 200));
        assert_eq!(answers.iter().filter(|answer| !answer.is_replayed()).count(), 1);
        let cart = shop.send(basket.get()).await.json();
        assert_eq!(cart["items"][0]["quantity"], round, "one effect");
    }
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_creations_under_one_key_are_one_cart() {
    let shop = Shop::open().await;
    let key = "k".repeat(40);
    let answers = all_at_once(&shop, 32, || Ask::post("/store/v1/carts").key(&key)).await;
    let bodies: BTreeSet<_> = answers.iter().map(|answer| answer.body.clone()).collect();
    assert_eq!(bodies.len(), 1);
    assert_eq!(answers.iter().filter(|answer| !answer.is_replayed()).count(), 1);
    shop.close().await;
}

/// Reservations past the stock, or below zero (medusa#16569, medusa#12401).
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stock_is_never_oversold() {
    let shop = Shop::open().await;
    shop.stock("tea", 20).await;
    let answers = all_at_once(&shop, 64, || {
        let ask = Ask::post("/admin/v1/inventory/tea/reservations").operator();
        ask.json(&json!({"quantity": 3}))
    })
    .await;
    let reserved = answers.iter().filter(|answer| answer.status == 201).count();
    assert_eq!(reserved, 6);
    for refused in answers.iter().filter(|answer| answer.status != 201) {
        refused.problem(409, "out_of_stock");
    }
    let level = shop.send(Ask::get("/admin/v1/inventory/tea").operator()).await.json();
    assert_eq!((&level["reserved"], &level["available"]), (&json!(18), &json!(2)));
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stock_is_stated_first_once() {
    let shop = Shop::open().await;
    let answers = all_at_once(&shop, 16, || {
        let ask = Ask::post("/admin/v1/inventory/tea/adjust").operator();
        ask.json(&json!({"delta": 1, "reason": "first"})).header("if-none-match", "*")
    })
    .await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1);
    for late in answers.iter().filter(|answer| answer.status != 200) {
        late.problem(412, "precondition_failed");
    }
    shop.close().await;
}

/// Of two edits of one cart the first is lost (vendure#2187, medusa#2948).
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_changes_of_one_state_one_wins() {
    let shop = Shop::open().await;
    let basket = shop.basket().await;
    let answers = all_at_once(&shop, 16, || basket.add("tea", 1).header("if-match", "\"1\"")).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1);
    for stale in answers.iter().filter(|answer| answer.status != 200) {
        stale.problem(412, "precondition_failed");
    }
    shop.close().await;
}
