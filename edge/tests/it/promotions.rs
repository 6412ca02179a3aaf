//! What promotions take off carts and orders, through one node.

use axum::http::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::checkout::{KEY, basket, check_out, simulators, terms};
use crate::shop::{Answer, Ask, Shop};

/// A shop that sells tea at 450 and cups at 1299, and sends them for 490.
pub(crate) async fn open() -> (Shop, TempDir) {
    let (providers, folder) = simulators(&["simulator"]);
    let shop = Shop::open_empty_with_payments(providers).await;
    let euros = |minor: i64| json!([{"amount": minor, "currency": "EUR"}]);
    for (sku, minor) in [("tea", 450), ("cup", 1_299)] {
        let variant = json!({"sku": sku, "name": sku, "prices": euros(minor)});
        let product = json!({"slug": sku, "title": sku, "status": "active", "variants": [variant]});
        write(&shop, "/admin/v1/products", &product).await;
        shop.stock(sku, 100).await;
    }
    let parcel = json!({"id": "parcel", "name": "Parcel", "carrier": "Post", "prices": euros(490)});
    write(&shop, "/admin/v1/shipping_options", &parcel).await;
    (shop, folder)
}

/// Writes something, and waits until this node prices by it.
pub(crate) async fn write(shop: &Shop, path: &str, body: &Value) {
    let answer = shop.send(Ask::post(path).operator().json(body)).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    settle(shop, &answer).await;
}

async fn settle(shop: &Shop, after: &Answer) {
    let list = Ask::get("/admin/v1/promotions").operator();
    let list = shop.send(list.header("omni-min-seq", after.header("omni-seq").unwrap())).await;
    assert_eq!(list.status, 200, "{list:?}");
}

pub(crate) fn sent() -> Value {
    let mut terms = terms("tok_visa");
    terms["shipping_option"] = json!("parcel");
    terms
}

pub(crate) fn ten_percent(id: &str) -> Value {
    json!({"id": id, "name": "Ten", "benefit": {"type": "percentage", "rate_millionths": 100_000}})
}

fn amounts(shown: &Value, member: &str) -> Vec<(String, i64)> {
    let all = shown[member].as_array().unwrap().iter();
    let one = |one: &Value| {
        (one["promotion"].as_str().unwrap().to_owned(), one["amount"]["amount"].as_i64().unwrap())
    };
    all.map(one).collect()
}

