//! A lean HTTP/1.1 client: one kept-alive connection, one request at a time, no pool, no redirects,
//! no second task, so that a load generator on the same machine costs as little as it can.
//!
//! **Invariants:** after an error the connection is not used again; an answer is read to its end.

use std::future::poll_fn;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::{Pin, pin};
use std::task::Poll;

use anyhow::Context as _;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1;
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::{HeaderMap, Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpSocket, TcpStream};

type Driver = http1::Connection<TokioIo<TcpStream>, Full<Bytes>>;

/// A whole answer.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    /// The answer if it has the status that was expected, else what it says instead.
    pub(crate) fn expect(self, status: StatusCode) -> anyhow::Result<Self> {
        if self.status == status {
            return Ok(self);
        }
        let body = String::from_utf8_lossy(&self.body);
        let start: String = body.chars().take(300).collect();
        anyhow::bail!("answered {} instead of {}: {start}", self.status, status)
    }

    pub(crate) fn json<T: serde::de::DeserializeOwned>(&self) -> anyhow::Result<T> {
        serde_json::from_slice(&self.body).context("the answer is not the JSON that was expected")
    }
}

/// A request that can be sent again.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Call {
    pub(crate) fn new(method: Method, path: impl Into<String>) -> Self {
        Self { method, path: path.into(), headers: HeaderMap::new(), body: Bytes::new() }
    }

    #[must_use]
    pub(crate) fn json(mut self, body: &serde_json::Value) -> Self {
        self.body = Bytes::from(body.to_string());
        self
    }

    pub(crate) fn header(mut self, name: &'static str, value: &str) -> anyhow::Result<Self> {
        let value = value.parse().with_context(|| format!("header {name} cannot carry that"))?;
        self.headers.insert(name, value);
        Ok(self)
    }
}

/// One connection.
pub(crate) struct Connection {
    host: String,
    sender: http1::SendRequest<Full<Bytes>>,
    driver: Pin<Box<Driver>>,
}

impl Connection {
    pub(crate) async fn open(address: SocketAddr) -> anyhow::Result<Self> {
        Self::over(TcpStream::connect(address).await, address).await
    }

    /// Opens a connection that comes from an address of this machine.
    pub(crate) async fn open_from(source: Ipv4Addr, address: SocketAddr) -> anyhow::Result<Self> {
        let socket = TcpSocket::new_v4().context("no socket is left")?;
        socket.bind((source, 0).into()).with_context(|| format!("{source} cannot be used"))?;
        Self::over(socket.connect(address).await, address).await
    }

    async fn over(stream: io::Result<TcpStream>, address: SocketAddr) -> anyhow::Result<Self> {
        let stream = stream.with_context(|| format!("cannot connect to {address}"))?;
        stream.set_nodelay(true).context("cannot turn off Nagle's algorithm")?;
        let (sender, driver) = http1::handshake(TokioIo::new(stream)).await?;
        Ok(Self { host: address.to_string(), sender, driver: Box::pin(driver) })
    }

    pub(crate) async fn send(&mut self, call: &Call) -> anyhow::Result<Answer> {
        let mut request = Request::new(Full::new(call.body.clone()));
        *request.method_mut() = call.method.clone();
        *request.uri_mut() = call.path.parse().context("the path is not one of a URI")?;
        let headers = request.headers_mut();
        headers.clone_from(&call.headers);
        headers.insert(HOST, self.host.parse().context("the address is no host name")?);
        if !call.body.is_empty() && !headers.contains_key(CONTENT_TYPE) {
            headers
                .insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static("application/json"));
        }
        self.exchange(request).await
    }

    /// Drives the connection in the caller's own task until the answer is complete.
    async fn exchange(&mut self, request: Request<Full<Bytes>>) -> anyhow::Result<Answer> {
        let answer = async {
            self.sender.ready().await?;
            let response = self.sender.send_request(request).await?;
            let (head, body) = response.into_parts();
            let body = body.collect().await?.to_bytes();
            Ok::<_, hyper::Error>(Answer { status: head.status, headers: head.headers, body })
        };
        let mut answer = pin!(answer);
        let driver = &mut self.driver;
        let mut closed = false;
        poll_fn(|cx| {
            // The request enters the connection first, and what the connection read comes out.
            loop {
                if let Poll::Ready(answer) = answer.as_mut().poll(cx) {
                    return Poll::Ready(answer.map_err(anyhow::Error::new));
                }
                if closed {
                    return Poll::Ready(Err(anyhow::anyhow!("the connection closed")));
                }
                match driver.as_mut().poll(cx) {
                    Poll::Pending => break,
                    // What it read before it closed may be the whole answer: look once more.
                    Poll::Ready(Ok(())) => closed = true,
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(error.into())),
                }
            }
            answer.as_mut().poll(cx).map_err(anyhow::Error::new)
        })
        .await
    }
}

/// A connection that is opened when needed and again after an error.
pub(crate) struct Caller {
    address: SocketAddr,
    connection: Option<Connection>,
}

impl Caller {
    pub(crate) fn new(address: SocketAddr) -> Self {
        Self { address, connection: None }
    }

    /// Opens the connection ahead of the first request.
    pub(crate) async fn connect(&mut self) -> anyhow::Result<()> {
        self.connection = Some(Connection::open(self.address).await?);
        Ok(())
    }

    /// Gives the connection up, whatever is under way on it.
    pub(crate) fn hang_up(&mut self) {
        self.connection = None;
    }

    pub(crate) async fn send(&mut self, call: &Call) -> anyhow::Result<Answer> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => Connection::open(self.address).await?,
        };
        let answer = connection.send(call).await?;
        self.connection = Some(connection);
        Ok(answer)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    /// Answers every request on one connection with the next of these bytes, then closes.
    async fn peer(answers: Vec<&'static str>) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            for answer in answers {
                let mut request = [0; 4_096];
                assert!(stream.read(&mut request).await.unwrap() > 0);
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        });
        address
    }

    #[tokio::test]
    async fn a_connection_is_used_for_many_answers() {
        let tea = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\ntea";
        let none = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n";
        let mut caller = Caller::new(peer(vec![tea, none]).await);
        let call = Call::new(Method::GET, "/");
        let answer = caller.send(&call).await.unwrap().expect(StatusCode::OK).unwrap();
        assert_eq!(answer.body, "tea");
        let refused = caller.send(&call).await.unwrap().expect(StatusCode::OK).unwrap_err();
        assert!(refused.to_string().starts_with("answered 404"), "{refused}");
    }

    #[tokio::test]
    async fn an_answer_cut_short_is_an_error() {
        let cut = "HTTP/1.1 200 OK\r\nContent-Length: 30\r\n\r\ntea";
        let mut caller = Caller::new(peer(vec![cut]).await);
        assert!(caller.send(&Call::new(Method::GET, "/")).await.is_err());
        // Nobody listens any more, so this opens a new connection and fails at that.
        assert!(caller.send(&Call::new(Method::GET, "/")).await.is_err());
    }

    #[tokio::test]
    async fn an_answer_that_ends_with_the_connection_is_whole() {
        let closing = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\ntea";
        let mut connection = Connection::open(peer(vec![closing]).await).await.unwrap();
        let answer = connection.send(&Call::new(Method::GET, "/")).await.unwrap();
        assert_eq!(answer.body, "tea");
    }
}
