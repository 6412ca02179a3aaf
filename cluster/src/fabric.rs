//! The handle through which everything above talks to entities.
//!
//! Cheap to clone. Finds the shard, retries with the same command id until the deadline, and tells
//! a refusal (a rule said no; final) from unavailability (try again) by type.

use std::sync::Arc;

use crate::entity::{Catalogue, Entity, Wire};
use crate::ids::{EntityKey, EntityRef, Incarnation, Position, ShardId};
use crate::runtime::router::{Router, instant_of};
use crate::runtime::shelf::Shelf;
use crate::shard::entry::Cursor;
use crate::shard::io::Reply;
use crate::shard::unanswered::{self, Listed, Wanted};
use crate::time::{Span, Timestamp};

/// How a command is sent, besides what it says.
#[derive(Clone, Debug)]
pub struct Envelope {
    /// After this the caller no longer waits, and the shard will not start.
    pub deadline: Timestamp,
    /// Given: the outcome is remembered under this key and a repeat gets the same answer.
    pub key: Option<OutcomeKey>,
    /// Where it does not hold, the command is refused with [`CommandError::PreconditionFailed`].
    pub precondition: Precondition,
}

/// What must be true of an entity for a command to be decided. It is checked where the command is
/// decided, so nothing comes in between.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Precondition {
    None,
    /// See [`Entity::exists`].
    Exists,
    Absent,
    /// The entity is at this sequence; zero is one that nothing happened to.
    Seq(u64),
}

/// Names a keyed command for as long as its outcome is remembered.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
pub struct OutcomeKey {
    /// Hash of everything that scopes the client's key.
    pub scope: [u8; 16],
    /// Hash of the request: the same key with another request is refused.
    pub request: [u8; 16],
    /// When the outcome may be forgotten.
    pub not_after: Timestamp,
}

/// Where an answer comes from: lets a caller order it and read at or past it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Provenance {
    /// The entity's own sequence number after the command; zero for an entity nothing happened to.
    pub seq: u64,
    pub position: Position,
    /// The answer was given before and is repeated.
    pub replayed: bool,
}

/// A command that took effect.
#[derive(Debug)]
pub struct Executed<R> {
    /// `None` when the command is known to have taken effect but its reply is no longer held (an
    /// unkeyed command whose answer was lost on the way): read the entity instead.
    pub reply: Option<R>,
    pub provenance: Provenance,
}

/// Why a command had no effect.
#[derive(Debug, thiserror::Error)]
pub enum CommandError<R> {
    /// A rule of the entity said no; retrying changes nothing.
    #[error("rejected by a rule")]
    Rejected { rejection: R, provenance: Provenance },
    #[error("the precondition does not hold for the entity at sequence {}", .provenance.seq)]
    PreconditionFailed { provenance: Provenance },
    /// The key was used with another request.
    #[error("the idempotency key was used for another request")]
    KeyConflict,
    /// The key is known and its command took effect, but the reply was dropped to bound memory.
    #[error("the reply kept under the idempotency key has expired")]
    ReplyExpired,
    #[error("too many live idempotency keys on one entity")]
    TooManyKeys,
    /// The command would make the entity larger than an entity may be.
    #[error("the entity would grow past its limit")]
    RecordFull,
    /// The entity's code panicked on this command; nothing was recorded.
    #[error("the command could not be processed")]
    Panicked,
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

/// The shard could not answer; retry with the same key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unavailable {
    #[error("too busy")]
    Busy { retry_after: Span },
    #[error("no answer before the deadline; the command may still take effect")]
    DeadlineExceeded,
    /// No disk space for new records; reads still work.
    #[error("no space left for new records")]
    StorageFull,
    #[error("shutting down")]
    ShuttingDown,
    /// This node hears no other one or is not let in, so it cannot know what they decide. Nothing took
    /// effect.
    #[error("this node does not know what its cluster decides")]
    CutOff,
    /// The position asked for belongs to another incarnation of the cluster, or to no log at all.
    #[error("the position is none of this cluster's")]
    UnknownPosition,
    /// The shard stopped serving after an internal fault.
    #[error("shard {shard} is fenced after a fault")]
    Fenced { shard: u32 },
}

/// An answer to a query.
#[derive(Debug)]
pub struct Viewed<V> {
    pub view: V,
    pub provenance: Provenance,
}

