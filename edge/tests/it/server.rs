//! Connections, over pipes in memory.

use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroU32;
use std::time::Duration;

use edge::http::starting;
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
    let connections = Connections::new(shop.router.clone(), limits, shop.metrics.clone());
    dial_from(connections, Ipv4Addr::LOCALHOST.into())
}

fn dial_from(connections: Connections, peer: IpAddr) -> Line {
    let (client, server) = duplex(1 << 16);
    let serving = connections.clone();
    let served = tokio::spawn(async move { serving.serve(peer, server).await });
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

/// The value of a metric of the edge without labels.
async fn metric(shop: &Shop, name: &str) -> u64 {
    let metrics = shop.send(Ask::get("/metrics")).await;
    let text = String::from_utf8(metrics.body.to_vec()).unwrap();
    let name = format!("omnicart_edge_{name} ");
    text.lines().find_map(|line| line.strip_prefix(&name)).unwrap().parse().unwrap()
}

async fn until(shop: &Shop, name: &str, value: u64) {
    while metric(shop, name).await != value {
        tokio::task::yield_now().await;
    }
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
    assert_eq!(metric(&shop, "requests_in_flight").await, 1);
    assert_eq!(metric(&shop, "bodies_awaited").await, 0);
    shop.close().await;
}

#[tokio::test]
async fn a_client_that_never_reads_is_let_go() {
    let shop = Shop::open().await;
    let limits = Limits { write_timeout: Duration::from_millis(50), ..Limits::default() };
    let mut line = dial(&shop, &limits);
    let ask = "GET /metrics HTTP/1.1\r\nhost: shop\r\n\r\n".repeat(100);
    line.client.write_all(ask.as_bytes()).await.unwrap();
    line.served.await.unwrap();
    assert_eq!(metric(&shop, "requests_in_flight").await, 1, "this one");
    assert_eq!(metric(&shop, "connections").await, 0);
    shop.close().await;
}

#[tokio::test]
async fn a_client_that_reads_slowly_is_served() {
    const N: usize = 100;
    const BREAK: Duration = Duration::from_millis(60);
    let shop = Shop::open().await;
    // Longer than any of the breaks, and shorter than all of them.
    let limits = Limits { write_timeout: BREAK * 5, ..Limits::default() };
    let mut line = dial(&shop, &limits);
    let ask = "GET /metrics HTTP/1.1\r\nhost: shop\r\n\r\n".repeat(N - 1);
    let last = "GET /metrics HTTP/1.1\r\nhost: shop\r\nconnection: close\r\n\r\n";
    line.client.write_all(format!("{ask}{last}").as_bytes()).await.unwrap();
    let mut bytes = vec![0; 1 << 10];
    for _ in 0..7 {
        line.client.read_exact(&mut bytes).await.unwrap();
        // The server cannot end meanwhile: it has more to say than fits.
        let ended = tokio::time::timeout(BREAK, &mut line.served).await;
        assert!(ended.is_err(), "the connection was cut");
    }
    bytes.extend(read_all(&mut line.client).await.bytes());
    let text = String::from_utf8(bytes).unwrap();
    assert!(text.ends_with("# EOF\n"), "{text}");
    shop.close().await;
}

#[tokio::test]
async fn a_peer_opens_no_more_than_its_share_of_connections() {
    let shop = Shop::open().await;
    let share = NonZeroU32::new(2).unwrap();
    let limits = Limits { connections_per_peer_max: share, ..Limits::default() };
    let first = dial(&shop, &limits);
    let dial_from = |peer| dial_from(first.connections.clone(), peer);
    let ask = b"GET /healthz HTTP/1.1\r\nhost: shop\r\nconnection: close\r\n\r\n";
    until(&shop, "connections", 1).await;
    let peer = Ipv4Addr::LOCALHOST.into();
    let mut second = dial_from(peer);
    until(&shop, "connections", 2).await;
    let mut third = dial_from(peer);
    assert_eq!(read_all(&mut third.client).await, "");
    third.served.await.unwrap();
    assert_eq!(metric(&shop, "connections_refused_total").await, 1);
    let mut neighbour = dial_from(Ipv4Addr::new(192, 0, 2, 1).into());
    for line in [&mut neighbour, &mut second] {
        line.client.write_all(ask).await.unwrap();
        let text = read_all(&mut line.client).await;
        assert!(text.starts_with("HTTP/1.1 200 OK\r\n"), "{text}");
    }
    second.served.await.unwrap();
    let mut again = dial_from(peer);
    again.client.write_all(ask).await.unwrap();
    assert!(read_all(&mut again.client).await.starts_with("HTTP/1.1 200 OK\r\n"));
    shop.close().await;
}

#[tokio::test]
async fn a_peer_creates_only_so_many_carts() {
    let shop = Shop::open_with(|settings| settings.carts_per_second_max = NonZeroU32::new(1)).await;
    let first = dial(&shop, &Limits::default());
    let connections = first.connections.clone();
    let create = async |peer: &str, path: &str| {
        let mut line = dial_from(connections.clone(), peer.parse().unwrap());
        let head = format!("POST {path} HTTP/1.1\r\nhost: shop\r\nconnection: close\r\n\r\n");
        line.client.write_all(head.as_bytes()).await.unwrap();
        read_all(&mut line.client).await
    };
    let mut refused = None;
    // A slow machine may earn some more in between.
    for _ in 0..1_000 {
        let text = create("2001:db8::1", "/store/v1/carts").await;
        if !text.starts_with("HTTP/1.1 201 Created\r\n") {
            refused = Some(text);
            break;
        }
    }
    let refused = refused.unwrap().to_lowercase();
    assert!(refused.starts_with("http/1.1 429 too many requests\r\n"), "{refused}");
    for part in [
        "\r\nretry-after: 1\r\n",
        "\r\nratelimit: \"carts\";r=0;t=1\r\n",
        "\r\nratelimit-policy: \"carts\";q=10;w=10\r\n",
        "\"code\":\"rate_limited\"",
        "\"retryable\":true",
    ] {
        assert!(refused.contains(part), "{part} in {refused}");
    }
    assert!(metric(&shop, "rate_limited_total").await >= 1);
    let neighbour = create("2001:db8:0:1::1", "/store/v1/carts").await;
    assert!(neighbour.starts_with("HTTP/1.1 201 Created\r\n"), "{neighbour}");
    let other = create("2001:db8::1", "/nowhere").await;
    assert!(other.starts_with("HTTP/1.1 404 Not Found\r\n"), "{other}");
    shop.close().await;
}

#[tokio::test]
async fn the_time_a_change_has_begins_with_its_body() {
    let timeout = cluster::time::Span::from_millis(300);
    let shop = Shop::open_with(|settings| settings.request_timeout = timeout).await;
    let basket = shop.basket().await;
    let body = r#"{"sku":"tea","quantity":1}"#;
    let mut line = stalled_with(&shop, &basket, body.len()).await;
    let longer = Duration::from_millis(400);
    let answer = tokio::time::timeout(longer, line.client.read_u8()).await;
    assert!(answer.is_err(), "there is an answer without a request");
    line.connections.drain();
    line.client.write_all(body.as_bytes()).await.unwrap();
    let text = read_all(&mut line.client).await;
    assert!(text.starts_with("HTTP/1.1 200 OK\r\n"), "{text}");
    shop.close().await;
}

#[tokio::test]
async fn a_body_may_come_in_chunks() {
    let shop = Shop::open().await;
    let basket = shop.basket().await;
    let mut line = dial(&shop, &Limits::default());
    let head = head(&basket, 0)
        .replace("content-length: 0", "connection: close\r\ntransfer-encoding: chunked");
    let body = r#"{"sku":"tea","quantity":7}"#;
    let chunks: String = body.chars().map(|byte| format!("1\r\n{byte}\r\n")).collect();
    line.client.write_all(format!("{head}{chunks}0\r\n\r\n").as_bytes()).await.unwrap();
    let text = read_all(&mut line.client).await;
    assert!(text.starts_with("HTTP/1.1 200 OK\r\n"), "{text}");
    assert!(text.contains("\"quantity\":7"), "{text}");
    shop.close().await;
}

async fn stalled_with(shop: &Shop, basket: &Basket, length: usize) -> Line {
    let before = metric(shop, "bodies_awaited").await;
    let mut line = dial(shop, &Limits::default());
    line.client.write_all(head(basket, length).as_bytes()).await.unwrap();
    while metric(shop, "bodies_awaited").await == before {
        tokio::task::yield_now().await;
    }
    line
}

#[tokio::test]
async fn a_server_that_starts_says_so_until_it_serves() {
    let shop = Shop::open().await;
    let limits = Limits::default();
    let connections = Connections::new(starting::router(), &limits, shop.metrics.clone());
    let mut early = dial_from(connections.clone(), Ipv4Addr::LOCALHOST.into());
    let ask =
        |path: &str| format!("GET {path} HTTP/1.1\r\nhost: shop\r\nx-request-id: mine\r\n\r\n");
    let asks = format!("{}{}", ask("/healthz"), ask("/readyz"));
    early.client.write_all(asks.as_bytes()).await.unwrap();
    let mut text = String::new();
    while !text.ends_with('}') || text.matches("HTTP/1.1 ").count() < 2 {
        let mut bytes = [0; 4096];
        let n = early.client.read(&mut bytes).await.unwrap();
        text.push_str(std::str::from_utf8(&bytes[..n]).unwrap());
    }
    assert!(text.starts_with("HTTP/1.1 200 OK\r\n"), "{text}");
    for part in ["HTTP/1.1 503 ", "retry-after: 1", "x-request-id: mine", "\"code\":\"not_ready\""]
    {
        assert!(text.contains(part), "{part} is not in {text}");
    }
    connections.replace(shop.router.clone());
    // Whoever was told to come back does so on a connection of its own.
    early.served.await.unwrap();
    let mut late = dial_from(connections, Ipv4Addr::LOCALHOST.into());
    let last = "GET /readyz HTTP/1.1\r\nhost: shop\r\nconnection: close\r\n\r\n";
    late.client.write_all(last.as_bytes()).await.unwrap();
    let text = read_all(&mut late.client).await;
    assert!(text.starts_with("HTTP/1.1 200 OK\r\n"), "{text}");
    late.served.await.unwrap();
    shop.close().await;
}
