//! History keeps what was synced, in order, and says where it is damaged.

mod damage;
mod parts;

use bytes::Bytes;
use proptest::prelude::*;
use std::sync::Arc;
use storage::disk::Disk;
use storage::history::{
    ENTRY_BYTES_MAX, HistoryEntry, HistoryError, HistoryOptions, HistoryReader, HistoryWriter,
    Stretch,
};
use storage::seal::Seal;
use storage::sim_disk::{SimDisk, SplitMix64};
use storage::vault::Vault;

const DIR: &str = "data/history";
const SHARD: u32 = 9;
const SMALL_FILES: HistoryOptions =
    HistoryOptions { file_bytes: 20_000, reaches: None, stretch: Stretch::ALL };

type SealRef = Option<Arc<dyn Seal>>;

fn vault(byte: u8) -> SealRef {
    Some(Arc::new(Vault::from_key([byte; 32])))
}

fn seal_for(seed: u64) -> SealRef {
    if seed.is_multiple_of(3) { vault(1) } else { None }
}

/// Entry `index`: its contents depend on the index alone, so that any copy can be checked.
fn entry(index: u64) -> HistoryEntry {
    let mut random = SplitMix64::new(index);
    let entities = (0..1 + random.below(3)).map(|_| entity(random.below(500))).collect();
    let payload = (0..random.below(4_000)).map(|_| (random.next_u64() as u8) & 0x3f).collect();
    HistoryEntry { index, time_micros: index * 1_000, entities, payload }
}

fn entity(n: u64) -> Vec<u8> {
    format!("cart-{n}").into_bytes()
}

fn entries(indexes: impl Iterator<Item = u64>) -> Vec<HistoryEntry> {
    indexes.map(entry).collect()
}

fn open_with(
    disk: &SimDisk,
    seal: SealRef,
    options: HistoryOptions,
) -> Result<HistoryWriter, HistoryError> {
    HistoryWriter::open(Arc::new(disk.clone()), DIR, SHARD, seal, options)
}

fn open(disk: &SimDisk, seal: SealRef) -> HistoryWriter {
    open_with(disk, seal, SMALL_FILES).unwrap()
}

fn reader(disk: &SimDisk, seal: SealRef) -> HistoryReader {
    HistoryReader::new(Arc::new(disk.clone()), DIR, SHARD, seal)
}

fn scan(disk: &SimDisk, seal: SealRef, from: u64) -> Result<Vec<HistoryEntry>, HistoryError> {
    reader(disk, seal).scan(from)?.collect()
}

/// A history of entries 1 to 300 in several files, synced every 20 entries.
fn filled(seed: u64, seal: SealRef) -> SimDisk {
    let disk = SimDisk::new(seed);
    let mut writer = open(&disk, seal);
    for chunk in entries(1..301).chunks(20) {
        writer.append(chunk).unwrap();
        writer.sync().unwrap();
    }
    disk
}

fn paths(disk: &SimDisk) -> Vec<String> {
    disk.list(DIR).unwrap().into_iter().map(|name| format!("{DIR}/{name}")).collect()
}

#[test]
fn history_is_read_as_it_was_written() {
    for seal in [None, vault(1)] {
        let disk = filled(1, seal.clone());
        assert!(paths(&disk).len() > 5, "{:?}", paths(&disk));
        assert_eq!(scan(&disk, seal.clone(), 0).unwrap(), entries(1..301));
        assert_eq!(scan(&disk, seal.clone(), 123).unwrap(), entries(123..301));
        assert_eq!(scan(&disk, seal.clone(), 300).unwrap(), entries(300..301));
        assert_eq!(scan(&disk, seal.clone(), 301).unwrap(), []);
        let reader = reader(&disk, seal.clone());
        assert_eq!(reader.first_index().unwrap(), Some(1));
        assert_eq!(reader.last_index().unwrap(), Some(300));
        let writer = open(&disk, seal);
        assert_eq!((writer.last_index(), writer.synced_index()), (Some(300), Some(300)));
    }
}

