//! The routes of carts.

use axum::http::Method;
use cluster::time::Span;
use serde_json::{Value, json};

use crate::shop::{Ask, Basket, Shop};

fn euros(amount: i64) -> Value {
    json!({"amount": amount, "currency": "EUR"})
}

#[tokio::test]
async fn a_cart_is_created_and_shown_as_the_contract_says() {
    let shop = Shop::open().await;
    let created = shop.send(Ask::post("/store/v1/carts")).await;
    assert_eq!(created.status, 201);
    let json = created.json();
    let (id, token) = (json["cart"]["id"].as_str().unwrap(), json["token"].as_str().unwrap());
    assert_eq!(created.header("location"), Some(format!("/store/v1/carts/{id}").as_str()));
    assert_eq!(created.header("etag"), Some("\"1\""));
    let basket = Basket { id: id.to_owned(), token: token.to_owned() };
    assert_eq!(shop.send(basket.add("tea", 3)).await.status, 200);
    let shown = shop.send(basket.get()).await;
    assert_eq!(shown.status, 200);
    let mut cart = shown.json();
    let updated_at = cart["updated_at"].take();
    let updated_at = updated_at.as_str().unwrap();
    assert!(updated_at.starts_with("20") && updated_at.ends_with('Z'), "{updated_at}");
    let expected = json!({
        "id": id, "status": "open", "currency": "EUR",
        "items": [{
            "sku": "tea", "name": "Green tea", "quantity": 3,
            "unit_price": euros(450), "line_total": euros(1_350),
        }],
        "discounts": [], "discount_codes": [], "gift_cards": [],
        "totals": {
            "items": euros(1_350), "discount": euros(0), "shipping": euros(0), "tax": euros(0),
            "grand": euros(1_350), "due": euros(1_350),
        },
        "messages": [], "seq": 2, "updated_at": null,
    });
    assert_eq!(cart, expected);
    shop.close().await;
}

#[tokio::test]
async fn a_currency_may_be_chosen() {
    let shop = Shop::open().await;
    let ask = Ask::post("/store/v1/carts").json(&json!({"currency": "JPY"}));
    assert_eq!(shop.send(ask).await.json()["cart"]["currency"], "JPY");
    let ask = Ask::post("/store/v1/carts").json(&json!({"currency": null}));
    assert_eq!(shop.send(ask).await.json()["cart"]["currency"], "EUR");
    shop.close().await;
}

#[tokio::test]
async fn lines_are_added_set_and_removed() {
    let shop = Shop::open().await;
    let basket = shop.basket().await;
    let items = json!({"items": [{"sku": "tea", "quantity": 1}, {"sku": "cup", "quantity": 2}]});
    let ask = Ask::post(format!("{}/items", basket.path())).token(&basket.token).json(&items);
    assert_eq!(shop.send(ask).await.json()["totals"]["grand"], euros(450 + 2 * 1_299));
    let added = shop.send(basket.add("tea", 4)).await.json();
    assert_eq!(added["items"][1]["quantity"], 5);
    let set = basket.item(Method::PUT, "tea").json(&json!({"quantity": 2}));
    assert_eq!(shop.send(set).await.json()["items"][1]["quantity"], 2);
    let none = basket.item(Method::PUT, "tea").json(&json!({"quantity": 0}));
    assert_eq!(shop.send(none).await.json()["items"].as_array().unwrap().len(), 1);
    let removed = shop.send(basket.item(Method::DELETE, "cup")).await;
    assert_eq!((removed.status, &removed.json()["items"]), (200, &json!([])));
    let again = shop.send(basket.item(Method::DELETE, "cup")).await;
    again.problem(404, "line_not_found");
    shop.close().await;
}

#[tokio::test]
async fn rules_of_carts_have_codes() {
    let shop = Shop::open().await;
    let basket = shop.basket().await;
    let unknown = shop.send(basket.add("nothing", 1)).await;
    assert_eq!(unknown.problem(422, "sku_not_for_sale")["param"], "sku");
    assert_eq!(shop.send(basket.add("tea", 9_999)).await.status, 200);
    shop.send(basket.add("tea", 1)).await.problem(422, "quantity_too_large");
    let yen = Ask::post("/store/v1/carts").json(&json!({"currency": "JPY"}));
    let yen = shop.send(yen).await.json();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let yen = Basket { id: text(&yen["cart"]["id"]), token: text(&yen["token"]) };
    shop.send(yen.add("pot", 1)).await.problem(422, "sku_not_priced");
    shop.close().await;
}

#[tokio::test]
async fn a_deleted_cart_is_gone() {
    let shop = Shop::open().await;
    let basket = shop.basket().await;
    let delete = || Ask::new(Method::DELETE, basket.path()).token(&basket.token);
    let deleted = shop.send(delete()).await;
    assert_eq!((deleted.status, deleted.body.len()), (204, 0));
    assert!(deleted.header("omni-seq").is_some());
    assert_eq!(shop.send(delete()).await.status, 204);
    shop.send(basket.get()).await.problem(404, "cart_not_found");
    shop.send(basket.add("tea", 1)).await.problem(404, "cart_not_found");
    shop.close().await;
}

