//! Who this node is: made once with its data folder and never changed.
//!
//! **Invariants:** a folder has one identity for life; a folder written by a newer program, by
//! another product or under another encryption key is refused before anything in it is touched.

use std::io;

use serde::{Deserialize, Serialize};
use storage::codec;
use storage::disk::Disk;
use storage::vault::{KeyCheck, KeyCheckError, Vault};

use crate::ids::{Incarnation, NodeId};
use crate::placement::member::{FolderId, NodeNumber};

const FILE: &str = "IDENTITY";
const NEW_FILE: &str = "IDENTITY.new";
const KEY_CHECK_FILE: &str = "KEYCHECK";
const TYPE_ID: u16 = 1;
/// Raised when a newer layout of the data folder cannot be read by older programs.
const FORMAT: u16 = 2;

#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    pub cluster: [u8; 16],
    pub node: NodeId,
    pub incarnation: Incarnation,
    pub n_shards: u32,
    /// Derives ids and guest tokens; equal on every node of the cluster.
    pub cluster_secret: [u8; 32],
    pub folder: FolderId,
    pub origin: Origin,
}

/// What a start asks of a folder's identity.
#[derive(Default)]
pub struct Wish {
    pub n_shards: Option<u32>,
    pub number: Option<NodeNumber>,
    /// What the cluster says a new folder is.
    pub newcomer: Option<Identity>,
}

/// How a folder came to its cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Origin {
    /// The cluster began with it.
    Founded,
    Joined,
}

/// The first format: of nodes that were alone.
#[derive(Serialize, Deserialize)]
struct IdentityV1 {
    cluster: [u8; 16],
    node: NodeId,
    incarnation: Incarnation,
    n_shards: u32,
    cluster_secret: [u8; 32],
}

