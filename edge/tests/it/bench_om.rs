//! The Online Marketplace contract: parts of a run, and what may go wrong with one.

mod run;
mod wrong_input;

use std::time::Duration;

use axum::Router;
use axum::http::Method;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::checkout::simulators;
use crate::shop::{Ask, Shop, begin};

/// These routes stand in no description, so nothing is held against it.
async fn ask(router: &Router, method: Method, path: &str, body: Option<&Value>) -> (u16, Value) {
    let ask = Ask::new(method, format!("/bench/om{path}"));
    let ask = match body {
        Some(body) => ask.json(body),
        None => ask,
    };
    let (status, bytes) = match begin(router.clone(), ask).await {
        Ok(response) => {
            let status = response.status().as_u16();
            (status, response.into_body().collect().await.unwrap().to_bytes())
        }
        Err(answer) => (answer.status, answer.body),
    };
    (status, serde_json::from_slice(&bytes).unwrap_or_default())
}

async fn get(router: &Router, path: &str) -> Value {
    let (status, body) = ask(router, Method::GET, path, None).await;
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
        assert_eq!(ask(&shop.router, Method::POST, "/seller", Some(&row)).await.0, 201);
        for number in [1, 2] {
            let row = product(seller, number, 10.25, "0");
            let (status, body) = ask(&shop.router, Method::POST, "/product", Some(&row)).await;
            assert_eq!(status, 200, "{body}");
            let row = json!({
                "seller_id": seller, "product_id": number, "qty_available": 10, "qty_reserved": 0,
                "order_count": 0, "ytd": 0, "data": "", "version": "0",
            });
            assert_eq!(ask(&shop.router, Method::POST, "/stock", Some(&row)).await.0, 200);
        }
    }
    let row = json!({"id": 7, "first_name": "A", "card_number": "4111111111111111"});
    assert_eq!(ask(&shop.router, Method::POST, "/customer", Some(&row)).await.0, 201);
    (shop, folder)
}

async fn add(
    router: &Router,
    customer: u32,
    (seller, product): (u32, u32),
    quantity: u32,
    version: &str,
) {
    let item = item((seller, product), quantity, version);
    let path = format!("/cart/{customer}/add");
    let (status, body) = ask(router, Method::PATCH, &path, Some(&item)).await;
    assert_eq!(status, 200, "{body}");
}

fn item((seller, product): (u32, u32), quantity: u32, version: &str) -> Value {
    json!({
        "SellerId": seller, "ProductId": product, "ProductName": "A thing", "UnitPrice": 10.25,
        "FreightValue": 1.5, "Quantity": quantity, "Voucher": 1.02, "Version": version,
    })
}

async fn check_out(router: &Router, customer: u32, tid: &str) -> (u16, Value) {
    let path = format!("/cart/{customer}/checkout");
    ask(router, Method::POST, &path, Some(&checkout(customer, tid))).await
}

fn checkout(customer: u32, tid: &str) -> Value {
    json!({
        "CustomerId": customer, "FirstName": "A", "LastName": "Shopper", "Street": "Street 1",
        "Complement": "", "City": "Town", "State": "SP", "ZipCode": "12345",
        "PaymentType": "CREDIT_CARD", "CardNumber": "4111111111111111", "CardHolderName": "A",
        "CardExpiration": "1230", "CardSecurityNumber": "123", "CardBrand": "VISA",
        "Installments": 1, "instanceId": tid,
    })
}

