//! Replicas that are moved away leave nothing behind, and nodes that are gone leave their places.

use std::collections::BTreeSet;
use std::time::Duration;

use cluster::ids::{NodeId, ShardId};
use cluster::placement::cluster::{Cluster, Command, Fewer};
use cluster::placement::member::Standing;
use cluster::placement::shard_map::ShardMap;
use cluster::runtime::membership::PlacementRule;
use cluster::runtime::node::Node;
use prometheus_client::registry::Registry;

use crate::cluster::{Member, PATIENCE, add_one, cluster, settled};
use crate::node::view;
use crate::partitions::until;

const N_SHARDS: u32 = 4;
const N_NAMES: i64 = 20;

/// The shards that a node has no part in.
fn not_on(cluster: &Cluster, node: NodeId) -> BTreeSet<ShardId> {
    let shards = cluster.places().filter(|(shard, _)| *shard != ShardId::META);
    shards.filter(|(_, place)| !place.voters.contains(&node)).map(|(shard, _)| shard).collect()
}

/// Whether a node holds something of each of its shards and nothing of all others.
async fn holds_its_shards_alone(node: &Node, id: NodeId) -> bool {
    let without = not_on(&node.cluster().expect("a cluster").known(), id);
    let map = ShardMap::even(N_SHARDS).expect("a few shards");
    let status = node.status().await;
    map.shards().zip(status).all(|(shard, status)| {
        let is_blank = (status.commit, status.applied, status.entities) == (0, 0, 0);
        is_blank == without.contains(&shard)
    })
}

fn files_of(member: &Member, shards: &BTreeSet<ShardId>) -> Vec<String> {
    let Ok(names) = std::fs::read_dir(member.folder.path().join("snapshots")) else {
        return Vec::new();
    };
    let names = names.map(|name| name.expect("an entry").file_name().into_string().expect("text"));
    let of =
        |name: &String| shards.iter().any(|s| name.starts_with(&format!("snapshot-{:010}-", s.0)));
    names.filter(of).collect()
}

async fn add_to_all(node: &Node, sum: i64) {
    for number in 0..N_NAMES {
        assert_eq!(add_one(node, &format!("{number}")).await, sum);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_moved_away_is_gone_from_disk_and_memory_and_comes_back_whole() {
    let mut members = cluster(3).await;
    add_to_all(members[0].node(), 1).await;
    let seed = members[0].address;
    members.push(Member::new(4));
    members[3].start(&[seed]).await;
    let fourth = NodeId(4);
    let handle = members[0].node().cluster().expect("a cluster").clone();
    until("shards move to the fourth node", async || {
        let cluster = handle.known();
        cluster.member(fourth).is_some() && not_on(&cluster, fourth).len() < N_SHARDS as usize
    })
    .await;
    for member in &members {
        settled(member.node(), 3).await;
        let id = NodeId(member.number);
        until("only its own shards are left on a node", async || {
            holds_its_shards_alone(member.node(), id).await
        })
        .await;
    }
    add_to_all(members[3].node(), 2).await;
    // What is gone stays gone.
    for member in &mut members[..3] {
        member.stop().await;
        member.start(&[]).await;
        let without = {
            let handle = member.node().cluster().expect("a cluster");
            not_on(&handle.known(), NodeId(member.number))
        };
        assert!(holds_its_shards_alone(member.node(), NodeId(member.number)).await);
        assert_eq!(files_of(member, &without), Vec::<String>::new());
    }
    // The fourth node leaves, and its shards go back to those that had let go of them.
    let handle = members[0].node().cluster().expect("a cluster").clone();
    let (to, fewer) = (Standing::Leaving, Fewer::Refuse);
    handle.execute(Command::SetStanding { node: fourth, to, fewer }).await.expect("four are left");
    until("the fourth node holds nothing", async || {
        not_on(&handle.known(), fourth).len() == N_SHARDS as usize
    })
    .await;
    settled(members[0].node(), 3).await;
    until("and gave back what it held", async || {
        holds_its_shards_alone(members[3].node(), fourth).await
    })
    .await;
    members[3].stop().await;
    for member in &members[..3] {
        for number in 0..N_NAMES {
            assert_eq!(view(member.node(), &format!("{number}")).await.sum, 2);
        }
    }
    add_to_all(members[1].node(), 3).await;
    for member in &mut members[..3] {
        member.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_silent_for_too_long_is_replaced_where_there_is_a_spare_one() {
    let replace_after = Duration::from_secs(4);
    let placement = PlacementRule { replace_after, ..PlacementRule::default() };
    let mut members: Vec<_> = (1..=4).map(Member::new).collect();
    for member in &mut members {
        member.placement = placement;
    }
    let seed = members[0].address;
    members[0].start(&[]).await;
    for member in &mut members[1..] {
        member.start(&[seed]).await;
    }
    settled(members[0].node(), 3).await;
    add_to_all(members[0].node(), 1).await;
    members[1].stop().await;
    let gone = NodeId(2);
    let handle = members[0].node().cluster().expect("a cluster").clone();
    until("no group has a place for it any more", async || {
        let cluster = handle.known();
        let mut places = cluster.places();
        let has_none = places.all(|(_, place)| {
            !place.voters.contains(&gone) && !place.wanted.contains(&gone) && !place.is_moving()
        });
        has_none && cluster.member(gone).is_some_and(|known| known.standing == Standing::Lost)
    })
    .await;
    settled(members[0].node(), 3).await;
    add_to_all(members[2].node(), 2).await;
    // Its place is taken, so its folder is of no use to anybody.
    let node = Node::start(members[1].config(&[seed]), &mut Registry::default()).await;
    let node = node.expect("the folder can be read");
    let why = tokio::time::timeout(PATIENCE, node.refused()).await.expect("it is refused in time");
    assert!(why.contains("given up") && why.contains("empty"), "{why}");
    node.stop().await;
    members[1].folder = tempfile::tempdir().expect("a temporary folder");
    members[1].start(&[seed]).await;
    for number in 0..N_NAMES {
        assert_eq!(view(members[1].node(), &format!("{number}")).await.sum, 2);
    }
    for member in &mut members {
        member.stop().await;
    }
}
