//! One effect a key, the first answer for ever.

use axum::http::Method;
use serde_json::{Value, json};

use crate::shop::{Answer, Ask, Basket, Shop, WORDY};

const SECRET_KEY: &str = "a-secret-of-the-client-0123456789abcdef";

#[track_caller]
fn same(first: &Answer, again: &Answer) {
    assert!(!first.is_replayed(), "{first:?}");
    assert!(again.is_replayed(), "{again:?}");
    assert_eq!((first.status, &first.body), (again.status, &again.body));
    assert_eq!(first.header("etag"), again.header("etag"));
    assert_eq!(first.header("omni-seq"), again.header("omni-seq"));
    assert_eq!(first.header("location"), again.header("location"));
}

#[tokio::test]
async fn a_retried_creation_meets_the_same_cart() {
    let shop = Shop::open().await;
    let create = |body: &str| Ask::post("/store/v1/carts").key(SECRET_KEY).text(body);
    let first = shop.send(create("{}")).await;
    assert_eq!(first.status, 201);
    same(&first, &shop.send(create("{}")).await);
    let json = first.json();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let basket = Basket { id: text(&json["cart"]["id"]), token: text(&json["token"]) };
    assert_eq!(shop.send(basket.add("tea", 1)).await.status, 200);
    same(&first, &shop.send(create("{}")).await);
    let other = shop.send(create(r#"{"currency":"JPY"}"#)).await;
    other.problem(422, "idempotency_conflict");
    let short = Ask::post("/store/v1/carts").key("too-short");
    shop.send(short).await.problem(400, "idempotency_key_too_short");
    shop.close().await;
}

#[tokio::test]
async fn every_mutation_is_done_once_a_key() {
    let shop = Shop::open().await;
    shop.stock("tea", 100).await;
    let basket = shop.basket().await;
    let admin = |path: &str, body: Value| {
        let path = format!("/admin/v1/inventory/tea{path}");
        Box::new(move || Ask::post(&*path).operator().json(&body)) as Box<dyn Fn() -> Ask>
    };
    let reservation = "res_00000000000000000000000001";
    let mutations: Vec<Box<dyn Fn() -> Ask>> = vec![
        Box::new(|| basket.add("tea", 2)),
        Box::new(|| basket.item(Method::PUT, "tea").json(&json!({"quantity": 7}))),
        Box::new(|| basket.item(Method::DELETE, "tea")),
        // Refused for good: the refusal is the first answer.
        Box::new(|| basket.item(Method::DELETE, "cup")),
        Box::new(|| basket.add("nothing", 1)),
        admin("/adjust", json!({"delta": 5, "reason": "more"})),
        admin("/set", json!({"on_hand": 50, "reason": "count"})),
        admin("/reservations", json!({"quantity": 1})),
        admin("/reservations", json!({"quantity": 9_999})),
        admin("/reservations", json!({"id": reservation, "quantity": 2})),
        admin(&format!("/reservations/{reservation}/confirm"), json!({})),
        admin(&format!("/reservations/{reservation}/release"), json!({})),
        Box::new(|| Ask::new(Method::DELETE, basket.path()).token(&basket.token)),
    ];
    let mut before: Vec<(usize, Answer)> = Vec::new();
    for (nth, mutation) in mutations.iter().enumerate() {
        let key = format!("key-{nth}");
        let first = shop.send(mutation().key(&key)).await;
        assert!(first.status < 500, "{first:?}");
        same(&first, &shop.send(mutation().key(&key)).await);
        before.push((nth, first));
    }
    // Whatever happened since, the first answer stays.
    for (nth, first) in &before {
        same(first, &shop.send(mutations[*nth]().key(&format!("key-{nth}"))).await);
    }
    shop.close().await;
}

#[tokio::test]
async fn a_key_stands_for_one_request() {
    let shop = Shop::open().await;
    let (basket, other) = (shop.basket().await, shop.basket().await);
    assert_eq!(shop.send(basket.add("tea", 1).key("k")).await.status, 200);
    shop.send(basket.add("tea", 2).key("k")).await.problem(422, "idempotency_conflict");
    let conditional = basket.add("tea", 1).key("k").header("if-match", "\"2\"");
    shop.send(conditional).await.problem(422, "idempotency_conflict");
    // Another path, method or credential is another scope.
    let put = basket.item(Method::PUT, "tea").json(&json!({"quantity": 1})).key("k");
    assert!(!shop.send(put).await.is_replayed());
    assert!(!shop.send(other.add("tea", 1).key("k")).await.is_replayed());
    for bad in ["", "with space", "é", &"x".repeat(256)] {
        shop.send(basket.add("tea", 1).key(bad)).await.problem(400, "idempotency_key_invalid");
    }
    let twice = basket.add("tea", 1).key("a").key("b");
    shop.send(twice).await.problem(400, "idempotency_key_invalid");
    shop.close().await;
}

#[tokio::test]
async fn a_stale_precondition_is_not_what_a_retry_is_about() {
    let shop = Shop::open().await;
    let basket = shop.basket().await;
    let add = || basket.add("tea", 1).key("k").header("if-match", "\"1\"");
    let first = shop.send(add()).await;
    assert_eq!(first.header("etag"), Some("\"2\""));
    same(&first, &shop.send(add()).await);
    shop.close().await;
}

#[tokio::test]
async fn keys_past_their_bounds_are_refused_and_never_executed_again() {
    let shop = Shop::open().await;
    let basket = shop.basket().await;
    for nth in 0..256 {
        let set = basket.item(Method::PUT, "tea").json(&json!({"quantity": 1 + nth}));
        assert_eq!(shop.send(set.key(&format!("key-{nth}"))).await.status, 200);
    }
    let add = basket.add("tea", 1).key("one-too-many");
    let refused = shop.send(add).await;
    refused.problem(429, "idempotency_keys_exhausted");
    assert_eq!(refused.header("retry-after"), Some("3600"));
    let oldest = basket.item(Method::PUT, "tea").json(&json!({"quantity": 1})).key("key-0");
    let oldest = shop.send(oldest).await;
    if oldest.status == 409 {
        oldest.problem(409, "idempotency_reply_expired");
        assert_eq!(oldest.header("location"), Some(basket.path().as_str()));
    } else {
        assert!(oldest.is_replayed(), "{oldest:?}");
    }
    let shown = shop.send(basket.get()).await.json();
    assert_eq!(shown["items"][0]["quantity"], 256);
    shop.close().await;
}

#[tokio::test]
async fn a_dropped_answer_says_where_to_look() {
    let shop = Shop::open().await;
    let basket = shop.basket().await;
    // Large answers: soon they do not all fit.
    let wide = WORDY.map(|sku| json!({"sku": sku, "quantity": 1}));
    let add = |key: String| {
        let ask = Ask::post(format!("{}/items", basket.path())).token(&basket.token);
        ask.json(&json!({"items": wide})).key(&key)
    };
    for nth in 0..60 {
        assert_eq!(shop.send(add(format!("key-{nth}"))).await.status, 200);
    }
    let before = shop.send(basket.get()).await;
    let expired = shop.send(add("key-0".into())).await;
    expired.problem(409, "idempotency_reply_expired");
    assert_eq!(expired.header("location"), Some(basket.path().as_str()));
    assert_eq!(shop.send(basket.get()).await.body, before.body);
    shop.close().await;
}
