//! Requests to others over HTTP, with TLS or without.
//!
//! **Invariants:** an answer is at most [`ANSWER_BYTES_MAX`] long; a connection serves one request,
//! so that none meets an end that the other side has forgotten; over TLS the other side's name is
//! proved by a root that the operator trusts. How long to wait is the caller's to say.

use std::fmt;
use std::io;
use std::str::FromStr;
use std::sync::Arc;

use axum::http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Uri, header};
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, InvalidDnsNameError, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

const ANSWER_BYTES_MAX: usize = 1 << 20;

/// Where requests go: `https://HOST:PORT`, with a path that all of them begin with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    scheme: Scheme,
    host: String,
    port: u16,
    path: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scheme {
    Http,
    Https,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an address such as https://psp.example or http://127.0.0.1:7690")]
pub struct InvalidOrigin;

impl FromStr for Origin {
    type Err = InvalidOrigin;

    fn from_str(text: &str) -> Result<Self, InvalidOrigin> {
        let uri: Uri = text.parse().map_err(|_| InvalidOrigin)?;
        let (scheme, port) = match uri.scheme_str() {
            Some("http") => (Scheme::Http, 80),
            Some("https") => (Scheme::Https, 443),
            Some(_) | None => return Err(InvalidOrigin),
        };
        let authority = uri.authority().ok_or(InvalidOrigin)?;
        // A name and password in a URL end up in logs.
        let has_more = authority.as_str().contains('@') || uri.query().is_some();
        if has_more || authority.host().is_empty() {
            return Err(InvalidOrigin);
        }
        let port = authority.port_u16().unwrap_or(port);
        let path = uri.path().trim_end_matches('/').to_owned();
        Ok(Self { scheme, host: authority.host().to_owned(), port, path })
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.scheme {
            Scheme::Http => "http",
            Scheme::Https => "https",
        };
        write!(f, "{scheme}://{}:{}{}", self.host, self.port, self.path)
    }
}

impl Origin {
    pub fn is_https(&self) -> bool {
        self.scheme == Scheme::Https
    }

    /// Whether nobody can read on the way what is sent there.
    pub fn is_private(&self) -> bool {
        let is_here = ["127.0.0.1", "[::1]", "localhost"].contains(&self.host.as_str());
        self.is_https() || is_here
    }
}

/// Who proves the names of others.
#[derive(Clone)]
pub struct Roots(Arc<ClientConfig>);

#[derive(Debug, thiserror::Error)]
pub enum RootsError {
    #[error("there is no certificate")]
    Empty,
    #[error("a certificate cannot be read: {0}")]
    Pem(String),
    #[error("TLS cannot be set up")]
    Tls(#[from] rustls::Error),
}

impl Roots {
    /// The certificates of a PEM file; those that cannot be a root are passed over.
    pub fn from_pem(pem: &[u8]) -> Result<Self, RootsError> {
        let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
        let certificates = certificates.map_err(|error| RootsError::Pem(error.to_string()))?;
        let mut roots = RootCertStore::empty();
        let (n_added, _) = roots.add_parsable_certificates(certificates);
        if n_added == 0 {
            return Err(RootsError::Empty);
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let client = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self(Arc::new(client)))
    }
}

/// An origin, and how it is spoken to.
#[derive(Clone)]
pub struct Caller {
    origin: Origin,
    roots: Option<Roots>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an https address needs roots to be trusted")]
pub struct NoRoots;

/// What was being done when it failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum RequestError {
    #[error("cannot connect to {0}")]
    Connect(Origin, #[source] io::Error),
    #[error("the name of {0} is no name for TLS")]
    Name(Origin, #[source] InvalidDnsNameError),
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

impl Caller {
    pub fn new(origin: Origin, roots: Option<Roots>) -> Result<Self, NoRoots> {
        let is_possible = origin.scheme == Scheme::Http || roots.is_some();
        if is_possible { Ok(Self { origin, roots }) } else { Err(NoRoots) }
    }

    pub(super) fn origin(&self) -> &Origin {
        &self.origin
    }

    pub(super) async fn send(
        &self,
        method: Method,
        path: &str,
        headers: HeaderMap,
        body: Vec<u8>,
    ) -> Result<Answered, RequestError> {
        let Origin { scheme, host, port, path: base } = &self.origin;
        let mut request = Request::new(Full::new(Bytes::from(body)));
        *request.method_mut() = method;
        let uri = Uri::try_from(format!("{base}{path}"));
        *request.uri_mut() = uri.map_err(axum::http::Error::from)?;
        *request.headers_mut() = headers;
        let name = HeaderValue::try_from(format!("{host}:{port}"));
        request.headers_mut().insert(header::HOST, name.map_err(axum::http::Error::from)?);
        let failed = |error| RequestError::Connect(self.origin.clone(), error);
        let stream = TcpStream::connect((host.trim_matches(['[', ']']), *port)).await;
        let stream = stream.map_err(failed)?;
        match (&self.roots, scheme) {
            (Some(Roots(client)), Scheme::Https) => {
                let name = ServerName::try_from(host.trim_matches(['[', ']']).to_owned());
                let name = name.map_err(|error| RequestError::Name(self.origin.clone(), error))?;
                let connector = TlsConnector::from(Arc::clone(client));
                exchange(connector.connect(name, stream).await.map_err(failed)?, request).await
            }
            (_, Scheme::Http) => exchange(stream, request).await,
            (None, Scheme::Https) => unreachable!("a caller over https has roots"),
        }
    }
}

/// One request, and its whole answer.
async fn exchange<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    stream: S,
    request: Request<Full<Bytes>>,
) -> Result<Answered, RequestError> {
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let ask = async {
        let (parts, body) = sender.send_request(request).await?.into_parts();
        let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await;
        let body = body.map_err(|error| RequestError::Answer(error.to_string()))?.to_bytes();
        Ok(Answered { status: parts.status, body })
    };
    // Whoever gives the request up drops the connection with it.
    let mut connection = std::pin::pin!(connection);
    let mut ask = std::pin::pin!(ask);
    tokio::select! {
        answered = &mut ask => answered,
        ended = &mut connection => match ended {
            // The whole answer may be here all the same.
            Ok(()) => ask.await,
            Err(error) => Err(error.into()),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_a_plain_address() {
        for (text, shown, is_private) in [
            ("http://127.0.0.1:7690", "http://127.0.0.1:7690", true),
            ("http://psp.example/base/", "http://psp.example:80/base", false),
            ("https://psp.example", "https://psp.example:443", true),
        ] {
            let origin: Origin = text.parse().unwrap();
            assert_eq!((origin.to_string().as_str(), origin.is_private()), (shown, is_private));
        }
        for bad in ["", "psp", "http://a:b@psp", "http://psp/?a", "ftp://psp", "/base"] {
            assert_eq!(bad.parse::<Origin>(), Err(InvalidOrigin), "{bad}");
        }
    }

    #[test]
    fn nothing_goes_over_https_without_roots() {
        let origin: Origin = "https://psp.example".parse().unwrap();
        assert_eq!(Caller::new(origin, None).err(), Some(NoRoots));
        assert!(matches!(Roots::from_pem(b""), Err(RootsError::Empty)));
    }
}
