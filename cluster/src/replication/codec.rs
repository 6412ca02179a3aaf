//! Messages between the replicas of a group as bytes.
//!
//! Raft-rs would encode them with a protobuf library that must not see bytes of the network, so
//! this is a format of its own: a version, the shard, the message's kind, then its fields in a fixed
//! order, numbers as LEB128.
//!
//! **Invariants:**
//! - a message reads back as it was written, and every message has one encoding only;
//! - no bytes make the decoder panic, or reserve memory that the input's length does not pay for;
//! - what only a replica may say to itself (proposals above all) is neither written nor read.

use bytes::Bytes;
use raft::eraftpb::{
    ConfState, Entry, EntryType, Message, MessageType, Snapshot, SnapshotMetadata,
};

use crate::ids::ShardId;
use crate::replication::members::GroupMembers;
use crate::replication::varint::{Reader, push_bytes, push_number};

const VERSION: u8 = 1;
/// The largest message, in bytes: entries of one message are cut at a quarter of it, and a single
/// entry is a megabyte at most.
pub const MESSAGE_BYTES_MAX: usize = 2 << 20;
/// The largest context of a read.
const CONTEXT_BYTES_MAX: usize = 64;
/// The largest description of a snapshot; its data travels elsewhere.
const DESCRIPTION_BYTES_MAX: usize = 1 << 10;
/// What an entry takes at least.
const ENTRY_BYTES_MIN: usize = 4;