pub(crate) fn sum(shown: &Value, name: &str) -> i64 {
    shown["totals"][name]["amount"].as_i64().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn promotions_are_taken_off_carts_and_orders() {
    let (shop, _folder) = open().await;
    write(&shop, "/admin/v1/promotions", &ten_percent("ten")).await;
    let free = json!({"id": "free", "name": "Free", "benefit": {"type": "free_shipping"},
        "priority": 1, "minimum": [{"amount": 1_500, "currency": "EUR"}]});
    write(&shop, "/admin/v1/promotions", &free).await;
    let basket = basket(&shop, &[("tea", 2)]).await;
    let cart = shop.send(basket.get()).await.json();
    assert_eq!(amounts(&cart, "discounts"), [("ten".to_owned(), 90)]);
    assert_eq!((sum(&cart, "discount"), sum(&cart, "grand")), (90, 810));
    let cart = shop.send(basket.add("cup", 1)).await.json();
    assert_eq!(amounts(&cart, "discounts"), [("free".to_owned(), 0), ("ten".to_owned(), 220)]);
    assert_eq!(sum(&cart, "grand"), 2_199 - 220);

    let order = shop.send(check_out(&basket, KEY, &sent())).await;
    assert_eq!(order.status, 201, "{order:?}");
    let json = order.json();
    assert_eq!(amounts(&json, "discounts"), [("free".to_owned(), 490), ("ten".to_owned(), 220)]);
    let discounts: Vec<_> = json["items"].as_array().unwrap().iter().collect();
    let discounts: Vec<_> = discounts.iter().map(|item| &item["discount"]["amount"]).collect();
    assert_eq!(discounts, [&json!(130), &json!(90)]);
    assert_eq!((sum(&json, "discount"), sum(&json, "shipping")), (220, 0));
    assert_eq!(
        (sum(&json, "grand"), &json["payments"][0]["captured"]["amount"]),
        (1_979, &json!(1_979))
    );
    let at = order.header("location").unwrap();
    let shown = shop.send(Ask::get(at).token(&basket.token)).await.json();
    assert_eq!(shown["discounts"], json["discounts"]);
    let again = shop.send(check_out(&basket, KEY, &sent())).await;
    assert_eq!((again.status, &again.body), (201, &order.body));
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shopper_sees_a_promotion_end_before_paying_more() {
    let (shop, _folder) = open().await;
    write(&shop, "/admin/v1/promotions", &ten_percent("ten")).await;
    let basket = basket(&shop, &[("tea", 2)]).await;
    let gone = Ask::new(Method::DELETE, "/admin/v1/promotions/ten").operator();
    let gone = shop.send(gone).await;
    settle(&shop, &gone).await;
    let refused = shop.send(check_out(&basket, KEY, &sent())).await;
    refused.problem(409, "price_changed");
    let cart = shop.send(basket.get()).await.json();
    assert_eq!((&cart["status"], sum(&cart, "grand")), (&json!("open"), 900));
    let order = shop.send(check_out(&basket, &format!("{KEY}-2"), &sent())).await;
    assert_eq!((order.status, sum(&order.json(), "grand")), (201, 1_390), "{order:?}");
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_an_order_without_some_lines_the_rest_is_discounted_as_it_was() {
    let (shop, _folder) = open().await;
    write(&shop, "/admin/v1/promotions", &ten_percent("ten")).await;
    shop.stock("cup", 0).await;
    let basket = basket(&shop, &[("tea", 2), ("cup", 1)]).await;
    let mut terms = sent();
    terms["out_of_stock"] = json!("drop");
    let order = shop.send(check_out(&basket, KEY, &terms)).await;
    assert_eq!(order.status, 201, "{order:?}");
    let json = order.json();
    assert_eq!(amounts(&json, "discounts"), [("ten".to_owned(), 90)]);
    assert_eq!((sum(&json, "discount"), sum(&json, "grand")), (90, 810 + 490));
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_promotion_is_named() {
    let shop = Shop::open_empty().await;
    let refused = |body: Value| {
        let ask = Ask::post("/admin/v1/promotions").operator().json(&body);
        let shop = &shop;
        async move { shop.send(ask).await.problem(422, "validation_failed") }
    };
    let of = |benefit: Value| json!({"id": "a", "name": "A", "benefit": benefit});
    for benefit in [
        json!({"type": "gift"}),
        json!({"type": "percentage"}),
        json!({"type": "percentage", "rate_millionths": 0}),
        json!({"type": "percentage", "rate_millionths": 1_000_001}),
        json!({"type": "buy_get", "buy": 0, "get": 1, "rate_millionths": 1}),
        json!({"type": "free_shipping", "off": []}),
        json!({"type": "amount", "off": [{"amount": -1, "currency": "EUR"}]}),
        json!({"type": "amount", "off": [{"amount": 0, "currency": "EUR"}]}),
        json!({"type": "amount", "off": []}),
        json!({"type": "amount"}),
    ] {
        assert_eq!(refused(of(benefit)).await["errors"][0]["param"], "benefit");
    }
    let mut body = ten_percent("a");
    body["scope"] = json!({"skus": ["a"], "categories": ["b"]});
    assert_eq!(refused(body.clone()).await["errors"][0]["param"], "scope");
    body["scope"] = json!({"skus": []});
    assert_eq!(refused(body.clone()).await["errors"][0]["param"], "scope");
    body["scope"] = Value::Null;
    body["valid_from"] = json!("2026-02-01T00:00:00Z");
    body["valid_until"] = json!("2026-01-01T00:00:00Z");
    assert_eq!(refused(body).await["errors"][0]["param"], "valid_until");
    shop.close().await;
}
