//! Snapshots come back as they were written, or with an error that names file and offset.

use proptest::prelude::*;
use std::sync::Arc;
use storage::disk::Disk;
use storage::seal::Seal;
use storage::sim_disk::{SimDisk, SplitMix64};
use storage::snapshot::{
    self, CHUNK_BYTES_MAX, ITEM_BYTES_MAX, Leftovers, SnapshotChunks, SnapshotError, SnapshotFile,
    SnapshotItem, SnapshotMeta, SnapshotReader, SnapshotReceiver, SnapshotRecord, SnapshotWriter,
};
use storage::vault::Vault;

const DIR: &str = "snapshots";
const META: SnapshotMeta = SnapshotMeta { shard: 3, start: 100, start_term: 7, id: 0xfeed };
const PATH: &str = "snapshots/snapshot-0000000003-00000000000000000100";

type SealRef = Option<Arc<dyn Seal>>;

fn vault(byte: u8) -> SealRef {
    Some(Arc::new(Vault::from_key([byte; 32])))
}

/// Records whose bodies compress about as well as real ones; every tenth is a tombstone.
fn records(random: &mut SplitMix64, n: u64, body_max: u64) -> Vec<SnapshotRecord> {
    (0..n)
        .map(|n| {
            let len = random.below(body_max + 1);
            let body = (0..len)
                .map(|at| if at.is_multiple_of(2) { b'a' } else { random.next_u64() as u8 });
            let body: Vec<u8> = body.collect();
            let key = format!("kind-{n:06}").into_bytes();
            let position = random.below(200);
            SnapshotRecord { key, position, body: (n % 10 != 3).then_some(body) }
        })
        .collect()
}

fn write(
    disk: &SimDisk,
    meta: SnapshotMeta,
    seal: SealRef,
    records: &[SnapshotRecord],
) -> Result<SnapshotFile, SnapshotError> {
    let mut writer = SnapshotWriter::create(Arc::new(disk.clone()), DIR, meta, seal)?;
    for record in records {
        let body = record.body.as_deref();
        writer.push(&SnapshotItem { key: &record.key, position: record.position, body })?;
    }
    writer.finish(250)
}

fn read(disk: &SimDisk, path: &str, seal: SealRef) -> Result<Vec<SnapshotRecord>, SnapshotError> {
    SnapshotReader::open(disk, path, META.shard, seal)?.collect()
}

#[test]
fn a_snapshot_is_read_as_it_was_written() {
    for (seed, seal) in [(1, None), (2, vault(1))] {
        let disk = SimDisk::new(seed);
        let records = records(&mut SplitMix64::new(seed), 2_000, 1_500);
        let file = write(&disk, META, seal.clone(), &records).unwrap();
        assert_eq!((file.path.as_str(), file.items, file.end), (PATH, 2_000, 250));
        assert_eq!(disk.open(PATH).unwrap().len().unwrap(), file.bytes);
        let reader = SnapshotReader::open(&disk, PATH, 3, seal.clone()).unwrap();
        assert_eq!((*reader.meta(), reader.end(), reader.items()), (META, 250, 2_000));
        assert_eq!(read(&disk, PATH, seal.clone()).unwrap(), records);
        let verified = SnapshotReader::open(&disk, PATH, 3, seal).unwrap().verify().unwrap();
        assert_eq!(verified, file);
    }
}

#[test]
fn an_empty_snapshot_and_large_items_are_fine_and_larger_ones_refused() {
    let disk = SimDisk::new(1);
    write(&disk, META, None, &[]).unwrap();
    assert_eq!(read(&disk, PATH, None).unwrap(), []);
    let noise = (0..ITEM_BYTES_MAX - 1).map(|at| ((at * at) >> 7) as u8).collect();
    let large = SnapshotRecord { key: b"k".to_vec(), position: 9, body: Some(noise) };
    write(&disk, META, vault(1), &[large.clone(), large.clone()]).unwrap();
    assert_eq!(read(&disk, PATH, vault(1)).unwrap(), [large.clone(), large.clone()]);
    let mut larger = large;
    larger.key.push(b'k');
    let error = write(&disk, META, None, &[larger]).unwrap_err();
    assert!(matches!(error, SnapshotError::ItemTooLarge { .. }), "{error}");
}

