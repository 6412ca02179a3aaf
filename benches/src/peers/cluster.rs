//! Several real processes that form one cluster, each of which may be hurt and healed.
//!
//! **Invariants:** a node keeps its number, its addresses and, unless it is wiped, its folder from
//! start to start; every process ends with its handle.

pub(crate) mod operator;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use anyhow::Context as _;
use hyper::{Method, StatusCode};
use storage::clock;

use crate::load::client::{Call, Caller};
use crate::metrics;
use crate::peers::fault_proxy::{Door, Links};
use crate::peers::folder::Folder;
use crate::peers::omnicart::{Program, READY_PATH, write_catalogue};
use crate::peers::process::{Process, Signal, lasting_address};
use crate::peers::small_disk::SmallDisk;

/// What one look at a node may take.
const LOOK_MAX: Duration = Duration::from_secs(2);
const LOOK_PAUSE: Duration = Duration::from_millis(100);
/// How long a node may take to end after SIGTERM, its moves of leadership included.
const DRAIN_MAX: Duration = Duration::from_secs(60);

/// Where the nodes of a cluster answer; shared with those who ask, as nodes come and go.
#[derive(Clone, Default)]
pub(crate) struct Addresses(Arc<RwLock<Vec<SocketAddr>>>);

impl Addresses {
    pub(crate) fn all(&self) -> Vec<SocketAddr> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn add(&self, address: SocketAddr) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).push(address);
    }

    fn remove(&self, address: SocketAddr) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).retain(|listed| *listed != address);
    }
}

/// How every node is started.
pub(crate) struct Setup {
    program: Program,
    catalogue: PathBuf,
    flags: Vec<String>,
}

impl Setup {
    pub(crate) fn new(
        program: Option<&Path>,
        folder: &Folder,
        flags: &[&str],
    ) -> anyhow::Result<Self> {
        let flags = flags.iter().map(|flag| (*flag).to_owned()).collect();
        let (program, catalogue) = (Program::asked_for(program)?, write_catalogue(folder)?);
        Ok(Self { program, catalogue, flags })
    }
}

/// The processes of one cluster.
pub(crate) struct Cluster {
    setup: Setup,
    folder: PathBuf,
    /// Where the nodes' logs go.
    logs: PathBuf,
    /// With it, all that nodes say to each other can be held up.
    links: Option<Links>,
    /// The size of each node's own disk; none: they share that of the folder.
    disk_mib: Option<u64>,
    pub(crate) nodes: Vec<ClusterNode>,
    addresses: Addresses,
}

/// One node, running or not.
pub(crate) struct ClusterNode {
    pub(crate) number: u16,
    pub(crate) http: SocketAddr,
    /// Where its files are.
    pub(crate) data: PathBuf,
    mesh: SocketAddr,
    door: Option<Door>,
    process: Option<Process>,
    /// Dropped after the process that writes there.
    pub(crate) disk: Option<SmallDisk>,
}

impl Cluster {
    pub(crate) fn new(setup: Setup, folder: &Folder, links: Option<Links>) -> Self {
        let folder = folder.path().to_owned();
        let logs = folder.clone();
        let (nodes, addresses) = (Vec::new(), Addresses::default());
        Self { setup, folder, logs, links, disk_mib: None, nodes, addresses }
    }

    /// Gives every node a small disk of its own.
    pub(crate) fn with_disks(self, mib: u64) -> Self {
        Self { disk_mib: Some(mib), ..self }
    }

    /// Keeps the logs, if a folder for them is given.
    pub(crate) fn with_logs_asked(self, logs: Option<&Path>) -> anyhow::Result<Self> {
        let Some(logs) = logs else { return Ok(self) };
        std::fs::create_dir_all(logs).with_context(|| format!("cannot make {}", logs.display()))?;
        Ok(Self { logs: logs.to_owned(), ..self })
    }

    pub(crate) fn addresses(&self) -> Addresses {
        self.addresses.clone()
    }