#[tokio::test]
async fn a_foreign_cart_looks_exactly_like_a_missing_one() {
    let shop = Shop::open().await;
    let (mine, theirs) = (shop.basket().await, shop.basket().await);
    let missing = Basket { id: "cart_00000000000000000000000000".into(), token: mine.token };
    let unseen = |basket: &Basket, token: Option<&str>| {
        [
            (Method::GET, "", ""),
            (Method::DELETE, "", ""),
            (Method::POST, "/items", r#"{"sku":"tea","quantity":1}"#),
            // What is wrong with the rest of the request must not tell the two apart either.
            (Method::POST, "/items", "{"),
            (Method::PUT, "/items/tea", r#"{"quantity":1}"#),
            (Method::DELETE, "/items/tea", ""),
            (Method::POST, "/merge", "{}"),
        ]
        .map(|(method, path, body)| {
            let ask = Ask::new(method, format!("{}{path}", basket.path())).text(body);
            let ask = ask.header("x-request-id", "same");
            match token {
                Some(token) => ask.token(token),
                None => ask,
            }
        })
    };
    let tokens = [None, Some(missing.token.as_str()), Some(""), Some("garbage")];
    for token in tokens {
        for (foreign, missing_ask) in
            unseen(&theirs, token).into_iter().zip(unseen(&missing, token))
        {
            let (foreign, nothing) = (shop.send(foreign).await, shop.send(missing_ask).await);
            foreign.problem(404, "cart_not_found");
            let body = String::from_utf8(foreign.body.to_vec()).unwrap();
            assert_eq!(body.replace(&theirs.id, &missing.id).as_bytes(), &nothing.body[..]);
            assert_eq!(foreign.status, nothing.status);
            let names = |answer: &crate::shop::Answer| {
                answer.headers.keys().map(ToString::to_string).collect::<Vec<_>>()
            };
            assert_eq!(names(&foreign), names(&nothing));
        }
    }
    for bad in ["cart_1", "x", "cart_0000000000000000000000000O", "cart%5F0000"] {
        let ask = Ask::get(format!("/store/v1/carts/{bad}")).token(&theirs.token);
        shop.send(ask).await.problem(404, "cart_not_found");
    }
    shop.close().await;
}

fn merge(into: &Basket, from: &Basket, strategy: &str) -> Ask {
    let body = json!({"from": from.id, "from_token": from.token, "strategy": strategy});
    Ask::post(format!("{}/merge", into.path())).token(&into.token).json(&body)
}

#[tokio::test]
async fn carts_merge() {
    let shop = Shop::open().await;
    for (strategy, quantity) in [("sum", 5), ("keep", 2), ("replace", 3)] {
        let (into, from) = (shop.basket().await, shop.basket().await);
        assert_eq!(shop.send(into.add("tea", 2)).await.status, 200);
        assert_eq!(shop.send(from.add("tea", 3)).await.status, 200);
        assert_eq!(shop.send(from.add("cup", 1)).await.status, 200);
        let merged = shop.send(merge(&into, &from, strategy).key("once")).await;
        let expected = json!({"from": from.id, "into": into.id, "status": "merged"});
        assert_eq!((merged.status, merged.json()), (200, expected), "{strategy}");
        assert_eq!(merged.header("location"), Some(into.path().as_str()));
        assert_eq!(merged.header("omni-seq").unwrap().split(',').count(), 2);
        let cart = shop.send(into.get()).await.json();
        assert_eq!(cart["items"].as_array().unwrap().len(), 2);
        assert_eq!(cart["items"][1]["quantity"], quantity, "{strategy}");
        let gone = shop.send(from.get()).await;
        gone.problem(410, "cart_merged");
        assert_eq!(gone.header("location"), Some(into.path().as_str()));
        let again = shop.send(merge(&into, &from, strategy).key("once")).await;
        assert_eq!((again.status, &again.body), (200, &merged.body));
        assert!(again.is_replayed());
    }
    shop.close().await;
}

#[tokio::test]
async fn a_merge_that_cannot_be_leaves_both_carts() {
    let shop = Shop::open().await;
    let (into, from) = (shop.basket().await, shop.basket().await);
    assert_eq!(shop.send(into.add("tea", 9_999)).await.status, 200);
    assert_eq!(shop.send(from.add("tea", 1)).await.status, 200);
    let refused = shop.send(merge(&into, &from, "sum")).await;
    refused.problem(422, "quantity_too_large");
    assert!(refused.header("omni-seq").is_some(), "{refused:?}");
    let left = shop.send(from.get()).await.json();
    assert_eq!((&left["status"], &left["items"][0]["quantity"]), (&json!("open"), &json!(1)));
    assert_eq!(left["messages"][0]["code"], "merge_refused");
    let keyed = || merge(&into, &from, "sum").key("once");
    let (first, again) = (shop.send(keyed()).await, shop.send(keyed()).await);
    assert_eq!((first.status, &first.body), (422, &again.body));
    let elsewhere = shop.basket().await;
    assert_eq!(shop.send(merge(&elsewhere, &from, "sum")).await.status, 200);
    // A refusal that is kept stays what it was, whatever happened since.
    let late = shop.send(keyed()).await;
    assert_eq!((late.status, &late.body, late.is_replayed()), (422, &first.body, true));
    assert!(first.header("omni-seq").is_some(), "{first:?}");
    assert_eq!(late.header("omni-seq"), first.header("omni-seq"));
    shop.send(merge(&into, &into, "sum")).await.problem(422, "merge_into_itself");
    let stranger = Basket { id: from.id.clone(), token: into.token.clone() };
    shop.send(merge(&into, &stranger, "sum")).await.problem(404, "cart_not_found");
    let conditional = merge(&into, &from, "sum").header("if-match", "\"1\"");
    shop.send(conditional).await.problem(400, "if_match_unsupported");
    let faulty = Ask::post(format!("{}/merge", into.path())).token(&into.token);
    let faulty = faulty.json(&json!({"from": "x", "strategy": "all"}));
    let problem = shop.send(faulty).await.problem(422, "validation_failed");
    assert_eq!(problem["errors"].as_array().unwrap().len(), 3);
    shop.close().await;
}

#[tokio::test]
async fn a_merge_is_answered_the_same_whatever_happened_since() {
    let shop = Shop::open().await;
    let (into, from) = (shop.basket().await, shop.basket().await);
    assert_eq!(shop.send(into.add("tea", 9_999)).await.status, 200);
    assert_eq!(shop.send(from.add("tea", 1)).await.status, 200);
    let refused = shop.send(merge(&into, &from, "sum").key("refused")).await;
    refused.problem(422, "quantity_too_large");
    // The same request under another key succeeds; under the first it is refused for ever.
    let fewer = into.item(Method::PUT, "tea").json(&json!({"quantity": 1}));
    assert_eq!(shop.send(fewer).await.status, 200);
    let merged = shop.send(merge(&into, &from, "sum").key("merged")).await;
    assert_eq!((merged.status, &merged.json()["status"]), (200, &json!("merged")));
    let deleted = Ask::new(Method::DELETE, into.path()).token(&into.token);
    assert_eq!(shop.send(deleted).await.status, 204);
    for (key, first) in [("refused", refused), ("merged", merged)] {
        let again = shop.send(merge(&into, &from, "sum").key(key)).await;
        assert_eq!((again.status, &again.body), (first.status, &first.body), "{key}");
        assert!(again.is_replayed(), "{key}");
    }
    shop.close().await;
}

#[tokio::test]
async fn a_merge_that_was_still_under_way_stays_so_under_its_key() {
    let shop = Shop::open_with(|settings| settings.merge_wait_max = Span::from_secs(0)).await;
    let mut n_under_way = 0;
    for round in 0..20 {
        let (into, from) = (shop.basket().await, shop.basket().await);
        assert_eq!(shop.send(from.add("tea", 1)).await.status, 200);
        let keyed = || merge(&into, &from, "sum").key("once");
        let first = shop.send(keyed()).await;
        n_under_way += usize::from(first.status == 202);
        while shop.send(from.get()).await.status == 200 {
            tokio::task::yield_now().await;
        }
        let again = shop.send(keyed()).await;
        assert_eq!((again.status, &again.body), (first.status, &first.body), "{round}");
        assert!(again.is_replayed() && !first.is_replayed(), "{round}");
        // Another key is another question.
        let other = shop.send(merge(&into, &from, "sum").key("other")).await;
        assert!([200, 410].contains(&other.status), "{other:?}");
    }
    assert!(n_under_way > 0, "no merge took longer than no wait at all");
    shop.close().await;
}

#[tokio::test]
async fn a_key_of_a_merge_stands_for_one_cart() {
    let shop = Shop::open().await;
    let (into, from, other) = (shop.basket().await, shop.basket().await, shop.basket().await);
    for basket in [&from, &other] {
        assert_eq!(shop.send(basket.add("tea", 1)).await.status, 200);
    }
    assert_eq!(shop.send(merge(&into, &from, "sum").key("once")).await.status, 200);
    let conflict = shop.send(merge(&into, &other, "sum").key("once")).await;
    conflict.problem(422, "idempotency_conflict");
    assert_eq!(shop.send(into.get()).await.json()["items"][0]["quantity"], 1);
    assert_eq!(shop.send(other.get()).await.json()["status"], "open");
    let itself = || merge(&into, &into, "sum").key("itself");
    let first = shop.send(itself()).await;
    first.problem(422, "merge_into_itself");
    assert_eq!(shop.send(itself()).await.body, first.body);
    let conflict = shop.send(merge(&into, &other, "sum").key("itself")).await;
    conflict.problem(422, "idempotency_conflict");
    shop.close().await;
}
