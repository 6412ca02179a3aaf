//! [`Ballast`]: space kept for the moment when there is none.
//!
//! sled refuses everything after one write that found no space, reads too, and needs a little space
//! to be opened again. Others may have taken the last byte of the disk, so it is put by beforehand.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use super::IndexFault;

/// Several times what is written anew after a reopening: see [`super::recent::BYTES_MAX`].
const BYTES: u64 = 8 * 1024 * 1024;
static ZEROS: [u8; 64 * 1024] = [0; 64 * 1024];

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

    /// Whether as much again is left for use: whoever goes on with less stops again at once.
    pub(super) fn check_room(&self) -> Result<(), IndexFault> {
        let room = self.room();
        room.map_err(|error| IndexFault::io("looking for space for", &self.path, error))
    }

    /// Gives the space to whoever writes next; whether there was any.
    pub(super) fn throw(&self) -> bool {
        fs::remove_file(&self.path).is_ok()
    }

    fn try_lay(&self) -> io::Result<()> {
        if fs::metadata(&self.path).is_ok_and(|found| found.len() >= BYTES) {
            return Ok(());
        }
        // Taking what little there is until it fails would starve others each time.
        self.room()?;
        let mut file = File::create(&self.path)?;
        for _ in 0..BYTES.div_ceil(ZEROS.len() as u64) {
            file.write_all(&ZEROS)?;
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
