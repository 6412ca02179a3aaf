//! A handle to a simulated file.
//!
//! **Invariants:** the disk is always locked before the file, and a handle from before a crash
//! fails whatever is asked of it.

use super::inode::Inode;
use super::{SimDisk, State, broken, error, lock, strikes, to_usize};
use crate::disk::DiskFile;
use std::io::{self, ErrorKind};
use std::sync::{Arc, Mutex, MutexGuard};

/// A handle to a simulated file, good until the next crash.
pub(super) struct SimFile {
    pub(super) disk: SimDisk,
    pub(super) generation: u64,
    pub(super) path: String,
    pub(super) file: Arc<Mutex<Inode>>,
}

impl SimFile {
    /// The disk and the file, in the order in which they are always locked.
    fn enter(&self, action: &str) -> io::Result<(MutexGuard<'_, State>, MutexGuard<'_, Inode>)> {
        let state = self.disk.lock();
        if state.generation != self.generation {
            return Err(broken(action, &self.path));
        }
        Ok((state, lock(&self.file)))
    }

    fn sync_contents(&self) -> io::Result<()> {
        let (mut state, mut file) = self.enter("sync")?;
        state.counters.syncs += 1;
        match state.sync_works() {
            Ok(true) => file.sync(),
            Ok(false) => {}
            Err(()) => {
                file.drop_unsynced();
                return Err(broken("sync", &self.path));
            }
        }
        Ok(())
    }

    /// Resizes as far as there is space; returns whether that was all.
    fn grow(&self, bytes: u64) -> io::Result<bool> {
        let (state, file) = self.enter("resize")?;
        let len = file.len() as u64;
        // The sum of all lengths is taken below, and this file is one of them.
        drop(file);
        let granted = state.grant(bytes.saturating_sub(len));
        let resized = if bytes < len { bytes } else { len + granted };
        if resized != len {
            lock(&self.file).resize(to_usize(resized));
        }
        Ok(resized == bytes)
    }
}

impl DiskFile for SimFile {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let (mut state, file) = self.enter("read")?;
        let read = file.read(offset, buffer).ok_or_else(|| broken("read", &self.path))?;
        state.counters.bytes_read += read as u64;
        Ok(read)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let end = offset + bytes.len() as u64;
        let len = self.len()?;
        let fits = end <= len || self.grow(end)?;
        let (mut state, mut file) = self.enter("write")?;
        if strikes(&mut state.writes_until_failure) {
            return Err(broken("write", &self.path));
        }
        if state.random.one_in(8) {
            file.write_back(&mut state.random);
        }
        // A write that does not fit leaves the part that did, as a real one may.
        let room = to_usize((file.len() as u64).saturating_sub(offset));
        let written = bytes.get(..room).unwrap_or(bytes);
        file.write(offset, written);
        state.counters.bytes_written += written.len() as u64;
        if fits { Ok(()) } else { Err(error(ErrorKind::StorageFull, "write", &self.path)) }
    }

    fn len(&self) -> io::Result<u64> {
        self.enter("measure").map(|(_, file)| file.len() as u64)
    }

    fn set_len(&self, bytes: u64) -> io::Result<()> {
        if self.grow(bytes)? {
            Ok(())
        } else {
            Err(error(ErrorKind::StorageFull, "resize", &self.path))
        }
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_contents()
    }

    fn sync_all(&self) -> io::Result<()> {
        self.sync_contents()
    }
}
