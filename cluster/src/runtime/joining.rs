//! How a node comes to its cluster: it knocks at a member's door and is told who it is.
//!
//! **Invariants:** a new folder gets its identity from the cluster before anything is written to it;
//! a folder that has one never asks again who it is, only where the others are.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use storage::codec;
use storage::disk::RealDisk;
use tokio::sync::mpsc;

use crate::entity::DecodeError;
use crate::ids::{Incarnation, NodeId};
use crate::metrics::MeshMetrics;
use crate::placement::cluster::{Candidate, Command, Rejection, Reply};
use crate::placement::member::{FolderId, Levels, NodeNumber, Start};
use crate::runtime::identity::{Identity, IdentityError, Origin, random};
use crate::runtime::membership::{ClusterError, ClusterHandle, PlacementRule};
use crate::runtime::mesh::{
    Knock, KnockError, Mesh, MeshConfig, MeshError, MeshIdentity, MeshLimits, PeerAddress,
    Protection,
};
use crate::runtime::postponed::explained;
use crate::shard::versioned;
use crate::wire::greeting::{self, BootId, ClusterId};

const VERSION: u16 = 1;
const KNOCK_PATIENCE: Duration = Duration::from_secs(8);
const KNOCK_PAUSE: Duration = Duration::from_secs(1);
/// How long a newcomer looks for a member that lets it in.
const INTRODUCTION_MAX: Duration = Duration::from_secs(120);

/// A node's part in a cluster.
#[derive(Clone, Debug)]
pub struct MeshSettings {
    pub number: NodeNumber,
    /// Where other nodes are heard.
    pub listen: SocketAddr,
    /// Where they find this node, as `host:port`.
    pub advertise: String,
    pub zone: String,
    /// The folder with this node's certificate; without, all nodes are on this machine.
    pub certificates: Option<PathBuf>,
    /// Members to ask first, as `host:port`.
    pub join: Vec<String>,
    pub placement: PlacementRule,
    /// What this program can do: [`Levels::OWN`], but for stand-ins of other versions.
    pub levels: Levels,
}

