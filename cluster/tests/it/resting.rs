//! Groups of a cluster that nobody asks anything.

use cluster::ids::ShardId;

use crate::cluster::{Member, PATIENCE, STEP, add_one, cluster};

/// The groups of a node. Without anybody who reads it, `catalogue` is not asked how far it is.
async fn n_groups(member: &Member) -> u64 {
    let shards = member.node().status().await.len();
    u64::try_from(shards + ShardId::EVERYWHERE.len()).expect("a few")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_groups_of_an_idle_cluster_rest_and_answer_when_asked() {
    let members = cluster(3).await;
    assert_eq!(add_one(members[0].node(), "tea").await, 1);
    let groups = n_groups(&members[0]).await;
    let rest = async {
        while members.iter().any(|member| member.metric("groups_resting") < groups) {
            tokio::time::sleep(STEP).await;
        }
    };
    let rested = tokio::time::timeout(PATIENCE, rest).await;
    let resting: Vec<_> = members.iter().map(|member| member.metric("groups_resting")).collect();
    assert!(rested.is_ok(), "{resting:?} of {groups} rest");
    assert_eq!(add_one(members[1].node(), "tea").await, 2);
}
