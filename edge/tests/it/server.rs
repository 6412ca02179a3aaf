//! Connections, over pipes in memory.

use std::time::Duration;

use edge::server::{Connections, Limits};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::task::JoinHandle;

use crate::shop::{Ask, Basket, Shop};

/// A connection to a shop, as a client sees it.
pub(crate) struct Line {
    pub(crate) client: DuplexStream,
    pub(crate) connections: Connections,
    pub(crate) served: JoinHandle<()>,
}

pub(crate) fn dial(shop: &Shop, limits: &Limits) -> Line {
    let (client, server) = duplex(1 << 16);
    let connections = Connections::new(shop.router.clone(), limits, shop.metrics.clone());
    let serving = connections.clone();
    let served = tokio::spawn(async move { serving.serve(server).await });
    Line { client, connections, served }
}

/// The head of a request that adds to a cart, with a body that is announced only.
fn head(basket: &Basket, length: usize) -> String {
    format!(
        "POST {}/items HTTP/1.1\r\nhost: shop\r\nomni-cart-token: {}\r\n\
         content-type: application/json\r\ncontent-length: {length}\r\n\r\n",
        basket.path(),
        basket.token,
    )
}

/// A request that waits for the rest of its body for as long as it is held.
pub(crate) async fn stalled_request(shop: &Shop, basket: &Basket) -> Line {
    stalled_with(shop, basket, 10).await
}

async fn in_flight(shop: &Shop) -> String {
    let metrics = shop.send(Ask::get("/metrics")).await;
    let text = String::from_utf8(metrics.body.to_vec()).unwrap();
    let line = text.lines().find(|line| line.starts_with("omnicart_edge_requests_in_flight "));
    line.unwrap().to_owned()
}

async fn read_all(client: &mut DuplexStream) -> String {
    let mut bytes = Vec::new();
    client.read_to_end(&mut bytes).await.unwrap();
    String::from_utf8(bytes).unwrap()
}

#[tokio::test]
async fn requests_follow_each_other_on_one_connection() {
    let shop = Shop::open().await;
    let mut line = dial(&shop, &Limits::default());
    let ask = "GET /healthz HTTP/1.1\r\nhost: shop\r\n\r\n";
    let last = "GET /nowhere HTTP/1.1\r\nhost: shop\r\nconnection: close\r\n\r\n";
    line.client.write_all(format!("{ask}{ask}{last}").as_bytes()).await.unwrap();
    let text = read_all(&mut line.client).await;
    assert_eq!(text.matches("HTTP/1.1 200 OK\r\n").count(), 2, "{text}");
    assert_eq!(text.matches("HTTP/1.1 404 Not Found\r\n").count(), 1, "{text}");
    assert!(!text.to_lowercase().contains("\r\nserver:"), "{text}");
    line.served.await.unwrap();
    shop.close().await;
}

#[tokio::test]
async fn a_body_that_does_not_come_is_not_waited_for() {
    let shop = Shop::open_with(|settings| settings.body_timeout = Duration::from_millis(50)).await;
    let basket = shop.basket().await;
    let mut line = dial(&shop, &Limits::default());
    line.client.write_all(head(&basket, 10).as_bytes()).await.unwrap();
    let text = read_all(&mut line.client).await;
    assert!(text.starts_with("HTTP/1.1 408 "), "{text}");
    assert!(text.contains("\"code\":\"request_timeout\""), "{text}");
    shop.close().await;
}

#[tokio::test]
async fn a_head_that_does_not_end_is_not_waited_for() {
    let shop = Shop::open().await;
    let limits = Limits { header_timeout: Duration::from_millis(50), ..Limits::default() };
    let mut line = dial(&shop, &limits);
    line.client.write_all(b"GET /healthz HTTP/1.1\r\nhost: sh").await.unwrap();
    line.served.await.unwrap();
    let text = read_all(&mut line.client).await;
    assert!(!text.contains("200"), "{text}");
    shop.close().await;
}

#[tokio::test]
async fn heads_are_bounded() {
    let shop = Shop::open().await;
    let header = |nth| format!("x-{nth}: 1\r\n");
    let many: String = (0..100).map(header).collect();
    let wide = format!("x-wide: {}\r\n", "x".repeat(80_000));
    for headers in [many, wide] {
        let mut line = dial(&shop, &Limits::default());
        let ask = format!("GET /healthz HTTP/1.1\r\nhost: shop\r\n{headers}\r\n");
        // The server has had enough before all is written.
        line.client.write_all(ask.as_bytes()).await.ok();
        let text = read_all(&mut line.client).await;
        assert!(text.starts_with("HTTP/1.1 431 "), "{text}");
    }
    shop.close().await;
}

#[tokio::test]
async fn draining_finishes_the_request_under_way() {
    let shop = Shop::open().await;
    let basket = shop.basket().await;
    let body = r#"{"sku":"tea","quantity":1}"#;
    let mut line = stalled_with(&shop, &basket, body.len()).await;
    line.connections.drain();
    line.client.write_all(body.as_bytes()).await.unwrap();
    let text = read_all(&mut line.client).await;
    assert!(text.starts_with("HTTP/1.1 200 OK\r\n"), "{text}");
    assert!(text.contains("connection: close"), "{text}");
    line.served.await.unwrap();
    // An idle connection, and one that comes too late, end at once.
    for _ in 0..2 {
        let late = dial(&shop, &Limits::default());
        late.connections.drain();
        late.served.await.unwrap();
    }
    shop.close().await;
}

#[tokio::test]
async fn ending_cuts_the_request_under_way() {
    let shop = Shop::open().await;
    let basket = shop.basket().await;
    let mut line = stalled_request(&shop, &basket).await;
    line.connections.end();
    line.served.await.unwrap();
    assert_eq!(read_all(&mut line.client).await, "");
    assert_eq!(in_flight(&shop).await, "omnicart_edge_requests_in_flight 1");
    shop.close().await;
}

async fn stalled_with(shop: &Shop, basket: &Basket, length: usize) -> Line {
    let before = in_flight(shop).await;
    let mut line = dial(shop, &Limits::default());
    line.client.write_all(head(basket, length).as_bytes()).await.unwrap();
    while in_flight(shop).await == before {
        tokio::task::yield_now().await;
    }
    line
}