#[test]
fn an_end_below_what_is_inside_is_refused() {
    let disk: Arc<dyn Disk> = Arc::new(SimDisk::new(1));
    let mut writer = SnapshotWriter::create(disk.clone(), DIR, META, None).unwrap();
    writer.push(&SnapshotItem { key: b"k", position: 300, body: None }).unwrap();
    assert!(matches!(writer.finish(299), Err(SnapshotError::EndTooLow { highest: 300, .. })));
    let writer = SnapshotWriter::create(disk.clone(), DIR, META, None).unwrap();
    assert!(matches!(writer.finish(99), Err(SnapshotError::EndTooLow { start: 100, .. })));
    assert_eq!(disk.list(DIR).unwrap(), Vec::<String>::new());
}

#[test]
fn a_writer_that_does_not_finish_leaves_nothing() {
    let disk = SimDisk::new(1);
    let mut writer = SnapshotWriter::create(Arc::new(disk.clone()), DIR, META, None).unwrap();
    writer.push(&SnapshotItem { key: b"k", position: 1, body: None }).unwrap();
    assert_eq!(disk.list(DIR).unwrap().len(), 1);
    assert_eq!(snapshot::list(&disk, DIR).unwrap(), []);
    drop(writer);
    assert_eq!(disk.list(DIR).unwrap(), Vec::<String>::new());
}

#[test]
fn a_wrong_shard_or_key_is_named_and_a_flipped_version_is_damage() {
    let disk = SimDisk::new(1);
    let records = records(&mut SplitMix64::new(1), 10, 100);
    write(&disk, META, vault(1), &records).unwrap();
    let open =
        |shard, seal| SnapshotReader::open(&disk, PATH, shard, seal).map(|_| ()).unwrap_err();
    let foreign = open(4, vault(1));
    assert!(matches!(foreign, SnapshotError::ForeignShard { expected: 4, found: 3, .. }));
    assert!(foreign.to_string().contains(PATH), "{foreign}");
    assert!(matches!(open(3, None), SnapshotError::Sealed { .. }));
    assert!(matches!(open(3, vault(2)), SnapshotError::Seal { .. }));
    disk.flip_bit(PATH, 8, 1).unwrap();
    assert!(matches!(open(3, vault(1)), SnapshotError::Damaged { offset: 0, .. }));
}

/// Reads whatever is at `PATH`: the records that came before an error must be a prefix of the truth.
#[track_caller]
fn check_damaged(disk: &SimDisk, seal: SealRef, truth: &[SnapshotRecord], what: &str) {
    let reader = match SnapshotReader::open(disk, PATH, 3, seal) {
        Ok(reader) => reader,
        Err(error) => return assert!(error.to_string().contains(PATH), "{what}: {error}"),
    };
    for (good, record) in reader.enumerate() {
        match record {
            Ok(record) => assert_eq!(record, truth[good], "{what}"),
            Err(error) => return assert!(error.to_string().contains(PATH), "{what}: {error}"),
        }
    }
    panic!("{what}: damage was not noticed");
}

#[test]
fn no_damage_goes_unnoticed() {
    for seed in 0..300 {
        let mut random = SplitMix64::new(seed);
        let seal = if seed.is_multiple_of(3) { vault(1) } else { None };
        let disk = SimDisk::new(seed);
        let n = random.below(400);
        let records = records(&mut random, n, 2_000);
        let bytes = write(&disk, META, seal.clone(), &records).unwrap().bytes;
        let offset = random.below(bytes);
        let file = disk.open(PATH).unwrap();
        match seed % 4 {
            0 | 1 => disk.flip_bit(PATH, offset, random.below(8) as u32).unwrap(),
            2 => file.set_len(offset).unwrap(),
            _ => file.write_at(bytes, &[0; 7]).unwrap(),
        }
        check_damaged(&disk, seal, &records, &format!("seed {seed} offset {offset} of {bytes}"));
    }
}

