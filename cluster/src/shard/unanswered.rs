//! Who waits for the outside world: the invocations of a shard that have no answer yet, listed.
//!
//! **Invariants:** what is listed is the shard's committed state, so nothing is missing after a
//! failover; oldest first; an answer names at most as many as were asked for.
//!
//! It is asked for like the view of an entity, under a kind that no entity has.

use std::ops::Bound;

use serde::{Deserialize, Serialize};
use storage::codec;

use crate::entity::{DecodeError, Wire};
use crate::ids::{EntityKey, EntityKind, EntityRef, Slot};
use crate::shard::core::ShardCore;
use crate::shard::entry::Cursor;
use crate::shard::io::Reply;
use crate::shard::versioned;

pub(crate) const KIND: EntityKind = EntityKind(u8::MAX);
/// In one answer.
pub(crate) const LISTED_MAX: usize = 1_000;
const VERSION: u16 = 1;

/// What is wanted of the list.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Wanted {
    pub(crate) kind: EntityKind,
    pub(crate) after: Option<Cursor>,
    pub(crate) limit: u32,
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Listed(pub(crate) Vec<(Cursor, EntityKey)>);

/// The address that the list is asked for at; which shard is meant is said beside it.
pub(crate) fn address() -> EntityRef {
    EntityRef { kind: KIND, key: EntityKey::in_slot(Slot::from_bits(0), [0; 14]) }
}

impl Wire for Wanted {
    fn to_bytes(&self) -> Vec<u8> {
        codec::encode_versioned(VERSION, self)
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        versioned::decode("a question for what is unanswered", VERSION, bytes)
    }
}

impl Wire for Listed {
    fn to_bytes(&self) -> Vec<u8> {
        codec::encode_versioned(VERSION, self)
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        versioned::decode("a list of what is unanswered", VERSION, bytes)
    }
}

impl ShardCore {
    pub(crate) fn list_unanswered(&self, wanted: &[u8]) -> Reply {
        let wanted = match Wanted::from_bytes(wanted) {
            Ok(wanted) => wanted,
            Err(error) => return Reply::Malformed { why: error.to_string() },
        };
        let from = wanted.after.map_or(Bound::Unbounded, Bound::Excluded);
        let limit = usize::try_from(wanted.limit).unwrap_or(usize::MAX).min(LISTED_MAX);
        let open = self.invocations.range((from, Bound::Unbounded));
        let open = open.filter(|(_, entity)| entity.kind == wanted.kind).take(limit);
        let listed = Listed(open.map(|(at, entity)| (*at, entity.key.clone())).collect());
        Reply::Viewed { view: listed.to_bytes(), seq: 0, index: self.applied.0 }
    }
}
