//! What happened to one thing, and what it was like.

use axum::http::Method;
use serde_json::{Value, json};

use crate::checkout::{KEY, basket, check_out, open, terms};
use crate::shop::{Ask, Shop};

async fn changes(shop: &Shop, thing: &str) -> Vec<Value> {
    let mut all = Vec::new();
    let mut after = String::new();
    loop {
        let uri = format!("/admin/v1/{thing}/history?limit=2{after}");
        let answer = shop.send(Ask::get(uri).operator()).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let page = answer.json();
        all.extend(page["data"].as_array().unwrap().iter().cloned());
        let Some(next) = page["next_cursor"].as_str() else { return all };
        after = format!("&after={next}");
    }
}

async fn at(shop: &Shop, thing: &str, seq: u64) -> Value {
    let answer = shop.send(Ask::get(format!("/admin/v1/{thing}/at?seq={seq}")).operator()).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

/// The types of the events of a change.
fn types(change: &Value) -> Vec<&str> {
    let events = change["events"].as_array().unwrap();
    events.iter().map(|event| event["type"].as_str().unwrap()).collect()
}

/// Every change has the next sequence, and the state after the last one is the one that is shown.
async fn check_whole(shop: &Shop, thing: &str, shown: &Value) -> Vec<Value> {
    let all = changes(shop, thing).await;
    let seqs: Vec<_> = all.iter().map(|change| change["seq"].as_u64().unwrap()).collect();
    assert_eq!(seqs, (1..=shown["seq"].as_u64().unwrap()).collect::<Vec<_>>(), "{thing}");
    let last = at(shop, thing, *seqs.last().unwrap()).await;
    assert_eq!(&last["state"], shown, "{thing}");
    all
}

#[tokio::test]
async fn every_change_is_listed_and_the_last_state_is_the_one_that_is_shown() {
    let (shop, _folder) = open().await;
    shop.stock("tea", 50).await;
    let basket = basket(&shop, &[("tea", 2)]).await;
    let more = basket.item(Method::PUT, "tea").json(&json!({"quantity": 3}));
    assert_eq!(shop.send(more).await.status, 200);
    let answer = shop.send(check_out(&basket, KEY, &terms("tok_visa"))).await;
    let order = answer.json()["id"].as_str().unwrap().to_owned();
    crate::checkout::expect_stock(&shop, "tea", (47, 0)).await;

    let cart = shop.send(basket.get()).await.json();
    let cart_is = format!("carts/{}", basket.id);
    let all = check_whole(&shop, &cart_is, &cart).await;
    assert_eq!(types(&all[0]), ["created"]);
    assert_eq!(types(&all[2]), ["quantity_set"]);
    assert_eq!(all[2]["events"][0]["data"]["quantity"], 3);
    assert_eq!(all[2]["by"]["kind"], "request");
    assert_eq!(all.last().unwrap()["by"]["kind"], "entity");
    assert_eq!(at(&shop, &cart_is, 2).await["state"]["items"][0]["quantity"], 2);
    assert_eq!(at(&shop, &cart_is, 1).await["state"]["items"], json!([]));
    // Who reads this is not to become the shopper.
    assert!(!serde_json::to_string(&all).unwrap().contains("access"));

    let shown = |path: String| async {
        let answer = shop.send(Ask::get(path).operator()).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()
    };
    let whole = shown(format!("/admin/v1/orders/{order}")).await;
    let all = check_whole(&shop, &format!("orders/{order}"), &whole).await;
    assert_eq!(types(&all[0])[0], "placed");
    let payment = whole["payments"][0]["id"].as_str().unwrap();
    let whole = shown(format!("/admin/v1/payments/{payment}")).await;
    let all = check_whole(&shop, &format!("payments/{payment}"), &whole).await;
    assert!(!serde_json::to_string(&all).unwrap().contains("tok_visa"));
    let whole = shown("/admin/v1/inventory/tea".to_owned()).await;
    let all = check_whole(&shop, "inventory/tea", &whole).await;
    assert_eq!(types(&all[0]), ["on_hand_set"]);
    assert_eq!(at(&shop, "inventory/tea", 1).await["state"]["on_hand"], 50);
    shop.close().await;
}

#[tokio::test]
async fn the_catalogue_is_remembered_too() {
    let shop = Shop::open_empty().await;
    let path = "/admin/v1/categories/tea";
    let create = Ask::post("/admin/v1/categories").operator();
    let created = shop.send(create.json(&json!({"id": "tea", "name": "Tea"}))).await;
    assert_eq!(created.status, 201, "{created:?}");
    let change = Ask::new(Method::PATCH, path).operator().header("if-match", "\"1\"");
    let changed = shop.send(change.json(&json!({"name": "Teas"}))).await;
    assert_eq!(changed.status, 200, "{changed:?}");
    let all = check_whole(&shop, "categories/tea", &changed.json()).await;
    assert_eq!(all.iter().map(types).collect::<Vec<_>>(), [["written"], ["written"]]);
    assert_eq!(at(&shop, "categories/tea", 1).await["state"]["name"], "Tea");
    let gone = Ask::new(Method::DELETE, path).operator().header("if-match", "\"2\"");
    let gone = shop.send(gone).await;
    assert!((200..300).contains(&gone.status), "{gone:?}");
    assert_eq!(at(&shop, "categories/tea", 3).await["state"], Value::Null);
    shop.close().await;
}

#[tokio::test]
async fn what_never_was_and_has_not_come_yet_is_not_found() {
    let (shop, _folder) = open().await;
    shop.stock("tea", 5).await;
    let cart = "cart_00000000000000000000000001";
    let refused = [
        (format!("carts/{cart}/history"), 404, "cart_not_found"),
        (format!("carts/{cart}/at?seq=1"), 404, "cart_not_found"),
        ("carts/tea/history".to_owned(), 404, "cart_not_found"),
        ("inventory/cup/history".to_owned(), 404, "sku_not_found"),
        ("sessions/tea/history".to_owned(), 404, "not_found"),
        ("inventory/tea/at?seq=2".to_owned(), 404, "seq_not_found"),
        ("inventory/tea/at?seq=0".to_owned(), 422, "validation_failed"),
        ("inventory/tea/at".to_owned(), 422, "validation_failed"),
        ("inventory/tea/at?seq=x".to_owned(), 422, "validation_failed"),
        ("inventory/tea/history?after=chg_1".to_owned(), 422, "validation_failed"),
    ];
    for (path, status, code) in refused {
        let answer = shop.send(Ask::get(format!("/admin/v1/{path}")).operator()).await;
        answer.problem(status, code);
    }
    shop.send(Ask::get("/admin/v1/inventory/tea/history")).await.problem(401, "unauthorized");
    shop.close().await;
}