#[test]
fn an_entity_is_found_without_expanding_the_other_blocks() {
    for seal in [None, vault(1)] {
        let disk = filled(1, seal.clone());
        let reader = reader(&disk, seal);
        let mut all = reader.scan(0).unwrap();
        assert_eq!(all.by_ref().count(), 300);
        for n in [7, 42, 321] {
            let touched = |entry: &HistoryEntry| entry.entities.contains(&entity(n));
            let expected: Vec<_> = entries(50..301).into_iter().filter(touched).collect();
            let mut scan = reader.scan_entity(&entity(n), 50).unwrap();
            let found: Vec<_> = scan.by_ref().map(Result::unwrap).collect();
            assert_eq!(found, expected);
            assert!(scan.blocks_opened() <= expected.len() as u64);
            assert!(scan.blocks_opened() < all.blocks_opened() / 2);
        }
        assert_eq!(reader.scan_entity(b"nobody", 0).unwrap().count(), 0);
    }
}

/// Whoever goes on where a scan was cut misses nothing and meets nothing twice.
#[test]
fn a_scan_that_is_cut_says_where() {
    let disk = filled(1, None);
    let reader = reader(&disk, None);
    for n in [7, 42, 321] {
        let whole: Vec<_> =
            reader.scan_entity(&entity(n), 50).unwrap().map(Result::unwrap).collect();
        let (mut found, mut from, mut cuts) = (Vec::new(), 50, 0);
        loop {
            let mut scan = reader.scan_entity(&entity(n), from).unwrap().at_most(1);
            found.extend(scan.by_ref().map(Result::unwrap));
            let Some(cut) = scan.cut_at() else { break };
            assert!(cut >= from, "it comes further each time");
            from = cut + 1;
            cuts += 1;
        }
        assert_eq!(found, whole);
        assert!(cuts > 1, "{cuts} cuts");
    }
}

#[test]
fn a_block_with_too_many_entities_to_list_is_searched() {
    let disk = SimDisk::new(1);
    let mut writer = open(&disk, None);
    let crowd = HistoryEntry { entities: (0..5_000).map(entity).collect(), ..entry(1) };
    writer.append(&[crowd.clone(), entry(2)]).unwrap();
    writer.sync().unwrap();
    let scan = reader(&disk, None).scan_entity(&entity(4_321), 0).unwrap();
    assert_eq!(scan.map(Result::unwrap).collect::<Vec<_>>(), [crowd]);
}

#[test]
fn a_file_that_began_in_the_clear_goes_on_in_the_clear() {
    let disk = SimDisk::new(1);
    let options = HistoryOptions::default();
    let mut writer = open_with(&disk, None, options).unwrap();
    writer.append(&entries(1..5)).unwrap();
    writer.sync().unwrap();
    let mut writer = open_with(&disk, vault(1), options).unwrap();
    writer.append(&entries(5..9)).unwrap();
    writer.sync().unwrap();
    assert_eq!(scan(&disk, vault(1), 0).unwrap(), entries(1..9));
}

#[test]
fn appending_again_changes_nothing() {
    let disk = SimDisk::new(1);
    let mut writer = open(&disk, None);
    writer.append(&entries(1..10)).unwrap();
    writer.append(&entries(5..12)).unwrap();
    writer.sync().unwrap();
    writer.append(&entries(1..12)).unwrap();
    writer.sync().unwrap();
    assert_eq!(scan(&disk, None, 0).unwrap(), entries(1..12));
    let mut writer = open(&disk, None);
    writer.append(&entries(3..15)).unwrap();
    writer.sync().unwrap();
    assert_eq!(scan(&disk, None, 0).unwrap(), entries(1..15));
}