/// Why bytes are not a message, or a message has no bytes.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    #[error("a message ends inside its {0}")]
    Truncated(&'static str),
    #[error("a message holds a {0} that is too large")]
    TooLarge(&'static str),
    #[error("a message holds a {0} that does not exist")]
    Unknown(&'static str),
    #[error("a message is of version {0}, this program speaks {VERSION}")]
    Version(u8),
    #[error("a message holds a number in more bytes than it needs")]
    Padded,
    #[error("{0} bytes are left over behind a message")]
    LeftOver(usize),
    #[error("a message that replicas do not send each other")]
    NotForPeers,
}

/// Writes a message of a shard's group behind what is in `out`; on failure `out` is as before.
pub fn encode(shard: ShardId, message: &Message, out: &mut Vec<u8>) -> Result<(), MessageError> {
    let start = out.len();
    let written = write(shard, message, out).and_then(|()| match out.len() - start {
        0..=MESSAGE_BYTES_MAX => Ok(()),
        _ => Err(MessageError::TooLarge("body")),
    });
    if written.is_err() {
        out.truncate(start);
    }
    written
}

/// Reads exactly one message.
pub fn decode(bytes: &[u8]) -> Result<(ShardId, Message), MessageError> {
    if bytes.len() > MESSAGE_BYTES_MAX {
        return Err(MessageError::TooLarge("body"));
    }
    let mut reader = Reader::new(bytes);
    let version = reader.byte("version")?;
    if version != VERSION {
        return Err(MessageError::Version(version));
    }
    let shard = u32::try_from(reader.number("shard")?);
    let shard = ShardId(shard.map_err(|_| MessageError::TooLarge("shard"))?);
    let msg_type = kind_of(reader.byte("kind")?).ok_or(MessageError::NotForPeers)?;
    let mut message = Message {
        msg_type,
        to: reader.number("receiver")?,
        from: reader.number("sender")?,
        term: reader.number("term")?,
        log_term: reader.number("log term")?,
        index: reader.number("index")?,
        commit: reader.number("commit index")?,
        commit_term: reader.number("commit term")?,
        request_snapshot: reader.number("wanted snapshot")?,
        reject: reader.flag("refusal")?,
        reject_hint: reader.number("hint")?,
        ..Message::default()
    };
    let priority = reader.number("priority")?;
    message.priority = i64::try_from(priority).map_err(|_| MessageError::TooLarge("priority"))?;
    message.context = Bytes::copy_from_slice(reader.bytes("context", CONTEXT_BYTES_MAX)?);
    let n_entries = reader.count("count of entries", ENTRY_BYTES_MIN)?;
    let mut entries = Vec::with_capacity(n_entries);
    for _ in 0..n_entries {
        entries.push(read_entry(&mut reader)?);
    }
    message.entries = entries.into();
    if reader.flag("snapshot mark")? {
        message.set_snapshot(read_snapshot(&mut reader)?);
    }
    match reader.left() {
        0 => Ok((shard, message)),
        left => Err(MessageError::LeftOver(left)),
    }
}

fn write(shard: ShardId, message: &Message, out: &mut Vec<u8>) -> Result<(), MessageError> {
    let kind = code_of(message.msg_type).ok_or(MessageError::NotForPeers)?;
    let priority =
        u64::try_from(message.priority).map_err(|_| MessageError::TooLarge("priority"))?;
    out.push(VERSION);
    push_number(out, u64::from(shard.0));
    out.push(kind);
    for number in [
        message.to,
        message.from,
        message.term,
        message.log_term,
        message.index,
        message.commit,
        message.commit_term,
        message.request_snapshot,
    ] {
        push_number(out, number);
    }
    out.push(u8::from(message.reject));
    push_number(out, message.reject_hint);
    push_number(out, priority);
    if message.context.len() > CONTEXT_BYTES_MAX {
        return Err(MessageError::TooLarge("context"));
    }
    push_bytes(out, &message.context);
    push_count(out, message.entries.len());
    for entry in message.entries.iter() {
        write_entry(entry, out);
    }
    let snapshot = message.snapshot.as_ref();
    out.push(u8::from(snapshot.is_some()));
    snapshot.map_or(Ok(()), |snapshot| write_snapshot(snapshot, out))
}

fn write_entry(entry: &Entry, out: &mut Vec<u8>) {
    out.push(match entry.entry_type {
        EntryType::EntryNormal => 0,
        EntryType::EntryConfChange => 1,
        EntryType::EntryConfChangeV2 => 2,
    });
    push_number(out, entry.term);
    push_number(out, entry.index);
    push_bytes(out, own_payload(entry));
}

/// What an entry says, in formats of this program alone: a leader's own change of members carries
/// that beside what raft-rs wants to see.
pub(crate) fn own_payload(entry: &Entry) -> &Bytes {
    if entry.context.is_empty() { &entry.data } else { &entry.context }
}

fn read_entry(reader: &mut Reader<'_>) -> Result<Entry, MessageError> {
    let entry_type = match reader.byte("entry")? {
        0 => EntryType::EntryNormal,
        1 => EntryType::EntryConfChange,
        2 => EntryType::EntryConfChangeV2,
        _ => return Err(MessageError::Unknown("kind of entry")),
    };
    let (term, index) = (reader.number("entry")?, reader.number("entry")?);
    // A copy: one kept entry must not keep the whole frame it came in.
    let data = Bytes::copy_from_slice(reader.bytes("entry", MESSAGE_BYTES_MAX)?);
    Ok(Entry { entry_type, term, index, data, ..Entry::default() })
}

fn write_snapshot(snapshot: &Snapshot, out: &mut Vec<u8>) -> Result<(), MessageError> {
    let metadata = snapshot.get_metadata();
    push_number(out, metadata.index);
    push_number(out, metadata.term);
    let conf = metadata.get_conf_state();
    for ids in [&conf.voters, &conf.learners, &conf.voters_outgoing, &conf.learners_next] {
        if ids.len() > GroupMembers::MEMBERS_MAX {
            return Err(MessageError::TooLarge("count of members"));
        }
        push_count(out, ids.len());
        for id in ids {
            push_number(out, *id);
        }
    }
    out.push(u8::from(conf.auto_leave));
    if snapshot.data.len() > DESCRIPTION_BYTES_MAX {
        return Err(MessageError::TooLarge("description of a snapshot"));
    }
    push_bytes(out, &snapshot.data);
    Ok(())
}

fn read_snapshot(reader: &mut Reader<'_>) -> Result<Snapshot, MessageError> {
    let (index, term) = (reader.number("snapshot")?, reader.number("snapshot")?);
    let conf_state = ConfState {
        voters: read_ids(reader)?,
        learners: read_ids(reader)?,
        voters_outgoing: read_ids(reader)?,
        learners_next: read_ids(reader)?,
        auto_leave: reader.flag("snapshot")?,
        ..ConfState::default()
    };
    let data = Bytes::copy_from_slice(reader.bytes("snapshot", DESCRIPTION_BYTES_MAX)?);
    let mut metadata = SnapshotMetadata { index, term, ..SnapshotMetadata::default() };
    metadata.set_conf_state(conf_state);
    let mut snapshot = Snapshot { data, ..Snapshot::default() };
    snapshot.set_metadata(metadata);
    Ok(snapshot)
}

fn read_ids(reader: &mut Reader<'_>) -> Result<Vec<u64>, MessageError> {
    let n = reader.count("count of members", 1)?;
    if n > GroupMembers::MEMBERS_MAX {
        return Err(MessageError::TooLarge("count of members"));
    }
    (0..n).map(|_| reader.number("member")).collect()
}

fn push_count(out: &mut Vec<u8>, count: usize) {
    push_number(out, u64::try_from(count).unwrap_or(u64::MAX));
}

/// The kinds that replicas send each other. A number is never given to another kind.
const KINDS: [(u8, MessageType); 12] = [
    (1, MessageType::MsgAppend),
    (2, MessageType::MsgAppendResponse),
    (3, MessageType::MsgRequestVote),
    (4, MessageType::MsgRequestVoteResponse),
    (5, MessageType::MsgRequestPreVote),
    (6, MessageType::MsgRequestPreVoteResponse),
    (7, MessageType::MsgHeartbeat),
    (8, MessageType::MsgHeartbeatResponse),
    (9, MessageType::MsgSnapshot),
    (10, MessageType::MsgTimeoutNow),
    (11, MessageType::MsgReadIndex),
    (12, MessageType::MsgReadIndexResp),
];

fn code_of(kind: MessageType) -> Option<u8> {
    KINDS.iter().find(|(_, known)| *known == kind).map(|(code, _)| *code)
}

fn kind_of(code: u8) -> Option<MessageType> {
    KINDS.iter().find(|(known, _)| *known == code).map(|(_, kind)| *kind)
}

/// Whether this is something replicas say to each other at all.
pub(crate) fn is_for_peers(kind: MessageType) -> bool {
    code_of(kind).is_some()
}

#[cfg(test)]
mod tests;
