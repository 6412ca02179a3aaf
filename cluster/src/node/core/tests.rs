//! Frames between nodes: what is together in one, and what is not let through.

use raft::eraftpb::{Entry, MessageType};

use super::*;

const ME: NodeId = NodeId(1);
const PEER: NodeId = NodeId(2);
const THIRD: NodeId = NodeId(3);

fn heartbeat(from: NodeId, to: NodeId) -> Message {
    let msg_type = MessageType::MsgHeartbeat;
    Message { msg_type, to: to.0, from: from.0, term: 4, ..Message::default() }
}

fn append(bytes: usize) -> Message {
    let entries = vec![Entry { data: vec![7; bytes].into(), ..Entry::default() }].into();
    Message { msg_type: MessageType::MsgAppend, entries, ..heartbeat(ME, PEER) }
}

fn received(from: NodeId, frame: &[u8]) -> (Vec<(ShardId, Message)>, Result<(), CarryError>) {
    let mut inputs = Vec::new();
    let result = NodeCore::new([]).receive(from, frame, &mut inputs);
    let messages = inputs.into_iter().map(|(group, input)| {
        let Input::Message(message) = input else { panic!("{input:?} in a frame") };
        (group, message)
    });
    (messages.collect(), result)
}

#[test]
fn what_all_groups_say_to_a_peer_shares_a_frame() {
    let mut core = NodeCore::new([]);
    for group in 0..256 {
        core.send(ShardId(group), PEER, &heartbeat(ME, PEER)).expect("room");
        core.send(ShardId(group), THIRD, &heartbeat(ME, THIRD)).expect("room");
    }
    let frames = core.take_frames();
    assert_eq!(frames.iter().map(|(to, _)| *to).collect::<Vec<_>>(), [PEER, THIRD]);
    let (messages, result) = received(ME, &frames[0].1);
    assert_eq!(result, Ok(()));
    let sent = (0..256).map(|group| (ShardId(group), heartbeat(ME, PEER)));
    assert_eq!(messages, sent.collect::<Vec<_>>());
    assert_eq!(core.take_frames(), []);
}

#[test]
fn frames_keep_the_order_and_fit_the_mesh() {
    let mut core = NodeCore::new([]);
    let sizes = [10, 300_000, 20, 1 << 20, 30, 40];
    for bytes in sizes {
        core.send(ShardId(3), PEER, &append(bytes)).expect("room");
    }
    let frames = core.take_frames();
    assert_eq!(frames.len(), 5, "two small ones share the last frame");
    let mut read = Vec::new();
    for (_, frame) in &frames {
        assert!(frame.len() <= crate::wire::frame::PAYLOAD_BYTES_MAX);
        let (messages, result) = received(ME, frame);
        assert_eq!(result, Ok(()));
        read.extend(messages.into_iter().map(|(_, message)| message.entries[0].data.len()));
    }
    assert_eq!(read, sizes);
}

#[test]
fn what_waits_for_a_peer_is_bounded_and_for_each_peer_alone() {
    let mut core = NodeCore::new([]);
    let mut taken = 0;
    let refused = loop {
        match core.send(ShardId(1), PEER, &append(1 << 20)) {
            Ok(()) => taken += 1,
            Err(error) => break error,
        }
    };
    assert_eq!((refused, taken), (CarryError::Full, 15));
    core.send(ShardId(1), THIRD, &append(1 << 20)).expect("another peer has its own room");
    assert_eq!(core.take_frames().len(), 16);
    core.send(ShardId(1), PEER, &append(1 << 20)).expect("there is room again");
}

#[test]
fn what_fits_no_frame_is_refused_by_name() {
    let refused = NodeCore::new([]).send(ShardId(1), PEER, &append(1_200_000));
    assert!(matches!(refused, Err(CarryError::TooLarge { .. })), "{refused:?}");
    let local = Message { msg_type: MessageType::MsgPropose, ..heartbeat(ME, PEER) };
    let refused = NodeCore::new([]).send(ShardId(1), PEER, &local);
    assert_eq!(refused, Err(CarryError::Message(MessageError::NotForPeers)));
}

#[test]
fn nothing_is_let_through_in_the_name_of_another_node() {
    let mut core = NodeCore::new([]);
    core.send(ShardId(1), PEER, &heartbeat(ME, PEER)).expect("room");
    core.send(ShardId(1), PEER, &heartbeat(THIRD, PEER)).expect("room");
    core.send(ShardId(1), PEER, &heartbeat(ME, PEER)).expect("room");
    let (messages, result) = received(ME, &core.take_frames()[0].1);
    assert_eq!(messages, [(ShardId(1), heartbeat(ME, PEER))]);
    assert_eq!(result, Err(CarryError::Posing { claimed: THIRD.0 }));
}

#[test]
fn every_group_is_ticked_at_the_same_moment() {
    let mut inputs = Vec::new();
    NodeCore::new([ShardId(0), ShardId(7)]).tick(Timestamp::ZERO, &mut inputs);
    let ticked = inputs.iter().filter(|(_, input)| matches!(input, Input::Tick));
    assert_eq!(ticked.map(|(group, _)| group.0).collect::<Vec<_>>(), [0, 7]);
}
