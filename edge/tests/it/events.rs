//! What was published, for whoever asks.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::checkout::{KEY, all_at_once, basket, check_out, open, terms};
use crate::gift_cards::{euro, give, id, issued, refund, voucher};
use crate::shop::{Ask, Shop};

/// Every event after a cursor, page by page, and the last cursor.
async fn events(shop: &Shop, query: &str, mut after: Option<String>) -> (Vec<Value>, String) {
    let mut all = Vec::new();
    loop {
        let cursor = after.map(|cursor| format!("&after={cursor}")).unwrap_or_default();
        let uri = format!("/admin/v1/events?limit=3{query}{cursor}");
        let answer = shop.send(Ask::get(uri).operator()).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let page = answer.json();
        let data = page["data"].as_array().unwrap();
        assert!(data.len() <= 3);
        all.extend(data.iter().cloned());
        let cursor = page["next_cursor"].as_str().unwrap().to_owned();
        if page["has_more"] == false {
            return (all, cursor);
        }
        after = Some(cursor);
    }
}

/// The types of the events of each entity, in order.
fn by_entity(events: &[Value]) -> BTreeMap<String, Vec<String>> {
    let mut all = BTreeMap::<String, Vec<String>>::new();
    for event in events {
        let id = event["entity"]["id"].as_str().unwrap().to_owned();
        all.entry(id).or_default().push(event["type"].as_str().unwrap().to_owned());
    }
    all
}

#[tokio::test]
async fn a_checkout_is_told_in_order_and_once() {
    let (shop, _folder) = open().await;
    shop.stock("tea", 50).await;
    let basket = basket(&shop, &[("tea", 2)]).await;
    let order = shop.send(check_out(&basket, KEY, &terms("tok_visa"))).await.json();
    let (told, cursor) = events(&shop, "", None).await;
    let ids: BTreeSet<_> = told.iter().map(|event| event["id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), told.len());
    let types = by_entity(&told);
    assert_eq!(types[order["id"].as_str().unwrap()], ["order.placed", "order.confirmed"]);
    let payment = order["payments"][0]["id"].as_str().unwrap();
    assert_eq!(types[payment], ["payment.authorised", "payment.captured"]);
    assert!(types[&basket.id].len() >= 3, "{types:?}");
    // Nothing that was published leads to a person.
    let text = serde_json::to_string(&told).unwrap();
    for personal in ["shopper@example.org", "A Shopper", "Street 1", "12345", "tok_visa"] {
        assert!(!text.contains(personal), "{personal} in {text}");
    }

    let (orders, _) = events(&shop, "&type=order", None).await;
    assert_eq!(by_entity(&orders).len(), 1);
    let (confirmed, _) = events(&shop, "&type=order.confirmed", None).await;
    let [confirmed] = confirmed.as_slice() else { panic!("{confirmed:?}") };
    assert_eq!(confirmed["topic"], "orders");
    assert_eq!(confirmed["data"]["number"], order["number"]);
    assert_eq!(confirmed["data"]["lines"][0]["quantity"], 2);

    // Whoever comes back gets what came since, and nothing twice.
    shop.basket().await;
    let (rest, again) = events(&shop, "", Some(cursor)).await;
    assert_eq!(rest.iter().map(|event| &event["type"]).collect::<Vec<_>>(), ["cart.updated"]);
    assert_eq!(events(&shop, "", Some(again)).await.0, Vec::<Value>::new());
    shop.close().await;
}

/// Every event of orders, once so many of them tell of refunds: a provider and a card answer later.
async fn events_of_refunds(shop: &Shop, n_refunds: usize) -> Vec<Value> {
    for _ in 0..500 {
        let (told, _) = events(shop, "&type=order", None).await;
        let is_refund = |event: &&Value| event["type"].as_str().unwrap().contains("refunded");
        if told.iter().filter(is_refund).count() == n_refunds {
            return told;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("{:?}", events(shop, "&type=order", None).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn all_money_that_went_back_is_told_with_where_it_went_and_no_code() {
    const TOTAL: i64 = 900;
    let (shop, _folder) = open().await;
    shop.stock("tea", 5).await;
    let (path, code) = issued(&shop, 500).await;
    let basket = basket(&shop, &[("tea", 2)]).await;
    assert_eq!(shop.send(give(&basket, &code)).await.status, 200);
    let order = shop.send(check_out(&basket, KEY, &terms("tok_visa"))).await.json();
    let became = shop.send(voucher(&order, "credit", TOTAL - 600)).await.json();
    let mut shown = Value::Null;
    for (key, amount) in [("money", 100), ("card", 200)] {
        let answer = shop.send(refund(&order, key, amount)).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        shown = answer.json();
    }
    let refund_id = |nth: usize| shown["refunds"][nth]["id"].clone();
    let told = events_of_refunds(&shop, 3).await;
    let of_type = |name: &str| {
        let data = told.iter().filter(|event| event["type"] == name).map(|event| &event["data"]);
        data.collect::<Vec<_>>()
    };
    let voucher = json!({
        "refund": refund_id(0), "amount": euro(TOTAL - 600), "paid": euro(TOTAL - 600),
        "card": became["gift_card"],
    });
    assert_eq!(of_type("order.refunded_to_voucher"), [&voucher]);
    let money = json!({"refund": refund_id(1), "amount": euro(100), "refunded": euro(100)});
    assert_eq!(of_type("order.refunded"), [&money]);
    let cards = json!([{"card": id(&path), "amount": euro(200)}]);
    let cards = json!({"refund": refund_id(2), "amount": euro(200), "cards": cards});
    assert_eq!(of_type("order.refunded_to_gift_cards"), [&cards]);
    let text = serde_json::to_string(&told).unwrap();
    for code in [&*code, became["code"].as_str().unwrap()] {
        let ending = code.rsplit('-').next().unwrap();
        assert!(!text.contains(code) && !text.contains(&format!("\"{ending}\"")), "{text}");
    }
    shop.close().await;
}

#[tokio::test]
async fn no_page_is_larger_than_was_asked_for_whatever_one_entry_holds() {
    let (shop, _folder) = open().await;
    // All at once, so that one entry has many of them.
    all_at_once(&shop, (0..40).map(|_| Ask::post("/store/v1/carts")).collect()).await;
    let (told, _) = events(&shop, "&type=cart", None).await;
    assert_eq!(by_entity(&told).len(), 40);
    assert_eq!(told.len(), 40);
    shop.close().await;
}

#[tokio::test]
async fn only_operators_and_sound_cursors_are_answered() {
    let (shop, _folder) = open().await;
    shop.send(Ask::get("/admin/v1/events")).await.problem(401, "unauthorized");
    let refused = [
        ("?after=evp_zz", 422, "validation_failed"),
        ("?type=orders", 422, "validation_failed"),
        ("?limit=0", 422, "validation_failed"),
        // Of a cluster with two shards.
        ("?after=evp_0101000000", 412, "sequence_unknown"),
        // Of this one in another life.
        ("?after=evp_01630000000000", 412, "sequence_unknown"),
    ];
    for (query, status, code) in refused {
        let uri = format!("/admin/v1/events{query}");
        shop.send(Ask::get(uri).operator()).await.problem(status, code);
    }
    shop.close().await;
}
