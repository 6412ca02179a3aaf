//! What operators did: acts one after the other, each sealed to all that came before it.
//!
//! **Invariants:** every link of a chain has the hash of the link before it, then of the act, so that no
//! act can be changed, left out, put in or moved without all hashes after it being others; the first
//! hashes the chain's own name in place of a link, so that no chain passes for another.
//!
//! A chain is kept where its acts are decided: one in every shard, and one in each group that every node
//! has. An act says who did what to which entity, never what they wrote. Of what was refused there is
//! nothing: nothing happened. The rows of an import are not acts, the import is one.

mod chain;
mod evidence;
mod page;
#[cfg(test)]
mod tests;

use cluster::entity::{DecodeError, Home, Wire};
use cluster::fabric::Origin;
use cluster::ids::{EntityKey, EntityKind, EntityRef, ShardId, Slot};
use cluster::placement::shard_map::ShardMap;
use cluster::shard::witness::Deed;
use cluster::time::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::names::{Actor, Label, OperationId};
pub use chain::{AuditChain, Command, Event, Query, Rejection, Reply, View};
pub use evidence::{Evidence, Flaw, Wrong, link_of_event, links_of_state};
pub use page::{AuditPage, PageCommand, PageEvent, PageQuery, PageRejection, PageView};

/// Who wants something, and what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct By {
    pub actor: Actor,
    pub operation: OperationId,
    /// The path that was asked for: it names what the entity alone does not, such as a node.
    pub path: Label,
}

impl By {
    pub fn origin(&self) -> Origin {
        Origin(self.to_bytes())
    }
}

/// What somebody did. Its bytes are what is hashed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Act {
    pub at: Timestamp,
    pub by: By,
    pub entity: EntityRef,
    /// The entity's sequence after it.
    pub seq: u64,
    /// What became of the client's key, where there was one.
    pub key: Option<[u8; 16]>,
}

/// What a chain comes to, up to some link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// Of one link more.
    #[must_use]
    pub fn and(self, act: &Act) -> Self {
        let hasher = Sha256::new().chain_update(self.0).chain_update(act.to_bytes());
        Self(hasher.finalize().into())
    }
}

/// An act in its chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    pub act: Act,
    pub hash: Digest,
}

/// Which chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ChainId {
    /// Of the shard that this is the first slot of.
    Shard(Slot),
    Catalogue,
    Cluster,
}

/// Where chains of a sort are kept, and what they and their pages are there.
pub trait Keeping: Clone + Default + std::fmt::Debug + PartialEq + Send + 'static {
    const HOME: Home;
    const CHAIN: EntityKind;
    const CHAIN_NAME: &'static str;
    const PAGE: EntityKind;
    const PAGE_NAME: &'static str;
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InShard;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InCatalogue;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InCluster;

impl Keeping for InShard {
    const HOME: Home = Home::Shard;
    const CHAIN: EntityKind = EntityKind(60);
    const CHAIN_NAME: &'static str = "audit_chain";
    const PAGE: EntityKind = EntityKind(61);
    const PAGE_NAME: &'static str = "audit_page";
}

impl Keeping for InCatalogue {
    const HOME: Home = Home::Everywhere(ShardId::CATALOGUE);
    const CHAIN: EntityKind = EntityKind(62);
    const CHAIN_NAME: &'static str = "catalogue_audit_chain";
    const PAGE: EntityKind = EntityKind(63);
    const PAGE_NAME: &'static str = "catalogue_audit_page";
}

impl Keeping for InCluster {
    const HOME: Home = Home::Everywhere(ShardId::META);
    const CHAIN: EntityKind = EntityKind(64);
    const CHAIN_NAME: &'static str = "cluster_audit_chain";
    const PAGE: EntityKind = EntityKind(65);
    const PAGE_NAME: &'static str = "cluster_audit_page";
}

