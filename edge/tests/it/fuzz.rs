//! Whatever is sent: no answer of the 5xx range, and every refusal is a well-formed problem.

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, Method, Uri};
use edge::server::Limits;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::server::dial;
use crate::shop::{Ask, Basket, OPERATOR, Shop};

/// A stream of numbers that is the same for the same seed.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 31)).wrapping_mul(0xD6E8_FEB8_6659_FD93);
        mixed ^ (mixed >> 32)
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(end).unwrap()).unwrap()
    }

    fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }

    fn bytes(&mut self, max: usize) -> Vec<u8> {
        (0..self.below(max + 1)).map(|_| self.next().to_le_bytes()[0]).collect()
    }

    /// Good bytes with a few changes, now and then none.
    fn spoil(&mut self, good: &[u8]) -> Vec<u8> {
        let mut bytes = good.to_vec();
        for _ in 0..self.below(4) {
            let at = self.below(bytes.len() + 1);
            match self.below(4) {
                0 => bytes.truncate(at),
                1 => bytes.insert(at, self.next().to_le_bytes()[0]),
                2 if at < bytes.len() => bytes[at] = *self.pick(b"\"{}[]:,-.0919eE\\ \n\xff"),
                _ => bytes = [&bytes[..at], &bytes[at..], &bytes[at..]].concat(),
            }
        }
        bytes
    }
}

const BODIES: [&str; 8] = [
    r#"{"sku":"tea","quantity":1}"#,
    r#"{"items":[{"sku":"cup","quantity":2},{"sku":"tea","quantity":3}]}"#,
    r#"{"currency":"EUR"}"#,
    r#"{"quantity":0}"#,
    r#"{"delta":-1,"reason":"r"}"#,
    r#"{"on_hand":1000,"reason":"r"}"#,
    r#"{"id":"res_00000000000000000000000001","quantity":1,"expires_in_seconds":1}"#,
    "",
];

fn paths(basket: &Basket) -> Vec<String> {
    let cart = basket.path();
    let stock = "/admin/v1/inventory/tea";
    vec![
        "/store/v1/carts".into(),
        cart.clone(),
        format!("{cart}/items"),
        format!("{cart}/items/tea"),
        format!("{cart}/merge"),
        stock.into(),
        format!("{stock}/adjust"),
        format!("{stock}/set"),
        format!("{stock}/reservations?limit=3"),
        format!("{stock}/ledger"),
        format!("{stock}/reservations/res_00000000000000000000000001/confirm"),
        format!("{stock}/reservations/res_00000000000000000000000001/release"),
        "/metrics".into(),
    ]
}

fn headers(basket: &Basket) -> Vec<(&'static str, String)> {
    vec![
        ("omni-cart-token", basket.token.clone()),
        ("authorization", OPERATOR.to_owned()),
        ("content-type", "application/json".to_owned()),
        ("content-length", "5".to_owned()),
        ("idempotency-key", "0123456789abcdef0123456789abcdef".to_owned()),
        ("if-match", "\"1\"".to_owned()),
        ("if-none-match", "\"1\"".to_owned()),
        ("omni-min-seq", "1.0:1".to_owned()),
        ("x-request-id", "mine".to_owned()),
        ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned()),
    ]
}

const METHODS: [Method; 7] = [
    Method::POST,
    Method::POST,
    Method::PUT,
    Method::GET,
    Method::DELETE,
    Method::HEAD,
    Method::OPTIONS,
];

/// A request that is right in most of its parts, or `None` when HTTP could not carry it.
fn spoiled(numbers: &mut Numbers, basket: &Basket) -> Option<(String, Ask)> {
    let method = numbers.pick(&METHODS).clone();
    let path = numbers.pick(&paths(basket)).clone();
    let path = if numbers.below(4) == 0 {
        String::from_utf8_lossy(&numbers.spoil(path.as_bytes())).into_owned()
    } else {
        path
    };
    path.parse::<Uri>().ok()?;
    let mut ask = Ask::new(method.clone(), &*path);
    for (nth, (name, value)) in headers(basket).into_iter().enumerate() {
        let wanted = if nth < 3 { numbers.below(10) > 0 } else { numbers.below(6) == 0 };
        let value = match numbers.below(8) {
            0 => numbers.spoil(value.as_bytes()),
            1 if nth > 2 => numbers.bytes(300),
            _ => value.into_bytes(),
        };
        if wanted && HeaderValue::from_bytes(&value).is_ok() {
            ask = ask.header(HeaderName::from_static(name).as_str(), value);
        }
    }
    let body = match numbers.below(8) {
        0 => numbers.bytes(2_000),
        _ => {
            let good = *numbers.pick(&BODIES);
            numbers.spoil(good.as_bytes())
        }
    };
    let told = format!("{method} {path} {:?}", String::from_utf8_lossy(&body));
    Some((told, ask.body(Body::from(body))))
}

#[tokio::test]
async fn no_request_breaks_the_rim() {
    const REQUESTS: usize = 5_000;
    const SEED: u64 = 20_260_117;
    let shop = Shop::open().await;
    shop.stock("tea", 1_000).await;
    let mut basket = shop.basket().await;
    let mut numbers = Numbers(SEED);
    let mut n_done = 0;
    for nth in 0..REQUESTS {
        if nth % 100 == 99 {
            basket = shop.basket().await;
        }
        let Some((told, ask)) = spoiled(&mut numbers, &basket) else { continue };
        let is_head = told.starts_with("HEAD");
        let answer = shop.send(ask).await;
        assert!(answer.status < 500, "seed {SEED}, request {nth}: {told} got {answer:?}");
        assert!(answer.header("x-request-id").is_some());
        if answer.status >= 400 && !is_head {
            let code = answer.json()["code"].as_str().unwrap().to_owned();
            answer.problem(answer.status, &code);
        }
        n_done += usize::from(answer.status < 300);
    }
    assert!(n_done > REQUESTS / 20, "only {n_done} requests got past the rim");
    shop.close().await;
}

#[tokio::test]
async fn no_bytes_break_a_connection() {
    const CONNECTIONS: usize = 1_000;
    const SEED: u64 = 4_711;
    let shop = Shop::open().await;
    let basket = shop.basket().await;
    let good = format!(
        "POST {}/items HTTP/1.1\r\nhost: shop\r\nomni-cart-token: {}\r\n\
         content-type: application/json\r\ncontent-length: 26\r\n\r\n{}",
        basket.path(),
        basket.token,
        BODIES[0],
    );
    let mut numbers = Numbers(SEED);
    for nth in 0..CONNECTIONS {
        let bytes = match numbers.below(10) {
            0 => numbers.bytes(500),
            _ => numbers.spoil(good.as_bytes()),
        };
        let mut line = dial(&shop, &Limits::default());
        // The server may have had enough before all is written.
        line.client.write_all(&bytes).await.ok();
        line.client.shutdown().await.ok();
        let mut answer = Vec::new();
        line.client.read_to_end(&mut answer).await.unwrap();
        let text = String::from_utf8_lossy(&answer);
        assert!(!text.contains("HTTP/1.1 5"), "seed {SEED}, connection {nth}: {text}");
        line.served.await.expect("the connection ends without a panic");
    }
    shop.close().await;
}
