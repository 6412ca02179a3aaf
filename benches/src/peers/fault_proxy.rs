//! The links between nodes, which can be cut and slowed: a proxy before the mesh of each node.
//!
//! Nodes advertise the proxy's address, so every connection between two nodes passes one. Who dials
//! stands in the greeting, which is readable as long as the nodes use no certificates.
//!
//! **Invariants:** bytes of a link are withheld or late, never lost, changed or reordered, as a
//! network does that TCP runs on; while a link is cut nothing passes it, ends of connections neither.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use cluster::wire::greeting::{HELLO_BYTES, Hello};
use storage::clock;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

const CHUNK_BYTES: usize = 16 << 10;
/// Chunks under way in one direction of one connection.
const CHUNKS_MAX: usize = 64;
const GREETING_WITHIN: Duration = Duration::from_secs(5);
/// Connections that one proxy carries.
const CONNECTIONS_MAX: usize = 512;

/// One direction between two nodes, by their numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Way {
    pub(crate) from: u16,
    pub(crate) to: u16,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum State {
    #[default]
    Open,
    Slow(Duration),
    Cut,
}

/// All links of a cluster. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Links {
    states: watch::Sender<BTreeMap<Way, State>>,
    counts: Arc<Counts>,
}

#[derive(Default)]
struct Counts {
    withheld: AtomicU64,
    delayed: AtomicU64,
}

impl Links {
    pub(crate) fn new() -> Self {
        Self { states: watch::Sender::default(), counts: Arc::default() }
    }

    pub(crate) fn set(&self, way: Way, state: State) {
        self.states.send_modify(|states| {
            states.insert(way, state);
        });
    }

    pub(crate) fn open_all(&self) {
        self.states.send_modify(BTreeMap::clear);
    }

    /// Chunks and connections that met a link that was cut.
    pub(crate) fn withheld(&self) -> u64 {
        self.counts.withheld.load(Ordering::Relaxed)
    }

    /// Chunks that a slow link held back.
    pub(crate) fn delayed(&self) -> u64 {
        self.counts.delayed.load(Ordering::Relaxed)
    }

    /// Carries what is said to a node whose mesh is at `mesh`; returns where to say it.
    pub(crate) async fn before(&self, to: u16, mesh: SocketAddr) -> anyhow::Result<Door> {
        let listener =
            TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.context("no port is free")?;
        let address = listener.local_addr()?;
        let links = self.clone();
        let serving = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            // Without a listener the run fails by itself: nobody reaches the node.
            while let Ok((stream, _)) = listener.accept().await {
                while connections.try_join_next().is_some() {}
                if connections.len() < CONNECTIONS_MAX {
                    connections.spawn(links.clone().carry(stream, to, mesh));
                }
            }
        });
        Ok(Door { address, serving })
    }

    fn state(&self, way: Way) -> State {
        self.states.borrow().get(&way).copied().unwrap_or_default()
    }

    /// Waits while a link is cut, and counts that something had to.
    async fn pass(&self, way: Way) {
        if self.state(way) != State::Cut {
            return;
        }
        self.counts.withheld.fetch_add(1, Ordering::Relaxed);
        let mut states = self.states.subscribe();
        let is_open =
            |states: &BTreeMap<Way, State>| states.get(&way).is_none_or(|s| *s != State::Cut);
        // The sender is `self`.
        states.wait_for(is_open).await.ok();
    }

    async fn carry(self, mut dialer: TcpStream, to: u16, mesh: SocketAddr) {
        let mut hello = [0; HELLO_BYTES];
        let greeted = tokio::time::timeout(GREETING_WITHIN, dialer.read_exact(&mut hello)).await;
        if !matches!(greeted, Ok(Ok(_))) {
            return;
        }
        let from = Hello::decode(&hello).ok().and_then(|hello| hello.from.number());
        let Some(from) = from.map(|number| number.get()) else { return };
        self.pass(Way { from, to }).await;
        // A node that is away refuses by hanging up.
        let Ok(mut node) = TcpStream::connect(mesh).await else { return };
        if dialer.set_nodelay(true).is_err() || node.set_nodelay(true).is_err() {
            return;
        }
        if node.write_all(&hello).await.is_err() {
            return;
        }
        let (dialer_in, dialer_out) = dialer.split();
        let (node_in, node_out) = node.split();
        let there = self.pump(dialer_in, node_out, Way { from, to });
        let back = self.pump(node_in, dialer_out, Way { from: to, to: from });
        // One that ended takes the other with it: a lane is of no use in one direction.
        tokio::select! {
            () = there => {}
            () = back => {}
        }
    }

    async fn pump(
        &self,
        mut from: impl AsyncRead + Unpin,
        mut to: impl AsyncWrite + Unpin,
        way: Way,
    ) {
        let (under_way, mut arriving) = mpsc::channel::<(Instant, Vec<u8>)>(CHUNKS_MAX);
        let reading = async move {
            let mut chunk = vec![0; CHUNK_BYTES];
            while let Ok(n @ 1..) = from.read(&mut chunk).await {
                let mut due = Instant::from_std(clock::monotonic());
                if let State::Slow(delay) = self.state(way) {
                    self.counts.delayed.fetch_add(1, Ordering::Relaxed);
                    due += delay;
                }
                let bytes = chunk.get(..n).unwrap_or_default().to_vec();
                if under_way.send((due, bytes)).await.is_err() {
                    return;
                }
            }
        };
        let writing = async move {
            while let Some((due, bytes)) = arriving.recv().await {
                tokio::time::sleep_until(due).await;
                self.pass(way).await;
                if to.write_all(&bytes).await.is_err() {
                    return;
                }
            }
            // The end of a connection travels as bytes do.
            self.pass(way).await;
        };
        tokio::join!(reading, writing);
    }
}

