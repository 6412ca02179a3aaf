//! What only a customer's first order gets, through one node.

use axum::http::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::checkout::{KEY, all_at_once, basket, check_out, expect_stock};
use crate::codes::{give, of};
use crate::promotions::{open, sum, ten_percent, write};
use crate::shop::{Answer, Ask, Basket, Shop};

const ANN: &str = "ann@example.org";

fn welcome() -> Value {
    let mut promotion = ten_percent("welcome");
    promotion["requires_code"] = json!(true);
    promotion["orders"] = json!("first");
    promotion
}

/// A shop that takes ten percent off a first order.
async fn welcoming() -> (Shop, TempDir) {
    let (shop, folder) = open().await;
    write(&shop, "/admin/v1/promotions", &welcome()).await;
    let code = json!({"code": "HELLO", "promotion": "welcome"});
    write(&shop, "/admin/v1/discount_codes", &code).await;
    (shop, folder)
}

/// Of one cup of tea, with the code.
async fn welcomed(shop: &Shop) -> Basket {
    let basket = basket(shop, &[("tea", 1)]).await;
    let cart = shop.send(give(&basket, "hello")).await;
    assert_eq!((cart.status, sum(&cart.json(), "grand")), (200, 405), "{cart:?}");
    basket
}

fn buy(basket: &Basket, nth: usize, email: &str) -> Ask {
    check_out(basket, &format!("{KEY}-{nth}"), &of(email))
}

