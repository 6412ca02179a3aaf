//! How a shard's history came to be here: written by this replica from some index on, and before
//! that brought from elsewhere, whole or not yet.
//!
//! **Invariants:** files that begin at or before [`Reach::since`] have no hole between them, nor
//! have those after it; between the two there is none if what lies before is [`Before::Whole`]. The
//! statement is replaced as a whole and durably. Without one, history was written here from the
//! beginning.

use serde::{Deserialize, Serialize};

use super::{HistoryError, Stretch, file};
use crate::codec;
use crate::disk::Disk;
use crate::folders;

const REACH_TYPE: u16 = 0x4852;
const REACH_VERSION: u16 = 1;
/// Far more than any version will need.
const BYTES_MAX: usize = 4_096;

/// What is known of a shard's history besides its files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reach {
    /// This replica's own writing begins after this index.
    pub since: u64,
    pub before: Before,
}

/// What lies at or before [`Reach::since`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Before {
    /// All there ever was.
    Whole,
    /// A beginning without a hole; the rest is elsewhere.
    Partial,
}

impl Reach {
    /// History that was never brought from elsewhere.
    pub const OWN: Self = Self { since: 0, before: Before::Whole };

    /// The parts within which there is no hole.
    pub fn parts(self) -> Vec<Stretch> {
        match self.before {
            Before::Whole => vec![Stretch::ALL],
            Before::Partial => vec![Stretch::up_to(self.since), Stretch::behind(self.since)],
        }
    }

    /// Reads what was written last.
    pub fn read(disk: &dyn Disk, dir: &str, shard: u32) -> Result<Self, HistoryError> {
        let path = path(dir, shard);
        let opened = match disk.open(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Self::OWN),
            opened => opened.map_err(HistoryError::io(&path, "opened"))?,
        };
        let mut bytes = vec![0; BYTES_MAX];
        let read = opened.read_full_at(0, &mut bytes).map_err(HistoryError::io(&path, "read"))?;
        bytes.truncate(read);
        Self::decode(&path, &bytes)
    }

    /// Makes this the statement of the shard's history, durably.
    pub fn write(self, disk: &dyn Disk, dir: &str, shard: u32) -> Result<(), HistoryError> {
        let path = path(dir, shard);
        let fresh = format!("{path}.new");
        let failed = HistoryError::io(&path, "written");
        folders::create_durably(disk, dir).map_err(failed)?;
        if disk.exists(&fresh).map_err(failed)? {
            disk.remove(&fresh).map_err(failed)?;
        }
        let file = disk.create_new(&fresh).map_err(failed)?;
        file.write_at(0, &self.encode()).map_err(failed)?;
        file.sync_all().map_err(failed)?;
        disk.rename(&fresh, &path).map_err(failed)?;
        disk.sync_dir(dir).map_err(failed)
    }

    fn encode(self) -> Vec<u8> {
        codec::seal_envelope(REACH_TYPE, REACH_VERSION, &codec::encode(&self))
    }

    fn decode(path: &str, bytes: &[u8]) -> Result<Self, HistoryError> {
        let damaged = |reason: String| HistoryError::damaged(path, 0, reason);
        let envelope = codec::open_envelope(bytes).map_err(|error| damaged(error.to_string()))?;
        if envelope.type_id != REACH_TYPE {
            return Err(damaged(format!("type {} instead of {REACH_TYPE}", envelope.type_id)));
        }
        if envelope.version > REACH_VERSION {
            let version = envelope.version;
            return Err(HistoryError::NewerFormat { file: path.to_owned(), version });
        }
        codec::decode(envelope.body).map_err(|error| damaged(error.to_string()))
    }
}

/// Removes the files of a shard that begin after an index.
pub fn remove_behind(
    disk: &dyn Disk,
    dir: &str,
    shard: u32,
    after: u64,
) -> Result<(), HistoryError> {
    let files = file::list(disk, dir, shard, Stretch::behind(after))?;
    if files.is_empty() {
        return Ok(());
    }
    for (_, path) in &files {
        disk.remove(path).map_err(HistoryError::io(path, "removed"))?;
    }
    disk.sync_dir(dir).map_err(HistoryError::io(dir, "removed"))
}

fn path(dir: &str, shard: u32) -> String {
    format!("{dir}/reach-{shard:010}")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::sim_disk::SimDisk;

    const PARTIAL: Reach = Reach { since: 700, before: Before::Partial };

    #[test]
    fn the_bytes_of_a_statement_never_change() {
        let golden = b"OCEVRH\x01\0\x0c\0\0\0\x71\x4d\x6c\xdd\xbc\x02\0\0\0\0\0\0\x01\0\0\0";
        assert_eq!(PARTIAL.encode(), golden);
        assert_eq!(Reach::decode("reach", golden).unwrap(), PARTIAL);
    }

    #[test]
    fn a_crash_leaves_the_statement_before_or_the_one_after() {
        for seed in 0..200 {
            let disk = SimDisk::new(seed);
            assert_eq!(Reach::read(&disk, "history", 3).unwrap(), Reach::OWN);
            PARTIAL.write(&disk, "history", 3).unwrap();
            let whole = Reach { before: Before::Whole, ..PARTIAL };
            disk.fail_sync(seed % 3);
            let written = whole.write(&disk, "history", 3);
            disk.crash();
            let read = Reach::read(&disk, "history", 3).unwrap();
            assert!(read == whole || (written.is_err() && read == PARTIAL), "{read:?}");
            PARTIAL.write(&disk, "history", 3).unwrap();
            assert_eq!(Reach::read(&disk, "history", 3).unwrap(), PARTIAL);
            assert_eq!(Reach::read(&disk, "history", 4).unwrap(), Reach::OWN);
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_statement_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            Reach::decode("reach", &bytes).ok();
            let sealed = codec::seal_envelope(REACH_TYPE, REACH_VERSION, &bytes);
            if let Ok(reach) = Reach::decode("reach", &sealed) {
                prop_assert_eq!(reach.encode(), sealed);
            }
        }
    }
}
