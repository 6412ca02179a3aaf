//! The HTTP API in front of a real node, without sockets: one request as text, and its answer.
//!
//! ```text
//! POST /store/v1/carts/{cart}/items
//! Omni-Cart-Token: {token}
//!
//! {"sku":"tea-oolong-100","quantity":1}
//! ```
//! What stands in braces is filled in, so that mutated requests still reach a cart that is there.
//! The cart and the stock change now and then, or bounds on what one entity keeps would be reached.
//!
//! The node has threads of its own and remembers requests before this one, so memory is not bounded
//! here, and an input that fails alone may not fail again.

use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use actors::{Cart, Sku};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, Method, Request, StatusCode};
use cluster::entity::Catalogue;
use cluster::runtime::node::{Node, NodeConfig};
use cluster::shard::kind::Kinds;
use edge::http::app::{App, OperatorToken, Settings, Signals};
use edge::http::router::router;
use edge::metrics::EdgeMetrics;
use http_body_util::BodyExt;
use prometheus_client::registry::Registry;
use serde_json::Value;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tower::ServiceExt;

const OPERATOR: &str = "operator-token-operator-token-operator";
/// Requests to one cart and one stock.
const REQUESTS_EACH: u64 = 200;

/// A shop and what its next request is about.
struct Shop {
    runtime: Runtime,
    router: Router,
    requests: u64,
    cart: String,
    token: String,
    sku: String,
    _node: Node,
    _folder: TempDir,
}

static SHOP: LazyLock<Mutex<Shop>> = LazyLock::new(|| Mutex::new(Shop::open()));

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl Shop {
    fn open() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.expect("a runtime");
        let folder = tempfile::tempdir().expect("a folder");
        let (router, node) = runtime.block_on(serve(&folder));
        let (cart, token, sku) = Default::default();
        let mut shop =
            Self { runtime, router, requests: 0, cart, token, sku, _node: node, _folder: folder };
        shop.renew();
        shop
    }

    /// Another cart, another stock.
    fn renew(&mut self) {
        let created = self.ask(b"POST /store/v1/carts\n\n").expect("a request");
        let created: Value = serde_json::from_slice(&created.body).expect("JSON");
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        self.cart = text(&created["cart"]["id"]);
        self.token = text(&created["token"]);
        self.sku = format!("sku-{}", self.requests);
        let stocked = self.ask(
            b"POST /admin/v1/inventory/{sku}/set\nAuthorization: Bearer {operator}\n\
              Content-Type: application/json\n\n{\"on_hand\":1000,\"reason\":\"r\"}",
        );
        assert_eq!(stocked.expect("a request").status, StatusCode::OK);
    }

    /// Sends what the text says; `None` when HTTP could not carry it.
    fn ask(&self, text: &[u8]) -> Option<Answer> {
        let request = self.request(text)?;
        let router = self.router.clone();
        Some(self.runtime.block_on(async move {
            let response = router.oneshot(request).await.expect("infallible");
            let (parts, body) = response.into_parts();
            let body = body.collect().await.expect("a whole body").to_bytes();
            Answer { status: parts.status, headers: parts.headers, body }
        }))
    }

    fn request(&self, text: &[u8]) -> Option<Request<Body>> {
        let end = text.windows(2).position(|pair| pair == b"\n\n").unwrap_or(text.len());
        let (head, body) = text.split_at(end);
        let mut lines = head.split(|byte| *byte == b'\n');
        let first = self.filled(lines.next()?);
        let at = first.iter().position(|byte| *byte == b' ')?;
        let (method, path) = (first.get(..at)?, first.get(at + 1..)?);
        let mut request = Request::builder().method(Method::from_bytes(method).ok()?).uri(path);
        for line in lines {
            let at = line.iter().position(|byte| *byte == b':')?;
            let value = self.filled(line.get(at + 1..)?.trim_ascii());
            request = request.header(line.get(..at)?, value);
        }
        let body = Bytes::copy_from_slice(body.get(2..).unwrap_or_default());
        request.body(Body::from(body)).ok()
    }

    fn filled(&self, line: &[u8]) -> Vec<u8> {
        let names = [
            ("{cart}", self.cart.as_str()),
            ("{token}", &self.token),
            ("{sku}", &self.sku),
            ("{operator}", OPERATOR),
        ];
        let mut filled = Vec::with_capacity(line.len());
        let mut rest = line;
        while let Some((first, after)) = rest.split_first() {
            let known = names.iter().find(|(name, _)| rest.starts_with(name.as_bytes()));
            if let Some((name, value)) = known {
                filled.extend_from_slice(value.as_bytes());
                rest = rest.get(name.len()..).unwrap_or_default();
            } else {
                filled.push(*first);
                rest = after;
            }
        }
        filled
    }
}