#[test]
fn indexes_may_skip_but_not_fall() {
    let disk = SimDisk::new(1);
    let mut writer = open(&disk, None);
    let gaps = || entries((1..50).filter(|index| index % 7 != 0));
    writer.append(&gaps()).unwrap();
    for wrong in [[60, 60], [61, 60]] {
        let error = writer.append(&entries(wrong.into_iter())).unwrap_err();
        assert!(matches!(error, HistoryError::OutOfOrder { index: 60, .. }), "{error}");
    }
    let huge = HistoryEntry { payload: Bytes::from(vec![0; ENTRY_BYTES_MAX]), ..entry(60) };
    assert!(matches!(writer.append(&[huge]), Err(HistoryError::EntryTooLarge { .. })));
    writer.sync().unwrap();
    assert_eq!(scan(&disk, None, 0).unwrap(), gaps());
}

#[test]
fn retention_drops_whole_files_by_age() {
    let disk = filled(1, vault(1));
    let files = paths(&disk).len();
    let mut writer = open(&disk, vault(1));
    assert_eq!(writer.retain_after(0).unwrap(), 0);
    let removed = writer.retain_after(150_000).unwrap();
    assert!(removed > 0);
    assert_eq!(paths(&disk).len() as u64, files as u64 - removed);
    let first = reader(&disk, None).first_index().unwrap().unwrap();
    assert!((100..=150).contains(&first), "{first}");
    assert_eq!(scan(&disk, vault(1), 0).unwrap(), entries(first..301));
    writer.retain_after(u64::MAX).unwrap();
    assert_eq!(paths(&disk).len(), 1);
    writer.append(&entries(301..310)).unwrap();
    writer.sync().unwrap();
    assert_eq!(scan(&disk, vault(1), 305).unwrap(), entries(305..310));
}

/// Appends, syncs, fails and crashes at random: what was synced is there afterwards, and what is
/// there is a prefix of what was appended.
fn crash_at_random(seed: u64) {
    let mut random = SplitMix64::new(seed);
    let disk = SimDisk::new(seed);
    let seal = seal_for(seed);
    let (mut appended, mut kept) = (0, 0);
    for round in 0..4 {
        let options = HistoryOptions { reaches: (kept > 0).then_some(kept), ..SMALL_FILES };
        let mut opened = open_with(&disk, seal.clone(), options);
        if matches!(opened, Err(HistoryError::Io { .. })) {
            // The fault of the last round was still armed; it strikes once.
            opened = open_with(&disk, seal.clone(), options);
        }
        let mut writer =
            opened.unwrap_or_else(|error| panic!("seed {seed} round {round}: {error}"));
        let last = writer.last_index().unwrap_or(0);
        assert!((kept..=appended).contains(&last), "seed {seed}: {kept} {last} {appended}");
        assert_eq!(scan(&disk, seal.clone(), 0).unwrap(), entries(1..last + 1), "seed {seed}");
        (appended, kept) = (last, last);
        match random.below(4) {
            0 => disk.fail_write(1 + random.below(6)),
            1 => disk.fail_sync(1 + random.below(6)),
            _ => {}
        }
        for _ in 0..random.below(8) {
            let next = appended + 1 + random.below(40);
            let batch = entries(appended + 1..next);
            appended = next - 1;
            if writer.append(&batch).is_err() {
                break;
            }
            if random.one_in(2) {
                match writer.sync() {
                    Ok(()) => kept = appended,
                    Err(_) => break,
                }
            }
        }
        if random.one_in(4) {
            // The process ends, the machine does not: nothing unsynced is lost yet.
            drop(writer);
        } else {
            disk.crash();
        }
    }
}

#[test]
fn a_crash_loses_nothing_that_was_synced() {
    (0..400).for_each(crash_at_random);
}

