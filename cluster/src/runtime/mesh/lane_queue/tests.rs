use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::wire::frame::HEADER_BYTES;

const BOUNDS: Bounds = Bounds { queue_bytes_max: 8 << 20, window: WINDOW_BYTES_MIN };
const FIRST: ConnectionId = ConnectionId(1);
const SECOND: ConnectionId = ConnectionId(2);

fn opened(lane: Lane, credit: u64) -> LaneQueue {
    let queue = LaneQueue::new(lane, BOUNDS);
    assert!(queue.open(FIRST, credit).displaced.is_none());
    queue
}

fn payload(bytes: usize) -> Bytes {
    vec![7; bytes].into()
}

fn taken(queue: &LaneQueue) -> u64 {
    let mut buffer = BytesMut::new();
    queue.take(FIRST, 0, &mut buffer).expect("the connection is open").frames
}

#[test]
fn what_waits_is_bounded_in_bytes() {
    let queue = opened(Lane::Bulk, 0);
    let mut waiting = 0;
    while waiting <= BOUNDS.queue_bytes_max && queue.push(payload(100_000)).is_ok() {
        waiting += 100_000;
    }
    assert_eq!(queue.push(payload(100_000)), Err(Refused::Full));
    assert!(waiting <= BOUNDS.queue_bytes_max && waiting > BOUNDS.queue_bytes_max - 200_000);
    assert_eq!(queue.push_answer(FIRST, payload(9)), Ok(()), "answers have room of their own");
}

#[test]
fn a_frame_that_fits_nowhere_is_refused_by_size() {
    let queue = opened(Lane::Bulk, 0);
    let bytes = PAYLOAD_BYTES_MAX + 1;
    assert_eq!(queue.push(payload(bytes)), Err(Refused::TooLarge { bytes }));
    assert!(queue.push(payload(PAYLOAD_BYTES_MAX)).is_ok());
}

#[test]
fn no_more_is_sent_than_was_granted() {
    let queue = opened(Lane::Calls, 3 * charge(0));
    for _ in 0..5 {
        queue.push(payload(0)).expect("room");
    }
    assert_eq!(taken(&queue), 3);
    assert_eq!(taken(&queue), 0);
    queue.credited(SECOND, 1 << 20);
    assert_eq!(taken(&queue), 0, "another connection's credit is not this one's");
    queue.credited(FIRST, charge(0));
    assert_eq!(taken(&queue), 1);
    queue.push_answer(FIRST, payload(0)).expect("room");
    assert_eq!(taken(&queue), 1, "an answer needs no credit");
}

#[test]
fn a_lane_without_credit_sends_what_it_has() {
    let queue = opened(Lane::Raft, 0);
    queue.push(payload(100)).expect("room");
    assert_eq!(taken(&queue), 1);
}

#[test]
fn a_peer_that_sends_more_than_it_was_granted_is_found_out() {
    let queue = opened(Lane::Bulk, 0);
    let largest = charge(PAYLOAD_BYTES_MAX);
    for _ in 0..3 {
        assert_eq!(queue.arrived(FIRST, Class::Data, largest), Arrival::Welcome);
    }
    assert_eq!(queue.arrived(FIRST, Class::Data, largest), Arrival::Overrun);
    queue.finished(FIRST, largest);
    assert_eq!(queue.arrived(FIRST, Class::Data, largest), Arrival::Overrun, "not granted yet");
    assert_eq!(taken(&queue), 1, "the grant");
    assert_eq!(queue.arrived(FIRST, Class::Data, largest), Arrival::Welcome);
}

#[test]
fn raft_frames_without_room_are_dropped() {
    let queue = opened(Lane::Raft, 0);
    let largest = charge(PAYLOAD_BYTES_MAX);
    let arrivals = [(); 4].map(|()| queue.arrived(FIRST, Class::Data, largest));
    assert_eq!(arrivals[2..], [Arrival::Welcome, Arrival::Dropped]);
    queue.finished(FIRST, largest);
    assert_eq!(queue.arrived(FIRST, Class::Data, largest), Arrival::Welcome);
}

#[test]
fn what_a_lost_connection_had_not_sent_is_told() {
    let queue = opened(Lane::Calls, charge(0));
    for n in 1..=3 {
        queue.push(payload(n)).expect("room");
    }
    assert_eq!(taken(&queue), 1);
    let displaced = queue.open(SECOND, 0).displaced.expect("the first");
    assert_eq!(displaced, (FIRST, vec![payload(2), payload(3)]));
    assert_eq!(queue.arrived(FIRST, Class::Data, 1), Arrival::Stale);
    assert!(queue.take(FIRST, 0, &mut BytesMut::new()).is_none());
    assert_eq!(queue.end_of(FIRST), None);
    assert_eq!(queue.end_of(SECOND), Some(vec![]));
    assert_eq!(queue.push(payload(1)), Err(Refused::Down));
}

proptest! {
    /// Two ends of a lane, whatever is sent and whenever it is finished: credit is neither lost
    /// nor made, and all that was pushed arrives.
    #[test]
    fn credit_is_conserved(steps in vec((0..400_000_usize, any::<bool>()), 1..200)) {
        let (here, there) = (opened(Lane::Bulk, BOUNDS.window), opened(Lane::Bulk, 0));
        let (mut pushed, mut arrived) = (0, 0);
        let mut unfinished = VecDeque::new();
        let mut carry = |finish_all: bool| -> Result<(), TestCaseError> {
            let mut buffer = BytesMut::new();
            here.take(FIRST, 0, &mut buffer).expect("open");
            while !buffer.is_empty() {
                let head = buffer.split_to(HEADER_BYTES);
                let header = Header::decode(head.as_ref().try_into().expect("a header"));
                let cost = charge(buffer.split_to(header.expect("readable").payload_bytes).len());
                prop_assert_eq!(there.arrived(FIRST, Class::Data, cost), Arrival::Welcome);
                unfinished.push_back(cost);
                arrived += 1;
            }
            while let Some(cost) = unfinished.pop_front() {
                there.finished(FIRST, cost);
                if !finish_all {
                    break;
                }
            }
            there.take(FIRST, 0, &mut buffer).expect("open");
            if let Some(grant) = buffer.get(HEADER_BYTES..) {
                let grant = crate::wire::frame::decode_credit(grant).expect("a grant");
                here.credited(FIRST, grant);
            }
            Ok(())
        };
        for (bytes, finish_all) in steps {
            if here.push(payload(bytes)).is_ok() {
                pushed += 1;
            }
            carry(finish_all)?;
        }
        for _ in 0..1_000 {
            carry(true)?;
        }
        prop_assert_eq!(arrived, pushed);
    }
}
