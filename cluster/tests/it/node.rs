//! One node on a real folder: what is acknowledged is there after a restart, and nothing twice.

use std::collections::BTreeSet;
use std::path::Path;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use cluster::entity::{Answer, Port};
use cluster::fabric::{CommandError, Envelope, Executed, OutcomeKey, Precondition};
use cluster::ids::ShardId;
use cluster::runtime::feed::{EventId, FeedConsumer, NotConsumed, PublishedEvent};
use cluster::runtime::node::{Node, NodeConfig, StartError};
use cluster::runtime::ports::{InDoubt, InvocationId, PortAdapter, PortFuture, RetryRule};
use cluster::shard::kind::Kinds;
use cluster::time::{Span, Timestamp};
use prometheus_client::registry::Registry;
use storage::clock;

use crate::tally::{Ask, ECHO, NegativeSum, Sum, Tally, TallyCommand, TallyView, key};

pub(crate) fn config(folder: &Path) -> NodeConfig {
    NodeConfig {
        n_shards: Some(4),
        segment_bytes: 4 << 20,
        ..NodeConfig::new(folder.to_owned(), Kinds::default().with::<Tally>())
    }
}

pub(crate) async fn start(folder: &Path) -> Node {
    start_with(config(folder)).await
}

pub(crate) async fn start_with(config: NodeConfig) -> Node {
    let node = Node::start(config, &mut Registry::default()).await.expect("the node starts");
    node.ready().await;
    node
}

pub(crate) fn in_ten_seconds() -> Timestamp {
    Timestamp::from_micros(clock::wall_micros()).plus(Span::from_secs(10))
}

pub(crate) fn envelope() -> Envelope {
    Envelope::until(in_ten_seconds())
}

fn keyed(scope: u8, request: u8) -> Envelope {
    let not_after = in_ten_seconds().plus(Span::from_secs(3_600));
    let key = OutcomeKey { scope: [scope; 16], request: [request; 16], not_after };
    Envelope { key: Some(key), ..envelope() }
}

pub(crate) async fn send(
    node: &Node,
    name: &str,
    envelope: Envelope,
    command: TallyCommand,
) -> Result<Executed<Sum>, CommandError<NegativeSum>> {
    node.fabric().execute::<Tally>(key(name), envelope, command).await
}

pub(crate) async fn add(node: &Node, name: &str, amount: i64) -> i64 {
    let done = send(node, name, envelope(), TallyCommand::Add(amount)).await;
    done.expect("adding succeeds").reply.expect("a first answer has its reply").0
}

pub(crate) async fn view(node: &Node, name: &str) -> TallyView {
    let viewed = node.fabric().query::<Tally>(key(name), &[], in_ten_seconds(), Ask).await;
    viewed.expect("reading succeeds").view
}

