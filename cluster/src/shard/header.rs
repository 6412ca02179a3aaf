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
        let body = codec::try_encode(self).ok()?;
        Some([VERSION.to_le_bytes().as_slice(), &body].concat())
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let damaged = |why: String| DecodeError { what: "shard header", why };
        let (version, body) =
            codec::split_version(bytes).map_err(|error| damaged(error.to_string()))?;
        match version {
            VERSION => codec::decode(body).map_err(|error| damaged(error.to_string())),
            newer => Err(damaged(format!("version {newer} is newer than {VERSION}"))),
        }
    }
}
