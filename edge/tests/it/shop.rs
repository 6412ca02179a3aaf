//! A shop to send requests to.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use actors::{BookReader, Currency, Listing, Money, PriceBook, ProductName};
use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, StatusCode};
use axum::response::Response;
use bytes::Bytes;
use cluster::entity::Catalogue;
use cluster::fabric::Fabric;
use cluster::runtime::node::{Node, NodeConfig};
use edge::http::app::{App, BenchOm, OperatorToken, Settings, Signals};
use edge::http::imports::Importer;
use edge::http::router::router;
use edge::metrics::{EdgeMetrics, ImportMetrics};
use edge::providers::carrier::Carriers;
use edge::providers::fraud::Fraud;
use edge::providers::payment::Providers;
use http_body_util::BodyExt;
use prometheus_client::registry::Registry;
use serde_json::{Value, json};
use tempfile::TempDir;
use tower::ServiceExt;

use crate::contract;

/// SKUs with long names, for large carts.
pub(crate) const WORDY: [&str; 5] = ["word-1", "word-2", "word-3", "word-4", "word-5"];

pub(crate) const OPERATOR: &str = "Bearer operator-token-operator-token-operator";

pub(crate) struct Shop {
    pub(crate) router: Router,
    pub(crate) metrics: EdgeMetrics,
    pub(crate) pressure: Arc<AtomicUsize>,
    pub(crate) is_ready: Arc<AtomicBool>,
    app: App,
    node: Node,
    importer: Importer,
    _folder: TempDir,
}

/// A cart and its token.
pub(crate) struct Basket {
    pub(crate) id: String,
    pub(crate) token: String,
}

impl Shop {
    pub(crate) async fn open() -> Self {
        Self::open_with(|_| {}).await
    }

    /// With these payment providers.
    pub(crate) async fn open_with_payments(providers: Providers) -> Self {
        Self::open_on(Some(providers), |config| config.catalogue = Some(catalogue()), |_| {}).await
    }

    /// The same, with carriers that are asked for parcels.
    pub(crate) async fn open_with_carriers(providers: Providers, carriers: Carriers) -> Self {
        let port = Arc::new(carriers.clone());
        let outfit = |config: &mut NodeConfig| {
            config.catalogue = Some(catalogue());
            config.ports.push(port);
        };
        Self::open_on(Some(providers), outfit, |settings| settings.carriers = Some(carriers)).await
    }

    /// The same, with somebody who decides which orders look like fraud.
    pub(crate) async fn open_with_fraud(providers: Providers, fraud: Fraud) -> Self {
        let port = Arc::new(fraud.clone());
        let outfit = |config: &mut NodeConfig| {
            config.catalogue = Some(catalogue());
            config.ports.push(port);
        };
        Self::open_on(Some(providers), outfit, |settings| settings.fraud = Some(fraud)).await
    }

    /// The same, with rules for checkouts that name none of them.
    pub(crate) async fn open_with_routing(providers: Providers, rules: &str) -> Self {
        let rules = rules.parse().unwrap();
        let choose = |settings: &mut Settings| settings.payment_routing = Some(rules);
        let catalogue = |config: &mut NodeConfig| config.catalogue = Some(catalogue());
        Self::open_on(Some(providers), catalogue, choose).await
    }

    pub(crate) async fn open_with(choose: impl FnOnce(&mut Settings)) -> Self {
        Self::open_on(None, |config| config.catalogue = Some(catalogue()), choose).await
    }

    /// With nothing for sale yet, and a catalogue that merchants write.
    pub(crate) async fn open_empty() -> Self {
        Self::open_empty_with(|_| {}).await
    }

    pub(crate) async fn open_empty_with(choose: impl FnOnce(&mut Settings)) -> Self {
        Self::open_on(None, |config| config.reader = Some(Arc::new(BookReader)), choose).await
    }

    /// The same, with these payment providers.
    pub(crate) async fn open_empty_with_payments(providers: Providers) -> Self {
        let reader = |config: &mut NodeConfig| config.reader = Some(Arc::new(BookReader));
        Self::open_on(Some(providers), reader, |_| {}).await
    }

