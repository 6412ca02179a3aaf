//! Files, behind a seam: the only user of `std::fs` in production code.
//!
//! **Invariants:**
//! - a path is relative to one data folder, `/`-separated, and cannot leave it;
//! - an error names the path and what was tried, and keeps its [`io::ErrorKind`]: a full disk is
//!   [`io::ErrorKind::StorageFull`] whatever the reason (quota included);
//! - nothing is durable before `sync` (contents) and `sync_dir` (names) returned.
//!
//! It does not retry: after a failed sync the state of the file is unknown, and the caller decides.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Component, Path, PathBuf};

/// A data folder.
pub trait Disk: Send + Sync {
    /// Opens an existing file for reading and writing.
    fn open(&self, path: &str) -> io::Result<Box<dyn DiskFile>>;
    /// Creates a file that must not exist.
    fn create_new(&self, path: &str) -> io::Result<Box<dyn DiskFile>>;
    /// The names (not paths) in a folder, sorted.
    fn list(&self, dir: &str) -> io::Result<Vec<String>>;
    /// Whether a file or folder of this name exists.
    fn exists(&self, path: &str) -> io::Result<bool>;
    /// Renames a file or folder, replacing a file of the new name.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    /// Removes a file.
    fn remove(&self, path: &str) -> io::Result<()>;
    /// Creates a folder and those above it; one that exists is fine.
    fn create_dir_all(&self, dir: &str) -> io::Result<()>;
    /// Removes a folder and everything in it; one that does not exist is fine.
    fn remove_dir_all(&self, dir: &str) -> io::Result<()>;
    /// Makes the names in a folder durable. The empty path is the data folder itself.
    fn sync_dir(&self, dir: &str) -> io::Result<()>;
    /// How many bytes may still be written, as far as is known.
    fn free_bytes(&self) -> io::Result<u64>;
}

/// An open file.
pub trait DiskFile: Send + Sync {
    /// Reads at `offset`; fewer bytes than asked for, even none, at the end of the file.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize>;
    /// Writes all of `bytes` at `offset`, growing the file as needed.
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()>;
    /// The file's length in bytes.
    fn len(&self) -> io::Result<u64>;
    /// Whether the file has no bytes.
    fn is_empty(&self) -> io::Result<bool> {
        self.len().map(|bytes| bytes == 0)
    }
    /// Cuts the file, or extends it with zeros.
    fn set_len(&self, bytes: u64) -> io::Result<()>;
    /// Makes the contents durable (`fdatasync`).
    fn sync(&self) -> io::Result<()>;
    /// Makes the contents and all metadata durable (`fsync`).
    fn sync_all(&self) -> io::Result<()>;

    /// Reads until `buffer` is full or the file ends; returns the bytes read.
    fn read_full_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let mut done = 0;
        while let Some(rest) = buffer.get_mut(done..).filter(|rest| !rest.is_empty()) {
            match self.read_at(offset + done as u64, rest) {
                Ok(0) => break,
                Ok(read) => done += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }
}

/// What was tried, and on which path; the reason is the source.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} {path}")]
struct PathError {
    action: &'static str,
    path: String,
    #[source]
    source: io::Error,
}

/// Adds the action and the path to an error, and folds "quota exceeded" into "storage full".
fn explain(action: &'static str, path: &str, source: io::Error) -> io::Error {
    let full = source.kind() == io::ErrorKind::QuotaExceeded;
    let kind = if full { io::ErrorKind::StorageFull } else { source.kind() };
    io::Error::new(kind, PathError { action, path: path.to_owned(), source })
}

/// A data folder of the operating system.
#[derive(Debug)]
pub struct RealDisk {
    root: PathBuf,
}

impl RealDisk {
    /// Opens a data folder and creates it if there is none.
    pub fn open(root: &Path) -> io::Result<Self> {
        fs::create_dir_all(root)
            .map_err(|source| explain("create folder", &root.display().to_string(), source))?;
        Ok(Self { root: root.to_owned() })
    }

    /// The data folder, for libraries that open files themselves.
    pub fn root(&self) -> &Path {
        &self.root
    }

    fn resolve(&self, path: &str) -> io::Result<PathBuf> {
        let relative = Path::new(path);
        let inside = relative.components().all(|part| matches!(part, Component::Normal(_)));
        if !inside {
            let reason = format!("path {path:?} is not inside the data folder");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, reason));
        }
        Ok(self.root.join(relative))
    }

    fn file(
        &self,
        action: &'static str,
        path: &str,
        options: &OpenOptions,
    ) -> io::Result<Box<dyn DiskFile>> {
        let file =
            options.open(self.resolve(path)?).map_err(|source| explain(action, path, source))?;
        Ok(Box::new(RealFile { file, path: path.to_owned() }))
    }
}

impl Disk for RealDisk {
    fn open(&self, path: &str) -> io::Result<Box<dyn DiskFile>> {
        self.file("open", path, OpenOptions::new().read(true).write(true))
    }

    fn create_new(&self, path: &str) -> io::Result<Box<dyn DiskFile>> {
        self.file("create", path, OpenOptions::new().read(true).write(true).create_new(true))
    }

