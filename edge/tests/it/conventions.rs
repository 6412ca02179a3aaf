//! What holds for every route alike.

use axum::http::Method;
use serde_json::json;

use crate::shop::{Answer, Ask, Shop};
use std::sync::atomic::Ordering;

#[tokio::test]
async fn the_headers_of_answers_are_these_and_no_others() {
    let shop = Shop::open().await;
    let basket = shop.basket().await;
    let shown = |answer: &Answer| {
        let mut headers: Vec<_> = answer
            .headers
            .iter()
            .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
            .collect();
        headers.sort();
        headers
    };
    let shop_answer = shop.send(basket.add("tea", 1).header("x-request-id", "mine")).await;
    let omni_seq = format!("omni-seq: {}", shop_answer.header("omni-seq").unwrap());
    let length = format!("content-length: {}", shop_answer.body.len());
    assert_eq!(
        shown(&shop_answer),
        [
            "cache-control: no-store",
            &length,
            "content-type: application/json",
            "etag: \"2\"",
            &omni_seq,
            "x-content-type-options: nosniff",
            "x-request-id: mine",
        ]
    );
    let missing = shop.send(Ask::get("/nowhere").header("x-request-id", "mine")).await;
    let length = format!("content-length: {}", missing.body.len());
    assert_eq!(
        shown(&missing),
        [
            "cache-control: no-store",
            &length,
            "content-type: application/problem+json",
            "x-content-type-options: nosniff",
            "x-request-id: mine",
        ]
    );
    shop.close().await;
}

#[tokio::test]
async fn a_problem_has_this_form() {
    let shop = Shop::open().await;
    let answer = shop.send(Ask::get("/no/where?x=1").header("x-request-id", "mine")).await;
    let expected = json!({
        "type": "urn:omnicart:problem:not_found",
        "title": "There is nothing here",
        "status": 404,
        "detail": "no resource has this path",
        "instance": "/no/where",
        "code": "not_found",
        "request_id": "mine",
        "retryable": false,
    });
    assert_eq!(answer.problem(404, "not_found"), expected);
    shop.close().await;
}

#[tokio::test]
async fn a_request_id_is_taken_over_or_given() {
    let shop = Shop::open().await;
    let given = shop.send(Ask::get("/healthz")).await;
    let other = shop.send(Ask::get("/healthz")).await;
    assert!(given.header("x-request-id").unwrap().starts_with("req_"));
    assert_ne!(given.header("x-request-id"), other.header("x-request-id"));
    for insane in ["a b", "<script>", &"x".repeat(65)] {
        let answer = shop.send(Ask::get("/healthz").header("x-request-id", insane)).await;
        assert!(answer.header("x-request-id").unwrap().starts_with("req_"));
    }
    shop.close().await;
}

#[tokio::test]
async fn other_methods_are_named() {
    let shop = Shop::open().await;
    for (method, path, allowed) in [
        (Method::GET, "/store/v1/carts", "POST"),
        (Method::PATCH, "/store/v1/carts/x", "GET,HEAD,DELETE"),
        (Method::DELETE, "/store/v1/carts/x/items", "POST"),
        (Method::POST, "/store/v1/carts/x/items/tea", "PUT,DELETE"),
        (Method::PUT, "/admin/v1/inventory/tea/reservations", "GET,HEAD,POST"),
        (Method::POST, "/healthz", "GET,HEAD"),
        (Method::OPTIONS, "/metrics", "GET,HEAD"),
    ] {
        let answer = shop.send(Ask::new(method, path)).await;
        answer.problem(405, "method_not_allowed");
        assert_eq!(answer.header("allow"), Some(allowed), "{path}");
        assert!(answer.header("x-request-id").is_some());
    }
    shop.close().await;
}

