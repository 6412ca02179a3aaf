//! A shopper and an operator over HTTP: one connection each, opened again when it breaks.

use std::net::SocketAddr;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{HeaderMap, Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::server::{DEADLINE, TOKEN};

/// What proves who asks.
#[derive(Clone, Copy)]
pub(crate) enum Who<'a> {
    Nobody,
    Guest(&'a str),
    Operator,
}

/// One request.
#[derive(Clone)]
pub(crate) struct Ask<'a> {
    pub(crate) who: Who<'a>,
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) key: Option<String>,
    pub(crate) body: Option<Value>,
    /// Sent as it is, where there is no body.
    pub(crate) data: Bytes,
    /// Which bytes of the whole the data is.
    pub(crate) range: Option<String>,
}

impl<'a> Ask<'a> {
    pub(crate) fn get(who: Who<'a>, path: impl Into<String>) -> Self {
        Self {
            who,
            method: Method::GET,
            path: path.into(),
            key: None,
            body: None,
            data: Bytes::new(),
            range: None,
        }
    }

    pub(crate) fn post(who: Who<'a>, path: impl Into<String>, body: Value) -> Self {
        Self { method: Method::POST, body: Some(body), ..Self::get(who, path) }
    }

    pub(crate) fn put(who: Who<'a>, path: impl Into<String>, body: Value) -> Self {
        Self { method: Method::PUT, ..Self::post(who, path, body) }
    }

    pub(crate) fn keyed(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self
    }

    fn request(&self) -> Request<Full<Bytes>> {
        let mut request = Request::builder()
            .method(self.method.clone())
            .uri(&self.path)
            .header("host", "omnicart.test");
        match self.who {
            Who::Nobody => {}
            Who::Guest(token) => request = request.header("omni-cart-token", token),
            Who::Operator => request = request.header("authorization", format!("Bearer {TOKEN}")),
        }
        if let Some(key) = &self.key {
            request = request.header("idempotency-key", key);
        }
        if let Some(range) = &self.range {
            request = request.header("content-range", range);
        }
        if self.body.is_some() {
            request = request.header("content-type", "application/json");
        }
        let body =
            self.body.as_ref().map_or_else(|| self.data.clone(), |body| body.to_string().into());
        request.body(Full::new(body)).expect("a request")
    }
}

/// One answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("JSON")
    }

    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        let text = String::from_utf8_lossy(&self.body);
        assert_eq!(self.status.as_u16(), status, "{text}");
        self
    }

    pub(crate) fn is_replayed(&self) -> bool {
        self.headers.get("idempotent-replayed").is_some_and(|value| value == "true")
    }
}

/// The connection broke: whether the request took effect is unknown.
#[derive(Debug)]
pub(crate) struct Broken;

pub(crate) struct Client {
    address: SocketAddr,
    connection: Option<SendRequest<Full<Bytes>>>,
}

impl Client {
    pub(crate) fn new(address: SocketAddr) -> Self {
        Self { address, connection: None }
    }

    pub(crate) async fn send(&mut self, ask: &Ask<'_>) -> Result<Answer, Broken> {
        let answered = timeout(DEADLINE, self.try_send(ask)).await.expect("an answer in time");
        if answered.is_err() {
            self.connection = None;
        }
        answered
    }

    /// For servers that nobody kills meanwhile.
    pub(crate) async fn ask(&mut self, ask: Ask<'_>) -> Answer {
        self.send(&ask).await.expect("the connection holds")
    }

    async fn try_send(&mut self, ask: &Ask<'_>) -> Result<Answer, Broken> {
        let mut connection = match self.connection.take() {
            Some(connection) if !connection.is_closed() => connection,
            Some(_) | None => self.connect().await?,
        };
        connection.ready().await.map_err(|_| Broken)?;
        let response = connection.send_request(ask.request()).await.map_err(|_| Broken)?;
        let (head, body) = response.into_parts();
        let body = body.collect().await.map_err(|_| Broken)?.to_bytes();
        self.connection = Some(connection);
        Ok(Answer { status: head.status, headers: head.headers, body })
    }

    async fn connect(&self) -> Result<SendRequest<Full<Bytes>>, Broken> {
        let stream = TcpStream::connect(self.address).await.map_err(|_| Broken)?;
        stream.set_nodelay(true).ok();
        let (connection, driver) = handshake(TokioIo::new(stream)).await.map_err(|_| Broken)?;
        tokio::spawn(driver);
        Ok(connection)
    }
}

/// A cart and the token that opens it.
#[derive(Clone, Debug)]
pub(crate) struct Guest {
    pub(crate) cart: String,
    pub(crate) token: String,
}

impl Guest {
    pub(crate) fn of(created: &Answer) -> Self {
        let json = created.json();
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        Self { cart: text(&json["cart"]["id"]), token: text(&json["token"]) }
    }

    pub(crate) fn path(&self) -> String {
        format!("/store/v1/carts/{}", self.cart)
    }

    pub(crate) fn who(&self) -> Who<'_> {
        Who::Guest(&self.token)
    }

    /// How many of a SKU are in the cart.
    pub(crate) fn quantity(cart: &Value, sku: &str) -> u64 {
        let items = cart["items"].as_array().expect("items");
        let line = items.iter().find(|item| item["sku"] == sku);
        line.map_or(0, |line| line["quantity"].as_u64().expect("a quantity"))
    }
}
