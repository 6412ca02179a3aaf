//! Requests to others over HTTP.
//!
//! **Invariants:** an answer is at most [`ANSWER_BYTES_MAX`] long; a connection serves one request,
//! so that none meets an end that the other side has forgotten. How long to wait is the caller's.

use std::fmt;
use std::str::FromStr;

use axum::http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Uri, header};
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

const ANSWER_BYTES_MAX: usize = 1 << 20;

/// Where requests go: `http://HOST:PORT`, with a path that all of them begin with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    authority: String,
    path: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an address such as http://127.0.0.1:7700")]
pub struct InvalidOrigin;

impl FromStr for Origin {
    type Err = InvalidOrigin;

    fn from_str(text: &str) -> Result<Self, InvalidOrigin> {
        let uri: Uri = text.parse().map_err(|_| InvalidOrigin)?;
        let authority = uri.authority().ok_or(InvalidOrigin)?;
        let is_plain = uri.scheme_str() == Some("http") && uri.query().is_none();
        // A name and password in a URL end up in logs.
        if !is_plain || authority.as_str().contains('@') || authority.host().is_empty() {
            return Err(InvalidOrigin);
        }
        let port = authority.port_u16().unwrap_or(80);
        let path = uri.path().trim_end_matches('/').to_owned();
        Ok(Self { authority: format!("{}:{port}", authority.host()), path })
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}{}", self.authority, self.path)
    }
}

/// What was being done when it failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum RequestError {
    #[error("cannot connect to {0}")]
    Connect(String, #[source] std::io::Error),
    #[error("cannot make a request")]
    Request(#[from] axum::http::Error),
    #[error("the connection failed")]
    Connection(#[from] hyper::Error),
    #[error("cannot read an answer: {0}")]
    Answer(String),
}

pub(super) struct Answered {
    pub(super) status: StatusCode,
    pub(super) body: Bytes,
}

impl Origin {
    pub(super) async fn send(
        &self,
        method: Method,
        path: &str,
        headers: HeaderMap,
        body: Vec<u8>,
    ) -> Result<Answered, RequestError> {
        let connect = TcpStream::connect(&self.authority).await;
        let stream =
            connect.map_err(|error| RequestError::Connect(self.authority.clone(), error))?;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        // It ends with its request, or when that is given up.
        let connection = tokio::spawn(connection);
        let mut request = Request::new(Full::new(Bytes::from(body)));
        *request.method_mut() = method;
        *request.uri_mut() =
            Uri::try_from(format!("{}{path}", self.path)).map_err(axum::http::Error::from)?;
        *request.headers_mut() = headers;
        let host = HeaderValue::try_from(&self.authority).map_err(axum::http::Error::from)?;
        request.headers_mut().insert(header::HOST, host);
        let answer = sender.send_request(request).await;
        let read = match answer {
            Ok(answer) => {
                let (parts, body) = answer.into_parts();
                let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await;
                let body = body.map_err(|error| RequestError::Answer(error.to_string()));
                body.map(|body| Answered { status: parts.status, body: body.to_bytes() })
            }
            Err(error) => Err(error.into()),
        };
        connection.abort();
        read
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_a_plain_address() {
        for (text, shown) in [
            ("http://127.0.0.1:7700", "http://127.0.0.1:7700"),
            ("http://psp.example/base/", "http://psp.example:80/base"),
        ] {
            assert_eq!(
                text.parse::<Origin>().map(|origin| origin.to_string()).as_deref(),
                Ok(shown)
            );
        }
        for bad in ["", "psp", "https://psp", "http://a:b@psp", "http://psp/?a", "ftp://psp"] {
            assert_eq!(bad.parse::<Origin>(), Err(InvalidOrigin), "{bad}");
        }
    }
}
