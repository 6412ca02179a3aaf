//! What is wrong with a request is said precisely, and all of it at once.

use axum::body::Body;
use serde_json::{Value, json};

use crate::shop::{Ask, Shop};

#[tokio::test]
async fn malformed_bodies_are_refused_with_their_reason() {
    let shop = Shop::open().await;
    let basket = shop.basket().await;
    let items = || Ask::post(format!("{}/items", basket.path())).token(&basket.token);
    let deep = format!("{{\"sku\":{}1{}}}", "[".repeat(500), "]".repeat(500));
    for (body, status, code) in [
        ("", 400, "invalid_json"),
        ("{", 400, "invalid_json"),
        ("{} x", 400, "invalid_json"),
        (r#"{"sku":"tea","sku":"cup","quantity":1}"#, 400, "invalid_json"),
        (r#"{"sku":"tea","quantity":1e999}"#, 400, "invalid_json"),
        (r#"{"sku":"tea","quantity":NaN}"#, 400, "invalid_json"),
        (r#"{"sku":"\ud800","quantity":1}"#, 400, "invalid_json"),
        (&deep, 400, "invalid_json"),
        ("[]", 422, "validation_failed"),
        ("null", 422, "validation_failed"),
        ("{}", 422, "validation_failed"),
    ] {
        shop.send(items().text(body)).await.problem(status, code);
    }
    let bytes = Body::from(&b"{\"sku\":\"t\xffa\",\"quantity\":1}"[..]);
    let not_utf8 = items().header("content-type", "application/json").body(bytes);
    shop.send(not_utf8).await.problem(400, "invalid_json");
    shop.close().await;
}

#[tokio::test]
async fn faulty_fields_are_all_named() {
    let shop = Shop::open().await;
    let basket = shop.basket().await;
    for (body, expected) in [
        (json!({"sku": "tea", "quantity": 0}), json!(["quantity:out_of_range"])),
        (json!({"sku": "tea", "quantity": -1}), json!(["quantity:out_of_range"])),
        (json!({"sku": "tea", "quantity": 10_000}), json!(["quantity:out_of_range"])),
        (json!({"sku": "tea", "quantity": u64::MAX}), json!(["quantity:out_of_range"])),
        (json!({"sku": "tea", "quantity": 1.5}), json!(["quantity:wrong_type"])),
        (json!({"sku": "tea", "quantity": 1.0}), json!(["quantity:wrong_type"])),
        (json!({"sku": "tea", "quantity": "1"}), json!(["quantity:wrong_type"])),
        (json!({"sku": "tea", "quantity": null}), json!(["quantity:wrong_type"])),
        (json!({"sku": "a b", "quantity": 0}), json!(["sku:invalid", "quantity:out_of_range"])),
        (json!({"sku": 5}), json!(["sku:wrong_type", "quantity:required"])),
        (json!({"sku": "tea", "quantity": 1, "price": 1}), json!(["price:unknown"])),
        (json!({"items": []}), json!(["items:out_of_range"])),
        (json!({"items": {}}), json!(["items:wrong_type"])),
        (json!({"items": [{"sku": "tea", "quantity": 1}], "sku": "tea"}), json!(["sku:unknown"])),
        (
            json!({"items": [{"sku": "tea", "quantity": 1}, 3, {"sku": "", "quantity": 1, "x": 1}]}),
            json!(["items[1]:wrong_type", "items[2].sku:invalid", "items[2].x:unknown"]),
        ),
    ] {
        let ask = Ask::post(format!("{}/items", basket.path())).token(&basket.token).json(&body);
        let problem = shop.send(ask).await.problem(422, "validation_failed");
        let errors = problem["errors"].as_array().unwrap();
        let found: Vec<Value> = errors
            .iter()
            .map(|error| {
                assert!(error["detail"].is_string());
                format!("{}:{}", error["param"].as_str().unwrap(), error["code"].as_str().unwrap())
            })
            .map(Value::from)
            .collect();
        assert_eq!(Value::from(found), expected, "{body}");
        assert_eq!(problem["param"], errors[0]["param"]);
    }
    let too_many: Vec<_> = (0..101).map(|nth| json!({"sku": nth, "quantity": nth})).collect();
    let ask = Ask::post(format!("{}/items", basket.path())).token(&basket.token);
    shop.send(ask.json(&json!({"items": too_many}))).await.problem(422, "validation_failed");
    let currency = Ask::post("/store/v1/carts").json(&json!({"currency": "euro", "x": 1}));
    let problem = shop.send(currency).await.problem(422, "validation_failed");
    assert_eq!(problem["errors"].as_array().unwrap().len(), 2);
    let untouched = shop.send(basket.get()).await.json();
    assert_eq!(untouched["seq"], 1);
    shop.close().await;
}

#[tokio::test]
async fn only_json_is_read() {
    let shop = Shop::open().await;
    let basket = shop.basket().await;
    let body = r#"{"sku":"tea","quantity":1}"#;
    let items = || {
        let ask = Ask::post(format!("{}/items", basket.path())).token(&basket.token);
        ask.body(Body::from(body))
    };
    shop.send(items()).await.problem(415, "unsupported_media_type");
    for kind in ["text/plain", "application/x-www-form-urlencoded", "application/json; charset=x"] {
        let ask = items().header("content-type", kind);
        shop.send(ask).await.problem(415, "unsupported_media_type");
    }
    let good = items().header("content-type", "application/json; charset=utf-8");
    assert_eq!(shop.send(good).await.status, 200);
    let untyped = Ask::post("/store/v1/carts").body(Body::from("{}"));
    shop.send(untyped).await.problem(415, "unsupported_media_type");
    shop.close().await;
}

#[tokio::test]
async fn a_large_body_is_refused_whether_or_not_it_is_announced() {
    let shop = Shop::open().await;
    let basket = shop.basket().await;
    let items = || {
        let ask = Ask::post(format!("{}/items", basket.path())).token(&basket.token);
        ask.header("content-type", "application/json")
    };
    let announced = items().header("content-length", "65537").body(Body::empty());
    let announced = shop.send(announced).await;
    announced.problem(413, "body_too_large");
    assert_eq!(announced.header("connection"), Some("close"));
    let unannounced = Body::from(vec![b' '; 1 << 20]);
    shop.send(items().body(unannounced)).await.problem(413, "body_too_large");
    let padded = format!(r#"{{"sku":"tea","quantity":1{}}}"#, " ".repeat(65_536 - 26));
    assert_eq!(padded.len(), 65_536);
    assert_eq!(shop.send(items().body(Body::from(padded))).await.status, 200);
    shop.close().await;
}
