//! Stopping: what is under way ends well, what is new is refused, what is known is kept.

use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cluster::fabric::{CommandError, Unavailable};
use cluster::runtime::feed::{FeedConsumer, NotConsumed, PublishedEvent};
use cluster::runtime::node::NodeConfig;

use crate::node::{config, envelope, send, start, start_with, view};
use crate::tally::{Tally, TallyCommand, key};

const WRITERS: usize = 32;

#[tokio::test(flavor = "multi_thread")]
async fn requests_under_way_are_acknowledged_and_new_ones_refused() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for _ in 0..5 {
        let node = start(folder.path()).await;
        let mut before = Vec::with_capacity(WRITERS);
        for n in 0..WRITERS {
            before.push(view(&node, &format!("w{n}")).await.added.len());
        }
        let done = Arc::new(AtomicUsize::new(0));
        let writers: Vec<_> = (0..WRITERS)
            .map(|n| {
                let (fabric, done) = (node.fabric(), Arc::clone(&done));
                tokio::spawn(async move {
                    let name = format!("w{n}");
                    for acknowledged in 0.. {
                        let add = TallyCommand::Add(1);
                        match fabric.execute::<Tally>(key(&name), envelope(), add).await {
                            Ok(_) => done.fetch_add(1, Ordering::Relaxed),
                            Err(CommandError::Unavailable(Unavailable::ShuttingDown)) => {
                                return acknowledged;
                            }
                            // Above all not "it may still take effect".
                            Err(other) => panic!("{other:?}"),
                        };
                    }
                    unreachable!("it writes until it is refused")
                })
            })
            .collect();
        while done.load(Ordering::Relaxed) < 200 {
            tokio::task::yield_now().await;
        }
        let fabric = node.fabric();
        node.stop().await;
        let refused =
            fabric.execute::<Tally>(key("w0"), envelope(), TallyCommand::Add(1)).await.err();
        assert!(matches!(refused, Some(CommandError::Unavailable(Unavailable::ShuttingDown))));
        let node = start(folder.path()).await;
        for (n, writer) in writers.into_iter().enumerate() {
            let acknowledged: usize = writer.await.expect("no writer panics");
            let kept = view(&node, &format!("w{n}")).await.added.len();
            assert_eq!(kept, before[n] + acknowledged, "w{n}: just what was acknowledged");
        }
        node.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_request_under_way_is_acknowledged_before_the_end() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let floor = Duration::from_millis(1);
    let node = start_with(NodeConfig { index_floor_every: floor, ..config(folder.path()) }).await;
    // Until the state index holds everything, so that stopping finds nothing else to do.
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    let fabric = node.fabric();
    let slow = tokio::spawn(async move {
        let dawdle = TallyCommand::Dawdle { ms: 300 };
        fabric.execute::<Tally>(key("slow"), envelope(), dawdle).await
    });
    tokio::time::sleep(Duration::from_millis(100)).await;
    node.stop().await;
    let answer = slow.await.expect("no panic");
    assert!(answer.is_ok(), "{answer:?}");
    let node = start(folder.path()).await;
    assert_eq!(view(&node, "slow").await.added, [1]);
    node.stop().await;
}

/// Keeps what it is given.
#[derive(Default)]
struct Keeper(Mutex<Vec<String>>);

impl FeedConsumer for Keeper {
    fn number(&self) -> u8 {
        3
    }

    fn consume(
        &self,
        events: Vec<PublishedEvent>,
    ) -> Pin<Box<dyn Future<Output = Result<(), NotConsumed>> + Send + '_>> {
        let texts = events.into_iter().map(|event| String::from_utf8(event.body).expect("text"));
        self.0.lock().expect("not poisoned").extend(texts);
        Box::pin(async { Ok(()) })
    }
}

impl Keeper {
    async fn has_kept(&self, n: usize) {
        for _ in 0..2_000 {
            if self.0.lock().expect("not poisoned").len() >= n {
                return;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        panic!("fewer than {n} events arrived");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn cursors_that_waited_for_an_entry_are_recorded_at_the_stop() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let keeper = Arc::new(Keeper::default());
    let rounds = 8;
    for round in 0..rounds {
        let consumers: Vec<Arc<dyn FeedConsumer>> = vec![keeper.clone()];
        let node = start_with(NodeConfig { consumers, ..config(folder.path()) }).await;
        let announce = TallyCommand::Announce(round.to_string());
        send(&node, "a", envelope(), announce).await.expect("accepted");
        keeper.has_kept(round + 1).await;
        // At once: the cursor waits for company until the next tick.
        node.stop().await;
    }
    let kept = keeper.0.lock().expect("not poisoned").clone();
    let once: Vec<_> = (0..rounds).map(|round| round.to_string()).collect();
    assert_eq!(kept, once, "nothing is delivered again after an orderly stop");
}
