//! An operator's requests to one node over HTTP.
//!
//! **Invariants:** a request ends by its deadline; an answer is bounded; the token is sent as a
//! header and never printed.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context, anyhow};
use bytes::Bytes;
use edge::http::topology::{ClusterDocument, ShardsDocument};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1::handshake;
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::net::TcpStream;

use crate::failure::{Exit, Failure};

/// For one request, from dialing to the end of the answer.
const REQUEST_MAX: Duration = Duration::from_secs(20);
const ANSWER_BYTES_MAX: usize = 64 << 20;
const PORT_DEFAULT: u16 = 7600;
/// A change may meet a cluster that elects a leader just then.
const ATTEMPTS: u32 = 5;
const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// Where a node serves HTTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeUrl {
    authority: String,
}

impl FromStr for NodeUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.starts_with("https://") {
            return Err("nodes serve plain HTTP: http://HOST:PORT".to_owned());
        }
        let authority = text.strip_prefix("http://").unwrap_or(text).trim_end_matches('/');
        let is_plain = |c: char| c.is_ascii_alphanumeric() || ".-_:[]".contains(c);
        if authority.is_empty() || !authority.chars().all(is_plain) {
            return Err("http://HOST:PORT".to_owned());
        }
        // An IPv6 address stands in brackets.
        let has_port = authority.rsplit_once(':').is_some_and(|(host, port)| {
            (host.ends_with(']') || !host.contains(':')) && port.parse::<u16>().is_ok()
        });
        let authority = if has_port {
            authority.to_owned()
        } else if authority.contains(':') && !authority.ends_with(']') {
            return Err("http://HOST:PORT".to_owned());
        } else {
            format!("{authority}:{PORT_DEFAULT}")
        };
        Ok(Self { authority })
    }
}

impl fmt::Display for NodeUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}", self.authority)
    }
}

pub struct Client {
    node: NodeUrl,
    token: Option<String>,
}

impl Client {
    pub fn new(node: NodeUrl, token: Option<String>) -> Self {
        Self { node, token }
    }

    pub async fn cluster(&self) -> Result<ClusterDocument, Failure> {
        self.get("/system/v1/cluster").await
    }

    pub async fn shards(&self) -> Result<ShardsDocument, Failure> {
        self.get("/system/v1/shards").await
    }

    /// Whether the node says that it serves.
    pub async fn is_ready(&self) -> bool {
        self.ask(Method::GET, "/readyz", None, None).await.is_ok()
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        let body = self.ask(Method::GET, path, None, None).await?;
        read(&body)
    }

    /// Asks for a change, again and again under one key while the cluster says to come back.
    pub async fn post(&self, path: &str, body: &Value) -> Result<Value, Failure> {
        let key = random_key()?;
        let mut attempt = 1;
        loop {
            let asked = self.ask(Method::POST, path, Some(body), Some(&key)).await;
            match asked {
                Err(failure) if failure.exit == Exit::Unreachable && attempt < ATTEMPTS => {
                    attempt += 1;
                    tokio::time::sleep(RETRY_PAUSE).await;
                }
                asked => return read(&asked?),
            }
        }
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        key: Option<&str>,
    ) -> Result<Bytes, Failure> {
        let request = self.request(method, path, body, key)?;
        let exchanged = tokio::time::timeout(REQUEST_MAX, self.exchange(request)).await;
        let unreachable = |error: anyhow::Error| {
            let error = error.context(format!("node {} cannot be reached", self.node));
            Failure::new(Exit::Unreachable, error)
        };
        let late = || anyhow!("no answer within {} s", REQUEST_MAX.as_secs());
        let (status, answer) = exchanged.unwrap_or_else(|_| Err(late())).map_err(unreachable)?;
        if status.is_success() { Ok(answer) } else { Err(self.refused(status, &answer)) }
    }

    fn request(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        key: Option<&str>,
    ) -> Result<Request<Full<Bytes>>, Failure> {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, &self.node.authority)
            .header(ACCEPT, "application/json");
        if let Some(token) = &self.token {
            request = request.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        if body.is_some() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        let body = body.map_or_else(Bytes::new, |body| body.to_string().into());
        let request = request.body(Full::new(body)).context("the request");
        request.map_err(|error| Failure::new(Exit::Usage, error))
    }

    async fn exchange(&self, request: Request<Full<Bytes>>) -> anyhow::Result<(StatusCode, Bytes)> {
        let stream = TcpStream::connect(&self.node.authority).await?;
        let (mut connection, driver) = handshake(TokioIo::new(stream)).await?;
        let driver = tokio::spawn(driver);
        let response = connection.send_request(request).await?;
        let (head, body) = response.into_parts();
        let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await;
        driver.abort();
        let body = body.map_err(|error| anyhow!("the answer broke off: {error}"))?;
        Ok((head.status, body.to_bytes()))
    }

    fn refused(&self, status: StatusCode, answer: &[u8]) -> Failure {
        let problem: Value = serde_json::from_slice(answer).unwrap_or_default();
        let text = |member: &str| problem.get(member).and_then(Value::as_str).map(str::to_owned);
        let what = text("detail").or_else(|| text("title")).unwrap_or_else(|| status.to_string());
        let code = text("code").map(|code| format!(" ({code})")).unwrap_or_default();
        if status == StatusCode::UNAUTHORIZED {
            let why = if self.token.is_some() {
                "the token in OMNICART_OPERATOR_TOKEN is not the cluster's"
            } else {
                "OMNICART_OPERATOR_TOKEN is not set; it takes the operator token of the cluster"
            };
            return Failure::new(Exit::Unauthorized, anyhow!("{why}"));
        }
        let exit = if status.is_server_error() { Exit::Unreachable } else { Exit::Refused };
        Failure::new(exit, anyhow!("{what}{code}"))
    }
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Failure> {
    serde_json::from_slice(body)
        .context("the answer is of another version of this program")
        .map_err(|error| Failure::new(Exit::Failed, error))
}

fn random_key() -> Result<String, Failure> {
    let mut bytes = [0_u8; 16];
    getrandom::fill(&mut bytes)
        .map_err(|error| anyhow!("the operating system gives no random bytes: {error}"))
        .map_err(|error| Failure::new(Exit::Failed, error))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_named_by_its_address() {
        for (text, authority) in [
            ("http://127.0.0.1:7601", "127.0.0.1:7601"),
            ("http://shop-1.example:80/", "shop-1.example:80"),
            ("localhost", "localhost:7600"),
            ("http://[::1]:7600", "[::1]:7600"),
            ("http://[::1]", "[::1]:7600"),
        ] {
            let url: NodeUrl = text.parse().expect("an address");
            assert_eq!(url.authority, authority);
        }
        for bad in ["", "https://a:1", "http://a:1/system", "ftp://a", "a:x", "::1", "a b"] {
            assert!(bad.parse::<NodeUrl>().is_err(), "{bad}");
        }
    }
}
