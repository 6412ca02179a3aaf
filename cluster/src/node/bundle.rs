//! What the groups of two nodes say to each other at one moment, in one frame.
//!
//! A frame is a version, then messages, each behind its length. Groups are many and what each says
//! is little: a frame for every heartbeat would cost more than what is in it.
//!
//! **Invariants:** a frame fits the mesh; a message is in one frame, whole, and what was given first
//! comes out first; no bytes make the reader panic, or reserve memory that they do not pay for.

use raft::eraftpb::Message;

use crate::ids::ShardId;
use crate::replication::codec::{self, MESSAGE_BYTES_MAX, MessageError};
use crate::replication::varint::{Reader, push_bytes};
use crate::wire::frame::PAYLOAD_BYTES_MAX;

const VERSION: u8 = 1;
const VERSION_BYTES: usize = 1;
/// What a message's length takes at most.
const LENGTH_BYTES_MAX: usize = 4;
/// A frame that holds this much takes no more: what waits for it should not wait for long.
const FULL_BYTES: usize = 64 << 10;

/// A frame in the making.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Bundle {
    bytes: Vec<u8>,
}

impl Default for Bundle {
    fn default() -> Self {
        Self { bytes: vec![VERSION] }
    }
}

impl Bundle {
    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.len() == VERSION_BYTES
    }

    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether an encoded message may still go in. An empty bundle has room for any that fits the
    /// mesh at all.
    pub(crate) fn has_room(&self, message: &[u8]) -> bool {
        let bytes = self.bytes.len() + LENGTH_BYTES_MAX + message.len();
        bytes <= FULL_BYTES || (self.is_empty() && bytes <= PAYLOAD_BYTES_MAX)
    }

    /// To be asked only for what there is room for.
    pub(crate) fn push(&mut self, message: &[u8]) {
        debug_assert!(self.has_room(message), "asked before");
        push_bytes(&mut self.bytes, message);
    }

    pub(crate) fn into_frame(self) -> Vec<u8> {
        self.bytes
    }
}

/// Reads a frame's messages one by one; nothing follows one that cannot be read.
pub(crate) struct Unpacking<'a> {
    reader: Reader<'a>,
    is_broken: bool,
}

impl<'a> Unpacking<'a> {
    pub(crate) fn of(frame: &'a [u8]) -> Result<Self, MessageError> {
        let mut reader = Reader::new(frame);
        match reader.byte("version of a bundle")? {
            VERSION => Ok(Self { reader, is_broken: false }),
            other => Err(MessageError::Version(other)),
        }
    }

    fn read(&mut self) -> Result<(ShardId, Message), MessageError> {
        codec::decode(self.reader.bytes("message of a bundle", MESSAGE_BYTES_MAX)?)
    }
}

impl Iterator for Unpacking<'_> {
    type Item = Result<(ShardId, Message), MessageError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_broken || self.reader.left() == 0 {
            return None;
        }
        let read = self.read();
        self.is_broken = read.is_err();
        Some(read)
    }
}

#[cfg(test)]
mod tests {
    use raft::eraftpb::{Entry, MessageType};

    use super::*;

    fn message(term: u64) -> Message {
        Message { msg_type: MessageType::MsgHeartbeat, to: 2, from: 1, term, ..Message::default() }
    }

    fn encoded(group: u32, message: &Message) -> Vec<u8> {
        let mut bytes = Vec::new();
        codec::encode(ShardId(group), message, &mut bytes).expect("a message for peers");
        bytes
    }

    fn frame_of(n: u32) -> Vec<u8> {
        let mut bundle = Bundle::default();
        for group in 0..n {
            bundle.push(&encoded(group, &message(u64::from(group) + 7)));
        }
        bundle.into_frame()
    }

    #[test]
    fn messages_come_out_as_they_went_in() {
        let read: Vec<_> = Unpacking::of(&frame_of(300)).expect("a frame").collect();
        let sent = (0..300).map(|group| Ok((ShardId(group), message(u64::from(group) + 7))));
        assert_eq!(read, sent.collect::<Vec<_>>());
    }

    #[test]
    fn a_full_bundle_takes_no_more_and_an_empty_one_whatever_the_mesh_carries() {
        let small = encoded(1, &message(1));
        let mut bundle = Bundle::default();
        while bundle.has_room(&small) {
            bundle.push(&small);
        }
        assert!(bundle.len() <= FULL_BYTES && bundle.len() > FULL_BYTES - 100);
        let large = vec![0; PAYLOAD_BYTES_MAX - VERSION_BYTES - LENGTH_BYTES_MAX];
        assert!(Bundle::default().has_room(&large));
        assert!(!Bundle::default().has_room(&[large, vec![0]].concat()));
        let mut begun = Bundle::default();
        begun.push(&small);
        let data = vec![0; FULL_BYTES].into();
        let entries = vec![Entry { data, ..Entry::default() }].into();
        let append = Message { msg_type: MessageType::MsgAppend, entries, ..message(1) };
        assert!(!begun.has_room(&encoded(1, &append)), "large ones go alone");
    }

    #[test]
    fn what_is_cut_or_foreign_is_refused_and_what_came_before_it_is_not() {
        let frame = frame_of(2);
        let cut = frame.len() - 1;
        let read: Vec<_> = Unpacking::of(&frame[..cut]).expect("a frame").collect();
        assert_eq!(read.len(), 2);
        assert_eq!(read[0], Ok((ShardId(0), message(7))));
        assert_eq!(read[1], Err(MessageError::Truncated("message of a bundle")));
        assert_eq!(Unpacking::of(&[9, 0]).err(), Some(MessageError::Version(9)));
        assert_eq!(
            Unpacking::of(&[]).err().map(|error| error.to_string()).as_deref(),
            Some("a message ends inside its version of a bundle")
        );
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(0_u8..6, 0..64)) {
            if let Ok(unpacking) = Unpacking::of(&bytes) {
                proptest::prop_assert!(unpacking.count() <= bytes.len());
            }
        }
    }
}
