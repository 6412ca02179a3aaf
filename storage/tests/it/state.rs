//! The state index returns what was written or a fault, whatever happens to its files.

mod damage;
mod space;
mod worker;

use bytes::Bytes;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};
use std::time::Duration;
use storage::seal::Seal;
use storage::state::{
    FolderFound, IndexFault, IndexJob, IndexOptions, IndexRecord, IndexWorker, IndexWrite, Opened,
    SHARD_RESERVED, StateIndex, set_aside,
};
use storage::vault::Vault;

/// Generous: only a sled that hangs waits for it.
const PATIENCE: Duration = Duration::from_secs(20);

fn options() -> IndexOptions {
    IndexOptions { deadline: PATIENCE, cache_bytes: 8 * 1024 * 1024, seal: None }
}

fn sealed() -> IndexOptions {
    let seal: Arc<dyn Seal> = Arc::new(Vault::from_key([5; 32]));
    IndexOptions { seal: Some(seal), ..options() }
}

fn open(path: &Path) -> StateIndex {
    StateIndex::open(path, &options()).unwrap().index
}

fn put(shard: u32, key: &str, position: u64, body: &[u8]) -> IndexWrite {
    let (key, body) = (Bytes::from(key.to_owned()), Some(Bytes::copy_from_slice(body)));
    IndexWrite { shard, key, position, body }
}

fn tombstone(shard: u32, key: &str, position: u64) -> IndexWrite {
    IndexWrite { body: None, ..put(shard, key, position, b"") }
}

fn record(position: u64, body: &[u8]) -> IndexRecord {
    IndexRecord { position, body: Some(Bytes::copy_from_slice(body)) }
}

fn scan(index: &mut StateIndex, shard: u32) -> Result<Vec<(Vec<u8>, IndexRecord)>, IndexFault> {
    index.scan(shard)?.collect()
}

#[test]
fn records_are_read_as_they_were_written_and_after_a_restart() {
    for options in [options(), sealed()] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        let Opened { mut index, generation, folder: found, .. } =
            StateIndex::open(&path, &options).unwrap();
        assert_eq!(found, FolderFound::Created);
        index
            .write(&[put(1, "a", 5, b"old"), put(1, "b", 6, b""), put(2, "a", 7, b"two")])
            .unwrap();
        index
            .write(&[put(1, "a", 8, b"older"), put(1, "a", 9, b"new"), tombstone(1, "c", 9)])
            .unwrap();
        index.set_floor(1, 9).unwrap();
        index.sync_files().unwrap();
        assert!(index.size_on_disk().unwrap() > 0);
        drop(index);
        let Opened { mut index, generation: again, folder: found, .. } =
            StateIndex::open(&path, &options).unwrap();
        assert_eq!((again, found), (generation, FolderFound::Existing));
        assert_eq!(index.read(1, b"a").unwrap(), Some(record(9, b"new")));
        assert_eq!(index.read(1, b"b").unwrap(), Some(record(6, b"")));
        assert_eq!(index.read(1, b"c").unwrap(), Some(IndexRecord { position: 9, body: None }));
        assert_eq!(index.read(1, b"d").unwrap(), None);
        assert_eq!((index.floor(1).unwrap(), index.floor(2).unwrap()), (Some(9), None));
        assert_eq!(scan(&mut index, 1).unwrap().len(), 3);
        assert_eq!(scan(&mut index, 2).unwrap(), [(b"a".to_vec(), record(7, b"two"))]);
        assert_eq!(scan(&mut index, 3).unwrap(), []);
    }
}

#[test]
fn sealed_bodies_are_not_on_disk_and_do_not_open_without_the_key() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state");
    let mut index = StateIndex::open(&path, &sealed()).unwrap().index;
    index.write(&[put(1, "a", 5, b"canary-in-the-index")]).unwrap();
    index.sync_files().unwrap();
    drop(index);
    for file in files_below(&path) {
        let bytes = fs::read(&file).unwrap();
        assert!(!bytes.windows(6).any(|six| six == b"canary"), "{}", file.display());
    }
    let mut index = open(&path);
    assert!(matches!(index.read(1, b"a"), Err(IndexFault::Record { .. })));
}