async fn serve(folder: &TempDir) -> (Router, Node) {
    let text = include_str!("../../../ops/src/demo/catalogue.json");
    let book = ops::catalogue::parse(text).expect("the demo's catalogue");
    let kinds = Kinds::default().with::<Cart>().with::<Sku>();
    let config = NodeConfig {
        n_shards: Some(2),
        segment_bytes: 1 << 20,
        snapshot_log_bytes_min: 1 << 20,
        resident_bytes_max: 64 << 20,
        catalogue: Some(Catalogue { index: 7, content: Arc::new(book) }),
        ..NodeConfig::new(folder.path().to_owned(), kinds)
    };
    let mut registry = Registry::default();
    let node = Node::start(config, &mut registry).await.expect("a node");
    node.ready().await;
    let metrics = EdgeMetrics::register(&mut registry);
    let signals = Signals { is_ready: Box::new(|| true), pressure_percent: Box::new(|| 0) };
    let mut settings = Settings::new("EUR".parse().expect("a currency"));
    let token = OperatorToken::try_from(OPERATOR.to_owned()).expect("a token");
    settings.operator_token = Some(token);
    let app =
        App::new(node.fabric(), node.operations(), settings, signals, metrics, Arc::new(registry));
    (router(app), node)
}

/// # Panics
/// If an answer breaks a promise: an error of the server's own, or a refusal without its form.
pub fn check(bytes: &[u8]) {
    let mut shop = SHOP.lock().unwrap_or_else(PoisonError::into_inner);
    shop.requests += 1;
    if shop.requests.is_multiple_of(REQUESTS_EACH) {
        shop.renew();
    }
    let Some(answer) = shop.ask(bytes) else { return };
    let status = answer.status.as_u16();
    assert!(status < 500, "{status}: {:?}", String::from_utf8_lossy(&answer.body));
    assert!(answer.headers.contains_key("x-request-id"));
    if status >= 400 && !bytes.starts_with(b"HEAD ") {
        let kind = answer.headers.get("content-type").map(|value| value.as_bytes());
        assert_eq!(kind, Some(&b"application/problem+json"[..]));
        let problem: Value = serde_json::from_slice(&answer.body).expect("JSON");
        assert_eq!(problem["status"], status);
        assert!(["code", "title", "detail", "type"].iter().all(|name| problem[name].is_string()));
    }
}

const CART: &str = "Omni-Cart-Token: {token}\nContent-Type: application/json";
const STOCK: &str = "Authorization: Bearer {operator}\nContent-Type: application/json";
const RESERVATION: &str = "res_00000000000000000000000001";

pub fn seeds() -> Vec<Vec<u8>> {
    let (cart, stock) = ("/store/v1/carts/{cart}", "/admin/v1/inventory/{sku}");
    let key = "Idempotency-Key: 0123456789abcdef0123456789abcdef";
    let place = "Omni-Min-Seq: 1.0:1,1.1:1\nX-Request-Id: mine";
    let trace = "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let items = r#"{"items":[{"sku":"cup-stoneware","quantity":2}]}"#;
    let reserve = format!(r#"{{"id":"{RESERVATION}","quantity":1,"expires_in_seconds":1}}"#);
    let seeds = [
        format!(
            "POST /store/v1/carts\n{key}\nContent-Type: application/json\n\n{{\"currency\":\"EUR\"}}"
        ),
        format!("GET {cart}\n{CART}\n{place}\nIf-None-Match: \"1\"\n\n"),
        format!(
            "POST {cart}/items\n{CART}\n{trace}\n\n{{\"sku\":\"tea-oolong-100\",\"quantity\":1}}"
        ),
        format!("POST {cart}/items\n{CART}\n{key}\n\n{items}"),
        format!("PUT {cart}/items/tea-oolong-100\n{CART}\nIf-Match: \"1\"\n\n{{\"quantity\":3}}"),
        format!("DELETE {cart}/items/cup-stoneware\n{CART}\nIf-Match: *\n\n"),
        format!(
            "POST {cart}/merge\n{CART}\n\n{{\"from\":\"{{cart}}\",\"from_token\":\"{{token}}\",\"strategy\":\"sum\"}}"
        ),
        format!("GET {stock}\n{STOCK}\n\n"),
        format!("POST {stock}/adjust\n{STOCK}\n{key}\n\n{{\"delta\":-1,\"reason\":\"torn\"}}"),
        format!("POST {stock}/set\n{STOCK}\n\n{{\"on_hand\":900,\"reason\":\"count\"}}"),
        format!("POST {stock}/reservations\n{STOCK}\n\n{reserve}"),
        format!("GET {stock}/reservations?limit=3&after={RESERVATION}\n{STOCK}\n\n"),
        format!("POST {stock}/reservations/{RESERVATION}/confirm\n{STOCK}\n\n"),
        format!("POST {stock}/reservations/{RESERVATION}/release\n{STOCK}\n\n"),
        format!("GET {stock}/ledger?limit=9\n{STOCK}\n\n"),
        "GET /readyz\n\n".to_owned(),
        "HEAD /healthz\n\n".to_owned(),
    ];
    seeds.into_iter().map(String::into_bytes).collect()
}
