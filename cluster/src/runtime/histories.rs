//! The history of a node's shards as its tasks share it: how far it reaches, and who writes it.
//!
//! **Invariants:** what is said to be reached is on the device; from the moment a replica goes on
//! from another one's snapshot, what it writes itself and what came before have files of their own,
//! and neither is written while they are told apart.

use std::sync::Arc;
use std::time::Duration;

use storage::disk::Disk;
use storage::history::{
    Before, HistoryError, HistoryOptions, HistoryReader, HistoryWriter, Reach, Stretch,
    remove_behind,
};
use storage::seal::Seal;
use tokio::sync::{Mutex, watch};

use crate::ids::ShardId;
use crate::replication::reached::Reached;
use crate::runtime::asking::blocking;
use crate::runtime::fetching::SnapshotFolder;
use crate::runtime::postponed::{Postponed, explained};
use crate::runtime::services::Services;

/// The folder of all shards' history, in the data folder.
pub(crate) const HISTORY_DIR: &str = "history";

const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// One shard's history.
#[derive(Default)]
pub(crate) struct History {
    reached: watch::Sender<Reached>,
    /// Held while the replica's own part is written.
    pub(crate) writing: Mutex<()>,
    /// Held while the part before it is.
    pub(crate) filling: Mutex<()>,
}

impl History {
    pub(crate) fn reaching(reached: Reached) -> Self {
        Self { reached: watch::Sender::new(reached), ..Self::default() }
    }

    pub(crate) fn reached(&self) -> Reached {
        *self.reached.borrow()
    }

    /// The replica's own part holds everything up to here.
    pub(crate) fn wrote(&self, since: u64, to: u64) {
        self.moved(since, |reached| reached.own = reached.own.max(to));
    }

    /// The part before it does.
    pub(crate) fn filled(&self, since: u64, to: u64) {
        self.moved(since, |reached| reached.before = reached.before.max(to));
    }

    fn moved(&self, since: u64, to: impl FnOnce(&mut Reached)) {
        self.reached.send_if_modified(|reached| {
            let is_same = reached.since == since;
            if is_same {
                to(reached);
            }
            is_same
        });
    }

    /// Resolves when the replica goes on from another snapshot than the one at `since`.
    pub(crate) async fn left(&self, since: u64) {
        let mut reached = self.reached.subscribe();
        // The sender lives as long as this.
        reached.wait_for(|reached| reached.since != since).await.ok();
    }
}

/// What it takes to find and tell apart the parts of a shard's history.
pub(crate) struct HistoryParts {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) seal: Option<Arc<dyn Seal>>,
    pub(crate) shard: ShardId,
}

impl HistoryParts {
    /// How far the history of a shard reaches whose log says that the replica's own part begins
    /// after `since`, and that the log was let go up to `own`.
    pub(crate) fn find(&self, since: u64, own: u64) -> Result<Reached, HistoryError> {
        let reach = self.tell_apart(since)?;
        let before = match reach.before {
            Before::Whole => reach.since,
            // A torn tail is cut, and what was never synced is.
            Before::Partial => {
                self.earlier(reach.since)?.synced_index().unwrap_or(0).min(reach.since)
            }
        };
        Ok(Reached { before, since: reach.since, own: own.max(reach.since) })
    }

    /// How far it reaches where the log goes on from nothing: a replica that had no part in its group
    /// any more leaves its history to others.
    pub(crate) fn archived(&self) -> Result<Reached, HistoryError> {
        let Self { disk, shard, .. } = self;
        let Reach { since, before } = Reach::read(disk.as_ref(), HISTORY_DIR, shard.0)?;
        let reader = HistoryReader::new(Arc::clone(disk), HISTORY_DIR, shard.0, self.seal.clone());
        let last = |part| reader.clone().within(part).last_index();
        let before = match before {
            Before::Whole => since,
            Before::Partial => last(Stretch::up_to(since))?.unwrap_or(0).min(since),
        };
        let own = last(Stretch::behind(since))?.unwrap_or(since).max(since);
        Ok(Reached { before, since, own })
    }

    /// Makes what is here the part before `since`. Of two parts that never met only the first stays:
    /// the second begins behind a hole, and is fetched again with it. May be cut short at any point.
    pub(crate) fn tell_apart(&self, since: u64) -> Result<Reach, HistoryError> {
        let Self { disk, shard, .. } = self;
        let known = Reach::read(disk.as_ref(), HISTORY_DIR, shard.0)?;
        // A log that knows nothing of the snapshot any more has nothing to add to history either.
        if known.since >= since {
            return Ok(known);
        }
        if known.before == Before::Partial {
            remove_behind(disk.as_ref(), HISTORY_DIR, shard.0, known.since)?;
        }
        // Its last file gets successors, so its torn tail goes now.
        drop(self.earlier(since)?);
        let reach = Reach { since, before: Before::Partial };
        reach.write(disk.as_ref(), HISTORY_DIR, shard.0)?;
        Ok(reach)
    }

    /// A writer of the part before `since`.
    pub(crate) fn earlier(&self, since: u64) -> Result<HistoryWriter, HistoryError> {
        self.writer(Stretch::up_to(since), None)
    }

    /// A writer of the replica's own part; `reaches` is what it must hold at least.
    pub(crate) fn own(
        &self,
        since: u64,
        reaches: Option<u64>,
    ) -> Result<HistoryWriter, HistoryError> {
        self.writer(Stretch::behind(since), reaches)
    }

    fn writer(
        &self,
        stretch: Stretch,
        reaches: Option<u64>,
    ) -> Result<HistoryWriter, HistoryError> {
        let (disk, seal) = (Arc::clone(&self.disk), self.seal.clone());
        let options = HistoryOptions { reaches, stretch, ..HistoryOptions::default() };
        HistoryWriter::open(disk, HISTORY_DIR, self.shard.0, seal, options)
    }

