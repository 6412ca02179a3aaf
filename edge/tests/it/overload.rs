//! What is worth less is refused first.

use std::convert::Infallible;
use std::pin::{Pin, pin};
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker, ready};

use axum::body::{Body, HttpBody};
use bytes::Bytes;
use http_body_util::{Full, combinators};
use serde_json::json;
use tokio::sync::oneshot;

use crate::server::stalled_request;
use crate::shop::{Answer, Ask, Shop, send};

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
            (Ask::get("/nowhere"), 404, browse),
            // Anyone can ask this; it is worth as much as what anyone can ask.
            (Ask::get("/admin/v1/inventory/tea"), 401, browse),
            (Ask::post("/admin/v1/inventory/tea/set"), 401, browse),
            (basket.get(), 200, cart),
            (basket.add("tea", 1), 200, cart),
            (Ask::get("/admin/v1/inventory/tea").operator(), 200, kept),
            (stock(), 200, kept),
            (Ask::get("/healthz"), 200, true),
            (Ask::get("/readyz"), 200, true),
            (Ask::get("/metrics"), 200, true),
        ];
        for (nth, (ask, status, served)) in asks.into_iter().enumerate() {
            let answer = shop.send(ask).await;
            if served {
                assert_eq!(answer.status, status, "request {nth} at {pressure} %: {answer:?}");
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
        r#"omnicart_edge_shed_total{class="browse"} 18"#,
        r#"omnicart_edge_shed_total{class="cart"} 8"#,
        r#"omnicart_edge_shed_total{class="stock"} 4"#,
    ] {
        assert!(text.lines().any(|known| known == line), "{line} is not in\n{text}");
    }
    shop.close().await;
}

/// A request under way for as long as it is held: it is polled once and then left alone.
fn held(shop: &Shop, ask: Ask) -> Pin<Box<dyn Future<Output = Answer>>> {
    let mut answer = Box::pin(send(shop.router.clone(), ask));
    let polled = answer.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    assert!(matches!(polled, Poll::Pending), "{polled:?}");
    answer
}

#[tokio::test]
async fn a_crowd_is_pressure_too() {
    let shop = Shop::open_with(|settings| settings.concurrency_max = 4).await;
    let basket = shop.basket().await;
    let mut crowd = Vec::new();
    for n_held in 0..4 {
        let browsing = shop.send(Ask::get("/nowhere")).await;
        assert_eq!(browsing.status, if n_held < 3 { 404 } else { 503 }, "{n_held} held");
        crowd.push(held(&shop, basket.get()));
    }
    shop.send(basket.add("tea", 1)).await.problem(503, "overloaded");
    assert_eq!(shop.send(Ask::get("/healthz")).await.status, 200);
    drop(crowd);
    assert_eq!(shop.send(basket.add("tea", 1)).await.status, 200);
    shop.close().await;
}

#[tokio::test]
async fn a_request_that_nobody_polls_is_no_crowd() {
    let shop = Shop::open_with(|settings| settings.concurrency_max = 4).await;
    let basket = shop.basket().await;
    let unpolled = [(); 8].map(|()| send(shop.router.clone(), basket.get()));
    assert_eq!(shop.send(Ask::get("/nowhere")).await.status, 404);
    drop(unpolled);
    shop.close().await;
}

#[tokio::test]
async fn slow_bodies_crowd_nobody_out() {
    let shop = Shop::open_with(|settings| {
        settings.concurrency_max = 4;
        settings.bodies_awaited_max = 6;
    })
    .await;
    let basket = shop.basket().await;
    let mut slow = Vec::new();
    for _ in 0..6 {
        assert_eq!(shop.send(basket.add("tea", 1)).await.status, 200);
        slow.push(stalled_request(&shop, &basket).await);
    }
    let refused = shop.send(basket.add("tea", 1)).await;
    refused.problem(503, "overloaded");
    assert_eq!(refused.header("retry-after"), Some("1"));
    assert_eq!(shop.send(Ask::get("/nowhere")).await.status, 404, "what needs no body is served");
    let line = slow.pop().unwrap();
    line.connections.end();
    line.served.await.unwrap();
    assert_eq!(shop.send(basket.add("tea", 1)).await.status, 200);
    shop.close().await;
}

/// A body that comes when it is told to.
struct Late {
    told: Option<oneshot::Receiver<()>>,
    body: Full<Bytes>,
}

impl HttpBody for Late {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<<combinators::Frame<'static, Full<Bytes>> as Future>::Output> {
        if let Some(told) = &mut self.told {
            ready!(Pin::new(told).poll(context)).unwrap();
            self.told = None;
        }
        Pin::new(&mut self.body).poll_frame(context)
    }
}

#[tokio::test]
async fn a_body_that_comes_late_buys_no_place() {
    let shop = Shop::open_with(|settings| settings.concurrency_max = 4).await;
    let basket = shop.basket().await;
    let (waiting, told) = oneshot::channel();
    let body = Full::from(r#"{"sku":"tea","quantity":1}"#);
    let ask = basket.add("tea", 1).body(Body::new(Late { told: Some(told), body }));
    let mut late = pin!(send(shop.router.clone(), ask));
    let polled = late.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    assert!(matches!(polled, Poll::Pending), "{polled:?}");
    let crowd = [(); 4].map(|()| held(&shop, basket.get()));
    waiting.send(()).unwrap();
    late.await.problem(503, "overloaded");
    drop(crowd);
    assert_eq!(shop.send(basket.get()).await.json()["items"], json!([]), "nothing happened");
    shop.close().await;
}
