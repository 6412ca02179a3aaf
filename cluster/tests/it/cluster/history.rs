//! What happened before a node had its replica: it gets all of it, and its feeds miss nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use cluster::ids::ShardId;
use cluster::runtime::feed::{EventId, FeedConsumer, NotConsumed, PublishedEvent};
use cluster::runtime::node::{Node, NodeConfig};
use storage::disk::RealDisk;
use storage::history::HistoryReader;

use super::{Member, PATIENCE, STEP, cluster_of, settled, wipe};
use crate::node::{envelope, send};
use crate::persistence::segments;
use crate::tally::TallyCommand;

const SHARDS: std::ops::Range<u32> = 0..4;

/// Keeps the ids of events in order of arrival, and each with its text.
struct Listener {
    number: u8,
    heard: Mutex<BTreeMap<ShardId, Vec<(EventId, String)>>>,
}

impl Listener {
    fn new(number: u8) -> Arc<Self> {
        Arc::new(Self { number, heard: Mutex::default() })
    }

    fn heard(&self) -> BTreeMap<ShardId, Vec<(EventId, String)>> {
        self.heard.lock().expect("not poisoned").clone()
    }

    /// The first part of every text, which names the event.
    fn names(&self) -> BTreeSet<String> {
        let name = |(_, text): (EventId, String)| text.trim_end_matches('.').to_owned();
        self.heard().into_values().flatten().map(name).collect()
    }
}

impl FeedConsumer for Listener {
    fn number(&self) -> u8 {
        self.number
    }

    fn consume(
        &self,
        events: Vec<PublishedEvent>,
    ) -> Pin<Box<dyn Future<Output = Result<(), NotConsumed>> + Send + '_>> {
        let mut heard = self.heard.lock().expect("not poisoned");
        for event in events {
            let text = String::from_utf8(event.body).expect("text");
            heard.entry(event.id.shard).or_default().push((event.id, text));
        }
        Box::pin(async { Ok(()) })
    }
}

/// Everything happens within seconds: small segments, but large enough for what a node that catches
/// up writes at once, and snapshots of little.
pub(super) fn brief(config: NodeConfig) -> NodeConfig {
    NodeConfig { segment_bytes: 256 << 10, snapshot_log_bytes_min: 32 << 10, ..config }
}

pub(super) async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let waited = tokio::time::timeout(PATIENCE, async {
        while !holds().await {
            tokio::time::sleep(STEP).await;
        }
    });
    assert!(waited.await.is_ok(), "{what} never happens");
}

/// Publishes some events of every shard, and gives their names.
pub(super) async fn announce(node: &Node, round: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for n in 0..20 {
        for entity in 0..12 {
            let name = format!("{round}-{entity}-{n}");
            let text = format!("{name:.<6000}");
            let announced = TallyCommand::Announce(text);
            // An answer may be lost on the way while leaders change, but not the event.
            send(node, &format!("e{entity}"), envelope(), announced).await.expect("accepted");
            names.insert(name);
        }
    }
    names
}

/// Publishes events until nothing is left of the log as the running members had it, and gives their
/// names.
pub(super) async fn announce_much(members: &[Member], round: &str) -> BTreeSet<String> {
    const ROUNDS_MAX: usize = 20;
    let segments = |member: &Member| segments(member.folder.path());
    let running: Vec<_> = members.iter().filter(|member| member.node.is_some()).collect();
    let before: Vec<_> = running.iter().map(|member| segments(member).pop()).collect();
    let is_gone =
        |(member, last): (&&Member, &Option<String>)| segments(member).first() > last.as_ref();
    let mut names = BTreeSet::new();
    for n in 0..ROUNDS_MAX {
        names.extend(announce(members[0].node(), &format!("{round}-{n}")).await);
        if running.iter().zip(&before).all(is_gone) {
            return names;
        }
    }
    panic!("the log is not trimmed");
}

/// The indexes that a stopped member's history holds of every shard.
fn history(member: &Member) -> BTreeMap<u32, Vec<u64>> {
    let disk = Arc::new(RealDisk::open(member.folder.path()).expect("the folder opens"));
    let of = |shard| {
        let scan = HistoryReader::new(Arc::clone(&disk) as _, "history", shard, None).scan(0);
        let entries = scan.expect("it is there").map(|entry| entry.expect("it is sound").index);
        (shard, entries.collect())
    };
    SHARDS.map(of).collect()
}

