//! Links that come, break and come back.

use std::time::Duration;

use cluster::ids::NodeId;
use cluster::runtime::mesh::{LinkFault, Links, MeshLimits, PeerAddress, Refused};
use cluster::wire::Lane;
use cluster::wire::greeting::BootId;
use tokio::io::AsyncReadExt;

use super::nodes::{Setup, limits, pair, raw_lane, soon};

fn nowhere() -> PeerAddress {
    PeerAddress("127.0.0.1:1".to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_lower_node_dials() {
    let (one, two) = (Setup::plain(1).start().await, Setup::plain(2).start().await);
    two.mesh.set_peer(one.id(), nowhere());
    one.knows(&two);
    one.linked(&two).await;
    two.linked(&one).await;
    assert_eq!(two.metric("redials_total"), 0);
    assert_eq!((one.metric("lanes_up"), two.metric("lanes_up")), (4, 4));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_address_is_tried_at_once() {
    let hour = Duration::from_secs(3_600);
    let limits = MeshLimits { redial_min: hour, redial_max: hour, ..limits() };
    let one = Setup { limits, ..Setup::plain(1) }.start().await;
    let two = Setup::plain(2).start().await;
    two.knows(&one);
    one.mesh.set_peer(two.id(), nowhere());
    one.metric_reaches("redials_total", 1).await;
    one.knows(&two);
    one.linked(&two).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_peer_is_silent_until_it_is_added_again() {
    let (one, two) = pair(limits()).await;
    two.mesh.remove_peer(one.id());
    one.unlinked(two.id()).await;
    assert_eq!(two.mesh.send(one.id(), Lane::Raft, "x".into()), Err(Refused::UnknownPeer));
    assert_eq!(two.mesh.last_heard(one.id()), None);
    one.metric_reaches("handshakes_failed_total{direction=\"out\",reason=\"refused\"}", 2).await;
    assert!(two.heard_nothing().await);
    two.knows(&one);
    one.linked(&two).await;
    one.send(&two, Lane::Raft, "again");
    assert_eq!(two.frame().await.payload, "again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restarted_peer_is_known_by_its_boot() {
    let (one, two) = pair(limits()).await;
    let listen = two.mesh.address().to_string();
    two.mesh.stop().await;
    one.unlinked(two.id()).await;
    assert_eq!(one.mesh.send(two.id(), Lane::Bulk, "x".into()), Err(Refused::Down));
    let mut lanes = Vec::new();
    while lanes.len() < 4 {
        let lost = soon("a lost lane", async { one.lost.lock().await.recv().await }).await;
        lanes.push(lost.expect("open").lane);
    }
    lanes.sort();
    assert_eq!(lanes, Lane::ALL);
    drop(two);
    let two = Setup { boot: 2, listen, ..Setup::plain(2) }.start().await;
    two.knows(&one);
    one.linked(&two).await;
    let links = one.links("the new boot", |links| {
        links.get(&NodeId(2)).is_some_and(|link| link.boot == Some(BootId(2)))
    });
    assert!(links.await[&NodeId(2)].is_whole());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_cannot_be_heard_loses_all_its_lanes_and_comes_back() {
    let silence_max = Duration::from_millis(500);
    let (one, two) = pair(MeshLimits { silence_max, ..limits() }).await;
    two.mesh.set_fault(one.id(), LinkFault { cut_out: true, ..LinkFault::default() });
    one.unlinked(two.id()).await;
    two.mesh.set_fault(one.id(), LinkFault::default());
    one.linked(&two).await;
    one.mesh.set_fault(two.id(), LinkFault { cut_in: true, ..LinkFault::default() });
    one.unlinked(two.id()).await;
    one.mesh.set_fault(two.id(), LinkFault::default());
    one.linked(&two).await;
    two.linked(&one).await;
    two.send(&one, Lane::Bulk, "mended");
    assert_eq!(one.frame().await.payload, "mended");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_peer_is_heard_from() {
    let (one, two) = pair(limits()).await;
    let first = one.mesh.last_heard(two.id());
    one.metric_reaches("frames_total{lane=\"raft\",direction=\"in\"}", 3).await;
    assert!(one.mesh.last_heard(two.id()) > first);
    assert!(one.heard_nothing().await, "a heartbeat is no frame for the node");
    assert_eq!(one.metric("frames_total{lane=\"bulk\",direction=\"in\"}"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lossy_link_loses_raft_frames_alone() {
    let (one, two) = pair(limits()).await;
    one.mesh.set_fault(two.id(), LinkFault { loss_per_mille: 1_000, ..LinkFault::default() });
    assert_eq!(one.mesh.send(two.id(), Lane::Raft, "lost".into()), Err(Refused::Full));
    one.send(&two, Lane::Bulk, "kept");
    assert_eq!(two.frame().await.payload, "kept");
    one.mesh.set_fault(two.id(), LinkFault::default());
    one.send(&two, Lane::Raft, "whole again");
    assert_eq!(two.frame().await.payload, "whole again");
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_of_a_peers_former_run_end_when_it_is_heard_from_anew() {
    let two = Setup::plain(2).start().await;
    two.mesh.set_peer(NodeId(1), nowhere());
    let mut former = raw_lane(&two, Lane::Bulk, 1).await;
    let same = raw_lane(&two, Lane::Calls, 1).await;
    let both = |links: &Links| links[&NodeId(1)].lanes == [Lane::Calls, Lane::Bulk];
    two.links("two lanes of one run", both).await;
    let anew = raw_lane(&two, Lane::Control, 2).await;
    let only = |links: &Links| links[&NodeId(1)].lanes == [Lane::Control];
    let links = two.links("the end of the former run", only).await;
    assert_eq!(links[&NodeId(1)].boot, Some(BootId(2)));
    assert_eq!(soon("an end", former.read(&mut [0; 1])).await.unwrap_or(0), 0);
    drop((same, anew));
}
