//! A disk that fails on request, the same way for the same seed.
//!
//! **Invariants:**
//! - without faults it behaves as [`crate::disk::RealDisk`] does;
//! - what was synced survives [`SimDisk::crash`]; of what was not, each sector of 512 bytes and
//!   each change of a name survives or not as the seed decides: torn, reordered, lost;
//! - handles from before a crash fail ever after, as their process is gone.
//!
//! It does not model time, permissions, or sectors torn within themselves.

mod file;
mod inode;
mod names;
mod random;

pub use random::SplitMix64;

use crate::disk::{Disk, DiskFile};
use file::SimFile;
use inode::Inode;
use names::{NameChange, Names, Node, parent};
use std::io::{self, ErrorKind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What the disk has done so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DiskCounters {
    pub bytes_written: u64,
    pub bytes_read: u64,
    /// Syncs of files asked for, failed ones included.
    pub syncs: u64,
    /// Syncs of folders asked for, failed ones included.
    pub dir_syncs: u64,
}

/// A simulated data folder; clones are the same disk.
#[derive(Debug, Clone)]
pub struct SimDisk {
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    random: SplitMix64,
    names: Names,
    counters: DiskCounters,
    /// Raised by each crash; a handle of an earlier generation is dead.
    generation: u64,
    capacity: Option<u64>,
    lying_sync: bool,
    syncs_until_failure: Option<u64>,
    writes_until_failure: Option<u64>,
}

impl SimDisk {
    /// An empty disk.
    pub fn new(seed: u64) -> Self {
        let state = State {
            random: SplitMix64::new(seed),
            names: Names::default(),
            counters: DiskCounters::default(),
            generation: 0,
            capacity: None,
            lying_sync: false,
            syncs_until_failure: None,
            writes_until_failure: None,
        };
        Self { state: Arc::new(Mutex::new(state)) }
    }

    /// Cuts the power: what was not synced survives in part, all handles die, armed one-time
    /// faults are disarmed.
    pub fn crash(&self) {
        let mut state = self.lock();
        let state = &mut *state;
        state.generation += 1;
        state.syncs_until_failure = None;
        state.writes_until_failure = None;
        state.names.crash(&mut state.random);
        let files: Vec<_> = state.names.below("").filter_map(|(_, node)| file_of(node)).collect();
        for file in files {
            lock(&file).crash(&mut state.random);
        }
    }

    /// Another disk with the same files, all durable, and without faults.
    pub fn fork(&self, seed: u64) -> Self {
        let copy = Self::new(seed);
        copy.lock().names = self.lock().names.fork();
        copy
    }

    /// The n-th sync of a file or folder from here (1 is the next) fails with an I/O error. What
    /// it should have written is dropped, and later syncs succeed without writing it.
    pub fn fail_sync(&self, nth: u64) {
        self.lock().syncs_until_failure = Some(nth);
    }

    /// The n-th write from here (1 is the next) fails with an I/O error and changes nothing.
    pub fn fail_write(&self, nth: u64) {
        self.lock().writes_until_failure = Some(nth);
    }

    /// While set, syncs succeed and make nothing durable.
    pub fn set_lying_sync(&self, lying: bool) {
        self.lock().lying_sync = lying;
    }

    /// The bytes that all files may have together; growth past it fails as a full disk does.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.lock().capacity = bytes;
    }

    /// The bytes that all files have together.
    pub fn used(&self) -> u64 {
        self.lock().used()
    }

    /// Flips one bit (0 to 7) of the byte at `offset`, durably.
    pub fn flip_bit(&self, path: &str, offset: u64, bit: u32) -> io::Result<()> {
        let file = self.lock().file(path)?;
        lock(&file).damage(offset, |sector, within| {
            if let Some(byte) = sector.get_mut(within) {
                *byte ^= 1_u8.rotate_left(bit);
            }
        });
        Ok(())
    }

    /// Zeroes the sector that holds `offset`, durably.
    pub fn zero_sector(&self, path: &str, offset: u64) -> io::Result<()> {
        let file = self.lock().file(path)?;
        lock(&file).damage(offset, |sector, _| sector.fill(0));
        Ok(())
    }

    /// Reads of the sector that holds `offset` fail with an I/O error until it is written.
    pub fn fail_reads(&self, path: &str, offset: u64) -> io::Result<()> {
        let file = self.lock().file(path)?;
        lock(&file).make_unreadable(offset);
        Ok(())
    }

    /// What the disk has done so far.
    pub fn counters(&self) -> DiskCounters {
        self.lock().counters
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    fn handle(&self, generation: u64, path: &str, file: Arc<Mutex<Inode>>) -> Box<dyn DiskFile> {
        Box::new(SimFile { disk: self.clone(), generation, path: path.to_owned(), file })
    }
}

impl State {
    fn used(&self) -> u64 {
        let files = self.names.below("").filter_map(|(_, node)| file_of(node));
        files.map(|file| lock(&file).len() as u64).sum()
    }

    fn file(&self, path: &str) -> io::Result<Arc<Mutex<Inode>>> {
        match self.names.find(path).map(file_of) {
            Some(Some(file)) => Ok(file),
            Some(None) => Err(error(ErrorKind::IsADirectory, "open", path)),
            None => Err(error(ErrorKind::NotFound, "open", path)),
        }
    }

    /// How many of the bytes by which a file is to grow there is space for.
    fn grant(&self, growth: u64) -> u64 {
        match self.capacity {
            Some(capacity) if growth > 0 => capacity.saturating_sub(self.used()).min(growth),
            _ => growth,
        }
    }

    /// Whether a sync is to do its work; an error when it is the one to fail.
    fn sync_works(&mut self) -> Result<bool, ()> {
        if strikes(&mut self.syncs_until_failure) { Err(()) } else { Ok(!self.lying_sync) }
    }
}

/// Counts down a fault; true when it strikes.
fn strikes(countdown: &mut Option<u64>) -> bool {
    *countdown = countdown.map(|left| left.saturating_sub(1));
    let strikes = *countdown == Some(0);
    if strikes {
        *countdown = None;
    }
    strikes
}

impl Disk for SimDisk {
    fn open(&self, path: &str) -> io::Result<Box<dyn DiskFile>> {
        let state = self.lock();
        let file = state.file(path)?;
        Ok(self.handle(state.generation, path, file))
    }

    fn create_new(&self, path: &str) -> io::Result<Box<dyn DiskFile>> {
        let mut state = self.lock();
        if state.names.find(path).is_some() {
            return Err(error(ErrorKind::AlreadyExists, "create", path));
        }
        if !state.names.is_folder(parent(path)) {
            return Err(error(ErrorKind::NotFound, "create", path));
        }
        let file = Arc::new(Mutex::new(Inode::default()));
        let node = Node::File(Arc::clone(&file));
        state.names.change(NameChange::Add { path: path.to_owned(), node });
        Ok(self.handle(state.generation, path, file))
    }

    fn list(&self, dir: &str) -> io::Result<Vec<String>> {
        let state = self.lock();
        if !state.names.is_folder(dir) {
            return Err(error(ErrorKind::NotFound, "list", dir));
        }
        let inside = state.names.below(dir).filter(|(path, _)| parent(path) == dir);
        let name = |path: &str| path.rsplit_once('/').map_or(path, |(_, name)| name).to_owned();
        let mut names: Vec<_> = inside.map(|(path, _)| name(path)).collect();
        names.sort_unstable();
        Ok(names)
    }

    fn exists(&self, path: &str) -> io::Result<bool> {
        Ok(self.lock().names.find(path).is_some())
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut state = self.lock();
        if state.names.find(from).is_none() || !state.names.is_folder(parent(to)) {
            return Err(error(ErrorKind::NotFound, "rename", from));
        }
        state.names.change(NameChange::Rename { from: from.to_owned(), to: to.to_owned() });
        Ok(())
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        let mut state = self.lock();
        state.file(path)?;
        state.names.change(NameChange::Remove { path: path.to_owned() });
        Ok(())
    }

    fn create_dir_all(&self, dir: &str) -> io::Result<()> {
        let mut state = self.lock();
        let ends = dir.match_indices('/').map(|(at, _)| at).chain([dir.len()]);
        for path in ends.filter_map(|end| dir.get(..end)).filter(|path| !path.is_empty()) {
            match state.names.find(path) {
                Some(Node::Folder) => {}
                Some(Node::File(_)) => {
                    return Err(error(ErrorKind::NotADirectory, "create folder", dir));
                }
                None => {
                    let path = path.to_owned();
                    state.names.change(NameChange::Add { path, node: Node::Folder });
                }
            }
        }
        Ok(())
    }

    fn remove_dir_all(&self, dir: &str) -> io::Result<()> {
        let mut state = self.lock();
        let mut paths: Vec<_> = state.names.below(dir).map(|(path, _)| path.to_owned()).collect();
        if state.names.find(dir).is_some() {
            paths.insert(0, dir.to_owned());
        }
        for path in paths.into_iter().rev() {
            state.names.change(NameChange::Remove { path });
        }
        Ok(())
    }

    fn free_bytes(&self) -> io::Result<u64> {
        Ok(self.lock().grant(u64::MAX))
    }

    fn sync_dir(&self, dir: &str) -> io::Result<()> {
        let mut state = self.lock();
        state.counters.dir_syncs += 1;
        match state.sync_works() {
            Ok(true) => state.names.sync(dir),
            Ok(false) => {}
            Err(()) => return Err(broken("sync folder", dir)),
        }
        Ok(())
    }
}

fn file_of(node: &Node) -> Option<Arc<Mutex<Inode>>> {
    match node {
        Node::Folder => None,
        Node::File(file) => Some(Arc::clone(file)),
    }
}

fn error(kind: ErrorKind, action: &str, path: &str) -> io::Error {
    io::Error::new(kind, format!("cannot {action} {path}: {kind}"))
}

/// What a device reports when it is broken (`EIO`), or a file whose process is gone.
fn broken(action: &str, path: &str) -> io::Error {
    io::Error::other(format!("cannot {action} {path}: input/output error"))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A simulated file is far smaller than the address space.
fn to_usize(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests;
