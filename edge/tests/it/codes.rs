//! Discount codes, through one node.

use axum::http::Method;
use serde_json::{Value, json};

use crate::checkout::{KEY, all_at_once, basket, check_out, expect_stock};
use crate::promotions::{open, sent, sum, ten_percent, write};
use crate::shop::{Ask, Basket, Shop};

async fn with_code(shop: &Shop, limits: Value) {
    let mut promotion = ten_percent("ten");
    promotion["requires_code"] = json!(true);
    write(shop, "/admin/v1/promotions", &promotion).await;
    let mut code = limits;
    code["code"] = json!("sale");
    code["promotion"] = json!("ten");
    write(shop, "/admin/v1/discount_codes", &code).await;
}

pub(crate) fn give(basket: &Basket, code: &str) -> Ask {
    let ask = Ask::post(format!("{}/discount_codes", basket.path())).token(&basket.token);
    ask.json(&json!({"code": code}))
}

async fn coded(shop: &Shop, items: &[(&str, u32)]) -> Basket {
    let basket = basket(shop, items).await;
    let answer = shop.send(give(&basket, "Sale")).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    basket
}

pub(crate) fn of(email: &str) -> Value {
    let mut terms = sent();
    terms["email"] = json!(email);
    terms
}

/// Looks until the uses are so: they are counted and freed after the answer.
async fn expect_uses(shop: &Shop, used: u64, held: u64) {
    let uses = || Ask::get("/admin/v1/discount_codes/SALE/uses").operator();
    let expected = json!({"code": "SALE", "used": used, "held": held});
    for _ in 0..500 {
        if shop.send(uses()).await.json() == expected {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    assert_eq!(shop.send(uses()).await.json(), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_is_given_shown_and_taken_away() {
    let (shop, _folder) = open().await;
    with_code(&shop, json!({})).await;
    let basket = basket(&shop, &[("tea", 2)]).await;
    shop.send(give(&basket, "other")).await.problem(422, "discount_code_unknown");
    shop.send(give(&basket, "a b")).await.problem(422, "validation_failed");
    let cart = shop.send(give(&basket, "sale")).await.json();
    assert_eq!(cart["discount_codes"], json!(["SALE"]));
    assert_eq!((&cart["discounts"][0]["code"], sum(&cart, "grand")), (&json!("SALE"), 810));
    assert_eq!(shop.send(give(&basket, "SALE")).await.json(), cart, "a repeat changes nothing");
    let one = |code: &str| format!("{}/discount_codes/{code}", basket.path());
    let remove = |code: &str| Ask::new(Method::DELETE, one(code)).token(&basket.token);
    let cart = shop.send(remove("sale")).await.json();
    assert_eq!((&cart["discount_codes"], sum(&cart, "grand")), (&json!([]), 900));
    shop.send(remove("sale")).await.problem(404, "discount_code_not_found");
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_that_takes_nothing_off_says_so() {
    let (shop, _folder) = open().await;
    let mut promotion = ten_percent("ten");
    promotion["requires_code"] = json!(true);
    promotion["minimum"] = json!([{"amount": 1_000, "currency": "EUR"}]);
    write(&shop, "/admin/v1/promotions", &promotion).await;
    let code = json!({"code": "SALE", "promotion": "ten", "limit": 1});
    write(&shop, "/admin/v1/discount_codes", &code).await;
    let basket = coded(&shop, &[("tea", 2)]).await;
    let cart = shop.send(basket.get()).await.json();
    let message = &cart["messages"][0];
    assert_eq!(message["code"], "discount_code_idle", "{cart}");
    assert_eq!(message["discount_code"], "SALE");
    let order = shop.send(check_out(&basket, KEY, &sent())).await;
    assert_eq!(order.status, 201, "{order:?}");
    expect_uses(&shop, 0, 0).await;
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_is_of_a_promotion_that_requires_one() {
    let (shop, _folder) = open().await;
    write(&shop, "/admin/v1/promotions", &ten_percent("open")).await;
    for promotion in ["open", "none"] {
        let code = json!({"code": "A", "promotion": promotion});
        let ask = Ask::post("/admin/v1/discount_codes").operator().json(&code);
        shop.send(ask).await.problem(422, "promotion_without_code");
    }
    let mut over = ten_percent("over");
    over["requires_code"] = json!(true);
    over["valid_until"] = json!("2001-01-01T00:00:00Z");
    write(&shop, "/admin/v1/promotions", &over).await;
    write(&shop, "/admin/v1/discount_codes", &json!({"code": "OLD", "promotion": "over"})).await;
    let basket = basket(&shop, &[("tea", 2)]).await;
    shop.send(give(&basket, "old")).await.problem(422, "discount_code_not_in_force");
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_is_used_by_as_many_orders_as_it_may_be_however_many_try_at_once() {
    let (shop, _folder) = open().await;
    with_code(&shop, json!({"limit": 3})).await;
    let mut asks = Vec::new();
    for number in 0..12 {
        let basket = coded(&shop, &[("tea", 1)]).await;
        let terms = of(&format!("shopper-{number}@example.org"));
        asks.push(check_out(&basket, &format!("{KEY}-{number}"), &terms));
    }
    let answers = all_at_once(&shop, asks).await;
    let n_bought = answers.iter().filter(|answer| answer.status == 201).count();
    assert_eq!(n_bought, 3, "{answers:?}");
    for refused in answers.iter().filter(|answer| answer.status != 201) {
        refused.problem(409, "discount_code_exhausted");
    }
    expect_uses(&shop, 3, 0).await;
    expect_stock(&shop, "tea", (97, 0)).await;
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_customer_is_known_by_the_address_however_it_is_spelt() {
    let (shop, _folder) = open().await;
    with_code(&shop, json!({"limit_per_customer": 1})).await;
    let basket = coded(&shop, &[("tea", 1)]).await;
    let mut nobody = sent();
    nobody.as_object_mut().unwrap().remove("email");
    let refused = shop.send(check_out(&basket, &format!("{KEY}-0"), &nobody)).await;
    assert_eq!(refused.problem(422, "email_required")["param"], "email");
    let first = shop.send(check_out(&basket, KEY, &of("ann@example.org"))).await;
    assert_eq!(first.status, 201, "{first:?}");
    let again = coded(&shop, &[("tea", 1)]).await;
    let again = shop.send(check_out(&again, &format!("{KEY}-2"), &of("Ann@Example.org"))).await;
    again.problem(409, "discount_code_used");
    let other = coded(&shop, &[("tea", 1)]).await;
    let other = shop.send(check_out(&other, &format!("{KEY}-3"), &of("bob@example.org"))).await;
    assert_eq!(other.status, 201, "{other:?}");
    expect_uses(&shop, 2, 0).await;
    expect_stock(&shop, "tea", (98, 0)).await;
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_is_free_again_when_nothing_came_of_its_order() {
    let (shop, _folder) = open().await;
    with_code(&shop, json!({"limit": 1})).await;
    let basket = coded(&shop, &[("tea", 1)]).await;
    let mut poor = sent();
    poor["payment"]["token"] = json!("tok_decline");
    let declined = shop.send(check_out(&basket, KEY, &poor)).await;
    declined.problem(402, "payment_declined");
    expect_uses(&shop, 0, 0).await;
    let order = shop.send(check_out(&basket, &format!("{KEY}-2"), &sent())).await;
    assert_eq!(order.status, 201, "{order:?}");
    assert_eq!(order.json()["discounts"][0]["code"], "SALE");
    expect_uses(&shop, 1, 0).await;
    let cancel = format!("{}/cancel", order.header("location").unwrap());
    let cancel = Ask::post(cancel).token(&basket.token).key("no");
    let cancelled = shop.send(cancel.json(&json!({"reason": "changed mind"}))).await;
    assert_eq!(cancelled.status, 200, "{cancelled:?}");
    expect_uses(&shop, 0, 0).await;
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cart_has_so_many_codes_and_no_more() {
    let (shop, _folder) = open().await;
    with_code(&shop, json!({})).await;
    for number in 0..5 {
        let code = json!({"code": format!("C{number}"), "promotion": "ten"});
        write(&shop, "/admin/v1/discount_codes", &code).await;
    }
    let basket = basket(&shop, &[("tea", 2)]).await;
    for number in 0..5 {
        assert_eq!(shop.send(give(&basket, &format!("c{number}"))).await.status, 200);
    }
    shop.send(give(&basket, "sale")).await.problem(409, "too_many_discount_codes");
    // Five codes of one promotion take it off once, and use one code.
    let cart = shop.send(basket.get()).await.json();
    assert_eq!(sum(&cart, "discount"), 90);
    shop.close().await;
}