#[test]
fn pages_tombstones_and_shards() {
    let folder = tempfile::tempdir().unwrap();
    let mut index = open(&folder.path().join("state"));
    let writes: Vec<_> = (0..500).map(|n| put(1, &format!("{n:04}"), n, &[7; 100])).collect();
    index.write(&writes).unwrap();
    index
        .write(&[tombstone(1, "0001", 600), tombstone(1, "0002", 700), put(2, "x", 1, b"x")])
        .unwrap();
    let (mut after, mut seen): (Option<Vec<u8>>, _) = (None, Vec::new());
    loop {
        let page = index.page(1, after.as_deref(), 5_000).unwrap();
        assert!(page.len() < 60);
        let Some((last, _)) = page.last() else { break };
        after = Some(last.clone());
        seen.extend(page);
    }
    assert_eq!(seen, scan(&mut index, 1).unwrap());
    assert_eq!(index.forget_tombstones(1, 650).unwrap(), 1);
    assert_eq!(index.read(1, b"0001").unwrap(), None);
    assert_eq!(index.read(1, b"0002").unwrap().unwrap().position, 700);
    assert_eq!(scan(&mut index, 1).unwrap().len(), 499);
    index.set_floor(1, 700).unwrap();
    assert_eq!(index.remove_shard(1).unwrap(), 499);
    assert_eq!((scan(&mut index, 1).unwrap(), index.floor(1).unwrap()), (vec![], None));
    assert_eq!(scan(&mut index, 2).unwrap().len(), 1);
    let reserved = index.write(&[put(SHARD_RESERVED, "x", 1, b"x")]);
    assert!(matches!(reserved, Err(IndexFault::ReservedShard)));
    index.write(&[put(2, "y", 1, &[1; 3_000_000])]).unwrap();
    assert_eq!(index.read(2, b"y").unwrap(), Some(record(1, &[1; 3_000_000])));
}

/// Opens sled itself. Its threads may hold the files for a moment after an index was dropped.
fn open_sled(path: &Path, generation: u64) -> sled::Db {
    let home = path.join(format!("g-{generation:016x}"));
    loop {
        match sled::open(&home) {
            Err(error) if error.to_string().contains("acquire lock") => std::thread::yield_now(),
            opened => return opened.unwrap(),
        }
    }
}

/// Changes a stored value behind the index's back.
fn tamper(path: &Path, generation: u64, key: &[u8], value: Option<&[u8]>) {
    let db = open_sled(path, generation);
    match value {
        Some(value) => db.insert(key, value).unwrap(),
        None => db.remove(key).unwrap(),
    };
    db.flush().unwrap();
}

#[test]
fn a_record_that_is_lost_older_or_moved_is_a_fault() {
    let stale = [5_u64.to_le_bytes().as_slice(), &[0; 5], b"old"].concat();
    let cases: [(&str, Option<&[u8]>); 4] =
        [("b", None), ("b", Some(b"")), ("b", Some(&stale)), ("moved", Some(&stale))];
    for (key, value) in cases {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        let Opened { mut index, generation, .. } = StateIndex::open(&path, &options()).unwrap();
        index
            .write(&[put(1, "a", 5, b"tea"), put(1, "b", 6, b"cup"), put(1, "c", 7, b"pot")])
            .unwrap();
        drop(index);
        let full = [&1_u32.to_be_bytes(), key.as_bytes()].concat();
        tamper(&path, generation, &full, value);
        let mut index = open(&path);
        let fault = scan(&mut index, 1).unwrap_err();
        let expected = match value {
            None => matches!(fault, IndexFault::Summary { shard: 1, expected: 3, found: 2 }),
            Some(_) => matches!(fault, IndexFault::Record { shard: 1, .. }),
        };
        assert!(expected, "{key} {fault}");
        // After one fault nothing is served any more.
        assert!(index.read(1, b"a").is_err());
        assert!(index.write(&[put(1, "a", 5, b"tea")]).is_err());
        assert!(index.sync_files().is_err());
    }
}

#[test]
fn a_valid_older_record_is_noticed_by_the_scan() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state");
    let Opened { mut index, generation, .. } = StateIndex::open(&path, &options()).unwrap();
    index.write(&[put(1, "a", 5, b"old"), put(1, "b", 5, b"b")]).unwrap();
    drop(index);
    let key = [&1_u32.to_be_bytes()[..], b"a"].concat();
    let old = {
        let db = open_sled(&path, generation);
        db.get(&key).unwrap().unwrap().to_vec()
    };
    let mut index = open(&path);
    index.write(&[put(1, "a", 9, b"new")]).unwrap();
    drop(index);
    tamper(&path, generation, &key, Some(&old));
    let mut index = open(&path);
    assert_eq!(index.read(1, b"a").unwrap(), Some(record(5, b"old")));
    assert!(matches!(scan(&mut index, 1), Err(IndexFault::Summary { expected: 2, found: 2, .. })));
}

