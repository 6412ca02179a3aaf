//! What holds for any bytes.

use std::time::Duration;

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;

use crate::ids::NodeId;
use crate::wire::call::{Answer, CallId, Refused, Request};
use crate::wire::frame::{
    HEADER_BYTES, Header, PAYLOAD_BYTES_MAX, charge, decode_credit, encode_credit,
};
use crate::wire::greeting::{HELLO_BYTES, Hello, REPLY_BYTES, decode_reply};

fn outcome() -> impl Strategy<Value = Result<Bytes, Refused>> {
    prop_oneof![
        vec(any::<u8>(), 0..64).prop_map(|body| Ok(body.into())),
        any::<Option<u64>>().prop_map(|hint| {
            let hint = hint.filter(|node| *node != 0).map(NodeId);
            Err(Refused::NotLeader { hint })
        }),
        any::<u64>()
            .prop_map(|left| { Err(Refused::Busy { retry_after: Duration::from_micros(left) }) }),
        any::<u64>().prop_map(|map_version| Err(Refused::WrongShard { map_version })),
        Just(Err(Refused::Gone)),
        Just(Err(Refused::Abandoned)),
    ]
}

/// Bytes that pass the first checks of every decoder in turn, so that the later ones are reached.
fn almost_right<const N: usize>() -> impl Strategy<Value = [u8; N]> {
    (vec(any::<u8>(), N), any::<bool>(), 0_u8..8).prop_map(|(bytes, right, kind)| {
        let mut array: [u8; N] = bytes.try_into().expect("so many were made");
        if right && N == HEADER_BYTES {
            array[3..8].copy_from_slice(&[0, 1, kind, 0, 0]);
        } else if right {
            array[..6].copy_from_slice(&[b'O', b'C', b'M', b'H', 1, kind]);
        }
        array
    })
}

proptest! {
    #[test]
    fn any_header_is_refused_or_within_bounds(bytes in almost_right::<HEADER_BYTES>()) {
        if let Ok(header) = Header::decode(&bytes) {
            prop_assert!(header.payload_bytes <= PAYLOAD_BYTES_MAX);
            let mut again = bytes::BytesMut::new();
            header.encode(&mut again);
            prop_assert_eq!(again.as_ref(), bytes.as_slice());
        }
    }

    #[test]
    fn any_greeting_is_refused_or_comes_back(bytes in almost_right::<HELLO_BYTES>()) {
        if let Ok(hello) = Hello::decode(&bytes) {
            prop_assert_eq!(Hello::decode(&hello.encode()), Ok(hello));
        }
    }

    #[test]
    fn any_answer_to_a_greeting_is_refused_or_read(bytes in almost_right::<REPLY_BYTES>()) {
        if let Ok(reply) = decode_reply(&bytes) {
            let again = crate::wire::greeting::encode_reply(&reply);
            prop_assert_eq!(decode_reply(&again), Ok(reply));
        }
    }

    #[test]
    fn any_call_is_refused_or_comes_back(bytes in vec(any::<u8>(), 0..64), kind in 0_u8..9) {
        let mut bytes = bytes;
        if let Some(first) = bytes.first_mut() {
            *first = kind;
        }
        let payload = Bytes::from(bytes);
        if let Ok(request) = Request::decode(&payload) {
            prop_assert_eq!(request.encode(), payload.clone());
        }
        if let Ok(answer) = Answer::decode(&payload) {
            prop_assert_eq!(answer.encode(), payload.clone());
        }
        prop_assert_eq!(decode_credit(&payload).is_ok(), payload.len() == 8);
    }

    #[test]
    fn calls_come_back_as_they_were(
        id in any::<u64>(),
        left in any::<u64>(),
        body in vec(any::<u8>(), 0..64),
        outcome in outcome(),
    ) {
        let id = CallId(id);
        let request = Request { id, left: Duration::from_micros(left), body: body.into() };
        prop_assert_eq!(Request::decode(&request.encode()), Ok(request));
        let answer = Answer { id, outcome };
        prop_assert_eq!(Answer::decode(&answer.encode()), Ok(answer));
    }

    #[test]
    fn credit_comes_back_as_it_was(bytes in any::<u64>(), map_version in any::<u64>()) {
        let mut buffer = bytes::BytesMut::new();
        encode_credit(bytes, map_version, &mut buffer);
        let (head, payload) = buffer.split_at(HEADER_BYTES);
        let header = Header::decode(head.try_into().expect("a header")).expect("readable");
        prop_assert_eq!((header.map_version, header.payload_bytes), (map_version, payload.len()));
        prop_assert_eq!(decode_credit(payload), Ok(bytes));
    }

    #[test]
    fn a_frame_costs_at_least_what_it_holds(payload_bytes in 0..=PAYLOAD_BYTES_MAX) {
        prop_assert!(charge(payload_bytes) >= u64::try_from(payload_bytes).expect("fits"));
    }
}
