//! What the log, snapshots and history hold of a shard, read without running the shard: for whoever
//! verifies a folder, and for the fuzzers of these decoders.
//!
//! **Invariants:** total: any bytes give an answer, within memory bounded by their length. It says
//! whether bytes can be read, not whether they make sense where they stand.

use storage::codec;

use crate::entity::DecodeError;
use crate::ids::EntityRef;
use crate::replication::members::GroupMembers;
use crate::replication::recovery::CoveredBy;
use crate::shard::entry::{Bytes, Entry, Item, Outcome, Verdict};
use crate::shard::header::Header;
use crate::shard::kind::Kinds;
use crate::shard::record::{HEADER_KEY, Record, decode_ref, encode_ref, state_bytes};

/// What bytes are meant to be.
#[derive(Clone, Copy)]
pub enum Content<'a> {
    /// The payload of a normal entry, in the log or in history.
    Entry,
    /// What a snapshot or the state index keeps under this key.
    Record { key: &'a [u8], kinds: &'a Kinds },
    /// Such a key, other than that of the shard's own record.
    Address,
    /// The payload of a group's metadata.
    Members,
    /// What a snapshot pointer says besides its place.
    Coverage,
}

/// Reads the bytes and gives those that this program would write for what it read. They are the
/// same, unless another version or nobody wrote them.
pub fn rewritten(content: Content<'_>, bytes: &[u8]) -> Result<Vec<u8>, DecodeError> {
    match content {
        Content::Entry => Entry::decode(bytes)?.encode().ok_or_else(|| too_large("log entry")),
        Content::Record { key, .. } if key == HEADER_KEY => {
            Header::decode(bytes)?.encode().ok_or_else(|| too_large("shard header"))
        }
        Content::Record { key, kinds } => {
            let EntityRef { kind, .. } = decode_ref(key)?;
            let kind = kinds.find(kind).ok_or_else(|| DecodeError {
                what: "entity record",
                why: format!("kind {} is unknown", kind.0),
            })?;
            Ok(Record::decode(bytes, kind)?.encode())
        }
        Content::Address => Ok(encode_ref(&decode_ref(bytes)?)),
        Content::Members => Ok(GroupMembers::decode(bytes)?.encode().into()),
        Content::Coverage => Ok(CoveredBy::decode(bytes)?.encode().into()),
    }
}

/// What happened to an entity.
pub struct Happened {
    pub entity: EntityRef,
    /// As the entity encoded them.
    pub events: Vec<Vec<u8>>,
}

/// What an entry says happened: to which entity, by what events. Nothing, where it was decided for
/// another place in the log than it stands in; history does not know the term.
pub fn happened(
    payload: &[u8],
    index: u64,
    term: Option<u64>,
) -> Result<Vec<Happened>, DecodeError> {
    let entry = Entry::decode(payload)?;
    if term.is_some_and(|term| entry.term != term) || !entry.follows(index) {
        return Ok(Vec::new());
    }
    let events = |item| match item {
        Item::Outcome(Outcome { entity, verdict: Verdict::Accepted { events, .. }, .. }) => {
            let events = events.into_iter().map(|Bytes(event)| event).collect();
            Some(Happened { entity, events })
        }
        Item::Outcome(_) | Item::TellsAcked { .. } | Item::CursorMoved { .. } => None,
    };
    Ok(entry.items.into_iter().filter_map(events).collect())
}

/// What a snapshot keeps under a key: of which entity, and its state; nothing for what is no entity's.
pub fn state_of(key: &[u8], record: &[u8]) -> Result<Option<(EntityRef, Vec<u8>)>, DecodeError> {
    if key == HEADER_KEY {
        return Ok(None);
    }
    Ok(Some((decode_ref(key)?, state_bytes(record)?)))
}

fn too_large(what: &'static str) -> DecodeError {
    let max = codec::VALUE_BYTES_MAX;
    DecodeError { what, why: format!("it is longer than {max} bytes when written again") }
}