#[tokio::test]
async fn the_system_answers_its_watchers() {
    let shop = Shop::open().await;
    let health = shop.send(Ask::get("/healthz")).await;
    assert_eq!((health.status, health.json()), (200, json!({"status": "ok"})));
    assert_eq!(shop.send(Ask::get("/readyz")).await.status, 200);
    let head = shop.send(Ask::new(Method::HEAD, "/healthz")).await;
    assert_eq!((head.status, head.body.len()), (200, 0));
    shop.is_ready.store(false, Ordering::Relaxed);
    let waiting = shop.send(Ask::get("/readyz")).await;
    waiting.problem(503, "not_ready");
    assert!(waiting.header("retry-after").is_some());
    assert_eq!(shop.send(Ask::get("/healthz")).await.status, 200);
    let head = shop.send(Ask::new(Method::HEAD, "/readyz")).await;
    assert_eq!((head.status, head.body.len()), (503, 0));
    let metrics = shop.send(Ask::get("/metrics")).await;
    let text = String::from_utf8(metrics.body.to_vec()).unwrap();
    for line in [
        r#"omnicart_edge_requests_total{route="/healthz",method="GET",status="2xx"} 3"#,
        r#"omnicart_edge_requests_total{route="/readyz",method="GET",status="5xx"} 2"#,
        r#"omnicart_edge_request_duration_seconds_count{route="/healthz",method="GET"} 3"#,
        "omnicart_edge_requests_in_flight 1",
        "omnicart_cluster_shards_led 4",
    ] {
        assert!(text.lines().any(|known| known == line), "{line} is not in\n{text}");
    }
    assert!(metrics.header("content-type").unwrap().starts_with("application/openmetrics-text"));
    shop.close().await;
}

#[tokio::test]
async fn a_known_state_is_not_sent_again() {
    let shop = Shop::open().await;
    shop.stock("tea", 1).await;
    let basket = shop.basket().await;
    let stock = || Ask::get("/admin/v1/inventory/tea").operator();
    let tag = "\"1\"";
    let asks = [
        basket.get(),
        stock(),
        Ask::get("/admin/v1/inventory/tea/ledger").operator(),
        Ask::get("/admin/v1/inventory/tea/reservations").operator(),
    ];
    for ask in asks {
        let known = shop.send(ask.header("if-none-match", "\"9\", W/\"1\"")).await;
        assert_eq!((known.status, known.body.len()), (304, 0));
        assert_eq!(known.header("etag"), Some(tag));
    }
    let changed = shop.send(basket.get().header("if-none-match", "\"2\"")).await;
    assert_eq!((changed.status, changed.header("etag")), (200, Some(tag)));
    shop.close().await;
}

#[tokio::test]
async fn a_change_may_be_bound_to_a_state() {
    let shop = Shop::open().await;
    let basket = shop.basket().await;
    let add = |if_match: &str| basket.add("tea", 1).header("if-match", if_match);
    let stale = shop.send(add("\"7\"")).await;
    stale.problem(412, "precondition_failed");
    shop.send(add("\"other\"")).await.problem(412, "precondition_failed");
    for bad in ["1", "W/\"1\"", "\"1\", \"2\"", ""] {
        shop.send(add(bad)).await.problem(400, "if_match_invalid");
    }
    assert_eq!(shop.send(add("\"1\"")).await.status, 200);
    assert_eq!(shop.send(add("*")).await.status, 200);
    // Whatever happened in between, the same request is refused in the same words.
    let keyed = shop.send(add("\"7\"").key("k")).await;
    keyed.problem(412, "precondition_failed");
    while shop.send(basket.get()).await.header("etag") != Some("\"7\"") {
        assert_eq!(shop.send(add("*")).await.status, 200);
    }
    let again = shop.send(add("\"7\"").key("k")).await;
    assert_eq!((again.status, &again.body), (412, &keyed.body));
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    assert_eq!(shop.send(add("\"7\"")).await.status, 200, "without the key it is decided");
    shop.stock("tea", 1).await;
    let set = Ask::post("/admin/v1/inventory/tea/set").operator();
    let set = set.json(&json!({"on_hand": 2, "reason": "count"})).header("if-match", "\"5\"");
    shop.send(set).await.problem(412, "precondition_failed");
    shop.close().await;
}

