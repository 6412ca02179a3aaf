//! What is worth less is refused first.

use std::sync::atomic::Ordering;

use serde_json::json;

use crate::shop::{Ask, Shop};

#[tokio::test]
async fn browsing_is_shed_before_carts_and_carts_before_stock() {
    let shop = Shop::open().await;
    shop.stock("tea", 10).await;
    let basket = shop.basket().await;
    let stock = || {
        let ask = Ask::post("/admin/v1/inventory/tea/adjust").operator();
        ask.json(&json!({"delta": 1, "reason": "more"}))
    };
    for (pressure, browse, cart, kept) in [
        (0, true, true, true),
        (74, true, true, true),
        (75, false, true, true),
        (89, false, true, true),
        (90, false, false, true),
        (99, false, false, true),
        (100, false, false, false),
        (1_000, false, false, false),
    ] {
        shop.pressure.store(pressure, Ordering::Relaxed);
        let asks = [
            (basket.get(), browse),
            (Ask::get("/admin/v1/inventory/tea").operator(), browse),
            (basket.add("tea", 1), cart),
            (stock(), kept),
            (Ask::get("/healthz"), true),
            (Ask::get("/readyz"), true),
            (Ask::get("/metrics"), true),
        ];
        for (nth, (ask, served)) in asks.into_iter().enumerate() {
            let answer = shop.send(ask).await;
            if served {
                assert_eq!(answer.status, 200, "request {nth} at {pressure} %: {answer:?}");
            } else {
                let problem = answer.problem(503, "overloaded");
                assert_eq!(problem["retryable"], true);
                assert_eq!(answer.header("retry-after"), Some("1"));
            }
        }
    }
    let metrics = shop.send(Ask::get("/metrics")).await;
    let text = String::from_utf8(metrics.body.to_vec()).unwrap();
    for line in [
        r#"omnicart_edge_shed_total{class="browse"} 12"#,
        r#"omnicart_edge_shed_total{class="cart"} 4"#,
        r#"omnicart_edge_shed_total{class="stock"} 2"#,
    ] {
        assert!(text.lines().any(|known| known == line), "{line} is not in\n{text}");
    }
    shop.close().await;
}

#[tokio::test]
async fn a_crowd_is_pressure_too() {
    let shop = Shop::open_with(|settings| settings.concurrency_max = 4).await;
    let basket = shop.basket().await;
    // Requests that are under way as soon as they are polled, and wait for bodies that never come.
    let mut crowd = Vec::new();
    for n_waiting in 0..4 {
        let browsing = shop.send(basket.get()).await;
        assert_eq!(browsing.status, if n_waiting < 3 { 200 } else { 503 }, "{n_waiting} waiting");
        crowd.push(crate::server::stalled_request(&shop, &basket).await);
    }
    shop.send(basket.add("tea", 1)).await.problem(503, "overloaded");
    assert_eq!(shop.send(Ask::get("/healthz")).await.status, 200);
    drop(crowd);
    shop.close().await;
}
