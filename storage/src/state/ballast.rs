//! [`Ballast`]: space kept for the moment when there is none.
//!
//! sled refuses everything after one write that found no space, reads too, and needs a little space
//! to be opened again. So nothing is written where little is left, and as others may take the last
//! byte of the disk, what an opening needs is put by beforehand.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::IndexFault;

/// Several times what is written anew after a reopening: see [`super::recent::BYTES_MAX`].
const BYTES: u64 = 8 * 1024 * 1024;
const BLOCK_BYTES: usize = 64 * 1024;

/// A file in the index's folder that holds nothing but space.
pub(super) struct Ballast {
    path: PathBuf,
}

impl Ballast {
    pub(super) fn in_folder(folder: &Path) -> Self {
        Self { path: folder.join("ballast") }
    }

    /// Puts the space by, unless it is.
    pub(super) fn lay(&self) -> Result<(), IndexFault> {
        let laid = self.try_lay();
        if laid.is_err() {
            self.throw();
        }
        laid.map_err(|error| IndexFault::io("putting space by in", &self.path, error))
    }

    /// An error unless as much again is left. Asked before each write, it keeps sled from finding out
    /// by itself, unless others take all of it within a moment.
    pub(super) fn check_room(&self) -> Result<(), IndexFault> {
        let room = self.room();
        room.map_err(|error| IndexFault::io("looking for space for", &self.path, error))
    }

    /// Gives the space to whoever writes next; whether there was any.
    pub(super) fn throw(&self) -> bool {
        fs::remove_file(&self.path).is_ok()
    }

    fn try_lay(&self) -> io::Result<()> {
        // A copy of the folder may have a hole there.
        if fs::metadata(&self.path).is_ok_and(|found| found.blocks() * 512 >= BYTES) {
            return Ok(());
        }
        // Taking what little there is until it fails would starve others each time.
        self.room()?;
        // Some file systems would store zeros in no space at all.
        let mut block = vec![0; BLOCK_BYTES];
        getrandom::fill(&mut block).map_err(|error| io::Error::other(error.to_string()))?;
        let mut file = File::create(&self.path)?;
        for _ in 0..BYTES.div_ceil(BLOCK_BYTES as u64) {
            file.write_all(&block)?;
        }
        Ok(())
    }

    fn room(&self) -> io::Result<()> {
        let folder = self.path.parent().unwrap_or(Path::new("."));
        let disk = rustix::fs::statvfs(folder)?;
        if disk.f_bavail.saturating_mul(disk.f_frsize) < BYTES {
            return Err(ErrorKind::StorageFull.into());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ballast_is_laid_once_and_thrown_once() {
        let folder = tempfile::tempdir().unwrap();
        let ballast = Ballast::in_folder(folder.path());
        assert!(!ballast.throw());
        for _ in 0..2 {
            ballast.lay().unwrap();
            assert_eq!(fs::metadata(folder.path().join("ballast")).unwrap().len(), BYTES);
        }
        assert!(ballast.throw());
        assert!(!ballast.throw());
    }
}
