//! Seeded damage to sled's files: the owner gets the right records, or a reason to rebuild.

use super::{PATIENCE, ask, copy_folder, files_below, options};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::mpsc;
use storage::sim_disk::SplitMix64;
use storage::state::{IndexJob, IndexRecord, IndexWorker, IndexWrite, StateIndex, set_aside};

type Truth = BTreeMap<(u32, Vec<u8>), IndexRecord>;

const FLOOR: u64 = 5_000;

/// An index with a past: overwritten, deleted, reopened, synced; two shards of a few hundred records.
fn template(path: &Path) -> (u64, Truth) {
    let mut random = SplitMix64::new(7);
    let mut truth = Truth::new();
    let mut generation = 0;
    for round in 0..3 {
        let opened = StateIndex::open(path, &options()).unwrap();
        let mut index = opened.index;
        generation = opened.generation;
        for batch in 0..6 {
            let mut writes = Vec::new();
            for n in 0..60 {
                let (shard, key) =
                    (1 + random.below(2) as u32, format!("cart-{:03}", random.below(300)));
                let position = round * 1_000 + batch * 100 + n;
                let body: Vec<u8> =
                    (0..random.below(900)).map(|_| random.next_u64() as u8).collect();
                let body = (!random.one_in(8)).then(|| Bytes::from(body));
                truth.insert(
                    (shard, key.clone().into_bytes()),
                    IndexRecord { position, body: body.clone() },
                );
                writes.push(IndexWrite { shard, key: Bytes::from(key), position, body });
            }
            index.write(&writes).unwrap();
        }
        index.set_floor(1, FLOOR + round).unwrap();
        index.set_floor(2, FLOOR + round).unwrap();
        index.sync_files().unwrap();
    }
    (generation, truth)
}

fn damage(path: &Path, random: &mut SplitMix64) -> String {
    let files = files_below(path);
    // The data lies in `db`; the other files are small but matter as well.
    let db = files.iter().find(|file| file.ends_with("db")).unwrap();
    let file =
        if random.one_in(3) { &files[random.below(files.len() as u64) as usize] } else { db };
    let mut bytes = fs::read(file).unwrap();
    let len = bytes.len() as u64;
    let at = random.below(len.max(1)) as usize;
    let what = match random.below(5) {
        0 => {
            bytes.truncate(at);
            format!("cut at {at}")
        }
        1 => {
            let end = (at + 1 + random.below(20_000) as usize).min(bytes.len());
            bytes[at..end].fill(0);
            format!("zeros {at}..{end}")
        }
        2 | 3 => {
            let bits = 1 + random.below(6);
            for _ in 0..bits {
                let at = random.below(len.max(1)) as usize;
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= 1 << random.below(8);
                }
            }
            format!("{bits} bits")
        }
        _ => {
            fs::remove_file(file).unwrap();
            return format!("{} removed", file.display());
        }
    };
    fs::write(file, bytes).unwrap();
    format!("{}: {what} of {len}", file.display())
}

/// What the owner does at its start, and afterwards; `Err` is anything that makes it rebuild.
fn use_it(path: &Path, generation: u64, truth: &Truth, what: &str) -> Result<(), String> {
    let opened = StateIndex::open(path, &options()).map_err(|fault| fault.to_string())?;
    if opened.generation != generation {
        return Err("foreign".to_owned());
    }
    let worker = IndexWorker::start(opened.index, 1 << 20).unwrap();
    let result = read_all(&worker, truth, what);
    worker.close(PATIENCE);
    result
}

fn read_all(worker: &IndexWorker, truth: &Truth, what: &str) -> Result<(), String> {
    for ((shard, key), expected) in truth.iter().step_by(7) {
        let (shard, key) = (*shard, Bytes::from(key.clone()));
        let read = ask(worker, |done| IndexJob::Read { shard, key, done });
        // The owner knows the position; the body under it must be the right one.
        match read.map_err(|fault| fault.to_string())? {
            Some(found) if found.position == expected.position => {
                assert_eq!(found, *expected, "{what}")
            }
            other => return Err(format!("another position than the owner knows: {other:?}")),
        }
    }
    for shard in [1, 2] {
        let floor = ask(worker, |done| IndexJob::Floor { shard, done });
        let floor = floor.map_err(|fault| fault.to_string())?;
        if floor < Some(FLOOR + 2) {
            return Err(format!("floor {floor:?} is older than the log's"));
        }
        let (tx, rx) = mpsc::channel();
        let sink = Box::new(move |key, record| drop(tx.send((key, record))));
        let records = ask(worker, |done| IndexJob::Scan { shard, sink, done });
        let records = records.map_err(|fault| fault.to_string())?;
        let found: Vec<_> = rx.try_iter().collect();
        let expected: Vec<_> = truth
            .iter()
            .filter(|((of, _), _)| *of == shard)
            .map(|((_, key), record)| (key.clone(), record.clone()))
            .collect();
        assert_eq!(found, expected, "{what}");
        assert_eq!(records, expected.len() as u64, "{what}");
    }
    Ok(())
}

#[test]
fn damaged_files_give_the_right_records_or_a_fault() {
    let folder = tempfile::tempdir().unwrap();
    let original = folder.path().join("original");
    let (generation, truth) = template(&original);
    use_it(&original, generation, &truth, "undamaged").unwrap();
    let (mut intact, mut rebuilt) = (0, 0);
    for seed in 0..150 {
        let path = folder.path().join(format!("state-{seed}"));
        copy_folder(&original, &path);
        let what = format!("seed {seed}: {}", damage(&path, &mut SplitMix64::new(seed)));
        match use_it(&path, generation, &truth, &what) {
            Ok(()) => intact += 1,
            Err(_) => rebuilt += 1,
        }
        set_aside(&path).unwrap();
    }
    // Damage often hits what sled no longer needs, but not always.
    assert!(intact >= 10 && rebuilt >= 50, "{intact} intact, {rebuilt} rebuilt");
}
