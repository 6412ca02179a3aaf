//! A disk that is full to the last byte: what is to be kept waits, and reads go on.

use super::{PATIENCE, options, put, record, scan};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::Command;
use std::sync::mpsc;
use storage::clock;
use storage::state::{Closed, IndexFault, IndexJob, IndexRecord, IndexWorker, StateIndex};

/// A file system in memory with little space.
struct SmallDisk {
    folder: tempfile::TempDir,
}

impl SmallDisk {
    /// `None` where mounting is not allowed, which in CI it must be.
    fn mount(mib: u64) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={mib}m"), "tmpfs"])
            .arg(folder.path())
            .output()
            .is_ok_and(|output| output.status.success());
        if !mounted {
            assert!(std::env::var("CI").as_deref() != Ok("true"), "CI needs the right to mount");
            eprintln!("skipped: it needs the right to mount");
            return None;
        }
        Some(Self { folder })
    }

    fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    /// Takes all space that is left.
    fn fill(&self) {
        let mut file = fs::File::create(self.folder.path().join("filler")).unwrap();
        for block in [vec![1_u8; 1 << 16], vec![1_u8; 1 << 12]] {
            while file.write_all(&block).is_ok() {}
        }
    }

    fn relieve(&self) {
        fs::remove_file(self.folder.path().join("filler")).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        Command::new("umount").arg("-l").arg(self.folder.path()).status().ok();
    }
}

fn body(n: u64) -> Vec<u8> {
    // Not all alike, so that a record cannot be taken for another.
    (0..900_u64).map(|i| u8::try_from((n * 31 + i) % 251).unwrap()).collect()
}

/// Submits writes of records `from..`, one job each, until `enough`, and gives the first not written.
fn write_until(
    worker: &IndexWorker,
    from: u64,
    written: &mpsc::Sender<u64>,
    enough: impl Fn() -> bool,
) -> u64 {
    let mut n = from;
    let end = clock::monotonic() + PATIENCE;
    while !enough() {
        assert!(clock::monotonic() < end, "no space is wanting after {n} records");
        let written = written.clone();
        let done = Box::new(move |result: Result<(), IndexFault>| {
            result.unwrap();
            written.send(n).unwrap();
        });
        let writes = vec![put(1, &format!("{n:06}"), n, &body(n))];
        worker.submit(IndexJob::Write { writes, done }).unwrap();
        n += 1;
        if n.is_multiple_of(64) {
            std::thread::yield_now();
        }
    }
    n
}

fn read(worker: &IndexWorker, n: u64) -> Result<Option<IndexRecord>, mpsc::RecvTimeoutError> {
    let (tx, rx) = mpsc::channel();
    let key = Bytes::from(format!("{n:06}"));
    let done = Box::new(move |result: Result<_, IndexFault>| {
        // Nobody waits for one that comes too late.
        tx.send(result.unwrap()).ok();
    });
    worker.submit(IndexJob::Read { shard: 1, key, done }).unwrap();
    rx.recv_timeout(PATIENCE)
}

#[test]
fn a_full_disk_makes_writes_wait_and_reads_go_on() {
    let Some(disk) = SmallDisk::mount(64) else { return };
    let index = StateIndex::open(&disk.state(), &options()).unwrap().index;
    let worker = IndexWorker::start(index, usize::MAX).unwrap();
    let (tx, answers) = mpsc::channel();
    let mut written = BTreeMap::new();
    let mut next = 0;
    for round in 0..3 {
        let before = next;
        next = write_until(&worker, before, &tx, {
            let left = std::cell::Cell::new(300);
            move || left.replace(left.get() - 1) == 0
        });
        while written.len() < usize::try_from(next).unwrap() {
            written.insert(answers.recv_timeout(PATIENCE).unwrap(), round);
        }
        disk.fill();
        next = write_until(&worker, next, &tx, || worker.lacks_space());
        // One more, which must not be done before there is space.
        let last = next;
        next = write_until(&worker, last, &tx, {
            let first = std::cell::Cell::new(true);
            move || !first.replace(false)
        });
        written.extend(answers.try_iter().map(|n| (n, round)));
        assert!(!written.contains_key(&last));
        for n in written.keys().rev().take(300) {
            assert_eq!(read(&worker, *n), Ok(Some(record(*n, &body(*n)))), "record {n}");
        }
        assert!(worker.lacks_space());
        disk.relieve();
        while written.len() < usize::try_from(next).unwrap() {
            written.insert(answers.recv_timeout(PATIENCE).unwrap(), round);
        }
        assert!(!worker.lacks_space());
    }
    assert_eq!(worker.close(PATIENCE), Closed::Cleanly);
    let mut index = StateIndex::open(&disk.state(), &options()).unwrap().index;
    let expected: Vec<_> =
        (0..next).map(|n| (format!("{n:06}").into_bytes(), record(n, &body(n)))).collect();
    assert!(scan(&mut index, 1).unwrap() == expected);
}

