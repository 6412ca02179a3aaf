//! Gift cards, from their issue to what orders take of them and give back.

use axum::http::Method;
use serde_json::{Value, json};

use crate::checkout::{KEY, all_at_once, basket, check_out, expect_stock, open, order_of, terms};
use crate::shop::{Answer, Ask, Shop};

const TEA: i64 = 450;

fn euro(amount: i64) -> Value {
    json!({"amount": amount, "currency": "EUR"})
}

fn issue(amount: i64) -> Ask {
    Ask::post("/admin/v1/gift_cards").operator().json(&json!({"amount": euro(amount)}))
}

/// Its path and its code.
async fn issued(shop: &Shop, amount: i64) -> (String, String) {
    let answer = shop.send(issue(amount)).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    let code = answer.json()["code"].as_str().unwrap().to_owned();
    (answer.header("location").unwrap().to_owned(), code)
}

fn with(token: &str, codes: &[&str]) -> Value {
    let mut terms = terms(token);
    terms["gift_cards"] = json!(codes);
    terms
}

async fn card(shop: &Shop, path: &str) -> Value {
    let answer = shop.send(Ask::get(path).operator()).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

/// Looks until the card has so much and holds nothing: it is told after the answer.
async fn expect_balance(shop: &Shop, path: &str, amount: i64) -> Value {
    let expected = (euro(amount), euro(0));
    for _ in 0..500 {
        let shown = card(shop, path).await;
        if (&shown["balance"], &shown["held"]) == (&expected.0, &expected.1) {
            return shown;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("the card is {}", card(shop, path).await);
}

fn available(code: &str) -> Ask {
    Ask::post("/store/v1/gift_cards/balance").json(&json!({"code": code}))
}

fn change(method: Method, path: &str, rest: &str, body: &Value) -> Ask {
    Ask::new(method, format!("{path}/{rest}")).operator().json(body)
}

fn refund(order: &Value, key: &str, amount: i64) -> Ask {
    let id = order["id"].as_str().unwrap();
    let ask = Ask::post(format!("/admin/v1/orders/{id}/refunds")).operator().key(key);
    ask.json(&json!({"amount": euro(amount), "reason": "stale"}))
}

#[track_caller]
fn bought(answer: &Answer) -> Value {
    assert_eq!(answer.status, 201, "{answer:?}");
    answer.json()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_card_is_issued_once_and_its_code_is_told_to_who_issued_it() {
    let (shop, _folder) = open().await;
    let first = shop.send(issue(5_000).key("for-ann")).await;
    let again = shop.send(issue(5_000).key("for-ann")).await;
    assert_eq!((first.status, again.status), (201, 201));
    assert_eq!((&first.body, again.is_replayed()), (&again.body, true));
    let (path, json) = (first.header("location").unwrap(), first.json());
    let code = json["code"].as_str().unwrap();
    let ending = json["gift_card"]["ending"].as_str().unwrap();
    assert_eq!((code.len(), code.ends_with(ending)), (19, true));
    let shown = card(&shop, path).await;
    assert_eq!(shown["balance"], euro(5_000));
    assert!(!shown.to_string().contains(&code[..9]));
    // In any spelling.
    let spelt = code.to_lowercase().replace('-', " ");
    let balance = shop.send(available(&spelt)).await.json();
    assert_eq!((&balance["available"], &balance["ending"]), (&euro(5_000), &json!(ending)));
    shop.send(available("0000-0000-0000-0000")).await.problem(404, "gift_card_not_found");
    shop.send(available("0000")).await.problem(422, "validation_failed");
    let acts = shop.acts("").await;
    let issued: Vec<_> = acts.iter().filter(|act| act["operation"] == "issueGiftCard").collect();
    assert_eq!(issued.len(), 1);
    assert!(!format!("{acts:?}").contains(&code[..9]));
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_card_that_was_made_elsewhere_keeps_its_code() {
    let (shop, _folder) = open().await;
    let body = json!({"amount": euro(100), "code": "olds-hopc-ard1", "note": "moved"});
    let ask = || Ask::post("/admin/v1/gift_cards").operator().json(&body);
    let answer = shop.send(ask()).await;
    assert_eq!(answer.json()["code"], "OLDS-HOPC-ARD1");
    shop.send(ask()).await.problem(409, "gift_card_exists");
    for (name, wrong) in [("amount", json!(5)), ("amount", euro(0)), ("code", json!("short"))] {
        let mut body = body.clone();
        body[name] = wrong;
        let refused = Ask::post("/admin/v1/gift_cards").operator().json(&body);
        shop.send(refused).await.problem(422, "validation_failed");
    }
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_card_pays_first_and_the_payment_the_rest() {
    let (shop, _folder) = open().await;
    shop.stock("tea", 5).await;
    let (path, code) = issued(&shop, 500).await;
    let basket = basket(&shop, &[("tea", 2)]).await;
    let terms = with("tok_visa", &[&code]);
    let first = shop.send(check_out(&basket, KEY, &terms)).await;
    let order = bought(&first);
    assert_eq!(order["totals"]["grand"], euro(2 * TEA));
    assert_eq!(order["payments"][0]["captured"], euro(2 * TEA - 500));
    let paid = &order["gift_cards"][0];
    assert_eq!((&paid["amount"], &paid["given_back"]), (&euro(500), &euro(0)));
    let shown = expect_balance(&shop, &path, 0).await;
    let entry = &shown["ledger"][0];
    assert_eq!((&entry["what"], &entry["order"]), (&json!("spent"), &order["id"]));

    // The payment gives back first.
    let too_large = shop.send(refund(&order, "all", 2 * TEA)).await;
    too_large.problem(409, "refund_too_large");
    let rest = 2 * TEA - 500;
    let refunded = shop.send(refund(&order, "rest", rest)).await.json();
    assert_eq!(refunded["refunds"][0]["to"], "payment");
    let refunded = shop.send(refund(&order, "card", 200)).await.json();
    assert_eq!(refunded["refunds"][1]["to"], "gift_cards");
    assert_eq!(refunded["gift_cards"][0]["given_back"], euro(200));
    expect_balance(&shop, &path, 200).await;
    // Whatever became of it, the first answer is the answer.
    assert_eq!(shop.send(check_out(&basket, KEY, &terms)).await.body, first.body);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cards_that_pay_all_of_it_leave_nothing_to_pay_and_come_back_with_the_order() {
    let (shop, _folder) = open().await;
    shop.stock("tea", 5).await;
    let (small, small_code) = issued(&shop, 100).await;
    let (large, large_code) = issued(&shop, 5_000).await;
    let basket = basket(&shop, &[("tea", 2)]).await;
    let terms = with("tok_decline", &[&small_code, &large_code]);
    let answer = shop.send(check_out(&basket, KEY, &terms)).await;
    let order = bought(&answer);
    assert_eq!((&order["payments"], &order["payment_status"]), (&json!([]), &json!("captured")));
    expect_balance(&shop, &small, 0).await;
    expect_balance(&shop, &large, 5_000 - (2 * TEA - 100)).await;
    let cancel = Ask::post(format!("/admin/v1/orders/{}/cancel", order["id"].as_str().unwrap()));
    let cancel = cancel.operator().json(&json!({"reason": "ordered twice"}));
    assert_eq!(shop.send(cancel).await.json()["status"], "cancelled");
    expect_balance(&shop, &small, 100).await;
    expect_balance(&shop, &large, 5_000).await;
    let order = order_of(&shop, &basket, &answer).await;
    assert_eq!(order["gift_cards"][0]["given_back"], euro(100));
    expect_stock(&shop, "tea", (5, 0)).await;
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_declined_payment_leaves_the_card_as_it_was() {
    let (shop, _folder) = open().await;
    shop.stock("tea", 5).await;
    let (path, code) = issued(&shop, 100).await;
    let basket = basket(&shop, &[("tea", 2)]).await;
    let declined = shop.send(check_out(&basket, KEY, &with("tok_decline", &[&code]))).await;
    declined.problem(402, "payment_declined");
    expect_balance(&shop, &path, 100).await;
    // The same cart with the same card.
    let key = format!("{KEY}-again");
    bought(&shop.send(check_out(&basket, &key, &with("tok_visa", &[&code]))).await);
    expect_balance(&shop, &path, 0).await;
    shop.close().await;
}

/// One code, many shoppers at once: it is spent once (a race that gift cards are known for).
#[tokio::test(flavor = "multi_thread")]
async fn a_card_that_many_use_at_once_pays_what_is_on_it_and_no_more() {
    let (shop, _folder) = open().await;
    shop.stock("tea", 50).await;
    let (path, code) = issued(&shop, 3 * TEA).await;
    let mut asks = Vec::new();
    for number in 0..10 {
        let basket = basket(&shop, &[("tea", 1)]).await;
        asks.push(check_out(&basket, &format!("{KEY}-{number}"), &with("tok_visa", &[&code])));
    }
    let answers = all_at_once(&shop, asks).await;
    let mut n_bought = 0;
    for answer in &answers {
        if answer.status == 201 {
            n_bought += 1;
            assert_eq!(answer.json()["gift_cards"][0]["amount"], euro(TEA));
        } else {
            answer.problem(409, "gift_card_refused");
        }
    }
    assert_eq!(n_bought, 3, "{answers:?}");
    expect_balance(&shop, &path, 0).await;
    expect_stock(&shop, "tea", (47, 0)).await;
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_card_that_is_blocked_unknown_or_brought_twice_is_refused() {
    let (shop, _folder) = open().await;
    shop.stock("tea", 5).await;
    let (path, code) = issued(&shop, 100).await;
    let basket = basket(&shop, &[("tea", 1)]).await;
    let twice = with("tok_visa", &[&code, &code.to_lowercase()]);
    shop.send(check_out(&basket, KEY, &twice)).await.problem(422, "validation_failed");
    let unknown = with("tok_visa", &[&code, "0000-0000-0000-0000"]);
    let refused = shop.send(check_out(&basket, KEY, &unknown)).await;
    let problem = refused.problem(409, "gift_card_refused");
    assert!(problem["detail"].as_str().unwrap().starts_with("number 2"), "{problem}");
    expect_balance(&shop, &path, 100).await;

    let terms = json!({"blocked": true});
    let unbound = shop.send(change(Method::PUT, &path, "terms", &terms)).await;
    unbound.problem(428, "precondition_required");
    let block = change(Method::PUT, &path, "terms", &terms).header("If-Match", "*");
    assert_eq!(shop.send(block).await.json()["blocked"], true);
    let key = format!("{KEY}-blocked");
    let refused = shop.send(check_out(&basket, &key, &with("tok_visa", &[&code]))).await;
    refused.problem(409, "gift_card_refused");
    assert_eq!(shop.send(available(&code)).await.json()["available"], euro(0));

    let by = |amount: Value| json!({"amount": amount, "reason": "goodwill"});
    let more = shop.send(change(Method::POST, &path, "adjust", &by(euro(-40)))).await.json();
    assert_eq!((&more["balance"], &more["ledger"][0]["reason"]), (&euro(60), &json!("goodwill")));
    let less = shop.send(change(Method::POST, &path, "adjust", &by(euro(-61)))).await;
    less.problem(409, "gift_card_too_little");
    let yen = json!({"amount": 1, "currency": "JPY"});
    let other = shop.send(change(Method::POST, &path, "adjust", &by(yen))).await;
    other.problem(409, "gift_card_currency");
    let history = format!("{path}/history");
    let history = shop.send(Ask::get(history).operator()).await.json();
    assert!(history["data"].as_array().unwrap().len() >= 3, "{history}");
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_paid_becomes_a_card_that_whoever_has_its_code_spends() {
    let (shop, _folder) = open().await;
    shop.stock("tea", 9).await;
    let first = basket(&shop, &[("tea", 2)]).await;
    let order = bought(&shop.send(check_out(&first, KEY, &terms("tok_visa"))).await);
    let id = order["id"].as_str().unwrap();
    let ask = |key: &str, amount: i64| {
        let ask = Ask::post(format!("/admin/v1/orders/{id}/vouchers")).operator().key(key);
        ask.json(&json!({"amount": euro(amount), "reason": "stale"}))
    };
    shop.send(ask("much", 2 * TEA + 1)).await.problem(409, "refund_too_large");
    let answer = shop.send(ask("one", TEA)).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    let again = shop.send(ask("one", TEA)).await;
    assert_eq!((&again.body, again.is_replayed()), (&answer.body, true));
    let json = answer.json();
    let (code, card) = (json["code"].as_str().unwrap(), json["gift_card"].as_str().unwrap());
    let told = &json["order"]["refunds"][0];
    assert_eq!((&told["to"], &told["gift_card"]), (&json!("voucher"), &json!(card)));
    expect_balance(&shop, &format!("/admin/v1/gift_cards/{card}"), TEA).await;
    // What became a card is refunded no other way.
    shop.send(refund(&order, "money", TEA + 1)).await.problem(409, "refund_too_large");
    let second = basket(&shop, &[("tea", 1)]).await;
    let paid = bought(&shop.send(check_out(&second, KEY, &with("tok_visa", &[code]))).await);
    assert_eq!((&paid["gift_cards"][0]["amount"], &paid["payments"]), (&euro(TEA), &json!([])));
    // No shopper sees the code, nor does anybody later.
    let path = format!("/admin/v1/orders/{id}");
    let shown = shop.send(Ask::get(path).operator()).await.json();
    assert_eq!(shown["refunds"][0]["status"], "succeeded");
    assert!(!shown.to_string().contains(&code[..9]));
    shop.close().await;
}
