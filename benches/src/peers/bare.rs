//! The yardstick: a route that parses the same body into the same types and answers as many bytes,
//! and does nothing in between. What it cannot do, no server on this stack can.
//!
//! It is served the way the binary serves: axum's router on hyper's HTTP/1.1 connections.

use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use actors::{CartId, Quantity, SkuCode};
use anyhow::Context as _;
use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use bytes::Bytes;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use serde::Deserialize;
use tokio::net::TcpListener;

use crate::arguments::BarePeer;
use crate::peers::folder::Folder;
use crate::peers::process::{Process, free_address, own_program};

const READY_PATH: &str = "/readyz";
/// The limits of the binary's own connections.
const HEADER_TIMEOUT: Duration = Duration::from_secs(30);
const HEADERS_MAX: usize = 64;
const BUFFER_BYTES_MAX: usize = 32 * 1_024;

/// The yardstick in a process of its own.
pub(crate) struct Bare(Process);

impl Bare {
    pub(crate) async fn start(answer_bytes: usize, folder: &Folder) -> anyhow::Result<Self> {
        let address = free_address()?;
        let mut command = Command::new(own_program()?);
        command
            .args(["task", "bare-peer"])
            .args(["--listen", &address.to_string()])
            .args(["--answer-bytes", &answer_bytes.to_string()]);
        Process::start(command, address, READY_PATH, &folder.join("bare.log")).await.map(Self)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.0.address()
    }
}

/// `{sku, quantity}` or `{items: [{sku, quantity}, …]}`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AddItems {
    sku: Option<SkuCode>,
    quantity: Option<Quantity>,
    items: Option<Vec<Item>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Item {
    sku: SkuCode,
    quantity: Quantity,
}

impl AddItems {
    fn items(self) -> Option<Vec<(SkuCode, Quantity)>> {
        match self {
            Self { sku: Some(sku), quantity: Some(quantity), items: None } => {
                Some(vec![(sku, quantity)])
            }
            Self { sku: None, quantity: None, items: Some(items) } => {
                Some(items.into_iter().map(|item| (item.sku, item.quantity)).collect())
            }
            Self { .. } => None,
        }
    }
}

/// Serves until the process is ended.
pub(crate) async fn serve(asked: &BarePeer) -> anyhow::Result<()> {
    let app = router(asked.answer_bytes);
    let listener = TcpListener::bind(asked.listen)
        .await
        .with_context(|| format!("cannot listen on {}", asked.listen))?;
    let mut server = auto::Builder::new(TokioExecutor::new()).http1_only();
    server
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_headers(HEADERS_MAX)
        .max_buf_size(BUFFER_BYTES_MAX);
    loop {
        let (stream, _) = listener.accept().await.context("cannot accept a connection")?;
        stream.set_nodelay(true).context("cannot turn off Nagle's algorithm")?;
        let service = TowerToHyperService::new(app.clone());
        let connection = server.serve_connection(TokioIo::new(stream), service).into_owned();
        // A client that goes away is how every connection ends.
        tokio::spawn(async move { connection.await.ok() });
    }
}

fn router(answer_bytes: usize) -> Router {
    let answer = Bytes::from(vec![b' '; answer_bytes]);
    Router::new()
        .route("/store/v1/carts/{id}/items", post(add_items))
        .route(READY_PATH, get(async || StatusCode::OK))
        .with_state(answer)
}

async fn add_items(Path(id): Path<String>, State(answer): State<Bytes>, body: Bytes) -> Response {
    let cart = id.parse::<CartId>();
    let asked = serde_json::from_slice(&body).ok().and_then(AddItems::items);
    match (cart, asked) {
        (Ok(_), Some(_)) => ([(CONTENT_TYPE, "application/json")], answer).into_response(),
        (Ok(_) | Err(_), _) => StatusCode::UNPROCESSABLE_ENTITY.into_response(),
    }
}

#[cfg(test)]
mod tests {
    use hyper::Method;

    use super::*;
    use crate::load::client::{Call, Caller};

    #[tokio::test]
    async fn it_parses_what_it_does_not_store() {
        let address = free_address().unwrap();
        tokio::spawn(async move {
            serve(&BarePeer { listen: address, answer_bytes: 700 }).await.unwrap();
        });
        let mut caller = Caller::new(address);
        let mut asked = async |cart: &str, body: serde_json::Value| {
            let path = format!("/store/v1/carts/{cart}/items");
            let call = Call::new(Method::POST, path).json(&body);
            loop {
                // It may not listen yet.
                match caller.send(&call).await {
                    Ok(answer) => break (answer.status, answer.body.len()),
                    Err(_) => tokio::task::yield_now().await,
                }
            }
        };
        let cart = crate::shop::cart_id(1).to_string();
        let one = serde_json::json!({"sku": "tea", "quantity": 1});
        assert_eq!(asked(&cart, one.clone()).await, (StatusCode::OK, 700));
        let many = serde_json::json!({"items": [one.clone()]});
        assert_eq!(asked(&cart, many).await, (StatusCode::OK, 700));
        for wrong in [
            serde_json::json!({"sku": "tea", "quantity": 0}),
            serde_json::json!({"sku": "tea", "quantity": 1, "items": []}),
            serde_json::json!({"sku": "t e a", "quantity": 1}),
        ] {
            assert_eq!(asked(&cart, wrong).await.0, StatusCode::UNPROCESSABLE_ENTITY);
        }
        assert_eq!(asked("cart_1", one).await.0, StatusCode::UNPROCESSABLE_ENTITY);
    }
}
