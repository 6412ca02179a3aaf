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

const FILE: &str = "IDENTITY";
const NEW_FILE: &str = "IDENTITY.new";
const KEY_CHECK_FILE: &str = "KEYCHECK";
const TYPE_ID: u16 = 1;
/// Raised when a newer layout of the data folder cannot be read by older programs.
const FORMAT: u16 = 1;

#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    pub cluster: [u8; 16],
    pub node: NodeId,
    pub incarnation: Incarnation,
    pub n_shards: u32,
    /// Derives ids and guest tokens; equal on every node of the cluster.
    pub cluster_secret: [u8; 32],
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
    #[error("{FILE} is damaged: {why}")]
    Damaged { why: String },
    #[error("the folder was created with {existing} shards, not {asked}; this cannot be changed")]
    OtherShards { existing: u32, asked: u32 },
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
        let damaged = |why: String| IdentityError::Damaged { why };
        let envelope = codec::open_envelope(&bytes).map_err(|error| damaged(error.to_string()))?;
        if envelope.type_id != TYPE_ID {
            return Err(damaged(format!("type {} instead of {TYPE_ID}", envelope.type_id)));
        }
        if envelope.version > FORMAT {
            return Err(IdentityError::Newer { found: envelope.version });
        }
        codec::decode(envelope.body).map(Some).map_err(|error| damaged(error.to_string()))
    }

    /// The identity of a folder, made now if the folder is new.
    pub fn read_or_create(
        disk: &dyn Disk,
        vault: Option<&Vault>,
        n_shards: Option<u32>,
    ) -> Result<Self, IdentityError> {
        const SHARDS_DEFAULT: u32 = 64;
        if let Some(identity) = Self::read(disk, vault)? {
            return match n_shards {
                Some(asked) if asked != identity.n_shards => {
                    Err(IdentityError::OtherShards { existing: identity.n_shards, asked })
                }
                Some(_) | None => Ok(identity),
            };
        }
        refuse_foreign(disk)?;
        let identity = Self {
            cluster: random()?,
            node: NodeId(1),
            incarnation: Incarnation(1),
            n_shards: n_shards.unwrap_or(SHARDS_DEFAULT),
            cluster_secret: random()?,
        };
        identity.create(disk, vault)?;
        Ok(identity)
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

fn exists(disk: &dyn Disk, file: &'static str) -> Result<bool, IdentityError> {
    disk.exists(file).map_err(|source| IdentityError::Io { file, source })
}

fn read_file(disk: &dyn Disk, file: &'static str) -> Result<Vec<u8>, IdentityError> {
    const BYTES_MAX: u64 = 64 * 1024;
    let io = |source| IdentityError::Io { file, source };
    let handle = disk.open(file).map_err(io)?;
    let len = usize::try_from(handle.len().map_err(io)?.min(BYTES_MAX)).unwrap_or(0);
    let mut bytes = vec![0; len];
    let read = handle.read_full_at(0, &mut bytes).map_err(io)?;
    bytes.truncate(read);
    Ok(bytes)
}

fn write_file(disk: &dyn Disk, file: &'static str, bytes: &[u8]) -> Result<(), IdentityError> {
    let io = |source| IdentityError::Io { file, source };
    if exists(disk, file)? {
        disk.remove(file).map_err(io)?;
    }
    let handle = disk.create_new(file).map_err(io)?;
    handle.write_at(0, bytes).map_err(io)?;
    handle.sync_all().map_err(io)
}

fn random<const N: usize>() -> Result<[u8; N], IdentityError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(IdentityError::Random)?;
    Ok(bytes)
}
