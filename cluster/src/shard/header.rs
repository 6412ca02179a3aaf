//! The shard's own record: everything that belongs to the shard and to no single entity.
//!
//! **Invariants:** like an entity's record it has one position, and applying an entry touches it
//! from the entry's own bytes only. Shard time never runs backwards.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use storage::codec;

use crate::entity::DecodeError;
use crate::shard::dedupe::Sessions;
use crate::shard::entry::Cursor;
use crate::shard::outbox::Channels;
use crate::shard::versioned;
use crate::time::Timestamp;

const VERSION: u16 = 1;

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Header {
    pub(crate) position: u64,
    pub(crate) time: Timestamp,
    pub(crate) sessions: Sessions,
    pub(crate) channels: Channels,
    /// How far each consumer of published events has come.
    pub(crate) cursors: BTreeMap<u8, Cursor>,
}

impl Header {
    /// The header's bytes; `None` while waiting tells make it larger than can be read back.
    pub(crate) fn encode(&self) -> Option<Vec<u8>> {
        codec::try_encode_versioned(VERSION, self).ok()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        versioned::decode("shard header", VERSION, bytes)
    }
}
