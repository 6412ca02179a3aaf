//! Orders that are put right before they are sent.

use axum::http::Method;
use serde_json::{Value, json};

use crate::checkout::{KEY, basket, check_out, expect_refund, expect_stock, open, order_of, terms};
use crate::shop::Ask;

#[tokio::test]
async fn some_of_an_order_is_called_off_before_it_is_sent() {
    let (shop, _folder) = open().await;
    shop.stock("tea", 10).await;
    shop.stock("cup", 10).await;
    let one = basket(&shop, &[("tea", 3), ("cup", 1)]).await;
    let created = shop.send(check_out(&one, KEY, &terms("tok_visa"))).await;
    let store = created.header("location").unwrap().to_owned();
    let cancel = |sku: &str, n: u32| {
        let body = json!({"items": [{"sku": sku, "quantity": n}], "reason": "one will do"});
        Ask::post(format!("{store}/cancel")).token(&one.token).json(&body)
    };
    shop.send(cancel("tea", 2)).await.problem(400, "idempotency_key_required");
    for is_repeat in [false, true] {
        let fewer = shop.send(cancel("tea", 2).key("two")).await;
        assert_eq!((fewer.status, fewer.is_replayed()), (200, is_repeat), "{fewer:?}");
        let json = fewer.json();
        assert_eq!(json["status"], "confirmed");
        assert_eq!(json["items"][1]["cancelled"], 2);
    }
    expect_stock(&shop, "tea", (9, 0)).await;
    expect_refund(&shop, &one, &store, &json!({"amount": 900, "currency": "EUR"})).await;
    shop.send(cancel("tea", 2).key("more")).await.problem(409, "too_many_pieces");
    shop.send(cancel("pot", 1).key("none")).await.problem(404, "line_not_found");
    // The rest of it is called off as any order is, and comes back once.
    let cancel = Ask::post(format!("{store}/cancel")).token(&one.token);
    let whole = shop.send(cancel.json(&json!({"reason": "none of it"}))).await;
    assert_eq!(whole.json()["status"], "cancelled", "{whole:?}");
    expect_stock(&shop, "tea", (10, 0)).await;
    expect_stock(&shop, "cup", (10, 0)).await;
    shop.close().await;
}

#[tokio::test]
async fn an_operator_puts_right_where_an_order_goes() {
    let (shop, _folder) = open().await;
    shop.stock("tea", 10).await;
    let one = basket(&shop, &[("tea", 1)]).await;
    let created = shop.send(check_out(&one, KEY, &terms("tok_visa"))).await;
    let json = created.json();
    let path = format!("/admin/v1/orders/{}", json["id"].as_str().unwrap());
    let correct = |body: Value| Ask::new(Method::PATCH, path.clone()).operator().json(&body);
    let mut there = json["addresses"]["shipping"].clone();
    there["line1"] = json!("Street 22");
    let body = json!({"email": "right@shop.example", "shipping_address": there});
    let corrected = shop.send(correct(body)).await;
    assert_eq!(corrected.status, 200, "{corrected:?}");
    let seen = corrected.json();
    assert_eq!(
        (&seen["email"], &seen["addresses"]["shipping"]),
        (&json!("right@shop.example"), &there)
    );
    assert_eq!(seen["addresses"]["billing"], there);
    let shown = order_of(&shop, &one, &created).await;
    assert_eq!(shown["addresses"]["shipping"], there);
    // The checkout is answered as it was.
    let again = shop.send(check_out(&one, KEY, &terms("tok_visa"))).await;
    assert_eq!((&again.body, again.is_replayed()), (&created.body, true));
    let mut abroad = there.clone();
    abroad["country"] = json!("FR");
    let refused = shop.send(correct(json!({"shipping_address": abroad}))).await;
    refused.problem(409, "order_destination");
    shop.send(correct(json!({"email": "nobody"}))).await.problem(422, "validation_failed");
    shop.send(correct(json!({"phone": "1"}))).await.problem(422, "validation_failed");
    let items = json!([{"sku": "tea", "quantity": 1}]);
    let parcel = json!({"items": items, "carrier": "Post", "tracking": "1Z"});
    let fulfil = Ask::post(format!("{path}/fulfilments")).operator().key("sent").json(&parcel);
    assert_eq!(shop.send(fulfil).await.status, 200);
    there["line1"] = json!("Street 1");
    shop.send(correct(json!({"shipping_address": there}))).await.problem(409, "order_shipped");
    shop.close().await;
}
