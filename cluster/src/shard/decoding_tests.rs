//! Every decoder of this crate against bytes nobody wrote.

use proptest::collection::vec;
use proptest::prelude::*;

use crate::entity::Effect;
use crate::ids::{EntityKey, EntityKind, EntityRef, ShardId};
use crate::replication::members::GroupMembers;
use crate::replication::recovery::CoveredBy;
use crate::shard::entry::{Bytes, Cause, CommandId, Cursor, Entry, Item, Outcome, Routed, Verdict};
use crate::shard::header::Header;
use crate::shard::record::{decode_ref, encode_ref, outline};
use crate::time::Timestamp;

fn entry() -> Entry {
    let entity = EntityRef { kind: EntityKind(1), key: EntityKey::Name("tea".into()) };
    let at = Timestamp::from_micros(5);
    let id = CommandId { router: 1, number: 2 };
    let effects = vec![
        Effect::Tell { to: entity.clone(), command: vec![1, 2] },
        Effect::SetTimer { name: crate::entity::TimerName(3), at },
    ];
    let accepted =
        Verdict::Accepted { events: vec![Bytes(vec![7])], effects, reply: Some(Bytes(vec![8, 9])) };
    let routed = Routed { id, settled_below: 2, not_after: at };
    let outcome = Outcome { entity, cause: Cause::Routed(routed), verdict: accepted };
    let items = vec![
        Item::Outcome(outcome),
        Item::TellsAcked { target: ShardId(3), up_to: 4 },
        Item::CursorMoved { consumer: 1, cursor: Cursor { index: 9, ordinal: 1 } },
    ];
    Entry { term: 2, after_index: 10, time: at, items }
}

#[test]
fn an_entry_of_version_1_is_read_for_ever() {
    let golden = "0100\
        02000000000000000a0000000000000005000000000000000300000000000000000000000101000000\
        0300000000000000746561000000000100000000000000020000000000000002000000000000000500\
        00000000000000000000010000000000000001000000000000000702000000000000000000000001010000\
        0003000000000000007465610200000000000000010201000000030000000000000005000000000000\
        00010200000000000000080901000000030000000400000000000000020000000109000000000000000100\
        0000";
    let hex: String =
        entry().encode().expect("small").iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hex, golden.replace(char::is_whitespace, ""));
}

proptest! {
    #[test]
    fn no_bytes_make_a_decoder_panic(bytes in vec(any::<u8>(), 0..400)) {
        let versioned = [&[1, 0], bytes.as_slice()].concat();
        for input in [bytes.as_slice(), versioned.as_slice()] {
            drop(Entry::decode(input));
            drop(Header::decode(input));
            drop(outline(input));
            drop(decode_ref(input));
            drop(GroupMembers::decode(input));
            drop(CoveredBy::decode(input));
        }
    }

    #[test]
    fn a_changed_entry_is_refused_or_reads_as_what_it_says(at in any::<usize>(), bit in 0..8_u32) {
        let mut bytes = entry().encode().expect("small");
        let at = at % bytes.len();
        bytes[at] ^= 1 << bit;
        if let Ok(read) = Entry::decode(&bytes) {
            prop_assert_eq!(read.encode(), Some(bytes));
        }
    }

    #[test]
    fn an_address_reads_as_it_was_written(kind in any::<u8>(), name in "[a-zA-Z0-9._-]{1,64}") {
        let entity =
            EntityRef { kind: EntityKind(kind), key: EntityKey::Name(name.into()) };
        prop_assert_eq!(decode_ref(&encode_ref(&entity)), Ok(entity));
    }
}
