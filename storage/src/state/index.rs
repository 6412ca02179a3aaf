//! [`StateIndex`]: sled behind checks, with every panic caught.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sled::Db;

use super::ballast::Ballast;
use super::nudge::SideDoor;
use super::open::{caught, open_in_time};
use super::pieces;
use super::recent::{Change, Recent};
use super::record::{self, Summary};
use super::scan::IndexScan;
use super::{
    FolderFound, IndexEntry, IndexFault, IndexOptions, IndexRecord, IndexWrite, Opened,
    SHARD_RESERVED, folder,
};
use crate::clock;
use crate::codec;
use crate::seal::Seal;

/// A batch is cut when it holds this many bytes; sled keeps a batch in memory as a whole.
const BATCH_BYTES_MAX: usize = 1024 * 1024;

const OWN_SUMMARY: u8 = b's';
const OWN_FLOOR: u8 = b'f';
const OWN_BATCH: u8 = b'n';

/// An open state index. It has one owner, usually an [`super::IndexWorker`].
pub struct StateIndex {
    /// `None` while it is opened again.
    pub(super) db: Option<Db>,
    pub(super) path: PathBuf,
    pub(super) generation: u64,
    pub(super) options: IndexOptions,
    pub(super) summaries: HashMap<u32, Summary>,
    pub(super) recent: Recent,
    pub(super) ballast: Ballast,
    /// Whether nothing is written into the last space of the disk. A start needs some of it.
    keeps_room: bool,
    pub(super) fault: Option<IndexFault>,
    pub(super) side_door: SideDoor,
}

impl fmt::Debug for StateIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StateIndex")
            .field("path", &self.path)
            .field("generation", &self.generation)
            .field("fault", &self.fault)
            .finish_non_exhaustive()
    }
}

impl StateIndex {
    /// Opens the index in `path`, or creates it.
    pub fn open(path: &Path, options: &IndexOptions) -> Result<Opened, IndexFault> {
        let started = clock::monotonic();
        let ballast = Ballast::in_folder(path);
        let opened = match open_in_time(path, options) {
            Err(fault) if fault.is_storage_full() && ballast.throw() => open_in_time(path, options),
            opened => opened,
        };
        let (db, generation, found) = opened?;
        let last = caught("opening", || last_batch(&db))?;
        if found == FolderFound::Created {
            folder::set_current(path, generation)?;
        }
        // The index serves without, as long as nobody takes all space.
        ballast.lay().unwrap_or_else(|fault| tracing::warn!(%fault, "no space is put by"));
        let side_door = SideDoor::default();
        side_door.open_to(&db);
        let index = Self {
            db: Some(db),
            path: path.to_owned(),
            generation,
            options: options.clone(),
            summaries: HashMap::new(),
            recent: Recent::after(last),
            ballast,
            keeps_room: false,
            fault: None,
            side_door,
        };
        let took = clock::monotonic().duration_since(started);
        Ok(Opened { index, generation, folder: found, took })
    }

    /// From here on nothing is written into the last space of the disk: whoever asks can wait.
    pub(super) fn keep_room(&mut self) {
        self.keeps_room = true;
    }

    /// The identity of the folder.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Stores writes in their order, in batches of about 1 MiB; each batch is atomic.
    pub fn write(&mut self, writes: &[IndexWrite]) -> Result<(), IndexFault> {
        if writes.iter().any(|write| write.shard == SHARD_RESERVED) {
            return Err(IndexFault::ReservedShard);
        }
        let mut rest = writes;
        while !rest.is_empty() {
            let mut bytes = 0;
            let fits = |write: &&IndexWrite| {
                bytes += write.key.len() + write.body.as_ref().map_or(0, |body| body.len());
                bytes <= BATCH_BYTES_MAX
            };
            let n = rest.iter().take_while(fits).count().max(1);
            let (batch, later) = rest.split_at(n.min(rest.len()));
            self.write_batch(batch)?;
            rest = later;
        }
        Ok(())
    }