/// The dashboard of a seller once it has so many orders under way; boards are told in their time.
async fn dashboard(router: &Router, seller: u32, n_orders: u64) -> Value {
    let path = format!("/seller/dashboard/{seller}");
    for _ in 0..500 {
        let shown = get(router, &path).await;
        let entries = shown["orderEntries"].as_array().unwrap();
        let amounts = entries.iter().map(|it| it["total_amount"].as_f64().unwrap());
        // The sum of nothing has a sign.
        let sum = amounts.sum::<f64>().abs();
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
    panic!("seller {seller} has not {n_orders} orders: {}", get(router, &path).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_checkout_that_comes_again_is_the_same_order() {
    let (shop, _folder) = open().await;
    add(&shop.router, 7, (1, 1), 2, "0").await;
    add(&shop.router, 7, (2, 1), 3, "0").await;
    assert_eq!(get(&shop.router, "/cart/7").await.as_array().unwrap().len(), 2);
    let (status, order) = check_out(&shop.router, 7, "1").await;
    assert_eq!(status, 200, "{order}");
    assert_eq!(order["items"].as_array().unwrap().len(), 2);
    assert_eq!(order["items"][0]["UnitPrice"], 10.25);
    assert_eq!(check_out(&shop.router, 7, "1").await, (200, order.clone()));
    assert_eq!(get(&shop.router, "/cart/7/history/1").await, order["items"]);
    assert_eq!(get(&shop.router, "/cart/7/history/other").await, json!([]));
    assert_eq!(get(&shop.router, "/cart/7").await, json!([]));
    let shown = dashboard(&shop.router, 1, 1).await;
    assert_eq!(shown["sellerView"]["total_amount"], 20.5);
    assert_eq!(get(&shop.router, "/stock/1/1").await["qty_available"], 8);
    // The next order is another one.
    add(&shop.router, 7, (1, 2), 1, "0").await;
    let (status, next) = check_out(&shop.router, 7, "2").await;
    assert_eq!(status, 200, "{next}");
    assert_ne!(next["order_id"], order["order_id"]);
    dashboard(&shop.router, 1, 2).await;
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_of_another_version_is_not_bought_and_prices_are_those_of_the_day() {
    let (shop, _folder) = open().await;
    add(&shop.router, 7, (1, 1), 1, "0").await;
    add(&shop.router, 7, (2, 2), 1, "0").await;
    let row = product(1, 1, 11.0, "9");
    assert_eq!(ask(&shop.router, Method::PUT, "/product", Some(&row)).await.0, 202);
    let price = json!({
        "sellerId": 2, "productId": 2, "price": 12.499, "version": "0", "instanceId": "8",
    });
    assert_eq!(ask(&shop.router, Method::PATCH, "/product", Some(&price)).await.0, 202);
    let (status, order) = check_out(&shop.router, 7, "10").await;
    assert_eq!(status, 200, "{order}");
    let items = order["items"].as_array().unwrap();
    assert_eq!(items.len(), 1);
    assert_eq!((&items[0]["SellerId"], &items[0]["UnitPrice"]), (&json!(2), &json!(12.5)));
    add(&shop.router, 7, (1, 1), 1, "0").await;
    let (status, refused) = check_out(&shop.router, 7, "11").await;
    assert_eq!(status, 409, "{refused}");
    assert_eq!(ask(&shop.router, Method::PATCH, "/cart/7/seal", None).await.0, 200);
    // Of this one there are not so many.
    for _ in 0..2 {
        add(&shop.router, 7, (1, 2), 9, "0").await;
    }
    assert_eq!(check_out(&shop.router, 7, "12").await.0, 409);
    assert_eq!(ask(&shop.router, Method::PATCH, "/cart/7/seal", None).await.0, 200);
    let late = json!({"sellerId": 1, "productId": 1, "price": 1, "version": "0"});
    assert_eq!(ask(&shop.router, Method::PATCH, "/product", Some(&late)).await.0, 409);
    assert_eq!(ask(&shop.router, Method::PATCH, "/reset", None).await.0, 200);
    assert_eq!(get(&shop.router, "/product/1/1").await["version"], "0");
    assert_eq!(get(&shop.router, "/stock/1/2").await["qty_available"], 10_000);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_seller_delivers_its_oldest_order() {
    let (shop, _folder) = open().await;
    let mut orders = Vec::new();
    for tid in ["1", "2"] {
        add(&shop.router, 7, (1, 1), 1, "0").await;
        add(&shop.router, 7, (2, 1), 1, "0").await;
        let (status, order) = check_out(&shop.router, 7, tid).await;
        assert_eq!(status, 200, "{order}");
        orders.push(order["order_id"].clone());
    }
    for seller in [1, 2] {
        dashboard(&shop.router, seller, 2).await;
    }
    assert_eq!(ask(&shop.router, Method::PATCH, "/shipment/3", None).await.0, 202);
    for seller in [1, 2] {
        let shown = dashboard(&shop.router, seller, 1).await;
        assert_eq!(shown["orderEntries"][0]["order_id"], orders[1]);
    }
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn versions_are_known_to_nodes_that_did_not_take_the_items() {
    let (shop, _folder) = open().await;
    let other = shop.routes_without_memory();
    add(&shop.router, 7, (1, 1), 1, "0").await;
    add(&shop.router, 7, (2, 2), 1, "0").await;
    let row = product(1, 1, 11.0, "9");
    assert_eq!(ask(&shop.router, Method::PUT, "/product", Some(&row)).await.0, 202);
    assert_eq!(get(&other, "/cart/7").await[0]["Version"], "0");
    let (status, order) = check_out(&other, 7, "10").await;
    assert_eq!(status, 200, "{order}");
    assert_eq!(order["items"].as_array().unwrap().len(), 1);
    assert_eq!(order["items"][0]["SellerId"], 2);
    let row = product(2, 2, 10.25, "11");
    assert_eq!(ask(&other, Method::PUT, "/product", Some(&row)).await.0, 202);
    // What was bought stays of the version that it was.
    assert_eq!(get(&other, "/cart/7/history/10").await, order["items"]);
    assert_eq!(get(&shop.router, "/cart/7/history/10").await[0]["Version"], "0");
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reset_holds_for_nodes_that_were_not_asked_for_it() {
    let (shop, _folder) = open().await;
    let other = shop.routes_without_memory();
    add(&other, 7, (1, 1), 1, "0").await;
    let (status, first) = check_out(&other, 7, "1").await;
    assert_eq!(status, 200, "{first}");
    add(&other, 7, (1, 2), 4, "0").await;
    assert_eq!(ask(&shop.router, Method::PATCH, "/reset", None).await.0, 200);
    assert_eq!(get(&other, "/cart/7").await, json!([]));
    assert_eq!(check_out(&other, 7, "1").await.0, 409);
    add(&other, 7, (1, 1), 2, "0").await;
    let (status, again) = check_out(&other, 7, "1").await;
    assert_eq!(status, 200, "{again}");
    assert_ne!(again["order_id"], first["order_id"]);
    assert_eq!(again["items"][0]["Quantity"], 2);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_flag_there_is_nothing() {
    let shop = Shop::open_empty().await;
    assert_eq!(ask(&shop.router, Method::GET, "/cart/7", None).await.0, 404);
    assert_eq!(ask(&shop.router, Method::PATCH, "/reset", None).await.0, 404);
    shop.close().await;
}
