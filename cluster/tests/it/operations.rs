//! What operators see and do, on several nodes in this process.

use std::time::Duration;

use cluster::fabric::{CommandError, Envelope};
use cluster::ids::{NodeId, ShardId};
use cluster::placement::cluster::{Command, Fewer, Rejection};
use cluster::placement::member::Standing;
use cluster::placement::survey::{Serving, ShardView, Survey};
use cluster::placement::tolerance::Risk;
use cluster::runtime::node::Node;
use cluster::time::{Span, Timestamp};
use storage::clock;

use crate::cluster::{Member, PATIENCE, STEP, add_one, cluster};
use crate::node::start;

const LOOK: Duration = Duration::from_secs(3);

async fn survey(node: &Node) -> Survey {
    node.operations().survey(&[], LOOK).await.expect("a survey").survey
}

async fn change(node: &Node, command: Command) -> Result<(), CommandError<Rejection>> {
    let now = Timestamp::from_micros(clock::wall_micros());
    let deadline = now.plus(Span::from_secs(10));
    let envelope = Envelope::until(deadline);
    node.operations().execute(&envelope, command).await.map(drop)
}

async fn set_standing(node: &Node, of: NodeId, to: Standing, fewer: Fewer) {
    let command = Command::SetStanding { node: of, to, fewer };
    change(node, command).await.expect("the cluster takes it");
}

/// Looks until something is so.
async fn until(node: &Node, what: &str, is_so: impl Fn(&Survey) -> bool) -> Survey {
    let looked = tokio::time::timeout(PATIENCE, async {
        loop {
            let survey = survey(node).await;
            if is_so(&survey) {
                return survey;
            }
            tokio::time::sleep(STEP).await;
        }
    });
    match looked.await {
        Ok(survey) => survey,
        Err(_) => panic!("{what} in time: {:#?}", survey(node).await.shards()),
    }
}

fn n_led(survey: &Survey, node: NodeId) -> usize {
    survey.nodes().iter().find(|view| view.node == node).expect("a member").n_led
}

/// How many shards a node leads, of those that are not everywhere.
fn n_shards(survey: &Survey, node: u64) -> usize {
    let led =
        |view: &&ShardView<'_>| view.leader == Some(NodeId(node)) && !view.shard.is_everywhere();
    survey.shards().iter().filter(led).count()
}

fn all_serve(survey: &Survey) -> bool {
    survey.shards().iter().all(|shard| shard.serving == Serving::Yes)
}

fn standing(survey: &Survey, node: NodeId) -> Standing {
    survey.cluster.member(node).expect("a member").standing
}

