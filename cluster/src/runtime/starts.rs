//! How often a data folder was started, so that an older copy of it is told from the folder itself.
//!
//! Raft is safe only while a replica remembers what it voted and what it acknowledged. A folder that
//! is set back to an older copy has forgotten both, and nothing in it says so. So each start counts,
//! and so does every minute of a run: the count is synced to the folder first and then recorded with
//! the node's membership in `meta`, which every other node holds. A node votes, answers replication
//! and leads only after another node has compared the two: the leader of `meta` where there is one,
//! else, when all start at once, as many others as make a majority with it. A folder that counts less
//! than the cluster remembers, or as much under another run, is refused for good; it is to be
//! replaced by an empty one, which comes back as a new node and is filled by the others.
//!
//! **Invariants:** a count is in the folder before anybody is told of it; a node that the cluster has
//! not compared sends and takes no message of Raft.
//!
//! What it does not catch: a copy that is less than a minute older than what it replaces, taken in
//! the same run (Raft itself fences a replica that lacks what its leader knows it had); a copy from
//! when the node was the only one, as nobody remembers anything of it; the folders of a majority, all
//! set back at once.

use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use storage::codec;
use storage::disk::Disk;

use crate::placement::member::Start;
use crate::runtime::identity::{IdentityError, exists, read_file, write_file};

const FILE: &str = "STARTS";
const NEW_FILE: &str = "STARTS.new";
const TYPE_ID: u16 = 3;
const VERSION: u16 = 1;

/// What the folder says.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct Counted {
    epoch: u64,
    /// The highest level that the cluster was seen to work at.
    level: u32,
}

/// The count of the folder in use, and this run's number.
pub(crate) struct Starts {
    disk: Arc<dyn Disk>,
    run: u64,
    counted: Mutex<Counted>,
}

impl Starts {
    /// Reads a folder's count, without counting this start.
    pub(crate) fn read(
        disk: &Arc<dyn Disk>,
        run: u64,
        highest: u32,
    ) -> Result<Self, IdentityError> {
        let counted =
            if exists(disk.as_ref(), FILE)? { parse(disk.as_ref())? } else { Counted::default() };
        if counted.level > highest {
            return Err(IdentityError::Level { found: counted.level, highest });
        }
        Ok(Self { disk: Arc::clone(disk), run, counted: Mutex::new(counted) })
    }

    /// Counts one more, durably.
    pub(crate) fn count(&self) -> Result<Start, IdentityError> {
        self.change(|counted| counted.epoch += 1)?;
        Ok(self.current())
    }

    pub(crate) fn current(&self) -> Start {
        Start { epoch: self.counted().epoch, run: self.run }
    }

    pub(crate) fn level(&self) -> u32 {
        self.counted().level
    }

    /// The cluster works at this level: a program that cannot must not open the folder any more.
    pub(crate) fn see_level(&self, level: u32) -> Result<(), IdentityError> {
        self.change(|counted| counted.level = level.max(counted.level))
    }

    fn counted(&self) -> Counted {
        *self.counted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut Counted)) -> Result<(), IdentityError> {
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        let mut next = *counted;
        change(&mut next);
        let disk = self.disk.as_ref();
        let io = |source| IdentityError::Io { file: FILE, source };
        write_file(disk, NEW_FILE, &codec::seal_envelope(TYPE_ID, VERSION, &codec::encode(&next)))?;
        disk.rename(NEW_FILE, FILE).map_err(io)?;
        disk.sync_dir("").map_err(io)?;
        *counted = next;
        Ok(())
    }
}

fn parse(disk: &dyn Disk) -> Result<Counted, IdentityError> {
    let bytes = read_file(disk, FILE)?;
    let damaged = |why: String| IdentityError::Damaged { file: FILE, why };
    let envelope = codec::open_envelope(&bytes).map_err(|error| damaged(error.to_string()))?;
    if envelope.type_id != TYPE_ID {
        return Err(damaged(format!("type {} instead of {TYPE_ID}", envelope.type_id)));
    }
    if envelope.version > VERSION {
        return Err(IdentityError::Newer { found: envelope.version });
    }
    codec::decode(envelope.body).map_err(|error| damaged(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use storage::disk::RealDisk;

    #[test]
    fn a_folder_counts_its_starts_and_keeps_the_highest_level() {
        let folder = tempfile::tempdir().unwrap();
        let disk: Arc<dyn Disk> = Arc::new(RealDisk::open(folder.path()).unwrap());
        let starts = Starts::read(&disk, 7, 1).unwrap();
        assert_eq!(starts.count().unwrap(), Start { epoch: 1, run: 7 });
        starts.see_level(2).unwrap();
        starts.see_level(1).unwrap();
        let starts = Starts::read(&disk, 8, 2).unwrap();
        assert_eq!(starts.count().unwrap(), Start { epoch: 2, run: 8 });
        assert_eq!(starts.level(), 2);
        let refused = Starts::read(&disk, 9, 1).map(drop);
        assert!(matches!(refused, Err(IdentityError::Level { found: 2, highest: 1 })));
    }
}