    fn write_batch(&mut self, writes: &[IndexWrite]) -> Result<(), IndexFault> {
        let seal = self.seal();
        let mut changes = Vec::with_capacity(writes.len());
        for write in writes {
            let key = record::record_key(write.shard, &write.key);
            let value = record::encode(write, &key, seal.as_deref())?;
            changes.push((write.shard, key, Some(value)));
        }
        self.apply(changes)
    }

    /// Applies changes (`None` removes) together with the summaries of their shards.
    fn apply(&mut self, changes: Vec<(u32, Vec<u8>, Option<Vec<u8>>)>) -> Result<(), IndexFault> {
        let mut summaries = BTreeMap::new();
        for (shard, _, _) in &changes {
            if !summaries.contains_key(shard) {
                summaries.insert(*shard, self.summary(*shard)?);
            }
        }
        let (batch, summaries) = self.guarded("writing", move |db| {
            // A key may be changed twice in a batch: the tree has only what was there before it.
            let mut known: HashMap<&[u8], Stored> = HashMap::new();
            let mut batch = Vec::with_capacity(changes.len());
            for (shard, key, value) in &changes {
                let old = match known.get(key.as_slice()) {
                    Some(old) => *old,
                    None => stored(db, *shard, key)?,
                };
                let element = value.as_ref().and_then(|value| record::element(key, value));
                let n_pieces = value.as_ref().map_or(0, |value| pieces::count(value));
                let summary = summaries.entry(*shard).or_default();
                old.element.into_iter().for_each(|element| summary.subtract(element));
                element.into_iter().for_each(|element| summary.add(element));
                batch.extend(pieces::changes(key, value.as_deref(), old.n_pieces));
                known.insert(key, Stored { element, n_pieces });
            }
            for (shard, summary) in &summaries {
                let key = record::own_key(OWN_SUMMARY, *shard);
                let value = record::own_value(&key, &[summary.count, summary.sum]);
                batch.push((key, Some(value)));
            }
            Ok((batch, summaries))
        })?;
        self.commit("writing", batch)?;
        self.summaries.extend(summaries);
        Ok(())
    }

    /// Applies a batch and keeps it until it is in sled's files.
    fn commit(&mut self, doing: &'static str, mut batch: Vec<Change>) -> Result<(), IndexFault> {
        if self.keeps_room {
            self.ballast.check_room()?;
        }
        let key = record::own_key(OWN_BATCH, 0);
        let value = record::own_value(&key, &[self.recent.next()]);
        batch.push((key, Some(value)));
        self.guarded(doing, |db| apply_batch(db, &batch))?;
        self.recent.push(batch);
        if self.recent.is_large() {
            self.flush()?;
        }
        Ok(())
    }

    /// Brings everything into sled's files, which is not yet onto the device.
    fn flush(&mut self) -> Result<(), IndexFault> {
        self.guarded("flushing", |db| db.flush().map_err(IndexFault::sled("flushing")))?;
        self.recent.clear();
        Ok(())
    }

    /// The record under a key, verified.
    pub fn read(&mut self, shard: u32, key: &[u8]) -> Result<Option<IndexRecord>, IndexFault> {
        let seal = self.seal();
        let full = record::record_key(shard, key);
        self.guarded("reading", |db| {
            let value = db.get(&full).map_err(IndexFault::sled("reading"))?;
            let Some(first) = value else { return Ok(None) };
            let value = pieces::whole(db, &full, &first)?;
            record::decode(shard, &full, &value, seal.as_deref()).map(Some)
        })
    }

