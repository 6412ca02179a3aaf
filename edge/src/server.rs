//! Connections: how many, how long they may dawdle, and how they end.
//!
//! **Invariants:** at most [`Limits::connections_max`] connections are open, the others wait in the
//! listener's queue, and no peer has more than [`Limits::connections_per_peer_max`]; a client that
//! neither finishes a request's head in time nor takes its answers is let go; once told to stop, no connection is accepted and every open one ends after its request or at the grace's end.
//!
//! What hyper itself refuses (a malformed head, too many headers) is answered without a body.

mod peers;
mod write_progress;

use std::future::pending;
use std::io;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::http::Request;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tower::Service;

use self::peers::Peers;
use self::write_progress::WriteProgress;
use crate::metrics::EdgeMetrics;
use crate::peer::Peer;

/// What one listener allows.
#[derive(Clone, Debug)]
pub struct Limits {
    pub connections_max: NonZeroU32,
    /// Of one address, or of one IPv6 network; past it a connection is closed at once.
    pub connections_per_peer_max: NonZeroU32,
    /// For the head of a request; also how long a connection may idle between two.
    pub header_timeout: Duration,
    /// How long a client may take nothing of an answer that waits for it.
    pub write_timeout: Duration,
    pub headers_max: usize,
    /// For the head of a request; also what is read ahead of a body.
    pub buffer_bytes_max: usize,
    /// How long requests under way may take to finish once the server stops.
    pub grace: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        const CONNECTIONS_MAX: NonZeroU32 = NonZeroU32::new(10_000).unwrap();
        const CONNECTIONS_PER_PEER_MAX: NonZeroU32 = NonZeroU32::new(1_024).unwrap();
        Self {
            connections_max: CONNECTIONS_MAX,
            connections_per_peer_max: CONNECTIONS_PER_PEER_MAX,
            header_timeout: Duration::from_secs(30),
            write_timeout: Duration::from_secs(30),
            headers_max: 64,
            buffer_bytes_max: 32 * 1024,
            grace: Duration::from_secs(20),
        }
    }
}

/// Serves a listener until `stop` resolves, then until every connection has ended.
pub async fn serve(
    listener: TcpListener,
    connections: Connections,
    limits: Limits,
    stop: impl Future<Output = ()>,
) {
    let connections_max = limits.connections_max.get();
    let room = Arc::new(Semaphore::new(usize::try_from(connections_max).unwrap_or(usize::MAX)));
    let mut stop = std::pin::pin!(stop);
    loop {
        let accepted = tokio::select! {
            biased;
            () = &mut stop => break,
            accepted = accept(&listener, &room) => accepted,
        };
        let Some((stream, peer, permit)) = accepted else { break };
        let connections = connections.clone();
        tokio::spawn(async move {
            connections.serve(peer, stream).await;
            drop(permit);
        });
    }
    drop(listener);
    connections.drain();
    let all_ended = room.acquire_many(connections_max);
    if tokio::time::timeout(limits.grace, all_ended).await.is_err() {
        tracing::warn!("some requests outlast the grace and are cut off");
        connections.end();
        // The semaphore is never closed.
        room.acquire_many(connections_max).await.ok();
    }
}

/// The next connection, once there is room for it.
async fn accept(
    listener: &TcpListener,
    room: &Arc<Semaphore>,
) -> Option<(TcpStream, IpAddr, OwnedSemaphorePermit)> {
    let permit = Arc::clone(room).acquire_owned().await.ok()?;
    loop {
        match listener.accept().await {
            Ok((stream, address)) => {
                // Without it answers wait for acknowledgements; a socket that refuses is closing.
                stream.set_nodelay(true).ok();
                return Some((stream, address.ip(), permit));
            }
            Err(error) => rest_after(&error).await,
        }
    }
}

/// A connection that died in the queue is nothing; anything else, such as a lack of descriptors,
/// would only come again at once.
async fn rest_after(error: &io::Error) {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    const REST: Duration = Duration::from_millis(100);
    if ![ConnectionAborted, ConnectionRefused, ConnectionReset].contains(&error.kind()) {
        tracing::warn!(%error, "cannot accept a connection");
        tokio::time::sleep(REST).await;
    }
}

/// Where a stopping server is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Serving,
    /// Requests under way are finished.
    Draining,
    /// Whatever is still open is cut.
    Ending,
}