/// Lets the first two blocks of a snapshot change places, and reads it.
fn read_swapped(seal: SealRef) -> SnapshotError {
    let disk = SimDisk::new(1);
    let body = vec![b'x'; 200 * 1024];
    let records: Vec<_> = (0_u8..3)
        .map(|n| SnapshotRecord { key: vec![n], position: 1, body: Some(body.clone()) })
        .collect();
    write(&disk, META, seal.clone(), &records).unwrap();
    let file = disk.open(PATH).unwrap();
    // Equal bodies make blocks of equal length: header 48, then frames of 16 + stored bytes.
    let mut head = [0; 8];
    file.read_full_at(48, &mut head).unwrap();
    let len = 16 + u32::from_le_bytes(head[4..8].try_into().unwrap()) as usize;
    let mut blocks = vec![0; 2 * len];
    file.read_full_at(48, &mut blocks).unwrap();
    blocks.rotate_left(len);
    file.write_at(48, &blocks).unwrap();
    read(&disk, PATH, seal).unwrap_err()
}

#[test]
fn blocks_that_change_places_are_noticed() {
    let sealed = read_swapped(vault(1));
    assert!(matches!(sealed, SnapshotError::Seal { offset: 48, .. }), "{sealed}");
    let plain = read_swapped(None);
    assert!(matches!(plain, SnapshotError::Damaged { .. }), "{plain}");
}

/// Writes two generations of a snapshot with a crash at a random write or sync of the second.
fn crash_while_writing(seed: u64) {
    let mut random = SplitMix64::new(seed);
    let disk = SimDisk::new(seed);
    let seal = if seed.is_multiple_of(3) { vault(1) } else { None };
    let before = records(&mut random, 50, 2_000);
    write(&disk, META, seal.clone(), &before).unwrap();
    let after = records(&mut random, 120, 9_000);
    let next = SnapshotMeta { start: 101, ..META };
    match random.below(3) {
        0 => disk.fail_write(1 + random.below(6)),
        1 => disk.fail_sync(1 + random.below(2)),
        _ => {}
    }
    let written = write(&disk, next, seal.clone(), &after);
    disk.crash();
    snapshot::remove_leftovers(&disk, DIR, Leftovers::Written).unwrap();
    let found = snapshot::list(&disk, DIR).unwrap();
    assert_eq!(found[0].start, 100, "seed {seed}");
    assert_eq!(read(&disk, PATH, seal.clone()).unwrap(), before, "seed {seed}");
    assert!(written.is_err() || found.len() == 2, "seed {seed}: a finished snapshot is gone");
    if let Some(second) = found.get(1) {
        assert_eq!(read(&disk, &second.path, seal).unwrap(), after, "seed {seed}");
    }
    let names = disk.list(DIR).unwrap();
    assert_eq!(names.len(), found.len(), "seed {seed}: {names:?}");
}

#[test]
fn a_crash_leaves_whole_snapshots_only() {
    (0..300).for_each(crash_while_writing);
}

#[test]
fn a_crash_without_finish_leaves_only_leftovers() {
    let disk = SimDisk::new(5);
    let mut writer = SnapshotWriter::create(Arc::new(disk.clone()), DIR, META, None).unwrap();
    writer.push(&SnapshotItem { key: b"k", position: 1, body: None }).unwrap();
    disk.sync_dir(DIR).unwrap();
    disk.crash();
    drop(writer);
    assert_eq!(snapshot::list(&disk, DIR).unwrap(), []);
    write(&disk, META, None, &[]).unwrap();
    assert_eq!(snapshot::list(&disk, DIR).unwrap().len(), 1);
}

