//! A cart as it changes, over a socket.

use std::time::Duration;

use axum::http::Method;
use edge::server::{Connections, Limits};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::gift_cards::{give, issued};
use crate::shop::{Ask, Basket, Shop};

/// Whatever is waited for comes long before, or never.
const PATIENCE: Duration = Duration::from_secs(30);

/// A client with an open stream.
struct Viewer {
    stream: BufReader<TcpStream>,
    connections: Connections,
    served: JoinHandle<()>,
}

impl Viewer {
    async fn of(shop: &Shop, basket: &Basket, last: Option<u64>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (server, peer) = listener.accept().await.unwrap();
        let limits = Limits::default();
        let connections = Connections::new(shop.router.clone(), &limits, shop.metrics.clone());
        let serving = connections.clone();
        let served = tokio::spawn(async move { serving.serve(peer.ip(), server).await });
        let mut stream = BufReader::new(client);
        let last = last.map(|seq| format!("last-event-id: {seq}\r\n")).unwrap_or_default();
        let (path, token) = (basket.path(), &basket.token);
        let ask = format!(
            "GET {path}/stream HTTP/1.1\r\nhost: shop\r\nomni-cart-token: {token}\r\n{last}\r\n"
        );
        stream.write_all(ask.as_bytes()).await.unwrap();
        Self { stream, connections, served }
    }

    async fn line(&mut self) -> String {
        let mut line = String::new();
        let read = self.stream.read_line(&mut line);
        tokio::time::timeout(PATIENCE, read).await.unwrap().unwrap();
        line.trim_end().to_owned()
    }

    /// The next lines that begin like this.
    async fn after(&mut self, prefix: &str) -> String {
        loop {
            let line = self.line().await;
            if let Some(rest) = line.strip_prefix(prefix) {
                return rest.to_owned();
            }
        }
    }

    /// The next event: its id, its name and its data.
    async fn event(&mut self) -> (u64, String, Value) {
        let id = self.after("id: ").await.parse().unwrap();
        let name = self.after("event: ").await;
        let data = self.after("data: ").await;
        (id, name, serde_json::from_str(&data).unwrap())
    }

    async fn ends(mut self) -> String {
        let mut rest = String::new();
        let read = self.stream.read_to_string(&mut rest);
        tokio::time::timeout(PATIENCE, read).await.unwrap().unwrap();
        self.served.await.unwrap();
        rest
    }
}

async fn add(shop: &Shop, basket: &Basket, quantity: u32) {
    let set = basket.item(Method::PUT, "tea").json(&json!({"quantity": quantity}));
    assert_eq!(shop.send(set).await.status, 200);
}

#[tokio::test]
async fn a_cart_is_shown_at_once_and_after_each_change() {
    let shop = Shop::open().await;
    let basket = shop.basket().await;
    let mut viewer = Viewer::of(&shop, &basket, None).await;
    assert_eq!(viewer.line().await, "HTTP/1.1 200 OK");
    assert_eq!(viewer.after("content-type: ").await, "text/event-stream");
    let (id, name, shown) = viewer.event().await;
    assert_eq!((id, &*name), (1, "cart"));
    assert_eq!(shown, shop.send(basket.get()).await.json());
    for quantity in [2, 3] {
        add(&shop, &basket, quantity).await;
        let (id, _, shown) = viewer.event().await;
        assert_eq!(u64::from(quantity), id);
        assert_eq!(shown, shop.send(basket.get()).await.json());
    }
    shop.send(Ask::new(Method::DELETE, basket.path()).token(&basket.token)).await;
    let (id, name, why) = viewer.event().await;
    assert_eq!((id, &*name, why), (4, "end", json!({"code": "cart_not_found"})));
    viewer.connections.drain();
    viewer.ends().await;
    shop.close().await;
}

#[tokio::test]
async fn a_stream_shows_what_gift_cards_leave_to_pay() {
    let shop = Shop::open().await;
    let (_, code) = issued(&shop, 500).await;
    let basket = shop.basket().await;
    add(&shop, &basket, 2).await;
    let mut viewer = Viewer::of(&shop, &basket, Some(2)).await;
    viewer.after("content-type: ").await;
    let cart = shop.send(give(&basket, &code)).await.json();
    assert_eq!(cart["totals"]["due"], json!({"amount": 400, "currency": "EUR"}));
    let (id, _, shown) = viewer.event().await;
    assert_eq!((id, shown), (3, cart));
    shop.close().await;
}

#[tokio::test]
async fn what_a_client_has_is_not_sent_again() {
    let shop = Shop::open().await;
    let basket = shop.basket().await;
    add(&shop, &basket, 2).await;
    let mut viewer = Viewer::of(&shop, &basket, Some(2)).await;
    viewer.after("content-type: ").await;
    add(&shop, &basket, 5).await;
    let (id, _, shown) = viewer.event().await;
    assert_eq!((id, &shown["items"][0]["quantity"]), (3, &json!(5)));
    let mut viewer = Viewer::of(&shop, &basket, Some(2)).await;
    assert_eq!(viewer.event().await.0, 3);
    shop.close().await;
}

#[tokio::test]
async fn a_stream_ends_when_the_server_drains() {
    let shop = Shop::open().await;
    let basket = shop.basket().await;
    let mut viewer = Viewer::of(&shop, &basket, None).await;
    viewer.event().await;
    viewer.connections.drain();
    viewer.ends().await;
    shop.close().await;
}

#[tokio::test]
async fn streams_are_bounded_and_only_their_owners() {
    let shop = Shop::open().await;
    let (basket, other) = (shop.basket().await, shop.basket().await);
    let foreign = Ask::get(format!("{}/stream", basket.path())).token(&other.token);
    shop.send(foreign).await.problem(404, "cart_not_found");
    // What is held open is an answer, not a connection.
    let mut open = Vec::new();
    let refused = loop {
        assert!(open.len() <= 1_024, "no bound");
        let ask = Ask::get(format!("{}/stream", basket.path())).token(&basket.token);
        match crate::shop::begin(shop.router.clone(), ask).await {
            Ok(response) => open.push(response),
            Err(answer) => break answer,
        }
    };
    refused.problem(503, "too_many_streams");
    assert_eq!((refused.header("retry-after"), open.len()), (Some("5"), 1_024));
    drop(open);
    // Their places are free once they are noticed to be gone.
    loop {
        let ask = Ask::get(format!("{}/stream", basket.path())).token(&basket.token);
        if crate::shop::begin(shop.router.clone(), ask).await.is_ok() {
            break;
        }
        tokio::task::yield_now().await;
    }
    shop.close().await;
}
