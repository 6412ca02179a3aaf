//! What the groups of two nodes say to each other at one moment, in one frame.
//!
//! A frame is a version, then items, each behind its kind and its length. Groups are many and what each says
//! is little: a frame for every heartbeat would cost more than what is in it.
//!
//! **Invariants:** a frame fits the mesh; an item is in one frame, whole, and what was given first
//! comes out first; no bytes make the reader panic, or reserve memory that they do not pay for.

use raft::eraftpb::Message;

use crate::ids::ShardId;
use crate::node::rest::{Beat, Standstill};
use crate::replication::codec::{self, MESSAGE_BYTES_MAX, MessageError};
use crate::replication::varint::{Reader, push_bytes};
use crate::wire::frame::PAYLOAD_BYTES_MAX;

const VERSION: u8 = 1;
const VERSION_BYTES: usize = 1;
/// What an item's kind and length take at most.
const ITEM_HEAD_BYTES_MAX: usize = 5;
/// A frame that holds this much takes no more: what waits for it should not wait for long.
const FULL_BYTES: usize = 64 << 10;

const MESSAGE: u8 = 0;
const BEAT: u8 = 1;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Message,
    Beat,
}

/// What a frame holds.
#[derive(Debug, PartialEq)]
pub(crate) enum Item {
    /// From a replica of a group to another one.
    Message(ShardId, Box<Message>),
    /// From the node to the other one.
    Beat(Beat),
}

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

    /// Whether an encoded item may still go in. An empty bundle has room for any that fits the mesh at
    /// all.
    pub(crate) fn has_room(&self, item: &[u8]) -> bool {
        let bytes = self.bytes.len() + ITEM_HEAD_BYTES_MAX + item.len();
        bytes <= FULL_BYTES || (self.is_empty() && bytes <= PAYLOAD_BYTES_MAX)
    }

    /// To be asked only for what there is room for.
    pub(crate) fn push(&mut self, kind: Kind, item: &[u8]) {
        debug_assert!(self.has_room(item), "asked before");
        self.put(kind, item);
    }

    fn put(&mut self, kind: Kind, item: &[u8]) {
        self.bytes.push(match kind {
            Kind::Message => MESSAGE,
            Kind::Beat => BEAT,
        });
        push_bytes(&mut self.bytes, item);
    }

    pub(crate) fn into_frame(self) -> Vec<u8> {
        self.bytes
    }
}

/// Reads a frame's items one by one; nothing follows one that cannot be read.
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

    fn read(&mut self) -> Result<Item, MessageError> {
        let kind = self.reader.byte("item of a bundle")?;
        let bytes = self.reader.bytes("item of a bundle", MESSAGE_BYTES_MAX)?;
        match kind {
            MESSAGE => {
                let (group, message) = codec::decode(bytes)?;
                Ok(Item::Message(group, Box::new(message)))
            }
            BEAT => Beat::decode(bytes).map(Item::Beat),
            _ => Err(MessageError::Unknown("kind of item")),
        }
    }
}

impl Iterator for Unpacking<'_> {
    type Item = Result<Item, MessageError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_broken || self.reader.left() == 0 {
            return None;
        }
        let read = self.read();
        self.is_broken = read.is_err();
        Some(read)
    }
}

/// A frame with that message and a beat.
pub(crate) fn example(message: &[u8]) -> Vec<u8> {
    let mut beat = Beat { objections: [ShardId(3)].into(), ..Beat::default() };
    beat.resting.insert(ShardId(1), Standstill { term: 3, index: 6 });
    let mut bundle = Bundle::default();
    bundle.push(Kind::Message, message);
    bundle.push(Kind::Beat, &beat.encode());
    bundle.into_frame()
}

/// The frame that says the same; `None` for one that cannot be read to its end.
pub(crate) fn rewritten(frame: &[u8]) -> Option<Vec<u8>> {
    let mut bundle = Bundle::default();
    for item in Unpacking::of(frame).ok()? {
        let (kind, bytes) = match item.ok()? {
            Item::Beat(beat) => (Kind::Beat, beat.encode()),
            Item::Message(group, message) => {
                let mut bytes = Vec::new();
                codec::encode(group, &message, &mut bytes).ok()?;
                (Kind::Message, bytes)
            }
        };
        bundle.put(kind, &bytes);
    }
    Some(bundle.into_frame())
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

    fn item(group: u32, term: u64) -> Item {
        Item::Message(ShardId(group), Box::new(message(term)))
    }

    fn frame_of(n: u32) -> Vec<u8> {
        let mut bundle = Bundle::default();
        for group in 0..n {
            bundle.push(Kind::Message, &encoded(group, &message(u64::from(group) + 7)));
        }
        bundle.into_frame()
    }

    #[test]
    fn messages_come_out_as_they_went_in() {
        let read: Vec<_> = Unpacking::of(&frame_of(300)).expect("a frame").collect();
        let sent = (0..300).map(|group| Ok(item(group, u64::from(group) + 7)));
        assert_eq!(read, sent.collect::<Vec<_>>());
    }

    #[test]
    fn a_beat_travels_between_messages() {
        let beat = Beat { objections: [ShardId(3)].into(), ..Beat::default() };
        let mut bundle = Bundle::default();
        bundle.push(Kind::Message, &encoded(1, &message(5)));
        bundle.push(Kind::Beat, &beat.encode());
        bundle.push(Kind::Message, &encoded(2, &message(6)));
        let read: Vec<_> = Unpacking::of(&bundle.into_frame()).expect("a frame").collect();
        assert_eq!(read, [Ok(item(1, 5)), Ok(Item::Beat(beat)), Ok(item(2, 6))]);
    }

    #[test]
    fn a_full_bundle_takes_no_more_and_an_empty_one_whatever_the_mesh_carries() {
        let small = encoded(1, &message(1));
        let mut bundle = Bundle::default();
        while bundle.has_room(&small) {
            bundle.push(Kind::Message, &small);
        }
        assert!(bundle.len() <= FULL_BYTES && bundle.len() > FULL_BYTES - 100);
        let large = vec![0; PAYLOAD_BYTES_MAX - VERSION_BYTES - ITEM_HEAD_BYTES_MAX];
        assert!(Bundle::default().has_room(&large));
        assert!(!Bundle::default().has_room(&[large, vec![0]].concat()));
        let mut begun = Bundle::default();
        begun.push(Kind::Message, &small);
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
        assert_eq!(read[0], Ok(item(0, 7)));
        assert_eq!(read[1], Err(MessageError::Truncated("item of a bundle")));
        let read: Vec<_> = Unpacking::of(&[VERSION, 9, 0]).expect("a frame").collect();
        assert_eq!(read, [Err(MessageError::Unknown("kind of item"))]);
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