#[test]
fn snapshots_are_listed_in_order_and_removed() {
    let disk = SimDisk::new(1);
    assert_eq!(snapshot::list(&disk, DIR).unwrap(), []);
    for (shard, start) in [(12, 5), (3, 200), (3, 99)] {
        write(&disk, SnapshotMeta { shard, start, ..META }, None, &[]).unwrap();
    }
    disk.create_new("snapshots/snapshot-3-99").unwrap();
    let names = snapshot::list(&disk, DIR).unwrap();
    let found: Vec<_> = names.iter().map(|name| (name.shard, name.start)).collect();
    assert_eq!(found, [(3, 99), (3, 200), (12, 5)]);
    snapshot::remove(&disk, DIR, &names[0]).unwrap();
    snapshot::remove(&disk, DIR, &names[0]).unwrap();
    disk.crash();
    assert_eq!(snapshot::list(&disk, DIR).unwrap(), names[1..]);
}

/// Sends everything the receiver still wants, in pieces of `piece` bytes, at most `pieces` of them.
fn send(chunks: &SnapshotChunks, receiver: &mut SnapshotReceiver, piece: usize, pieces: usize) {
    for _ in 0..pieces {
        if receiver.is_complete() {
            return;
        }
        let offset = receiver.resume_offset();
        let chunk = chunks.read(offset, piece).unwrap();
        assert!(!chunk.is_empty() && chunk.len() <= CHUNK_BYTES_MAX);
        receiver.write(offset, &chunk).unwrap();
    }
}

/// One attempt to receive, resumed where the last one stopped.
fn receive(
    chunks: &SnapshotChunks,
    disk: &SimDisk,
    seal: SealRef,
    pieces: usize,
) -> Result<SnapshotFile, SnapshotError> {
    let (meta, bytes) = (*chunks.meta(), chunks.bytes());
    let mut receiver = SnapshotReceiver::open(Arc::new(disk.clone()), DIR, meta, bytes)?;
    send(chunks, &mut receiver, 3_000, pieces);
    receiver.finish(seal)
}

#[test]
fn a_received_snapshot_survives_crashes_on_the_way() {
    for seed in 0..150 {
        let mut random = SplitMix64::new(seed);
        let (source, target) = (SimDisk::new(seed), SimDisk::new(!seed));
        let seal = if seed.is_multiple_of(3) { vault(1) } else { None };
        let records = records(&mut random, 60, 2_000);
        let sent = write(&source, META, seal.clone(), &records).unwrap();
        let chunks = SnapshotChunks::open(&source, PATH).unwrap();
        let mut attempts = 0;
        let received = loop {
            attempts += 1;
            assert!(attempts < 60, "seed {seed}: the transfer never ends");
            let pieces = 1 + random.below(12) as usize;
            let result = receive(&chunks, &target, seal.clone(), pieces);
            if let Ok(received) = result {
                break received;
            }
            assert_eq!(snapshot::list(&target, DIR).unwrap(), [], "seed {seed}");
            if random.below(4) == 0 {
                target.crash();
            }
        };
        target.crash();
        assert_eq!(received, sent, "seed {seed}");
        assert_eq!(read(&target, PATH, seal).unwrap(), records, "seed {seed}");
    }
}

#[test]
fn what_a_failed_sync_dropped_is_fetched_again() {
    for seed in 0..20 {
        let (source, target) = (SimDisk::new(seed), SimDisk::new(!seed));
        let records = records(&mut SplitMix64::new(seed), 30, 1_000);
        write(&source, META, None, &records).unwrap();
        let chunks = SnapshotChunks::open(&source, PATH).unwrap();
        // Bring the folder into being, so that the next sync is that of the file.
        receive(&chunks, &target, None, 1).unwrap_err();
        target.fail_sync(1);
        receive(&chunks, &target, None, 1_000).unwrap_err();
        receive(&chunks, &target, None, 1_000).unwrap();
        target.crash();
        assert_eq!(read(&target, PATH, None).unwrap(), records, "seed {seed}");
    }
}

