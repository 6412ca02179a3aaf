//! What operators did, over HTTP: each accepted change once, in chains that can be paged through.

use std::collections::BTreeMap;

use axum::http::Method;
use serde_json::{Value, json};

use crate::shop::{Ask, Shop};

async fn heads(shop: &Shop) -> BTreeMap<String, (u64, String)> {
    let json = shop.send(Ask::get("/admin/v1/audit/heads").operator()).await.json();
    let head = |head: &Value| {
        let text = |name: &str| head[name].as_str().unwrap().to_owned();
        (text("chain"), (head["acts"].as_u64().unwrap(), text("head")))
    };
    json["data"].as_array().unwrap().iter().map(head).collect()
}

fn adjust(sku: &str, delta: i64) -> Ask {
    let adjust = Ask::post(format!("/admin/v1/inventory/{sku}/adjust")).operator();
    adjust.json(&json!({"delta": delta, "reason": "a word to nobody"}))
}

fn category(id: &str) -> Ask {
    let create = Ask::post("/admin/v1/categories").operator();
    create.json(&json!({"id": id, "name": "Tea"}))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_act_says_who_did_what_to_what_and_nothing_of_what_was_written() {
    let shop = Shop::open_empty().await;
    shop.stock("tea", 5).await;
    assert_eq!(shop.send(adjust("tea", 2).key("once")).await.status, 200);
    assert_eq!(shop.send(category("tea")).await.status, 201);
    let acts = shop.acts("").await;
    let shown = |name: &str| acts.iter().map(|act| act[name].clone()).collect::<Vec<_>>();
    assert_eq!(shown("operation"), ["createCategory", "adjustStock", "setStock"]);
    assert_eq!(shown("actor"), ["operator"; 3]);
    assert_eq!(shown("seq"), [1, 2, 1]);
    let tea = json!({"kind": "sku", "id": "tea"});
    let category = json!({"kind": "category", "id": "tea"});
    assert_eq!(shown("entity"), [category, tea.clone(), tea]);
    assert_eq!(shown("path")[1], "/admin/v1/inventory/tea/adjust");
    assert_eq!((&acts[0]["chain"], &acts[0]["place"]), (&json!("catalogue"), &json!(0)));
    assert_eq!((&acts[1]["place"], &acts[2]["place"]), (&json!(1), &json!(0)));
    assert!(acts[0]["key"].is_null() && acts[1]["key"].is_string());
    assert!(!format!("{acts:?}").contains("a word to nobody"));
    let heads = heads(&shop).await;
    assert_eq!(heads.len(), 4 + 2);
    assert_eq!(heads["catalogue"].1, acts[0]["hash"].as_str().unwrap());
    let of_tea = &heads[acts[1]["chain"].as_str().unwrap()];
    assert_eq!(*of_tea, (2, acts[1]["hash"].as_str().unwrap().to_owned()));
    assert_eq!(heads.values().map(|(n_acts, _)| n_acts).sum::<u64>(), 3);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_repeated_or_a_shoppers_is_no_act() {
    let shop = Shop::open().await;
    shop.stock("tea", 5).await;
    let before = heads(&shop).await;
    adjusted(&shop, adjust("tea", -9), 409).await;
    adjusted(&shop, adjust("tea", -9).key("refused"), 409).await;
    adjusted(&shop, adjust("tea", 1).header("if-match", "\"9\""), 412).await;
    adjusted(&shop, Ask::post("/admin/v1/inventory/tea/adjust").json(&json!({"delta": 1})), 401)
        .await;
    let basket = shop.basket().await;
    assert_eq!(shop.send(basket.add("tea", 1)).await.status, 200);
    assert_eq!(heads(&shop).await, before);
    for _ in 0..3 {
        adjusted(&shop, adjust("tea", 1).key("once"), 200).await;
    }
    assert_eq!(shop.acts("").await.len(), 2);
    shop.close().await;
}

async fn adjusted(shop: &Shop, ask: Ask, status: u16) {
    assert_eq!(shop.send(ask).await.status, status);
}

#[tokio::test(flavor = "multi_thread")]
async fn acts_are_paged_through_newest_first_past_what_a_chain_holds_itself() {
    let shop = Shop::open_empty().await;
    for nth in 0..70 {
        shop.stock("tea", nth).await;
        shop.stock(&format!("cup-{nth}"), 1).await;
    }
    let (mut after, mut seen) = (String::new(), Vec::new());
    loop {
        let path = format!("/admin/v1/audit?limit=9{after}");
        let page = shop.send(Ask::get(path).operator()).await.json();
        seen.extend(page["data"].as_array().unwrap().clone());
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        after = format!("&after={cursor}");
        // Later ones are on no later page.
        shop.stock("pot", 1).await;
    }
    assert_eq!(seen.len(), 140);
    let at: Vec<_> = seen.iter().map(|act| act["at"].as_str().unwrap().to_owned()).collect();
    assert!(at.is_sorted_by(|newer, older| newer >= older));
    let mut next = BTreeMap::<String, u64>::new();
    for act in seen.iter().rev() {
        let next = next.entry(act["chain"].as_str().unwrap().to_owned()).or_default();
        assert_eq!(act["place"], *next);
        *next += 1;
    }
    let of_tea = shop.acts("&entity=sku/tea&actor=operator").await;
    assert_eq!(of_tea.len(), 70);
    assert!(of_tea.iter().all(|act| act["entity"]["id"] == "tea"));
    assert_eq!(shop.acts("&entity=sku").await.len(), 100);
    assert!(shop.acts("&actor=nobody").await.is_empty());
    assert!(shop.acts("&entity=order").await.is_empty());
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_of_acts_says_what_it_does_not_take() {
    let shop = Shop::open_empty().await;
    for (query, param) in [
        ("entity=sku/", "entity"),
        ("entity=a%20b", "entity"),
        ("actor=", "actor"),
        ("limit=0", "limit"),
        ("after=act_1.2", "after"),
        ("after=ol_1", "after"),
        ("customer=tea", "customer"),
    ] {
        let list = Ask::get(format!("/admin/v1/audit?{query}")).operator();
        let problem = shop.send(list).await.problem(422, "validation_failed");
        assert_eq!(problem["param"], param, "{query}");
    }
    for path in ["/admin/v1/audit", "/admin/v1/audit/heads"] {
        shop.send(Ask::get(path)).await.problem(401, "unauthorized");
        let delete = Ask::new(Method::DELETE, path).operator();
        shop.send(delete).await.problem(405, "method_not_allowed");
    }
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_of_many_pieces_is_one_act_and_its_rows_are_none() {
    let shop = Shop::open_empty().await;
    let open = Ask::post("/admin/v1/imports").operator();
    let opened = shop.send(open.json(&json!({"format": "jsonl", "currency": "EUR"}))).await.json();
    let id = opened["id"].as_str().unwrap();
    let row = |nth| {
        let price = json!([{"amount": 100, "currency": "EUR"}]);
        let variant = json!({"sku": format!("sku-{nth}"), "name": "A thing", "prices": price});
        let name = "x".repeat(200);
        json!({"slug": format!("thing-{nth}"), "name": name, "variants": [variant]}).to_string()
    };
    let rows: Vec<_> = (0..400).map(row).collect();
    let data = rows.join("\n");
    let put = Ask::new(Method::PUT, format!("/admin/v1/imports/{id}/data")).operator();
    let put = put.header("content-type", "application/x-ndjson").body(data.into());
    let answer = shop.send(put).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    loop {
        let shown = Ask::get(format!("/admin/v1/imports/{id}")).operator();
        let shown = shop.send(shown).await.json();
        if !["receiving", "applying"].contains(&shown["status"].as_str().unwrap()) {
            break;
        }
        tokio::task::yield_now().await;
    }
    let acts = shop.acts("").await;
    let operations: Vec<_> = acts.iter().map(|act| &act["operation"]).collect();
    assert_eq!(operations, ["uploadImport", "createImport"]);
    shop.close().await;
}
