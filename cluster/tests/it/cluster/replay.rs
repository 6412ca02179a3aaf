//! Whoever asks any node for what was published gets all of it, once, in order.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use cluster::ids::{EntityKey, ShardId};
use cluster::runtime::feed::{EventId, PublishedEvent};
use cluster::runtime::lives::{Change, ChangedBy, LifePosition};
use cluster::runtime::node::Node;
use cluster::runtime::replay::{ReplayError, ReplayPosition};

use super::history::{announce, announce_much, brief, until};
use super::{Member, add_one, cluster_of};
use crate::node::{add, envelope, send, start};
use crate::tally::{Tally, TallyCommand};

const WITHIN: Duration = Duration::from_secs(5);

fn name(event: &PublishedEvent) -> String {
    let text = std::str::from_utf8(&event.body).expect("text");
    text.trim_end_matches('.').to_owned()
}

/// Everything after a position, page by page, and where it ends.
async fn replayed(
    node: &Node,
    mut position: ReplayPosition,
    is_wanted: &(dyn Fn(&PublishedEvent) -> bool + Sync),
) -> Result<(Vec<PublishedEvent>, ReplayPosition), ReplayError> {
    const PAGE: usize = 7;
    let operations = node.operations();
    let mut events = Vec::new();
    loop {
        let page = operations.replay(position, is_wanted, PAGE, WITHIN).await?;
        assert!(page.events.len() <= PAGE);
        events.extend(page.events);
        position = ReplayPosition::from_bytes(&page.position.to_bytes()).expect("sound");
        if !page.has_more {
            return Ok((events, position));
        }
    }
}

#[track_caller]
fn once_and_in_order(events: &[PublishedEvent]) {
    let mut last = BTreeMap::<ShardId, EventId>::new();
    for event in events {
        let before = last.insert(event.id.shard, event.id);
        assert!(before < Some(event.id), "{} after {before:?}", event.id);
    }
}

/// Every change of an entity, page by page.
async fn changes(node: &Node, name: &str) -> Result<Vec<Change>, ReplayError> {
    const PAGE: usize = 3;
    let operations = node.operations();
    let (mut all, mut position) = (Vec::new(), LifePosition::default());
    loop {
        let key = EntityKey::Name(name.into());
        let page = operations.changes_of::<Tally>(key, position, PAGE, WITHIN).await?;
        assert!(page.changes.len() <= PAGE);
        all.extend(page.changes);
        position = page.position;
        if !page.has_more {
            return Ok(all);
        }
    }
}

/// With four nodes each lacks a replica of some shards, and of all of them the log is trimmed.
#[tokio::test(flavor = "multi_thread")]
async fn every_node_replays_what_was_published_in_any_shard() {
    let member = |number| Member { adjust: brief, ..Member::new(number) };
    let mut members = cluster_of((1..=4).map(member).collect()).await;
    for _ in 0..5 {
        add_one(members[0].node(), "changed").await;
    }
    let mut announced = announce_much(&members, "before").await;
    for _ in 0..5 {
        add_one(members[1].node(), "changed").await;
    }
    let mut positions = Vec::new();
    for member in &members {
        let node = member.node();
        let all = async || {
            let start = node.operations().replay_start();
            replayed(node, start, &|_| true).await.ok()
        };
        // A replica may lag, and a node may move.
        let has_all = async || {
            let names = |(events, _): (Vec<_>, _)| events.iter().map(name).collect::<BTreeSet<_>>();
            all().await.map(names).as_ref() == Some(&announced)
        };
        until("everything replayed", has_all).await;
        let (events, position) = all().await.expect("it was there before");
        once_and_in_order(&events);
        assert_eq!(events.len(), announced.len());
        positions.push(position);
        // Half of it is history, half of it may still be in the log.
        let has_changes = async || changes(node, "changed").await.is_ok_and(|all| all.len() == 10);
        until("every change", has_changes).await;
        let all = changes(node, "changed").await.expect("it was there before");
        let seqs: Vec<_> = all.iter().map(|change| change.seq).collect();
        assert_eq!(seqs, (1..=10).collect::<Vec<_>>());
        assert!(all.is_sorted_by(|one, next| one.position.index <= next.position.index));
        assert!(all.iter().all(|change| matches!(change.by, ChangedBy::Request(_))));
    }
    let later = announce(members[0].node(), "after").await;
    announced.extend(later.clone());
    // A position of one node is as good at another.
    positions.rotate_left(1);
    for (member, position) in members.iter().zip(positions) {
        let node = member.node();
        let is_rest = async || {
            let rest = replayed(node, position.clone(), &|_| true).await;
            let rest = rest.map(|(events, _)| events).unwrap_or_default();
            once_and_in_order(&rest);
            rest.iter().map(name).collect::<BTreeSet<_>>() == later
        };
        until("the rest replayed", is_rest).await;
    }
    for member in &mut members {
        member.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn publishing_takes_no_entry_of_its_own() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let node = start(folder.path()).await;
    let mut indexes = Vec::new();
    for command in [TallyCommand::Add(1), TallyCommand::Announce("x".into()), TallyCommand::Add(1)]
    {
        let done = send(&node, "a", envelope(), command).await.expect("accepted");
        indexes.push(done.provenance.position.index);
    }
    assert_eq!(indexes, [indexes[0], indexes[0] + 1, indexes[0] + 2]);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_is_wanted_is_replayed_and_nothing_of_another_cluster() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let node = start(folder.path()).await;
    for n in 0..30 {
        add(&node, "a", 1).await;
        let announced = TallyCommand::Announce(format!("news-{}", n % 10));
        send(&node, &format!("e{}", n % 3), envelope(), announced).await.expect("accepted");
    }
    let start = node.operations().replay_start();
    let wanted = |event: &PublishedEvent| name(event) == "news-7";
    let (events, _) = replayed(&node, start, &wanted).await.expect("all is here");
    assert_eq!(events.iter().map(name).collect::<Vec<_>>(), ["news-7"; 3]);
    let other = ReplayPosition::from_bytes(&[1, 1, 0, 0, 0]).expect("of two shards");
    let refused = replayed(&node, other, &|_| true).await;
    assert!(matches!(refused, Err(ReplayError::UnknownPosition)), "{refused:?}");
    node.stop().await;
}
