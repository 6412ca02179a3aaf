//! Orders for more than there is: promised, shown, kept when pieces come.

use axum::http::Method;
use serde_json::{Value, json};

use crate::checkout::{KEY, basket, check_out, expect_stock, open, order_of, terms};
use crate::shop::{Answer, Ask, Basket, Shop};

async fn allow(shop: &Shop, sku: &str, limit: u32) {
    let path = format!("/admin/v1/inventory/{sku}/policy");
    let put = Ask::new(Method::PUT, path).operator().header("if-match", "*");
    let answer = shop.send(put.json(&json!({"kind": "backorder", "limit": limit}))).await;
    assert_eq!(answer.status, 200, "{answer:?}");
}

async fn arrive(shop: &Shop, sku: &str, pieces: u32) {
    let adjust = Ask::post(format!("/admin/v1/inventory/{sku}/adjust")).operator();
    let answer = shop.send(adjust.json(&json!({"delta": pieces, "reason": "delivered"}))).await;
    assert_eq!(answer.status, 200, "{answer:?}");
}

async fn backordered(shop: &Shop, sku: &str) -> Value {
    let ask = Ask::get(format!("/admin/v1/inventory/{sku}")).operator();
    shop.send(ask).await.json()["backordered"].clone()
}

fn parcel(id: &Value, key: &str, quantity: u32) -> Ask {
    let id = id.as_str().unwrap();
    let fulfil = Ask::post(format!("/admin/v1/orders/{id}/fulfilments")).operator().key(key);
    let items = json!([{"sku": "tea", "quantity": quantity}]);
    fulfil.json(&json!({"items": items, "carrier": "Post", "tracking": "1Z"}))
}

/// The first line of the order once it waits for so many pieces: stocks tell orders after the answer.
async fn line_waiting(shop: &Shop, basket: &Basket, created: &Answer, for_pieces: Value) -> Value {
    for _ in 0..500 {
        let line = order_of(shop, basket, created).await["items"][0].clone();
        let waits = line.get("backordered").cloned().unwrap_or(Value::Null);
        if waits == for_pieces && line["stock"] != "reserved" {
            return line;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("{:?}", order_of(shop, basket, created).await);
}

#[tokio::test]
async fn what_is_on_backorder_is_shipped_once_it_has_come() {
    let (shop, _folder) = open().await;
    shop.stock("tea", 2).await;
    allow(&shop, "tea", 4).await;
    let first = basket(&shop, &[("tea", 5)]).await;
    let answer = shop.send(check_out(&first, KEY, &terms("tok_visa"))).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    let id = answer.json()["id"].clone();
    let told = answer.json()["items"][0].clone();
    assert_eq!((&told["stock"], &told["backordered"]), (&json!("backordered"), &json!(3)));
    let line = line_waiting(&shop, &first, &answer, json!(3)).await;
    assert_eq!(line["stock"], "backordered");
    expect_stock(&shop, "tea", (0, 0)).await;
    assert_eq!(backordered(&shop, "tea").await, 3);

    // Past the limit.
    let second = basket(&shop, &[("tea", 2)]).await;
    let other = "1e03978e-40d5-43e8-bc93-6894a57f9324";
    let refused = shop.send(check_out(&second, other, &terms("tok_visa"))).await;
    refused.problem(409, "out_of_stock");

    shop.send(parcel(&id, "all", 5)).await.problem(409, "pieces_on_backorder");
    shop.send(parcel(&id, "three", 3)).await.problem(409, "pieces_on_backorder");
    assert_eq!(shop.send(parcel(&id, "two", 2)).await.status, 200);
    shop.send(parcel(&id, "one", 1)).await.problem(409, "pieces_on_backorder");
    arrive(&shop, "tea", 4).await;
    let line = line_waiting(&shop, &first, &answer, Value::Null).await;
    assert_eq!((&line["stock"], &line["shipped"]), (&json!("sold"), &json!(2)));
    expect_stock(&shop, "tea", (1, 0)).await;
    assert_eq!(backordered(&shop, "tea").await, 0);
    // What was refused is asked for again, under its key.
    assert_eq!(shop.send(parcel(&id, "one", 1)).await.status, 200);
    let shipped = shop.send(parcel(&id, "rest", 2)).await;
    assert_eq!((shipped.status, &shipped.json()["status"]), (200, &json!("shipped")));
    let again = shop.send(check_out(&first, KEY, &terms("tok_visa"))).await;
    assert_eq!((again.status, &again.body), (201, &answer.body), "it is told as it was");
    shop.close().await;
}

#[tokio::test]
async fn an_order_that_is_cancelled_gives_back_what_it_had_and_waits_no_more() {
    let (shop, _folder) = open().await;
    shop.stock("tea", 2).await;
    allow(&shop, "tea", 9).await;
    let basket = basket(&shop, &[("tea", 5)]).await;
    let answer = shop.send(check_out(&basket, KEY, &terms("tok_visa"))).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    line_waiting(&shop, &basket, &answer, json!(3)).await;
    arrive(&shop, "tea", 1).await;
    let cancel = Ask::post(format!("{}/cancel", answer.header("location").unwrap()));
    let cancelled =
        shop.send(cancel.token(&basket.token).json(&json!({"reason": "no more"}))).await;
    assert_eq!(cancelled.status, 200, "{cancelled:?}");
    expect_stock(&shop, "tea", (3, 0)).await;
    assert_eq!(backordered(&shop, "tea").await, 0);
    shop.close().await;
}

#[tokio::test]
async fn what_is_not_shipped_is_called_off_with_what_is_on_backorder() {
    let (shop, _folder) = open().await;
    shop.stock("tea", 3).await;
    allow(&shop, "tea", 9).await;
    let basket = basket(&shop, &[("tea", 7)]).await;
    let answer = shop.send(check_out(&basket, KEY, &terms("tok_visa"))).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    line_waiting(&shop, &basket, &answer, json!(4)).await;
    let parcel = shop.send(parcel(&answer.json()["id"], "one", 1)).await;
    assert_eq!(parcel.status, 200, "{parcel:?}");
    arrive(&shop, "tea", 1).await;
    let cancel = Ask::post(format!("{}/cancel", answer.header("location").unwrap()));
    let cancelled =
        shop.send(cancel.token(&basket.token).json(&json!({"reason": "no more"}))).await;
    assert_eq!(cancelled.status, 200, "{cancelled:?}");
    // Two of those that were there were not sent, and one has come.
    expect_stock(&shop, "tea", (3, 0)).await;
    assert_eq!(backordered(&shop, "tea").await, 0);
    let line = line_waiting(&shop, &basket, &answer, Value::Null).await;
    assert_eq!((&line["stock"], &line["cancelled"]), (&json!("sold"), &json!(6)));
    let order = refunded(&shop, &basket, &answer).await;
    assert_eq!(order["status"], "shipped");
    let paid = |member: &str| order["payments"][0][member]["amount"].as_i64().unwrap();
    assert_eq!(paid("refunded"), 6 * line["unit_price"]["amount"].as_i64().unwrap());
    arrive(&shop, "tea", 2).await;
    expect_stock(&shop, "tea", (5, 0)).await;
    shop.close().await;
}

/// The order once its money is given back, which the payment tells it after the answer.
async fn refunded(shop: &Shop, basket: &Basket, created: &Answer) -> Value {
    for _ in 0..500 {
        let order = order_of(shop, basket, created).await;
        if order["refunds"][0]["status"] == "succeeded" {
            return order;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("{:?}", order_of(shop, basket, created).await);
}