/// Waits for something that happens on its own, within bounds.
pub(crate) async fn eventually(node: &Node, name: &str, sum: i64) {
    for _ in 0..500 {
        if view(node, name).await.sum == sum {
            return;
        }
        tokio::task::yield_now().await;
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    assert_eq!(view(node, name).await.sum, sum);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_is_there_after_a_restart() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let node = start(folder.path()).await;
    for amount in 1..=50 {
        add(&node, "a", amount).await;
        add(&node, "b", 1).await;
    }
    node.stop().await;
    let node = start(folder.path()).await;
    assert_eq!(view(&node, "a").await.added, (1..=50).collect::<Vec<_>>());
    assert_eq!(add(&node, "b", 1).await, 51);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_commands_on_one_entity_are_serial() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let node = Arc::new(start(folder.path()).await);
    let tasks: Vec<_> = (0..200)
        .map(|_| {
            let node = Arc::clone(&node);
            tokio::spawn(async move { add(&node, "a", 1).await })
        })
        .collect();
    let mut sums = Vec::new();
    for task in tasks {
        sums.push(task.await.expect("no task panics"));
    }
    sums.sort_unstable();
    assert_eq!(sums, (1..=200).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_keyed_command_is_answered_again_across_a_restart() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let node = start(folder.path()).await;
    let first = send(&node, "a", keyed(1, 1), TallyCommand::Add(5)).await.expect("accepted");
    let refused = send(&node, "a", keyed(2, 1), TallyCommand::Add(-9)).await;
    assert!(matches!(refused, Err(CommandError::Rejected { .. })));
    add(&node, "a", 100).await;
    node.stop().await;

    let node = start(folder.path()).await;
    let again = send(&node, "a", keyed(1, 1), TallyCommand::Add(5)).await.expect("known");
    assert_eq!(again.reply, first.reply);
    assert!(again.provenance.replayed);
    assert_eq!(again.provenance.seq, first.provenance.seq);
    let conflict = send(&node, "a", keyed(1, 2), TallyCommand::Add(5)).await;
    assert!(matches!(conflict, Err(CommandError::KeyConflict)));
    // It would be accepted by now, but a refusal under a key stands.
    let refused = send(&node, "a", keyed(2, 1), TallyCommand::Add(-9)).await;
    assert!(matches!(refused, Err(CommandError::Rejected { .. })));
    assert_eq!(view(&node, "a").await.sum, 105);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_precondition_is_checked_where_the_command_is_decided() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let node = start(folder.path()).await;
    add(&node, "a", 1).await;
    // An entity without a tally does not exist, whatever happened to it.
    let later = TallyCommand::AddLater { amount: 1, after_ms: 60_000 };
    send(&node, "touched", envelope(), later).await.expect("accepted");
    for (entity, precondition, holds) in [
        ("a", Precondition::Seq(0), false),
        ("a", Precondition::Seq(1), true),
        ("a", Precondition::Exists, true),
        ("a", Precondition::Absent, false),
        ("touched", Precondition::Exists, false),
        ("touched", Precondition::Absent, true),
        ("none", Precondition::Exists, false),
        ("none", Precondition::Absent, true),
        ("none", Precondition::Absent, false),
    ] {
        let envelope = Envelope { precondition, ..envelope() };
        match send(&node, entity, envelope, TallyCommand::Add(1)).await {
            Ok(_) => assert!(holds, "{entity} {precondition:?}"),
            Err(CommandError::PreconditionFailed { .. }) => {
                assert!(!holds, "{entity} {precondition:?}");
            }
            Err(error) => panic!("{error}"),
        }
    }
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tells_arrive_once_within_and_across_shards() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let node = start(folder.path()).await;
    let others: Vec<_> = (0..20).map(|n| format!("other-{n}")).collect();
    for _ in 0..10 {
        let command = TallyCommand::AddAndTell { amount: 1, to: others.clone() };
        send(&node, "source", envelope(), command).await.expect("accepted");
    }
    for other in &others {
        eventually(&node, other, 10).await;
    }
    node.stop().await;
    let node = start(folder.path()).await;
    for other in &others {
        assert_eq!(view(&node, other).await.added, vec![1; 10]);
    }
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_timer_fires_once_even_if_the_node_was_down() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let node = start(folder.path()).await;
    let later = TallyCommand::AddLater { amount: 1, after_ms: 300 };
    send(&node, "a", envelope(), later.clone()).await.expect("accepted");
    send(&node, "b", envelope(), later).await.expect("accepted");
    send(&node, "b", envelope(), TallyCommand::CancelLater).await.expect("accepted");
    node.stop().await;
    let node = start(folder.path()).await;
    eventually(&node, "a", 1_000).await;
    assert_eq!(view(&node, "b").await.sum, 0);
    node.stop().await;
    let node = start(folder.path()).await;
    assert_eq!(view(&node, "a").await.added, [1_000]);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_is_contained_to_its_command() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let node = start(folder.path()).await;
    add(&node, "a", 1).await;
    for command in [TallyCommand::PanicInDecide, TallyCommand::PanicInApply] {
        let refused = send(&node, "a", envelope(), command).await;
        assert!(matches!(refused, Err(CommandError::Panicked)));
    }
    assert_eq!(add(&node, "a", 1).await, 2);
    assert_eq!(view(&node, "a").await.added, [1, 1]);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_does_not_outgrow_its_limit() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let node = start(folder.path()).await;
    send(&node, "a", envelope(), TallyCommand::Grow(50_000)).await.expect("fits");
    let refused = send(&node, "a", envelope(), TallyCommand::Grow(100_000)).await;
    assert!(matches!(refused, Err(CommandError::RecordFull)));
    assert_eq!(view(&node, "a").await.added.len(), 50_000);
    node.stop().await;
}

/// Echoes a request; the first attempt of each is lost on the way.
struct Echo {
    attempts: AtomicU64,
}

impl PortAdapter for Echo {
    fn port(&self) -> Port {
        ECHO
    }

    fn retry_rule(&self) -> RetryRule {
        RetryRule::AskFirst
    }

    fn invoke(&self, _id: InvocationId, request: Vec<u8>) -> PortFuture<Answer> {
        let lost = self.attempts.fetch_add(1, Ordering::Relaxed) == 0;
        Box::pin(async move {
            if lost { Err(InDoubt("no answer".to_owned())) } else { Ok(Answer::Done(request)) }
        })
    }

    fn ask(&self, _id: InvocationId, _request: Vec<u8>) -> PortFuture<Option<Answer>> {
        Box::pin(async { Ok(None) })
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_is_asked_until_it_answers_and_its_answer_counts_once() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let echo = Arc::new(Echo { attempts: AtomicU64::new(0) });
    let ports: Vec<Arc<dyn PortAdapter>> = vec![echo.clone()];
    let node = start_with(NodeConfig { ports, ..config(folder.path()) }).await;
    send(&node, "a", envelope(), TallyCommand::Ask(42)).await.expect("accepted");
    eventually(&node, "a", 42).await;
    node.stop().await;
    let node = start(folder.path()).await;
    assert_eq!(view(&node, "a").await.added, [42]);
    assert_eq!(echo.attempts.load(Ordering::Relaxed), 2);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn entities_leave_memory_and_come_back_as_they_were() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let tight = || NodeConfig { resident_bytes_max: 64 << 10, ..config(folder.path()) };
    let node = start_with(tight()).await;
    for round in 1..=3 {
        for n in 0..1_000 {
            assert_eq!(add(&node, &format!("t{n}"), 1).await, round);
        }
    }
    let status = node.status().await;
    let (hot, all) =
        status.iter().fold((0, 0), |(hot, all), s| (hot + s.hot_entities, all + s.entities));
    assert_eq!(all, 1_000);
    assert!(hot < 700, "{hot} of {all} entities stayed in memory");
    node.stop().await;
    let node = start_with(tight()).await;
    for n in 0..1_000 {
        assert_eq!(view(&node, &format!("t{n}")).await.added, [1, 1, 1]);
    }
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_serves_one_process_and_one_shard_count() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let node = start(folder.path()).await;
    let second = Node::start(config(folder.path()), &mut Registry::default()).await;
    assert!(matches!(second.err(), Some(StartError::Lock(_))));
    node.stop().await;
    let other = NodeConfig { n_shards: Some(8), ..config(folder.path()) };
    let refused = Node::start(other, &mut Registry::default()).await;
    assert!(matches!(refused.err(), Some(StartError::Identity(_))));
}

/// Keeps what was announced, refusing every third batch at first.
#[derive(Default)]
struct Reader {
    kept: Mutex<Vec<(EventId, String)>>,
    asked: AtomicU64,
}

impl FeedConsumer for Reader {
    fn number(&self) -> u8 {
        1
    }

    fn consume(
        &self,
        events: Vec<PublishedEvent>,
    ) -> Pin<Box<dyn Future<Output = Result<(), NotConsumed>> + Send + '_>> {
        let refused = self.asked.fetch_add(1, Ordering::Relaxed) == 2;
        if !refused {
            let text = |event: PublishedEvent| String::from_utf8(event.body).expect("text");
            let kept = events.into_iter().map(|event| (event.id, text(event)));
            self.kept.lock().expect("not poisoned").extend(kept);
        }
        Box::pin(
            async move { if refused { Err(NotConsumed("not now".to_owned())) } else { Ok(()) } },
        )
    }
}

/// Elsewhere events are told before what they tell of is committed, twice, or in no order (medusa#15122,
/// vendure#4416, saleor#10165, saleor#13542, saleor#14251, saleor#14925).
#[tokio::test(flavor = "multi_thread")]
async fn the_feed_gives_every_event_in_order_and_goes_on_after_a_restart() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let reader = Arc::new(Reader::default());
    let with = || {
        let consumers: Vec<Arc<dyn FeedConsumer>> = vec![reader.clone()];
        NodeConfig { consumers, ..config(folder.path()) }
    };
    let announce = |n: u64| TallyCommand::Announce(n.to_string());
    let node = start_with(with()).await;
    for n in 0..20 {
        send(&node, "a", envelope(), announce(n)).await.expect("accepted");
        send(&node, "b", envelope(), announce(n)).await.expect("accepted");
    }
    kept_at_least(&reader, 40).await;
    node.stop().await;
    // Nobody listens meanwhile; the events wait in the log.
    let node = start(folder.path()).await;
    send(&node, "a", envelope(), announce(20)).await.expect("accepted");
    node.stop().await;
    let node = start_with(with()).await;
    kept_at_least(&reader, 41).await;
    node.stop().await;
    let mut kept = reader.kept.lock().expect("not poisoned").clone();
    let delivered = kept.len();
    kept.sort();
    kept.dedup();
    assert_eq!(kept.len(), 41);
    assert!(delivered < 60, "the cursor was not kept: {delivered} deliveries of 41 events");
    let of = |shard| kept.iter().filter(move |(id, _)| id.shard == shard).map(|(_, text)| text);
    for shard in (0..4).map(ShardId) {
        let told: Vec<u64> = of(shard).map(|text| text.parse().expect("a number")).collect();
        assert!(told.is_sorted(), "{told:?}");
    }
}

async fn kept_at_least(reader: &Reader, n: usize) {
    for _ in 0..1_000 {
        let kept = reader.kept.lock().expect("not poisoned").clone();
        let distinct: BTreeSet<_> = kept.iter().map(|(id, _)| *id).collect();
        if distinct.len() >= n {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("fewer than {n} events arrived");
}
