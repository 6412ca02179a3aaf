//! One whole run as the driver plays it, in small, and the same again after a reset.

use axum::Router;
use axum::http::Method;
use serde_json::{Value, json};

use super::{add, ask, check_out, dashboard, get, product};
use crate::checkout::simulators;
use crate::shop::Shop;

const SEAL: &str = "/cart/3/seal";

/// What a run begins with, since prices stay what the run before left, and what comes of it.
struct Prices {
    of_1_1: f64,
    of_1_2: f64,
    total_of_first: f64,
    sum_of_seller_1: f64,
}

/// The sums of a dashboard, in the order of their names.
async fn sums(router: &Router, seller: u32, n_orders: u64) -> [f64; 7] {
    let shown = dashboard(router, seller, n_orders).await;
    let names = ["count_orders", "count_items"].into_iter().chain([
        "total_amount",
        "total_freight",
        "total_incentive",
        "total_invoice",
        "total_items",
    ]);
    let sums = names.map(|name| shown["sellerView"][name].as_f64().unwrap());
    sums.collect::<Vec<_>>().try_into().unwrap()
}

async fn ingest(router: &Router) {
    for id in 1..=3 {
        let row = json!({"id": id, "first_name": "A", "card_number": "4111111111111111"});
        assert_eq!(ask(router, Method::POST, "/customer", Some(&row)).await.0, 201);
        assert_eq!(get(router, &format!("/customer/{id}")).await, json!({"id": id}));
    }
    for id in [1, 2] {
        let row = json!({"id": id, "name": "S", "company_name": format!("Seller {id}")});
        assert_eq!(ask(router, Method::POST, "/seller", Some(&row)).await.0, 201);
        let shown = json!({"id": id, "name": format!("Seller {id}")});
        assert_eq!(get(router, &format!("/seller/{id}")).await, shown);
    }
    for (seller, number, price) in [(1, 1, 10.25), (1, 2, 3.99), (2, 1, 20.0), (2, 2, 0.5)] {
        let row = product(seller, number, price, "0");
        assert_eq!(ask(router, Method::POST, "/product", Some(&row)).await.0, 200);
        let row = json!({
            "seller_id": seller, "product_id": number, "qty_available": 10_000, "version": "0",
        });
        assert_eq!(ask(router, Method::POST, "/stock", Some(&row)).await.0, 200);
    }
}

/// Of each product: how many there are, and of which version.
async fn check_stocks(router: &Router, expected: [((u32, u32), u32, &str); 4]) {
    for ((seller, number), left, version) in expected {
        let shown = get(router, &format!("/stock/{seller}/{number}")).await;
        let expected = json!({
            "seller_id": seller, "product_id": number, "qty_available": left, "qty_reserved": 0,
            "version": version,
        });
        assert_eq!(shown, expected);
        let shown = get(router, &format!("/product/{seller}/{number}")).await;
        assert_eq!(shown["version"], version);
    }
}

fn bought((seller, number): (u32, u32), price: f64, quantity: u32, version: &str) -> Value {
    json!({
        "SellerId": seller, "ProductId": number, "ProductName": "A thing", "UnitPrice": price,
        "FreightValue": 1.5, "Quantity": quantity, "Voucher": 0.0, "Version": version,
    })
}

/// What an order is of; which one it is, is given back.
async fn order(router: &Router, customer: u32, tid: &str, items: Value) -> Value {
    let (status, order) = check_out(router, customer, tid).await;
    assert_eq!((status, &order["items"]), (200, &items), "{order}");
    assert_eq!(check_out(router, customer, tid).await, (200, order.clone()));
    assert_eq!(get(router, &format!("/cart/{customer}")).await, json!([]));
    order["order_id"].clone()
}

/// Four orders, of which each is written with its customer and amount; the products change between.
async fn shop_around(router: &Router, prices: &Prices) -> [Value; 4] {
    add(router, 1, (1, 1), 2, "0").await;
    add(router, 1, (2, 1), 3, "0").await;
    let of_two = json!([bought((1, 1), prices.of_1_1, 2, "0"), bought((2, 1), 20.0, 3, "0")]);
    assert_eq!(get(router, "/cart/1").await, of_two);
    let first = order(router, 1, "1", of_two).await;
    add(router, 2, (1, 2), 1, "0").await;
    assert_eq!(get(router, "/cart/2").await, json!([bought((1, 2), prices.of_1_2, 1, "0")]));
    let price =
        json!({"sellerId": 1, "productId": 2, "price": 4.25, "version": "0", "instanceId": "2"});
    assert_eq!(ask(router, Method::PATCH, "/product", Some(&price)).await.0, 202);
    assert_eq!(get(router, "/product/1/2").await["price"], 4.25);
    let second = order(router, 2, "3", json!([bought((1, 2), 4.25, 1, "0")])).await;
    add(router, 3, (1, 1), 1, "0").await;
    add(router, 3, (2, 2), 4, "0").await;
    let row = product(1, 1, 11.5, "4");
    assert_eq!(ask(router, Method::PUT, "/product", Some(&row)).await.0, 202);
    let third = order(router, 3, "5", json!([bought((2, 2), 0.5, 4, "0")])).await;
    add(router, 3, (1, 1), 1, "0").await;
    assert_eq!(get(router, "/cart/3").await, json!([]));
    assert_eq!(check_out(router, 3, "6").await.0, 409);
    assert_eq!(ask(router, Method::PATCH, SEAL, None).await.0, 200);
    let late = json!({"sellerId": 1, "productId": 1, "price": 1, "version": "0"});
    assert_eq!(ask(router, Method::PATCH, "/product", Some(&late)).await.0, 409);
    add(router, 3, (1, 1), 1, "4").await;
    let fourth = order(router, 3, "7", json!([bought((1, 1), 11.5, 1, "4")])).await;
    [first, second, third, fourth]
}