/// Two histories hold the same up to where the shorter one ends, and that is far enough to tell.
#[track_caller]
fn same_history(one: &Member, other: &Member) {
    let (one, other) = (history(one), history(other));
    for (shard, one) in one {
        let other = &other[&shard];
        let common = one.len().min(other.len());
        assert!(common > 20, "shard {shard} has {common} entries in history");
        assert_eq!(one[..common], other[..common], "of shard {shard}");
    }
}

async fn whole(member: &Member) {
    until("whole history", async || member.metric("history_missing_entries") == 0).await;
}

fn fetched(member: &Member) -> u64 {
    member.metric("fetched_bytes_total{what=\"history\"}")
}

fn three(witness: &Arc<Listener>) -> Vec<Member> {
    let member = |number| {
        let consumers: Vec<Arc<dyn FeedConsumer>> = vec![Arc::clone(witness) as _];
        Member { adjust: brief, consumers, ..Member::new(number) }
    };
    (1..=3).map(member).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_feed_on_a_node_that_came_later_begins_at_the_beginning() {
    let witness = Listener::new(1);
    let mut members = cluster_of(three(&witness)).await;
    let mut announced = announce_much(&members, "before").await;
    let latecomer = Listener::new(2);
    members[2].consumers.push(Arc::clone(&latecomer) as _);
    let seeds: [SocketAddr; 2] = [members[0].address, members[1].address];
    wipe(&mut members, 2, seeds[0]).await;
    // In the middle of whatever it was at.
    let fetched_before = fetched(&members[2]);
    members[2].stop().await;
    members[2].start(&seeds).await;
    announced.extend(announce(members[0].node(), "after").await);
    until("all news", async || witness.names() == announced).await;

    let expected: BTreeMap<ShardId, BTreeSet<_>> = witness
        .heard()
        .into_iter()
        .map(|(shard, ids)| (shard, ids.into_iter().collect()))
        .collect();
    // Whatever it came to lead, it told everything of; of what it never led, nothing.
    let has_told_all = async || {
        let status = members[2].node().status().await;
        let led: Vec<_> = SHARDS.zip(&status).filter(|(_, status)| status.leads).collect();
        let heard = latecomer.heard();
        !led.is_empty()
            && led.iter().all(|(shard, _)| {
                let heard = heard.get(&ShardId(*shard)).map(Vec::as_slice).unwrap_or_default();
                let heard: BTreeSet<_> = heard.iter().cloned().collect();
                expected[&ShardId(*shard)].is_subset(&heard)
            })
    };
    until("everything told", has_told_all).await;
    for (shard, heard) in latecomer.heard() {
        in_order_without_a_gap(&heard, &expected[&shard]);
    }
    whole(&members[2]).await;
    assert!(fetched_before + fetched(&members[2]) > 0, "it had nothing of its own");
    for member in &mut members {
        member.stop().await;
    }
    same_history(&members[0], &members[2]);
}

/// Each event was first told after all those before it.
#[track_caller]
fn in_order_without_a_gap(heard: &[(EventId, String)], expected: &BTreeSet<(EventId, String)>) {
    let mut seen = BTreeSet::new();
    let firsts = heard.iter().filter(|event| seen.insert((*event).clone()));
    let firsts: Vec<_> = firsts.collect();
    for (told, expected) in firsts.iter().zip(expected) {
        assert_eq!(*told, expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_was_away_for_long_has_no_hole_in_its_history() {
    let witness = Listener::new(1);
    let mut members = cluster_of(three(&witness)).await;
    announce_much(&members, "together").await;
    let seeds = [members[0].address, members[1].address];
    for absence in 0..2 {
        members[2].stop().await;
        announce_much(&members, &format!("without-{absence}")).await;
        members[2].start(&seeds).await;
        announce(members[1].node(), &format!("again-{absence}")).await;
        let filled = "fetched_bytes_total{what=\"snapshot\"}";
        until("a snapshot", async || members[2].metric(filled) > 0).await;
        // The first time, it is away again before its history is whole, or hardly later.
        if absence > 0 {
            whole(&members[2]).await;
        }
    }
    for member in &members {
        settled(member.node(), 3).await;
    }
    for member in &mut members {
        member.stop().await;
    }
    same_history(&members[0], &members[2]);
}