#[test]
fn a_folder_that_is_not_the_current_one_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state");
    let Opened { index, generation, .. } = StateIndex::open(&path, &options()).unwrap();
    drop(index);
    let home = path.join(format!("g-{generation:016x}"));
    let other = path.join(format!("g-{:016x}", generation ^ 1));
    // Another folder under the current name.
    fs::rename(&home, &other).unwrap();
    let missing = StateIndex::open(&path, &options()).unwrap_err();
    assert!(matches!(missing, IndexFault::Io { .. }), "{missing}");
    let elsewhere = folder.path().join("elsewhere");
    let Opened { index, generation: foreign, .. } =
        StateIndex::open(&elsewhere, &options()).unwrap();
    drop(index);
    fs::rename(elsewhere.join(format!("g-{foreign:016x}")), &home).unwrap();
    let fault = StateIndex::open(&path, &options()).unwrap_err();
    assert!(
        matches!(fault, IndexFault::Generation { marker, found: Some(found) }
        if marker == generation && found == foreign),
        "{fault}"
    );
    // A marker that does not verify.
    let marker = path.join("CURRENT");
    let mut bytes = fs::read(&marker).unwrap();
    bytes[17] ^= 1;
    fs::write(&marker, bytes).unwrap();
    let fault = StateIndex::open(&path, &options()).unwrap_err();
    assert!(matches!(fault, IndexFault::Marker { .. }), "{fault}");
    // No marker: a new index under a generation that no log knows, and the leftovers go.
    fs::remove_file(&marker).unwrap();
    let Opened { mut index, generation: new, folder: found, .. } =
        StateIndex::open(&path, &options()).unwrap();
    assert_eq!(found, FolderFound::Created);
    assert!(new != generation && new != foreign && index.generation() == new);
    assert_eq!(scan(&mut index, 1).unwrap(), []);
    assert!(!home.exists() && !other.exists());
}

#[test]
fn at_most_one_folder_that_was_set_aside_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state");
    assert_eq!(set_aside(&path).unwrap(), None);
    for n in 0..3 {
        drop(open(&path));
        let aside = set_aside(&path).unwrap().unwrap();
        assert_eq!(aside, folder.path().join(format!("state.bad-{n}")));
        let names: Vec<_> =
            fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(names, [aside.file_name().unwrap()]);
    }
}

#[test]
fn an_open_that_takes_too_long_is_a_fault_and_does_no_harm_later() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state");
    drop(open(&path));
    let impatient = IndexOptions { deadline: Duration::ZERO, ..options() };
    let fault = StateIndex::open(&path, &impatient).unwrap_err();
    assert!(matches!(fault, IndexFault::OpenTimedOut { .. }), "{fault}");
    set_aside(&path).unwrap().unwrap();
    let mut index = open(&path);
    index.write(&[put(1, "a", 1, b"tea")]).unwrap();
    drop(index);
    assert_eq!(open(&path).read(1, b"a").unwrap(), Some(record(1, b"tea")));
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files.extend(files_below(&path)) } else { files.push(path) }
    }
    files.sort();
    files
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy_folder(&path, &target);
        } else {
            fs::copy(&path, &target).unwrap();
        }
    }
}

#[test]
fn a_folder_restored_by_hand_is_older_by_its_floor() {
    let folder = tempfile::tempdir().unwrap();
    let (path, backup) = (folder.path().join("state"), folder.path().join("backup"));
    let mut index = open(&path);
    index.write(&[put(1, "a", 5, b"old")]).unwrap();
    index.set_floor(1, 5).unwrap();
    index.sync_files().unwrap();
    drop(index);
    copy_folder(&path, &backup);
    let mut index = open(&path);
    index.write(&[put(1, "a", 9, b"new")]).unwrap();
    index.set_floor(1, 9).unwrap();
    index.sync_files().unwrap();
    let generation = index.generation();
    drop(index);
    set_aside(&path).unwrap();
    copy_folder(&backup, &path);
    let mut index = open(&path);
    assert_eq!(index.generation(), generation);
    assert_eq!(scan(&mut index, 1).unwrap(), [(b"a".to_vec(), record(5, b"old"))]);
    assert_eq!(index.floor(1).unwrap(), Some(5), "the log says 9");
}

/// Submits a job and waits for its answer as long as a caller would.
fn ask<T: Send + 'static>(
    worker: &IndexWorker,
    job: impl FnOnce(storage::state::Callback<T>) -> IndexJob,
) -> Result<T, IndexFault> {
    let (tx, rx) = mpsc::channel();
    let job = job(Box::new(move |result| drop(tx.send(result))));
    worker.submit(job).unwrap();
    rx.recv_timeout(PATIENCE).unwrap_or(Err(IndexFault::Abandoned))
}
