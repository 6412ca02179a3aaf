//! Nodes that cannot hear each other: at most one side of a cut answers for a shard, and a node that
//! hears nobody answers nothing, not even from what it still knows.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use cluster::fabric::{CommandError, Envelope, QueryError, Unavailable};
use cluster::ids::{NodeId, Position, ShardId};
use cluster::placement::shard_map::ShardMap;
use cluster::runtime::mesh::LinkFault;
use cluster::runtime::node::Node;
use cluster::time::{Span, Timestamp};
use storage::clock;

use crate::cluster::{Member, PATIENCE, STEP, add_one, cluster};
use crate::node::{envelope, in_ten_seconds, send, view};
use crate::tally::{Ask, Tally, TallyCommand, key};

const CUT: LinkFault =
    LinkFault { cut_out: true, cut_in: true, delay: std::time::Duration::ZERO, loss_per_mille: 0 };

/// Cuts a node off from all others, or lets it back in.
fn set_links(members: &[Member], nth: usize, fault: LinkFault) {
    let handle = members[nth].node().cluster().expect("part of a cluster");
    let others: Vec<NodeId> = handle.known().members().map(|(node, _)| node).collect();
    for node in others {
        handle.set_link_fault(node, fault);
    }
}

pub(crate) async fn until(what: &str, condition: impl AsyncFn() -> bool) {
    let waited = tokio::time::timeout(PATIENCE, async {
        while !condition().await {
            tokio::time::sleep(STEP).await;
        }
    });
    assert!(waited.await.is_ok(), "never: {what}");
}

/// Where the tally of a name is, and a position of its shard's log that was reached.
async fn written(node: &Node, name: &str) -> Position {
    let done = send(node, name, envelope(), TallyCommand::Add(1)).await.expect("added");
    done.provenance.position
}

async fn is_refused(node: &Node, name: &str, at_least: &[Position]) -> bool {
    let deadline = Timestamp::from_micros(clock::wall_micros()).plus(Span::from_millis(500));
    let read = node.fabric().query::<Tally>(key(name), at_least, deadline, Ask).await;
    let envelope = Envelope { deadline, ..envelope() };
    let added = send(node, name, envelope, TallyCommand::Add(1)).await;
    matches!(read, Err(QueryError::Unavailable(Unavailable::CutOff)))
        && matches!(added, Err(CommandError::Unavailable(Unavailable::CutOff)))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_hears_nobody_refuses_reads_too_until_it_hears_again() {
    let mut members = cluster(3).await;
    let positions = [written(members[0].node(), "a").await];
    set_links(&members, 0, CUT);
    let lonely = members[0].node();
    until("the node that is cut off says so", async || is_refused(lonely, "b", &[]).await).await;
    assert!(!lonely.is_ready());
    for name in 0..8 {
        assert!(is_refused(lonely, &format!("{name}"), &[]).await);
    }
    assert!(is_refused(lonely, "a", &positions).await, "a position it holds is no exception");
    for number in 0..8 {
        assert_eq!(add_one(members[1].node(), &format!("{number}")).await, 1);
    }
    let leads = async || lonely.status().await.iter().any(|shard| shard.leads);
    until("it leads nothing any more", async || !leads().await).await;
    set_links(&members, 0, LinkFault::default());
    until("it serves again", async || lonely.is_ready()).await;
    for number in 0..8 {
        assert_eq!(add_one(lonely, &format!("{number}")).await, 2);
    }
    for member in &mut members {
        member.stop().await;
    }
}

/// Reads on one side of a cut while the other side writes: what is answered is never older than what
/// was acknowledged before the question.
#[tokio::test(flavor = "multi_thread")]
async fn two_sides_of_a_cut_never_both_answer_for_a_shard() {
    let mut members = cluster(3).await;
    let names: Vec<String> = (0..8).map(|n| format!("{n}")).collect();
    for name in &names {
        add_one(members[0].node(), name).await;
    }
    let acknowledged: Arc<Vec<AtomicI64>> =
        Arc::new(names.iter().map(|_| AtomicI64::new(1)).collect());
    set_links(&members, 0, CUT);
    let reads = async {
        while members[0].node().is_ready() {
            for (nth, name) in names.iter().enumerate() {
                let before = acknowledged[nth].load(Ordering::SeqCst);
                let key = key(name);
                let asked = members[0].node().fabric();
                if let Ok(read) = asked.query::<Tally>(key, &[], in_ten_seconds(), Ask).await {
                    assert!(read.view.sum >= before, "{name}: {} of {before}", read.view.sum);
                }
            }
        }
    };
    let writes = async {
        for _ in 0..3 {
            for (nth, name) in names.iter().enumerate() {
                let done = send(members[1].node(), name, envelope(), TallyCommand::Add(1)).await;
                if done.is_ok() {
                    acknowledged[nth].fetch_add(1, Ordering::SeqCst);
                }
            }
        }
    };
    tokio::join!(reads, writes);
    set_links(&members, 0, LinkFault::default());
    until("it serves again", async || members[0].node().is_ready()).await;
    for (nth, name) in names.iter().enumerate() {
        let kept = view(members[0].node(), name).await.sum;
        assert!(kept >= acknowledged[nth].load(Ordering::SeqCst), "{name}");
    }
    for member in &mut members {
        member.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_of_two_nodes_goes_on_alone_and_the_second_does_not() {
    let mut members = cluster(2).await;
    set_links(&members, 0, CUT);
    let second = members[1].node();
    until("the second one says so", async || is_refused(second, "b", &[]).await).await;
    assert!(!second.is_ready());
    let map = ShardMap::even(4).expect("a few shards");
    for shard in map.shards() {
        let name = name_in(map, shard);
        assert!(is_refused(second, &name, &[]).await);
        assert_eq!(add_one(members[0].node(), &name).await, 1);
    }
    assert!(members[0].node().is_ready());
    set_links(&members, 0, LinkFault::default());
    until("it serves again", async || second.is_ready()).await;
    for shard in map.shards() {
        assert_eq!(view(second, &name_in(map, shard)).await.sum, 1);
    }
    for member in &mut members {
        member.stop().await;
    }
}

fn name_in(map: ShardMap, shard: ShardId) -> String {
    let mut names = (0..).map(|n: u32| format!("t{n}"));
    names.find(|name| map.shard_of(key(name).slot()) == shard).expect("endless")
}