/// Where an entity began to wait for the outside world: orders all that wait, shard by shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct WaitingPlace {
    pub shard: ShardId,
    pub at: Cursor,
}

/// Everything above talks to entities through this. Cheap to clone.
#[derive(Clone)]
pub struct Fabric {
    router: Arc<Router>,
    incarnation: Incarnation,
    cluster_secret: Arc<[u8; 32]>,
    shelf: Arc<Shelf>,
}

impl Fabric {
    pub(crate) fn new(
        router: Arc<Router>,
        incarnation: Incarnation,
        cluster_secret: [u8; 32],
        shelf: Arc<Shelf>,
    ) -> Self {
        Self { router, incarnation, cluster_secret: Arc::new(cluster_secret), shelf }
    }

    /// Sends a command and waits for what became of it.
    pub async fn execute<E: Entity>(
        &self,
        key: EntityKey,
        envelope: Envelope,
        command: E::Command,
    ) -> Result<Executed<E::Reply>, CommandError<E::Rejection>> {
        let entity = EntityRef { kind: E::KIND, key };
        let shard = self.router.map.group_of(E::HOME, &entity.key);
        self.execute_in::<E>(shard, &entity, &envelope, command).await
    }

    /// As [`Self::execute`], in the group given.
    pub(crate) async fn execute_in<E: Entity>(
        &self,
        shard: ShardId,
        entity: &EntityRef,
        envelope: &Envelope,
        command: E::Command,
    ) -> Result<Executed<E::Reply>, CommandError<E::Rejection>> {
        let body = command.to_bytes();
        let reply = self.router.command(shard, entity, envelope, body).await?;
        match reply {
            Reply::Accepted { reply, seq, index, replayed } => Ok(Executed {
                reply: reply.as_deref().map(decoded::<E::Reply>).transpose()?,
                provenance: self.provenance(shard, seq, index, replayed),
            }),
            Reply::Rejected { rejection, seq, index, replayed } => Err(CommandError::Rejected {
                rejection: decoded::<E::Rejection>(&rejection)?,
                provenance: self.provenance(shard, seq, index, replayed),
            }),
            Reply::PreconditionFailed { seq, index, replayed } => {
                let provenance = self.provenance(shard, seq, index, replayed);
                Err(CommandError::PreconditionFailed { provenance })
            }
            Reply::KeyConflict => Err(CommandError::KeyConflict),
            Reply::ReplyExpired => Err(CommandError::ReplyExpired),
            Reply::TooManyKeys => Err(CommandError::TooManyKeys),
            Reply::RecordFull => Err(CommandError::RecordFull),
            Reply::Panicked => Err(CommandError::Panicked),
            Reply::Malformed { why } => {
                tracing::error!(entity.kind = E::NAME, "a command could not be decoded: {why}");
                Err(CommandError::Panicked)
            }
            Reply::Viewed { .. }
            | Reply::Busy { .. }
            | Reply::StorageFull
            | Reply::UnknownPosition
            | Reply::Expired { .. }
            | Reply::Unknown
            | Reply::NotLeader { .. }
            | Reply::Changing { .. }
            | Reply::ChangeRefused { .. }
            | Reply::Fenced => unreachable!("the router settles these"),
        }
    }

    /// Reads an entity: linearizable, and at or past `at_least` where given.
    pub async fn query<E: Entity>(
        &self,
        key: EntityKey,
        at_least: &[Position],
        deadline: Timestamp,
        query: E::Query,
    ) -> Result<Viewed<E::View>, QueryError> {
        let entity = EntityRef { kind: E::KIND, key };
        let shard = self.router.map.group_of(E::HOME, &entity.key);
        self.query_in::<E>(shard, &entity, at_least, deadline, query).await
    }

    /// As [`Self::query`], in the group given.
    pub(crate) async fn query_in<E: Entity>(
        &self,
        shard: ShardId,
        entity: &EntityRef,
        at_least: &[Position],
        deadline: Timestamp,
        query: E::Query,
    ) -> Result<Viewed<E::View>, QueryError> {
        if at_least.iter().any(|position| position.incarnation != self.incarnation) {
            return Err(QueryError::Unavailable(Unavailable::UnknownPosition));
        }
        let own = at_least.iter().filter(|position| position.shard == shard);
        let index = own.map(|position| position.index).max().unwrap_or(0);
        let body = query.to_bytes();
        let reply = self.router.query(shard, entity, index, deadline, body).await?;
        let Reply::Viewed { view, seq, index } = reply else {
            tracing::error!(entity.kind = E::NAME, ?reply, "a query was not understood");
            return Err(QueryError::Undecodable);
        };
        Ok(Viewed {
            view: E::View::from_bytes(&view).map_err(|_| QueryError::Undecodable)?,
            provenance: self.provenance(shard, seq, index, false),
        })
    }

