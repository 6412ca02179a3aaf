//! Data folders that were set back to an older copy: they may not vote, say so, and nothing is lost.

use std::fs;
use std::path::Path;
use std::time::Duration;

use cluster::fabric::{Envelope, Unavailable};
use cluster::ids::{NodeId, ShardId};
use cluster::placement::member::NodeNumber;
use cluster::runtime::membership::PlacementRule;
use cluster::runtime::node::Node;
use cluster::time::{Span, Timestamp};
use prometheus_client::registry::Registry;
use storage::clock;

use crate::cluster::{Member, PATIENCE, add_one, cluster};
use crate::node::{envelope, in_ten_seconds, send, view};
use crate::partitions::until;
use crate::tally::{Ask, Tally, TallyCommand, key};

const N_NAMES: i64 = 10;

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if from.is_dir() {
            copy(&from, &to);
        } else {
            fs::copy(&from, &to).expect("a copy");
        }
    }
}

async fn add_to_all(node: &Node, sum: i64) {
    for number in 0..N_NAMES {
        assert_eq!(add_one(node, &format!("{number}")).await, sum);
    }
}

/// Starts a node that is to be refused, and gives it with the reason.
async fn refused(member: &Member, join: &[std::net::SocketAddr]) -> (Node, String) {
    let node = Node::start(member.config(join), &mut Registry::default()).await;
    let node = node.expect("the folder can be read");
    let why = tokio::time::timeout(PATIENCE, node.refused()).await;
    (node, why.expect("it is refused in time"))
}

/// Whether a command is taken within a moment.
async fn is_taken(node: &Node) -> bool {
    let deadline = Timestamp::from_micros(clock::wall_micros()).plus(Span::from_secs(3));
    let envelope = Envelope { deadline, ..envelope() };
    send(node, "0", envelope, TallyCommand::Add(1)).await.is_ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_copy_of_a_folder_is_refused_and_an_empty_one_takes_its_place() {
    let mut members = cluster(3).await;
    add_to_all(members[0].node(), 1).await;
    members[2].stop().await;
    let old = tempfile::tempdir().expect("a temporary folder");
    copy(members[2].folder.path(), old.path());
    members[2].start(&[]).await;
    add_to_all(members[2].node(), 2).await;
    members[2].stop().await;
    members[2].folder = old;

    let (node, why) = refused(&members[2], &[]).await;
    assert!(why.contains("older copy") && why.contains("empty folder"), "{why}");
    assert!(!node.is_ready());
    let read = node.fabric().query::<Tally>(key("0"), &[], in_ten_seconds(), Ask).await;
    assert!(matches!(read, Err(cluster::fabric::QueryError::Unavailable(Unavailable::CutOff))));
    // Its vote would make a majority with one other node, and it has none.
    members[1].stop().await;
    assert!(!is_taken(members[0].node()).await, "the older copy votes");
    assert!(node.status().await.iter().all(|shard| !shard.leads));
    node.stop().await;
    members[1].start(&[]).await;

    members[2].folder = tempfile::tempdir().expect("a temporary folder");
    let seed = members[0].address;
    members[2].start(&[seed]).await;
    let next = NodeId::of(NodeNumber::try_from(3).expect("a number"), 1);
    let handle = members[2].node().cluster().expect("a cluster").clone();
    until("the new node holds everything", async || {
        let cluster = handle.known();
        let mut places = cluster.places();
        cluster.places().count() > 0 && places.all(|(_, place)| place.voters.contains(&next))
    })
    .await;
    for number in 1..N_NAMES {
        assert_eq!(view(members[2].node(), &format!("{number}")).await.sum, 2);
    }
    for member in &mut members {
        member.stop().await;
    }
}

/// All start at once and nobody leads whom one could ask: the others' memory is enough.
#[tokio::test(flavor = "multi_thread")]
async fn an_older_copy_among_nodes_that_all_start_anew_is_refused_too() {
    let mut members = cluster(3).await;
    members[0].stop().await;
    let old = tempfile::tempdir().expect("a temporary folder");
    copy(members[0].folder.path(), old.path());
    members[0].start(&[]).await;
    add_to_all(members[0].node(), 1).await;
    for member in &mut members {
        member.stop().await;
    }
    members[0].folder = old;
    let (one, rest) = members.split_at_mut(1);
    let (two, three) = rest.split_at_mut(1);
    let (_, _, (node, why)) =
        tokio::join!(two[0].start(&[]), three[0].start(&[]), refused(&one[0], &[]));
    assert!(why.contains("older copy"), "{why}");
    add_to_all(members[1].node(), 2).await;
    node.stop().await;
    for member in &mut members[1..] {
        member.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_folder_is_counted_again_and_again() {
    let count_every = Duration::from_millis(100);
    let mut member = Member::new(1);
    member.placement = PlacementRule { count_every, ..PlacementRule::default() };
    member.start(&[]).await;
    let handle = member.node().cluster().expect("a cluster").clone();
    let counted = || handle.known().member(NodeId(1)).map_or(0, |known| known.start.epoch);
    until("it counts to five", async || counted() >= 5).await;
    assert!(handle.known().place(ShardId::META).is_some());
    member.stop().await;
    member.start(&[]).await;
    let handle = member.node().cluster().expect("a cluster").clone();
    let counted = || handle.known().member(NodeId(1)).map_or(0, |known| known.start.epoch);
    until("it goes on counting", async || counted() >= 8).await;
    member.stop().await;
}