impl From<IdentityV1> for Identity {
    fn from(first: IdentityV1) -> Self {
        let IdentityV1 { cluster, node, incarnation, n_shards, cluster_secret } = first;
        let (folder, origin) = (FolderId(cluster), Origin::Founded);
        Self { cluster, node, incarnation, n_shards, cluster_secret, folder, origin }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    #[error("cannot read or write {file}")]
    Io {
        file: &'static str,
        #[source]
        source: io::Error,
    },
    #[error("the folder is not empty and holds no OmniCart data; found {found}")]
    Foreign { found: String },
    #[error("the folder has format {found}, newer than {FORMAT}, which this program knows")]
    Newer { found: u16 },
    #[error(
        "the folder is of a cluster that works at level {found}, and this program works up to \
         {highest}: start the newer program"
    )]
    Level { found: u32, highest: u32 },
    #[error("{file} is damaged: {why}")]
    Damaged { file: &'static str, why: String },
    #[error("the folder was created with {existing} shards, not {asked}; this cannot be changed")]
    OtherShards { existing: u32, asked: u32 },
    #[error("the folder belongs to node {found}, and this is to be node {asked}")]
    OtherNumber { found: u64, asked: NodeNumber },
    #[error(transparent)]
    Key(#[from] KeyCheckError),
    #[error("the operating system gives no random bytes: {0}")]
    Random(getrandom::Error),
}

impl Identity {
    /// Reads the identity of a folder without making one.
    pub fn read(disk: &dyn Disk, vault: Option<&Vault>) -> Result<Option<Self>, IdentityError> {
        if !exists(disk, FILE)? {
            return Ok(None);
        }
        let marker = read_file(disk, KEY_CHECK_FILE)?;
        KeyCheck::verify(&marker, vault)?;
        let bytes = read_file(disk, FILE)?;
        let damaged = |why: String| IdentityError::Damaged { file: FILE, why };
        let envelope = codec::open_envelope(&bytes).map_err(|error| damaged(error.to_string()))?;
        if envelope.type_id != TYPE_ID {
            return Err(damaged(format!("type {} instead of {TYPE_ID}", envelope.type_id)));
        }
        if envelope.version > FORMAT {
            return Err(IdentityError::Newer { found: envelope.version });
        }
        let identity = match envelope.version {
            1 => codec::decode::<IdentityV1>(envelope.body).map(Self::from),
            _ => codec::decode(envelope.body),
        };
        identity.map(Some).map_err(|error| damaged(error.to_string()))
    }

    /// The identity of a folder. A new one becomes what it was told, or the first of a cluster.
    pub fn read_or_create(
        disk: &dyn Disk,
        vault: Option<&Vault>,
        wish: Wish,
    ) -> Result<Self, IdentityError> {
        let known = Self::read(disk, vault)?;
        let (is_new, identity) = match (known, wish.newcomer) {
            (Some(known), _) => (false, known),
            (None, Some(newcomer)) => (true, newcomer),
            (None, None) => (true, Self::first(wish.n_shards, wish.number)?),
        };
        let existing = identity.n_shards;
        if let Some(asked) = wish.n_shards.filter(|asked| *asked != existing) {
            return Err(IdentityError::OtherShards { existing, asked });
        }
        if let Some(asked) = wish.number.filter(|asked| identity.node.number() != Some(*asked)) {
            let found = identity.node.0 & 0xffff;
            return Err(IdentityError::OtherNumber { found, asked });
        }
        if is_new {
            refuse_foreign(disk)?;
            identity.create(disk, vault)?;
        }
        Ok(identity)
    }

    /// The first node of a new cluster.
    fn first(n_shards: Option<u32>, number: Option<NodeNumber>) -> Result<Self, IdentityError> {
        const SHARDS_DEFAULT: u32 = 64;
        Ok(Self {
            cluster: random()?,
            node: NodeId::of(number.unwrap_or(NodeNumber::FIRST), 0),
            incarnation: Incarnation(1),
            n_shards: n_shards.unwrap_or(SHARDS_DEFAULT),
            cluster_secret: random()?,
            folder: FolderId(random()?),
            origin: Origin::Founded,
        })
    }

    fn create(&self, disk: &dyn Disk, vault: Option<&Vault>) -> Result<(), IdentityError> {
        write_file(disk, KEY_CHECK_FILE, &KeyCheck::create(vault)?)?;
        let bytes = codec::seal_envelope(TYPE_ID, FORMAT, &codec::encode(self));
        write_file(disk, NEW_FILE, &bytes)?;
        let io = |source| IdentityError::Io { file: FILE, source };
        disk.rename(NEW_FILE, FILE).map_err(io)?;
        disk.sync_dir("").map_err(io)
    }
}

/// A folder with files that no start of ours leaves behind belongs to somebody else.
fn refuse_foreign(disk: &dyn Disk) -> Result<(), IdentityError> {
    const LEFT_BY_AN_UNFINISHED_START: [&str; 4] = ["LOCK", KEY_CHECK_FILE, NEW_FILE, "lost+found"];
    let names = disk.list("").map_err(|source| IdentityError::Io { file: FILE, source })?;
    match names.into_iter().find(|name| !LEFT_BY_AN_UNFINISHED_START.contains(&name.as_str())) {
        Some(found) => Err(IdentityError::Foreign { found }),
        None => Ok(()),
    }
}

pub(crate) fn exists(disk: &dyn Disk, file: &'static str) -> Result<bool, IdentityError> {
    disk.exists(file).map_err(|source| IdentityError::Io { file, source })
}

pub(crate) fn read_file(disk: &dyn Disk, file: &'static str) -> Result<Vec<u8>, IdentityError> {
    const BYTES_MAX: u64 = 64 * 1024;
    let io = |source| IdentityError::Io { file, source };
    let handle = disk.open(file).map_err(io)?;
    let len = usize::try_from(handle.len().map_err(io)?.min(BYTES_MAX)).unwrap_or(0);
    let mut bytes = vec![0; len];
    let read = handle.read_full_at(0, &mut bytes).map_err(io)?;
    bytes.truncate(read);
    Ok(bytes)
}

pub(crate) fn write_file(
    disk: &dyn Disk,
    file: &'static str,
    bytes: &[u8],
) -> Result<(), IdentityError> {
    let io = |source| IdentityError::Io { file, source };
    if exists(disk, file)? {
        disk.remove(file).map_err(io)?;
    }
    let handle = disk.create_new(file).map_err(io)?;
    handle.write_at(0, bytes).map_err(io)?;
    handle.sync_all().map_err(io)
}

pub(crate) fn random<const N: usize>() -> Result<[u8; N], IdentityError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(IdentityError::Random)?;
    Ok(bytes)
}
