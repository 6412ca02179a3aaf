//! What other nodes send, read and written again without a mesh: for the fuzzers of these decoders.
//!
//! **Invariants:** total: any bytes give an answer, within memory bounded by their length.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use raft::eraftpb::{Entry, Message, MessageType};
use storage::snapshot::SnapshotMeta;

use crate::ids::{NodeId, ShardId};
use crate::node::bundle;
use crate::replication::codec;
use crate::shard::io::Reply;
use crate::shard::question::{self, Question};
use crate::wire::Lane;
use crate::wire::call::{self, CallId};
use crate::wire::frame::{self, Header, Kind};
use crate::wire::greeting::{self, BootId, ClusterId, Hello, Levels, Purpose, Welcome};

/// What bytes are meant to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received {
    FrameHeader,
    Credit,
    Greeting,
    GreetingReply,
    Request,
    Answer,
    /// The body of a request.
    Question,
    /// The body of an answer.
    QuestionAnswer,
    RaftMessage,
    /// What is sent on the raft lane.
    Bundle,
}

impl Received {
    pub const ALL: [Self; 10] = [
        Self::FrameHeader,
        Self::Credit,
        Self::Greeting,
        Self::GreetingReply,
        Self::Request,
        Self::Answer,
        Self::Question,
        Self::QuestionAnswer,
        Self::RaftMessage,
        Self::Bundle,
    ];
}

/// Something to begin with.
pub fn example(what: Received) -> Vec<u8> {
    let (from, to) = (NodeId(2), NodeId(1));
    let (cluster, boot) = (ClusterId([7; 16]), BootId(9));
    let levels = Levels { min: 1, max: 2 };
    let (window, body) = (8 << 20, Bytes::from_static(b"body"));
    match what {
        Received::FrameHeader => {
            let mut header = BytesMut::new();
            Header { kind: Kind::Data, map_version: 3, payload_bytes: 5 }.encode(&mut header);
            header.into()
        }
        Received::Credit => 512_u64.to_le_bytes().into(),
        Received::Greeting => {
            let purpose = Purpose::Lane(Lane::Calls);
            Hello { cluster, from, to, boot, levels, purpose, window }.encode().into()
        }
        Received::GreetingReply => {
            let node = to;
            greeting::encode_reply(&Ok(Welcome { cluster, node, boot, levels, window })).into()
        }
        Received::Request => {
            let left = Duration::from_secs(1);
            call::Request { id: CallId(4), left, body }.encode().into()
        }
        Received::Answer => call::Answer { id: CallId(4), outcome: Ok(body) }.encode().into(),
        Received::Question => {
            let meta = SnapshotMeta { shard: 1, start: 2, start_term: 3, id: 4 };
            Question::piece(meta, 5).encode().unwrap_or_default()
        }
        Received::QuestionAnswer => {
            let reply = Reply::NotLeader { hint: Some(to) };
            question::Answer::Reply(reply).encode().unwrap_or_default()
        }
        Received::RaftMessage => {
            let data = Bytes::from_static(b"entry");
            let entry = Entry { term: 3, index: 6, data, ..Entry::default() };
            let message = Message {
                msg_type: MessageType::MsgAppend,
                from: from.0,
                to: to.0,
                term: 3,
                index: 5,
                log_term: 2,
                entries: vec![entry].into(),
                commit: 5,
                ..Message::default()
            };
            let mut bytes = Vec::new();
            // It is far below the bound.
            codec::encode(ShardId(1), &message, &mut bytes).ok();
            bytes
        }
        Received::Bundle => bundle::example(&example(Received::RaftMessage)),
    }
}

/// Reads the bytes and gives those that this program would send for what it read; `None` when they
/// are refused.
pub fn rewritten(what: Received, bytes: &[u8]) -> Option<Vec<u8>> {
    match what {
        Received::FrameHeader => {
            let mut again = BytesMut::new();
            Header::decode(bytes.try_into().ok()?).ok()?.encode(&mut again);
            Some(again.into())
        }
        // As it travels, a grant comes with a header of its own.
        Received::Credit => {
            frame::decode_credit(bytes).ok().map(|bytes| bytes.to_le_bytes().into())
        }
        Received::Greeting => Some(Hello::decode(bytes.try_into().ok()?).ok()?.encode().into()),
        Received::GreetingReply => {
            let reply = greeting::decode_reply(bytes.try_into().ok()?).ok()?;
            Some(greeting::encode_reply(&reply).into())
        }
        Received::Request => {
            let request = call::Request::decode(&Bytes::copy_from_slice(bytes)).ok()?;
            Some(request.encode().into())
        }
        Received::Answer => {
            let answer = call::Answer::decode(&Bytes::copy_from_slice(bytes)).ok()?;
            Some(answer.encode().into())
        }
        Received::Question => Question::decode(bytes).ok()?.encode(),
        Received::QuestionAnswer => question::Answer::decode(bytes).ok()?.encode(),
        Received::RaftMessage => {
            let (shard, message) = codec::decode(bytes).ok()?;
            let mut again = Vec::new();
            codec::encode(shard, &message, &mut again).ok().map(|()| again)
        }
        Received::Bundle => bundle::rewritten(bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sent_is_read_and_written_as_it_was() {
        for what in Received::ALL {
            let bytes = example(what);
            assert!(!bytes.is_empty(), "{what:?}");
            assert_eq!(rewritten(what, &bytes).as_ref(), Some(&bytes), "{what:?}");
        }
    }
}
