//! The routes of stock.

use axum::http::Method;
use serde_json::{Value, json};

use crate::shop::{Ask, Shop};

fn post(path: &str, body: &Value) -> Ask {
    Ask::post(format!("/admin/v1/inventory/tea{path}")).operator().json(body)
}

fn get(path: &str) -> Ask {
    Ask::get(format!("/admin/v1/inventory/tea{path}")).operator()
}

#[tokio::test]
async fn a_stock_is_stated_and_adjusted() {
    let shop = Shop::open().await;
    shop.send(get("")).await.problem(404, "sku_not_found");
    let set = shop.send(post("/set", &json!({"on_hand": 10, "reason": "first count"}))).await;
    let expected = json!({"sku": "tea", "on_hand": 10, "reserved": 0, "available": 10, "seq": 1});
    assert_eq!((set.status, set.json()), (200, expected));
    let adjusted = shop.send(post("/adjust", &json!({"delta": -3, "reason": "broken"}))).await;
    assert_eq!(adjusted.json()["on_hand"], 7);
    assert_eq!(shop.send(get("")).await.json(), adjusted.json());
    let below = shop.send(post("/adjust", &json!({"delta": -8, "reason": "lost"}))).await;
    below.problem(409, "below_reserved");
    let above = post("/adjust", &json!({"delta": 1_000_000_000, "reason": "found"}));
    shop.send(above).await.problem(422, "on_hand_too_large");
    shop.close().await;
}

#[tokio::test]
async fn pieces_are_reserved_confirmed_and_released() {
    let shop = Shop::open().await;
    shop.stock("tea", 10).await;
    let reserved = shop.send(post("/reservations", &json!({"quantity": 4}))).await;
    assert_eq!(reserved.status, 201);
    let json = reserved.json();
    let first = json["id"].as_str().unwrap().to_owned();
    assert_eq!(json["inventory"]["available"], 6);
    let second = "res_00000000000000000000000007";
    let body = json!({"id": second, "quantity": 5, "expires_in_seconds": 60});
    let held = shop.send(post("/reservations", &body)).await.json();
    assert_eq!((&held["id"], &held["expires_in_seconds"]), (&json!(second), &json!(60)));
    let short = shop.send(post("/reservations", &json!({"quantity": 2}))).await;
    let errors = &short.problem(409, "out_of_stock")["errors"];
    assert_eq!(*errors, json!([{"sku": "tea", "requested": 2, "available": 1}]));
    let differs = post("/reservations", &json!({"id": second, "quantity": 1}));
    shop.send(differs).await.problem(409, "reservation_differs");
    let act = |id: &str, verb: &str| {
        Ask::post(format!("/admin/v1/inventory/tea/reservations/{id}/{verb}")).operator()
    };
    let confirmed = shop.send(act(&first, "confirm")).await.json();
    let expected = json!({"sku": "tea", "on_hand": 6, "reserved": 5, "available": 1, "seq": 4});
    assert_eq!(confirmed, expected);
    let released = shop.send(act(second, "release").text("{}")).await.json();
    assert_eq!((&released["reserved"], &released["available"]), (&json!(0), &json!(6)));
    shop.send(act(&first, "release")).await.problem(409, "reservation_confirmed");
    shop.send(act(second, "confirm")).await.problem(404, "reservation_not_found");
    shop.send(act("res_x", "confirm")).await.problem(404, "reservation_not_found");
    shop.send(act(&first, "confirm").text(r#"{"x":1}"#)).await.problem(422, "validation_failed");
    shop.close().await;
}

#[tokio::test]
async fn lists_come_in_pages() {
    let shop = Shop::open().await;
    shop.stock("tea", 100).await;
    for _ in 0..5 {
        assert_eq!(shop.send(post("/reservations", &json!({"quantity": 1}))).await.status, 201);
    }
    for list in ["/reservations", "/ledger"] {
        if list == "/ledger" {
            for delta in 1..=4 {
                let body = json!({"delta": delta, "reason": "more"});
                assert_eq!(shop.send(post("/adjust", &body)).await.status, 200);
            }
        }
        let (mut seen, mut query) = (Vec::new(), "?limit=2".to_owned());
        loop {
            let page = shop.send(get(&format!("{list}{query}"))).await.json();
            seen.extend(page["data"].as_array().unwrap().clone());
            if page["has_more"] == false {
                assert_eq!(page["next_cursor"], Value::Null);
                break;
            }
            query = format!("?limit=2&after={}", page["next_cursor"].as_str().unwrap());
        }
        assert_eq!(seen.len(), 5, "{list}");
        let all = shop.send(get(list)).await.json();
        assert_eq!(all["data"], json!(seen), "{list}");
    }
    let ledger = shop.send(get("/ledger")).await.json();
    assert_eq!(ledger["data"][0]["delta"], 4);
    assert_eq!(ledger["data"][4]["reason"], "count");
    for bad in ["?limit=0", "?limit=2&offset=1", "?after=x"] {
        shop.send(get(&format!("/reservations{bad}"))).await.problem(422, "validation_failed");
        shop.send(get(&format!("/ledger{bad}"))).await.problem(422, "validation_failed");
    }
    shop.close().await;
}

#[tokio::test]
async fn only_operators_see_stock() {
    let shop = Shop::open().await;
    shop.stock("tea", 1).await;
    for (method, path) in [
        (Method::GET, ""),
        (Method::GET, "/reservations"),
        (Method::GET, "/ledger"),
        (Method::POST, "/set"),
        (Method::POST, "/adjust"),
        (Method::POST, "/reservations"),
        (Method::POST, "/reservations/x/confirm"),
        (Method::POST, "/reservations/x/release"),
    ] {
        for credential in [None, Some("Bearer nonsense"), Some("Basic b3BlcmF0b3I6"), Some("")] {
            let path = format!("/admin/v1/inventory/tea{path}");
            // Even what is malformed is nobody's to know.
            let ask = Ask::new(method.clone(), path).text("{");
            let ask = match credential {
                Some(value) => ask.header("authorization", value),
                None => ask,
            };
            let answer = shop.send(ask).await;
            answer.problem(401, "unauthorized");
            assert_eq!(answer.header("www-authenticate"), Some("Bearer realm=\"omnicart\""));
        }
    }
    shop.close().await;
    let closed = Shop::open_with(|settings| settings.operator_token = None).await;
    closed.send(get("")).await.problem(401, "unauthorized");
    closed.close().await;
}

#[tokio::test]
async fn card_numbers_are_not_stored() {
    let shop = Shop::open().await;
    let body = json!({"delta": 1, "reason": "paid with 4111 1111-1111 1111"});
    let problem = shop.send(post("/adjust", &body)).await.problem(422, "card_number_refused");
    assert_eq!(problem["param"], "reason");
    assert!(!problem.to_string().contains("4111"));
    shop.close().await;
}