#[derive(Debug, thiserror::Error)]
pub enum JoinError {
    #[error("no member of the cluster let this node in; the last one asked: {last}")]
    NobodyAnswered { last: String },
    #[error("the cluster refuses this node: {why}")]
    Refused { why: String },
    #[error(transparent)]
    Mesh(#[from] MeshError),
    #[error(transparent)]
    Identity(#[from] IdentityError),
    #[error("cannot read the certificates in {}", .folder.display())]
    Certificates {
        folder: PathBuf,
        #[source]
        source: std::io::Error,
    },
}

/// What a member tells a newcomer.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Welcome {
    /// It belongs, and its start is recorded.
    Member(Box<Facts>),
    Refused {
        why: String,
    },
    /// Ask somebody else, or later.
    NotNow {
        why: String,
    },
    /// Nothing is remembered against it, and no leader of `meta` is known who could record it.
    Unled,
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Facts {
    pub(crate) node: NodeId,
    pub(crate) cluster: [u8; 16],
    pub(crate) incarnation: Incarnation,
    pub(crate) n_shards: u32,
    pub(crate) cluster_secret: [u8; 32],
    /// Everybody, and where they listen.
    pub(crate) members: Vec<(NodeId, String)>,
}

impl MeshSettings {
    pub(crate) fn candidate(&self, folder: FolderId, start: Start) -> Candidate {
        Candidate {
            number: self.number,
            address: self.advertise.clone(),
            zone: self.zone.clone(),
            levels: self.levels,
            folder,
            start,
        }
    }

    pub(crate) fn mesh(&self, cluster: ClusterId, node: NodeId) -> Result<MeshConfig, JoinError> {
        let level = |level: u32| u16::try_from(level).unwrap_or(u16::MAX);
        let levels =
            greeting::Levels { min: level(self.levels.lowest), max: level(self.levels.highest) };
        let boot = BootId(u64::from_be_bytes(random()?));
        let protection = match &self.certificates {
            None => Protection::PlainOnLoopback,
            Some(folder) => {
                let opened = RealDisk::open(folder)
                    .map_err(|source| JoinError::Certificates { folder: folder.clone(), source })?;
                Protection::Certificates(Arc::new(opened))
            }
        };
        Ok(MeshConfig {
            identity: MeshIdentity { cluster, node, boot, levels },
            listen: self.listen,
            protection,
            limits: MeshLimits::default(),
        })
    }

    /// Knocks until a member says who this node is.
    pub(crate) async fn introduce(&self) -> Result<Identity, JoinError> {
        let folder = FolderId(random()?);
        let me = NodeId::of(self.number, 0);
        let config = self.mesh(ClusterId([0; 16]), me)?;
        // Counted nowhere: the node is not running yet.
        let (mesh, _listening) = Mesh::bind(config, MeshMetrics::default()).await?;
        // It counts from its first start on, which is still to come.
        let candidate = self.candidate(folder, Start::default());
        let introduced =
            tokio::time::timeout(INTRODUCTION_MAX, self.knock_around(&mesh, &candidate));
        let facts = introduced
            .await
            .unwrap_or_else(|_| Err(JoinError::NobodyAnswered { last: self.join.join(", ") }));
        mesh.stop().await;
        let Facts { node, cluster, incarnation, n_shards, cluster_secret, .. } = facts?;
        let origin = Origin::Joined;
        Ok(Identity { cluster, node, incarnation, n_shards, cluster_secret, folder, origin })
    }

    async fn knock_around(&self, mesh: &Mesh, candidate: &Candidate) -> Result<Facts, JoinError> {
        loop {
            for seed in &self.join {
                match self.knock(mesh, seed, candidate).await {
                    Ok((_, Welcome::Member(facts))) => return Ok(*facts),
                    Ok((_, Welcome::Refused { why })) => return Err(JoinError::Refused { why }),
                    Ok((_, Welcome::NotNow { why })) => {
                        tracing::warn!(peer.address = seed, why, "not let in yet");
                    }
                    Ok((_, Welcome::Unled)) => {
                        tracing::warn!(peer.address = seed, "the cluster has no leader yet");
                    }
                    Err(error) => {
                        let error = explained(&error);
                        tracing::warn!(peer.address = seed, error, "no answer at the door");
                    }
                }
            }
            tokio::time::sleep(KNOCK_PAUSE).await;
        }
    }

    /// Asks one member; what it says about the others is worth knowing at every start.
    pub(crate) async fn members_known_to(
        &self,
        mesh: &Mesh,
        seed: &str,
        candidate: &Candidate,
    ) -> Option<Vec<(NodeId, String)>> {
        match self.knock(mesh, seed, candidate).await {
            Ok((_, Welcome::Member(facts))) => Some(facts.members),
            Ok((_, Welcome::Refused { .. } | Welcome::NotNow { .. } | Welcome::Unled)) | Err(_) => {
                None
            }
        }
    }

    /// What a member says, and who it is.
    pub(crate) async fn knock(
        &self,
        mesh: &Mesh,
        seed: &str,
        candidate: &Candidate,
    ) -> Result<(NodeId, Welcome), KnockFailed> {
        let request = Bytes::from(codec::encode_versioned(VERSION, candidate));
        let address = PeerAddress(seed.to_owned());
        let (node, answer) = mesh.knock(&address, request, KNOCK_PATIENCE).await?;
        Ok((node, versioned::decode("a welcome", VERSION, &answer)?))
    }
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum KnockFailed {
    #[error(transparent)]
    Knock(#[from] KnockError),
    #[error(transparent)]
    Unreadable(#[from] DecodeError),
}

/// Answers newcomers, one at a time.
pub(crate) async fn keep_the_door(
    mut knocks: mpsc::Receiver<Knock>,
    handle: ClusterHandle,
    identity: Identity,
) {
    while let Some(knock) = knocks.recv().await {
        let welcome = answer(&knock, &handle, &identity).await;
        let bytes = Bytes::from(codec::encode_versioned(VERSION, &welcome));
        // A newcomer that has gone knocks again.
        knock.answer.send(bytes).ok();
    }
}

async fn answer(knock: &Knock, handle: &ClusterHandle, identity: &Identity) -> Welcome {
    let candidate: Candidate = match versioned::decode("a knock", VERSION, &knock.request) {
        Ok(candidate) => candidate,
        Err(error) => return Welcome::Refused { why: error.to_string() },
    };
    if let Some(running) = handle.running_under(&candidate) {
        let why = format!("node {} runs with another folder", running.0);
        return Welcome::NotNow { why };
    }
    if knock.from.number() != Some(candidate.number) {
        let why = format!("its certificate is not for node {}", candidate.number);
        return Welcome::Refused { why };
    }
    if let Some(answer) = handle.answer_from_memory(&candidate) {
        return answer;
    }
    let number = candidate.number;
    match handle.execute(Command::Join(candidate)).await {
        Ok(Reply::Member(node)) => {
            tracing::info!(node.number = %number, node.id = node.0, "a node joins");
            Welcome::Member(Box::new(facts(node, handle, identity)))
        }
        // Its first attempt took effect; the next one is told who it is.
        Ok(Reply::Done) => Welcome::NotNow { why: "asked twice at once".to_owned() },
        Err(ClusterError::Rejected(Rejection::NotFounded)) => {
            Welcome::NotNow { why: Rejection::NotFounded.to_string() }
        }
        Err(ClusterError::Rejected(rejection)) => Welcome::Refused { why: rejection.to_string() },
        Err(error @ (ClusterError::Unavailable(_) | ClusterError::Unreadable)) => {
            Welcome::NotNow { why: error.to_string() }
        }
    }
}

fn facts(node: NodeId, handle: &ClusterHandle, identity: &Identity) -> Facts {
    let cluster = handle.known();
    let there = cluster.members().filter(|(_, member)| member.standing.takes_part());
    Facts {
        node,
        cluster: identity.cluster,
        incarnation: identity.incarnation,
        n_shards: identity.n_shards,
        cluster_secret: identity.cluster_secret,
        members: there.map(|(node, member)| (node, member.address.clone())).collect(),
    }
}