    /// Every record of a shard in key order, each verified. The end is an error unless exactly the
    /// records that were written have been seen.
    pub fn scan(&mut self, shard: u32) -> Result<IndexScan<'_>, IndexFault> {
        let expected = self.summary(shard)?;
        let iter = self.guarded("scanning", |db| Ok(db.scan_prefix(shard.to_be_bytes())))?;
        Ok(IndexScan::new(self, iter, shard, expected))
    }

    /// Some records of a shard after a key, until they hold `bytes_max`. Other changes may come
    /// between two pages, so a page does not notice missing records; [`Self::scan`] does.
    pub fn page(
        &mut self,
        shard: u32,
        after: Option<&[u8]>,
        bytes_max: usize,
    ) -> Result<Vec<IndexEntry>, IndexFault> {
        let seal = self.seal();
        let mut start = record::record_key(shard, after.unwrap_or_default());
        if after.is_some() {
            start.push(0);
        }
        self.guarded("scanning", |db| {
            let mut page = Vec::new();
            let mut bytes = 0;
            for entry in db.range(start..) {
                let (full, first) = entry.map_err(IndexFault::sled("scanning"))?;
                let Some((prefix, key)) = full.split_first_chunk::<4>() else { break };
                if u32::from_be_bytes(*prefix) != shard {
                    break;
                }
                let value = pieces::whole(db, &full, &first)?;
                bytes += full.len() + value.len();
                let record = record::decode(shard, &full, &value, seal.as_deref())?;
                page.push((key.to_vec(), record));
                if bytes >= bytes_max {
                    break;
                }
            }
            Ok(page)
        })
    }

    /// Removes the tombstones of a shard that were made at or before a position.
    pub fn forget_tombstones(&mut self, shard: u32, until: u64) -> Result<u64, IndexFault> {
        self.remove_where(shard, |record| record.body.is_none() && record.position <= until)
    }

    /// Removes all that is known of a shard, its floor first.
    pub fn remove_shard(&mut self, shard: u32) -> Result<u64, IndexFault> {
        self.commit("removing", vec![(record::own_key(OWN_FLOOR, shard), None)])?;
        self.remove_where(shard, |_| true)
    }

    fn remove_where(
        &mut self,
        shard: u32,
        doomed: impl Fn(&IndexRecord) -> bool,
    ) -> Result<u64, IndexFault> {
        let mut removed = 0;
        let mut after: Option<Vec<u8>> = None;
        loop {
            let page = self.page(shard, after.as_deref(), BATCH_BYTES_MAX)?;
            let Some((last, _)) = page.last() else { return Ok(removed) };
            after = Some(last.clone());
            let changes: Vec<_> = page
                .iter()
                .filter(|(_, record)| doomed(record))
                .map(|(key, _)| (shard, record::record_key(shard, key), None))
                .collect();
            removed += changes.len() as u64;
            self.apply(changes)?;
        }
    }

    /// Notes that every record of a shard changed at or before `position` is in the index. It counts
    /// for something only after [`Self::sync_files`], and then belongs into the caller's log.
    pub fn set_floor(&mut self, shard: u32, position: u64) -> Result<(), IndexFault> {
        let key = record::own_key(OWN_FLOOR, shard);
        let value = record::own_value(&key, &[position]);
        self.commit("writing a floor", vec![(key, Some(value))])
    }

    /// The floor last noted. One below that in the caller's log means that the folder is older.
    pub fn floor(&mut self, shard: u32) -> Result<Option<u64>, IndexFault> {
        let numbers = self.guarded("reading a floor", |db| own::<1>(db, OWN_FLOOR, shard))?;
        Ok(numbers.map(|[position]| position))
    }

    /// Brings everything written so far onto the device.
    pub fn sync_files(&mut self) -> Result<(), IndexFault> {
        self.flush()?;
        let path = self.path.clone();
        let generation = folder::generation_path(&path, self.generation);
        self.guarded("flushing", |_| folder::sync_files(&path, &generation))?;
        // There may have been no space for it before; without it, all is as it was.
        self.ballast.lay().ok();
        Ok(())
    }

    /// Bytes of all the index's files.
    pub fn size_on_disk(&mut self) -> Result<u64, IndexFault> {
        let generation = folder::generation_path(&self.path, self.generation);
        self.guarded("measuring", |_| folder::size_on_disk(&generation))
    }

    fn summary(&mut self, shard: u32) -> Result<Summary, IndexFault> {
        if let Some(summary) = self.summaries.get(&shard) {
            return Ok(*summary);
        }
        let numbers = self.guarded("reading a summary", |db| own::<2>(db, OWN_SUMMARY, shard))?;
        let summary = numbers.map(|[count, sum]| Summary { count, sum }).unwrap_or_default();
        self.summaries.insert(shard, summary);
        Ok(summary)
    }

    pub(super) fn seal(&self) -> Option<Arc<dyn Seal>> {
        self.options.seal.clone()
    }

    /// Runs one call of sled. After the first fault nothing runs any more.
    pub(super) fn guarded<T>(
        &mut self,
        doing: &'static str,
        call: impl FnOnce(&Db) -> Result<T, IndexFault>,
    ) -> Result<T, IndexFault> {
        if let Some(fault) = &self.fault {
            return Err(fault.clone());
        }
        let Some(db) = &self.db else { return Err(IndexFault::ThreadLost { doing }) };
        let result = caught(doing, || call(db));
        if let Err(fault) = &result {
            self.fault = Some(fault.clone());
        }
        result
    }

    pub(super) fn close(&mut self) {
        self.side_door.close();
        let Some(db) = self.db.take() else { return };
        if self.fault.is_none() {
            return drop(caught("closing", || {
                drop(db);
                Ok(())
            }));
        }
        // sled may hang or panic once more while it closes; that is not the owner's problem.
        let close = move || drop(catch_unwind(AssertUnwindSafe(|| drop(db))));
        drop(std::thread::Builder::new().name("state-index-close".to_owned()).spawn(close));
    }
}