#[test]
fn a_failed_writer_refuses_until_it_is_opened_again() {
    let disk = SimDisk::new(1);
    let mut writer = open(&disk, None);
    writer.append(&entries(1..5)).unwrap();
    writer.sync().unwrap();
    writer.append(&entries(5..9)).unwrap();
    disk.fail_sync(1);
    assert!(matches!(writer.sync(), Err(HistoryError::Io { .. })));
    assert_eq!(writer.synced_index(), Some(4));
    assert!(matches!(writer.append(&entries(9..10)), Err(HistoryError::Failed { shard: SHARD })));
    assert!(matches!(writer.sync(), Err(HistoryError::Failed { .. })));
    // The system's cache still has what the failed sync dropped; it must reach the device.
    let writer = open(&disk, None);
    assert_eq!(writer.synced_index(), Some(8));
    disk.crash();
    assert_eq!(scan(&disk, None, 0).unwrap(), entries(1..9));
}

#[test]
fn the_bytes_of_history_are_fixed() {
    let disk = SimDisk::new(1);
    let mut writer = open(&disk, None);
    writer.append(&golden()).unwrap();
    writer.sync().unwrap();
    let path = paths(&disk).pop().unwrap();
    let file = disk.open(&path).unwrap();
    let mut bytes = vec![0; file.len().unwrap() as usize];
    file.read_full_at(0, &mut bytes).unwrap();
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hex, VERSION_1);
}

fn golden() -> Vec<HistoryEntry> {
    let entities = vec![b"cart-1".to_vec(), b"sku-2".to_vec()];
    let payload = Bytes::from_static(b"two cups of tea");
    let first = HistoryEntry { index: 5, time_micros: 77, entities, payload };
    vec![first.clone(), HistoryEntry { index: 7, time_micros: 78, ..first }]
}

const VERSION_1: &str = "4f43484953544f5201000000090000000500000000000000000000000000000000000000d16157924f434842\
    4c4f434b10000000480000007400000002000000050000000000000007000000000000004d00000000000000\
    4e000000000000002800000000000000fbcfb47100000000000000004d4d5d002b2707868e793c70cf32a1d5\
    a3d03de32205000100124d0700f00400020000000f00000006000000636172742d312200f306736b752d3274\
    776f2063757073206f6620746561073200134e08000f3a0011606f6620746561";

#[test]
fn history_of_version_1_is_still_read() {
    let disk = SimDisk::new(1);
    disk.create_dir_all(DIR).unwrap();
    let path = format!("{DIR}/history-0000000009-00000000000000000005");
    let bytes: Vec<u8> = (0..VERSION_1.len() / 2)
        .map(|at| u8::from_str_radix(&VERSION_1[2 * at..2 * at + 2], 16).unwrap())
        .collect();
    disk.create_new(&path).unwrap().write_at(0, &bytes).unwrap();
    let found = reader(&disk, None).scan_entity(b"sku-2", 6).unwrap();
    assert_eq!(found.map(Result::unwrap).collect::<Vec<_>>(), golden()[1..]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_bytes_are_no_history(
        bytes in proptest::collection::vec(any::<u8>(), 0..400),
        like_a_block: bool,
    ) {
        let disk = SimDisk::new(1);
        let mut writer = open(&disk, None);
        writer.append(&entries(1..2)).unwrap();
        writer.sync().unwrap();
        drop(writer);
        let path = paths(&disk).pop().unwrap();
        let file = disk.open(&path).unwrap();
        let len = file.len().unwrap();
        let mut bytes = bytes;
        if like_a_block && bytes.len() >= 24 {
            bytes[..24].copy_from_slice(b"OCHBLOCK\x08\0\0\0\x08\0\0\0\x08\0\0\0\x01\0\0\0");
        }
        file.write_at(len, &bytes).unwrap();
        prop_assert_eq!(scan(&disk, None, 0).unwrap(), entries(1..2));
        prop_assert_eq!(open(&disk, None).last_index(), Some(1));
        prop_assert_eq!(disk.open(&path).unwrap().len().unwrap(), len);
        file.write_at(0, &bytes).unwrap();
        if let Ok(found) = scan(&disk, None, 0) {
            prop_assert!(found.is_empty() || found == entries(1..2));
        }
        if let Ok(writer) = open_with(&disk, None, SMALL_FILES) {
            prop_assert!(writer.last_index() <= Some(1));
        }
    }
}