#[test]
fn what_a_failed_opening_left_behind_is_no_damage() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state");
    let opened = StateIndex::open(&path, &options()).unwrap();
    let generation = path.join(format!("g-{:016x}", opened.generation));
    let mut index = opened.index;
    index.write(&[put(1, "a", 1, b"tea")]).unwrap();
    index.sync_files().unwrap();
    drop(index);
    // It sorts behind every finished one.
    let unfinished = generation.join("snap.FFFFFFFFFFFFFFFF.generating");
    fs::write(&unfinished, b"cut short").unwrap();
    let mut index = StateIndex::open(&path, &options()).unwrap().index;
    assert_eq!(index.read(1, b"a").unwrap(), Some(record(1, b"tea")));
    assert!(!unfinished.exists());
}

#[test]
fn an_index_opens_on_a_full_disk_and_is_read() {
    let Some(disk) = SmallDisk::mount(32) else { return };
    let mut index = StateIndex::open(&disk.state(), &options()).unwrap().index;
    let writes: Vec<_> = (0..500).map(|n| put(1, &format!("{n:06}"), n, &body(n))).collect();
    index.write(&writes).unwrap();
    index.sync_files().unwrap();
    drop(index);
    disk.fill();
    for _ in 0..2 {
        let mut index = StateIndex::open(&disk.state(), &options()).unwrap().index;
        assert_eq!(scan(&mut index, 1).unwrap().len(), 500);
    }
}

#[test]
fn a_worker_that_closes_does_not_wait_for_space() {
    let Some(disk) = SmallDisk::mount(32) else { return };
    let index = StateIndex::open(&disk.state(), &options()).unwrap().index;
    let worker = IndexWorker::start(index, usize::MAX).unwrap();
    disk.fill();
    let (tx, answers) = mpsc::channel();
    let mut n = 0;
    while !worker.lacks_space() {
        let tx = tx.clone();
        let done = Box::new(move |result| tx.send(result).unwrap());
        let writes = vec![put(1, &format!("{n:06}"), n, &body(n))];
        worker.submit(IndexJob::Write { writes, done }).unwrap();
        n += 1;
    }
    drop(tx);
    assert_eq!(worker.close(PATIENCE), Closed::Cleanly);
    let refused = answers.iter().filter(|answer: &Result<(), IndexFault>| {
        answer.as_ref().is_err_and(IndexFault::is_storage_full)
    });
    assert!(refused.count() > 0);
}

/// What a disk that fills up in the middle of a write does to sled is up to chance, so this is a few
/// rounds of it. Records are so large that leaves of them would not fit into sled's log.
#[test]
fn space_that_ends_in_the_middle_of_anything_holds_up_nobody_for_ever() {
    const ROUNDS: u64 = 20;
    const WRITES: u64 = 150;
    const KEYS: u64 = 60;
    let Some(disk) = SmallDisk::mount(192) else { return };
    let index = StateIndex::open(&disk.state(), &options()).unwrap().index;
    let worker = IndexWorker::start(index, usize::MAX).unwrap();
    let (tx, answers) = mpsc::channel();
    let large = |n: u64| body(n).repeat(50);
    for round in 0..ROUNDS {
        std::thread::scope(|scope| {
            scope.spawn(|| disk.fill());
            for n in round * WRITES + 1..=(round + 1) * WRITES {
                let tx = tx.clone();
                let done = Box::new(move |result: Result<(), IndexFault>| {
                    result.unwrap();
                    tx.send(n).unwrap();
                });
                let writes = vec![put(1, &format!("{:06}", n % KEYS), n, &large(n))];
                worker.submit(IndexJob::Write { writes, done }).unwrap();
                std::thread::yield_now();
            }
        });
        disk.relieve();
        for _ in 0..WRITES {
            answers.recv_timeout(PATIENCE).expect("whoever waits for sled waits for ever");
        }
    }
    assert_eq!(worker.close(PATIENCE), Closed::Cleanly);
    let mut index = StateIndex::open(&disk.state(), &options()).unwrap().index;
    let expected: Vec<_> = (ROUNDS * WRITES + 1 - KEYS..=ROUNDS * WRITES)
        .map(|n| (format!("{:06}", n % KEYS).into_bytes(), record(n, &large(n))))
        .collect::<BTreeMap<_, _>>()
        .into_iter()
        .collect();
    assert_eq!(scan(&mut index, 1).unwrap(), expected);
}
