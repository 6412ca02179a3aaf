//! Ports side by side: one whose other side is stuck holds up no other, and is not flooded.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cluster::entity::{Answer, Port};
use cluster::runtime::node::{Node, NodeConfig};
use cluster::runtime::ports::{InvocationId, PortAdapter, PortFuture, RetryRule};
use cluster::time::Span;
use tokio::sync::Semaphore;

use crate::node::{config, envelope, eventually, send, start_with, view};
use crate::tally::{ECHO, SLOW, TallyCommand};

/// What one port may be at, at the same time.
const ATTEMPTS_MAX: usize = 64;
const ASKED: usize = 150;

/// Answers with the request, once it is let.
struct Gate {
    port: Port,
    open: Arc<Semaphore>,
    under_way: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
    seen: Mutex<BTreeSet<InvocationId>>,
}

impl Gate {
    fn closed(port: Port) -> Arc<Self> {
        let open = Arc::new(Semaphore::new(0));
        let (under_way, most) = (Arc::default(), Arc::default());
        Arc::new(Self { port, open, under_way, most, seen: Mutex::default() })
    }

    fn open(port: Port) -> Arc<Self> {
        let gate = Self::closed(port);
        gate.let_through();
        gate
    }

    fn let_through(&self) {
        self.open.add_permits(1_000);
    }
}

impl PortAdapter for Gate {
    fn port(&self) -> Port {
        self.port
    }

    fn retry_rule(&self) -> RetryRule {
        RetryRule::Idempotent { horizon: Span::from_secs(3_600) }
    }

    fn invoke(&self, id: InvocationId, request: Vec<u8>) -> PortFuture<Answer> {
        self.seen.lock().expect("not poisoned").insert(id);
        let (open, under_way) = (Arc::clone(&self.open), Arc::clone(&self.under_way));
        let most = Arc::clone(&self.most);
        Box::pin(async move {
            most.fetch_max(under_way.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            let turn = open.acquire().await.expect("never closed");
            under_way.fetch_sub(1, Ordering::SeqCst);
            turn.forget();
            Ok(Answer::Done(request))
        })
    }

    fn ask(&self, _id: InvocationId, _request: Vec<u8>) -> PortFuture<Option<Answer>> {
        Box::pin(async { Ok(None) })
    }
}

async fn ask_slow(node: &Node) {
    for n in 0..ASKED {
        send(node, &format!("slow-{n}"), envelope(), TallyCommand::AskSlow(7))
            .await
            .expect("accepted");
    }
}

/// Waits until a port is at as much as it may be.
async fn busy(gate: &Gate) {
    for _ in 0..1_000 {
        if gate.under_way.load(Ordering::SeqCst) == ATTEMPTS_MAX {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("the port is never busy");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stuck_port_holds_up_no_other_and_answers_once_it_can() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (slow, echo) = (Gate::closed(SLOW), Gate::open(ECHO));
    let ports: Vec<Arc<dyn PortAdapter>> = vec![slow.clone(), echo];
    let node = start_with(NodeConfig { ports, ..config(folder.path()) }).await;
    ask_slow(&node).await;
    busy(&slow).await;
    send(&node, "quick", envelope(), TallyCommand::Ask(42)).await.expect("accepted");
    eventually(&node, "quick", 42).await;
    assert_eq!(slow.under_way.load(Ordering::SeqCst), ATTEMPTS_MAX);
    slow.let_through();
    for n in 0..ASKED {
        eventually(&node, &format!("slow-{n}"), 7).await;
    }
    assert_eq!(slow.most.load(Ordering::SeqCst), ATTEMPTS_MAX, "the bound held all the while");
    assert_eq!(slow.seen.lock().expect("not poisoned").len(), ASKED);
    let open: usize = node.status().await.iter().map(|shard| shard.open_invocations).sum();
    assert_eq!(open, 0);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_stuck_port_was_asked_before_a_restart_is_asked_again_and_counts_once() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let stuck = Gate::closed(SLOW);
    let ports: Vec<Arc<dyn PortAdapter>> = vec![stuck.clone()];
    let node = start_with(NodeConfig { ports, ..config(folder.path()) }).await;
    ask_slow(&node).await;
    busy(&stuck).await;
    node.stop().await;

    let mended = Gate::open(SLOW);
    let ports: Vec<Arc<dyn PortAdapter>> = vec![mended.clone()];
    let node = start_with(NodeConfig { ports, ..config(folder.path()) }).await;
    for n in 0..ASKED {
        eventually(&node, &format!("slow-{n}"), 7).await;
        assert_eq!(view(&node, &format!("slow-{n}")).await.added, [7]);
    }
    let asked_before = stuck.seen.lock().expect("not poisoned").clone();
    let asked_again = mended.seen.lock().expect("not poisoned").clone();
    assert!(asked_before.is_subset(&asked_again), "an invocation keeps its id");
    node.stop().await;
}
