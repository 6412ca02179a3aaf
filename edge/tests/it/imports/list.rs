//! Which imports there are.

use serde_json::{Value, json};

use super::{IMPORTS, data, ended, opened, rows, tea};
use crate::shop::{Answer, Ask, Shop};

async fn list(shop: &Shop, query: &str) -> Answer {
    shop.send(Ask::get(format!("{IMPORTS}{query}")).operator()).await
}

fn ids(page: &Value) -> Vec<&str> {
    page["data"].as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap()).collect()
}

fn id_of(path: &str) -> &str {
    path.rsplit_once('/').unwrap().1
}

#[tokio::test]
async fn imports_are_listed_newest_first_each_as_it_is() {
    let shop = Shop::open_empty().await;
    let none = json!({"data": [], "has_more": false, "next_cursor": null});
    assert_eq!(list(&shop, "").await.json(), none);
    let done = opened(&shop, "jsonl").await;
    let text = rows(&[tea("green", "t-1", 450), json!({"slug": "x"})]);
    assert_eq!(shop.send(data(&done, text)).await.status, 200);
    ended(&shop, &done).await;
    let cancelled = opened(&shop, "csv").await;
    let cancel = Ask::post(format!("{cancelled}/cancel")).operator().json(&json!({}));
    assert_eq!(shop.send(cancel).await.status, 200);
    let open = opened(&shop, "csv").await;
    let listed = list(&shop, "").await.json();
    assert_eq!(ids(&listed), [&open, &cancelled, &done].map(|path| id_of(path)));
    for (nth, path) in [&open, &cancelled, &done].into_iter().enumerate() {
        let shown = shop.send(Ask::get(&**path).operator()).await.json();
        assert_eq!(listed["data"][nth], shown);
    }
    let states = ["receiving", "cancelled", "done"];
    let told: Vec<_> = (0..3).map(|nth| listed["data"][nth]["status"].as_str().unwrap()).collect();
    assert_eq!(told, states);
    let last = &listed["data"][2];
    assert_eq!(
        (&last["written"], &last["refused"], &last["rows"]),
        (&json!(1), &json!(1), &json!(2))
    );
    shop.close().await;
}

#[tokio::test]
async fn a_list_of_imports_goes_on_from_its_cursor_whatever_is_opened_meanwhile() {
    let shop = Shop::open_empty().await;
    let mut paths = Vec::new();
    for _ in 0..5 {
        paths.push(opened(&shop, "csv").await);
    }
    let newest_first: Vec<_> = paths.iter().rev().map(|path| id_of(path)).collect();
    let first = list(&shop, "?limit=2").await.json();
    assert_eq!(ids(&first), newest_first[..2]);
    assert_eq!(first["has_more"], true);
    opened(&shop, "csv").await;
    let after = |page: &Value| format!("?limit=2&after={}", page["next_cursor"].as_str().unwrap());
    let second = list(&shop, &after(&first)).await.json();
    assert_eq!(ids(&second), newest_first[2..4]);
    let third = list(&shop, &after(&second)).await.json();
    assert_eq!(ids(&third), newest_first[4..]);
    assert_eq!((&third["has_more"], &third["next_cursor"]), (&json!(false), &Value::Null));
    let whole = list(&shop, "?limit=6").await.json();
    assert_eq!((ids(&whole).len(), &whole["has_more"]), (6, &json!(false)));
    for bad in ["?limit=0", "?limit=101", "?after=ol_1", "?after=opened_1", "?format=csv"] {
        list(&shop, bad).await.problem(422, "validation_failed");
    }
    shop.send(Ask::get(IMPORTS)).await.problem(401, "unauthorized");
    shop.close().await;
}

#[tokio::test]
async fn whoever_opened_an_import_finds_it_in_the_list() {
    let shop = Shop::open_empty().await;
    for _ in 0..8 {
        let body = json!({"format": "jsonl"});
        let answer = shop.send(Ask::post(IMPORTS).operator().json(&body)).await;
        let seen = answer.header("omni-seq").unwrap();
        let ask = Ask::get(format!("{IMPORTS}?limit=1")).operator().header("omni-min-seq", seen);
        let listed = shop.send(ask).await.json();
        assert_eq!(ids(&listed), [answer.json()["id"].as_str().unwrap()]);
    }
    shop.close().await;
}
