//! Who is let in, and who gets nothing.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use cluster::metrics::MeshMetrics;
use cluster::runtime::mesh::credentials::Rotation;
use cluster::runtime::mesh::{Mesh, MeshLimits, PeerAddress, Protection};
use cluster::wire::Lane;
use cluster::wire::frame::HEADER_BYTES;
use cluster::wire::greeting::{
    BootId, ClusterId, Hello, Levels, Purpose, REPLY_BYTES, Refusal, Reply, decode_reply,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;

use super::authority::{Authority, Folder, Pair, Validity};
use super::nodes::{CLUSTER, LEVELS, Node, Setup, limits, soon};
use cluster::ids::NodeId;

fn certified(node: u64, folder: &Folder) -> Setup {
    Setup { protection: Protection::Certificates(folder.disk()), ..Setup::plain(node) }
}

fn hello() -> Hello {
    Hello {
        cluster: CLUSTER,
        from: NodeId(1),
        to: NodeId(2),
        boot: BootId(1),
        levels: LEVELS,
        purpose: Purpose::Lane(Lane::Raft),
        window: 64 << 20,
    }
}

/// A client that believes one authority and shows what it is given.
fn connector(believed: &Authority, shown: Option<&Pair>) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    let authority = CertificateDer::from_pem_slice(believed.pem().as_bytes()).expect("PEM");
    roots.add(authority).expect("an authority");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("TLS 1.3")
        .with_root_certificates(roots);
    let mut config = match shown {
        None => builder.with_no_client_auth(),
        Some(pair) => {
            let chain = CertificateDer::from_pem_slice(pair.certificate.as_bytes()).expect("PEM");
            let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).expect("PEM");
            builder.with_client_auth_cert(vec![chain], key).expect("a pair")
        }
    };
    config.alpn_protocols = vec![b"omnicart-mesh".to_vec()];
    TlsConnector::from(Arc::new(config))
}

