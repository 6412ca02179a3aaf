//! Gift cards, from their issue to what orders take of them and give back.

use axum::http::Method;
use serde_json::{Value, json};

use crate::checkout::{
    KEY, all_at_once, basket, check_out, expect_stock, open, order_of, simulators, terms,
};
use crate::shop::{Answer, Ask, Basket, Shop};

const TEA: i64 = 450;

pub(crate) fn euro(amount: i64) -> Value {
    json!({"amount": amount, "currency": "EUR"})
}

fn issue(amount: i64) -> Ask {
    Ask::post("/admin/v1/gift_cards").operator().json(&json!({"amount": euro(amount)}))
}

/// Its path and its code.
pub(crate) async fn issued(shop: &Shop, amount: i64) -> (String, String) {
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

pub(crate) fn refund(order: &Value, key: &str, amount: i64) -> Ask {
    let id = order["id"].as_str().unwrap();
    let ask = Ask::post(format!("/admin/v1/orders/{id}/refunds")).operator().key(key);
    ask.json(&json!({"amount": euro(amount), "reason": "stale"}))
}

/// A refund that becomes a gift card.
pub(crate) fn voucher(order: &Value, key: &str, amount: i64) -> Ask {
    let id = order["id"].as_str().unwrap();
    let ask = Ask::post(format!("/admin/v1/orders/{id}/vouchers")).operator().key(key);
    ask.json(&json!({"amount": euro(amount), "reason": "stale"}))
}

pub(crate) fn give(basket: &Basket, code: &str) -> Ask {
    let ask = Ask::post(format!("{}/gift_cards", basket.path())).token(&basket.token);
    ask.json(&json!({"code": code}))
}

fn take_away(basket: &Basket, card: &str) -> Ask {
    Ask::new(Method::DELETE, format!("{}/gift_cards/{card}", basket.path())).token(&basket.token)
}

/// The card's id, as its path has it.
pub(crate) fn id(path: &str) -> &str {
    path.rsplit('/').next().unwrap()
}

/// What a cart says of each of its cards, and what they leave to pay.
#[track_caller]
fn shown(answer: &Answer) -> (Vec<(String, i64, i64)>, i64) {
    assert_eq!(answer.status, 200, "{answer:?}");
    let cart = answer.json();
    let amount = |money: &Value| money["amount"].as_i64().unwrap();
    let card = |card: &Value| {
        let id = card["id"].as_str().unwrap().to_owned();
        (id, amount(&card["balance"]), amount(&card["pays"]))
    };
    let cards = cart["gift_cards"].as_array().unwrap().iter().map(card).collect();
    (cards, amount(&cart["totals"]["due"]))
}

async fn set_terms(shop: &Shop, path: &str, terms: Value) {
    let set = change(Method::PUT, path, "terms", &terms).header("If-Match", "*");
    assert_eq!(shop.send(set).await.status, 200);
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
    let ask = |key, amount| voucher(&order, key, amount);
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

#[tokio::test(flavor = "multi_thread")]
async fn a_cart_shows_its_cards_and_what_they_leave_to_pay() {
    let (shop, _folder) = open().await;
    let (first, first_code) = issued(&shop, 500).await;
    let (second, second_code) = issued(&shop, 5_000).await;
    let basket = basket(&shop, &[("tea", 2)]).await;
    let given = shop.send(give(&basket, &first_code)).await;
    let paid_first = (id(&first).to_owned(), 500, 500);
    assert_eq!(shown(&given), (vec![paid_first.clone()], 2 * TEA - 500));
    let ending = &given.json()["gift_cards"][0]["ending"];
    assert!(first_code.ends_with(ending.as_str().unwrap()), "{ending}");
    let again = shop.send(give(&basket, &first_code.to_lowercase())).await;
    assert_eq!(again.body, given.body, "a repeat changes nothing");
    let both = shop.send(give(&basket, &second_code)).await;
    let paid_second = (id(&second).to_owned(), 5_000, 2 * TEA - 500);
    assert_eq!(shown(&both), (vec![paid_first, paid_second], 0));
    // More in the cart is more for the second to pay.
    assert_eq!(shown(&shop.send(basket.add("tea", 1)).await).0[1].2, 3 * TEA - 500);
    let left = shop.send(take_away(&basket, id(&first))).await;
    assert_eq!(shown(&left), (vec![(id(&second).to_owned(), 5_000, 3 * TEA)], 0));
    shop.send(take_away(&basket, id(&first))).await.problem(404, "gift_card_not_found");
    shop.send(take_away(&basket, "gift_1")).await.problem(404, "gift_card_not_found");
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cart_shows_what_is_on_its_cards_now_and_not_when_they_were_given() {
    let (shop, _folder) = open().await;
    let (path, code) = issued(&shop, 500).await;
    let basket = basket(&shop, &[("tea", 2)]).await;
    let tag = shop.send(give(&basket, &code)).await.header("etag").unwrap().to_owned();
    let by = json!({"amount": euro(-400), "reason": "a mistake"});
    assert_eq!(shop.send(change(Method::POST, &path, "adjust", &by)).await.status, 200);
    let cart = shop.send(basket.get().header("If-None-Match", &tag)).await;
    assert_eq!(shown(&cart), (vec![(id(&path).to_owned(), 100, 100)], 2 * TEA - 100));
    assert_eq!(cart.header("etag"), Some(&*tag), "the cart is the same");
    set_terms(&shop, &path, json!({"blocked": true})).await;
    let cart = shop.send(basket.get()).await;
    assert_eq!(shown(&cart), (vec![(id(&path).to_owned(), 0, 0)], 2 * TEA));
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_card_that_would_pay_nothing_is_not_put_on_a_cart() {
    let (shop, _folder) = open().await;
    let basket = basket(&shop, &[("tea", 2)]).await;
    let unknown = shop.send(give(&basket, "0000-0000-0000-0000")).await;
    unknown.problem(404, "gift_card_not_found");
    shop.send(give(&basket, "0000")).await.problem(422, "validation_failed");
    let refused = async |code: &str, why: &str| {
        let problem = shop.send(give(&basket, code)).await.problem(409, "gift_card_refused");
        assert!(problem["detail"].as_str().unwrap().contains(why), "{problem}");
    };
    let (blocked, code) = issued(&shop, 100).await;
    set_terms(&shop, &blocked, json!({"blocked": true})).await;
    refused(&code, "is blocked").await;
    let (expired, code) = issued(&shop, 100).await;
    let terms = json!({"blocked": false, "expires_at": "2020-01-01T00:00:00Z"});
    set_terms(&shop, &expired, terms).await;
    refused(&code, "has expired").await;
    let (empty, code) = issued(&shop, 100).await;
    let by = json!({"amount": euro(-100), "reason": "a mistake"});
    assert_eq!(shop.send(change(Method::POST, &empty, "adjust", &by)).await.status, 200);
    refused(&code, "has nothing left").await;
    let yen = json!({"amount": {"amount": 100, "currency": "JPY"}});
    let yen = shop.send(Ask::post("/admin/v1/gift_cards").operator().json(&yen)).await.json();
    refused(yen["code"].as_str().unwrap(), "in another currency").await;
    assert_eq!(shown(&shop.send(basket.get()).await), (vec![], 2 * TEA));
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_card_that_was_given_is_given_again_whatever_became_of_it() {
    let (shop, _folder) = open().await;
    let (path, code) = issued(&shop, 100).await;
    let basket = basket(&shop, &[("tea", 2)]).await;
    let first = shop.send(give(&basket, &code).key("the-card")).await;
    set_terms(&shop, &path, json!({"blocked": true})).await;
    let again = shop.send(give(&basket, &code).key("the-card")).await;
    assert_eq!((again.status, again.is_replayed()), (200, true));
    assert_eq!(again.header("etag"), first.header("etag"));
    assert_eq!(shown(&again).1, 2 * TEA, "what is on it is as it is");
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn five_cards_pay_for_a_cart_its_own_and_those_that_are_brought() {
    let (shop, _folder) = open().await;
    shop.stock("tea", 5).await;
    let basket = basket(&shop, &[("tea", 2)]).await;
    let mut cards = Vec::new();
    for amount in 1..=6 {
        cards.push(issued(&shop, amount).await);
    }
    for (_, code) in &cards[..5] {
        assert_eq!(shop.send(give(&basket, code)).await.status, 200);
    }
    shop.send(give(&basket, &cards[5].1)).await.problem(409, "too_many_gift_cards");
    let more = with("tok_visa", &[&cards[5].1]);
    shop.send(check_out(&basket, KEY, &more)).await.problem(409, "too_many_gift_cards");
    // One that the cart has is brought for nothing.
    let same = with("tok_visa", &[&cards[4].1]);
    let order = bought(&shop.send(check_out(&basket, &format!("{KEY}-same"), &same)).await);
    assert_eq!(order["gift_cards"].as_array().unwrap().len(), 5);
    assert_eq!(order["payments"][0]["captured"], euro(2 * TEA - 15));
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cards_of_a_cart_pay_before_those_that_are_brought() {
    let (shop, _folder) = open().await;
    shop.stock("tea", 5).await;
    let (own, own_code) = issued(&shop, 100).await;
    let (brought, brought_code) = issued(&shop, 200).await;
    let basket = basket(&shop, &[("tea", 1)]).await;
    assert_eq!(shop.send(give(&basket, &own_code)).await.status, 200);
    let declined = with("tok_decline", &[&brought_code]);
    shop.send(check_out(&basket, KEY, &declined)).await.problem(402, "payment_declined");
    expect_balance(&shop, &own, 100).await;
    // The cart is open again, with its card.
    let key = format!("{KEY}-again");
    let answer = shop.send(check_out(&basket, &key, &with("tok_visa", &[&brought_code]))).await;
    let order = bought(&answer);
    let paid = |nth: usize| (&order["gift_cards"][nth]["id"], &order["gift_cards"][nth]["amount"]);
    assert_eq!(paid(0), (&json!(id(&own)), &euro(100)));
    assert_eq!(paid(1), (&json!(id(&brought)), &euro(200)));
    assert_eq!(order["payments"][0]["captured"], euro(TEA - 300));
    // What it was paid with is the order's to say.
    let cart = shop.send(basket.get()).await.json();
    assert_eq!((&cart["gift_cards"][0]["id"], &cart["totals"]["due"]), (paid(0).0, &Value::Null));
    shop.close().await;
}

fn without_payment(codes: &[&str]) -> Value {
    let mut terms = with("tok_visa", codes);
    terms.as_object_mut().unwrap().remove("payment");
    if codes.is_empty() {
        terms.as_object_mut().unwrap().remove("gift_cards");
    }
    terms
}

#[tokio::test(flavor = "multi_thread")]
async fn where_cards_pay_all_of_it_no_payment_is_needed() {
    let (shop, _folder) = open().await;
    shop.stock("tea", 5).await;
    let (own, own_code) = issued(&shop, 100).await;
    let (brought, brought_code) = issued(&shop, 5_000).await;
    let basket = basket(&shop, &[("tea", 2)]).await;
    assert_eq!(shop.send(give(&basket, &own_code)).await.status, 200);
    let terms = without_payment(&[&brought_code]);
    let first = shop.send(check_out(&basket, KEY, &terms)).await;
    let order = bought(&first);
    assert_eq!((&order["payments"], &order["payment_status"]), (&json!([]), &json!("captured")));
    expect_balance(&shop, &own, 0).await;
    expect_balance(&shop, &brought, 5_000 - (2 * TEA - 100)).await;
    expect_stock(&shop, "tea", (3, 0)).await;
    assert_eq!(shop.send(check_out(&basket, KEY, &terms)).await.body, first.body);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cards_leave_to_pay_needs_a_payment() {
    let (shop, _folder) = open().await;
    shop.stock("tea", 5).await;
    let (path, code) = issued(&shop, 100).await;
    let basket = basket(&shop, &[("tea", 2)]).await;
    let nothing = shop.send(check_out(&basket, KEY, &without_payment(&[]))).await;
    nothing.problem(402, "payment_required");
    assert_eq!(shop.send(give(&basket, &code)).await.status, 200);
    let key = format!("{KEY}-card");
    let short = shop.send(check_out(&basket, &key, &without_payment(&[]))).await;
    let problem = short.problem(402, "payment_required");
    let left = format!("{} minor units of EUR", 2 * TEA - 100);
    assert!(problem["detail"].as_str().unwrap().starts_with(&left), "{problem}");
    assert_eq!(shop.send(check_out(&basket, &key, &without_payment(&[]))).await.body, short.body);
    expect_balance(&shop, &path, 100).await;
    expect_stock(&shop, "tea", (5, 0)).await;
    let key = format!("{KEY}-paid");
    let order = bought(&shop.send(check_out(&basket, &key, &terms("tok_visa"))).await);
    assert_eq!(order["payments"][0]["captured"], euro(2 * TEA - 100));
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_for_payments_go_by_what_cards_leave_to_pay() {
    let (providers, _folder) = simulators(&["small", "large"]);
    let rules = "amount=..100 -> small; amount=2000.. -> large";
    let shop = Shop::open_with_routing(providers, rules).await;
    shop.stock("tea", 9).await;
    // The cart's own, and one that is brought.
    let (_, own) = issued(&shop, 400).await;
    let (_, brought) = issued(&shop, 2 * TEA - 400 - 50).await;
    let first = basket(&shop, &[("tea", 2)]).await;
    assert_eq!(shop.send(give(&first, &own)).await.status, 200);
    let mut terms = with("tok_visa", &[&brought]);
    terms["payment"].as_object_mut().unwrap().remove("provider");
    let answer = shop.send(check_out(&first, KEY, &terms)).await;
    let order = bought(&answer);
    assert_eq!(order["payments"][0]["captured"], euro(50));
    expect_provider(&shop, &order, "small").await;
    // No rule is for a cart whose cards are spent.
    assert_eq!(shop.send(check_out(&first, KEY, &terms)).await.body, answer.body);

    let second = basket(&shop, &[("tea", 1)]).await;
    let key = format!("{KEY}-second");
    let none = shop.send(check_out(&second, &key, &terms)).await;
    none.problem(422, "payment_provider_unknown");
    // Where cards pay all of it, the payment may have to take any of it all the same.
    let (_, all) = issued(&shop, 5_000).await;
    let third = basket(&shop, &[("tea", 5)]).await;
    terms["gift_cards"] = json!([all]);
    let order = bought(&shop.send(check_out(&third, &format!("{KEY}-third"), &terms)).await);
    assert_eq!(order["payments"], json!([]));
    shop.close().await;
}

async fn expect_provider(shop: &Shop, order: &Value, provider: &str) {
    let id = order["payments"][0]["id"].as_str().unwrap();
    let payment = shop.send(Ask::get(format!("/admin/v1/payments/{id}")).operator()).await;
    assert_eq!(payment.json()["provider"], provider);
}

/// All pages of a list of cards, once it has so many: a card may be listed a moment after its issue.
async fn listed(shop: &Shop, query: &str, n_cards: usize) -> Vec<Value> {
    for _ in 0..500 {
        let all = all_pages(shop, query).await;
        if all.len() == n_cards {
            return all;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("there are {:?}", all_pages(shop, query).await);
}

async fn all_pages(shop: &Shop, query: &str) -> Vec<Value> {
    let (mut all, mut after) = (Vec::new(), String::new());
    loop {
        let uri = format!("/admin/v1/gift_cards?limit=2{query}{after}");
        let answer = shop.send(Ask::get(uri).operator()).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let page = answer.json();
        let data = page["data"].as_array().unwrap();
        assert!(data.len() <= 2);
        all.extend(data.iter().cloned());
        let Some(cursor) = page["next_cursor"].as_str() else {
            assert_eq!(page["has_more"], false);
            return all;
        };
        after = format!("&after={cursor}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn cards_are_listed_newest_first_with_what_is_on_them_and_without_their_codes() {
    let (shop, _folder) = open().await;
    shop.stock("tea", 5).await;
    let mut cards = Vec::new();
    for amount in [100, 5_000, 300] {
        cards.push(issued(&shop, amount).await);
    }
    let basket = basket(&shop, &[("tea", 2)]).await;
    let paid = with("tok_visa", &[&cards[0].1]);
    let order = bought(&shop.send(check_out(&basket, KEY, &paid)).await);
    expect_balance(&shop, &cards[0].0, 0).await;
    let became = shop.send(voucher(&order, "credit", 200)).await.json();
    let all = listed(&shop, "", 4).await;
    let newest_first: Vec<_> = all.iter().map(|card| card["id"].as_str().unwrap()).collect();
    let issued: Vec<_> = cards.iter().rev().map(|(path, _)| id(path)).collect();
    assert_eq!(newest_first, [&[became["gift_card"].as_str().unwrap()], &*issued].concat());
    let shown = |nth: usize| (&all[nth]["balance"], &all[nth]["state"], &all[nth]["note"]);
    assert_eq!(shown(0), (&euro(200), &json!("active"), &json!("stale")));
    assert_eq!(shown(1), (&euro(300), &json!("active"), &Value::Null));
    assert_eq!(shown(3), (&euro(0), &json!("empty"), &Value::Null));
    let text = Value::from(all.clone()).to_string();
    for (path, code) in &cards {
        assert!(!text.contains(&code[..9]));
        let whole = card(&shop, path).await;
        let line = all.iter().find(|card| card["id"] == whole["id"]).unwrap();
        assert_eq!((&line["ending"], &line["issued_at"]), (&whole["ending"], &whole["issued_at"]));
        assert!(code.ends_with(line["ending"].as_str().unwrap()));
    }
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cards_are_listed_by_what_they_are_good_for() {
    let (shop, _folder) = open().await;
    // Before more others than are asked at once.
    let (blocked, _) = issued(&shop, 100).await;
    set_terms(&shop, &blocked, json!({"blocked": true})).await;
    let (expired, _) = issued(&shop, 100).await;
    set_terms(&shop, &expired, json!({"blocked": false, "expires_at": "2020-01-01T00:00:00Z"}))
        .await;
    let (empty, _) = issued(&shop, 100).await;
    let by = json!({"amount": euro(-100), "reason": "a mistake"});
    assert_eq!(shop.send(change(Method::POST, &empty, "adjust", &by)).await.status, 200);
    let more = all_at_once(&shop, (0..70).map(|_| issue(100)).collect()).await;
    assert!(more.iter().all(|answer| answer.status == 201), "{more:?}");
    listed(&shop, "", 73).await;
    for (state, path) in [("blocked", &blocked), ("expired", &expired), ("empty", &empty)] {
        let found = listed(&shop, &format!("&state={state}"), 1).await;
        assert_eq!((&found[0]["id"], &found[0]["state"]), (&json!(id(path)), &json!(state)));
    }
    let active = listed(&shop, "&state=active", 70).await;
    assert!(active.iter().all(|card| card["state"] == "active"));
    // It is as it is, not as it was when it was listed.
    set_terms(&shop, &blocked, json!({"blocked": false})).await;
    assert_eq!(listed(&shop, "&state=active", 71).await[70]["id"], id(&blocked));
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_operators_and_sound_questions_get_a_list_of_cards() {
    let (shop, _folder) = open().await;
    shop.send(Ask::get("/admin/v1/gift_cards")).await.problem(401, "unauthorized");
    for (query, param) in [
        ("state=", "state"),
        ("state=used", "state"),
        ("state=active&state=empty", "state"),
        ("status=active", "status"),
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("after=ol_5", "after"),
        // Of one list, where there are 64.
        ("after=gl_5", "after"),
        ("after=gl_-1", "after"),
    ] {
        let refused = shop.send(Ask::get(format!("/admin/v1/gift_cards?{query}")).operator()).await;
        let problem = refused.problem(422, "validation_failed");
        assert_eq!(problem["param"], param, "{query}: {problem}");
    }
    let nothing = shop.send(Ask::get("/admin/v1/gift_cards").operator()).await.json();
    assert_eq!(nothing, json!({"data": [], "has_more": false, "next_cursor": null}));
    shop.close().await;
}
