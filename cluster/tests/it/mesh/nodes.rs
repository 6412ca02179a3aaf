//! Nodes that do nothing but keep what the mesh gives them.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use cluster::ids::NodeId;
use cluster::metrics::MeshMetrics;
use cluster::runtime::mesh::calls::{Asked, Calls, Received};
use cluster::runtime::mesh::{
    Frame, Knock, Links, LostLane, Mesh, MeshConfig, MeshHandler, MeshIdentity, MeshLimits,
    PeerAddress, Protection,
};
use cluster::wire::Lane;
use cluster::wire::greeting::{
    BootId, ClusterId, Hello, Levels, Purpose, REPLY_BYTES, decode_reply,
};
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;
use storage::clock;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::timeout;

/// No test waits so long unless something never happens.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);
pub(super) const CLUSTER: ClusterId = ClusterId([7; 16]);
pub(super) const LEVELS: Levels = Levels { min: 1, max: 2 };

pub(super) async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    timeout(PATIENCE, future).await.unwrap_or_else(|_| panic!("{what} never happens"))
}

pub(super) fn patience() -> Instant {
    clock::monotonic() + PATIENCE
}

pub(super) fn limits() -> MeshLimits {
    MeshLimits { redial_max: Duration::from_millis(200), ..MeshLimits::default() }
}

pub(super) struct Setup {
    pub(super) node: u64,
    pub(super) boot: u64,
    pub(super) cluster: ClusterId,
    pub(super) levels: Levels,
    pub(super) limits: MeshLimits,
    pub(super) protection: Protection,
    pub(super) listen: String,
}

impl Setup {
    pub(super) fn plain(node: u64) -> Self {
        Self {
            node,
            boot: 1,
            cluster: CLUSTER,
            levels: LEVELS,
            limits: limits(),
            protection: Protection::PlainOnLoopback,
            listen: "127.0.0.1:0".to_owned(),
        }
    }

    pub(super) fn config(self) -> MeshConfig {
        MeshConfig {
            identity: MeshIdentity {
                cluster: self.cluster,
                node: NodeId(self.node),
                boot: BootId(self.boot),
                levels: self.levels,
            },
            listen: self.listen.parse().expect("an address"),
            protection: self.protection,
            limits: self.limits,
        }
    }

    pub(super) async fn start(self) -> Node {
        let mut registry = Registry::default();
        let metrics = MeshMetrics::register(&mut registry);
        let (mesh, listening) = Mesh::bind(self.config(), metrics).await.expect("a mesh");
        let (frames_in, frames) = unbounded_channel();
        let (asked_in, asked) = unbounded_channel();
        let (lost_in, lost) = unbounded_channel();
        let calls = Calls::new(mesh.clone(), Lane::Calls);
        let keep = Keep { frames: frames_in, asked: asked_in, lost: lost_in, calls: calls.clone() };
        listening.serve(Arc::new(keep));
        let (frames, asked, lost) = (Mutex::new(frames), Mutex::new(asked), Mutex::new(lost));
        Node { mesh, calls, frames, asked, lost, registry }
    }
}

struct Keep {
    frames: UnboundedSender<Frame>,
    asked: UnboundedSender<Asked>,
    lost: UnboundedSender<LostLane>,
    calls: Calls,
}

impl MeshHandler for Keep {
    fn frame(&self, frame: Frame) {
        if frame.lane != Lane::Calls {
            drop(self.frames.send(frame));
        } else if let Received::Asked(asked) = self.calls.received(frame) {
            drop(self.asked.send(asked));
        }
    }

    fn lane_lost(&self, lost: LostLane) {
        self.calls.lost(&lost);
        drop(self.lost.send(lost));
    }

    fn knock(&self, knock: Knock) {
        let answer = format!("{} says {:?}", knock.from.0, knock.request);
        drop(knock.answer.send(answer.into()));
    }
}

