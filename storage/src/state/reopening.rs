//! Opening sled again after it found no space.

use super::index::{apply_batch, last_batch};
use super::open::{caught, is_locked, open_in_time};
use super::{IndexFault, StateIndex};

impl StateIndex {
    /// Opens sled again, and gives it what it may have lost. It may take the space put by, which
    /// [`Self::put_space_by`] then restores.
    pub(super) fn reopen(&mut self) -> Result<(), IndexFault> {
        self.close();
        self.ballast.throw();
        let reopened = self.reopened();
        self.fault = reopened.clone().err();
        reopened
    }

    fn reopened(&mut self) -> Result<(), IndexFault> {
        let (db, found, _) = open_in_time(&self.path, &self.options)?;
        if found != self.generation {
            return Err(IndexFault::Generation { marker: self.generation, found: Some(found) });
        }
        // What is written again may find no space either, and hang.
        self.side_door.open_to(&db);
        self.summaries.clear();
        let recent = &self.recent;
        let restored = caught("opening again", || {
            let found = last_batch(&db)?;
            let last = recent.last();
            for batch in recent.since(found).ok_or(IndexFault::RolledBack { found, last })? {
                apply_batch(&db, batch)?;
            }
            db.flush().map(drop).map_err(IndexFault::sled("opening again"))
        });
        self.db = Some(db);
        restored?;
        self.recent.clear();
        Ok(())
    }

    /// Puts space by for a reopening. It is an error when there is none, or none beyond that to go on
    /// with.
    pub(super) fn put_space_by(&self) -> Result<(), IndexFault> {
        self.ballast.lay()?;
        self.ballast.check_room()
    }

    /// What all calls are refused for.
    pub(super) fn fault(&self) -> Option<&IndexFault> {
        self.fault.as_ref()
    }
}

impl IndexFault {
    /// Whether a reopening may succeed a little later: there is no space yet, or the sled of before has
    /// not let go of its files.
    pub(super) fn may_pass(&self) -> bool {
        self.is_storage_full()
            || matches!(self, Self::OpenTimedOut { .. })
            || self.io_error().is_some_and(is_locked)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use bytes::Bytes;

    use super::*;
    use crate::state::{IndexOptions, IndexWrite};

    fn write(index: &mut StateIndex, key: &'static str, position: u64) {
        let (key, body) = (Bytes::from(key), Some(Bytes::from(vec![7; 900])));
        index.write(&[IndexWrite { shard: 1, key, position, body }]).unwrap();
    }

    fn copy(from: &Path, to: &Path) {
        fs::create_dir_all(to).unwrap();
        for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
            let (from, to) = (entry.path(), to.join(entry.file_name()));
            if from.is_dir() {
                copy(&from, &to);
            } else {
                fs::copy(from, to).unwrap();
            }
        }
    }

    /// What sled's files are after it lost everything since `kept`.
    fn lose(index: &mut StateIndex, kept: &Path) {
        index.close();
        let home = super::super::folder::generation_path(&index.path, index.generation);
        fs::remove_dir_all(&home).unwrap();
        copy(kept, &home);
    }

    #[test]
    fn what_sled_lost_is_written_again_and_losing_more_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let (path, kept) = (folder.path().join("state"), folder.path().join("kept"));
        let mut index = StateIndex::open(&path, &IndexOptions::default()).unwrap().index;
        let home = super::super::folder::generation_path(&path, index.generation);
        write(&mut index, "old", 1);
        index.sync_files().unwrap();
        copy(&home, &kept);
        for (nth, key) in (2..).zip(["a", "b", "a", "c"]) {
            write(&mut index, key, nth);
        }
        index.set_floor(1, 5).unwrap();
        lose(&mut index, &kept);
        index.reopen().unwrap();
        let position = |index: &mut StateIndex, key: &[u8]| {
            index.read(1, key).unwrap().map(|record| record.position)
        };
        for (key, expected) in [(b"old".as_slice(), 1), (b"a", 4), (b"b", 3), (b"c", 5)] {
            assert_eq!(position(&mut index, key), Some(expected));
        }
        assert_eq!(index.floor(1).unwrap(), Some(5));
        assert_eq!(index.scan(1).unwrap().map(Result::unwrap).count(), 4);
        write(&mut index, "d", 6);

        index.sync_files().unwrap();
        lose(&mut index, &kept);
        let fault = index.reopen().unwrap_err();
        assert!(matches!(fault, IndexFault::RolledBack { .. }), "{fault}");
        assert!(index.read(1, b"old").is_err());
    }
}
