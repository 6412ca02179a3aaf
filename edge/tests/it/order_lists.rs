//! Lists of orders.

use serde_json::{Value, json};

use crate::checkout::{basket, check_out, open, terms};
use crate::shop::{Answer, Ask, Shop};

/// Buys a cup of tea as this customer; gives the order.
async fn buy(shop: &Shop, email: &str) -> Value {
    let basket = basket(shop, &[("tea", 1)]).await;
    let mut terms = terms("tok_visa");
    terms["email"] = json!(email);
    let bought = shop.send(check_out(&basket, "a-key-of-its-own", &terms)).await;
    assert_eq!(bought.status, 201, "{bought:?}");
    bought.json()
}

async fn list(shop: &Shop, query: &str) -> Answer {
    shop.send(Ask::get(format!("/admin/v1/orders{query}")).operator()).await
}

fn ids(orders: &[Value]) -> Vec<&str> {
    orders.iter().map(|order| order["id"].as_str().unwrap()).collect()
}

/// Everything from cursor to cursor.
async fn all(shop: &Shop, query: &str) -> Vec<Value> {
    let (mut found, mut after) = (Vec::new(), String::new());
    loop {
        let page = list(shop, &format!("?limit=2{query}{after}")).await.json();
        found.extend(page["data"].as_array().unwrap().iter().cloned());
        let Some(next) = page["next_cursor"].as_str() else { return found };
        after = format!("&after={next}");
    }
}

/// Looks until the list is this: a list in another shard than its orders is told after them.
async fn expect(shop: &Shop, query: &str, expected: &[(&Value, &str)]) {
    let expected: Vec<_> =
        expected.iter().map(|(order, status)| (&order["id"], json!(status))).collect();
    let mut found = Vec::new();
    for _ in 0..500 {
        found = all(shop, query).await;
        if found
            .iter()
            .map(|order| (&order["id"], order["status"].clone()))
            .eq(expected.iter().cloned())
        {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("{query} lists {found:?} and not {expected:?}");
}

#[tokio::test]
async fn orders_are_listed_newest_first_once_whatever_is_placed_meanwhile() {
    let (shop, _folder) = open().await;
    shop.stock("tea", 50).await;
    assert_eq!(list(&shop, "").await.json()["data"], json!([]));
    let mut placed = Vec::new();
    for nth in 0..7 {
        let email = if nth % 2 == 0 { "even@shop.example" } else { "odd@shop.example" };
        placed.push(buy(&shop, email).await);
    }
    let newest_first: Vec<_> = placed.iter().rev().cloned().collect();
    let first = list(&shop, "?limit=3").await.json();
    assert_eq!(ids(first["data"].as_array().unwrap()), ids(&newest_first)[..3]);
    let entry = &first["data"][0];
    let expected = json!({
        "id": newest_first[0]["id"], "number": newest_first[0]["number"], "status": "confirmed",
        "total": {"amount": 450, "currency": "EUR"}, "placed_at": newest_first[0]["placed_at"],
    });
    assert_eq!(*entry, expected);
    buy(&shop, "odd@shop.example").await;
    let after = first["next_cursor"].as_str().unwrap();
    let rest = list(&shop, &format!("?limit=100&after={after}")).await.json();
    assert_eq!(ids(rest["data"].as_array().unwrap()), ids(&newest_first)[3..]);
    assert_eq!((&rest["has_more"], &rest["next_cursor"]), (&json!(false), &Value::Null));
    shop.close().await;
}

#[tokio::test]
async fn orders_are_found_by_customer_status_time_and_name() {
    let (shop, _folder) = open().await;
    shop.stock("tea", 50).await;
    let one = buy(&shop, "Someone@Shop.example").await;
    let two = buy(&shop, "else@shop.example").await;
    let three = buy(&shop, "someone@shop.example").await;
    let text = |order: &Value, member: &str| order[member].as_str().unwrap().to_owned();
    let cancel = format!("/admin/v1/orders/{}/cancel", text(&one, "id"));
    let cancelled = shop.send(Ask::post(cancel).operator().json(&json!({"reason": "late"}))).await;
    assert_eq!(cancelled.status, 200, "{cancelled:?}");

    let theirs = [(&three, "confirmed"), (&one, "cancelled")];
    expect(&shop, "&customer=someone%40shop.example", &theirs).await;
    expect(&shop, "&status=cancelled", &theirs[1..]).await;
    let since = format!("&from={}&to={}", text(&two, "placed_at"), text(&three, "placed_at"));
    assert_eq!(ids(&all(&shop, &since).await), [text(&two, "id")]);
    for name in ["id", "number"] {
        let found = all(&shop, &format!("&q={}", text(&two, name))).await;
        assert_eq!(ids(&found), [text(&two, "id")], "by {name}");
    }
    assert_eq!(all(&shop, "&customer=nobody@shop.example").await, [] as [Value; 0]);
    shop.close().await;
}

#[tokio::test]
async fn what_no_list_of_orders_takes_is_refused() {
    let (shop, _folder) = open().await;
    for bad in ["?status=sold", "?customer=x", "?after=ol_1", "?after=7", "?q=tea", "?x=1"] {
        list(&shop, bad).await.problem(422, "validation_failed");
    }
    let past = list(&shop, "?customer=nobody@shop.example&after=ol_zz").await;
    assert_eq!((past.status, &past.json()["data"]), (200, &json!([])));
    shop.send(Ask::get("/admin/v1/orders")).await.problem(401, "unauthorized");
    shop.close().await;
}