    /// The same, with the routes of the Online Marketplace benchmark.
    pub(crate) async fn open_for_bench(providers: Providers) -> Self {
        let reader = |config: &mut NodeConfig| config.reader = Some(Arc::new(BookReader));
        let choose = |settings: &mut Settings| settings.bench_om = BenchOm::Mounted;
        Self::open_on(Some(providers), reader, choose).await
    }

    async fn open_on(
        payments: Option<Providers>,
        catalogue: impl FnOnce(&mut NodeConfig),
        choose: impl FnOnce(&mut Settings),
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut config = NodeConfig {
            n_shards: Some(4),
            segment_bytes: 1 << 20,
            ports: payments.iter().map(|all| Arc::new(all.clone()) as _).collect(),
            ..NodeConfig::new(folder.path().to_owned(), actors::all_kinds())
        };
        catalogue(&mut config);
        let mut registry = Registry::default();
        let importer = Importer::new(ImportMetrics::register(&mut registry));
        config.ports.push(Arc::new(importer.clone()));
        let node = Node::start(config, &mut registry).await.unwrap();
        node.ready().await;
        importer.attach(node.fabric());
        let metrics = EdgeMetrics::register(&mut registry);
        let pressure = Arc::new(AtomicUsize::new(0));
        let is_ready = Arc::new(AtomicBool::new(true));
        let (seen, ready) = (Arc::clone(&pressure), Arc::clone(&is_ready));
        let signals = Signals {
            is_ready: Box::new(move || ready.load(Ordering::Relaxed)),
            pressure_percent: Box::new(move || seen.load(Ordering::Relaxed)),
        };
        let mut settings = Settings::new(currency("EUR"));
        let token = OPERATOR.strip_prefix("Bearer ").unwrap().to_owned();
        settings.operator_token = Some(OperatorToken::try_from(token).unwrap());
        settings.payment_providers = payments;
        choose(&mut settings);
        let app = App::new(
            node.fabric(),
            node.operations(),
            settings,
            signals,
            metrics.clone(),
            Arc::new(registry),
        );
        let router = router(app.clone());
        Self { router, metrics, pressure, is_ready, app, node, importer, _folder: folder }
    }

    /// The same routes as another process would have them: without what this one remembers.
    pub(crate) fn routes_without_memory(&self) -> Router {
        router(self.app.clone())
    }

    pub(crate) fn fabric(&self) -> Fabric {
        self.node.fabric()
    }

    pub(crate) async fn close(self) {
        self.importer.detach();
        self.node.stop().await;
    }

    pub(crate) async fn send(&self, ask: Ask) -> Answer {
        send(self.router.clone(), ask).await
    }

    pub(crate) async fn basket(&self) -> Basket {
        let created = self.send(Ask::post("/store/v1/carts")).await;
        assert_eq!(created.status, 201, "{created:?}");
        let json = created.json();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        Basket { id: text(&json["cart"]["id"]), token: text(&json["token"]) }
    }

    /// What operators did, newest first, as the query wants it.
    pub(crate) async fn acts(&self, query: &str) -> Vec<Value> {
        let path = format!("/admin/v1/audit?limit=100{query}");
        let answer = self.send(Ask::get(path).operator()).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()["data"].as_array().unwrap().clone()
    }

    /// States a stock.
    pub(crate) async fn stock(&self, sku: &str, on_hand: u32) {
        let set = Ask::post(format!("/admin/v1/inventory/{sku}/set")).operator();
        let answer = self.send(set.json(&json!({"on_hand": on_hand, "reason": "count"}))).await;
        assert_eq!(answer.status, 200, "{answer:?}");
    }
}

/// The answer as it begins, where it is a good one; else the whole of it.
pub(crate) async fn begin(router: Router, ask: Ask) -> Result<Response, Answer> {
    let response = router.oneshot(ask.into_request()).await.unwrap();
    if response.status().is_success() { Ok(response) } else { Err(whole(response).await) }
}

/// Every answer of every test is held against the description.
pub(crate) async fn send(router: Router, ask: Ask) -> Answer {
    let (method, uri) = (ask.method.clone(), ask.uri.clone());
    let answer = whole(router.oneshot(ask.into_request()).await.unwrap()).await;
    contract::check(&method, &uri, &answer);
    answer
}