#[tokio::test]
async fn a_star_asks_whether_there_is_anything() {
    let shop = Shop::open().await;
    let set = |condition: &str| {
        let set = Ask::post("/admin/v1/inventory/tea/set").operator().header(condition, "*");
        set.json(&json!({"on_hand": 2, "reason": "count"}))
    };
    shop.send(set("if-match")).await.problem(412, "precondition_failed");
    shop.send(set("if-match").key("k")).await.problem(412, "precondition_failed");
    let shown = shop.send(Ask::get("/admin/v1/inventory/tea").operator()).await;
    shown.problem(404, "sku_not_found");
    let first = shop.send(set("if-none-match").key("first")).await;
    assert_eq!((first.status, first.header("etag")), (200, Some("\"1\"")));
    shop.send(set("if-none-match")).await.problem(412, "precondition_failed");
    // What was done under the key is answered, not decided again.
    let again = shop.send(set("if-none-match").key("first")).await;
    assert_eq!((again.status, &again.body), (200, &first.body));
    shop.send(set("if-match").key("first")).await.problem(422, "idempotency_conflict");
    assert_eq!(shop.send(set("if-match")).await.status, 200);
    let both = set("if-match").header("if-none-match", "*");
    shop.send(both).await.problem(400, "if_none_match_invalid");

    let basket = shop.basket().await;
    shop.send(basket.add("tea", 1).header("if-none-match", "*"))
        .await
        .problem(412, "precondition_failed");
    shop.send(basket.add("tea", 1).header("if-none-match", "\"1\""))
        .await
        .problem(400, "if_none_match_invalid");
    let delete = || Ask::new(Method::DELETE, basket.path()).token(&basket.token);
    assert_eq!(shop.send(delete().header("if-match", "*")).await.status, 204);
    shop.send(delete().header("if-match", "*")).await.problem(412, "precondition_failed");
    shop.close().await;
}

#[tokio::test]
async fn a_refused_change_has_a_place_in_history_too() {
    let shop = Shop::open().await;
    let basket = shop.basket().await;
    let written = shop.send(basket.add("tea", 1)).await;
    let refused = shop.send(basket.item(Method::DELETE, "cup")).await;
    refused.problem(404, "line_not_found");
    let place = |answer: &Answer| {
        let position = answer.header("omni-seq").unwrap().to_owned();
        let (shard, index) = position.split_once(':').unwrap();
        (shard.to_owned(), index.parse::<u64>().unwrap(), position)
    };
    let (before, after) = (place(&written), place(&refused));
    assert_eq!(before.0, after.0);
    assert!(before.1 <= after.1, "{before:?} {after:?}");
    let read = shop.send(basket.get().header("omni-min-seq", &after.2)).await;
    assert_eq!(read.status, 200, "{read:?}");
    let reserve = Ask::post("/admin/v1/inventory/tea/reservations").operator();
    let refused = shop.send(reserve.json(&json!({"quantity": 1}))).await;
    refused.problem(409, "out_of_stock");
    assert!(refused.header("omni-seq").is_some());
    shop.close().await;
}

#[tokio::test]
async fn a_read_waits_for_what_the_client_wrote() {
    let shop = Shop::open_with(|settings| {
        settings.request_timeout = cluster::time::Span::from_millis(300);
    })
    .await;
    let basket = shop.basket().await;
    let written = shop.send(basket.add("tea", 1)).await;
    let position = written.header("omni-seq").unwrap().to_owned();
    let read = shop.send(basket.get().header("omni-min-seq", &position)).await;
    assert_eq!(read.json(), written.json());
    let (shard, index) = position.split_once(':').unwrap();
    assert!(index.parse::<u64>().unwrap() > 0);
    for bad in ["x", "1.2", &format!("{position};")] {
        let ask = basket.get().header("omni-min-seq", bad);
        shop.send(ask).await.problem(400, "min_seq_invalid");
        let ask = basket.add("tea", 1).header("omni-min-seq", bad);
        shop.send(ask).await.problem(400, "min_seq_invalid");
    }
    let foreign = format!("9{position}");
    let ask = basket.get().header("omni-min-seq", &foreign);
    shop.send(ask).await.problem(412, "sequence_unknown");
    let ahead = format!("{shard}:{}", u64::MAX);
    let unknown = shop.send(basket.get().header("omni-min-seq", &ahead)).await;
    let unknown = unknown.problem(412, "sequence_unknown");
    // A position of another life of the cluster and one past the end of this are alike.
    let ask = basket.get().header("omni-min-seq", &foreign);
    let other = shop.send(ask).await.problem(412, "sequence_unknown");
    assert_eq!((&unknown["detail"], &unknown["title"]), (&other["detail"], &other["title"]));
    shop.close().await;
}

#[tokio::test]
async fn a_node_that_stops_says_so() {
    let shop = Shop::open().await;
    let basket = shop.basket().await;
    let router = shop.router.clone();
    shop.close().await;
    let answer = crate::shop::send(router, basket.add("tea", 1)).await;
    answer.problem(503, "shutting_down");
    assert_eq!(answer.header("connection"), Some("close"));
    assert!(answer.header("retry-after").is_some());
}
