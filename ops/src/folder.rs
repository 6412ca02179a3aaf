//! A data folder that can only be looked at.
//!
//! **Invariants:**
//! - nothing in the folder changes: files are opened for reading, and every other operation of the
//!   disk is refused, so a mistake above is an error and not a write;
//! - while it is open no server can start on it, and it does not open under a running one unless
//!   the caller says so.

use std::fs::{self, File, TryLockError};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use cluster::placement::shard_map::ShardMap;
use cluster::runtime::identity::Identity;
use storage::disk::{Disk, DiskFile};
use storage::seal::Seal;
use storage::vault::Vault;

use crate::failure::{self, Exit, Failure};

/// Where a node keeps what.
pub const LOG_DIR: &str = "log";
pub const SNAPSHOT_DIR: &str = "snapshots";
pub const HISTORY_DIR: &str = "history";
pub const INDEX_DIR: &str = "state";
const LOCK_FILE: &str = "LOCK";
const IDENTITY_FILE: &str = "IDENTITY";

/// The numbers of all groups that a folder may hold: the shards, and what belongs to none of them.
pub fn groups_of(identity: &Identity) -> Result<Vec<u32>, Failure> {
    let map = ShardMap::even(identity.n_shards)
        .map_err(|error| Failure::new(Exit::Damaged, anyhow::Error::new(error)))?;
    Ok(map.groups().map(|group| group.0).collect())
}

/// What to do about a server that runs on the folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InUse {
    /// What is read would change underneath.
    Refuse,
    /// Worth a look all the same; the end of what is being written may look torn.
    Warn,
}

/// A data folder, its key and who it belongs to.
pub struct ReadOnlyFolder {
    pub path: PathBuf,
    pub disk: Arc<dyn Disk>,
    pub vault: Option<Arc<Vault>>,
    /// Held while looking.
    _lock: Option<File>,
}

impl ReadOnlyFolder {
    /// Opens a folder that exists and holds data of this program.
    pub fn open(path: &Path, key_file: Option<&Path>, in_use: InUse) -> Result<Self, Failure> {
        let found = fs::metadata(path)
            .with_context(|| format!("cannot open the data folder {}", path.display()))
            .map_err(|error| Failure::new(Exit::Folder, error))?;
        if !found.is_dir() {
            let error = anyhow::anyhow!("{} is not a folder", path.display());
            return Err(Failure::new(Exit::Folder, error));
        }
        let vault = key_file.map(vault).transpose()?;
        let disk = ReadOnlyDisk { root: path.to_owned() };
        refuse_foreign(&disk, path)?;
        let lock = lock(path, in_use)?;
        Ok(Self { path: path.to_owned(), disk: Arc::new(disk), vault, _lock: lock })
    }

    pub fn seal(&self) -> Option<Arc<dyn Seal>> {
        self.vault.clone().map(|vault| vault as Arc<dyn Seal>)
    }

    /// Who the folder belongs to. A key that does not fit fails here rather than at every record.
    pub fn identity(&self) -> Result<Identity, Failure> {
        match Identity::read(self.disk.as_ref(), self.vault.as_deref()) {
            Ok(Some(identity)) => Ok(identity),
            Ok(None) => Err(foreign(&self.path)),
            Err(error) => Err(Failure::new(failure::of_identity(&error), error)),
        }
    }
}

/// Reads the key that everything is encrypted with. Its contents are never quoted.
pub fn vault(key_file: &Path) -> Result<Arc<Vault>, Failure> {
    let named = || format!("key file {}", key_file.display());
    let contents = fs::read_to_string(key_file)
        .with_context(named)
        .map_err(|error| Failure::new(Exit::Usage, error))?;
    let vault = Vault::from_key_file(&contents)
        .with_context(named)
        .map_err(|error| Failure::new(Exit::Usage, error))?;
    Ok(Arc::new(vault))
}