impl ChainId {
    /// Of what a group decides, which has this slot.
    pub fn of_group(group: ShardId, slot: Slot) -> Self {
        match group {
            ShardId::META => Self::Cluster,
            ShardId::CATALOGUE => Self::Catalogue,
            _ => Self::Shard(slot),
        }
    }

    /// As it is called.
    pub fn name(self, shards: ShardMap) -> String {
        match self {
            Self::Shard(slot) => format!("shard-{}", shards.shard_of(slot)),
            Self::Catalogue => "catalogue".to_owned(),
            Self::Cluster => "cluster".to_owned(),
        }
    }

    /// Every chain of a cluster.
    pub fn all(shards: ShardMap) -> impl Iterator<Item = Self> {
        let of_shards = shards.shards().map(move |shard| Self::Shard(shards.first_slot(shard)));
        of_shards.chain([Self::Catalogue, Self::Cluster])
    }

    /// The chain itself, or one of its pages. The chain's own key has the number no page has.
    fn key(self, page: u32) -> EntityKey {
        let slot = match self {
            Self::Shard(slot) => slot,
            Self::Catalogue | Self::Cluster => Slot::from_bits(0),
        };
        let [a, b, c, d] = page.to_be_bytes();
        EntityKey::in_slot(slot, [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, a, b, c, d])
    }

    pub fn chain_key(self) -> EntityKey {
        self.key(u32::MAX)
    }

    pub fn page_key(self, page: u32) -> EntityKey {
        self.key(page)
    }

    fn address(self) -> EntityRef {
        let kind = match self {
            Self::Shard(_) => InShard::CHAIN,
            Self::Catalogue => InCatalogue::CHAIN,
            Self::Cluster => InCluster::CHAIN,
        };
        EntityRef { kind, key: self.chain_key() }
    }

    fn page_address(self, page: u32) -> EntityRef {
        let kind = match self {
            Self::Shard(_) => InShard::PAGE,
            Self::Catalogue => InCatalogue::PAGE,
            Self::Cluster => InCluster::PAGE,
        };
        EntityRef { kind, key: self.page_key(page) }
    }

    /// Of a chain's own address.
    pub fn of_chain(entity: &EntityRef) -> Option<Self> {
        let id = Self::of_kind(entity.kind, entity.key.slot())?;
        (id.address() == *entity).then_some(id)
    }

    /// Of a page's address; and which page it is.
    pub fn of_page(entity: &EntityRef) -> Option<(Self, u32)> {
        let EntityKey::Number(number) = &entity.key else { return None };
        let id = Self::of_kind(entity.kind, entity.key.slot())?;
        let page = u32::from_be_bytes(*number.last_chunk()?);
        (page != u32::MAX && id.page_address(page) == *entity).then_some((id, page))
    }

    fn of_kind(kind: EntityKind, slot: Slot) -> Option<Self> {
        match kind {
            InShard::CHAIN | InShard::PAGE => Some(Self::Shard(slot)),
            InCatalogue::CHAIN | InCatalogue::PAGE => Some(Self::Catalogue),
            InCluster::CHAIN | InCluster::PAGE => Some(Self::Cluster),
            _ => None,
        }
    }

    /// What a chain without any link comes to.
    pub fn origin(self) -> Digest {
        let name = match self {
            Self::Shard(slot) => format!("omnicart audit of slot {}", slot.bits()),
            Self::Catalogue => "omnicart audit of the catalogue".to_owned(),
            Self::Cluster => "omnicart audit of the cluster".to_owned(),
        };
        Digest(Sha256::digest(name).into())
    }
}

/// Tells the chain of a group what was done there.
pub fn account(deed: &Deed<'_>) -> Result<(EntityRef, Vec<u8>), DecodeError> {
    let act = Act {
        at: deed.at,
        by: By::from_bytes(&deed.origin.0)?,
        entity: deed.entity.clone(),
        seq: deed.seq,
        key: deed.key,
    };
    let chain = ChainId::of_group(deed.group, deed.slot);
    Ok((chain.address(), Command::Add { act }.to_bytes()))
}
