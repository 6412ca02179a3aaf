//! Nodes of two versions in one cluster: what one of them cannot do, none does.

use cluster::ids::NodeId;
use cluster::placement::member::Levels;
use cluster::runtime::identity::IdentityError;
use cluster::runtime::joining::JoinError;
use cluster::runtime::node::{Node, StartError};
use prometheus_client::registry::Registry;

use crate::cluster::{Member, add_one, cluster};
use crate::partitions::until;

const NEXT: Levels = Levels { highest: Levels::OWN.highest + 1, ..Levels::OWN };

async fn restart_with(member: &mut Member, levels: Levels) {
    member.stop().await;
    member.levels = levels;
    member.start(&[]).await;
}

fn level(member: &Member) -> u32 {
    member.node().cluster().expect("a cluster").known().level()
}

/// Waits until the cluster knows what a node can do.
async fn known_to_work_up_to(member: &Member, highest: u32) {
    let handle = member.node().cluster().expect("a cluster").clone();
    let node = NodeId(member.number);
    let known = || handle.known().member(node).map(|known| known.levels.highest);
    until("the cluster knows what the node can do", async || known() == Some(highest)).await;
}

async fn start_error(member: &Member, join: &[std::net::SocketAddr]) -> StartError {
    let started = Node::start(member.config(join), &mut Registry::default()).await;
    started.err().expect("it is refused")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_level_rises_by_itself_once_the_last_node_was_upgraded_and_then_old_ones_stay_out() {
    let mut members = cluster(3).await;
    for nth in [0, 1] {
        restart_with(&mut members[nth], NEXT).await;
        known_to_work_up_to(&members[nth], NEXT.highest).await;
    }
    assert_eq!(add_one(members[0].node(), "a").await, 1);
    // Back to the old version and forth again, while one node is still old.
    for levels in [Levels::OWN, NEXT] {
        restart_with(&mut members[1], levels).await;
        known_to_work_up_to(&members[1], levels.highest).await;
        assert_eq!(level(&members[1]), Levels::OWN.highest);
    }
    assert_eq!(add_one(members[2].node(), "a").await, 2);
    restart_with(&mut members[2], NEXT).await;
    for member in &members {
        until("the level rises", async || level(member) == NEXT.highest).await;
    }
    assert_eq!(add_one(members[1].node(), "a").await, 3);

    members[2].stop().await;
    members[2].levels = Levels::OWN;
    let refused = start_error(&members[2], &[]).await;
    let level = StartError::Identity(IdentityError::Level {
        found: NEXT.highest,
        highest: Levels::OWN.highest,
    });
    assert_eq!(refused.to_string(), level.to_string());
    members[2].levels = NEXT;
    members[2].start(&[]).await;

    let newcomer = Member::new(4);
    let seed = members[0].address;
    let refused = start_error(&newcomer, &[seed]).await;
    let StartError::Join(JoinError::Refused { why }) = refused else { panic!("{refused:?}") };
    assert!(why.contains("level 2"), "{why}");
    for member in &mut members {
        member.stop().await;
    }
}