fn refuse_foreign(disk: &dyn Disk, path: &Path) -> Result<(), Failure> {
    let has = |name| disk.exists(name).map_err(|error| Failure::new(Exit::Folder, error));
    // A lost identity is damage worth a report; a folder without a log either is somebody else's.
    if has(IDENTITY_FILE)? || has(LOG_DIR)? { Ok(()) } else { Err(foreign(path)) }
}

fn foreign(path: &Path) -> Failure {
    let error = anyhow::anyhow!("the folder {} holds no OmniCart data", path.display());
    Failure::new(Exit::ForeignFolder, error)
}

/// Keeps servers away while looking. Where no server ever ran there is no lock, and none is made.
fn lock(folder: &Path, in_use: InUse) -> Result<Option<File>, Failure> {
    let cannot = |error: io::Error| {
        let error = anyhow::Error::new(error)
            .context(format!("data folder {} cannot be locked", folder.display()));
        Failure::new(Exit::Folder, error)
    };
    let file = match File::open(folder.join(LOCK_FILE)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(cannot)?,
    };
    match (file.try_lock_shared(), in_use) {
        (Ok(()), _) => Ok(Some(file)),
        (Err(TryLockError::WouldBlock), InUse::Warn) => {
            let folder = folder.display();
            eprintln!("omnicart: data folder {folder} is in use: its end may look torn");
            Ok(None)
        }
        (Err(TryLockError::WouldBlock), InUse::Refuse) => {
            let folder = folder.display();
            let error = anyhow::anyhow!("data folder {folder} is in use by another process");
            Err(Failure::new(Exit::FolderInUse, error))
        }
        (Err(TryLockError::Error(error)), _) => Err(cannot(error)),
    }
}

/// A disk without the operations that change anything.
struct ReadOnlyDisk {
    root: PathBuf,
}

impl ReadOnlyDisk {
    fn resolve(&self, path: &str) -> io::Result<PathBuf> {
        let relative = Path::new(path);
        if relative.components().all(|part| matches!(part, Component::Normal(_))) {
            Ok(self.root.join(relative))
        } else {
            let reason = format!("path {path:?} is not inside the data folder");
            Err(io::Error::new(io::ErrorKind::InvalidInput, reason))
        }
    }
}

fn refused() -> io::Error {
    io::Error::new(io::ErrorKind::ReadOnlyFilesystem, "the folder was opened for reading only")
}

impl Disk for ReadOnlyDisk {
    fn open(&self, path: &str) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(ReadOnlyFile(File::open(self.resolve(path)?)?)))
    }

    fn create_new(&self, _path: &str) -> io::Result<Box<dyn DiskFile>> {
        Err(refused())
    }

    fn list(&self, dir: &str) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(self.resolve(dir)?)? {
            if let Ok(name) = entry?.file_name().into_string() {
                names.push(name);
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    fn exists(&self, path: &str) -> io::Result<bool> {
        fs::exists(self.resolve(path)?)
    }

    fn rename(&self, _from: &str, _to: &str) -> io::Result<()> {
        Err(refused())
    }

    fn remove(&self, _path: &str) -> io::Result<()> {
        Err(refused())
    }

    fn create_dir_all(&self, _dir: &str) -> io::Result<()> {
        Err(refused())
    }

    fn remove_dir_all(&self, _dir: &str) -> io::Result<()> {
        Err(refused())
    }

    fn sync_dir(&self, _dir: &str) -> io::Result<()> {
        Err(refused())
    }

    /// Nothing may be written.
    fn free_bytes(&self) -> io::Result<u64> {
        Ok(0)
    }
}

struct ReadOnlyFile(File);

impl DiskFile for ReadOnlyFile {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read_at(buffer, offset)
    }

    fn write_at(&self, _offset: u64, _bytes: &[u8]) -> io::Result<()> {
        Err(refused())
    }

    fn len(&self) -> io::Result<u64> {
        self.0.metadata().map(|metadata| metadata.len())
    }

    fn set_len(&self, _bytes: u64) -> io::Result<()> {
        Err(refused())
    }

    fn sync(&self) -> io::Result<()> {
        Err(refused())
    }

    fn sync_all(&self) -> io::Result<()> {
        Err(refused())
    }
}