/// Dials as a peer would, says hello and sends a frame without waiting to be welcome.
async fn intrude(to: &Node, with: &TlsConnector, hello: Hello) -> io::Result<Reply> {
    let stream = TcpStream::connect(to.mesh.address()).await?;
    let name = ServerName::try_from("node-2.shop.omnicart").expect("a name");
    let mut stream = with.connect(name, stream).await?;
    let mut bytes = hello.encode().to_vec();
    let mut frame = [0; HEADER_BYTES];
    frame[4] = 1;
    bytes.extend(frame);
    stream.write_all(&bytes).await?;
    stream.flush().await?;
    let mut reply = [0; REPLY_BYTES];
    stream.read_exact(&mut reply).await?;
    let reply = decode_reply(&reply).expect("readable");
    if reply.is_err() {
        assert_eq!(stream.read(&mut [0; 1]).await.unwrap_or(0), 0, "the connection ends");
    }
    Ok(reply)
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_with_certificates_of_one_authority_are_linked() {
    let authority = Authority::new("shop");
    let (one, two) = (authority.folder(1), authority.folder(2));
    let (one, two) = (certified(1, &one).start().await, certified(2, &two).start().await);
    one.knows(&two);
    two.knows(&one);
    one.linked(&two).await;
    two.linked(&one).await;
    two.mesh.set_map_version(77);
    for lane in [Lane::Control, Lane::Raft, Lane::Bulk] {
        two.send(&one, lane, vec![9; 100_000]);
        let frame = one.frame().await;
        assert_eq!((frame.from, frame.lane, frame.map_version), (NodeId(2), lane, 77));
        assert_eq!(frame.payload, vec![9; 100_000]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_foreign_expired_or_missing_certificate_gets_nothing_processed() {
    let (ours, foreign) = (Authority::new("shop"), Authority::new("shop"));
    let folder = ours.folder(2);
    let two = certified(2, &folder).start().await;
    two.mesh.set_peer(NodeId(1), PeerAddress("127.0.0.1:1".to_owned()));
    let shown = [
        ("none", None),
        ("foreign", Some(foreign.node(1, Validity::Now))),
        ("expired", Some(ours.node(1, Validity::Past))),
    ];
    for (what, shown) in shown {
        let connector = connector(&ours, shown.as_ref());
        let answer = soon(what, intrude(&two, &connector, hello())).await;
        assert!(answer.is_err(), "{what}: {answer:?}");
        assert!(two.heard_nothing().await, "{what}");
        two.unlinked(NodeId(1)).await;
    }
    two.metric_reaches("handshakes_failed_total{direction=\"in\",reason=\"tls\"}", 3).await;

    // The right certificate, to show that nothing else was in the way.
    let right = connector(&ours, Some(&ours.node(1, Validity::Now)));
    let answer = soon("a welcome", intrude(&two, &right, hello())).await.expect("an answer");
    assert_eq!(answer.expect("a welcome").node, NodeId(2));
    assert_eq!(two.frame().await.from, NodeId(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_alone_is_not_enough() {
    let authority = Authority::new("shop");
    let folder = authority.folder(2);
    let two = certified(2, &folder).start().await;
    let others = Authority::new("other");
    for node in [1, 4, 5] {
        two.mesh.set_peer(NodeId(node), PeerAddress("127.0.0.1:1".to_owned()));
    }
    let levels = Levels { min: 8, max: 9 };
    let cases = [
        (4, hello(), Refusal::OtherName),
        (1, Hello { cluster: ClusterId([8; 16]), ..hello() }, Refusal::OtherCluster),
        (1, Hello { to: NodeId(3), ..hello() }, Refusal::OtherNode),
        (1, Hello { levels, ..hello() }, Refusal::OtherLevels),
        (1, Hello { window: 1, ..hello() }, Refusal::SmallWindow),
        (5, Hello { from: NodeId(5), ..hello() }, Refusal::WrongDialer),
    ];
    for (holder, hello, refusal) in cases {
        let connector = connector(&authority, Some(&authority.node(holder, Validity::Now)));
        let answer = soon("a refusal", intrude(&two, &connector, hello)).await;
        assert_eq!(answer.expect("an answer"), Err(refusal));
        assert!(two.heard_nothing().await, "{refusal}");
    }
    two.mesh.remove_peer(NodeId(1));
    let right = connector(&authority, Some(&authority.node(1, Validity::Now)));
    let answer = soon("a refusal", intrude(&two, &right, hello())).await.expect("an answer");
    assert_eq!(answer, Err(Refusal::UnknownNode));
    // A client of another cluster does not even speak to us.
    let stranger = connector(&others, Some(&others.node(1, Validity::Now)));
    assert!(soon("an error", intrude(&two, &stranger, hello())).await.is_err());
    assert!(two.heard_nothing().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dialer_believes_no_impostor() {
    let authority = Authority::new("shop");
    let (one, three) = (authority.folder(1), authority.folder(3));
    let (one, three) = (certified(1, &one).start().await, certified(3, &three).start().await);
    three.knows(&one);
    one.mesh.set_peer(NodeId(2), three.address());
    one.metric_reaches("handshakes_failed_total{direction=\"out\",reason=\"tls\"}", 2).await;
    one.unlinked(NodeId(2)).await;
    assert!(three.heard_nothing().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn plain_bytes_and_another_protocol_get_no_answer() {
    let authority = Authority::new("shop");
    let folder = authority.folder(2);
    let two = certified(2, &folder).start().await;
    for bytes in [hello().encode().to_vec(), b"GET / HTTP/1.1\r\n\r\n".repeat(9)] {
        let mut stream = TcpStream::connect(two.mesh.address()).await.expect("a port");
        stream.write_all(&bytes).await.expect("written");
        let mut answer = Vec::new();
        // A TLS alert at most.
        soon("an end", stream.read_to_end(&mut answer)).await.unwrap_or(0);
        assert!(answer.len() < 16, "{answer:?}");
    }
    assert!(two.heard_nothing().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_are_bounded_in_number_and_time() {
    let authority = Authority::new("shop");
    let folder = authority.folder(2);
    let handshake_max = Duration::from_millis(300);
    let limits = MeshLimits { handshake_max, unproven_max: 1, ..limits() };
    let two = Setup { limits, ..certified(2, &folder) }.start().await;
    let mut silent = TcpStream::connect(two.mesh.address()).await.expect("a port");
    let mut second = TcpStream::connect(two.mesh.address()).await.expect("a port");
    let crowded = "handshakes_failed_total{direction=\"in\",reason=\"crowded\"}";
    two.metric_reaches(crowded, 1).await;
    assert_eq!(soon("an end", second.read(&mut [0; 1])).await.unwrap_or(0), 0);
    assert_eq!(soon("a timeout", silent.read(&mut [0; 1])).await.unwrap_or(0), 0);
    two.metric_reaches("handshakes_failed_total{direction=\"in\",reason=\"timeout\"}", 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_are_renewed_without_a_restart() {
    let (old, new) = (Authority::new("shop"), Authority::new("shop"));
    let both = format!("{}{}", old.pem(), new.pem());
    let (first, second, third) = (old.folder(1), old.folder(2), Folder::new());
    third.fill(&new.pem(), &new.node(3, Validity::Now));
    let (one, two) = (certified(1, &first).start().await, certified(2, &second).start().await);
    one.knows(&two);
    two.knows(&one);
    one.linked(&two).await;
    two.linked(&one).await;
    let connection = one.mesh.send(two.id(), Lane::Bulk, "before".into()).expect("a lane");
    assert_eq!(two.frame().await.payload, "before");

    let expired = new.node(2, Validity::Past);
    second.fill(&both, &expired);
    let error = two.mesh.reload_certificates().await.expect_err("expired");
    assert_eq!(error.to_string(), "node.pem is refused by the authorities in ca.pem");
    second.fill(&both, &new.node(2, Validity::Now));
    assert_eq!(two.mesh.reload_certificates().await.expect("readable"), Rotation::Changed);
    assert_eq!(two.mesh.reload_certificates().await.expect("readable"), Rotation::Unchanged);

    // A node that believes only the new authority is linked; the old session lives on.
    let three = certified(3, &third).start().await;
    two.knows(&three);
    three.knows(&two);
    two.linked(&three).await;
    let same = one.mesh.send(two.id(), Lane::Bulk, "after".into()).expect("a lane");
    assert_eq!(two.frame().await.payload, "after");
    assert_eq!(same, connection);
}

#[tokio::test(flavor = "multi_thread")]
async fn changed_files_are_found_without_being_told() {
    let (old, new) = (Authority::new("shop"), Authority::new("shop"));
    let folder = old.folder(2);
    let limits = MeshLimits { rotation_every: Duration::from_millis(20), ..limits() };
    let two = Setup { limits, ..certified(2, &folder) }.start().await;
    folder.fill(&new.pem(), &new.node(2, Validity::Now));
    two.mesh.set_peer(NodeId(1), PeerAddress("127.0.0.1:1".to_owned()));
    let connector = connector(&new, Some(&new.node(1, Validity::Now)));
    let renewed = async { while intrude(&two, &connector, hello()).await.is_err() {} };
    soon("a handshake with the new certificate", renewed).await;
}

#[tokio::test]
async fn what_cannot_be_used_is_refused_at_the_start() {
    let (authority, foreign) = (Authority::new("shop"), Authority::new("shop"));
    let (pair, other) = (authority.node(2, Validity::Now), authority.node(3, Validity::Now));
    let mixed = Pair { certificate: pair.certificate.clone(), key: other.key.clone() };
    let garbage = Pair { certificate: "garbage".to_owned(), key: pair.key.clone() };
    let expired = authority.node(2, Validity::Past);
    let cases = [
        (authority.pem(), other, "node.pem is for node 3, and this is node 2"),
        (authority.pem(), mixed, "node.pem and node.key cannot be used together"),
        (authority.pem(), garbage, "node.pem holds no certificate"),
        (authority.pem(), expired, "node.pem is refused by the authorities in ca.pem"),
        (foreign.pem(), pair, "node.pem is refused by the authorities in ca.pem"),
    ];
    for (authorities, pair, message) in cases {
        let folder = Folder::new();
        folder.fill(&authorities, &pair);
        let config = certified(2, &folder).config();
        let error = Mesh::bind(config, MeshMetrics::default()).await.err().expect(message);
        assert_eq!(error.to_string(), message);
    }
    let error = Mesh::bind(certified(2, &Folder::new()).config(), MeshMetrics::default()).await;
    assert_eq!(error.err().expect("no files").to_string(), "cannot read ca.pem");
    let everywhere = Setup { listen: "0.0.0.0:0".to_owned(), ..Setup::plain(1) };
    let error = Mesh::bind(everywhere.config(), MeshMetrics::default()).await;
    let message = "0.0.0.0:0 can be reached from other machines, and there are no certificates";
    assert_eq!(error.err().expect("no protection").to_string(), message);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newcomer_asks_whoever_it_finds() {
    let authority = Authority::new("shop");
    let (one, nine) = (authority.folder(1), authority.folder(9));
    let one = certified(1, &one).start().await;
    let nine = Setup { cluster: ClusterId([0; 16]), ..certified(9, &nine) }.start().await;
    let asked = nine.mesh.knock(&one.address(), "let me in".into(), Duration::from_secs(9)).await;
    let (node, answer) = asked.expect("an answer");
    assert_eq!((node, answer.as_ref()), (NodeId(1), b"9 says b\"let me in\"".as_slice()));

    let foreign = Authority::new("shop").folder(9);
    let stranger = certified(9, &foreign).start().await;
    let address = one.address();
    let refused = stranger.mesh.knock(&address, "me too".into(), Duration::from_secs(9)).await;
    let message = format!("cannot reach {address}");
    assert_eq!(refused.expect_err("another authority").to_string(), message);
    let nobody = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = PeerAddress(nobody.local_addr().expect("bound").to_string());
    let silent = nine.mesh.knock(&address, "hello?".into(), Duration::from_millis(50)).await;
    let message = format!("{address} gave no answer");
    assert_eq!(silent.expect_err("nobody answers").to_string(), message);
}
