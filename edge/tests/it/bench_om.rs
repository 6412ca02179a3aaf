//! The Online Marketplace contract: a small run of it, and what may go wrong with one.

use std::time::Duration;

use axum::http::Method;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::checkout::simulators;
use crate::shop::{Ask, Shop, begin};

/// These routes stand in no description, so nothing is held against it.
async fn ask(shop: &Shop, method: Method, path: &str, body: Option<&Value>) -> (u16, Value) {
    let ask = Ask::new(method, format!("/bench/om{path}"));
    let ask = match body {
        Some(body) => ask.json(body),
        None => ask,
    };
    let (status, bytes) = match begin(shop.router.clone(), ask).await {
        Ok(response) => {
            let status = response.status().as_u16();
            (status, response.into_body().collect().await.unwrap().to_bytes())
        }
        Err(answer) => (answer.status, answer.body),
    };
    (status, serde_json::from_slice(&bytes).unwrap_or_default())
}

async fn get(shop: &Shop, path: &str) -> Value {
    let (status, body) = ask(shop, Method::GET, path, None).await;
    assert_eq!(status, 200, "{path}: {body}");
    body
}

fn product(seller: u32, product: u32, price: f64, version: &str) -> Value {
    json!({
        "seller_id": seller, "product_id": product, "name": "A thing", "sku": "ABCDEF0123456789",
        "category": "things", "description": "It is one.", "price": price, "freight_value": 1.5,
        "version": version, "status": "approved", "created_at": null,
    })
}

/// Two sellers with two products each, of which there are ten.
async fn open() -> (Shop, TempDir) {
    let (providers, folder) = simulators(&["simulator"]);
    let shop = Shop::open_for_bench(providers).await;
    for seller in [1, 2] {
        let row = json!({"id": seller, "name": "S", "company_name": "Seller", "cpf": "1"});
        assert_eq!(ask(&shop, Method::POST, "/seller", Some(&row)).await.0, 201);
        for number in [1, 2] {
            let row = product(seller, number, 10.25, "0");
            let (status, body) = ask(&shop, Method::POST, "/product", Some(&row)).await;
            assert_eq!(status, 200, "{body}");
            let row = json!({
                "seller_id": seller, "product_id": number, "qty_available": 10, "qty_reserved": 0,
                "order_count": 0, "ytd": 0, "data": "", "version": "0",
            });
            assert_eq!(ask(&shop, Method::POST, "/stock", Some(&row)).await.0, 200);
        }
    }
    let row = json!({"id": 7, "first_name": "A", "card_number": "4111111111111111"});
    assert_eq!(ask(&shop, Method::POST, "/customer", Some(&row)).await.0, 201);
    (shop, folder)
}

async fn add(shop: &Shop, (seller, product): (u32, u32), quantity: u32, version: &str) {
    let item = json!({
        "SellerId": seller, "ProductId": product, "ProductName": "A thing", "UnitPrice": 10.25,
        "FreightValue": 1.5, "Quantity": quantity, "Voucher": 0.0, "Version": version,
    });
    let (status, body) = ask(shop, Method::PATCH, "/cart/7/add", Some(&item)).await;
    assert_eq!(status, 200, "{body}");
}

async fn check_out(shop: &Shop, tid: &str) -> (u16, Value) {
    let body = json!({
        "CustomerId": 7, "FirstName": "A", "LastName": "Shopper", "Street": "Street 1",
        "Complement": "", "City": "Town", "State": "SP", "ZipCode": "12345",
        "PaymentType": "CREDIT_CARD", "CardNumber": "4111111111111111", "CardHolderName": "A",
        "CardExpiration": "1230", "CardSecurityNumber": "123", "CardBrand": "VISA",
        "Installments": 1, "instanceId": tid,
    });
    ask(shop, Method::POST, "/cart/7/checkout", Some(&body)).await
}

