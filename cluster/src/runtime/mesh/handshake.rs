//! From a TCP connection to a known peer.
//!
//! **Invariants:** nothing a peer says is believed before its certificate is; a peer that says it is
//! somebody gets an answer only if its certificate says so too; without certificates both ends are
//! on this machine.

use std::io;
use std::sync::Arc;

use rustls::client::verify_server_name;
use rustls::pki_types::CertificateDer;
use rustls::server::ParsedCertificate;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::ids::NodeId;
use crate::runtime::mesh::connection::BoxStream;
use crate::runtime::mesh::credentials::Credentials;
use crate::runtime::mesh::fault::FaultGate;
use crate::runtime::mesh::lane_queue::WINDOW_BYTES_MIN;
use crate::runtime::mesh::names::{ClusterName, server_name};
use crate::runtime::mesh::socket;
use crate::runtime::mesh::{Security, Shared};
use crate::wire::WireError;
use crate::wire::greeting::{
    ClusterId, HELLO_BYTES, Hello, Levels, Purpose, REPLY_BYTES, Refusal, Welcome, decode_reply,
    encode_reply,
};

/// Why a connection did not come to be.
#[derive(Debug, thiserror::Error)]
pub enum HandshakeError {
    #[error("cannot look up the address")]
    Lookup(#[source] io::Error),
    #[error("the address means no machine")]
    Nowhere,
    #[error("it is on another machine, and this node has no certificates")]
    NotLoopback,
    #[error("cannot connect")]
    Connect(#[source] io::Error),
    #[error("no handshake within its time")]
    Timeout,
    #[error("the TLS handshake failed")]
    Tls(#[source] io::Error),
    #[error("the connection broke in the greeting")]
    Io(#[source] io::Error),
    #[error("the greeting cannot be read")]
    Wire(#[from] WireError),
    #[error("the peer refuses: {0}")]
    Refused(Refusal),
    #[error("the peer was refused: {0}")]
    Refusing(Refusal),
}

impl HandshakeError {
    /// One word for the metrics.
    pub(super) const fn reason(&self) -> &'static str {
        match self {
            Self::Lookup(_) | Self::Nowhere => "lookup",
            Self::NotLoopback => "not_loopback",
            Self::Connect(_) => "connect",
            Self::Timeout => "timeout",
            Self::Tls(_) => "tls",
            Self::Io(_) => "broken",
            Self::Wire(_) => "wire",
            Self::Refused(_) => "refused",
            Self::Refusing(Refusal::OtherCluster) => "cluster",
            Self::Refusing(Refusal::OtherNode | Refusal::OtherName) => "name",
            Self::Refusing(Refusal::UnknownNode) => "unknown",
            Self::Refusing(Refusal::OtherLevels) => "levels",
            Self::Refusing(Refusal::WrongDialer | Refusal::SmallWindow) => "protocol",
        }
    }
}

/// A peer that proved who it is.
pub(super) struct Greeted<T> {
    pub(super) stream: BoxStream,
    pub(super) said: T,
}

/// Whom to dial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    Node(NodeId),
    /// Whoever listens there, as long as it is of this cluster.
    Member,
}

/// A TCP connection that proved its certificate, if certificates are used.
struct Proven {
    stream: BoxStream,
    certificate: Option<(ClusterName, CertificateDer<'static>)>,
}

impl Proven {
    /// Whether the certificate is for this node; any is, where there are none.
    fn is(&self, node: NodeId) -> bool {
        let Some((cluster, certificate)) = &self.certificate else { return true };
        let parsed = ParsedCertificate::try_from(certificate);
        parsed.is_ok_and(|parsed| {
            server_name(cluster.node(node))
                .is_some_and(|name| verify_server_name(&parsed, &name).is_ok())
        })
    }
}

pub(super) async fn dial(
    shared: &Shared,
    address: &str,
    target: Target,
    purpose: Purpose,
) -> Result<Greeted<Welcome>, HandshakeError> {
    let stream = connect(shared, address).await?;
    socket::tune(&stream, shared.limits.silence_max).map_err(HandshakeError::Connect)?;
    let mut proven = match &shared.security {
        Security::PlainOnLoopback => Proven { stream: Box::new(stream), certificate: None },
        Security::Certificates(keyring) => {
            dial_tls(stream, &keyring.current(), target).await.map_err(HandshakeError::Tls)?
        }
    };
    let (cluster, to) = match target {
        Target::Node(node) => (shared.identity.cluster, node),
        Target::Member => (ClusterId([0; 16]), NodeId(0)),
    };
    let hello = Hello {
        cluster,
        from: shared.identity.node,
        to,
        boot: shared.identity.boot,
        levels: shared.levels(),
        purpose,
        window: shared.limits.window(purpose),
    };
    proven.stream.write_all(&hello.encode()).await.map_err(HandshakeError::Io)?;
    proven.stream.flush().await.map_err(HandshakeError::Io)?;
    let mut reply = [0; REPLY_BYTES];
    proven.stream.read_exact(&mut reply).await.map_err(HandshakeError::Io)?;
    let said = decode_reply(&reply)?.map_err(HandshakeError::Refused)?;
    if !proven.is(said.node) {
        return Err(HandshakeError::Refusing(Refusal::OtherName));
    }
    if let Target::Node(node) = target {
        if said.node != node {
            return Err(HandshakeError::Refusing(Refusal::OtherNode));
        }
        if let Some(refusal) = misfit(shared, said.cluster, said.levels, said.window) {
            return Err(HandshakeError::Refusing(refusal));
        }
    }
    Ok(Greeted { stream: proven.stream, said })
}

async fn connect(shared: &Shared, address: &str) -> Result<TcpStream, HandshakeError> {
    let found = tokio::net::lookup_host(address).await.map_err(HandshakeError::Lookup)?;
    let mut failed = HandshakeError::Nowhere;
    for address in found {
        if matches!(shared.security, Security::PlainOnLoopback) && !address.ip().is_loopback() {
            return Err(HandshakeError::NotLoopback);
        }
        match TcpStream::connect(address).await {
            Ok(stream) => return Ok(stream),
            Err(error) => failed = HandshakeError::Connect(error),
        }
    }
    Err(failed)
}

async fn dial_tls(
    stream: TcpStream,
    credentials: &Credentials,
    target: Target,
) -> io::Result<Proven> {
    let cluster = credentials.cluster.clone();
    let name = match target {
        Target::Node(node) => cluster.node(node),
        Target::Member => cluster.member(),
    };
    let name = server_name(name).ok_or_else(|| io::Error::other("the peer's name is no name"))?;
    let connector = TlsConnector::from(Arc::clone(&credentials.client));
    let stream = connector.connect(name, stream).await?;
    let certificate = leaf(stream.get_ref().1.peer_certificates())?;
    Ok(Proven { stream: Box::new(stream), certificate: Some((cluster, certificate)) })
}

fn leaf(chain: Option<&[CertificateDer<'static>]>) -> io::Result<CertificateDer<'static>> {
    let missing = || io::Error::other("the peer shows no certificate");
    chain.and_then(<[_]>::first).cloned().ok_or_else(missing)
}

/// Answers a peer that dialed; nothing of it is processed unless this succeeds.
pub(super) async fn accept(
    shared: &Shared,
    stream: TcpStream,
) -> Result<Greeted<Hello>, HandshakeError> {
    socket::tune(&stream, shared.limits.silence_max).map_err(HandshakeError::Io)?;
    let mut proven = match &shared.security {
        Security::PlainOnLoopback => Proven { stream: Box::new(stream), certificate: None },
        Security::Certificates(keyring) => {
            accept_tls(stream, &keyring.current()).await.map_err(HandshakeError::Tls)?
        }
    };
    let mut hello = [0; HELLO_BYTES];
    proven.stream.read_exact(&mut hello).await.map_err(HandshakeError::Io)?;
    let said = Hello::decode(&hello)?;
    let refused = refusal(shared, &proven, &said);
    if let Some(peer) = shared.peers.find(said.from).filter(|_| proven.is(said.from)) {
        FaultGate::new(&peer.fault).handshake().await;
    }
    let identity = &shared.identity;
    let reply = match refused {
        Some(refusal) => Err(refusal),
        None => Ok(Welcome {
            cluster: identity.cluster,
            node: identity.node,
            boot: identity.boot,
            levels: shared.levels(),
            window: shared.limits.window(said.purpose),
        }),
    };
    proven.stream.write_all(&encode_reply(&reply)).await.map_err(HandshakeError::Io)?;
    proven.stream.flush().await.map_err(HandshakeError::Io)?;
    match refused {
        Some(refusal) => Err(HandshakeError::Refusing(refusal)),
        None => Ok(Greeted { stream: proven.stream, said }),
    }
}

async fn accept_tls(stream: TcpStream, credentials: &Credentials) -> io::Result<Proven> {
    let acceptor = TlsAcceptor::from(Arc::clone(&credentials.server));
    let stream = acceptor.accept(stream).await?;
    let certificate = leaf(stream.get_ref().1.peer_certificates())?;
    let cluster = credentials.cluster.clone();
    Ok(Proven { stream: Box::new(stream), certificate: Some((cluster, certificate)) })
}

fn refusal(shared: &Shared, proven: &Proven, hello: &Hello) -> Option<Refusal> {
    let identity = &shared.identity;
    if !proven.is(hello.from) {
        return Some(Refusal::OtherName);
    }
    match hello.purpose {
        Purpose::Knock => return None,
        Purpose::Lane(_) => {}
    }
    if hello.to != identity.node {
        Some(Refusal::OtherNode)
    } else if hello.from >= identity.node {
        Some(Refusal::WrongDialer)
    } else if shared.peers.find(hello.from).is_none() {
        Some(Refusal::UnknownNode)
    } else {
        misfit(shared, hello.cluster, hello.levels, hello.window)
    }
}

/// What both sides demand of each other.
fn misfit(shared: &Shared, cluster: ClusterId, levels: Levels, window: u64) -> Option<Refusal> {
    if cluster != shared.identity.cluster {
        Some(Refusal::OtherCluster)
    } else if !levels.overlap(shared.levels()) {
        Some(Refusal::OtherLevels)
    } else if window < WINDOW_BYTES_MIN {
        Some(Refusal::SmallWindow)
    } else {
        None
    }
}