/// The proxy before one node; gone when dropped.
pub(crate) struct Door {
    pub(crate) address: SocketAddr,
    serving: tokio::task::JoinHandle<()>,
}

impl Drop for Door {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

#[cfg(test)]
mod tests {
    use cluster::ids::NodeId;
    use cluster::wire::Lane;
    use cluster::wire::greeting::{BootId, ClusterId, Levels, Purpose};

    use super::*;

    fn hello(from: u64) -> [u8; HELLO_BYTES] {
        let hello = Hello {
            cluster: ClusterId([1; 16]),
            from: NodeId(from),
            to: NodeId(9),
            boot: BootId(1),
            levels: Levels { min: 1, max: 1 },
            purpose: Purpose::Lane(Lane::Raft),
            window: 1 << 20,
        };
        hello.encode()
    }

    /// A connection of node 1 to node 9 through the proxy: both ends.
    async fn connected(links: &Links) -> (Door, TcpStream, TcpStream) {
        let mesh = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let door = links.before(9, mesh.local_addr().unwrap()).await.unwrap();
        let mut dialer = TcpStream::connect(door.address).await.unwrap();
        dialer.write_all(&hello(1)).await.unwrap();
        let (mut node, _) = mesh.accept().await.unwrap();
        let mut said = [0; HELLO_BYTES];
        node.read_exact(&mut said).await.unwrap();
        assert_eq!(said, hello(1));
        (door, dialer, node)
    }

    #[tokio::test]
    async fn a_link_that_is_cut_one_way_delivers_what_was_said_once_it_is_open() {
        let links = Links::new();
        let (_door, mut dialer, mut node) = connected(&links).await;
        links.set(Way { from: 1, to: 9 }, State::Cut);
        dialer.write_all(b"there").await.unwrap();
        node.write_all(b"back").await.unwrap();
        let mut back = [0; 4];
        dialer.read_exact(&mut back).await.unwrap();
        assert_eq!(&back, b"back");
        while links.withheld() == 0 {
            tokio::task::yield_now().await;
        }
        let mut there = [0; 5];
        assert!(node.try_read(&mut there).is_err(), "nothing passes");
        links.set(Way { from: 1, to: 9 }, State::Open);
        node.read_exact(&mut there).await.unwrap();
        assert_eq!(&there, b"there");
    }

    #[tokio::test]
    async fn a_slow_link_is_late_and_keeps_the_order() {
        let links = Links::new();
        let (_door, mut dialer, mut node) = connected(&links).await;
        links.set(Way { from: 1, to: 9 }, State::Slow(Duration::from_millis(50)));
        let began = clock::monotonic();
        dialer.write_all(b"one").await.unwrap();
        let mut said = [0; 3];
        node.read_exact(&mut said).await.unwrap();
        assert!(began.elapsed() >= Duration::from_millis(50));
        assert_eq!((&said, links.delayed()), (b"one", 1));
    }

    #[tokio::test]
    async fn a_connection_ends_with_either_end() {
        let links = Links::new();
        let (_door, mut dialer, node) = connected(&links).await;
        drop(node);
        assert_eq!(dialer.read(&mut [0; 1]).await.unwrap_or(0), 0);
    }
}