async fn deliver(router: &Router, tid: &str) {
    assert_eq!(ask(router, Method::PATCH, &format!("/shipment/{tid}"), None).await.0, 202);
}

async fn statuses(router: &Router, customer: u32) -> Value {
    let shown = get(router, &format!("/order/{customer}")).await;
    let orders = shown.as_array().unwrap().iter();
    orders.map(|it| json!([it["order_id"], it["status"], it["total_amount"]])).collect()
}

async fn play(router: &Router, prices: Prices) -> [Value; 4] {
    let orders = shop_around(router, &prices).await;
    let [first, second, third, fourth] = &orders;
    check_stocks(
        router,
        [((1, 1), 9_997, "4"), ((1, 2), 9_999, "0"), ((2, 1), 9_997, "0"), ((2, 2), 9_996, "0")],
    )
    .await;
    let of_seller = prices.sum_of_seller_1;
    let expected = [3.0, 4.0, of_seller, 0.0, 0.0, of_seller, of_seller];
    assert_eq!(sums(router, 1, 3).await, expected);
    assert_eq!(sums(router, 2, 2).await, [2.0, 7.0, 62.0, 0.0, 0.0, 62.0, 62.0]);
    deliver(router, "8").await;
    assert_eq!(sums(router, 1, 2).await, [2.0, 2.0, 15.75, 0.0, 0.0, 15.75, 15.75]);
    assert_eq!(sums(router, 2, 1).await, [1.0, 4.0, 2.0, 0.0, 0.0, 2.0, 2.0]);
    let of_first = json!([[first, "DELIVERED", prices.total_of_first]]);
    assert_eq!(statuses(router, 1).await, of_first);
    assert_eq!(statuses(router, 2).await, json!([[second, "IN_TRANSIT", 4.25]]));
    for tid in ["9", "10"] {
        deliver(router, tid).await;
        dashboard(router, 1, if tid == "9" { 1 } else { 0 }).await;
        assert_eq!(sums(router, 2, 0).await, [0.0; 7]);
    }
    let of_third = json!([[fourth, "DELIVERED", 11.5], [third, "DELIVERED", 2.0]]);
    assert_eq!(statuses(router, 3).await, of_third);
    // Each is of the version that was bought.
    let of_first = get(router, "/cart/1/history/1").await;
    assert_eq!(of_first[0], bought((1, 1), prices.of_1_1, 2, "0"));
    assert_eq!(get(router, "/cart/3/history/7").await, json!([bought((1, 1), 11.5, 1, "4")]));
    for unknown in ["/cart/3/history/6", "/cart/3/history/1", "/cart/1/history/none"] {
        assert_eq!(get(router, unknown).await, json!([]));
    }
    orders
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_and_the_same_again_after_a_reset() {
    let (providers, _folder) = simulators(&["simulator"]);
    let shop = Shop::open_for_bench(providers).await;
    let router = &shop.router;
    ingest(router).await;
    let prices =
        Prices { of_1_1: 10.25, of_1_2: 3.99, total_of_first: 80.5, sum_of_seller_1: 36.25 };
    let before = play(router, prices).await;
    // An order on its way and a cart with something in it are left over.
    add(router, 1, (2, 2), 1, "0").await;
    order(router, 1, "11", json!([bought((2, 2), 0.5, 1, "0")])).await;
    add(router, 2, (2, 2), 5, "0").await;
    assert_eq!(ask(router, Method::PATCH, "/reset", None).await.0, 200);
    check_stocks(
        router,
        [
            ((1, 1), 10_000, "0"),
            ((1, 2), 10_000, "0"),
            ((2, 1), 10_000, "0"),
            ((2, 2), 10_000, "0"),
        ],
    )
    .await;
    for customer in 1..=3 {
        assert_eq!(get(router, &format!("/cart/{customer}")).await, json!([]));
        assert_eq!(get(router, &format!("/order/{customer}")).await, json!([]));
        assert_eq!(get(router, &format!("/customer/{customer}")).await["id"], customer);
    }
    assert_eq!(get(router, "/cart/1/history/1").await, json!([]));
    for seller in [1, 2] {
        assert_eq!(sums(router, seller, 0).await, [0.0; 7]);
    }
    let prices =
        Prices { of_1_1: 11.5, of_1_2: 4.25, total_of_first: 83.0, sum_of_seller_1: 38.75 };
    let after = play(router, prices).await;
    assert!(before.iter().all(|order| !after.contains(order)), "{before:?} {after:?}");
    assert_eq!(ask(router, Method::PATCH, "/cleanup", None).await.0, 200);
    shop.close().await;
}
