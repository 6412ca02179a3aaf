//! Several nodes of one cluster in this process, over real sockets and folders.

mod history;
mod replay;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use cluster::ids::NodeId;
use cluster::placement::member::{Levels, NodeNumber};
use cluster::runtime::feed::FeedConsumer;
use cluster::runtime::joining::MeshSettings;
use cluster::runtime::membership::PlacementRule;
use cluster::runtime::node::{Node, NodeConfig};
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;
use tempfile::TempDir;

use crate::node::{add, config, envelope, send, view};
use crate::tally::TallyCommand;

/// What anything that happens on its own may take on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
pub(crate) const STEP: Duration = Duration::from_millis(50);

pub(crate) struct Member {
    pub(crate) folder: TempDir,
    /// Where its data is instead of in `folder`.
    pub(crate) elsewhere: Option<PathBuf>,
    pub(crate) address: SocketAddr,
    pub(crate) number: u64,
    pub(crate) placement: PlacementRule,
    pub(crate) levels: Levels,
    node: Option<Node>,
    /// What the last run counted.
    registry: Registry,
    adjust: fn(NodeConfig) -> NodeConfig,
    consumers: Vec<Arc<dyn FeedConsumer>>,
}

/// A free port: taken and given back, so that a node that restarts can have it again.
fn free_address() -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("it has an address")
}

impl Member {
    pub(crate) fn new(number: u64) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        Self {
            folder,
            elsewhere: None,
            address: free_address(),
            number,
            placement: PlacementRule::default(),
            levels: Levels::OWN,
            node: None,
            registry: Registry::default(),
            adjust: |config| config,
            consumers: Vec::new(),
        }
    }

    pub(crate) fn config(&self, join: &[SocketAddr]) -> NodeConfig {
        let mesh = MeshSettings {
            number: NodeNumber::try_from(self.number).expect("a number"),
            listen: self.address,
            advertise: self.address.to_string(),
            zone: "here".to_owned(),
            certificates: None,
            join: join.iter().map(SocketAddr::to_string).collect(),
            placement: self.placement,
            levels: self.levels,
        };
        let folder: &Path = self.elsewhere.as_deref().unwrap_or(self.folder.path());
        let consumers = self.consumers.clone();
        (self.adjust)(NodeConfig { mesh: Some(mesh), consumers, ..config(folder) })
    }

    pub(crate) async fn start(&mut self, join: &[SocketAddr]) {
        let config = self.config(join);
        self.registry = Registry::default();
        let node = Node::start(config, &mut self.registry).await.expect("the node starts");
        tokio::time::timeout(PATIENCE, node.ready()).await.expect("the node gets ready");
        self.node = Some(node);
    }

    /// The value of a metric; zero when it was never set.
    pub(crate) fn metric(&self, name: &str) -> u64 {
        let mut text = String::new();
        encode(&mut text, &self.registry).expect("text");
        let value = |line: &str| {
            let rest = line.strip_prefix("omnicart_cluster_")?.strip_prefix(name)?;
            rest.strip_prefix(' ').map(|value| value.parse().expect("a number"))
        };
        text.lines().find_map(value).unwrap_or(0)
    }

    pub(crate) fn node(&self) -> &Node {
        self.node.as_ref().expect("it runs")
    }

    pub(crate) async fn stop(&mut self) {
        self.node.take().expect("it runs").stop().await;
    }
}

/// Adds one and reads the sum. While leaders change, a command may take effect and its answer be
/// lost on the way, so the answer itself is not asked for.
pub(crate) async fn add_one(node: &Node, name: &str) -> i64 {
    send(node, name, envelope(), TallyCommand::Add(1)).await.expect("adding succeeds");
    view(node, name).await.sum
}

/// Nodes 1 to `n`, each shard with three voters once there are three nodes.
pub(crate) async fn cluster(n: u64) -> Vec<Member> {
    cluster_of((1..=n).map(Member::new).collect()).await
}

async fn cluster_of(mut members: Vec<Member>) -> Vec<Member> {
    let (n, seed) = (members.len(), members[0].address);
    for member in &mut members {
        let join = if member.address == seed { vec![] } else { vec![seed] };
        member.start(&join).await;
    }
    let n_voters = if n < 3 { 1 } else { 3 };
    for member in &members {
        settled(member.node(), n_voters).await;
    }
    members
}