/// Looks until the customer's orders are so: their list is told after the answer.
async fn expect_listed(shop: &Shop, email: &str, statuses: &[&str]) {
    let mut found = Value::Null;
    for _ in 0..500 {
        let list = Ask::get(format!("/admin/v1/orders?customer={email}")).operator();
        found = shop.send(list).await.json();
        let orders = found["data"].as_array().unwrap().iter();
        if orders.map(|order| &order["status"]).eq(statuses) {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("the orders of {email} are {found} and not {statuses:?}");
}

/// Checks out until it is bought: that a use is free again is told after the answer.
async fn expect_bought(shop: &Shop, basket: &Basket, email: &str) -> Answer {
    for nth in 100..600 {
        let answer = shop.send(buy(basket, nth, email)).await;
        if answer.status == 201 {
            return answer;
        }
        assert_eq!(answer.status, 409, "{answer:?}");
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("{email} does not get what only a first order gets");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_order_gets_it_and_the_next_one_does_not() {
    let (shop, _folder) = welcoming().await;
    let one = welcomed(&shop).await;
    let first = shop.send(buy(&one, 1, ANN)).await;
    assert_eq!((first.status, &first.json()["discounts"][0]["code"]), (201, &json!("HELLO")));
    let two = welcomed(&shop).await;
    for nth in [2, 3] {
        shop.send(buy(&two, nth, "Ann@Example.org")).await.problem(409, "first_order_only");
        expect_listed(&shop, ANN, &["confirmed"]).await;
    }
    // The order that it became is no reason to answer otherwise.
    let again = shop.send(buy(&one, 1, ANN)).await;
    assert_eq!((again.status, &again.body), (201, &first.body));
    let code = format!("{}/discount_codes/hello", two.path());
    let cart = shop.send(Ask::new(Method::DELETE, code).token(&two.token)).await;
    assert_eq!((&cart.json()["status"], sum(&cart.json(), "grand")), (&json!("open"), 450));
    let second = shop.send(buy(&two, 4, ANN)).await;
    assert_eq!((second.status, sum(&second.json(), "discount")), (201, 0), "{second:?}");
    let bob = welcomed(&shop).await;
    let bob = shop.send(buy(&bob, 5, "bob@example.org")).await;
    assert_eq!((bob.status, sum(&bob.json(), "discount")), (201, 45), "{bob:?}");
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_checkouts_of_one_customer_at_once_one_gets_it() {
    let (shop, _folder) = welcoming().await;
    let mut asks = Vec::new();
    for nth in 0..10 {
        asks.push(buy(&welcomed(&shop).await, nth, ANN));
    }
    let answers = all_at_once(&shop, asks).await;
    let n_bought = answers.iter().filter(|answer| answer.status == 201).count();
    assert_eq!(n_bought, 1, "{answers:?}");
    for refused in answers.iter().filter(|answer| answer.status != 201) {
        refused.problem(409, "first_order_only");
    }
    expect_stock(&shop, "tea", (99, 0)).await;
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_without_it_was_the_first_one_all_the_same() {
    let (shop, _folder) = welcoming().await;
    let plain = basket(&shop, &[("tea", 1)]).await;
    let plain = shop.send(buy(&plain, 1, ANN)).await;
    assert_eq!((plain.status, sum(&plain.json(), "discount")), (201, 0), "{plain:?}");
    expect_listed(&shop, ANN, &["confirmed"]).await;
    let basket = welcomed(&shop).await;
    let refused = shop.send(buy(&basket, 2, ANN)).await;
    refused.problem(409, "first_order_only");
    // A key has one answer, whatever happens to the other order.
    let at = plain.header("location").unwrap().replace("/store/", "/admin/");
    let cancel = Ask::post(format!("{at}/cancel")).operator().json(&json!({"reason": "late"}));
    assert_eq!(shop.send(cancel).await.status, 200);
    expect_listed(&shop, ANN, &["cancelled"]).await;
    let again = shop.send(buy(&basket, 2, ANN)).await;
    again.problem(409, "first_order_only");
    let bought = shop.send(buy(&basket, 3, ANN)).await;
    assert_eq!((bought.status, sum(&bought.json(), "discount")), (201, 45), "{bought:?}");
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_failed_or_was_cancelled_is_no_first_one() {
    let (shop, _folder) = welcoming().await;
    let basket = welcomed(&shop).await;
    let mut poor = of(ANN);
    poor["payment"]["token"] = json!("tok_decline");
    shop.send(check_out(&basket, KEY, &poor)).await.problem(402, "payment_declined");
    let first = expect_bought(&shop, &basket, ANN).await;
    expect_listed(&shop, ANN, &["confirmed", "failed"]).await;
    let cancel = format!("{}/cancel", first.header("location").unwrap());
    let cancel = Ask::post(cancel).token(&basket.token).key("no");
    let cancelled = shop.send(cancel.json(&json!({"reason": "changed mind"}))).await;
    assert_eq!(cancelled.status, 200, "{cancelled:?}");
    let next = welcomed(&shop).await;
    let next = expect_bought(&shop, &next, ANN).await;
    assert_eq!(sum(&next.json(), "discount"), 45);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_has_no_first_order() {
    let (shop, _folder) = welcoming().await;
    let basket = welcomed(&shop).await;
    let mut nobody = of(ANN);
    nobody.as_object_mut().unwrap().remove("email");
    let refused = shop.send(check_out(&basket, KEY, &nobody)).await;
    assert_eq!(refused.problem(422, "email_required")["param"], "email");
    let bought = shop.send(buy(&basket, 1, ANN)).await;
    assert_eq!((bought.status, sum(&bought.json(), "discount")), (201, 45), "{bought:?}");
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_promotion_for_first_orders_has_a_code_and_no_group() {
    let (shop, _folder) = welcoming().await;
    let one = shop.send(Ask::get("/admin/v1/promotions/welcome").operator()).await.json();
    assert_eq!((&one["orders"], &one["customer_group"]), (&json!("first"), &Value::Null));
    for (member, value, wrong) in [
        ("requires_code", json!(false), "requires_code"),
        ("customer_group", json!("staff"), "orders"),
        ("orders", json!("second"), "orders"),
    ] {
        let mut promotion = welcome();
        promotion[member] = value;
        let ask = Ask::post("/admin/v1/promotions").operator().json(&promotion);
        let refused = shop.send(ask).await.problem(422, "validation_failed");
        assert_eq!(refused["errors"][0]["param"], wrong);
    }
    shop.close().await;
}