    fn list(&self, dir: &str) -> io::Result<Vec<String>> {
        let failed = |source| explain("list", dir, source);
        let mut names = Vec::new();
        for entry in fs::read_dir(self.resolve(dir)?).map_err(failed)? {
            // A name that is not UTF-8 is none of ours.
            if let Ok(name) = entry.map_err(failed)?.file_name().into_string() {
                names.push(name);
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    fn exists(&self, path: &str) -> io::Result<bool> {
        fs::exists(self.resolve(path)?).map_err(|source| explain("look for", path, source))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.resolve(from)?, self.resolve(to)?)
            .map_err(|source| explain("rename", from, source))
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        fs::remove_file(self.resolve(path)?).map_err(|source| explain("remove", path, source))
    }

    fn create_dir_all(&self, dir: &str) -> io::Result<()> {
        fs::create_dir_all(self.resolve(dir)?)
            .map_err(|source| explain("create folder", dir, source))
    }

    fn remove_dir_all(&self, dir: &str) -> io::Result<()> {
        match fs::remove_dir_all(self.resolve(dir)?) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                Err(explain("remove folder", dir, source))
            }
            _ => Ok(()),
        }
    }

    fn sync_dir(&self, dir: &str) -> io::Result<()> {
        File::open(self.resolve(dir)?)
            .and_then(|folder| folder.sync_all())
            .map_err(|source| explain("sync folder", dir, source))
    }

    fn free_bytes(&self) -> io::Result<u64> {
        let disk = rustix::fs::statvfs(&self.root).map_err(|error| {
            explain("measure the disk of", &self.root.display().to_string(), error.into())
        })?;
        Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
    }
}

struct RealFile {
    file: File,
    path: String,
}

impl RealFile {
    fn explained<T>(&self, action: &'static str, result: io::Result<T>) -> io::Result<T> {
        result.map_err(|source| explain(action, &self.path, source))
    }
}

impl DiskFile for RealFile {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.explained("read", self.file.read_at(buffer, offset))
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.explained("write", self.file.write_all_at(bytes, offset))
    }

    fn len(&self) -> io::Result<u64> {
        self.explained("measure", self.file.metadata()).map(|metadata| metadata.len())
    }

    fn set_len(&self, bytes: u64) -> io::Result<()> {
        self.explained("resize", self.file.set_len(bytes))
    }

    fn sync(&self) -> io::Result<()> {
        self.explained("sync", self.file.sync_data())
    }

    fn sync_all(&self) -> io::Result<()> {
        self.explained("sync", self.file.sync_all())
    }
}

/// Why a data folder could not be locked.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    #[error("data folder {} is in use by another process", folder.display())]
    Held { folder: PathBuf },
    #[error("data folder {} cannot be locked", folder.display())]
    Io {
        folder: PathBuf,
        #[source]
        source: io::Error,
    },
}

/// The lock of a data folder, held until dropped; the operating system drops it with the process.
#[derive(Debug)]
pub struct DirLock {
    _file: File,
}

impl DirLock {
    /// Locks `<root>/LOCK`, creating folder and file as needed.
    pub fn acquire(root: &Path) -> Result<Self, LockError> {
        let failed = |source| LockError::Io { folder: root.to_owned(), source };
        fs::create_dir_all(root).map_err(failed)?;
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .open(root.join("LOCK"))
            .map_err(failed)?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => Err(LockError::Held { folder: root.to_owned() }),
            Err(TryLockError::Error(source)) => Err(failed(source)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_created_written_listed_renamed_and_removed() {
        let folder = tempfile::tempdir().unwrap();
        let disk = RealDisk::open(&folder.path().join("data")).unwrap();
        disk.create_dir_all("log/old").unwrap();
        let file = disk.create_new("log/b").unwrap();
        file.write_at(3, b"tea").unwrap();
        file.sync().unwrap();
        let mut read = [9; 8];
        assert_eq!(file.read_full_at(1, &mut read).unwrap(), 5);
        assert_eq!(&read, b"\0\0tea\x09\x09\x09");
        assert_eq!(disk.list("log").unwrap(), ["b", "old"]);
        disk.rename("log/b", "log/a").unwrap();
        disk.sync_dir("log").unwrap();
        assert!(!disk.exists("log/b").unwrap());
        assert_eq!(disk.open("log/a").unwrap().len().unwrap(), 6);
        disk.remove("log/a").unwrap();
        disk.remove_dir_all("log").unwrap();
        disk.remove_dir_all("log").unwrap();
        disk.sync_dir("").unwrap();
        assert_eq!(disk.list("").unwrap(), Vec::<String>::new());
    }

    #[test]
    fn an_error_names_the_path_and_keeps_its_kind() {
        let folder = tempfile::tempdir().unwrap();
        let disk = RealDisk::open(folder.path()).unwrap();
        let error = disk.open("log/missing").map(|_| ()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        assert_eq!(error.to_string(), "cannot open log/missing");
        let full = explain("write", "a", io::Error::from(io::ErrorKind::QuotaExceeded));
        assert_eq!(full.kind(), io::ErrorKind::StorageFull);
    }

    #[test]
    fn a_path_cannot_leave_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        let disk = RealDisk::open(folder.path()).unwrap();
        for path in ["../a", "/etc/passwd", "a/../../b"] {
            let error = disk.exists(path).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{path}");
        }
    }

    #[test]
    fn a_folder_is_locked_once() {
        let folder = tempfile::tempdir().unwrap();
        let lock = DirLock::acquire(folder.path()).unwrap();
        let second = DirLock::acquire(folder.path()).unwrap_err();
        assert!(matches!(&second, LockError::Held { .. }), "{second}");
        assert!(second.to_string().contains(&folder.path().display().to_string()));
        drop(lock);
        DirLock::acquire(folder.path()).unwrap();
    }
}
