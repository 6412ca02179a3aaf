//! The format of messages: round trips, refusals, golden bytes.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

fn entry() -> impl Strategy<Value = Entry> {
    let kinds = prop_oneof![
        Just(EntryType::EntryNormal),
        Just(EntryType::EntryConfChange),
        Just(EntryType::EntryConfChangeV2)
    ];
    (kinds, any::<u64>(), any::<u64>(), vec(any::<u8>(), 0..40)).prop_map(
        |(entry_type, term, index, data)| Entry {
            entry_type,
            term,
            index,
            data: data.into(),
            ..Entry::default()
        },
    )
}

fn snapshot() -> impl Strategy<Value = Snapshot> {
    let ids = || vec(any::<u64>(), 0..5);
    let conf = (ids(), ids(), ids(), ids(), any::<bool>());
    (any::<u64>(), any::<u64>(), conf, vec(any::<u8>(), 0..90)).prop_map(
        |(index, term, (voters, learners, voters_outgoing, learners_next, auto_leave), data)| {
            let mut metadata = SnapshotMetadata { index, term, ..SnapshotMetadata::default() };
            metadata.set_conf_state(ConfState {
                voters,
                learners,
                voters_outgoing,
                learners_next,
                auto_leave,
                ..ConfState::default()
            });
            let mut snapshot = Snapshot { data: data.into(), ..Snapshot::default() };
            snapshot.set_metadata(metadata);
            snapshot
        },
    )
}

fn message() -> impl Strategy<Value = Message> {
    let kind = (0..KINDS.len()).prop_map(|nth| KINDS[nth].1);
    let numbers = vec(prop_oneof![any::<u64>(), 0..300_u64], 9);
    let rest = (any::<bool>(), 0..i64::MAX, vec(any::<u8>(), 0..CONTEXT_BYTES_MAX));
    let lists = (vec(entry(), 0..6), proptest::option::of(snapshot()));
    (kind, numbers, rest, lists).prop_map(
        |(msg_type, numbers, (reject, priority, context), (entries, snapshot))| {
            let mut message = Message {
                msg_type,
                to: numbers[0],
                from: numbers[1],
                term: numbers[2],
                log_term: numbers[3],
                index: numbers[4],
                commit: numbers[5],
                commit_term: numbers[6],
                request_snapshot: numbers[7],
                reject_hint: numbers[8],
                reject,
                priority,
                context: context.into(),
                entries: entries.into(),
                ..Message::default()
            };
            if let Some(snapshot) = snapshot {
                message.set_snapshot(snapshot);
            }
            message
        },
    )
}

fn encoded(shard: ShardId, message: &Message) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode(shard, message, &mut bytes).expect("a message for peers");
    bytes
}

proptest! {
    #[test]
    fn a_message_reads_as_it_was_written(shard in any::<u32>(), message in message()) {
        let shard = ShardId(shard);
        prop_assert_eq!(decode(&encoded(shard, &message)), Ok((shard, message)));
    }

    #[test]
    fn bytes_that_are_read_are_the_only_ones_that_say_so(
        message in message(),
        at in any::<usize>(),
        bit in 0..8_u32,
    ) {
        let mut bytes = encoded(ShardId(7), &message);
        let at = at % bytes.len();
        bytes[at] ^= 1 << bit;
        if let Ok((shard, read)) = decode(&bytes) {
            prop_assert_eq!(encoded(shard, &read), bytes);
        }
    }

    #[test]
    fn a_message_cut_short_is_refused(message in message(), at in any::<usize>()) {
        let bytes = encoded(ShardId(7), &message);
        let cut = at % bytes.len();
        prop_assert!(decode(&bytes[..cut]).is_err());
    }

    #[test]
    fn no_bytes_make_the_decoder_panic(bytes in vec(any::<u8>(), 0..400)) {
        drop(decode(&bytes));
        drop(decode(&[&[VERSION, 1, 9], bytes.as_slice()].concat()));
    }
}

#[test]
fn a_replica_says_some_things_only_to_itself() {
    for kind in [
        MessageType::MsgPropose,
        MessageType::MsgHup,
        MessageType::MsgBeat,
        MessageType::MsgUnreachable,
        MessageType::MsgSnapStatus,
        MessageType::MsgCheckQuorum,
        MessageType::MsgTransferLeader,
    ] {
        let message = Message { msg_type: kind, ..Message::default() };
        let mut out = vec![5];
        let refused = encode(ShardId(0), &message, &mut out);
        assert_eq!((refused, out), (Err(MessageError::NotForPeers), vec![5]));
    }
    let mut forged = encoded(ShardId(0), &Message { msg_type: KINDS[0].1, ..Message::default() });
    for code in (0..=u8::MAX).filter(|code| kind_of(*code).is_none()) {
        forged[2] = code;
        assert_eq!(decode(&forged), Err(MessageError::NotForPeers));
    }
}

#[test]
fn a_claimed_count_reserves_nothing() {
    let mut bytes = encoded(ShardId(0), &Message { msg_type: KINDS[0].1, ..Message::default() });
    bytes.truncate(bytes.len() - 2);
    push_number(&mut bytes, u64::from(u32::MAX));
    assert_eq!(decode(&bytes), Err(MessageError::Truncated("count of entries")));
}

#[test]
fn a_message_of_version_1_is_read_for_ever() {
    let entries = vec![
        Entry { term: 3, index: 300, data: vec![0xaa, 0xbb].into(), ..Entry::default() },
        Entry {
            entry_type: EntryType::EntryConfChangeV2,
            term: 3,
            index: 301,
            // What raft-rs wants to see, and what is sent.
            data: vec![1, 2, 3].into(),
            context: vec![9].into(),
            ..Entry::default()
        },
    ];
    let append = Message {
        msg_type: MessageType::MsgAppend,
        to: 2,
        from: 1,
        term: 3,
        log_term: 2,
        index: 299,
        commit: 298,
        entries: entries.into(),
        ..Message::default()
    };
    check(&append, "0105010201030 2ab02aa02 0000 00 00 00 00 02 0003ac0202aabb 0203ad020109 00");
    let mut metadata = SnapshotMetadata { index: 128, term: 2, ..SnapshotMetadata::default() };
    metadata.set_conf_state(ConfState {
        voters: vec![1, 2, 3],
        learners: vec![4],
        auto_leave: true,
        ..ConfState::default()
    });
    let mut snapshot = Snapshot { data: vec![7, 7].into(), ..Snapshot::default() };
    snapshot.set_metadata(metadata);
    let mut offer =
        Message { msg_type: MessageType::MsgSnapshot, to: 3, from: 1, ..Message::default() };
    offer.set_snapshot(snapshot);
    let golden = "01 05 09 03 01 00 00 00 00 00 00 00 00 00 00 00 01 80 01 02 03 01 02 03 01 04 00 00 \
                  01 02 07 07";
    check(&offer, golden);
}

#[track_caller]
fn check(message: &Message, golden: &str) {
    let bytes = encoded(ShardId(5), message);
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hex, golden.replace(char::is_whitespace, ""));
    decode(&bytes).expect("golden bytes are read");
}
