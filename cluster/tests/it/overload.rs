//! More requests than a cluster can take: clients are refused, peers are not.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use cluster::fabric::{CommandError, Unavailable};
use cluster::ids::NodeId;
use cluster::placement::shard_map::ShardMap;
use cluster::runtime::node::{Node, NodeConfig};
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;
use tokio::task::JoinSet;

use crate::cluster::{Member, settled};
use crate::node::{envelope, send, view};
use crate::tally::TallyCommand;

const N_NAMES: u64 = 16;
/// Small, so that a crowd is a crowd.
const QUEUE_BYTES: usize = 64 << 10;
const CROWD: u64 = 3_000;
const BODY_BYTES: usize = 2_000;

struct Crowded {
    node: Arc<Node>,
    registry: Registry,
}

impl Crowded {
    async fn start(number: u64, join: &[std::net::SocketAddr]) -> (Self, Member) {
        let member = Member::new(number);
        let config = NodeConfig { shard_queue_bytes_max: QUEUE_BYTES, ..member.config(join) };
        let mut registry = Registry::default();
        let node = Node::start(config, &mut registry).await.expect("the node starts");
        node.ready().await;
        (Self { node: Arc::new(node), registry }, member)
    }

    /// Frames of replication that were given up for want of room.
    fn raft_drops(&self) -> u64 {
        let mut text = String::new();
        encode(&mut text, &self.registry).expect("metrics are text");
        let drops = text.lines().filter(|line| {
            line.starts_with("omnicart_cluster_mesh_drops_total") && line.contains("lane=\"raft\"")
        });
        let value =
            |line: &str| line.rsplit(' ').next().and_then(|value| value.parse::<u64>().ok());
        drops.filter_map(value).sum()
    }

    async fn terms(&self) -> Vec<u64> {
        self.node.status().await.iter().map(|shard| shard.term).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn full_queues_of_clients_neither_delay_nor_refuse_what_peers_send() {
    let (first, member) = Crowded::start(1, &[]).await;
    let seed = [member.address];
    let (second, _second) = Crowded::start(2, &seed).await;
    let (third, _third) = Crowded::start(3, &seed).await;
    let nodes = [first, second, third];
    for crowded in &nodes {
        settled(&crowded.node, 3).await;
    }
    let known = || nodes[0].node.cluster().expect("a cluster").known();
    crate::partitions::until("every shard is led where it is wanted", async || {
        let status = nodes[0].node.status().await;
        let map = ShardMap::even(4).expect("a few shards");
        map.shards().zip(status).all(|(shard, status)| {
            let leader = if status.leads { Some(NodeId(1)) } else { status.leader };
            known().place(shard).is_some_and(|place| place.wanted.first().copied() == leader)
        }) && known().places().any(|(_, place)| place.wanted.first() == Some(&NodeId(3)))
    })
    .await;
    let before = nodes[0].terms().await;
    let (taken, refused) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let mut crowd = JoinSet::new();
    for nth in 0..CROWD {
        let node = Arc::clone(&nodes[usize::try_from(nth % 3).expect("small")].node);
        let (taken, refused) = (Arc::clone(&taken), Arc::clone(&refused));
        crowd.spawn(async move {
            let weigh = TallyCommand::Weigh(vec![7; BODY_BYTES]);
            match send(&node, &format!("{}", nth % N_NAMES), envelope(), weigh).await {
                Ok(_) => taken.fetch_add(1, Ordering::Relaxed),
                Err(CommandError::Unavailable(Unavailable::Busy { .. })) => {
                    refused.fetch_add(1, Ordering::Relaxed)
                }
                Err(error) => panic!("{error:?}"),
            };
        });
    }
    while let Some(done) = crowd.join_next().await {
        done.expect("taken or refused");
    }
    let (taken, refused) = (taken.load(Ordering::Relaxed), refused.load(Ordering::Relaxed));
    assert!(refused > 0 && taken > 0, "{taken} taken, {refused} refused");
    let mut sum = 0;
    for name in 0..N_NAMES {
        sum += view(&nodes[0].node, &format!("{name}")).await.sum;
    }
    assert_eq!(u64::try_from(sum), Ok(taken), "what was refused had no effect");
    // No leader lost its followers, or they it: nobody stood for election.
    assert_eq!(nodes[0].terms().await, before);
    for crowded in nodes {
        assert_eq!(crowded.raft_drops(), 0);
        Arc::into_inner(crowded.node).expect("nobody else has it").stop().await;
    }
}