async fn whole(response: Response) -> Answer {
    let (parts, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    Answer { status: parts.status.as_u16(), headers: parts.headers, body }
}

impl Basket {
    pub(crate) fn path(&self) -> String {
        format!("/store/v1/carts/{}", self.id)
    }

    pub(crate) fn get(&self) -> Ask {
        Ask::get(self.path()).token(&self.token)
    }

    pub(crate) fn add(&self, sku: &str, quantity: u32) -> Ask {
        let items = Ask::post(format!("{}/items", self.path())).token(&self.token);
        items.json(&json!({"sku": sku, "quantity": quantity}))
    }

    pub(crate) fn item(&self, method: Method, sku: &str) -> Ask {
        Ask::new(method, format!("{}/items/{sku}", self.path())).token(&self.token)
    }
}

fn currency(code: &str) -> Currency {
    code.parse().unwrap()
}

/// Tea and cups in two currencies; a pot and wordy things in one.
fn catalogue() -> Catalogue {
    let listing = |sku: &str, name: &str, prices: &[(i64, &str)]| {
        let prices =
            prices.iter().map(|(minor, code)| Money { minor: *minor, currency: currency(code) });
        let name = ProductName::try_from(name.to_owned()).unwrap();
        Listing::new(sku.parse().unwrap(), name, prices.collect()).unwrap()
    };
    let long = "A name as long as names may be ".repeat(8);
    let mut listings = vec![
        listing("tea", "Green tea", &[(450, "EUR"), (700, "JPY")]),
        listing("cup", "Cup \"Ōgi\"", &[(1_299, "EUR"), (2_000, "JPY")]),
        listing("pot", "Pot", &[(4_900, "EUR")]),
    ];
    listings.extend(WORDY.map(|sku| listing(sku, &long, &[(1, "EUR")])));
    let book = PriceBook::new(currency("EUR"), listings).unwrap();
    Catalogue { index: 7, content: Arc::new(book) }
}

/// A request.
pub(crate) struct Ask {
    method: Method,
    uri: String,
    headers: Vec<(String, Vec<u8>)>,
    body: Body,
}

impl Ask {
    pub(crate) fn new(method: Method, uri: impl Into<String>) -> Self {
        Self { method, uri: uri.into(), headers: Vec::new(), body: Body::empty() }
    }

    pub(crate) fn get(uri: impl Into<String>) -> Self {
        Self::new(Method::GET, uri)
    }

    pub(crate) fn post(uri: impl Into<String>) -> Self {
        Self::new(Method::POST, uri)
    }

    pub(crate) fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.headers.push((name.to_owned(), value.as_ref().to_vec()));
        self
    }

    pub(crate) fn token(self, token: &str) -> Self {
        self.header("omni-cart-token", token)
    }

    pub(crate) fn key(self, key: &str) -> Self {
        self.header("idempotency-key", key)
    }

    pub(crate) fn operator(self) -> Self {
        self.header("authorization", OPERATOR)
    }

    pub(crate) fn json(self, body: &Value) -> Self {
        self.text(&body.to_string())
    }

    pub(crate) fn text(self, body: &str) -> Self {
        self.header("content-type", "application/json").body(Body::from(body.to_owned()))
    }

    pub(crate) fn body(mut self, body: Body) -> Self {
        self.body = body;
        self
    }

    fn into_request(self) -> Request<Body> {
        let mut builder = Request::builder().method(self.method).uri(self.uri);
        for (name, value) in self.headers {
            builder = builder.header(name, value);
        }
        builder.body(self.body).unwrap()
    }
}

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    pub(crate) fn is_replayed(&self) -> bool {
        self.header("idempotent-replayed") == Some("true")
    }

    /// Checks that it is a problem of this code and well formed; gives its body.
    #[track_caller]
    pub(crate) fn problem(&self, status: u16, code: &str) -> Value {
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{self:?}");
        let json = self.json();
        assert_eq!((self.status, json["code"].as_str()), (status, Some(code)), "{json}");
        assert_eq!(json["status"], status);
        assert_eq!(json["type"], format!("urn:omnicart:problem:{code}"));
        for member in ["title", "detail", "instance"] {
            assert!(json[member].is_string(), "{json}");
        }
        assert!(json["retryable"].is_boolean(), "{json}");
        assert!(StatusCode::from_u16(status).unwrap().as_u16() >= 400);
        json
    }
}