impl Drop for StateIndex {
    fn drop(&mut self) {
        self.close();
    }
}

/// A value of the index's own; one that does not verify is a fault.
fn own<const N: usize>(db: &Db, what: u8, shard: u32) -> Result<Option<[u64; N]>, IndexFault> {
    let key = record::own_key(what, shard);
    let Some(value) = db.get(&key).map_err(IndexFault::sled("reading"))? else { return Ok(None) };
    match record::own_numbers(&key, &value) {
        Some(numbers) => Ok(Some(numbers)),
        None => Err(IndexFault::Record {
            shard,
            key_hash: codec::stable_hash(&key),
            reason: "the index's own record does not verify",
        }),
    }
}

/// What is known of a record in the tree before it changes.
#[derive(Clone, Copy, Default)]
struct Stored {
    /// What it adds to its shard's sum.
    element: Option<u64>,
    n_pieces: usize,
}

fn stored(db: &Db, shard: u32, key: &[u8]) -> Result<Stored, IndexFault> {
    let first = db.get(key).map_err(IndexFault::sled("writing"))?;
    let Some(first) = first else { return Ok(Stored::default()) };
    let Some(element) = record::element(key, &first) else {
        return Err(IndexFault::Record {
            shard,
            key_hash: codec::stable_hash(key.get(4..).unwrap_or_default()),
            reason: "it is too short",
        });
    };
    let n_pieces = pieces::count_stored(db, key, &first)?;
    Ok(Stored { element: Some(element), n_pieces })
}

pub(super) fn apply_batch(db: &Db, changes: &[Change]) -> Result<(), IndexFault> {
    let mut batch = sled::Batch::default();
    for (key, value) in changes {
        match value {
            Some(value) => batch.insert(key.as_slice(), value.as_slice()),
            None => batch.remove(key.as_slice()),
        }
    }
    db.apply_batch(batch).map_err(IndexFault::sled("writing"))
}

/// The number of the last batch in the tree; none in one of before they had any.
pub(super) fn last_batch(db: &Db) -> Result<u64, IndexFault> {
    Ok(own::<1>(db, OWN_BATCH, 0)?.map_or(0, |[number]| number))
}