/// Waits until every shard has so many voters, as the node sees it.
pub(crate) async fn settled(node: &Node, n_voters: usize) {
    let handle = node.cluster().expect("part of a cluster");
    let is_settled = || {
        let cluster = handle.known();
        let shards = cluster.places().filter(|(shard, _)| !shard.is_everywhere());
        let mut all = shards.map(|(_, place)| place.voters.len() == n_voters && !place.is_moving());
        cluster.places().count() > 0 && all.all(|settled| settled)
    };
    let waited = tokio::time::timeout(PATIENCE, async {
        while !is_settled() {
            tokio::time::sleep(STEP).await;
        }
    });
    assert!(waited.await.is_ok(), "{:#?}", handle.known());
}

#[tokio::test(flavor = "multi_thread")]
async fn three_nodes_hold_every_shard_and_any_of_them_answers() {
    let mut members = cluster(1).await;
    for number in 0..20 {
        add(members[0].node(), &format!("before-{number}"), number).await;
    }
    let seed = members[0].address;
    for number in 2..=3 {
        let mut member = Member::new(number);
        member.start(&[seed]).await;
        members.push(member);
    }
    for member in &members {
        settled(member.node(), 3).await;
    }
    for (nth, member) in members.iter().enumerate() {
        for number in 0..20 {
            assert_eq!(view(member.node(), &format!("before-{number}")).await.sum, number);
            let name = format!("{nth}-{number}");
            assert_eq!(add_one(member.node(), &name).await, 1);
        }
    }
    for number in 0..20 {
        assert_eq!(add_one(members[2].node(), &format!("0-{number}")).await, 2);
    }
    for member in &mut members {
        member.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_outlives_its_leader_and_the_whole_cluster() {
    let mut members = cluster(3).await;
    for number in 0..20 {
        add_one(members[0].node(), &format!("{number}")).await;
    }
    members[0].stop().await;
    for number in 0..20 {
        assert_eq!(add_one(members[1].node(), &format!("{number}")).await, 2);
    }
    let seeds = [members[1].address, members[2].address];
    members[0].start(&seeds).await;
    for number in 0..20 {
        assert_eq!(add_one(members[0].node(), &format!("{number}")).await, 3);
    }
    for member in &mut members {
        member.stop().await;
    }
    let (one, rest) = members.split_at_mut(1);
    let (two, three) = rest.split_at_mut(1);
    tokio::join!(one[0].start(&[]), two[0].start(&[]), three[0].start(&[]));
    for number in 0..20 {
        assert_eq!(add_one(members[2].node(), &format!("{number}")).await, 4);
    }
    assert_eq!(members[2].node().cluster().expect("a cluster").known().members().count(), 3);
    for member in &mut members {
        member.stop().await;
    }
}

/// Starts a member anew with an empty folder, and waits until it holds every group.
async fn wipe(members: &mut [Member], nth: usize, seed: SocketAddr) {
    members[nth].stop().await;
    members[nth].folder = tempfile::tempdir().expect("a temporary folder");
    members[nth].start(&[seed]).await;
    let handle = members[nth].node().cluster().expect("a cluster");
    let number = NodeNumber::try_from(members[nth].number).expect("a number");
    let next = NodeId::of(number, 1);
    let is_filled = || {
        let cluster = handle.known();
        let mut places = cluster.places();
        cluster.places().count() > 0 && places.all(|(_, place)| place.voters.contains(&next))
    };
    let waited = tokio::time::timeout(PATIENCE, async {
        while !is_filled() {
            tokio::time::sleep(STEP).await;
        }
    });
    assert!(waited.await.is_ok(), "{:#?}", handle.known());
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_with_wiped_disks_come_back_as_others_and_fill_each_other() {
    let mut members = cluster(3).await;
    for number in 0..20 {
        add_one(members[0].node(), &format!("{number}")).await;
    }
    let seeds = [members[0].address, members[1].address];
    wipe(&mut members, 2, seeds[0]).await;
    let fetched = members[2].metric("fetched_bytes_total{what=\"snapshot\"}");
    assert!(fetched > 0, "it was filled by snapshots");
    let carried = members[2].metric("mesh_bytes_total{lane=\"bulk\",direction=\"in\"}");
    assert!(carried > fetched, "{carried} of {fetched} bytes came where they hold up nothing");
    assert_eq!(members[2].metric("snapshot_remaining_bytes"), 0);
    for number in 0..20 {
        assert_eq!(add_one(members[2].node(), &format!("{number}")).await, 2);
    }
    // What fills this one was itself filled by others.
    wipe(&mut members, 0, seeds[1]).await;
    for number in 0..20 {
        assert_eq!(add_one(members[0].node(), &format!("{number}")).await, 3);
    }
    for member in &mut members {
        member.stop().await;
    }
}