/// The dashboard of a seller once it has so many orders under way; boards are told in their time.
async fn dashboard(shop: &Shop, seller: u32, n_orders: u64) -> Value {
    let path = format!("/seller/dashboard/{seller}");
    for _ in 0..500 {
        let shown = get(shop, &path).await;
        let entries = shown["orderEntries"].as_array().unwrap();
        let sum: f64 = entries.iter().map(|it| it["total_amount"].as_f64().unwrap()).sum();
        let pieces: u64 = entries.iter().map(|it| it["quantity"].as_u64().unwrap()).sum();
        let view = &shown["sellerView"];
        assert_eq!(view["count_orders"], entries.len() as u64);
        assert_eq!(view["count_items"], pieces);
        let total = view["total_amount"].as_f64().unwrap();
        assert_eq!(format!("{total:.2}"), format!("{sum:.2}"), "{shown}");
        let is_shipped = entries.iter().all(|it| it["delivery_status"] == "shipped");
        if view["count_orders"] == n_orders && is_shipped {
            return shown;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("seller {seller} has not {n_orders} orders: {}", get(shop, &path).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_checkout_that_comes_again_is_the_same_order() {
    let (shop, _folder) = open().await;
    add(&shop, (1, 1), 2, "0").await;
    add(&shop, (2, 1), 3, "0").await;
    assert_eq!(get(&shop, "/cart/7").await.as_array().unwrap().len(), 2);
    let (status, order) = check_out(&shop, "1").await;
    assert_eq!(status, 200, "{order}");
    assert_eq!(order["items"].as_array().unwrap().len(), 2);
    assert_eq!(order["items"][0]["UnitPrice"], 10.25);
    assert_eq!(check_out(&shop, "1").await, (200, order.clone()));
    assert_eq!(get(&shop, "/cart/7/history/1").await, order["items"]);
    assert_eq!(get(&shop, "/cart/7/history/other").await, json!([]));
    assert_eq!(get(&shop, "/cart/7").await, json!([]));
    let shown = dashboard(&shop, 1, 1).await;
    assert_eq!(shown["sellerView"]["total_amount"], 20.5);
    assert_eq!(get(&shop, "/stock/1/1").await["qty_available"], 8);
    // The next order is another one.
    add(&shop, (1, 2), 1, "0").await;
    let (status, next) = check_out(&shop, "2").await;
    assert_eq!(status, 200, "{next}");
    assert_ne!(next["order_id"], order["order_id"]);
    dashboard(&shop, 1, 2).await;
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_of_another_version_is_not_bought_and_prices_are_those_of_the_day() {
    let (shop, _folder) = open().await;
    add(&shop, (1, 1), 1, "0").await;
    add(&shop, (2, 2), 1, "0").await;
    let row = product(1, 1, 11.0, "9");
    assert_eq!(ask(&shop, Method::PUT, "/product", Some(&row)).await.0, 202);
    let price = json!({
        "sellerId": 2, "productId": 2, "price": 12.499, "version": "0", "instanceId": "8",
    });
    assert_eq!(ask(&shop, Method::PATCH, "/product", Some(&price)).await.0, 202);
    let (status, order) = check_out(&shop, "10").await;
    assert_eq!(status, 200, "{order}");
    let items = order["items"].as_array().unwrap();
    assert_eq!(items.len(), 1);
    assert_eq!((&items[0]["SellerId"], &items[0]["UnitPrice"]), (&json!(2), &json!(12.5)));
    add(&shop, (1, 1), 1, "0").await;
    let (status, refused) = check_out(&shop, "11").await;
    assert_eq!(status, 409, "{refused}");
    assert_eq!(ask(&shop, Method::PATCH, "/cart/7/seal", None).await.0, 200);
    // Of this one there are not so many.
    for _ in 0..2 {
        add(&shop, (1, 2), 9, "0").await;
    }
    assert_eq!(check_out(&shop, "12").await.0, 409);
    assert_eq!(ask(&shop, Method::PATCH, "/cart/7/seal", None).await.0, 200);
    let late = json!({"sellerId": 1, "productId": 1, "price": 1, "version": "0"});
    assert_eq!(ask(&shop, Method::PATCH, "/product", Some(&late)).await.0, 409);
    assert_eq!(ask(&shop, Method::PATCH, "/reset", None).await.0, 200);
    assert_eq!(get(&shop, "/product/1/1").await["version"], "0");
    assert_eq!(get(&shop, "/stock/1/2").await["qty_available"], 10_000);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_seller_delivers_its_oldest_order() {
    let (shop, _folder) = open().await;
    let mut orders = Vec::new();
    for tid in ["1", "2"] {
        add(&shop, (1, 1), 1, "0").await;
        add(&shop, (2, 1), 1, "0").await;
        let (status, order) = check_out(&shop, tid).await;
        assert_eq!(status, 200, "{order}");
        orders.push(order["order_id"].clone());
    }
    for seller in [1, 2] {
        dashboard(&shop, seller, 2).await;
    }
    assert_eq!(ask(&shop, Method::PATCH, "/shipment/3", None).await.0, 202);
    for seller in [1, 2] {
        let shown = dashboard(&shop, seller, 1).await;
        assert_eq!(shown["orderEntries"][0]["order_id"], orders[1]);
    }
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_such_request_is_refused() {
    let (shop, _folder) = open().await;
    let seller = json!({"id": "one", "name": "S"});
    assert_eq!(ask(&shop, Method::POST, "/seller", Some(&seller)).await.0, 422);
    let mut row = product(1, 1, 1.0, "0");
    row["price"] = json!("cheap");
    assert_eq!(ask(&shop, Method::POST, "/product", Some(&row)).await.0, 422);
    row["price"] = json!(-1);
    assert_eq!(ask(&shop, Method::POST, "/product", Some(&row)).await.0, 422);
    let item = json!({"SellerId": 1, "ProductId": 1, "Quantity": 0, "Version": "0"});
    assert_eq!(ask(&shop, Method::PATCH, "/cart/7/add", Some(&item)).await.0, 422);
    assert_eq!(ask(&shop, Method::PATCH, "/cart/seven/seal", None).await.0, 422);
    assert_eq!(ask(&shop, Method::GET, "/product/9/9", None).await.0, 404);
    assert_eq!(ask(&shop, Method::DELETE, "/product", None).await.0, 405);
    assert_eq!(check_out(&shop, "1").await.0, 409);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_flag_there_is_nothing() {
    let shop = Shop::open_empty().await;
    assert_eq!(ask(&shop, Method::GET, "/cart/7", None).await.0, 404);
    assert_eq!(ask(&shop, Method::PATCH, "/reset", None).await.0, 404);
    shop.close().await;
}
