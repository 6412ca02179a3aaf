//! The listening port.
//!
//! **Invariants:** connections that have not proved who they are are bounded in number and in time;
//! whatever they do, those that have are not disturbed.

use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::{sleep, timeout};

use crate::metrics::Direction;
use crate::runtime::mesh::connection::BoxStream;
use crate::runtime::mesh::credentials::Rotation;
use crate::runtime::mesh::dial;
use crate::runtime::mesh::framed;
use crate::runtime::mesh::handler::{Knock, MeshHandler};
use crate::runtime::mesh::handshake::{self, Greeted, HandshakeError};
use crate::runtime::mesh::{Mesh, Security, Shared};
use crate::wire::greeting::{Hello, Purpose};

/// A port that is taken and not yet served.
pub struct Listening {
    mesh: Mesh,
    listener: TcpListener,
}

impl Listening {
    pub(super) fn new(mesh: Mesh, listener: TcpListener) -> Self {
        Self { mesh, listener }
    }

    /// Begins: peers are heard, and the handler told.
    pub fn serve(self, handler: Arc<dyn MeshHandler>) {
        let shared = self.mesh.0;
        if shared.handler.set(handler).is_err() {
            unreachable!("a port is served once");
        }
        shared.spawn(accept(Arc::clone(&shared), self.listener));
        if let Security::Certificates(_) = shared.security {
            shared.spawn(rotate(Mesh(Arc::clone(&shared))));
        }
    }
}

async fn accept(shared: Arc<Shared>, listener: TcpListener) {
    /// Out of file handles: accepting again at once would spin.
    const PAUSE: Duration = Duration::from_millis(50);
    let unproven = Arc::new(Semaphore::new(shared.limits.unproven_max));
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "cannot accept a peer");
                sleep(PAUSE).await;
                continue;
            }
        };
        match Arc::clone(&unproven).try_acquire_owned() {
            Ok(place) => shared.spawn(greet(Arc::clone(&shared), stream, place)),
            Err(_) => shared.metrics.handshake_failed(Direction::In, "crowded"),
        }
    }
}

async fn greet(shared: Arc<Shared>, stream: TcpStream, place: OwnedSemaphorePermit) {
    let address = stream.peer_addr().ok();
    let greeted = handshake::accept(&shared, stream);
    let greeted = timeout(shared.limits.handshake_max, greeted).await;
    let Greeted { stream, said } = match greeted.unwrap_or(Err(HandshakeError::Timeout)) {
        Ok(greeted) => greeted,
        Err(error) => {
            shared.metrics.handshake_failed(Direction::In, error.reason());
            let error = &error as &dyn std::error::Error;
            tracing::debug!(peer.address = ?address, error, "a connection was refused");
            return;
        }
    };
    match said.purpose {
        Purpose::Lane(lane) => {
            drop(place);
            if let Some(peer) = shared.peers.find(said.from) {
                dial::open(&shared, &peer, lane, (said.boot, said.window), stream);
            }
        }
        // Keeps its place: who knocks is no member, and must not hold more than strangers may.
        Purpose::Knock => answer(&shared, stream, said).await,
    }
}

async fn answer(shared: &Shared, mut stream: BoxStream, hello: Hello) {
    const ANSWER_MAX: Duration = Duration::from_secs(10);
    let answered = async {
        let (_, request) = framed::read(&mut stream).await.ok()?.ok()?;
        let (answer, answered) = oneshot::channel();
        let handler = shared.handler.get()?;
        handler.knock(Knock { from: hello.from, boot: hello.boot, request, answer });
        let answer = answered.await.ok()?;
        framed::write(&mut stream, shared.map_version(), &answer).await.ok()
    };
    if timeout(ANSWER_MAX, answered).await.ok().flatten().is_none() {
        shared.metrics.handshake_failed(Direction::In, "unanswered");
    }
}

/// Looks at the certificate files now and then.
async fn rotate(mesh: Mesh) {
    loop {
        sleep(mesh.0.limits.rotation_every).await;
        match mesh.reload_certificates().await {
            Ok(Rotation::Unchanged) => {}
            Ok(Rotation::Changed) => tracing::info!("new certificates are used from here on"),
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::error!(error, "the new certificates cannot be used; the old ones stay");
            }
        }
    }
}
