//! Memory is bounded on both sides, whatever the other does.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};
use cluster::ids::NodeId;
use cluster::runtime::mesh::{MeshLimits, PeerAddress, Refused};
use cluster::wire::Lane;
use cluster::wire::frame::{Header, Kind, PAYLOAD_BYTES_MAX, charge};
use tokio::io::AsyncWriteExt;

use super::nodes::{Setup, limits, pair, patience, raw_lane, soon};

const FRAME_BYTES: usize = 100_000;

fn small() -> MeshLimits {
    MeshLimits { window_bytes: 5 << 20, queue_bytes_max: 2 << 20, ..limits() }
}

/// A frame that tells its place.
fn numbered(n: usize) -> Bytes {
    let mut bytes = n.to_le_bytes().to_vec();
    bytes.resize(FRAME_BYTES, 0);
    bytes.into()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_receiver_bounds_both_sides_and_loses_nothing() {
    let (one, two) = pair(small()).await;
    let fits = |bytes: u64| usize::try_from(bytes / charge(FRAME_BYTES)).expect("fits");
    let (window, queue) = (fits(small().window_bytes), fits(small().queue_bytes_max));
    let (mut sent, mut held) = (0, VecDeque::new());
    // Until the window is under way and the queue is full, there is room sooner or later.
    while sent < window + queue {
        match one.mesh.send(two.id(), Lane::Bulk, numbered(sent)) {
            Ok(_) => sent += 1,
            Err(Refused::Full) => held.push_back(two.frame().await),
            Err(refused) => panic!("{refused}"),
        }
    }
    while held.len() < window {
        held.push_back(two.frame().await);
    }
    assert_eq!(one.mesh.send(two.id(), Lane::Bulk, numbered(sent)), Err(Refused::Full));
    // Another lane is not held up, and once it has spoken, so would have what credit forbids.
    one.send(&two, Lane::Control, "meanwhile");
    assert_eq!(two.frame().await.payload, "meanwhile");
    assert!(two.heard_nothing().await, "what was not granted was not sent");
    for n in 0..sent {
        let frame = match held.pop_front() {
            Some(frame) => frame,
            None => two.frame().await,
        };
        assert_eq!(frame.payload, numbered(n));
    }
    assert!(one.metric("drops_total{lane=\"bulk\",direction=\"out\"}") > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transfer_that_uses_up_its_lane_holds_up_no_call() {
    let (one, two) = pair(small()).await;
    let fits = (small().window_bytes / charge(FRAME_BYTES))
        + (small().queue_bytes_max / charge(FRAME_BYTES));
    for (from, to) in [(&one, &two), (&two, &one)] {
        let full = async {
            let mut sent = 0;
            // Until the window is under way and the queue is full, there is room sooner or later.
            while sent < fits {
                match from.mesh.send(to.id(), Lane::Bulk, numbered(0)) {
                    Ok(_) => sent += 1,
                    Err(_) => tokio::task::yield_now().await,
                }
            }
        };
        soon("a full lane", full).await;
    }
    // What was received is kept, so nothing of it is granted again.
    for (from, to) in [(&one, &two), (&two, &one)] {
        let body = Bytes::from(vec![7; FRAME_BYTES]);
        let call = from.calls.call(to.id(), body.clone(), patience());
        let serve = async { to.asked().await.reply(body.clone()) };
        let (answer, ()) = soon("an answer", async { tokio::join!(call, serve) }).await;
        assert_eq!(answer, Ok(body.clone()));
        assert_eq!(from.mesh.send(to.id(), Lane::Bulk, numbered(0)), Err(Refused::Full));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn raft_frames_that_nobody_handles_are_dropped_and_counted() {
    let (one, two) = pair(small()).await;
    let mut held = Vec::new();
    let dropped = "drops_total{lane=\"raft\",direction=\"in\"}";
    let flood = async {
        while two.metric(dropped) == 0 {
            if one.mesh.send(two.id(), Lane::Raft, numbered(0)).is_err() {
                tokio::task::yield_now().await;
            }
        }
    };
    soon("a drop", flood).await;
    while let Ok(frame) = two.frames.lock().await.try_recv() {
        held.push(frame);
    }
    let bytes: usize = held.iter().map(|frame| frame.payload.len()).sum();
    assert!(u64::try_from(bytes).expect("fits") <= small().window_bytes, "{bytes} are held");
    drop(held);
    let link = one.links("a look", |_| true).await;
    assert!(link[&two.id()].is_whole(), "the link is not to blame");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_largest_frame_fits_and_one_byte_more_does_not() {
    let (one, two) = pair(small()).await;
    for _ in 0..20 {
        one.send(&two, Lane::Bulk, vec![1; PAYLOAD_BYTES_MAX]);
        assert_eq!(two.frame().await.payload.len(), PAYLOAD_BYTES_MAX);
    }
    let bytes = PAYLOAD_BYTES_MAX + 1;
    let refused = one.mesh.send(two.id(), Lane::Bulk, vec![1; bytes].into());
    assert_eq!(refused, Err(Refused::TooLarge { bytes }));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_takes_more_than_it_was_granted_loses_its_connection() {
    let two = Setup { limits: small(), ..Setup::plain(2) }.start().await;
    two.mesh.set_peer(NodeId(1), PeerAddress("127.0.0.1:1".to_owned()));
    let mut lane = raw_lane(&two, Lane::Bulk, 1).await;
    let mut frame = BytesMut::new();
    Header { kind: Kind::Data, map_version: 0, payload_bytes: FRAME_BYTES }.encode(&mut frame);
    frame.extend_from_slice(&[0; FRAME_BYTES]);
    let mut held = Vec::new();
    let fits = small().window_bytes / charge(FRAME_BYTES);
    for _ in 0..fits {
        lane.write_all(&frame).await.expect("written");
        held.push(two.frame().await);
    }
    // Refused while it is written, or after.
    drop(lane.write_all(&frame).await);
    two.unlinked(NodeId(1)).await;
    assert!(two.heard_nothing().await, "what is too much is not handled");
}
