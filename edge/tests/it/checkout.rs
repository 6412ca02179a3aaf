//! Checkouts from cart to money, with a payment provider inside.

use std::collections::BTreeMap;
use std::sync::Arc;

use edge::metrics::ProviderMetrics;
use edge::providers::payment::simulator::{Behaviour, InProcess};
use edge::providers::payment::{PaymentProvider, Providers};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::shop::{Answer, Ask, Basket, Shop, send};

pub(crate) const KEY: &str = "8e03978e-40d5-43e8-bc93-6894a57f9324";

pub(crate) async fn open() -> (Shop, TempDir) {
    let (providers, folder) = simulators(&["simulator"]);
    (Shop::open_with_payments(providers).await, folder)
}

pub(crate) fn simulators(names: &[&str]) -> (Providers, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let simulator = |name: &&str| {
        let simulator = InProcess::new(folder.path().join(name), Behaviour::default());
        let simulator: Arc<dyn PaymentProvider> = Arc::new(simulator);
        (name.parse().unwrap(), simulator)
    };
    let all: BTreeMap<_, _> = names.iter().map(simulator).collect();
    (Providers::new(all, ProviderMetrics::default()), folder)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_chooses_who_takes_a_payment_that_names_nobody() {
    let (providers, _folder) = simulators(&["small", "large"]);
    let rules = "currency=EUR country=DE amount=..1000 -> small; country=DE -> large";
    let shop = Shop::open_with_routing(providers, rules).await;
    let mut unnamed = terms("tok_visa");
    unnamed["payment"].as_object_mut().unwrap().remove("provider");
    for (quantity, provider) in [(1, "small"), (5, "large")] {
        let basket = basket(&shop, &[("tea", quantity)]).await;
        let set = Ask::post("/admin/v1/inventory/tea/set").operator();
        let set = set.json(&json!({"on_hand": 10, "reason": "counted"}));
        assert_eq!(shop.send(set).await.status, 200);
        let key = format!("{KEY}-{provider}");
        let created = shop.send(check_out(&basket, &key, &unnamed)).await;
        assert_eq!(created.status, 201, "{created:?}");
        assert_eq!(shop.send(check_out(&basket, &key, &unnamed)).await.body, created.body);
        let id = created.json()["payments"][0]["id"].as_str().unwrap().to_owned();
        let payment = shop.send(Ask::get(format!("/admin/v1/payments/{id}")).operator()).await;
        assert_eq!(payment.json()["provider"], provider);
    }
    let basket = basket(&shop, &[("tea", 1)]).await;
    unnamed["shipping_address"]["country"] = json!("AT");
    let refused = shop.send(check_out(&basket, &format!("{KEY}-at"), &unnamed)).await;
    assert_eq!(
        (refused.status, &refused.json()["code"]),
        (422, &json!("payment_provider_unknown"))
    );
    shop.close().await;
}

pub(crate) fn terms(token: &str) -> Value {
    json!({
        "email": "a.shopper@example.org",
        "shipping_address": {
            "name": "A Shopper", "line1": "Street 1", "city": "Town", "postal_code": "12345",
            "country": "DE",
        },
        "payment": {"provider": "simulator", "token": token},
    })
}

pub(crate) async fn basket(shop: &Shop, items: &[(&str, u32)]) -> Basket {
    let basket = shop.basket().await;
    let items: Vec<_> =
        items.iter().map(|(sku, quantity)| json!({"sku": sku, "quantity": quantity})).collect();
    let add = Ask::post(format!("{}/items", basket.path())).token(&basket.token);
    let answer = shop.send(add.json(&json!({"items": items}))).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    basket
}

pub(crate) fn check_out(basket: &Basket, key: &str, terms: &Value) -> Ask {
    let ask = Ask::post(format!("{}/checkout", basket.path())).token(&basket.token);
    ask.key(key).json(terms)
}

pub(crate) async fn all_at_once(shop: &Shop, asks: Vec<Ask>) -> Vec<Answer> {
    let asks = asks.into_iter().map(|ask| tokio::spawn(send(shop.router.clone(), ask)));
    let asks: Vec<_> = asks.collect();
    let mut answers = Vec::new();
    for ask in asks {
        answers.push(ask.await.unwrap());
    }
    answers
}

async fn stock(shop: &Shop, sku: &str) -> (u64, u64) {
    let answer = shop.send(Ask::get(format!("/admin/v1/inventory/{sku}")).operator()).await;
    let json = answer.json();
    (json["on_hand"].as_u64().unwrap(), json["reserved"].as_u64().unwrap())
}

/// Looks at a stock until it is so: pieces are let go of after the answer.
pub(crate) async fn expect_stock(shop: &Shop, sku: &str, expected: (u64, u64)) {
    for _ in 0..500 {
        if stock(shop, sku).await == expected {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    assert_eq!(stock(shop, sku).await, expected, "of {sku}");
}

pub(crate) async fn order_of(shop: &Shop, basket: &Basket, created: &Answer) -> Value {
    let at = created.header("location").unwrap();
    let answer = shop.send(Ask::get(at).token(&basket.token)).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

#[tokio::test]
async fn a_cart_becomes_an_order_that_is_paid() {
    let (shop, _folder) = open().await;
    shop.stock("tea", 5).await;
    shop.stock("cup", 5).await;
    let basket = basket(&shop, &[("tea", 2), ("cup", 1)]).await;
    let answer = shop.send(check_out(&basket, KEY, &terms("tok_visa"))).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    let json = answer.json();
    assert_eq!(
        (&json["status"], &json["payment_status"]),
        (&json!("confirmed"), &json!("captured"))
    );
    let grand = json!({"amount": 2_199, "currency": "EUR"});
    assert_eq!((&json["totals"]["grand"], &json["payments"][0]["captured"]), (&grand, &grand));
    assert!(json["number"].as_str().is_some_and(|number| number.parse::<u64>().is_ok()));
    expect_stock(&shop, "tea", (3, 0)).await;
    expect_stock(&shop, "cup", (4, 0)).await;

    let order = order_of(&shop, &basket, &answer).await;
    assert_eq!((&order["id"], &order["status"]), (&json["id"], &json!("confirmed")));
    let cart = shop.send(Ask::get(basket.path()).token(&basket.token)).await.json();
    assert_eq!(cart["status"], "ordered");
    let add = basket.item(axum::http::Method::PUT, "tea").json(&json!({"quantity": 3}));
    shop.send(add).await.problem(409, "cart_ordered");
    let timeline = format!("{}/timeline", answer.header("location").unwrap());
    let timeline = shop.send(Ask::get(timeline).token(&basket.token)).await.json();
    let what: Vec<_> = timeline["data"].as_array().unwrap().iter().map(|e| &e["what"]).collect();
    let expected = ["placed", "payment_authorised", "payment_captured", "confirmed"];
    assert_eq!(what, expected.map(Value::from).iter().collect::<Vec<_>>());
    shop.close().await;
}

#[tokio::test]
async fn a_retry_gets_the_first_answer_whatever_happened_since() {
    let (shop, _folder) = open().await;
    shop.stock("tea", 5).await;
    let basket = basket(&shop, &[("tea", 2)]).await;
    let first = shop.send(check_out(&basket, KEY, &terms("tok_visa"))).await;
    assert_eq!(first.status, 201, "{first:?}");
    let id = first.json()["id"].as_str().unwrap().to_owned();
    let fulfil = Ask::post(format!("/admin/v1/orders/{id}/fulfilments")).operator();
    let items = json!({
        "items": [{"sku": "tea", "quantity": 2}], "carrier": "Post", "tracking": "1Z",
    });
    let shipped = shop.send(fulfil.key("parcel").json(&items)).await;
    assert_eq!((shipped.status, &shipped.json()["status"]), (200, &json!("shipped")));
    let again = shop.send(check_out(&basket, KEY, &terms("tok_visa"))).await;
    assert_eq!((again.status, &again.body), (201, &first.body));
    assert!(again.is_replayed());
    let other = shop.send(check_out(&basket, KEY, &terms("tok_decline"))).await;
    other.problem(422, "idempotency_conflict");
    let without = Ask::post(format!("{}/checkout", basket.path())).token(&basket.token);
    let without = shop.send(without.json(&terms("tok_visa"))).await;
    without.problem(400, "idempotency_key_required");
    expect_stock(&shop, "tea", (3, 0)).await;
    shop.close().await;
}

/// A shopper's browser, proxy and app may all repeat the request at the same time (medusa#13301).
#[tokio::test]
async fn retries_at_the_same_time_are_one_order() {
    let (shop, _folder) = open().await;
    shop.stock("tea", 50).await;
    let basket = basket(&shop, &[("tea", 2)]).await;
    let asks = (0..8).map(|_| check_out(&basket, KEY, &terms("tok_visa")));
    let answers = all_at_once(&shop, asks.collect()).await;
    for answer in &answers {
        assert_eq!((answer.status, &answer.body), (201, &answers[0].body), "{answer:?}");
    }
    expect_stock(&shop, "tea", (48, 0)).await;
    shop.close().await;
}

/// A failed payment leaves the order pending for ever, or the cart unusable (medusa#16398, medusa#6745).
#[tokio::test]
async fn a_declined_payment_gives_everything_back() {
    let (shop, _folder) = open().await;
    shop.stock("tea", 5).await;
    let basket = basket(&shop, &[("tea", 2)]).await;
    let answer = shop.send(check_out(&basket, KEY, &terms("tok_decline"))).await;
    answer.problem(402, "payment_declined");
    expect_stock(&shop, "tea", (5, 0)).await;
    let order = order_of(&shop, &basket, &answer).await;
    assert_eq!(
        (&order["status"], &order["payment_status"]),
        (&json!("failed"), &json!("declined"))
    );
    let again = shop.send(check_out(&basket, KEY, &terms("tok_decline"))).await;
    again.problem(402, "payment_declined");
    assert!(again.is_replayed());
    let other = shop.send(check_out(&basket, "another-key", &terms("tok_visa"))).await;
    assert_eq!(other.status, 201, "{other:?}");
    shop.close().await;
}

/// Stock that is sold out meanwhile is seen before anything is charged, for all lines at once
/// (vendure#3065, vendure#1738, medusa#16502).
#[tokio::test]
async fn what_is_out_of_stock_is_told_line_by_line_or_dropped() {
    let (shop, _folder) = open().await;
    shop.stock("tea", 1).await;
    shop.stock("cup", 9).await;
    let basket = basket(&shop, &[("tea", 2), ("cup", 1), ("pot", 1)]).await;
    let answer = shop.send(check_out(&basket, KEY, &terms("tok_visa"))).await;
    let problem = answer.problem(409, "out_of_stock");
    let pot = json!({"sku": "pot", "requested": 1, "available": 0});
    let tea = json!({"sku": "tea", "requested": 2, "available": 1});
    assert_eq!(problem["errors"], json!([pot, tea]));
    expect_stock(&shop, "cup", (9, 0)).await;
    let mut dropping = terms("tok_visa");
    dropping["out_of_stock"] = json!("drop");
    let answer = shop.send(check_out(&basket, "another-key", &dropping)).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    let json = answer.json();
    assert_eq!(json["totals"]["grand"]["amount"], 1_299);
    assert_eq!(json["payments"][0]["captured"]["amount"], 1_299);
    expect_stock(&shop, "cup", (8, 0)).await;
    expect_stock(&shop, "tea", (1, 0)).await;
    shop.close().await;
}

/// Sold-out pieces are promised once, however many ask at the same time (vendure#3508, medusa#16569,
/// magento#6363, nopCommerce#4184).
#[tokio::test]
async fn more_buyers_than_pieces_get_all_pieces_and_no_more() {
    const PIECES: u32 = 4;
    const BUYERS: usize = 20;
    let (shop, _folder) = open().await;
    shop.stock("tea", PIECES).await;
    let mut baskets = Vec::new();
    for _ in 0..BUYERS {
        baskets.push(basket(&shop, &[("tea", 1)]).await);
    }
    let asks = baskets.iter().map(|one| check_out(one, KEY, &terms("tok_visa")));
    let answers = all_at_once(&shop, asks.collect()).await;
    let bought = answers.iter().filter(|answer| answer.status == 201).count();
    assert_eq!(bought, usize::try_from(PIECES).unwrap());
    for answer in answers.iter().filter(|answer| answer.status != 201) {
        answer.problem(409, "out_of_stock");
    }
    expect_stock(&shop, "tea", (0, 0)).await;
    shop.close().await;
}

#[tokio::test]
async fn an_order_is_cancelled_refunded_and_returned() {
    let (shop, _folder) = open().await;
    shop.stock("tea", 10).await;
    let one = basket(&shop, &[("tea", 2)]).await;
    let created = shop.send(check_out(&one, KEY, &terms("tok_visa"))).await;
    let path = created.header("location").unwrap().to_owned();
    expect_stock(&shop, "tea", (8, 0)).await;
    let cancel = Ask::post(format!("{path}/cancel")).token(&one.token);
    let cancelled = shop.send(cancel.json(&json!({"reason": "too late"}))).await;
    assert_eq!((cancelled.status, &cancelled.json()["status"]), (200, &json!("cancelled")));
    expect_stock(&shop, "tea", (10, 0)).await;

    let two = basket(&shop, &[("tea", 3)]).await;
    let created = shop.send(check_out(&two, KEY, &terms("tok_visa"))).await;
    let id = created.json()["id"].as_str().unwrap().to_owned();
    let admin = |what: &str| Ask::post(format!("/admin/v1/orders/{id}/{what}")).operator();
    let items = json!([{"sku": "tea", "quantity": 2}]);
    let parcel = json!({"items": items, "carrier": "Post", "tracking": "1Z"});
    let unkeyed = shop.send(admin("fulfilments").json(&parcel)).await;
    unkeyed.problem(400, "idempotency_key_required");
    for _ in 0..2 {
        let shipped = shop.send(admin("fulfilments").key("parcel").json(&parcel)).await;
        assert_eq!(shipped.json()["status"], "processing", "{shipped:?}");
    }
    let store = created.header("location").unwrap().to_owned();
    let back = Ask::post(format!("{store}/returns")).token(&two.token).key("back");
    let back = back.json(&json!({"items": items, "reason": "stale"}));
    assert_eq!(shop.send(back).await.status, 200);
    let received = shop.send(admin("receive_return")).await;
    assert_eq!(received.status, 200, "{received:?}");
    expect_stock(&shop, "tea", (9, 0)).await;
    let amount = json!({"amount": 900, "currency": "EUR"});
    let refund = json!({"amount": amount, "reason": "returned"});
    shop.send(admin("refunds").json(&refund)).await.problem(400, "idempotency_key_required");
    for _ in 0..2 {
        let refunded = shop.send(admin("refunds").key("refund-1").json(&refund)).await;
        assert_eq!(refunded.status, 200, "{refunded:?}");
    }
    let too_much = json!({"amount": {"amount": 451, "currency": "EUR"}, "reason": "more"});
    let too_much = shop.send(admin("refunds").key("refund-2").json(&too_much)).await;
    too_much.problem(409, "refund_too_large");
    expect_refund(&shop, &two, &store, &amount).await;
    shop.close().await;
}

/// Looks at an order until its refund is done, which is after the answer.
pub(crate) async fn expect_refund(shop: &Shop, basket: &Basket, path: &str, amount: &Value) {
    for _ in 0..500 {
        let order = shop.send(Ask::get(path).token(&basket.token)).await.json();
        if order["refunds"][0]["status"] == "succeeded" {
            assert_eq!(order["payments"][0]["refunded"], *amount);
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("the refund is never done");
}

/// What is not shipped can be called off, by the shopper too: its pieces are in stock again, and what it
/// cost is given back.
#[tokio::test]
async fn the_rest_of_a_part_shipped_order_is_cancelled() {
    let (shop, _folder) = open().await;
    shop.stock("tea", 10).await;
    shop.stock("cup", 10).await;
    let one = basket(&shop, &[("tea", 3), ("cup", 1)]).await;
    let created = shop.send(check_out(&one, KEY, &terms("tok_visa"))).await;
    let id = created.json()["id"].as_str().unwrap().to_owned();
    let store = format!("/store/v1/orders/{id}");
    let admin = |what: &str| Ask::post(format!("/admin/v1/orders/{id}/{what}")).operator();
    let parcel = |n: u32| {
        let items = json!([{"sku": "tea", "quantity": n}]);
        json!({"items": items, "carrier": "Post", "tracking": "1Z"})
    };
    let shipped = shop.send(admin("fulfilments").key("one").json(&parcel(1))).await;
    assert_eq!(shipped.status, 200, "{shipped:?}");
    let cancel = || {
        let cancel = Ask::post(format!("{store}/cancel")).token(&one.token).key("rest");
        cancel.json(&json!({"reason": "too late"}))
    };
    let cancelled = shop.send(cancel()).await;
    let json = cancelled.json();
    assert_eq!((cancelled.status, &json["status"]), (200, &json!("shipped")), "{json}");
    let rest = json!([{"sku": "cup", "quantity": 1}, {"sku": "tea", "quantity": 2}]);
    let worth = json!({"amount": 1_299 + 2 * 450, "currency": "EUR"});
    assert_eq!(json["cancellations"][0]["items"], rest);
    assert_eq!(json["cancellations"][0]["amount"], worth);
    assert_eq!(
        (&json["items"][0]["cancelled"], &json["items"][1]["cancelled"]),
        (&json!(1), &json!(2))
    );
    expect_stock(&shop, "tea", (9, 0)).await;
    expect_stock(&shop, "cup", (10, 0)).await;
    assert!(shop.send(cancel()).await.is_replayed());
    let again = shop.send(admin("cancel").json(&json!({"reason": "once more"}))).await;
    assert_eq!(again.json()["cancellations"].as_array().unwrap().len(), 1);
    let more = shop.send(admin("fulfilments").key("two").json(&parcel(1))).await;
    more.problem(409, "too_many_pieces");
    expect_refund(&shop, &one, &store, &worth).await;
    shop.close().await;
}

#[tokio::test]
async fn what_cannot_be_checked_out_is_refused_precisely() {
    let (shop, _folder) = open().await;
    let empty = shop.basket().await;
    let answer = shop.send(check_out(&empty, KEY, &terms("tok_visa"))).await;
    answer.problem(409, "cart_empty");
    let mut stranger = terms("tok_visa");
    stranger["payment"]["provider"] = json!("nobody");
    let refused = shop.send(check_out(&empty, "k1", &stranger)).await;
    refused.problem(422, "payment_provider_unknown");
    let card = json!({
        "shipping_address": {
            "name": "4111 1111 1111 1111", "line1": "S", "city": "T", "country": "DE",
        },
        "payment": {"provider": "simulator", "token": "tok_visa"},
    });
    shop.send(check_out(&empty, "k2", &card)).await.problem(422, "card_number_refused");
    let wrong = json!({
        "shipping_address": {"line1": 1, "country": "Germany"},
        "payment": {"provider": "simulator"}, "extra": true,
    });
    let problem =
        shop.send(check_out(&empty, "k3", &wrong)).await.problem(422, "validation_failed");
    let params: Vec<_> =
        problem["errors"].as_array().unwrap().iter().map(|e| e["param"].clone()).collect();
    assert_eq!(params, ["shipping_address", "payment", "extra"]);
    let foreign = format!("/store/v1/orders/ord_{}", "0".repeat(26));
    shop.send(Ask::get(&foreign).token(&empty.token)).await.problem(404, "order_not_found");
    shop.send(Ask::get(&foreign)).await.problem(404, "order_not_found");
    shop.close().await;
}

/// Of a checkout: what is placed, what the stocks say, that the payment is asked, what it answered twice.
const SERIAL_MAX: u64 = 5;

/// Entries one behind the other of the order's shard up to the answer: the least of several, since what
/// stocks say of letting go, which nobody waits for, may come between.
async fn entries_of_a_checkout(shop: &Shop) -> u64 {
    let mut least = u64::MAX;
    for nth in 0..40 {
        let basket = basket(shop, &[("tea", 1), ("cup", 1)]).await;
        let key = format!("8e03978e-40d5-43e8-bc93-6894a57f93{nth:02}");
        let answer = shop.send(check_out(&basket, &key, &terms("tok_visa"))).await;
        assert_eq!(answer.status, 201, "{answer:?}");
        let places = answer.header("omni-seq").unwrap().split(',');
        let indexes = places.map(|place| place.rsplit_once(':').unwrap().1.parse::<u64>().unwrap());
        let indexes: Vec<_> = indexes.collect();
        least = least.min(indexes.iter().max().unwrap() - indexes.iter().min().unwrap() + 1);
        if least <= SERIAL_MAX {
            break;
        }
    }
    least
}

/// What is published is in the entries that are written anyway.
#[tokio::test]
async fn publishing_costs_a_checkout_no_entry() {
    let (shop, _folder) = open().await;
    shop.stock("tea", 50).await;
    shop.stock("cup", 50).await;
    let entries = entries_of_a_checkout(&shop).await;
    assert!(entries <= SERIAL_MAX, "{entries} entries");
    shop.close().await;
}
