//! Disks to lay fuzzed bytes on, and a seal that is none.

use std::sync::Arc;

use storage::disk::Disk;
use storage::seal::{Seal, SealError};
use storage::sim_disk::SimDisk;

/// Puts a mark in front, so that sealed parts are told from plain ones and any bytes can be forged.
pub(crate) struct Marked;

const MARK: u8 = 0x5E;

impl Seal for Marked {
    fn seal(&self, _: &[u8], plain: &[u8]) -> Result<Vec<u8>, SealError> {
        Ok([&[MARK], plain].concat())
    }

    fn open(&self, _: &[u8], sealed: &[u8]) -> Result<Vec<u8>, SealError> {
        sealed.strip_prefix(&[MARK]).map(<[u8]>::to_vec).ok_or(SealError::Open)
    }
}

pub(crate) fn marked() -> Option<Arc<dyn Seal>> {
    Some(Arc::new(Marked))
}

/// A disk with these files in one folder.
pub(crate) fn disk_with<'a>(
    dir: &str,
    files: impl IntoIterator<Item = (String, &'a [u8])>,
) -> SimDisk {
    let disk = SimDisk::new(1);
    if !dir.is_empty() {
        disk.create_dir_all(dir).expect("a folder");
    }
    for (path, bytes) in files {
        let file = disk.create_new(&path).expect("a new file");
        file.write_at(0, bytes).expect("a write");
        file.sync_all().expect("a sync");
    }
    disk
}

pub(crate) fn read(disk: &dyn Disk, path: &str) -> Vec<u8> {
    let file = disk.open(path).expect("a file");
    let mut bytes = vec![0; usize::try_from(file.len().expect("a length")).expect("fits")];
    let read = file.read_full_at(0, &mut bytes).expect("a read");
    assert_eq!(read, bytes.len());
    bytes
}

/// The first byte chooses, the rest is what is decoded.
pub(crate) fn chosen(bytes: &[u8]) -> (usize, &[u8]) {
    bytes.split_first().map_or((0, bytes), |(choice, rest)| (usize::from(*choice), rest))
}

/// The seed for a choice.
pub(crate) fn choosing(choice: u8, bytes: &[u8]) -> Vec<u8> {
    [&[choice], bytes].concat()
}

/// The seeds for every choice of so many, with each of these.
pub(crate) fn choosing_each(choices: u8, all: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let with_each = |choice| all.iter().map(move |bytes| choosing(choice, bytes));
    (0..choices).flat_map(with_each).collect()
}