pub(super) struct Node {
    pub(super) mesh: Mesh,
    pub(super) calls: Calls,
    pub(super) frames: Mutex<UnboundedReceiver<Frame>>,
    pub(super) asked: Mutex<UnboundedReceiver<Asked>>,
    pub(super) lost: Mutex<UnboundedReceiver<LostLane>>,
    registry: Registry,
}

impl Node {
    pub(super) fn id(&self) -> NodeId {
        self.mesh.node()
    }

    pub(super) fn address(&self) -> PeerAddress {
        PeerAddress(self.mesh.address().to_string())
    }

    pub(super) fn knows(&self, other: &Self) {
        self.mesh.set_peer(other.id(), other.address());
    }

    pub(super) async fn links(&self, what: &str, until: impl FnMut(&Links) -> bool) -> Links {
        let mut links = self.mesh.links();
        soon(what, links.wait_for(until)).await.expect("the mesh lives").clone()
    }

    pub(super) async fn linked(&self, other: &Self) {
        let other = other.id();
        let whole = |links: &Links| links.get(&other).is_some_and(|link| link.is_whole());
        self.links("a whole link", whole).await;
    }

    pub(super) async fn unlinked(&self, other: NodeId) {
        let none = |links: &Links| links.get(&other).is_none_or(|link| link.lanes.is_empty());
        self.links("a lost link", none).await;
    }

    pub(super) async fn frame(&self) -> Frame {
        soon("a frame", async { self.frames.lock().await.recv().await }).await.expect("open")
    }

    pub(super) async fn asked(&self) -> Asked {
        soon("a request", async { self.asked.lock().await.recv().await }).await.expect("open")
    }

    pub(super) fn send(&self, to: &Self, lane: Lane, payload: impl Into<Bytes>) {
        self.mesh.send(to.id(), lane, payload.into()).expect("there is room");
    }

    pub(super) async fn heard_nothing(&self) -> bool {
        self.frames.lock().await.try_recv().is_err() && self.asked.lock().await.try_recv().is_err()
    }

    /// The value of a metric; zero when it was never set.
    pub(super) fn metric(&self, name: &str) -> u64 {
        let mut text = String::new();
        encode(&mut text, &self.registry).expect("text");
        let line = text.lines().find_map(|line| {
            let line = line.strip_prefix("omnicart_cluster_mesh_")?.strip_prefix(name)?;
            line.strip_prefix(' ')
        });
        line.map_or(0, |value| value.parse().expect("a number"))
    }

    /// Waits for what has no other sign than a metric.
    pub(super) async fn metric_reaches(&self, name: &str, least: u64) {
        let reached = async {
            while self.metric(name) < least {
                tokio::task::yield_now().await;
            }
        };
        soon(name, reached).await;
    }
}

/// A lane of node 1 to a node without certificates, by hand.
pub(super) async fn raw_lane(to: &Node, lane: Lane, boot: u64) -> TcpStream {
    let hello = Hello {
        cluster: CLUSTER,
        from: NodeId(1),
        to: to.id(),
        boot: BootId(boot),
        levels: LEVELS,
        purpose: Purpose::Lane(lane),
        window: 64 << 20,
    };
    let mut stream = TcpStream::connect(to.mesh.address()).await.expect("a port");
    stream.write_all(&hello.encode()).await.expect("written");
    let mut reply = [0; REPLY_BYTES];
    stream.read_exact(&mut reply).await.expect("an answer");
    decode_reply(&reply).expect("readable").expect("a welcome");
    stream
}

/// Two nodes without certificates, linked.
pub(super) async fn pair(limits: MeshLimits) -> (Node, Node) {
    let one = Setup { limits, ..Setup::plain(1) }.start().await;
    let two = Setup { limits, ..Setup::plain(2) }.start().await;
    one.knows(&two);
    two.knows(&one);
    one.linked(&two).await;
    two.linked(&one).await;
    (one, two)
}
