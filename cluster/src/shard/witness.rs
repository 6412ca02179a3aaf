//! Keeping account of commands that somebody answers for.
//!
//! **Invariants:** who keeps account of an accepted command is told in the effects of its outcome, so
//! that the log has both or neither, also where it changes nothing else; a command without an origin
//! costs nothing, and one that is only answered again is not told again; an origin that cannot be
//! read is refused, never passed over.
//!
//! A refusal changes nothing, so nobody is told of it.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::entity::{DecodeError, Effect};
use crate::fabric::Origin;
use crate::ids::{EntityRef, ShardId, Slot};
use crate::shard::core::ShardCore;
use crate::shard::io::{Command, Reply};
use crate::shard::kind::Resolved;
use crate::shard::turn::Turn;
use crate::time::Timestamp;

/// A command that is about to be accepted.
#[derive(Debug)]
pub struct Deed<'a> {
    pub origin: &'a Origin,
    /// Where it is decided, and the first slot there.
    pub group: ShardId,
    pub slot: Slot,
    pub entity: &'a EntityRef,
    /// The entity's sequence after it.
    pub seq: u64,
    pub at: Timestamp,
    /// What scopes the client's key, if there is one.
    pub key: Option<[u8; 16]>,
}

/// Says who is told of a deed, and how.
pub type Witness = fn(&Deed<'_>) -> Result<(EntityRef, Vec<u8>), DecodeError>;

impl ShardCore {
    /// Adds to what a command resolved to that it is told; behind everything else, so that what the
    /// entity itself tells takes no other way because of it.
    pub(crate) fn testify(
        &self,
        resolved: &mut Resolved,
        command: &Command,
        turn: &Turn,
        before: u64,
    ) -> Result<(), Reply> {
        let (Some(origin), Some(witness)) = (&command.origin, self.kinds.witness) else {
            return Ok(());
        };
        let deed = Deed {
            origin,
            group: self.id,
            slot: self.shards.first_slot(self.id),
            entity: &command.entity,
            seq: before + u64::from(!resolved.events.is_empty()),
            at: turn.time,
            key: command.key.map(|key| key.scope),
        };
        let told = catch_unwind(AssertUnwindSafe(|| witness(&deed)));
        let (to, command) = told
            .map_err(|_panic| Reply::Panicked)?
            .map_err(|error| Reply::Malformed { why: error.to_string() })?;
        resolved.effects.push(Effect::Tell { to, command });
        Ok(())
    }
}