async fn stop(members: &mut [Member]) {
    for member in members {
        member.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_alone_shows_itself() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let node = start(folder.path()).await;
    let survey = survey(&node).await;
    assert_eq!(survey.risk(), Some(Risk::TooFewNodes { nodes: 1 }));
    assert_eq!((survey.nodes().len(), survey.shards().len()), (1, 6));
    assert!(all_serve(&survey), "{:#?}", survey.shards());
    let drained =
        Command::SetStanding { node: NodeId(1), to: Standing::Draining, fewer: Fewer::Refuse };
    let refused = change(&node, drained).await;
    assert!(
        matches!(refused, Err(CommandError::Rejected { rejection: Rejection::NotFounded, .. })),
        "{refused:?}"
    );
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn any_node_answers_for_all_and_says_who_did_not() {
    let mut members = cluster(3).await;
    for member in &members {
        let whole = until(member.node(), "everybody answers", |survey| {
            all_serve(survey) && survey.risk().is_none()
        });
        let whole = whole.await;
        assert_eq!(whole.nodes().len(), 3);
        assert!(whole.shards().iter().all(|shard| shard.replicas.len() == 3));
        assert!(whole.nodes().iter().all(|node| node.unlinked_from.is_empty()));
    }
    members[2].stop().await;
    let missing = NodeId(3);
    let partial = until(members[0].node(), "shards are led by others", |survey| {
        all_serve(survey) && survey.unanswered().contains(&missing)
    });
    let partial = partial.await;
    assert!(matches!(partial.risk(), Some(Risk::Silent { .. })), "{:?}", partial.risk());
    // Alone, a node shows what it knows and claims no more.
    members[1].stop().await;
    until(members[0].node(), "it gives up all leads", |survey| {
        survey.unanswered().len() == 2
            && survey.shards().iter().all(|shard| shard.serving != Serving::Yes)
    })
    .await;
    let looked = members[0].node().operations().survey(&[], LOOK).await.expect("a survey");
    assert!(looked.agreed.is_none(), "nobody can agree");
    members[0].stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drained_node_leads_nothing_and_keeps_its_replicas() {
    let mut members = cluster(3).await;
    let drained = NodeId(2);
    let operator = members[0].node();
    set_standing(operator, drained, Standing::Draining, Fewer::Refuse).await;
    let survey = until(operator, "it leads nothing", |survey| {
        n_led(survey, drained) == 0
            && survey.shards().iter().all(|shard| shard.leader != Some(drained))
            && all_serve(survey)
    });
    let survey = survey.await;
    assert!(survey.shards().iter().all(|shard| shard.voters.contains(&drained)));
    assert_eq!(add_one(members[1].node(), "a").await, 1);
    let refused = change(operator, Command::Transfer { shard: ShardId(0), to: drained }).await;
    assert!(matches!(
        refused,
        Err(CommandError::Rejected { rejection: Rejection::MayNotLead { .. }, .. })
    ));
    set_standing(operator, drained, Standing::Active, Fewer::Refuse).await;
    until(operator, "it leads again", |survey| n_led(survey, drained) > 0).await;
    stop(&mut members).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transferred_and_a_pinned_shard_are_led_where_they_were_sent() {
    let mut members = cluster(3).await;
    let operator = members[0].node();
    // One that leads more than others, so that none has reason to move the lead back: of four shards
    // and three nodes, once they are spread.
    let spread = |survey: &Survey| all_serve(survey) && (1..=3).all(|n| n_shards(survey, n) > 0);
    let survey = until(operator, "leads are spread", spread).await;
    let n_led_by = |node: &u64| n_shards(&survey, *node);
    let from = NodeId((1..=3).max_by_key(n_led_by).expect("three nodes"));
    let to = NodeId((1..=3).min_by_key(n_led_by).expect("three nodes"));
    let is_led = |view: &ShardView<'_>| view.leader == Some(from) && !view.shard.is_everywhere();
    let shard = survey.shards().into_iter().find(is_led).expect("it leads one").shard;
    let led_by = |node: NodeId| {
        move |survey: &Survey| {
            let mut views = survey.shards().into_iter();
            let view = views.find(|view| view.shard == shard).expect("it is there");
            view.leader == Some(node) && all_serve(survey)
        }
    };
    change(operator, Command::Transfer { shard, to }).await.expect("it may lead");
    until(operator, "the lead has gone over", led_by(to)).await;
    change(operator, Command::Pin { shard, to: Some(from) }).await.expect("it holds a replica");
    until(operator, "the lead is where it is pinned", led_by(from)).await;
    let refused = change(operator, Command::Transfer { shard, to }).await;
    assert!(matches!(
        refused,
        Err(CommandError::Rejected { rejection: Rejection::Pinned { .. }, .. })
    ));
    stop(&mut members).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_node_hands_everything_over_and_is_dropped() {
    let mut members = cluster(4).await;
    for number in 0..20 {
        add_one(members[0].node(), &format!("{number}")).await;
    }
    let removed = NodeId(4);
    let operator = members[0].node();
    set_standing(operator, removed, Standing::Leaving, Fewer::Refuse).await;
    let survey =
        until(operator, "it is dropped", |survey| standing(survey, removed) == Standing::Removed);
    let survey = survey.await;
    assert!(survey.shards().iter().all(|shard| !shard.voters.contains(&removed)));
    let next =
        Command::SetStanding { node: NodeId(3), to: Standing::Leaving, fewer: Fewer::Refuse };
    let refused = change(operator, next).await;
    assert!(
        matches!(
            refused,
            Err(CommandError::Rejected { rejection: Rejection::TooFewRemain { left: 2 }, .. })
        ),
        "{refused:?}"
    );
    for number in 0..20 {
        assert_eq!(add_one(members[1].node(), &format!("{number}")).await, 2);
    }
    stop(&mut members).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn three_nodes_become_two_with_one_copy_by_a_clear_word() {
    let mut members = cluster(3).await;
    for number in 0..20 {
        add_one(members[0].node(), &format!("{number}")).await;
    }
    let removed = NodeId(1);
    let operator = members[1].node();
    set_standing(operator, removed, Standing::Leaving, Fewer::Accept).await;
    let survey =
        until(operator, "it is dropped", |survey| standing(survey, removed) == Standing::Removed);
    let survey = survey.await;
    assert_eq!(survey.risk(), Some(Risk::TooFewNodes { nodes: 2 }));
    assert!(survey.shards().iter().all(|shard| shard.voters.len() == 1));
    members[0].stop().await;
    for number in 0..20 {
        assert_eq!(add_one(members[2].node(), &format!("{number}")).await, 2);
    }
    stop(&mut members[1..]).await;
}