    pub(crate) fn links(&self) -> Option<&Links> {
        self.links.as_ref()
    }

    /// Adds a node that is not started yet; returns its place.
    pub(crate) async fn add(&mut self) -> anyhow::Result<usize> {
        let nth = self.add_unlisted().await?;
        self.list(nth)?;
        Ok(nth)
    }

    /// Tells those who ask of a node.
    pub(crate) fn list(&self, nth: usize) -> anyhow::Result<()> {
        self.addresses.add(self.node(nth)?.http);
        Ok(())
    }

    /// Starts a node again, which takes no requests before it serves, as a load balancer would have
    /// it.
    pub(crate) async fn restart(&mut self, nth: usize) -> anyhow::Result<()> {
        self.addresses.remove(self.node(nth)?.http);
        self.start(nth)?;
        self.ready(nth).await?;
        self.list(nth)
    }

    /// Adds a node that nobody asks yet.
    pub(crate) async fn add_unlisted(&mut self) -> anyhow::Result<usize> {
        let number = u16::try_from(self.nodes.len() + 1).context("too many nodes")?;
        let (http, mesh) = (lasting_address()?, lasting_address()?);
        let door = match &self.links {
            Some(links) => Some(links.before(number, mesh).await?),
            None => None,
        };
        let at = self.folder.join(format!("node-{number}"));
        let (data, disk) = match self.disk_mib {
            None => (at, None),
            Some(mib) => (at.join("data"), Some(SmallDisk::mount(at, mib)?)),
        };
        self.nodes.push(ClusterNode { number, http, data, mesh, door, process: None, disk });
        Ok(self.nodes.len() - 1)
    }

    /// Starts `n` nodes and waits until they share the work.
    pub(crate) async fn form(&mut self, n: usize, within: Duration) -> anyhow::Result<()> {
        for _ in 0..n {
            let nth = self.add().await?;
            self.start(nth)?;
            self.ready(nth).await?;
        }
        operator::replicated(self, within).await?;
        self.settled(within).await
    }

    /// Where a node's log goes.
    pub(crate) fn log_of(&self, node: &ClusterNode) -> PathBuf {
        self.logs.join(format!("node-{}.log", node.number))
    }

    pub(crate) fn node(&self, nth: usize) -> anyhow::Result<&ClusterNode> {
        self.nodes.get(nth).with_context(|| format!("there is no node at place {nth}"))
    }

    fn node_mut(&mut self, nth: usize) -> anyhow::Result<&mut ClusterNode> {
        self.nodes.get_mut(nth).with_context(|| format!("there is no node at place {nth}"))
    }

    /// Starts a node and does not wait.
    pub(crate) fn start(&mut self, nth: usize) -> anyhow::Result<()> {
        let node = self.node(nth)?;
        let mut command = self.setup.program.serve();
        let listen = node.mesh.to_string();
        command
            .args(["--listen", &node.http.to_string(), "--mesh-listen", &listen])
            .args(["--advertise", &node.heard_at().to_string()])
            .args(["--node-number", &node.number.to_string()])
            // All load comes from one address.
            .args(["--log-level=info", "--cart-creation-rate=0"])
            .arg("--data")
            .arg(&node.data)
            .arg("--catalogue")
            .arg(&self.setup.catalogue)
            .args(&self.setup.flags);
        // The first start of the first node founds the cluster.
        let others = self.nodes.iter().filter(|other| other.number != node.number);
        for other in others.filter(|other| other.process.is_some() || other.data.exists()) {
            command.args(["--join", &other.heard_at().to_string()]);
        }
        let process = Process::launch(command, node.http, &self.log_of(node))?;
        self.node_mut(nth)?.process = Some(process);
        Ok(())
    }

    /// Waits until a node that was started serves.
    pub(crate) async fn ready(&mut self, nth: usize) -> anyhow::Result<()> {
        self.node_mut(nth)?.process_mut()?.wait_until_ready(READY_PATH).await
    }

