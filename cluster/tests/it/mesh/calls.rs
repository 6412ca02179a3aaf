//! Calls: every one ends, and says truly how.

use std::time::Duration;

use bytes::Bytes;
use cluster::ids::NodeId;
use cluster::runtime::mesh::calls::{CallError, NotSent, Unknown};
use cluster::runtime::mesh::{MeshLimits, Refused as SendRefused};
use cluster::wire::call::Refused;
use storage::clock;

use super::nodes::{Setup, limits, pair, patience, soon};

#[tokio::test(flavor = "multi_thread")]
async fn a_call_is_answered_or_refused_with_the_reason() {
    let (one, two) = pair(limits()).await;
    one.mesh.set_map_version(41);
    let reasons = [
        Refused::NotLeader { hint: Some(NodeId(3)) },
        Refused::NotLeader { hint: None },
        Refused::Busy { retry_after: Duration::from_millis(7) },
        Refused::WrongShard { map_version: 42 },
        Refused::Gone,
    ];
    let serve = async {
        let asked = two.asked().await;
        assert_eq!((asked.from, asked.map_version), (one.id(), 41));
        assert!(asked.deadline > clock::monotonic() && asked.deadline <= patience());
        let body = asked.body.clone();
        asked.reply(body);
        for reason in reasons {
            two.asked().await.refuse(reason);
        }
        drop(two.asked().await);
    };
    let call = async {
        let ask = || one.calls.call(two.id(), "tea".into(), patience());
        assert_eq!(ask().await, Ok(Bytes::from("tea")));
        for reason in reasons {
            assert_eq!(ask().await, Err(CallError::Refused(reason)));
        }
        assert_eq!(ask().await, Err(CallError::Unknown(Unknown::Abandoned)));
    };
    soon("all answers", async { tokio::join!(serve, call) }).await;
    assert_eq!(one.metric("calls_waiting{lane=\"calls\"}"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deadline_and_a_cancelled_call_leave_nothing_behind() {
    let (one, two) = pair(limits()).await;
    let brief = clock::monotonic() + Duration::from_millis(50);
    let late = one.calls.call(two.id(), "late".into(), brief).await;
    assert_eq!(late, Err(CallError::Unknown(Unknown::Deadline)));
    let mut cancelled = Box::pin(one.calls.call(two.id(), "cancelled".into(), patience()));
    let asked = tokio::select! {
        _ = &mut cancelled => panic!("nobody answered"),
        asked = async { [two.asked().await, two.asked().await] } => asked,
    };
    assert_eq!(one.metric("calls_waiting{lane=\"calls\"}"), 1);
    drop(cancelled);
    assert_eq!(one.metric("calls_waiting{lane=\"calls\"}"), 0);
    asked.into_iter().for_each(|asked| asked.reply("too late".into()));
    one.metric_reaches("answers_late_total", 2).await;
    let past = one.calls.call(two.id(), "past".into(), brief).await;
    assert_eq!(past, Err(CallError::NotSent(NotSent::TooLate)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_link_tells_what_was_not_sent_from_what_may_have_been() {
    let (one, two) = pair(MeshLimits { window_bytes: 5 << 20, ..limits() }).await;
    let body = || Bytes::from(vec![1; 1_000_000]);
    // Five fit into the window, and nobody finishes them; the others wait here.
    let calls = (0..8).map(|_| {
        let calls = one.calls.clone();
        let to = two.id();
        tokio::spawn(async move { calls.call(to, body(), patience()).await })
    });
    let calls: Vec<_> = calls.collect();
    let mut asked = Vec::new();
    while asked.len() < 5 {
        asked.push(two.asked().await);
    }
    while one.metric("calls_waiting{lane=\"calls\"}") < 8 {
        tokio::task::yield_now().await;
    }
    two.mesh.stop().await;
    let mut outcomes = Vec::new();
    for call in calls {
        outcomes.push(soon("an outcome", call).await.expect("no panic"));
    }
    let count = |wanted| outcomes.iter().filter(|outcome| **outcome == Err(wanted)).count();
    assert_eq!(count(CallError::Unknown(Unknown::LaneLost)), 5, "{outcomes:?}");
    assert_eq!(count(CallError::NotSent(NotSent::LaneLost)), 3, "{outcomes:?}");
    one.unlinked(two.id()).await;
    let down = one.calls.call(two.id(), "x".into(), patience()).await;
    assert_eq!(down, Err(CallError::NotSent(NotSent::Lane(SendRefused::Down))));
    let nobody = one.calls.call(NodeId(9), "x".into(), patience()).await;
    assert_eq!(nobody, Err(CallError::NotSent(NotSent::Lane(SendRefused::UnknownPeer))));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_nodes_that_use_up_each_others_credit_still_answer() {
    let (one, two) = pair(MeshLimits { window_bytes: 5 << 20, ..limits() }).await;
    let body = || Bytes::from(vec![1; 1_000_000]);
    let mut calls = Vec::new();
    for (from, to) in [(&one, &two), (&two, &one)] {
        for _ in 0..8 {
            let (calls_of, to) = (from.calls.clone(), to.id());
            calls.push(tokio::spawn(async move { calls_of.call(to, body(), patience()).await }));
        }
    }
    let (mut at_one, mut at_two) = (Vec::new(), Vec::new());
    while at_one.len() < 5 {
        at_one.push(one.asked().await);
        at_two.push(two.asked().await);
    }
    let answer = async {
        for asked in at_one.into_iter().chain(at_two) {
            asked.reply(vec![2; 1_000_000].into());
        }
        for _ in 0..3 {
            one.asked().await.reply(vec![2; 1_000_000].into());
            two.asked().await.reply(vec![2; 1_000_000].into());
        }
    };
    soon("all requests", answer).await;
    for call in calls {
        let outcome = soon("an answer", call).await.expect("no panic");
        assert_eq!(outcome.expect("an answer").len(), 1_000_000);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_to_a_node_that_is_not_there_says_so_at_once() {
    let one = Setup::plain(1).start().await;
    let nobody = one.calls.call(NodeId(2), "x".into(), patience()).await;
    assert_eq!(nobody, Err(CallError::NotSent(NotSent::Lane(SendRefused::UnknownPeer))));
}
