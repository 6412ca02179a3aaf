//! The routes of stock.

use std::sync::Arc;

use actors::domain::sku::Command;
use actors::{Holder, Sku, SkuCode};
use axum::http::Method;
use cluster::fabric::{Envelope, Precondition};
use cluster::ids::{EntityKey, EntityKind, EntityRef};
use cluster::runtime::node::{Node, NodeConfig};
use cluster::shard::kind::Kinds;
use cluster::time::Timestamp;
use edge::http::app::{App, OperatorToken, Settings, Signals};
use edge::http::router::router;
use edge::metrics::EdgeMetrics;
use prometheus_client::registry::Registry;
use serde_json::{Value, json};

use crate::shop::{Ask, OPERATOR, Shop, send};

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
    assert_eq!((&held["id"], &held["quantity"]), (&json!(second), &json!(5)));
    let listed = shop.send(get("/reservations")).await.json();
    let listed = listed["data"].as_array().unwrap().iter().find(|open| open["id"] == second);
    assert_eq!(held["expires_at"], listed.unwrap()["expires_at"]);
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
    shop.send(act(second, "confirm")).await.problem(409, "reservation_released");
    shop.send(act("res_x", "confirm")).await.problem(404, "reservation_not_found");
    shop.send(act(&first, "confirm").text(r#"{"x":1}"#)).await.problem(422, "validation_failed");
    shop.close().await;
}

#[tokio::test]
async fn an_ended_reservation_does_not_begin_again() {
    let shop = Shop::open().await;
    shop.stock("tea", 200).await;
    let id = |nth: u32| format!("res_{nth:026}");
    let reserve = |nth| post("/reservations", &json!({"id": id(nth), "quantity": 1}));
    let act = |nth, verb: &str| post(&format!("/reservations/{}/{verb}", id(nth)), &json!({}));
    for nth in 0..60 {
        assert_eq!(shop.send(reserve(nth)).await.status, 201);
        assert_eq!(shop.send(act(nth, "confirm")).await.status, 200);
    }
    shop.send(reserve(0)).await.problem(409, "reservation_confirmed");
    assert_eq!(shop.send(reserve(60)).await.status, 201);
    assert_eq!(shop.send(act(60, "release")).await.status, 200);
    shop.send(reserve(60)).await.problem(409, "reservation_released");
    assert_eq!(shop.send(get("")).await.json()["available"], 140);
    shop.close().await;
}

#[tokio::test]
async fn a_repeated_reservation_has_the_life_it_was_granted() {
    let shop = Shop::open().await;
    shop.stock("tea", 10).await;
    let reserve = |life: Value| {
        let id = "res_00000000000000000000000007";
        post("/reservations", &json!({"id": id, "quantity": 5, "expires_in_seconds": life}))
    };
    let first = shop.send(reserve(json!(60)).key("first")).await;
    assert!(first.json()["expires_at"].is_string(), "{first:?}");
    for life in [json!(3_600), Value::Null] {
        let again = shop.send(reserve(life)).await;
        assert_eq!((again.status, again.json()), (201, first.json()));
    }
    let replayed = shop.send(reserve(json!(60)).key("first")).await;
    assert_eq!((replayed.is_replayed(), &replayed.body), (true, &first.body));
    shop.close().await;
}

#[tokio::test]
async fn a_release_of_nothing_known_is_not_found_and_leaves_nothing() {
    let shop = Shop::open().await;
    let id = "res_00000000000000000000000007";
    let release = || post(&format!("/reservations/{id}/release"), &json!({}));
    shop.send(release()).await.problem(404, "reservation_not_found");
    shop.send(get("")).await.problem(404, "sku_not_found");
    shop.stock("tea", 10).await;
    shop.send(release()).await.problem(404, "reservation_not_found");
    assert_eq!(shop.send(get("")).await.json()["seq"], 1);
    let reserve = post("/reservations", &json!({"id": id, "quantity": 5}));
    assert_eq!(shop.send(reserve).await.status, 201);
    shop.close().await;
}

/// Entities take stock over without HTTP, so this needs the fabric itself.
#[tokio::test]
async fn what_an_entity_took_over_is_not_an_operators_to_end() {
    let folder = tempfile::tempdir().unwrap();
    let kinds = Kinds::default().with::<Sku>();
    let config = NodeConfig {
        n_shards: Some(1),
        segment_bytes: 1 << 20,
        ..NodeConfig::new(folder.path().to_owned(), kinds)
    };
    let mut registry = Registry::default();
    let node = Node::start(config, &mut registry).await.unwrap();
    node.ready().await;
    let metrics = EdgeMetrics::register(&mut registry);
    let signals = Signals { is_ready: Box::new(|| true), pressure_percent: Box::new(|| 0) };
    let mut settings = Settings::new("EUR".parse().unwrap());
    let token = OPERATOR.strip_prefix("Bearer ").unwrap().to_owned();
    settings.operator_token = Some(OperatorToken::try_from(token).unwrap());
    let app = router(App::new(
        node.fabric(),
        node.operations(),
        settings,
        signals,
        metrics,
        Arc::new(registry),
    ));
    let ask = |ask: Ask| send(app.clone(), ask);
    let set = ask(post("/set", &json!({"on_hand": 9, "reason": "count"}))).await;
    assert_eq!(set.status, 200);
    let id = "res_00000000000000000000000007";
    let body = json!({"id": id, "quantity": 4, "expires_in_seconds": 60});
    assert_eq!(ask(post("/reservations", &body)).await.status, 201);
    let order = EntityRef { kind: EntityKind(9), key: EntityKey::Number([1; 16]) };
    let holder = Holder::try_from(&order).unwrap();
    let take_over = Command::TakeOver { id: id.parse().unwrap(), holder };
    let precondition = Precondition::None;
    let envelope = Envelope { precondition, ..Envelope::until(Timestamp::MAX) };
    let sku: SkuCode = "tea".parse().unwrap();
    let taken = node.fabric().execute::<Sku>(sku.key(), envelope, take_over).await;
    assert!(taken.is_ok(), "{taken:?}");
    for verb in ["confirm", "release"] {
        let act = post(&format!("/reservations/{id}/{verb}"), &json!({}));
        ask(act).await.problem(409, "reservation_held_by_another");
    }
    assert_eq!(ask(get("")).await.json()["reserved"], 4);
    node.stop().await;
}

#[tokio::test]
async fn a_stock_is_not_adjusted_by_nothing() {
    let shop = Shop::open().await;
    let nothing = || post("/adjust", &json!({"delta": 0, "reason": "none"}));
    for ask in [nothing(), nothing().key("nothing")] {
        let problem = shop.send(ask).await.problem(422, "validation_failed");
        assert_eq!(problem["errors"][0]["param"], "delta");
        assert_eq!(problem["errors"][0]["detail"], "must not be zero");
    }
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

#[tokio::test]
async fn a_policy_and_a_threshold_are_set_and_shown() {
    let shop = Shop::open().await;
    let put = |path: &str, body: &Value| {
        Ask::new(Method::PUT, format!("/admin/v1/inventory/tea/{path}")).operator().json(body)
    };
    let backorder = json!({"kind": "backorder", "limit": 3});
    shop.send(put("policy", &backorder)).await.problem(428, "precondition_required");
    let any = |ask: Ask| ask.header("if-match", "*");
    shop.send(any(put("policy", &backorder))).await.problem(412, "precondition_failed");
    shop.stock("tea", 2).await;
    let set = shop.send(any(put("policy", &backorder))).await;
    let expected = json!({
        "sku": "tea", "on_hand": 2, "reserved": 0, "available": 2, "backordered": 0,
        "policy": {"kind": "backorder", "limit": 3}, "seq": 2,
    });
    assert_eq!((set.status, set.json()), (200, expected));
    assert_eq!(shop.send(get("")).await.json(), set.json());
    let stale = put("policy", &backorder).header("if-match", r#""1""#);
    shop.send(stale).await.problem(412, "precondition_failed");
    let out = json!({"kind": "preorder", "available_from": "2030-01-01T00:00:00Z"});
    let set = shop.send(any(put("policy", &out))).await.json();
    let expected = json!({
        "kind": "preorder", "limit": null, "available_from": "2030-01-01T00:00:00.000000Z",
    });
    assert_eq!(set["policy"], expected);
    for bad in [
        json!({"kind": "never"}),
        json!({"kind": "deny", "limit": 1}),
        json!({"kind": "backorder", "available_from": "2030-01-01T00:00:00Z"}),
        json!({"kind": "backorder", "limit": -1}),
        json!({"limit": 1}),
    ] {
        shop.send(any(put("policy", &bad))).await.problem(422, "validation_failed");
    }
    let low = shop.send(any(put("low_stock", &json!({"threshold": 2})))).await.json();
    assert_eq!(low["low_stock"], json!({"threshold": 2, "is_low": true}));
    shop.stock("tea", 3).await;
    assert_eq!(shop.send(get("")).await.json()["low_stock"]["is_low"], false);
    let never = shop.send(any(put("low_stock", &json!({"threshold": null})))).await.json();
    assert!(never.get("low_stock").is_none(), "{never}");
    let deny = shop.send(any(put("policy", &json!({"kind": "deny"})))).await.json();
    assert!(deny.get("policy").is_none() && deny.get("backordered").is_none(), "{deny}");
    shop.close().await;
}

#[tokio::test]
async fn pieces_lie_at_locations_and_go_from_one_to_another() {
    let shop = Shop::open_empty().await;
    shop.stock("tea", 5).await;
    let berlin = json!({"id": "berlin", "name": "Berlin", "priority": 1});
    let stock_at = |path: &str, body: Value| post(path, &body);
    let set = json!({"on_hand": 4, "reason": "counted", "location": "berlin"});
    shop.send(stock_at("/set", set.clone())).await.problem(422, "stock_location_unknown");
    let created = Ask::post("/admin/v1/stock_locations").operator().json(&berlin);
    assert_eq!(shop.send(created).await.status, 201);
    assert_eq!(shop.send(stock_at("/set", set)).await.json()["on_hand"], 9);
    let adjust = json!({"delta": -5, "reason": "lost", "location": "berlin"});
    shop.send(stock_at("/adjust", adjust)).await.problem(409, "too_few_at_location");
    let transfer = |quantity: u32| {
        let reason = "the shop runs out";
        stock_at("/transfer", json!({"to": "berlin", "quantity": quantity, "reason": reason}))
    };
    shop.send(transfer(6)).await.problem(409, "too_few_at_location");
    shop.send(transfer(0)).await.problem(422, "validation_failed");
    let nowhere = json!({"from": null, "to": null, "quantity": 1, "reason": "x"});
    shop.send(stock_at("/transfer", nowhere)).await.problem(422, "validation_failed");
    let moved = shop.send(transfer(3)).await;
    assert_eq!((moved.status, &moved.json()["on_hand"]), (200, &json!(9)));
    let lies = |here: u32, berlin: u32| json!([{"location": null, "on_hand": here}, {"location": "berlin", "on_hand": berlin}]);
    assert_eq!(shop.send(get("/locations")).await.json()["data"], lies(2, 7));
    // What is sold leaves the default location first.
    let id = "res_00000000000000000000000007";
    let reserve = post("/reservations", &json!({"id": id, "quantity": 3}));
    assert_eq!(shop.send(reserve).await.status, 201);
    let confirm = post(&format!("/reservations/{id}/confirm"), &json!({}));
    assert_eq!(shop.send(confirm).await.json()["on_hand"], 6);
    let rows = shop.send(get("/ledger")).await.json()["data"].clone();
    let row = |nth: usize| (rows[nth]["delta"].clone(), rows[nth].get("location").cloned());
    assert_eq!(row(0), (json!(-1), Some(json!("berlin"))));
    assert_eq!(row(1), (json!(-2), None));
    let transfer = json!({"from": null, "to": "berlin", "quantity": 3});
    assert_eq!((&rows[2]["transfer"], &rows[2]["delta"]), (&transfer, &json!(0)));
    assert_eq!(row(3), (json!(4), Some(json!("berlin"))));
    shop.close().await;
}

#[tokio::test]
async fn a_change_at_a_location_is_repeated_though_the_location_is_gone() {
    let shop = Shop::open_empty().await;
    shop.stock("tea", 5).await;
    let created = Ask::post("/admin/v1/stock_locations").operator();
    let created = shop.send(created.json(&json!({"id": "berlin", "name": "Berlin"}))).await;
    assert_eq!(created.status, 201);
    let set = |key: &str| {
        post("/set", &json!({"on_hand": 4, "reason": "counted", "location": "berlin"})).key(key)
    };
    let body = json!({"to": "berlin", "quantity": 1, "reason": "moved"});
    let transfer = |key: &str| post("/transfer", &body).key(key);
    let (first, moved) = (shop.send(set("first")).await, shop.send(transfer("moved")).await);
    assert_eq!((first.status, moved.status), (200, 200), "{first:?} {moved:?}");
    let removed = Ask::new(Method::DELETE, "/admin/v1/stock_locations/berlin").operator();
    let removed = shop.send(removed.header("if-match", "*")).await;
    assert_eq!(removed.status, 204, "{removed:?}");
    // Whoever decides hears of it a moment later.
    let mut refused = shop.send(set("other")).await;
    for nth in 0..500 {
        if refused.status == 200 {
            refused = shop.send(set(&format!("other-{nth}"))).await;
        }
    }
    assert_eq!(refused.problem(422, "stock_location_unknown")["param"], "location");
    let refused = shop.send(transfer("once-more")).await;
    assert_eq!(refused.problem(422, "stock_location_unknown")["param"], "to");
    for (ask, before) in [(set("first"), first), (transfer("moved"), moved)] {
        let again = shop.send(ask).await;
        assert!(again.is_replayed(), "{again:?}");
        assert_eq!((again.status, again.body), (before.status, before.body));
    }
    let away = json!({"from": "berlin", "quantity": 1, "reason": "moved"});
    assert_eq!(shop.send(post("/transfer", &away)).await.status, 200);
    shop.close().await;
}

#[tokio::test]
async fn word_of_a_low_stock_is_an_event_and_one_an_hour() {
    let shop = Shop::open().await;
    shop.stock("tea", 5).await;
    let mark = Ask::new(Method::PUT, "/admin/v1/inventory/tea/low_stock").operator();
    let mark = mark.header("if-match", "*").json(&json!({"threshold": 2}));
    assert_eq!(shop.send(mark).await.status, 200);
    for on_hand in [2, 3, 1, 9, 0] {
        shop.stock("tea", on_hand).await;
    }
    let events = Ask::get("/admin/v1/events?type=stock").operator();
    let events = shop.send(events).await.json();
    let event = &events["data"][0];
    assert_eq!(events["data"].as_array().unwrap().len(), 1, "{events}");
    assert_eq!((&event["type"], &event["topic"]), (&json!("stock.ran_low"), &json!("stock")));
    assert_eq!(event["entity"], json!({"kind": "sku", "id": "tea"}));
    assert_eq!(event["data"], json!({"available": 2, "threshold": 2}));
    shop.close().await;
}