    /// Entities of one kind that wait for an answer of the outside world, on every shard: at most so
    /// many, those of a shard oldest first. One whose answer is late may come twice.
    pub async fn waiting<E: Entity>(
        &self,
        after: Option<WaitingPlace>,
        limit: usize,
        deadline: Timestamp,
    ) -> Result<Vec<(WaitingPlace, EntityKey)>, QueryError> {
        let mut found = Vec::new();
        let first = after.map_or(ShardId(0), |after| after.shard);
        for shard in self.router.map.shards().filter(|shard| *shard >= first) {
            let mut after = after.filter(|after| after.shard == shard).map(|after| after.at);
            while found.len() < limit {
                let left = u32::try_from(limit - found.len()).unwrap_or(u32::MAX);
                let wanted = Wanted { kind: E::KIND, after, limit: left };
                let listed = self.listed(shard, &wanted, deadline).await?;
                let is_all = listed.len() < unanswered::LISTED_MAX;
                after = listed.last().map(|(at, _)| *at);
                let here = |(at, key)| (WaitingPlace { shard, at }, key);
                found.extend(listed.into_iter().map(here));
                if is_all {
                    break;
                }
            }
        }
        Ok(found)
    }

    /// A part of what one shard waits for.
    async fn listed(
        &self,
        shard: ShardId,
        wanted: &Wanted,
        deadline: Timestamp,
    ) -> Result<Vec<(Cursor, EntityKey)>, QueryError> {
        let (address, body) = (unanswered::address(), wanted.to_bytes());
        let reply = self.router.query(shard, &address, 0, deadline, body).await?;
        let Reply::Viewed { view, .. } = reply else {
            tracing::error!(shard.id = %shard, ?reply, "a list was not understood");
            return Err(QueryError::Undecodable);
        };
        let Listed(listed) = Listed::from_bytes(&view).map_err(|_| QueryError::Undecodable)?;
        Ok(listed)
    }

    /// The newest catalogue that this node has, whether or not it may still price with it.
    pub fn catalogue(&self) -> Option<Catalogue> {
        self.shelf.newest()
    }

    /// This node's catalogue, with everything in it up to a position in the catalogue's group.
    pub async fn catalogue_at(
        &self,
        position: Position,
        deadline: Timestamp,
    ) -> Result<Option<Catalogue>, Unavailable> {
        if position.incarnation != self.incarnation || position.shard != ShardId::CATALOGUE {
            return Err(Unavailable::UnknownPosition);
        }
        let there = self.shelf.at_least(position.index);
        let within = tokio::time::timeout_at(instant_of(deadline), there).await;
        within.map_err(|_| Unavailable::DeadlineExceeded)
    }

    /// Secret of the cluster, for deriving ids that a retry on any node derives again.
    pub fn cluster_secret(&self) -> &[u8; 32] {
        &self.cluster_secret
    }

    pub fn incarnation(&self) -> Incarnation {
        self.incarnation
    }

    /// How full the node's queues are, in percent: at 100 everything is refused.
    pub fn pressure_percent(&self) -> usize {
        self.router.pressure_percent()
    }

    /// Whether no request is under way.
    pub(crate) fn is_idle(&self) -> bool {
        self.router.is_idle()
    }

    fn provenance(&self, shard: ShardId, seq: u64, index: u64, replayed: bool) -> Provenance {
        let position = Position { incarnation: self.incarnation, shard, index };
        Provenance { seq, position, replayed }
    }
}

fn decoded<T: Wire>(bytes: &[u8]) -> Result<T, Undecodable> {
    T::from_bytes(bytes).map_err(|error| {
        tracing::error!(%error, "an answer could not be decoded");
        Undecodable
    })
}

/// An answer of another version of this program, or a fault of this one.
struct Undecodable;

impl<R> From<Undecodable> for CommandError<R> {
    fn from(_: Undecodable) -> Self {
        Self::Panicked
    }
}

/// Why a query got no answer.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    #[error("the query or its answer could not be decoded")]
    Undecodable,
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}