/// Speaks HTTP with one client after the other, whatever carries the bytes. Cheap to clone.
#[derive(Clone)]
pub struct Connections {
    builder: Arc<auto::Builder<TokioExecutor>>,
    router: Arc<watch::Sender<Router>>,
    metrics: EdgeMetrics,
    peers: Arc<Peers>,
    write_timeout: Duration,
    phase: Arc<watch::Sender<Phase>>,
}

impl Connections {
    pub fn new(router: Router, limits: &Limits, metrics: EdgeMetrics) -> Self {
        let mut builder = auto::Builder::new(TokioExecutor::new()).http1_only();
        builder
            .http1()
            .timer(TokioTimer::new())
            .header_read_timeout(limits.header_timeout)
            .max_headers(limits.headers_max)
            .max_buf_size(limits.buffer_bytes_max);
        let phase = Arc::new(watch::Sender::new(Phase::Serving));
        let peers = Arc::new(Peers::new(limits.connections_per_peer_max));
        let write_timeout = limits.write_timeout;
        let router = Arc::new(watch::Sender::new(router));
        Self { builder: Arc::new(builder), router, metrics, peers, write_timeout, phase }
    }

    /// Connections to come are served by another router; those that are open end after the request
    /// they are at, and their clients come back.
    pub fn replace(&self, router: Router) {
        drop(self.router.send_replace(router));
    }

    /// Every connection ends after the request it is at.
    pub fn drain(&self) {
        self.phase.send_replace(Phase::Draining);
    }

    /// Every connection ends at once.
    pub fn end(&self) {
        self.phase.send_replace(Phase::Ending);
    }

    /// Serves one connection to its end.
    pub async fn serve(
        &self,
        peer: IpAddr,
        stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    ) {
        let peer = Peer::from(peer);
        let Some(_place) = self.peers.admit(peer) else {
            return self.metrics.connection_refused();
        };
        let mut phase = self.phase.subscribe();
        // A connection that comes when the server drains already is told so too.
        phase.mark_changed();
        let _open = OpenConnection::count(&self.metrics);
        let stream = WriteProgress::new(stream, self.write_timeout);
        let mut routers = self.router.subscribe();
        let router = routers.borrow_and_update().clone();
        let draining = Draining(phase.clone());
        let service = TowerToHyperService::new(AskedBy { peer, draining, router });
        let connection = self.builder.serve_connection(TokioIo::new(stream), service);
        let mut connection = std::pin::pin!(connection);
        loop {
            tokio::select! {
                ended = connection.as_mut() => {
                    // A client that goes away in mid-request is its own business.
                    if let Err(error) = ended {
                        tracing::debug!(error, "a connection broke");
                    }
                    return;
                }
                _ = next(&mut routers) => connection.as_mut().graceful_shutdown(),
                phase = next(&mut phase) => match phase {
                    Phase::Serving => {}
                    Phase::Draining => connection.as_mut().graceful_shutdown(),
                    Phase::Ending => return,
                },
            }
        }
    }
}

/// The router, told with each request whose it is.
#[derive(Clone)]
struct AskedBy {
    peer: Peer,
    draining: Draining,
    router: Router,
}

/// Tells an answer without an end that the server wants to stop.
#[derive(Clone)]
pub(crate) struct Draining(watch::Receiver<Phase>);

impl Draining {
    pub(crate) async fn begun(mut self) {
        // Whoever could still say so is gone together with the server.
        self.0.wait_for(|phase| *phase != Phase::Serving).await.ok();
    }
}

impl<B> Service<Request<B>> for AskedBy
where
    Router: Service<Request<B>>,
{
    type Response = <Router as Service<Request<B>>>::Response;
    type Error = <Router as Service<Request<B>>>::Error;
    type Future = <Router as Service<Request<B>>>::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Service::<Request<B>>::poll_ready(&mut self.router, context)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        request.extensions_mut().insert(self.peer);
        request.extensions_mut().insert(self.draining.clone());
        self.router.call(request)
    }
}

async fn next<T: Clone>(news: &mut watch::Receiver<T>) -> T {
    match news.changed().await {
        Ok(()) => news.borrow_and_update().clone(),
        // Nobody is left to say anything; the connection ends when its client is done.
        Err(_) => pending().await,
    }
}

/// A connection that counts as open until dropped.
struct OpenConnection<'a>(&'a EdgeMetrics);

impl<'a> OpenConnection<'a> {
    fn count(metrics: &'a EdgeMetrics) -> Self {
        metrics.connected();
        Self(metrics)
    }
}

impl Drop for OpenConnection<'_> {
    fn drop(&mut self) {
        self.0.disconnected();
    }
}