    /// A reader of what comes after an index, up to the end of its part.
    pub(crate) fn reader(&self, reached: Reached, after: u64) -> HistoryReader {
        let (disk, seal) = (Arc::clone(&self.disk), self.seal.clone());
        let stretch = match (reached.is_joined(), after < reached.since) {
            (true, _) => Stretch::ALL,
            (false, true) => Stretch::up_to(reached.since),
            (false, false) => Stretch::behind(reached.since),
        };
        HistoryReader::new(disk, HISTORY_DIR, self.shard.0, seal).within(stretch)
    }

    /// Notes that nothing is missing before `since` any more.
    pub(crate) fn join(&self, since: u64) -> Result<(), HistoryError> {
        Reach { since, before: Before::Whole }.write(self.disk.as_ref(), HISTORY_DIR, self.shard.0)
    }
}

impl Services {
    pub(crate) fn history_of(&self, shard: ShardId) -> Option<&History> {
        self.progress_of(shard).map(|progress| &progress.history)
    }

    pub(crate) fn history_parts(&self, shard: ShardId) -> HistoryParts {
        let SnapshotFolder { disk, seal, .. } = self.snapshot_folder.clone();
        HistoryParts { disk, seal, shard }
    }

    /// The replica goes on from another one's snapshot: what history it has comes before that.
    pub(crate) async fn restart_history(
        &self,
        shard: ShardId,
        since: u64,
    ) -> Result<(), Postponed> {
        let Some(history) = self.history_of(shard) else { return Ok(()) };
        history.reached.send_modify(|reached| *reached = reached.restarted_at(since));
        self.count_missing_history();
        let (_writing, _filling) = (history.writing.lock().await, history.filling.lock().await);
        loop {
            let parts = self.history_parts(shard);
            match blocking(move || parts.tell_apart(since)).await? {
                Ok(_) => return Ok(()),
                // Nothing may be written before they are told apart; the disk may have space again.
                Err(error) => {
                    let error = explained(&error);
                    tracing::warn!(shard.id = %shard, %error, "history cannot be told apart");
                }
            }
            if self.shards.is_stopping() {
                return Err(Postponed::Stopping);
            }
            tokio::time::sleep(RETRY_PAUSE).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use storage::history::HistoryEntry;
    use storage::sim_disk::SimDisk;

    use super::*;

    const SHARD: ShardId = ShardId(3);

    fn parts(disk: &SimDisk) -> HistoryParts {
        HistoryParts { disk: Arc::new(disk.clone()), seal: None, shard: SHARD }
    }

    fn entries(indexes: impl Iterator<Item = u64>) -> Vec<HistoryEntry> {
        let payload = || vec![7; 20_000].into();
        let entry = |index| HistoryEntry {
            index,
            time_micros: index,
            entities: vec![b"tea".to_vec()],
            payload: payload(),
        };
        indexes.map(entry).collect()
    }

    fn put(mut writer: HistoryWriter, indexes: impl Iterator<Item = u64>) {
        writer.append(&entries(indexes)).expect("in order");
        writer.sync().expect("the disk works");
    }

    fn held(disk: &SimDisk, reached: Reached, after: u64) -> Vec<u64> {
        let scan = parts(disk).reader(reached, after).scan(after + 1).expect("it is there");
        scan.map(|entry| entry.expect("it is sound").index).collect()
    }

    /// What a replica lives through that is filled twice, with a crash after and within every step.
    #[test]
    fn nothing_unproven_is_ever_held_to_be_there() {
        for seed in 0..120 {
            let disk = SimDisk::new(seed);
            put(parts(&disk).own(0, None).expect("new"), 1..=50);
            let crashed_in = |since: u64| {
                disk.fail_sync(seed % 7);
                // Whether it got to its end or not, it is done again after the crash.
                parts(&disk).tell_apart(since).ok();
                disk.crash();
                parts(&disk).find(since, since).expect("the disk works again")
            };
            let reached = crashed_in(100);
            assert_eq!(reached, Reached { before: 50, since: 100, own: 100 });
            put(parts(&disk).own(100, None).expect("sound"), 101..=130);
            put(parts(&disk).earlier(100).expect("sound"), 51..=80);
            let mut torn = parts(&disk).earlier(100).expect("sound");
            torn.append(&entries(81..=99)).expect("in order");
            drop(torn);
            disk.crash();
            let reached = crashed_in(100);
            assert!((80..=99).contains(&reached.before), "{reached:?}");
            assert_eq!(held(&disk, reached, 0), (1..=reached.before).collect::<Vec<_>>());
            assert_eq!(held(&disk, reached, 100), (101..=130).collect::<Vec<_>>());

            // Filled anew before the parts met: the one behind the hole is fetched again with it.
            let again = crashed_in(200);
            assert_eq!(again, Reached { before: reached.before, since: 200, own: 200 });
            put(parts(&disk).earlier(200).expect("sound"), reached.before + 1..=199);
            put(parts(&disk).own(200, None).expect("sound"), 201..=210);
            disk.fail_sync(seed % 3);
            let joined = parts(&disk).join(200);
            disk.crash();
            let after = parts(&disk).find(200, 210).expect("sound");
            assert!(after.is_joined() || joined.is_err() && after.before == 199, "{after:?}");
            parts(&disk).join(200).expect("the disk works");
            let after = parts(&disk).find(200, 210).expect("sound");
            let all: Vec<_> = (1..=199).chain(201..=210).collect();
            assert_eq!(held(&disk, after, 0), all);
            assert_eq!(parts(&disk).archived().expect("sound"), after);
            // And of what is whole, everything is kept.
            assert_eq!(crashed_in(300).before, 210);
        }
    }
}