#[test]
fn a_receiver_takes_bytes_in_order_and_only_the_announced_file() {
    let (source, target) = (SimDisk::new(1), SimDisk::new(2));
    let records = records(&mut SplitMix64::new(1), 60, 2_000);
    write(&source, META, None, &records).unwrap();
    let chunks = SnapshotChunks::open(&source, PATH).unwrap();
    let disk: Arc<dyn Disk> = Arc::new(target.clone());
    let announce = |meta, bytes| SnapshotReceiver::open(disk.clone(), DIR, meta, bytes).unwrap();
    let mut receiver = announce(META, chunks.bytes());
    let early = receiver.write(1, b"x").unwrap_err();
    assert!(matches!(early, SnapshotError::OutOfOrder { expected: 0, given: 1, .. }));
    assert!(matches!(receiver.finish(None), Err(SnapshotError::ForeignFile { .. })));
    let mut receiver = announce(META, chunks.bytes() - 1);
    send(&chunks, &mut receiver, 1_000, 3);
    assert!(receiver.write(3_000, &vec![0; CHUNK_BYTES_MAX]).is_err());
    let mut receiver = announce(SnapshotMeta { id: 1, ..META }, chunks.bytes());
    assert_eq!(receiver.resume_offset(), 0);
    send(&chunks, &mut receiver, 100_000, 100);
    assert!(matches!(receiver.finish(None), Err(SnapshotError::ForeignFile { .. })));
    assert_eq!(snapshot::list(&target, DIR).unwrap(), []);
    assert_eq!(snapshot::remove_leftovers(&target, DIR, Leftovers::Written).unwrap(), 0);
    // What was received of the one before went when this one was announced.
    assert_eq!(snapshot::remove_leftovers(&target, DIR, Leftovers::AlsoReceived).unwrap(), 0);
}

#[test]
fn the_bytes_of_a_snapshot_are_fixed() {
    let disk = SimDisk::new(1);
    let records = [
        SnapshotRecord { key: b"cart".to_vec(), position: 101, body: Some(b"tea".to_vec()) },
        SnapshotRecord { key: b"sku".to_vec(), position: 102, body: None },
    ];
    let file = write(&disk, META, None, &records).unwrap();
    let mut bytes = vec![0; file.bytes as usize];
    disk.open(PATH).unwrap().read_full_at(0, &mut bytes).unwrap();
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hex, VERSION_1);
}

const VERSION_1: &str = "4f43534e41505348010000000300000064000000000000000700000000000000edfe00000000000000000000\
    c73858fe01000000280000002a0000008800d5daa204000000030000006500010070636172747465611300f0\
    00ffffffff6600000000000000736b7502000000170000001c0000009fc4e739220200010012010700d000fa\
    00000000000000fef461624f43534e50454e446800000000000000f0f3b6e9";

#[test]
fn a_snapshot_of_version_1_is_still_read() {
    let disk = SimDisk::new(1);
    disk.create_dir_all(DIR).unwrap();
    let bytes: Vec<u8> = (0..VERSION_1.len() / 2)
        .map(|at| u8::from_str_radix(&VERSION_1[2 * at..2 * at + 2], 16).unwrap())
        .collect();
    disk.create_new(PATH).unwrap().write_at(0, &bytes).unwrap();
    let keys: Vec<_> = read(&disk, PATH, None).unwrap().into_iter().map(|item| item.key).collect();
    assert_eq!(keys, [&b"cart"[..], b"sku"]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_bytes_are_no_snapshot(
        bytes in proptest::collection::vec(any::<u8>(), 0..400),
        like_one: bool,
    ) {
        let disk = SimDisk::new(1);
        disk.create_dir_all(DIR).unwrap();
        let mut bytes = bytes;
        if like_one && bytes.len() >= 10 {
            bytes[..10].copy_from_slice(b"OCSNAPSH\x01\0");
        }
        disk.create_new(PATH).unwrap().write_at(0, &bytes).unwrap();
        prop_assert!(read(&disk, PATH, None).is_err());
        prop_assert!(SnapshotChunks::open(&disk, PATH).is_err());
    }
}