    pub(crate) fn process_mut(&mut self, nth: usize) -> anyhow::Result<&mut Process> {
        self.node_mut(nth)?.process_mut()
    }

    /// kill -9
    pub(crate) fn kill(&mut self, nth: usize) -> anyhow::Result<ExitStatus> {
        let process = self.node_mut(nth)?.process.take();
        process.context("the node is not running")?.kill()
    }

    /// SIGTERM, and gone when this returns, of its own will.
    pub(crate) async fn drain(&mut self, nth: usize) -> anyhow::Result<ExitStatus> {
        self.node(nth)?.signal(Signal::Terminate)?;
        self.ended(nth, DRAIN_MAX).await
    }

    /// Forgets a process that ended by itself.
    pub(crate) async fn ended(
        &mut self,
        nth: usize,
        within: Duration,
    ) -> anyhow::Result<ExitStatus> {
        let node = self.node_mut(nth)?;
        let status = node.process_mut()?.ended(within).await?;
        node.process = None;
        Ok(status)
    }

    /// Waits until every shard has all its copies and every running node leads its share.
    pub(crate) async fn settled(&mut self, within: Duration) -> anyhow::Result<()> {
        let started = clock::monotonic();
        let mut found = Vec::new();
        while started.elapsed() < within {
            found = self.standings().await;
            let moving = found.iter().any(|standing| standing.is_none_or(|s| s.moving != 0));
            let led: Vec<_> = found.iter().flatten().map(|standing| standing.led).collect();
            let share = led.iter().sum::<u64>() / u64::try_from(led.len().max(1))?;
            if !moving && share > 0 && led.iter().all(|led| led.abs_diff(share) <= 1) {
                return Ok(());
            }
            tokio::time::sleep(LOOK_PAUSE).await;
        }
        anyhow::bail!("the nodes do not share the work after {within:?}: {found:?}")
    }

    /// What every running node says of itself.
    pub(crate) async fn standings(&self) -> Vec<Option<Standing>> {
        let mut all = Vec::new();
        for node in self.nodes.iter().filter(|node| node.process.is_some()) {
            all.push(Standing::of(node.http).await);
        }
        all
    }
}

impl ClusterNode {
    pub(crate) fn is_running(&self) -> bool {
        self.process.is_some()
    }

    pub(crate) fn pid(&self) -> Option<u32> {
        self.process.as_ref().map(Process::pid)
    }

    pub(crate) fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        self.process.as_ref().context("the node is not running")?.signal(signal)
    }

    fn heard_at(&self) -> SocketAddr {
        self.door.as_ref().map_or(self.mesh, |door| door.address)
    }

    fn process_mut(&mut self) -> anyhow::Result<&mut Process> {
        let number = self.number;
        self.process.as_mut().with_context(|| format!("node {number} is not running"))
    }
}

/// A node in its own words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Standing {
    /// Shards it leads.
    pub(crate) led: u64,
    /// Shards that have not all their copies where they are wanted.
    pub(crate) moving: u64,
    /// Whether it refuses changes for want of disk space.
    pub(crate) is_full: bool,
}

impl Standing {
    /// `None` if the node does not answer.
    pub(crate) async fn of(http: SocketAddr) -> Option<Self> {
        let text = exposition(http).await?;
        let read = |name| metrics::counter(&text, name);
        Some(Self {
            led: read("omnicart_cluster_shards_led")?,
            moving: read("omnicart_cluster_shards_moving")?,
            is_full: read("omnicart_storage_log_full")? != 0,
        })
    }
}

/// The metrics of a node; `None` if it does not answer.
pub(crate) async fn exposition(http: SocketAddr) -> Option<String> {
    let mut caller = Caller::new(http);
    let call = Call::new(Method::GET, "/metrics");
    let answer = tokio::time::timeout(LOOK_MAX, caller.send(&call)).await.ok()?.ok()?;
    let answer = answer.expect(StatusCode::OK).ok()?;
    String::from_utf8(answer.body.to_vec()).ok()
}
